"""What `deploy` prints for people where several chips were named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spikeport.compiler.errors import printable
from spikeport.pages.figures import JOULE_SECONDS
from spikeport.pages.held import memory_words
from spikeport.pages.plain import figure
from spikeport.pages.side_by_side import (
    as_if_notes,
    as_if_words,
    fullest_words,
    not_comparable,
    takes,
    verdict,
)
from spikeport.pages.units import NONE, percent, si

HEAD = ("chip", "accuracy", "cells equal", "spikes kept", "cores", "memory", "fullest core",
        "steps late", "per step", "per sample", "energy, dynamic", "static",
        "energy x delay")  # fmt: skip


def print_side_by_side(result: Mapping[str, Any]) -> None:
    """Print one row per chip that ran, one line for each other, and what was written."""
    print(plain(f"{result['graph']}: {verdict(result)}"))
    ran = [row for row in result["chips"] if row["ran"]]
    if ran:
        print()
        print_table([HEAD, *(_cells(row) for row in ran)])
    others = [row for row in result["chips"] if not row["ran"]]
    if others:
        print()
    for row in others:
        print(plain(f"{row['chip']} ({row['level']}): {takes(row)}"))
        if as_if_words(row):
            print(plain(f"  {as_if_words(row)}"))
    for line in (*as_if_notes(others), *(": ".join(each) for each in not_comparable(ran))):
        print(plain(line))
    if result["files"]:
        print()
    for path in result["files"].values():
        print(f"wrote {printable(path)}")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the short words of one row, as `HEAD` has them."""
    parity, energy, time = row["parity"], row["energy"], row["time"]
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
        _seconds(time, "seconds_per_step"),
        _seconds(time, "latency", "seconds"),
        f"{si(energy['joules_per_sample'], 'J')} ({energy['column']})"
        if energy["known"]
        else "unknown",
        _or_unknown(figure(energy, "static_joules_per_sample"), "J"),
        _or_unknown(figure(time, "energy_delay", "joule_seconds"), JOULE_SECONDS),
    )


def _seconds(time: Mapping[str, Any], *keys: str) -> str:
    return _or_unknown(figure(time, *keys), "s")


def _or_unknown(value: float | None, unit: str) -> str:
    return "unknown" if value is None else si(value, unit)


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print columns, as wide as their widest cell."""
    lines = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())


def plain(text: str) -> str:
    """Return a text as a terminal shows it."""
    return printable(text.replace("\N{NO-BREAK SPACE}", " ").replace(NONE, "-"))
