"""Ratios to our times, and the targets that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hw_tests.bench.figures import three
from hw_tests.bench.jobs import BARE, COUNTED, LOIHI_LIKE, NUMPY, OURS, SAVED, TWO_THREADS

Row = dict[str, Any]
MEGABYTE = 1_000_000
BRIAN2_LOOP = "C++, inner loop"


def one(
    rows: Sequence[Row], workload: str, peer: str = OURS, variant: str | None = None
) -> Row | None:
    """Return the row of one measurement, None where there is none."""
    for row in rows:
        found = row["workload"] == workload and row["peer"] == peer
        if found and variant in (None, row["variant"]) and "error" not in row:
            return row
    return None


def ours(rows: Sequence[Row], workload: str) -> Row | None:
    """Return our row that others are compared with: cores counted, else the best there is."""
    found = (one(rows, workload, variant=variant) for variant in (COUNTED, BARE, NUMPY))
    return next((row for row in found if row is not None), None)


def with_ratios(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with `ratio`: their CPU time over ours on the same workload.

    None where there is nothing to compare, or where the row is of a whole process of ours.
    """
    found = []
    for row in rows:
        mine = ours(rows, row["workload"])
        known = mine is not None and "cpu_s" in row and row["variant"] != SAVED
        found.append(row | {"ratio": row["cpu_s"] / mine["cpu_s"] if known else None})
    return found


def fastest_loihi_like(rows: Sequence[Row], workload: str) -> Row | None:
    """Return the row of the fastest simulator of Loihi."""
    found = [
        row
        for row in rows
        if row["workload"] == workload and row["peer"] in LOIHI_LIKE and "error" not in row
    ]
    return min(found, key=lambda row: row["cpu_s"], default=None)


@dataclass(frozen=True)
class Target:
    """A figure that is to be reached.

    Attributes:
        workload, against: of what, beside what.
        figure: the target; at least, or at most where `most` says so.
        measured: from rows to the figure, None where it was not measured.
        unit: of the figure.
    """

    workload: str
    against: str
    figure: float
    measured: Callable[[Sequence[Row]], float | None]
    unit: str = "x"
    most: bool = False

    def says(self, rows: Sequence[Row]) -> tuple[str, str]:
        """Return (the figure that was measured, met or missed by how much)."""
        got = self.measured(rows)
        if got is None:
            return "-", "not measured"
        share = self.figure / got if self.most else got / self.figure
        by = f"missed by {100 * (1 - share):.0f} %" if share < 1 else "met"
        return f"{three(got)} {self.unit}", by


def _brian2(workload: str, figure: float) -> Target:
    def measured(rows: Sequence[Row]) -> float | None:
        row = one(rows, workload, "brian2", BRIAN2_LOOP)
        return None if row is None else row["ratio"]

    return Target(workload, "Brian2's inner loop in C++", figure, measured)


def _loihi(workload: str, figure: float) -> Target:
    def measured(rows: Sequence[Row]) -> float | None:
        row = fastest_loihi_like(rows, workload)
        return None if row is None else row["ratio"]

    return Target(workload, "the fastest Loihi-like peer", figure, measured)


def _torch(rows: Sequence[Row]) -> float | None:
    row = one(rows, "w1b64", "torch", "1 thread")
    return None if row is None else row["ratio"]


def _threads(rows: Sequence[Row]) -> float | None:
    """Return by how much a second thread shortens the wall time."""
    single, double = (one(rows, "w1b64", variant=each) for each in (COUNTED, TWO_THREADS))
    return None if single is None or double is None else single["wall_s"] / double["wall_s"]


def _cold(rows: Sequence[Row]) -> float | None:
    row = one(rows, "w1", variant=SAVED)
    return None if row is None else row["wall_s"]


def _memory(rows: Sequence[Row]) -> float | None:
    row = one(rows, "w2_100k", variant=SAVED)
    return None if row is None else row["peak_bytes"] / MEGABYTE


TARGETS = (
    _brian2("w1", 30),
    _loihi("w1", 700),
    Target("w1", "cold start: process, saved image, result", 0.4, _cold, "s", most=True),
    Target("w1b64", "plain torch, batch 64, one thread", 12, _torch),
    Target("w1b64", "two threads beside one, wall time", 1.8, _threads),
    _brian2("w2_1k", 3.5),
    _loihi("w2_1k", 140),
    _brian2("w2_10k", 3.2),
    _loihi("w2_10k", 120),
    _brian2("w2_100k", 4),
    _loihi("w2_100k", 60),
    Target("w2_100k", "memory: process, saved image, run", 250, _memory, "MB", most=True),
    _brian2("w3", 6.5),
    _loihi("w3", 300),
)
