"""The whole flow: a graph and its data to a chip, compared, costed and reported."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from spikeport import backends, processor
from spikeport.budget import PRICED, judge
from spikeport.calibration import seen_on
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.cost_column import EventTimes
from spikeport.compiler.errors import ChipError, LoweringError, MissingError, OutputError
from spikeport.compiler.image import Image
from spikeport.compiler.measure.energy import column_of
from spikeport.compiler.measure.timing import check_model
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import for_chip, lower
from spikeport.compiler.program import GRADED, LAVA
from spikeport.compiler.quantize.arithmetic import arithmetic_of
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.quantize.refuse import check_kinds
from spikeport.compiler.traces import Traces
from spikeport.costed import cost_under, counts_cores
from spikeport.data import Data
from spikeport.prepared import Prepared, Progress, Reference, Say, prepare, run_reference
from spikeport.recipe_words import options_of
from spikeport.result import Deployment, Runs, plain_result
from spikeport.timed import step_budget

LAVA_SAMPLES = 20
LAVA_NEURONS = 200_000  # neurons times samples that one Lava run takes by default
NO_SUCH_ARITHMETIC = "Lava has no such arithmetic as {}'s: it is not compared with Lava"


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
    chips: int = 1,
    backends_wanted: Sequence[str] | None = None,
    lava_samples: int | None = None,
    max_memory: str | int | None = None,
    column: str | None = None,
    timing: str | None = None,
    baseline: str | Path | None = None,
    fail_on: str = "",
    command: str = "",
    recipe: Recipe | None = None,
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
        chips: how many chips are linked.
        backends_wanted: of `emulator` and `lava`; by default both, Lava only where it is found.
        lava_samples: how many samples Lava runs (it is slow); by default up to 20.
        max_memory: what the emulator's run may take, as `2GiB`; by default most of what is free.
        column: cost column.
        timing: model of time, `simple` or `detailed`; the most that a column has figures for by
            default.
        baseline, fail_on: an old report.json and a budget such as `accuracy<0.97,energy>1.05x`.
        command: what was typed, for the report.
        recipe: how weights become integers, see `Recipe`; what looks at outputs sees `data`.
        say, progress: called with sentences, and with (what, done, total).

    Raises:
        SpikeportError: wrong input, one message that says what, why and what to do.
    """
    given = prepare(
        graph, str(getattr(chip, "name", chip)), data, out, dialect=dialect, dt=dt,
        settings=settings, input=input, decode=decode, stream=stream, allow_skew=allow_skew,
        slow=slow, chips=chips, backends_wanted=backends_wanted, lava_samples=lava_samples,
        max_memory=max_memory, column=column, timing=timing, baseline=baseline, fail_on=fail_on,
        command=command, recipe=recipe, say=say,
    )  # fmt: skip
    target = chip if isinstance(chip, Chip) else backends.find_chip(str(chip))
    check_runs(target, given)
    retimed = retimed_for(given, target)
    result = run_on(given, target, retimed, run_reference(given, progress), say, progress)
    if given.folder is not None:
        result["files"] = write_result(result, given.folder)
    return result


def check_runs(chip: Chip, given: Prepared) -> None:
    """Refuse what a chip cannot be asked for, before anything long is run.

    Raises:
        ChipError: limits only, no such cost column, or no energy for a budget of it.
        LoweringError: Lava was asked for and has no such arithmetic, or a recipe of a chip without
            integers.
    """
    if chip.arithmetic == "none":
        raise ChipError(
            f"{chip.name} cannot be run",
            "its description holds limits alone (level rules), no arithmetic",
            f"spikeport check {given.net.name} --chip {chip.name}",
        )
    if given.recipe is not None and chip.arithmetic == "float":
        raise LoweringError(
            f"{chip.name} takes no recipe",
            "a processor runs the float network as it is",
            "leave out --weights and the other options of a recipe",
        )
    if chip.costs or given.column is not None:
        check_model(chip, column_of(chip, given.column), given.timing)
    elif given.timing is not None:
        check_model(chip, "", given.timing)
    priced = [each.metric for each in given.budget if each.metric in PRICED]
    if priced and not chip.costs:
        raise ChipError(
            f"the budget limits the {priced[0]}, and what a run costs on {chip.name} is not known",
            "no energy per event has been published for it",
            f"leave {priced[0]} out of --fail-on, or choose another chip",
        )
    if given.wanted is not None and "lava" in given.wanted and not runs_in_lava(chip):
        raise LoweringError(
            f"Lava was asked for and cannot run {chip.name}",
            f"its arithmetic is {chip.arithmetic}, and Lava has none such",
            "--backends emulator",
        )


def timing_of(chip: Chip, column: str, wanted: str | None) -> str | None:
    """Return the model of time under a column: the wanted one where the column can have it."""
    times = chip.costs[column].time
    if not isinstance(times, EventTimes) or (wanted == "detailed" and times.link_buffer is None):
        return None
    return wanted


