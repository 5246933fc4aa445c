"""The result of a deployment as plain values: what `--json` prints and the report renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spikeport import __version__, backends
from spikeport.attribution import attribute, nothing
from spikeport.baselines import baselines
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.image import Image
from spikeport.compiler.measure.bounds import overflow_rows
from spikeport.compiler.measure.decode import accuracy
from spikeport.compiler.measure.energy import Cost
from spikeport.compiler.measure.neurobench import neurobench
from spikeport.compiler.measure.parity import Parity, compare, compare_bits
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import for_chip
from spikeport.compiler.traces import Traces
from spikeport.costed import energy_of
from spikeport.data import Data
from spikeport.explain import explain
from spikeport.fit import limit_notes
from spikeport.on_chip import cores_of, limits_of, mesh_of
from spikeport.pages.verdict import WORDING
from spikeport.timed import time_of_run


@dataclass(frozen=True, eq=False)
class Runs:
    """The same data on every target.

    Attributes:
        reference, emulator: always there.
        lava: None where Lava did not run; `why` says why.
        lava_data: what Lava ran: fewer samples, for it is slow.
    """

    reference: Traces
    emulator: Traces
    lava: Traces | None
    lava_data: Data
    why: str


@dataclass(frozen=True, eq=False)
class Deployment:
    """Everything that a deployment made and found.

    Attributes:
        net, clocked, image: the nouns on the way.
        data: what was run; one long sample where it was streamed.
        pieces: samples that were joined into it without a reset; None without streaming.
        labels: of the original samples, or None.
        runs: the traces.
        costs: per column, empty where nothing is published; `column` is the one that leads.
        decode, input, command: what was asked for.
        recipe: the options of the recipe, "" of the default one.
        budget: seconds that a step may take, and whose they are.
    """

    net: Network
    clocked: Clocked
    image: Image
    data: Data
    pieces: int | None
    labels: Any
    runs: Runs
    costs: Mapping[str, Cost]
    column: str
    decode: str
    input: str
    command: str
    recipe: str
    budget: tuple[float, str]

    @property
    def streamed(self) -> bool:
        """Do samples follow each other without a reset."""
        return self.pieces is not None

    @property
    def in_one(self) -> int:
        """How many samples each one of the run holds."""
        return self.pieces or 1


def plain_result(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as plain values."""
    net, image, runs = deployment.net, deployment.image, deployment.runs
    program, chip, pieces = image.program, image.chip, deployment.in_one
    costs, column = deployment.costs, deployment.column
    return {
        "spikeport": __version__,
        "complete": True,
        "graph": net.name,
        "chip": {"name": chip.name, "title": chip.title, "level": chip.level},
        "dt": deployment.clocked.dt,
        "semantics": net.semantics.to_dict(),
        "assumed": list(net.semantics.assumed),
        "repairs": list(net.repairs),
        "recipe": deployment.recipe,
        "notes": [*program.notes, *chip.notes, *limit_notes(chip), *_notes(deployment)],
        "network_notes": list(program.notes),
        "latency_steps": program.lags[program.output],
        "samples": deployment.data.samples * deployment.in_one,
        "steps": deployment.data.steps // deployment.in_one,
        "input": deployment.input,
        "decode": deployment.decode,
        "stream": deployment.streamed,
        "accuracy": _accuracy(deployment),
        "parity": _parity(deployment),
        "resources": dict(image.resources),
        "limits": limits_of(image),
        "mesh": mesh_of(image, runs.emulator, pieces),
        "cores": cores_of(image, runs.emulator, pieces, costs, column),
        "energy": energy_of(chip, costs, column),
        "time": time_of_run(image, costs, column, deployment.budget),
        "neurobench": (metrics := neurobench(image, runs.emulator, pieces)),
        "baselines": baselines(metrics),
        "attribution": _attribution(deployment),
        "losses": [dict(loss) for loss in program.losses],
        "overflow": _overflow(deployment),
        "populations": _populations(deployment),
        "backends": _backends(runs),
        "rasters": _rasters(deployment),
        "budget": None,
        "files": {},
        "command": deployment.command,
    }


def _parity(deployment: Deployment) -> dict[str, Any]:
    image, data, runs = deployment.image, deployment.data, deployment.runs
    against_reference = compare(runs.reference, runs.emulator)
    explanation = explain(deployment.clocked, image, data, against_reference, runs.emulator)
    plain = against_reference.to_dict()
    if explanation is not None:
        plain["first_difference"]["cause"] = ", ".join(explanation["causes"])
    return {
        "emulator_vs_reference": plain | {"explanation": explanation},
        "lava_vs_emulator": None
        if runs.lava is None
        else _bits_of_first(image, runs.lava_data, runs.lava).to_dict(),
        "wording": _wording(runs.lava),
    }


def _attribution(deployment: Deployment) -> dict[str, Any]:
    """Take what the chip lost apart; processors lose nothing."""
    image, data, ran = deployment.image, deployment.data, deployment.runs.emulator
    if image.chip.arithmetic == "float":
        return nothing("a processor runs the float network as it is")
    if image.program.slow > 1:
        return nothing("not taken apart under --slow: states are held between steps")
    retimed = for_chip(deployment.clocked, image.chip, frozenset(data.host()), allow_skew=True)
    labels, decode, pieces = deployment.labels, deployment.decode, deployment.in_one
    return attribute(retimed, image, data, labels, decode, pieces=pieces, ran=ran)


