"""What conventional hardware would take for the same operations, by op counts that are stated.

Three counts of NeuroBench times energies per operation that somebody published: every figure is
read from the chip files of the processors, and priced like any other event. These are arithmetic
estimates with no memory traffic, so each row says what it counts and the caveats go with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spikeport import backends
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError
from spikeport.compiler.figure import Fact
from spikeport.compiler.measure.energy import price, total
from spikeport.pages.units import si, si_range

#: Processors whose default column has a figure per dense operation.
PROCESSORS = ("cpu_i7_4960x", "gpu_titan_black", "arm_cortex_a")
#: Where Horowitz's energies of single operations stand, as facts.
HOROWITZ = "cpu_i7_4960x"
#: Fact names of one arithmetic: `horowitz_NAME_mac`, `horowitz_NAME_accumulate`.
ARITHMETICS = {"fp32": "32-bit floats", "int8": "8-bit integers"}
#: Bases of a figure that set it apart, and how that is said.
WAYS = {"simulated": "simulated", "estimate": "estimates"}
CAVEATS = (
    "The operations are NeuroBench's: Dense counts every weight in every step, effective counts "
    "those with a non-zero weight and a non-zero input, as accumulates (ACs) where the input is a "
    "spike and as multiply-accumulates (MACs) where it is a value. Neuron updates, biases and "
    "pooling are in none of them.",
    "Arithmetic only: no memory traffic, no idle power, no host. Horowitz has {sram} "
    "for a read of 64 bits from an SRAM of 8 KB and {dram} from DRAM.",
    "Dense rows take a multiply-accumulate for every count, as a processor without spikes does. "
    "Effective rows assume that every zero is skipped at no cost.",
    "Not comparable with the energy of a chip of another process: Horowitz's figures are of 45 nm "
    "at 0.9 V, the neuromorphic chips are built in others, and nothing is scaled.",
    "CPU, GPU and ARM are the figures of keras-spiking, which calls them very rough estimates: one "
    "figure for every synapse in every step. That of the GPU assumes large batches; a single "
    "sample takes more.",
    "No uncertainty is published for Horowitz's figures: their rows have no interval.",
)


def baselines(neurobench: Mapping[str, Any]) -> dict[str, Any]:
    """Return what conventional hardware would take for the operations of a run.

    Args:
        neurobench: of a result: {"SynapticOperations": {"Dense", "Effective_MACs",
            "Effective_ACs"}}, per sample.

    Returns:
        {"operations": {"dense", "effective_macs", "effective_acs"}, "rows": [{"name", "title",
        "counts" (`dense` or `effective`), "operations", "joules_per_operation" (mean; None without
        operations), "joules_per_sample", "interval" (None where no uncertainty is known),
        "source", "basis"}], "caveats": [str]}; joules and counts per sample.
    """
    counted = neurobench["SynapticOperations"]
    dense = float(counted["Dense"])
    macs, accumulates = float(counted["Effective_MACs"]), float(counted["Effective_ACs"])
    rows = [_processor(backends.find_chip(name), dense) for name in PROCESSORS]
    facts = backends.find_chip(HOROWITZ).facts
    for name in ARITHMETICS:
        rows.append(_horowitz(name, "dense", facts, {"mac": dense}))
        effective = {"mac": macs, "accumulate": accumulates}
        rows.append(_horowitz(name, "effective", facts, effective))
    return {
        "operations": {"dense": dense, "effective_macs": macs, "effective_acs": accumulates},
        "rows": [row for row in rows if row is not None],
        "caveats": [caveat.format(**_memory(facts)) for caveat in CAVEATS],
    }


def _processor(chip: Chip, dense: float) -> dict[str, Any] | None:
    column = chip.costs[chip.default_cost]
    figure = column.figures["dense_synaptic_op"]
    if figure.basis == "unverified":
        return None
    joules, interval = total(price(column, {(chip.name, "dense_synaptic_op", -1): dense}))
    row = _row(chip.name, chip.title, "dense", dense, float(joules))
    return row | {
        "interval": list(interval), "source": figure.source, "basis": figure.basis,
    }  # fmt: skip


def _horowitz(
    name: str, counts: str, facts: Mapping[str, Fact], operations: Mapping[str, float]
) -> dict[str, Any] | None:
    """Return counts of each operation times its energy; None: an energy has no source."""
    used = {op: facts[f"horowitz_{name}_{op}"] for op in operations}
    parts = [facts[f"horowitz_{name}_{op}"] for op in ("mult", "add")]
    if any(figure.basis == "unverified" for figure in (*used.values(), *parts)):
        return None
    joules = sum(times * _joules(used[op]) for op, times in operations.items())
    title = f"single operations on {ARITHMETICS[name]}, 45 nm (Horowitz 2014)"
    row = _row(f"horowitz_{name}", title, counts, sum(operations.values()), joules)
    sources = dict.fromkeys(figure.source for figure in (*used.values(), *parts))
    return row | {"interval": None, "source": "; ".join(sources), "basis": used["mac"].basis}


def _memory(facts: Mapping[str, Fact]) -> dict[str, str]:
    """Return what a read from memory takes, in words."""
    dram = facts["horowitz_dram_64b"].value
    low, high = dram if isinstance(dram, tuple) else (dram, dram)
    return {
        "sram": si(_joules(facts["horowitz_sram_8kb_64b"]), "J"),
        "dram": si_range(low, high, "J"),
    }


def _joules(fact: Fact) -> float:
    if fact.unit != "J" or not isinstance(fact.value, int | float):
        raise ChipError(f"{fact.value} {fact.unit} is no energy", fact.source, "give it in J")
    return float(fact.value)


def _row(name: str, title: str, counts: str, operations: float, joules: float) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "counts": counts,
        "operations": operations,
        "joules_per_operation": joules / operations if operations else None,
        "joules_per_sample": joules,
    }


def comparable(
    chip: Chip, other: Chip, column: str | None = None, other_column: str | None = None
) -> str:
    """Say why two energies must not be put side by side as if they were alike; "": they may be.

    Args:
        chip, other: whose energies.
        column, other_column: under which cost column; the default one where None.

    Returns:
        A sentence, or "".
    """
    sides = ((chip, column or chip.default_cost), (other, other_column or other.default_cost))
    unknown = [each.name for each, name in sides if name not in each.costs]
    if unknown:
        return f"not comparable: what {' and '.join(unknown)} takes is not known"
    reasons = [
        _processes(chip, other),
        *(_ways(sides, basis, word) for basis, word in WAYS.items()),
        _powers(chip, other),
    ]
    found = "; ".join(reason for reason in reasons if reason)
    return f"not comparable: {found}" if found else ""


def _processes(chip: Chip, other: Chip) -> str:
    if chip.name == other.name:
        return ""
    nodes = {each.name: each.facts.get("process") for each in (chip, other)}
    silent = [name for name, fact in nodes.items() if fact is None or fact.basis == "unverified"]
    if silent:
        return f"the process of {' and of '.join(silent)} is not known"
    built = [f"{name} in {fact.value}" for name, fact in nodes.items() if fact is not None]
    same = len({str(fact.value) for fact in nodes.values() if fact is not None}) == 1
    return "" if same else f"{' and '.join(built)} are other processes"


def _ways(sides: Iterable[tuple[Chip, str]], basis: str, word: str) -> str:
    """Say that the figures of one side alone were obtained in some way."""
    has = {
        f"{chip.name} ({name})": any(f.basis == basis for f in chip.costs[name].figures.values())
        for chip, name in sides
    }
    those = [side for side, yes in has.items() if yes]
    return f"figures of {those[0]} are {word}" if len(those) == 1 and len(has) == 2 else ""


def _powers(chip: Chip, other: Chip) -> str:
    known = [each for each in (chip, other) if each.static_power is not None]
    if len(known) != 1:
        return ""
    part = other if known[0] is chip else chip
    return f"static power is known of {known[0].name} and not of {part.name}"
