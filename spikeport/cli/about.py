"""Commands about the machine and the chips: doctor, demo, chips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.cli.options import AsJson
from spikeport.cli.output import emit, say, verdict_of


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
        emit(found) if json else print_graph(found)
        if found["ok"]:
            return
        worst = found["findings"][0]
        say(f"error: {found['graph']}: {worst['what']}")
        raise typer.Exit(1)
    from spikeport.doctor import examine

    if install is not None:
        if install != "lava":
            raise DataError(f"cannot install {install!r}", "known is lava", "--install lava")
        from spikeport.backends.lava import environment

        environment.install(say)
    plain = examine()
    emit(plain) if json else print_doctor(plain)


def demo(
    out: Annotated[Path, typer.Option("--out", help="folder for the report")] = Path("out/demo"),
    json: AsJson = False,
) -> None:
    """Deploy the shipped digits network to loihi1."""
    from spikeport.cli.progress import progress_bars
    from spikeport.cli.show import print_deployed
    from spikeport.demo.run import run_demo

    with progress_bars() as progress:
        result = run_demo(out, say, progress)
    emit(result) if json else print_deployed(result)
    raise typer.Exit(verdict_of(result))


def chips(
    what: Annotated[
        str | None, typer.Argument(metavar="[NAME|PATH|new|schema]", help="one chip; new: a copy "
                                   "to start from; schema: for editors", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="with new: name of the chip", show_default=False)
    ] = None,
    source: Annotated[
        str, typer.Option("--from", metavar="CHIP", help="with new: chip to copy")
    ] = "loihi1",
    out: Annotated[
        Path | None, typer.Option("--out", help="with new: file to write (NAME.yaml)")
    ] = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """List the chips; show one with every figure; start a description of your own.

    `chips` is a table, `chips loihi1` every figure with unit, source and basis, `chips new mine
    --from loihi1` a commented copy, `chips schema` the JSON Schema of such files.
    """
    from spikeport.cli.new_chip import chip_schema, write_new_chip
    from spikeport.cli.show_chips import figures, listed, print_figures, print_listed
    from spikeport.compiler.errors import ChipError

    if what != "new" and (name is not None or out is not None):
        raise ChipError("a NAME or --out goes with new", "", "spikeport chips new NAME")
    if what is None:
        rows = listed()
        emit(rows) if json else print_listed(rows)
    elif what == "schema":
        emit(chip_schema())
    elif what == "new":
        made = write_new_chip(name, source, out)
        emit(made) if json else print(f"wrote {made['out']}: {made['next']}")
    else:
        plain = figures(what)
        emit(plain) if json else print_figures(plain)
