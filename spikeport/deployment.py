"""The whole flow: a graph and its data to a chip, compared, costed and reported."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from spikeport import backends
from spikeport.budget import judge, parse_budget, read_baseline
from spikeport.calibration import Watch
from spikeport.compiler import semantics as contract
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import DataError, MissingError, OutputError
from spikeport.compiler.image import Image
from spikeport.compiler.measure.decode import check_decoder, needs_v
from spikeport.compiler.measure.energy import column_of, cost
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import for_chip, lower, to_clocked
from spikeport.compiler.quantize.refuse import check_kinds
from spikeport.compiler.traces import Traces
from spikeport.data import Data, read_data
from spikeport.files import check_report_folder
from spikeport.result import Deployment, Runs, plain_result
from spikeport.verbs import load, said

LAVA_SAMPLES = 20
LAVA_NEURONS = 200_000  # neurons times samples that one Lava run takes by default
Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


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
    slow: int = 1,
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
        data: path of an .npz, or arrays (see `read_data`), or what `data_from` made of a loader.
        out: folder for the report; must not exist or be empty. None writes nothing.
        dialect, dt, settings: what a step means, see `load`.
        input: what the data holds: `spikes`, `counts` or `current`.
        decode: how a class is read from the output.
        stream: samples follow each other without a reset of the state.
        allow_skew, slow: see `retime`.
        backends_wanted: of `emulator` and `lava`; by default both, Lava only where it is found.
        lava_samples: how many samples Lava runs (it is slow); by default up to 20.
        column: cost column.
        baseline, fail_on: an old report.json and a budget such as `accuracy<0.97,energy>1.05x`.
        command: what was typed, for the report.
        say, progress: called with sentences, and with (what, done, total).

    Raises:
        SpikeportError: wrong input, one message that says what, why and what to do.
    """
    net = graph if isinstance(graph, Network) else load(graph)
    net = said(net, dialect, dt, settings)
    for repair in net.repairs:
        say(repair)
    folder = None if out is None else check_report_folder(Path(out))
    budget = parse_budget(fail_on)
    old = read_baseline(baseline, budget)
    again = command or f"spikeport deploy {net.name} --chip {chip}"
    contract.require_said(net.semantics, again)
    contract.require_dt(net.semantics, again)
    samples = data if isinstance(data, Data) else read_data(_required(data), net, input)
    input = samples.kind
    target = chip if isinstance(chip, Chip) else backends.find_chip(str(chip))
    column = column_of(target, column)
    wants_v = needs_v(decode)
    for name in backends_wanted or ():
        backends.find(name)

    clocked = to_clocked(net)
    if samples.labels is not None:
        membrane = clocked.populations[clocked.output].membrane
        check_decoder(decode, clocked.output, membrane is None or membrane.spiking)
    pieces, labels = samples.samples if stream else None, samples.labels
    samples = _streamed(samples) if stream else samples
    host = samples.host()
    retimed = for_chip(clocked, target, frozenset(host), allow_skew, slow)
    check_kinds(retimed, target)  # before anything long is run
    shown = {clocked.output} if wants_v else set()
    shown |= {name for name in clocked.outputs.values() if clocked.populations[name].analog}
    probe = [f"{name}.v" for name in sorted(shown)]
    ideal, watch = _run_reference(clocked, samples, probe, progress)
    image = lower(retimed, target, watch.peaks(clocked, samples), host)
    few = _for_lava(image, samples, pieces, lava_samples)
    runs = _run(image, samples, few, ideal, probe, backends_wanted, say, progress)
    costs = {name: cost(image, runs.emulator, name, pieces) for name in target.costs}
    result = plain_result(
        Deployment(
            net, clocked, image, samples, pieces, labels, runs, costs, column, decode,
            input, command,
        )
    )  # fmt: skip
    result["budget"] = judge(budget, result, old) if budget else None
    if folder is not None:
        result["files"] = write_result(result, folder)
    return result


def _required(data: object) -> object:
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
    few: Data,
    ideal: Traces,
    probe: Sequence[str],
    wanted: Sequence[str] | None,
    say: Say,
    progress: Progress,
) -> Runs:
    """Run the emulator, and Lava where it is wanted and found."""
    emulator = backends.find("emulator")
    ours = emulator.run(image, data.inputs, probe=probe, progress=_part(progress, "emulator"))
    if wanted is not None and "lava" not in wanted:
        return Runs(ideal, ours, None, few, "not asked for (--backends)")
    return _run_lava(image, few, ideal, ours, wanted, say, progress)


def _for_lava(image: Image, data: Data, pieces: int | None, wanted: int | None) -> Data:
    """Return the samples that Lava runs; of a stream, the steps of as many samples."""
    neurons = sum(image.program.populations[name].size for name in image.program.neurons)
    samples = wanted or max(1, min(LAVA_SAMPLES, LAVA_NEURONS // max(neurons, 1)))
    if pieces is None:
        return data.first(samples)
    steps = data.steps // pieces * min(samples, pieces)
    return Data({name: x[:, :steps] for name, x in data.inputs.items()}, None, data.kind)


def _run_lava(
    image: Image,
    few: Data,
    ideal: Traces,
    ours: Traces,
    wanted: Sequence[str] | None,
    say: Say,
    progress: Progress,
) -> Runs:
    progress("lava", 0, 1)
    try:
        theirs = backends.find("lava").run(image, few.inputs)
    except MissingError as error:
        if wanted is not None:
            raise
        say(str(error))
        return Runs(ideal, ours, None, few, str(error))
    progress("lava", 1, 1)
    return Runs(ideal, ours, theirs, few, "")


def write_result(result: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write the report into a new folder, which appears whole, or into one that is there.

    Returns:
        {name: path of the file}.
    """
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
