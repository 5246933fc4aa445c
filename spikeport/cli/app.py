"""Every command: its options, and what it prints. The work is done by the verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.cli import about
from spikeport.cli.options import (
    AsJson,
    Calibration,
    ChipName,
    ChipNames,
    Chips,
    Decode,
    Dialect,
    Dt,
    Engine,
    Graph,
    InputKind,
    MaxMemory,
    Runnable,
    Settings,
    Skew,
    Slow,
    Threads,
)
from spikeport.cli.output import emit, print_ran, say, verdict_of, worst_of
from spikeport.cli.quantize_file import quantize
from spikeport.cli.recipe_options import Correct, Decays, Ranges, Rounding, Scales, Weights
from spikeport.cli.report_file import report
from spikeport.cli.train_file import train
from spikeport.cli.validate_energy import validate_energy

app = typer.Typer(
    name="spikeport",
    help="Take spiking networks (NIR graphs) to neuromorphic chips; prove that nothing was lost.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing rich for it would take a third of a second
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from spikeport import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


@app.command()
def inspect(graph: Graph, json: AsJson = False) -> None:
    """Show a graph: nodes, shapes, repairs, semantics."""
    from spikeport.cli.show import inspected, print_inspected
    from spikeport.verbs import load

    plain = inspected(load(graph))
    emit(plain) if json else print_inspected(plain)


@app.command()
def check(
    graph: Graph,
    chip: ChipNames,
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    chips: Chips = 1,
    json: AsJson = False,
) -> None:
    """Check whether a graph fits a chip, or each of several.

    Every violated limit at once, by object, with a fix. Needs no data. What a neuron does in a step
    (its reset, how many spikes) is NIR's own unless a dialect is named.
    """
    from spikeport import verbs
    from spikeport.cli.show_check import print_check, print_checked
    from spikeport.side_by_side import check_side_by_side, chips_named

    net = verbs.load(graph)
    if settings and dialect is None and not net.semantics.dialect:
        dialect = "nir"  # settings change something
    net = verbs.said(net, dialect, dt, settings or ())
    targets = chips_named(chip)
    for repair in net.repairs:
        say(repair)
    if len(targets) == 1:
        plain = {"graph": net.name, **verbs.check(net, targets[0], chips)}
        emit(plain) if json else print_check(plain)
        fits = plain["fits"]
    else:
        rows = check_side_by_side(net, targets, chips)
        emit({"graph": net.name, "chips": rows}) if json else print_checked(rows)
        fits = any(row["fits"] for row in rows)
    if not fits:
        raise typer.Exit(2)


@app.command()
def deploy(
    graph: Graph,
    chip: ChipNames,
    data: Annotated[Path, typer.Option("--data", help=".npz with x (sample, step, *shape), or "
                                       "x.NAME per input, and optional labels")],
    out: Annotated[Path, typer.Option("--out", help="folder for the report; new or empty")],
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    input: InputKind = "spikes",
    decode: Decode = "count",
    stream: Annotated[bool, typer.Option("--stream", help="never reset between samples")] = False,
    allow_skew: Skew = False,
    slow: Slow = 1,
    chips: Chips = 1,
    backends: Annotated[
        str | None,
        typer.Option("--backends", help="emulator, or emulator,lava (default: Lava where found)"),
    ] = None,
    lava_samples: Annotated[
        int | None, typer.Option("--lava-samples", min=1, help="samples that Lava runs (up to 20)")
    ] = None,
    cost: Annotated[
        str | None, typer.Option("--cost", help="cost column, such as davies2018 or sanafe")
    ] = None,
    timing: Annotated[
        str | None, typer.Option(help="model of time: simple, or detailed (where figures allow)")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="an old report.json to compare with")
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="budget, as in 'accuracy<0.97,energy>1.05x'")
    ] = "",
    weights: Weights = None,
    scales: Scales = None,
    ranges: Ranges = None,
    rounding: Rounding = None,
    decays: Decays = None,
    correct: Correct = False,
    max_memory: MaxMemory = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Take a graph to a chip and report what is left of it.

    Compiles, runs the float reference, the emulator and Lava on the data, compares them cell by
    cell, costs the events and writes a report. Exit code 1: Lava differs, or a budget is broken.
    Several chips: one table and one page, with the report of each chip that takes it in a folder.
    """
    from spikeport.cli.offer import estimate_offered
    from spikeport.cli.progress import progress_bars
    from spikeport.cli.show import print_deployed
    from spikeport.cli.typed import typed
    from spikeport.deployment import deploy as deploy_graph
    from spikeport.recipe_words import recipe_of
    from spikeport.side_by_side import are_several, deploy_side_by_side

    several = are_several(chip)
    recipe = recipe_of(
        weights, correct, scales=scales, ranges=ranges, rounding=rounding, decays=decays
    )
    with progress_bars() as progress, estimate_offered(None if several else chip):
        result = (deploy_side_by_side if several else deploy_graph)(
            graph, chip, data, out,
            dialect=dialect, dt=dt, settings=settings or (), input=input, decode=decode,
            stream=stream, allow_skew=allow_skew, slow=slow, chips=chips,
            backends_wanted=_backends(backends), lava_samples=lava_samples, column=cost,
            timing=timing, baseline=baseline, fail_on=fail_on, max_memory=max_memory,
            command=typed(), say=say, progress=progress, recipe=recipe,
        )  # fmt: skip
    if several:
        from spikeport.cli.show_side_by_side import print_side_by_side

        emit(result) if json else print_side_by_side(result)
        raise typer.Exit(worst_of(result))
    emit(result) if json else print_deployed(result)
    raise typer.Exit(verdict_of(result))


