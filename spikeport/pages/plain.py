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
