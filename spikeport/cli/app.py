"""Every command: its options, and what it prints. The work is done by the verbs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="spikeport",
    help="Take spiking networks (NIR graphs) to neuromorphic chips; prove that nothing was lost.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing rich for it would take a third of a second
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Graph = Annotated[Path, typer.Argument(help="NIR file (.nir)", show_default=False)]
ChipName = Annotated[str, typer.Option("--chip", help="chip name, or path of a chip's YAML file")]
Dialect = Annotated[
    str | None,
    typer.Option("--dialect", help="tool the graph comes from: nir, snntorch, norse, sinabs, "
                 "spikingjelly, rockpool, spyx, lava, lava-dl", show_default=False),
]  # fmt: skip
Dt = Annotated[float | None, typer.Option("--dt", help="seconds per time step", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="[NODE.]FIELD=VALUE", help="one field of the semantics; repeat"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]
InputKind = Annotated[
    str, typer.Option("--input", help="what the data holds: spikes, counts or current")
]
Skew = Annotated[
    bool,
    typer.Option("--allow-skew", help="delay an edge of a loop that cannot be retimed (not exact)"),
]

Slow = Annotated[
    int,
    typer.Option("--slow", min=1, metavar="C", help="C chip steps per step of the network, for "
                 "loops that cannot be retimed (exact, where the chip can hold its state)"),
]  # fmt: skip


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


def _emit(plain: Any) -> None:
    """Print plain values as JSON."""
    json.dump(plain, sys.stdout, indent=1, allow_nan=False, default=str)
    sys.stdout.write("\n")


def _say(text: str) -> None:
    from spikeport.compiler.errors import printable

    sys.stderr.write("".join(f"{printable(line)}\n" for line in text.splitlines()))


@app.command()
def inspect(graph: Graph, json: AsJson = False) -> None:
    """Show a graph: nodes, shapes, repairs, semantics."""
    from spikeport.cli.show import inspected, print_inspected
    from spikeport.verbs import load

    plain = inspected(load(graph))
    _emit(plain) if json else print_inspected(plain)


@app.command()
def check(graph: Graph, chip: ChipName, json: AsJson = False) -> None:
    """Check whether a graph fits a chip.

    Every violated limit at once, by object. Needs no data and no dialect.
    """
    from spikeport import verbs
    from spikeport.cli.show import print_check

    net = verbs.load(graph)
    for repair in net.repairs:
        _say(repair)
    plain = {"graph": net.name, **verbs.check(net, chip)}
    _emit(plain) if json else print_check(plain)
    if not plain["fits"]:
        raise typer.Exit(2)


@app.command()
def deploy(
    graph: Graph,
    chip: ChipName,
    data: Annotated[Path, typer.Option("--data", help=".npz with x (sample, step, *shape), or "
                                       "x.NAME per input, and optional labels")],
    out: Annotated[Path, typer.Option("--out", help="folder for the report; new or empty")],
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    input: InputKind = "spikes",
    decode: Annotated[
        str, typer.Option("--decode", help="count, ttfs, mem_last, mem_max or mem_mean")
    ] = "count",
    stream: Annotated[bool, typer.Option("--stream", help="never reset between samples")] = False,
    allow_skew: Skew = False,
    slow: Slow = 1,
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
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="an old report.json to compare with")
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="budget, as in 'accuracy<0.97,energy>1.05x'")
    ] = "",
    json: AsJson = False,
) -> None:  # fmt: skip
    """Take a graph to a chip and report what is left of it.

    Compiles, runs the float reference, the emulator and Lava on the data, compares them cell by
    cell, costs the events and writes a report. Exit code 1: Lava differs, or a budget is broken.
    """
    from spikeport.cli.progress import progress_bars
    from spikeport.cli.show import print_deployed
    from spikeport.cli.typed import typed
    from spikeport.deployment import deploy as deploy_graph

    with progress_bars() as progress:
        result = deploy_graph(
            graph, chip, data, out,
            dialect=dialect, dt=dt, settings=settings or (), input=input, decode=decode,
            stream=stream, allow_skew=allow_skew, slow=slow, backends_wanted=_backends(backends),
            lava_samples=lava_samples, column=cost, baseline=baseline, fail_on=fail_on,
            command=typed(), say=_say, progress=progress,
        )  # fmt: skip
    _emit(result) if json else print_deployed(result)
    raise typer.Exit(_verdict(result))


def _backends(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _verdict(result: dict[str, Any]) -> int:
    """Return 1 where Lava and the emulator differ or a budget is broken, and say so."""
    lava = result["parity"]["lava_vs_emulator"]
    budget = result["budget"]
    if lava is not None and lava["different"]:
        _say(f"error: emulator and Lava differ in {lava['different']} of {lava['cells']} cells")
        return 1
    if budget is not None and not budget["passed"]:
        for item in budget["items"]:
            if not item["ok"]:
                _say(
                    f"error: budget broken: {item['name']}: old {item['old']}, new {item['new']}, "
                    f"limit {item['limit']}"
                )
        return 1
    return 0


@app.command()
def run(
    graph: Graph,
    backend: Annotated[str, typer.Option("--backend", help="reference, brian2, emulator or lava")],
    input: Annotated[Path, typer.Option("--input", help=".npz with x, as for deploy")],
    out: Annotated[Path, typer.Option("--out", help=".npz to write")],
    chip: ChipName = "loihi1",
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    probe: Annotated[
        list[str] | None, typer.Option("--probe", metavar="NODE.v", help="record v or u; repeat")
    ] = None,
    kind: Annotated[
        str, typer.Option("--input-kind", help="what x holds: spikes, counts or current")
    ] = "spikes",
    allow_skew: Skew = False,
    slow: Slow = 1,
    json: AsJson = False,
) -> None:
    """Run a graph on one backend; write its spikes.

    Arrays by population name, (sample, step, *shape) on the time axis of the input, and NAME.v or
    NAME.u where probed or where an output is analog: floats of the reference, integers of the
    chip.
    """
    from spikeport.cli.progress import progress_bars
    from spikeport.cli.run_file import run_file

    with progress_bars() as progress:
        plain = run_file(
            graph, backend, input, out, chip, (dialect, dt, settings or ()), probe or (), kind,
            allow_skew, slow, progress, _say,
        )  # fmt: skip
    if json:
        _emit(plain)
    else:
        for name, row in plain["populations"].items():
            print(f"{name}: {row['spikes']} spikes, lag {row['lag']}")
        for name in plain["analog"]:
            print(f"{name}: analog, its v is written")
        print(f"wrote {plain['out']}")


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
    plain = compare_file(graph, input, recording, (dialect, dt, settings or ()), _say)
    _emit(plain) if json else print_compared(plain)
    if not plain["agrees"]:
        raise typer.Exit(1)


@app.command()
def export(
    graph: Graph,
    chip: ChipName,
    to: Annotated[str, typer.Option("--to", help="lava")],
    out: Annotated[Path, typer.Option("--out", help="folder to write; new or empty")],
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="calibration data; else scales from the weights")
    ] = None,
    input: InputKind = "spikes",
    allow_skew: Skew = False,
    slow: Slow = 1,
    json: AsJson = False,
) -> None:
    """Write a bundle that Lava runs without spikeport."""
    from spikeport.cli.export_file import export_file

    plain = export_file(
        graph, chip, to, out, (dialect, dt, settings or ()), data, input, allow_skew, slow, _say
    )
    _emit(plain) if json else print("\n".join(f"wrote {name}" for name in plain["files"]))


@app.command()
def doctor(
    graph: Annotated[
        Path | None, typer.Argument(help="NIR file to examine; without it, this machine",
                                    show_default=False)
    ] = None,
    fix: Annotated[
        Path | None, typer.Option("--fix", metavar="OUT.nir", help="write the mended graph there")
    ] = None,
    guess: Annotated[
        bool, typer.Option("--guess", help="with --fix: make guesses, too; they are listed")
    ] = False,
    install: Annotated[
        str | None, typer.Option("--install", help="make a missing part: lava", show_default=False)
    ] = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Say what this machine has and lacks; or examine, explain and mend a graph.

    Exit code 1: the graph has errors, and no mended file was written.
    """
    from spikeport.cli.show_doctor import print_doctor, print_graph
    from spikeport.compiler.errors import DataError

    if graph is None and (fix is not None or guess):
        raise DataError("there is no graph to fix", "", "spikeport doctor GRAPH --fix OUT.nir")
    if graph is not None and install is not None:
        raise DataError("--install is for the machine, not for a graph", "", "leave out one")
    if graph is not None:
        from spikeport.graph_doctor.examine import examine_graph

        found = examine_graph(graph, fix, guess)
        _emit(found) if json else print_graph(found)
        if found["ok"]:
            return
        worst = found["findings"][0]
        _say(f"error: {found['graph']}: {worst['what']}")
        raise typer.Exit(1)
    from spikeport.doctor import examine

    if install is not None:
        if install != "lava":
            raise DataError(f"cannot install {install!r}", "known is lava", "--install lava")
        from spikeport.backends.lava import environment

        environment.install(_say)
    plain = examine()
    _emit(plain) if json else print_doctor(plain)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="folder for the report")] = Path("out/demo"),
    json: AsJson = False,
) -> None:
    """Deploy the shipped digits network to loihi1."""
    from spikeport.cli.progress import progress_bars
    from spikeport.cli.show import print_deployed
    from spikeport.demo.run import run_demo

    with progress_bars() as progress:
        result = run_demo(out, _say, progress)
    _emit(result) if json else print_deployed(result)
    raise typer.Exit(_verdict(result))


@app.command()
def chips(json: AsJson = False) -> None:
    """List the chips that are shipped."""
    from spikeport import backends

    rows = [backends.find_chip(name) for name in backends.chip_names()]
    if json:
        _emit([{"name": chip.name, "title": chip.title, "level": chip.level} for chip in rows])
    else:
        for chip in rows:
            print(f"{chip.name}: {chip.title} ({chip.level}), {chip.cores} cores")