def _backends(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


@app.command()
def run(
    graph: Runnable,
    input: Annotated[Path, typer.Option("--input", "--data", help=".npz with x, as for deploy")],
    backend: Annotated[
        str | None,
        typer.Option("--backend", help="reference, brian2, emulator or lava (an image: emulator)"),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help=".npz to write")] = None,
    chip: Annotated[
        str | None,
        typer.Option("--chip", help="chip name, or path of a chip's YAML file (loihi1)"),
    ] = None,
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            "--probe",
            metavar="NODE.v",
            help="record v or u, of some neurons as 'NODE.v[0,3:5]'; repeat",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--input-kind",
            help="what x holds: spikes, counts or current (spikes; an "
            "image: what it was compiled for)",
        ),
    ] = None,
    allow_skew: Skew = False,
    slow: Slow = 1,
    chips: Chips = 1,
    engine: Engine = None,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    json: AsJson = False,
) -> None:
    """Run a graph or a saved image on one backend; write its spikes.

    Arrays by population name, (sample, step, *shape) on the time axis of the input, and NAME.v or
    NAME.u where probed or where an output is analog: floats of the reference, integers of the
    chip.
    """
    from spikeport.cli.progress import progress_bars
    from spikeport.compiler.load.image_bytes import is_image

    options = {"engine": engine, "threads": threads, "max_memory": max_memory}
    with progress_bars() as progress:
        if is_image(graph):
            from spikeport.cli.run_image import run_image

            compiled = {
                "--chip": chip, "--dialect": dialect, "--dt": dt, "--set": settings,
                "--allow-skew": allow_skew, "--slow": slow > 1, "--chips": chips > 1,
            }  # fmt: skip
            plain = run_image(
                graph, backend, input, out, compiled, probe or (), kind, options, progress, say
            )
        else:
            from spikeport.cli.run_file import run_file

            plain = run_file(
                graph, backend, input, out, chip or "loihi1", (dialect, dt, settings or ()),
                probe or (), kind or "spikes", allow_skew, slow, chips, options, progress, say,
            )  # fmt: skip
    emit(plain) if json else print_ran(plain)


