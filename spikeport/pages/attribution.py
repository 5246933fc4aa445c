"""What quantization lost, and to what: the ranked table of a result, for page and summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages.plain import at, items
from spikeport.pages.units import MINUS, NONE, SPACE, count, many, percent

#: Causes of attribution -> words.
WORDS = {
    "weights": "weights",
    "decay_u": "decay of the current",
    "decay_v": "decay of the voltage",
    "threshold": "threshold",
    "bias": "bias",
    "reset": "reset",
    "delay": "delay",
    "lag": "lag",
    "input": "input",
    "layer": "everything of a layer",
    "wrap": "current wraps",
    "saturation": "state saturates",
    "state": "state, rounded in every step",
}


def attribution(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table: `lead` and `note` in words, and one row of texts per cause.

    Args:
        result: of a deployment; without a table of its own there are no rows.
    """
    found = at(result, "attribution")
    rows = [_row(row) for row in items(found, "rows") if at(row, "alone") or at(row, "without")]
    return {
        "lead": _lead(found) if rows else "",
        "note": at(found, "note") or "",
        "rows": rows,
        "exact": len(items(found, "rows")) - len(rows),
        "points": at(found, "accuracy") is not None,
    }


def _lead(found: Any) -> str:
    """Say what was compared: on how many samples, how many cells, how many classes."""
    different, cells = at(found, "different"), at(found, "cells")
    classes = at(found, "predictions")
    said = f"{count(different)} of {many(cells, 'cell')} differ"
    said += f", {many(classes, 'sample')} of another class" if classes else ""
    return f"{said}, on {many(at(found, 'samples'), 'sample')}"


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = at(row, "low") or 0.0, at(row, "high") or 0.0
    return {
        "cause": WORDS.get(str(at(row, "cause")), str(at(row, "cause"))),
        "object": at(row, "object"),
        "alone": _signed(at(row, "alone")),
        "without": _signed(at(row, "without")),
        "share": percent(low, 1) if low == high else f"{percent(low, 1)} to {percent(high, 1)}",
        "bar": (low + high) / 2,
        "points": _points(row),
    }


def _signed(cells: Any) -> str:
    return f"{MINUS}{count(-cells)}" if cells and cells < 0 else count(cells)


def _points(row: Mapping[str, Any]) -> str:
    """Return the accuracy that is lost to a row, in points, from both directions."""
    both = [at(row, "accuracy_alone"), at(row, "accuracy_without")]
    if None in both:
        return NONE
    low, high = sorted(100 * each for each in both)
    ends = [f"{low:.2f}".replace("-", MINUS), f"{high:.2f}".replace("-", MINUS)]
    return f"{ends[0] if ends[0] == ends[1] else ' to '.join(ends)}{SPACE}points"