def _overflow(deployment: Deployment) -> list[dict[str, Any]]:
    """Return what is known of u and v for any input of the kind that was run."""
    program, runs = deployment.image.program, deployment.runs
    if deployment.image.chip.arithmetic == "float":  # a processor, and nothing in integers
        return []
    spikes = deployment.data.kind == "spikes"
    ends = dict.fromkeys(program.inputs, (0, 1)) if spikes else None
    return [dict(row) for row in overflow_rows(program, runs.emulator, ends)]


def _wording(lava: Traces | None) -> str:
    """Say what equality means here: less where neurons ran in a process of ours."""
    ours = (
        []
        if lava is None
        else [name for name in lava.extra["own_processes"] if name.startswith("Spikeport")]
    )
    if not ours:
        return WORDING
    return WORDING.replace("(software)", f"(software), with {', '.join(ours)} of ours in it")


def _in_network_units(traces: Traces, deployment: Deployment) -> Traces:
    """Return a chip's traces with v of the output as the float network has it."""
    key = f"{traces.output}.v"
    if key not in traces.probes:
        return traces
    population = deployment.image.program.populations[traces.output]
    v = population.in_network_units(traces.probes[key])
    return replace(traces, probes={**traces.probes, key: v})


def _pieces(traces: Traces, deployment: Deployment) -> int:
    """Return how many samples follow each other in one of the run (Lava may run fewer)."""
    if not deployment.streamed:
        return 1
    return traces.model_steps * deployment.in_one // deployment.data.steps


def _accuracy(deployment: Deployment) -> dict[str, Any]:
    runs, labels = deployment.runs, deployment.labels

    def of(traces: Traces | None, few: int | None = None) -> float | None:
        if traces is None or labels is None:
            return None
        traces = traces if traces is runs.reference else _in_network_units(traces, deployment)
        return accuracy(traces, labels[:few], deployment.decode, _pieces(traces, deployment))

    lava_samples = 0
    if runs.lava is not None:
        lava_samples = runs.lava.samples * _pieces(runs.lava, deployment)
    return {
        "reference": of(runs.reference),
        "emulator": of(runs.emulator),
        "lava": of(runs.lava, lava_samples),
        "lava_samples": lava_samples,
        "emulator_on_lava_samples": of(runs.emulator, lava_samples) if lava_samples else None,
    }


def _bits_of_first(image: Image, data: Data, lava: Traces) -> Parity:
    """Compare every u, v and spike of the samples that Lava ran."""
    emulator = backends.find("emulator")
    probe = [f"{name}.{variable}" for name in image.program.neurons for variable in ("u", "v")]
    return compare_bits(emulator.run(image, data.inputs, probe=probe), lava)


def _notes(deployment: Deployment) -> list[str]:
    runs = deployment.runs
    state = (
        "samples are streamed: the state is carried over and no reset is charged"
        if deployment.streamed
        else "the state is reset between samples and one reset of the chip is charged for each"
    )
    return [state, *runs.emulator.notes, *(runs.lava.notes if runs.lava else ())]


def _populations(deployment: Deployment) -> list[dict[str, Any]]:
    image, runs = deployment.image, deployment.runs
    rows = []
    for name in image.program.neurons:
        pop = image.program.populations[name]
        cell = pop.cell
        per_sample: dict[str, float | None] = {"reference": None, "emulator": None, "lava": None}
        for traces in (runs.reference, runs.emulator, runs.lava):
            if traces is not None and name in traces.spikes:
                per_sample[traces.source] = (
                    traces.spikes[name].total / traces.samples / _pieces(traces, deployment)
                )
        rows.append(
            {
                "name": name,
                "kind": pop.kind,
                "shape": list(pop.shape),
                "neurons": pop.size,
                "lag": image.program.lags[name],
                "reset": getattr(cell, "reset", ""),
                "spikes_per_sample": per_sample,
            }
        )
    return rows


def _backends(runs: Runs) -> dict[str, Any]:
    lava: dict[str, Any] = {"ran": False, "why": runs.why}
    if runs.lava is not None:
        lava = {"ran": True, "seconds": runs.lava.seconds} | {
            {"lava_version": "version"}.get(key, key): value
            for key, value in runs.lava.extra.items()
        }
    return {
        "reference": {"seconds": runs.reference.seconds},
        "emulator": {"seconds": runs.emulator.seconds},
        "lava": lava,
    }


def _rasters(deployment: Deployment, most: int = 4000) -> list[dict[str, Any]]:
    """Return the first sample's spikes on every target, on each target's own time axis."""
    image, runs = deployment.image, deployment.runs
    rasters = []
    label = None if deployment.labels is None else int(deployment.labels[0])
    for name in image.program.neurons:
        pop = image.program.populations[name]
        if pop.kind == "constant" or pop.cell is None or not pop.cell.spiking:
            continue
        sides = {
            traces.source: _first_sample(traces, name, most)
            for traces in (runs.reference, runs.emulator, runs.lava)
            if traces is not None and name in traces.spikes  # relays are on the chip alone
        }
        rasters.append(
            {
                "population": name,
                "neurons": pop.size,
                "steps": runs.emulator.steps,
                "sample": 0,
                "label": label,
                "lag": image.program.lags[name],
                "reference": sides.get("reference"),
                "emulator": sides.get("emulator"),
                "lava": sides.get("lava"),
            }
        )
    return rasters


def _first_sample(traces: Traces, name: str, most: int) -> dict[str, list[int]]:
    events = traces.spikes[name].of_sample(0)
    return {"step": events.step[:most].tolist(), "neuron": events.neuron[:most].tolist()}
