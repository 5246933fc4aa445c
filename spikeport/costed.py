"""What a run costs, as plain values; a chip without figures says that its energy is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spikeport.compiler.chip import Chip
from spikeport.compiler.cost_column import EventTimes
from spikeport.compiler.errors import ChipError
from spikeport.compiler.image import Image
from spikeport.compiler.measure.energy import Cost, column_of, cost
from spikeport.compiler.place.place import place
from spikeport.compiler.traces import Traces
from spikeport.timed import mesh_time, time_summary

NOT_PUBLISHED = "no energy per event has been published for {}"
ALL_UNVERIFIED = "no figure of the column {} has a source that was seen (basis unverified)"
HOST_UNKNOWN = (
    "no energy of a host is published with the chip's figures: what it does is counted, not priced"
)
#: Counters of cores that a deployment may hold; a run with more does not count them.
MOST_COUNTERS = 1 << 30
CORE_BYTES = 20


def cost_under(
    image: Image,
    traces: Traces,
    chip: Chip | None = None,
    column: str | None = None,
    pieces: int | None = None,
    timing: str | None = None,
    budget: float | None = None,
) -> Cost:
    """Return what a run costs on a chip; see `verbs.cost`.

    Raises:
        ChipError: the chip computes otherwise, or has no such column or model of time.
        FitError: the program does not fit the chip.
    """
    placed = image if chip is None or chip == image.chip else placed_on(image, chip)
    name = column_of(placed.chip, column)
    return cost(placed, traces, name, pieces, model=timing, budget=budget, mesh=mesh_time)


def placed_on(image: Image, chip: Chip) -> Image:
    """Return the Image with a chip's figures, placed anew where its cores are other ones.

    Raises:
        ChipError: the chip computes with other integers, so a run says nothing about it.
        FitError: the program does not fit it.
    """
    ours = image.chip
    if (chip.arithmetic, chip.limits) != (ours.arithmetic, ours.limits):
        raise ChipError(
            f"a run on {ours.name} says nothing about what {chip.name} costs",
            "the two compute with different integers, so their neurons spike at other times",
            f'compile and run the network for it: sp.compile(net, "{chip.name}")',
        )
    if (chip.topology, chip.core) == (ours.topology, ours.core):
        return replace(image, chip=chip)
    return place(image.program, chip, image.chips)


def counts_cores(image: Image, samples: int, steps: int) -> bool:
    """Should a run count the work of cores: time needs it, and there is room for it."""
    wanted = any(isinstance(each.time, EventTimes) for each in image.chip.costs.values())
    return wanted and samples * steps * len(image.cores) * CORE_BYTES <= MOST_COUNTERS


def static_of(chip: Chip, chosen: Cost | None = None) -> str:
    """Say what static power is, and whether it could be multiplied with a time."""
    static = chip.static_power
    if static is None:
        return "Dynamic energy only; static power is not known."
    power = f"{static.value:g} {static.unit} per chip ({static.source})"
    if static.basis == "unverified":
        return f"Dynamic energy only. Static power is in no sum, its figure is unverified: {power}."
    if chosen is None or chosen.time is None:
        why = "" if chosen is None else f" ({chosen.time_unknown})"
        return f"Dynamic energy only. The time of a run is not known{why}; static power: {power}."
    return f"Static energy is {power} times the time of a sample, with all its cores powered."


def energy_of(chip: Chip, costs: Mapping[str, Cost], column: str) -> dict[str, Any]:
    """Return the energy of a run on a chip, or why it is not known."""
    if not costs:
        return {"known": False, "why": NOT_PUBLISHED.format(chip.name), "static": static_of(chip)}
    return energy_plain(costs, costs[column], static_of(chip, costs[column]))


def energy_plain(costs: Mapping[str, Cost], chosen: Cost, static: str = "") -> dict[str, Any]:
    """Return costs as plain values: the chosen column's ledger, the others' sums beside it."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in chosen.ledger:
        line = lines.setdefault(
            (entry.population, entry.kind),
            {
                "population": entry.population,
                "kind": entry.kind,
                "events_per_sample": 0.0,
                "joules_per_event": entry.joules_per_event,
                "plus_minus": list(entry.plus_minus),
                "joules_per_sample": 0.0,
                "interval": [0.0, 0.0],
                "source": entry.source,
                "basis": entry.basis,
            },
        )
        line["events_per_sample"] += entry.events_per_sample
        line["joules_per_sample"] += entry.joules
        line["interval"] = [a + b for a, b in zip(line["interval"], entry.interval, strict=True)]
    sources = {entry.source for each in costs.values() for entry in each.ledger}
    sources |= {each.uncertainty.source for each in costs.values()}
    if chosen.static_joules_per_sample is not None and chosen.static_power is not None:
        sources.add(chosen.static_power.source)
    known = not chosen.ledger or any(entry.counts for entry in chosen.ledger)
    plain = {
        "known": known,
        **chosen.summary(),
        "by_population": chosen.by("population"),
        "by_chip": {str(chip): joules for chip, joules in chosen.by("chip").items()},
        "ledger": list(lines.values()),
        "columns": {
            name: each.summary() | {"time": time_summary(each)} for name, each in costs.items()
        },
        "host": {"operations": dict(chosen.host), "joules_per_sample": None, "why": HOST_UNKNOWN},
        "static": static,
        "sources": sorted(sources),
    }
    if not known:
        why = ALL_UNVERIFIED.format(chosen.column)
        plain |= {"why": why, "joules_per_sample": None, "interval": None}
    return plain
