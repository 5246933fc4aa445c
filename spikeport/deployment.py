"""The whole flow: a graph and its data to a chip, compared, costed and reported."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeport import __version__, backends
from spikeport.budget import judge, parse_budget, read_baseline
from spikeport.compiler import semantics as contract
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import MissingError, OutputError
from spikeport.compiler.image import Image
from spikeport.compiler.measure.decode import accuracy, check_decoder, needs_v, predictions
from spikeport.compiler.measure.energy import Cost, column_of, cost, neurobench
from spikeport.compiler.measure.parity import Parity, compare, compare_bits
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import for_chip, lower, to_clocked
from spikeport.compiler.quantize.loihi import check_kinds
from spikeport.compiler.traces import Traces
from spikeport.data import Data, read_data
from spikeport.explain import explain
from spikeport.verbs import Watch, load

WORDING = "equal to Lava 0.10 (software); not compared with silicon"
LAVA_SAMPLES = 20
LAVA_NEURONS = 200_000  # neurons times samples that one Lava run takes by default
Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Runs:
    """The same data on every target.

    Attributes:
        reference, emulator: always there.
        lava: None where Lava did not run; `why` says why.
    """

    reference: Traces
    emulator: Traces
    lava: Traces | None
    why: str


def deploy(
    graph: str | Path | Network,
    chip: str | Path | Chip = "loihi1",
    data: object = None,
    out: str | Path | None = None,
    *,
    dialect: str | None = None,
    dt: float | None = None,
    settings: Iterable[str] = (),
    input: str = "spikes",
    decode: str = "count",
    stream: bool = False,
    allow_skew: bool = False,
    backends_wanted: Sequence[str] | None = None,
    lava_samples: int | None = None,
    column: str | None = None,
    baseline: str | Path | None = None,
    fail_on: str = "",
    command: str = "",
    say: Say = lambda text: None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Deploy a graph to a chip and return everything that was found, as plain values.

    Nothing is written before everything has been checked and run; then `out` appears whole.

    Args:
        graph: path of a NIR file, or a Network.
        chip: name, path or Chip.
        data: path of an .npz, or arrays (see `read_data`).
        out: folder for the report; must not exist or be empty. None writes nothing.
        dialect, dt, settings: what a step means, see `load`.
        input: what the data holds: `spikes`, `counts` or `current`.
        decode: how a class is read from the output.
        stream: samples follow each other without a reset of the state.
        allow_skew: see `retime`.
        backends_wanted: of `emulator` and `lava`; by default both, Lava only where it is found.
        lava_samples: how many samples Lava runs (it is slow); by default up to 20.
        column: cost column.
        baseline, fail_on: an old report.json and a budget such as `accuracy<0.97,energy>1.05x`.
        command: what was typed, for the report.
        say, progress: called with sentences, and with (what, done, total).

    Raises:
        SpikeportError: wrong input, one message that says what, why and what to do.
    """
    net = graph if isinstance(graph, Network) else load(graph, dialect, dt, settings)
    for repair in net.repairs:
        say(repair)
    folder = None if out is None else check_folder(Path(out))
    budget = parse_budget(fail_on)
    old = read_baseline(baseline, budget)
    again = command or f"spikeport deploy {net.name} --chip {chip}"
    contract.require_said(net.semantics, again)
    contract.require_dt(net.semantics, again)
    samples = data if isinstance(data, Data) else read_data(_required(data), net, input)
    target = chip if isinstance(chip, Chip) else backends.find_chip(str(chip))
    column = column_of(target, column)
    wants_v = needs_v(decode)
    for name in backends_wanted or ():
        backends.find(name)

    clocked = to_clocked(net)
    if samples.labels is not None:
        membrane = clocked.populations[clocked.output].membrane
        check_decoder(decode, clocked.output, membrane is None or membrane.spiking)
    if stream:
        samples = _streamed(samples)
    host = samples.host()
    retimed = for_chip(clocked, target, frozenset(host), allow_skew)
    check_kinds(retimed, target)  # before anything long is run
    probe = [f"{clocked.output}.v"] if wants_v else []
    ideal, watch = _run_reference(clocked, samples, probe, progress)
    image = lower(retimed, target, watch.peaks(clocked, samples), host)
    runs = _run(image, samples, ideal, probe, backends_wanted, lava_samples, say, progress)
    costs = {name: cost(image, runs.emulator, name, streamed=stream) for name in target.costs}
    result = _result(
        net, clocked, image, samples, runs, costs, column, decode, stream, command, input
    )
    result["budget"] = judge(budget, result, old) if budget else None
    if folder is not None:
        result["files"] = _write(result, folder)
    return result


def check_folder(folder: Path) -> Path:
    """Return the folder if a report may be put there.

    Raises:
        OutputError: it is a file or beneath one, holds something, or cannot be written.
    """
    try:
        return _check_folder(folder)
    except OSError as error:
        raise OutputError(
            f"{folder.name[:80]} cannot be a folder", error.strerror or "", "choose another --out"
        ) from None


