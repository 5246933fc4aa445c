"""Markdown that shows what it is given, whatever that holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


def text(value: Any) -> str:
    """Return a text that Markdown shows as it is, on one line.

    >>> text("a|b <script> *c* in_axons")
    'a\\\\|b &lt;script&gt; \\\\*c\\\\* in_axons'
    """
    line = " ".join(str(value).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\|*`\[\]#~$])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\_", line)


def table_lines(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a table whose cells are Markdown already."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(line)} |" for line in lines),
    ]