def runs_in_lava(chip: Chip) -> bool:
    """Is a chip's arithmetic one that Lava has."""
    return chip.arithmetic != "float" and arithmetic_of(chip) in (LAVA, GRADED)


def retimed_for(given: Prepared, chip: Chip) -> Clocked:
    """Return the network with a chip's delays, of kinds that it runs; a processor takes any.

    Raises:
        LoweringError: what the chip cannot do, and what would work.
    """
    if chip.arithmetic == "float":
        return given.clocked
    host = frozenset(given.data.host())
    retimed = for_chip(given.clocked, chip, host, given.allow_skew, given.slow)
    check_kinds(retimed, chip)
    return retimed


def run_on(
    given: Prepared,
    chip: Chip,
    retimed: Clocked,
    reference: Reference,
    say: Say,
    progress: Progress,
) -> dict[str, Any]:
    """Place a network on one chip, run it there and return what was found, as plain values.

    Raises:
        LoweringError, FitError: what the chip cannot do or hold.
    """
    clocked, data, ideal = given.clocked, given.data, reference.traces
    if chip.arithmetic == "float":
        image = processor.on_processor(clocked, chip, given.chips)
        ours = processor.as_run_there(ideal, data.inputs, image)
        runs = Runs(ideal, ours, None, data, processor.WHY_NO_LAVA)
    else:
        peaks = reference.watch.peaks(clocked, data)
        looks = given.recipe is not None and given.recipe.looks_at_outputs
        seen = seen_on(retimed, data) if looks else None
        image = lower(retimed, chip, peaks, data.host(), given.chips, given.recipe, seen)
        runs = _run(image, given, ideal, say, progress)
    budget = step_budget(chip, clocked.dt / image.program.slow)
    costs = {
        name: cost_under(
            image, runs.emulator, column=name, pieces=given.pieces,
            timing=timing_of(chip, name, given.timing), budget=budget[0],
        )
        for name in chip.costs
    }  # fmt: skip
    column = column_of(chip, given.column) if chip.costs else ""
    result = plain_result(
        Deployment(
            given.net, clocked, image, data, given.pieces, given.labels, runs, costs, column,
            given.decode, data.kind, given.command,
            "" if given.recipe is None else options_of(given.recipe), budget,
        )
    )  # fmt: skip
    result["budget"] = judge(given.budget, result, given.baseline) if given.budget else None
    return result


def _part(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _run(image: Image, given: Prepared, ideal: Traces, say: Say, progress: Progress) -> Runs:
    """Run the emulator, and Lava where it is wanted and found."""
    few = _for_lava(image, given.data, given.pieces, given.lava_samples)
    ours = backends.find("emulator").run(
        image,
        given.data.inputs,
        probe=given.probe,
        progress=_part(progress, "emulator"),
        max_memory=given.max_memory,
        count_cores=counts_cores(image, given.data.samples, given.data.steps),
    )
    if given.wanted is not None and "lava" not in given.wanted:
        return Runs(ideal, ours, None, few, "not asked for (--backends)")
    if image.program.arithmetic not in (LAVA, GRADED):
        return Runs(ideal, ours, None, few, NO_SUCH_ARITHMETIC.format(image.chip.name))
    progress("lava", 0, 1)
    try:
        theirs = backends.find("lava").run(image, few.inputs)
    except (MissingError, LoweringError) as error:  # not there, or it has no such neuron
        if given.wanted is not None:
            raise
        say(str(error))
        return Runs(ideal, ours, None, few, str(error))
    progress("lava", 1, 1)
    return Runs(ideal, ours, theirs, few, "")


def _for_lava(image: Image, data: Data, pieces: int | None, wanted: int | None) -> Data:
    """Return the samples that Lava runs; of a stream, the steps of as many samples."""
    neurons = sum(image.program.populations[name].size for name in image.program.neurons)
    samples = wanted or max(1, min(LAVA_SAMPLES, LAVA_NEURONS // max(neurons, 1)))
    if pieces is None:
        return data.first(samples)
    steps = data.steps // pieces * min(samples, pieces)
    return Data({name: x[:, :steps] for name, x in data.inputs.items()}, None, data.kind)


def write_result(result: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write the report into a new folder, which appears whole, or into one that is there.

    Returns:
        {name: path of the file}.
    """
    from spikeport.pages import FILES, write_report

    result["files"] = dict(FILES)

    def write(into: Path) -> None:
        write_report(result, into)

    write_folder(folder, write)
    return {key: str(folder / name) for key, name in FILES.items()}


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder, which appears whole, or one that is there.

    Raises:
        OutputError: the system refused it.
    """
    try:
        if folder.exists():
            write(folder)
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".spikeport-", dir=folder.parent) as scratch:
            write(Path(scratch) / "report")
            os.rename(Path(scratch) / "report", folder)
    except OSError as error:
        raise OutputError(
            f"cannot write the report to {folder}", error.strerror or "", "choose another --out"
        ) from None