def _check_folder(folder: Path) -> Path:
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file", "the report is a folder", "choose another --out")
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(
            f"the folder {folder} is in use",
            "it is not empty and nothing is ever overwritten",
            f"choose another --out, or empty it first: rm -r {folder}",
        )
    with suppress(FileNotFoundError, NotADirectoryError):
        os.stat(folder)  # a name that no folder can have is refused here
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise OutputError(f"{nearest} is a file", "no folder can be in it", "choose another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"{nearest} cannot be written to", "no rights", "choose another --out")
    return folder


def _required(data: object) -> object:
    from spikeport.compiler.errors import DataError

    if data is None:
        raise DataError(
            "there is no data to run", "accuracy and energy are measured on data",
            "add --data DATA.npz with an array x (sample, step, ...)",
        )  # fmt: skip
    return data


def _streamed(data: Data) -> Data:
    """Return all samples joined into one: the state is never reset."""
    joined = {name: x.reshape(1, -1, x.shape[2]) for name, x in data.inputs.items()}
    return Data(joined, None, data.kind)


def _part(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _run_reference(
    clocked: Clocked, data: Data, probe: Sequence[str], progress: Progress
) -> tuple[Traces, Watch]:
    """Run the reference on all samples; what it reaches calibrates the scales."""
    watch = Watch()
    reference = backends.find("reference")
    ideal: Traces = reference.run(
        clocked, data.inputs, probe=probe, watch=watch, progress=_part(progress, "reference")
    )
    return ideal, watch


def _run(
    image: Image,
    data: Data,
    ideal: Traces,
    probe: Sequence[str],
    wanted: Sequence[str] | None,
    lava_samples: int | None,
    say: Say,
    progress: Progress,
) -> Runs:
    """Run the emulator, and Lava where it is wanted and found."""
    emulator = backends.find("emulator")
    ours = emulator.run(image, data.inputs, probe=probe, progress=_part(progress, "emulator"))
    if wanted is not None and "lava" not in wanted:
        return Runs(ideal, ours, None, "not asked for (--backends)")
    return _run_lava(image, data, ideal, ours, wanted, lava_samples, say, progress)


def _run_lava(
    image: Image,
    data: Data,
    ideal: Traces,
    ours: Traces,
    wanted: Sequence[str] | None,
    lava_samples: int | None,
    say: Say,
    progress: Progress,
) -> Runs:
    neurons = sum(image.program.populations[name].size for name in image.program.neurons)
    few = data.first(lava_samples or max(1, min(LAVA_SAMPLES, LAVA_NEURONS // max(neurons, 1))))
    progress("lava", 0, 1)
    try:
        theirs = backends.find("lava").run(image, few.inputs)
    except MissingError as error:
        if wanted is not None:
            raise
        say(str(error))
        return Runs(ideal, ours, None, str(error))
    progress("lava", 1, 1)
    return Runs(ideal, ours, theirs, "")


def _bits_of_first(image: Image, data: Data, lava: Traces) -> Parity:
    """Compare every u, v and spike of the samples that Lava ran."""
    emulator = backends.find("emulator")
    few = data.first(lava.samples)
    probe = [f"{name}.{variable}" for name in image.program.neurons for variable in ("u", "v")]
    return compare_bits(emulator.run(image, few.inputs, probe=probe), lava)


def _result(
    net: Network,
    clocked: Clocked,
    image: Image,
    data: Data,
    runs: Runs,
    costs: Mapping[str, Cost],
    column: str,
    decode: str,
    stream: bool,
    command: str,
    input: str,
) -> dict[str, Any]:
    """Return everything as plain values; the schema is the one that the report renders."""
    program, chip = image.program, image.chip
    against_reference = compare(runs.reference, runs.emulator)
    explanation = explain(clocked, image, data, against_reference)
    first = against_reference.to_dict()
    if explanation is not None:
        first["first_difference"]["cause"] = ", ".join(explanation["causes"])
    parity: dict[str, Any] = {
        "emulator_vs_reference": first | {"explanation": explanation},
        "lava_vs_emulator": None,
        "wording": WORDING,
    }
    if runs.lava is not None:
        parity["lava_vs_emulator"] = _bits_of_first(image, data, runs.lava).to_dict()
    accuracies: dict[str, Any] = {
        "reference": accuracy(runs.reference, data.labels, decode),
        "emulator": accuracy(runs.emulator, data.labels, decode),
        "lava": None if runs.lava is None else accuracy(runs.lava, data.labels, decode),
        "lava_samples": 0 if runs.lava is None else runs.lava.samples,
        "emulator_on_lava_samples": _on_first(runs, data, decode),
    }
    chosen = costs[column]
    return {
        "spikeport": __version__,
        "graph": net.name,
        "chip": {"name": chip.name, "title": chip.title, "level": chip.level},
        "dt": clocked.dt,
        "semantics": net.semantics.to_dict(),
        "assumed": list(net.semantics.assumed),
        "repairs": list(net.repairs),
        "notes": [*program.notes, *chip.notes, *_notes(runs, stream)],
        "latency_steps": program.lags[program.output],
        "samples": data.samples,
        "steps": data.steps,
        "input": input,
        "decode": decode,
        "stream": stream,
        "accuracy": accuracies,
        "parity": parity,
        "resources": dict(image.resources),
        "limits": _limits(chip),
        "mesh": {
            name: int(getattr(chip.topology, name).value)
            for name in type(chip.topology).model_fields
        },
        "cores": _cores(image, chosen),
        "energy": energy_plain(costs, chosen),
        "neurobench": neurobench(image, runs.emulator),
        "losses": [dict(loss) for loss in program.losses],
        "populations": _populations(image, runs),
        "backends": _backends(runs),
        "rasters": _rasters(image, runs, data),
        "budget": None,
        "files": {},
        "command": command,
    }


def _on_first(runs: Runs, data: Data, decode: str) -> float | None:
    """Return the emulator's accuracy on the samples that Lava ran, for a fair comparison."""
    if runs.lava is None or data.labels is None:
        return None
    few = runs.lava.samples
    classes = predictions(runs.emulator, decode)[:few]
    return float((classes == data.labels[:few]).mean())


def _notes(runs: Runs, stream: bool) -> list[str]:
    state = (
        "samples are streamed: the state is carried over and no reset is charged"
        if stream
        else "the state is reset between samples and one reset of the chip is charged for each"
    )
    return [state, *runs.emulator.notes, *(runs.lava.notes if runs.lava else ())]


def _limits(chip: Chip) -> dict[str, int]:
    per_core = ("compartments", "in_axons", "out_axons", "synaptic_memory_bits")
    limits = {f"{name}_per_core": getattr(chip.limits, f"{name}_per_core") for name in per_core}
    return {"cores": chip.cores} | {name: int(figure.value) for name, figure in limits.items()}


def _cores(image: Image, chosen: Cost) -> list[dict[str, Any]]:
    joules = chosen.by("core")
    return [
        {
            **vars(use),
            "populations": {
                part.population: int(part.neurons.size)
                for part in image.slices
                if part.core == use.core
            },
            "joules_per_sample": joules.get(use.core, 0.0),
        }
        for use in image.cores
    ]


def energy_plain(costs: Mapping[str, Cost], chosen: Cost) -> dict[str, Any]:
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
                "joules_per_sample": 0.0,
                "source": entry.source,
                "basis": entry.basis,
            },
        )
        line["events_per_sample"] += entry.events_per_sample
        line["joules_per_sample"] += entry.joules
    sources = {entry.source for cost in costs.values() for entry in cost.ledger}
    return {
        **chosen.summary(),
        "by_population": chosen.by("population"),
        "ledger": list(lines.values()),
        "columns": {name: each.summary() for name, each in costs.items()},
        "static": "Dynamic energy only. Static power is not added: 104 mW per chip (Frady et al., "
        "NICE 2020, table 1) times the run time, which is not modelled here.",
        "sources": sorted(sources | {each.uncertainty.source for each in costs.values()}),
    }


def _populations(image: Image, runs: Runs) -> list[dict[str, Any]]:
    rows = []
    for name in image.program.neurons:
        pop = image.program.populations[name]
        cell = pop.cell
        per_sample: dict[str, float | None] = {"reference": None, "emulator": None, "lava": None}
        for traces in (runs.reference, runs.emulator, runs.lava):
            if traces is not None and name in traces.spikes:
                per_sample[traces.source] = traces.spikes[name].total / traces.samples
        rows.append(
            {
                "name": name,
                "kind": pop.kind,
                "shape": list(pop.shape),
                "neurons": pop.size,
                "lag": image.program.lags[name],
                "reset": cell.reset if cell is not None else "",
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


def _rasters(image: Image, runs: Runs, data: Data, most: int = 4000) -> list[dict[str, Any]]:
    """Return the first sample's spikes on every target, on each target's own time axis."""
    rasters = []
    label = None if data.labels is None else int(data.labels[0])
    for name in image.program.neurons:
        pop = image.program.populations[name]
        if pop.kind == "constant" or pop.cell is None or not pop.cell.spiking:
            continue
        sides = {
            traces.source: _first_sample(traces, name, most)
            for traces in (runs.reference, runs.emulator, runs.lava)
            if traces is not None
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
    events = traces.spikes[name]
    chosen = (events.sample == 0).nonzero()[0][:most]
    return {"step": events.step[chosen].tolist(), "neuron": events.neuron[chosen].tolist()}


def _write(result: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write the report into a new folder, which appears whole, or into an empty one."""
    from spikeport.pages import FILES, write_report

    result["files"] = dict(FILES)
    try:
        if folder.exists():
            write_report(result, folder)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".spikeport-", dir=folder.parent) as scratch:
                write_report(result, Path(scratch) / "report")
                os.rename(Path(scratch) / "report", folder)
    except OSError as error:
        raise OutputError(
            f"cannot write the report to {folder}", error.strerror or "", "choose another --out"
        ) from None
    return {key: str(folder / name) for key, name in FILES.items()}
