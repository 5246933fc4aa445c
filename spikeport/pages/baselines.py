"""Baselines on the page: the same operations on conventional hardware, with what they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages.energy import number_of
from spikeport.pages.plain import at, figure, items, pair, table, words
from spikeport.pages.units import NONE, number, si, si_range

#: NeuroBench's counts -> words.
OPERATIONS = {
    "dense": "dense operations",
    "effective_macs": "effective MACs",
    "effective_acs": "effective ACs",
}


def baselines(result: Mapping[str, Any], sources: list[str]) -> dict[str, Any]:
    """Return what the section of baselines shows, already worded."""
    found = table(result, "baselines")
    return {
        "given": bool(found),
        "operations": [
            (name, number(figure(found, "operations", key))) for key, name in OPERATIONS.items()
        ],
        "rows": [_row(row, sources) for row in items(found, "rows")],
        "caveats": [str(line)[:600] for line in items(found, "caveats")],
    }


def _row(row: Any, sources: list[str]) -> dict[str, Any]:
    interval = pair(row, "interval")
    return {
        "name": words(row, "name"),
        "title": words(row, "title"),
        "counts": words(row, "counts"),
        "operations": number(figure(row, "operations")),
        "each": si(figure(row, "joules_per_operation"), "J"),
        "joules": si(figure(row, "joules_per_sample"), "J"),
        "interval": NONE if interval is None else si_range(*interval, "J"),
        "basis": words(row, "basis") or NONE,
        "source": number_of(at(row, "source"), sources),
    }
