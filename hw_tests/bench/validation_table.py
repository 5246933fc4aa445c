"""Put what `validate-energy` prints into docs/validation.md: `make validate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeport.cli.show_validation import HEAD, cells, fits, missing, notes, said
from spikeport.pages.markdown import table_lines, text
from spikeport.validation import validate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"
MARK = "<!-- spikeport validate-energy -->"


def table(plain: Mapping[str, Any]) -> str:
    """Return every point, what was fitted on what, and what is missing, in Markdown."""
    rows = (tuple(map(text, cells(point))) for point in plain["points"])
    parts = [
        "\n".join(table_lines(HEAD, rows)),
        "\n\n".join(map(text, said(plain))),
        "## The points\n\n" + _listed(notes(plain)),
        "## What was fitted on what\n\n" + _listed(fits(plain)),
        "## What is not reproduced, and why\n\n" + _listed(missing(plain)),
    ]
    return "\n\n".join(parts)


def _listed(lines: list[tuple[str, str]]) -> str:
    return "\n".join(f"* **{text(name)}**: {text(words)}" for name, words in lines)


def with_table(page: str, written: str) -> str:
    """Return a page with what stands between the two marks replaced."""
    before, _, rest = page.partition(MARK)
    _, _, behind = rest.partition(MARK)
    return f"{before}{MARK}\n\n{written}\n\n{MARK}{behind}"


def main() -> None:
    """Write the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_table(page, table(validate())), encoding="utf-8")


if __name__ == "__main__":
    main()
