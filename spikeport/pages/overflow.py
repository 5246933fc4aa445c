"""How far u and v of each population can go, and how that is known, in rows of words.

The result holds the rows of `compiler.measure.bounds.overflow_rows` under the key `overflow`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages.plain import at, items
from spikeport.pages.units import count

#: Titles of the columns of `overflow_words`.
HEAD = ("population", "u", "v", "register", "does not overflow", "overflows seen")
CALIBRATION = "calibration"


def overflow_words(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a row of words for each population, in the order of `HEAD`; [] where none is known."""
    return [
        (
            str(at(row, "population")),
            _interval(at(row, "u_low"), at(row, "u_high")),
            _interval(at(row, "v_low"), at(row, "v_high")),
            "no limit" if at(row, "limit") is None else f"±{count(at(row, 'limit'))}",
            _known(row),
            "not run" if at(row, "overflowed") is None else count(at(row, "overflowed")),
        )
        for row in items(result, "overflow")
    ]


def overflow_sentence(result: Mapping[str, Any]) -> str:
    """Return in a sentence how many populations are proven; "" where none is known.

    >>> row = {"population": "a", "by": "proof", "overflowed": 0}
    >>> overflow_sentence({"overflow": [row, {**row, "by": "calibration"}]})
    '1 of 2 populations cannot overflow, whatever the input; 1 by calibration only'
    """
    rows = items(result, "overflow")
    if not rows:
        return ""
    by = [str(at(row, "by")) for row in rows]
    whole, open_ended = by.count("proof"), by.count(CALIBRATION)
    parts = [f"{whole} of {len(rows)} populations cannot overflow, whatever the input"]
    if len(rows) - whole - open_ended:
        parts.append(f"{len(rows) - whole - open_ended} cannot in as many steps as were run")
    if open_ended:
        parts.append(f"{open_ended} by calibration only")
    seen = [str(at(row, "population")) for row in rows if at(row, "overflowed")]
    if seen:
        parts.append(f"{', '.join(seen)} overflowed in this run")
    return "; ".join(parts)


def _known(row: Any) -> str:
    by, steps = str(at(row, "by")), at(row, "steps")
    if by == "proof":
        return "proven for any input"
    if by != CALIBRATION:
        return f"proven for any input in {count(steps)} steps"
    if steps:
        return f"by calibration; proven for {count(steps)} steps only"
    return "by calibration"


def _interval(low: Any, high: Any) -> str:
    ends = ("no bound" if end is None else count(end) for end in (low, high))
    return " to ".join(ends)
