"""The command `spikeport report`: earlier runs side by side, and what it prints for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeport.cli.options import AsJson
from spikeport.cli.output import emit


def report(
    reports: Annotated[
        list[Path],
        typer.Argument(metavar="REPORT.json…", help="report.json of an earlier deploy, or its "
                       "folder; several to compare with the first", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="folder for index.html, .json and .md; new or empty"),
    ] = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Put the reports of earlier runs side by side.

    Accuracy, cores, time, energy of each run, and its difference to the first; what is not
    comparable (another cost column, graph, data, settings) is marked, with the reason.
    """
    from spikeport.cli.typed import typed
    from spikeport.runs_side_by_side import report_side_by_side

    result = report_side_by_side(reports, out, command=typed())
    if json:
        emit(result)
    else:
        _print_runs(result)


def _print_runs(result: Mapping[str, Any]) -> None:
    """Print one column per run, then what is not comparable, and what was written."""
    from spikeport.cli.show_side_by_side import plain, print_table
    from spikeport.pages.runs import difference_lines, heads, table_rows, title, unknown_lines

    print(plain(title(result)))
    print()
    rows = [(row["name"], *(" ".join(cell["said"]) for cell in row["cells"]))
            for row in table_rows(result)]  # fmt: skip
    print_table([("", *heads(result)), *rows])
    lines = [*difference_lines(result), *unknown_lines(result)]
    if lines:
        print()
    for line in lines:
        print(plain(line))
    for path in result["files"].values():
        print(plain(f"wrote {path}"))