@app.command()
def compare(
    graph: Graph,
    input: Annotated[Path, typer.Option("--input", help=".npz with x, as for deploy")],
    expect: Annotated[Path, typer.Option("--expect", help=".npz of recorded spikes")],
    prefix: Annotated[str, typer.Option("--prefix", help="keys are PREFIX + node name")] = "",
    map: Annotated[
        list[str] | None, typer.Option("--map", metavar="NODE=KEY", help="key of a node; repeat")
    ] = None,
    recordings: Annotated[
        str | None,
        typer.Option("--recordings", metavar="NODE", help="every array is NODE by another tool"),
    ] = None,
    input_from: Annotated[
        str | None,
        typer.Option("--input-from", metavar="KEY", help="recording that the input was made from"),
    ] = None,
    late: Annotated[int, typer.Option("--late", help="steps by which the recording is late")] = 0,
    dialect: Annotated[
        str | None,
        typer.Option("--dialect", help="a preset, or auto: find the one that was recorded"),
    ] = None,
    dt: Dt = None,
    settings: Settings = None,
    json: AsJson = False,
) -> None:
    """Compare with what another tool recorded.

    The float reference against recorded spikes or counts, cell by cell; --dialect auto finds the
    setting that reproduces them. Exit code 1: a cell differs.
    """
    from spikeport.cli.compare_file import Recording, compare_file
    from spikeport.cli.show_compared import print_compared

    recording = Recording(expect, prefix, tuple(map or ()), recordings, input_from, late)
    plain = compare_file(graph, input, recording, (dialect, dt, settings or ()), say)
    emit(plain) if json else print_compared(plain)
    if not plain["agrees"]:
        raise typer.Exit(1)


@app.command(name="compile")
def compile_(
    graph: Graph,
    chip: ChipName,
    out: Annotated[Path, typer.Option("--out", help="file to write, such as NET.image")],
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    data: Calibration = None,
    input: InputKind = "spikes",
    allow_skew: Skew = False,
    slow: Slow = 1,
    chips: Chips = 1,
    weights: Weights = None,
    scales: Scales = None,
    ranges: Ranges = None,
    rounding: Rounding = None,
    decays: Decays = None,
    correct: Correct = False,
    json: AsJson = False,
) -> None:
    """Take a graph to the cores of a chip and keep it: `run` takes the file, in a moment."""
    from spikeport.cli.compile_file import compile_file
    from spikeport.compiler.errors import counted
    from spikeport.recipe_words import recipe_of

    recipe = recipe_of(
        weights, correct, scales=scales, ranges=ranges, rounding=rounding, decays=decays
    )
    plain = compile_file(
        graph, chip, out, (dialect, dt, settings or ()), data, input, allow_skew, slow, chips,
        recipe, say,
    )  # fmt: skip
    if json:
        emit(plain)
    else:
        print(f"{counted(plain['resources']['cores'], 'core')} of {plain['chip']}")
        print(f"wrote {plain['out']} ({plain['bytes']} bytes)")


@app.command()
def export(
    graph: Graph,
    chip: ChipName,
    to: Annotated[str, typer.Option("--to", help="lava")],
    out: Annotated[Path, typer.Option("--out", help="folder to write; new or empty")],
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    data: Calibration = None,
    input: InputKind = "spikes",
    allow_skew: Skew = False,
    slow: Slow = 1,
    chips: Chips = 1,
    weights: Weights = None,
    scales: Scales = None,
    ranges: Ranges = None,
    rounding: Rounding = None,
    decays: Decays = None,
    correct: Correct = False,
    json: AsJson = False,
) -> None:
    """Write a bundle that Lava runs without spikeport."""
    from spikeport.cli.export_file import export_file
    from spikeport.recipe_words import recipe_of

    recipe = recipe_of(
        weights, correct, scales=scales, ranges=ranges, rounding=rounding, decays=decays
    )
    plain = export_file(
        graph, chip, to, out, (dialect, dt, settings or ()), data, input, allow_skew, slow,
        chips, recipe, say,
    )  # fmt: skip
    emit(plain) if json else print("\n".join(f"wrote {name}" for name in plain["files"]))


app.command()(quantize)
app.command()(train)
app.command()(about.doctor)
app.command()(about.demo)
app.command()(about.chips)
app.command()(report)
app.command()(validate_energy)
