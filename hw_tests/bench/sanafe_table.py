"""Run sanafe beside us and write docs/sanafe.md: `make timing`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from hw_tests.sanafe_networks import micro, of_dvs_size
from hw_tests.sanafe_oracle import Agreement, agreements
from spikeport.pages.markdown import table_lines, text

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sanafe.md"
MARK = "<!-- make timing -->"
HEAD = (
    "varies", "network", "steps", "energy nJ", "sanafe", "differs", "simple us", "sanafe",
    "differs", "detailed us", "sanafe", "in sum", "worst step", "their order, in sum", "worst step",
)  # fmt: skip


def row(each: Agreement) -> tuple[str, ...]:
    """Return the cells of a network; times and energies are of all its steps."""
    ours, theirs = each.ours, each.theirs
    return tuple(map(text, (
        each.case.varies, each.case.name, str(each.case.steps),
        f"{ours.joules[-1] * 1e9:.6g}", f"{theirs['joules'].sum() * 1e9:.6g}", f"{each.energy:.0e}",
        f"{ours.simple.sum() * 1e6:.6g}", f"{theirs['simple'].sum() * 1e6:.6g}",
        f"{each.simple:.0e}",
        f"{ours.detailed.sum() * 1e6:.6g}", f"{theirs['detailed'].sum() * 1e6:.6g}",
        f"{each.detailed:+.3%}", f"{each.detailed_step:.3%}",
        f"{each.ordered:+.3%}", f"{each.ordered_step:.3%}",
    )))  # fmt: skip


def main() -> None:
    """Write the page."""
    python = os.environ.get("SPIKEPORT_SANAFE_PYTHON", "")
    if not python:
        sys.exit("set SPIKEPORT_SANAFE_PYTHON to an interpreter that has sanafe 2.2.9")
    with tempfile.TemporaryDirectory() as folder:
        found = agreements(python, [*micro(), of_dvs_size()], Path(folder))
    written = "\n".join(table_lines(HEAD, map(row, found)))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARK)
    _, _, behind = rest.partition(MARK)
    PAGE.write_text(f"{before}{MARK}\n\n{written}\n\n{MARK}{behind}", encoding="utf-8")


if __name__ == "__main__":
    main()
