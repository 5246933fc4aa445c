"""What `deploy` prints for people where several chips were named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spikeport.compiler.errors import printable
from spikeport.pages.held import memory_words
from spikeport.pages.side_by_side import fullest_words, takes, verdict
from spikeport.pages.units import NONE, percent, si

HEAD = ("chip", "accuracy", "cells equal", "spikes kept", "cores", "memory", "fullest core",
        "steps late", "energy")  # fmt: skip


def print_side_by_side(result: Mapping[str, Any]) -> None:
    """Print one row per chip that ran, one line for each other, and what was written."""
    print(_plain(f"{result['graph']}: {verdict(result)}"))
    ran = [row for row in result["chips"] if row["ran"]]
    if ran:
        print()
        _print_table([HEAD, *(_cells(row) for row in ran)])
    others = [row for row in result["chips"] if not row["ran"]]
    if others:
        print()
    for row in others:
        print(_plain(f"{row['chip']} ({row['level']}): {takes(row)}"))
    if result["files"]:
        print()
    for path in result["files"].values():
        print(f"wrote {printable(path)}")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the short words of one row, as `HEAD` has them."""
    parity, energy = row["parity"], row["energy"]
    equal = 1 - parity["different"] / parity["cells"] if parity["cells"] else None
    resources = row["resources"]
    linked = resources.get("chips", 1)
    accuracy = row["accuracy"]["emulator"]
    return (
        row["chip"],
        "no labels" if accuracy is None else percent(accuracy),
        percent(equal),
        percent(parity["spikes_repeated"], 1),
        str(resources["cores"]) + (f" on {linked} chips" if linked > 1 else ""),
        memory_words(resources),
        fullest_words(row["fullest"], resources),
        str(row["latency_steps"]),
        f"{si(energy['joules_per_sample'], 'J')} ({energy['column']})"
        if energy["known"]
        else "unknown",
    )


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print columns, as wide as their widest cell."""
    lines = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())


def _plain(text: str) -> str:
    return printable(text.replace("\N{NO-BREAK SPACE}", " ").replace(NONE, "-"))
