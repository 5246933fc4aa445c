"""Values out of a result that may hold anything: finite numbers, printable text, absent keys."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

#: Control characters, lone surrogates and marks that turn the direction of the text around.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufffe\uffff]"
)


def finite(value: Any) -> Any:
    """Return `value` as JSON can say it: tuples as lists, NumPy as Python, NaN as None."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [item if type(item) is int else finite(item) for item in value]
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    return str(value)


def printable(value: Any) -> Any:
    """Return `value` with every text in it safe to print; markup is for the page to escape.

    >>> printable({"a\\x00": ["b\\u202e", 1]})
    {'a\ufffd': ['b\ufffd', 1]}
    """
    if isinstance(value, str):
        return UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) is int else printable(item) for item in value]
    return value


def at(value: Any, *keys: str) -> Any:
    """Return value[key][key]..., or None where something on the way is absent or null."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def table(value: Any, *keys: str) -> dict[str, Any]:
    """Return the mapping at `keys`, or an empty one."""
    found = at(value, *keys)
    return dict(found) if isinstance(found, Mapping) else {}


def items(value: Any, *keys: str) -> list[Any]:
    """Return the list at `keys`, or an empty one."""
    found = at(value, *keys)
    return list(found) if isinstance(found, list) else []


#: Sizes beyond these are no figure of any chip: larger ones count as unknown, smaller ones as 0.
SMALLEST_FIGURE, LARGEST_FIGURE = 1e-60, 1e60


def figure(value: Any, *keys: str) -> float | None:
    """Return the number at `keys`, or None where there is none that can be shown.

    >>> figure({"a": 1}, "a"), figure({"a": "1"}, "a"), figure({"a": True}, "a"), figure(10**99)
    (1.0, None, None, None)
    """
    found = at(value, *keys)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    if not abs(found) <= LARGEST_FIGURE:
        return None
    return float(found) if abs(found) >= SMALLEST_FIGURE else 0.0


def pair(value: Any, *keys: str) -> tuple[float, float] | None:
    """Return the two numbers at `keys`, the lower one first, or None.

    >>> pair({"interval": [2, 1]}, "interval"), pair({"interval": [2]}, "interval")
    ((1.0, 2.0), None)
    """
    found = [figure(each) for each in items(value, *keys)]
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return min(found[0], found[1]), max(found[0], found[1])


def words(value: Any, *keys: str, most: int = 400) -> str:
    """Return the text at `keys`, cut where it is endless; "" where there is none.

    >>> words({"a": "b"}, "a"), words({"a": [1]}, "a"), words({"a": 3}, "a")
    ('b', '', '3')
    """
    found = at(value, *keys)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    try:
        return str(found)[:most]
    except ValueError:  # a whole number of thousands of digits
        return ""
