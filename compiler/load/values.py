"""Fields of a node: from what a file holds to arrays and integers that can be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.kinds import Array

LARGEST_INTEGER = 1 << 31


@dataclass(frozen=True)
class Fields:
    """What a file says about one node.

    Attributes:
        node: its name, for messages.
        type: its NIR type, for messages.
        values: field name -> value, as `read_tree` returns it.
    """

    node: str
    type: str
    values: Mapping[str, Any]

    def has(self, field: str) -> bool:
        """Is the field there, with a value."""
        return self.values.get(field) is not None

    def error(self, field: str, why: str, fix: str = "") -> LoadError:
        """Return the error for one field of this node."""
        return LoadError(f"node '{self.node}' ({self.type}): {field} {why}", fix=fix)

    def get(self, field: str) -> Any:
        """Return the value of a field that must be there.

        Raises:
            LoadError: it is missing.
        """
        if not self.has(field):
            raise self.error(field, "is missing", f"write the graph again with {field}")
        return self.values[field]


def number(fields: Fields, field: str) -> Array:
    """Return a field as a finite float64 array of its own shape.

    Raises:
        LoadError: missing, not numbers, NaN or infinite.
    """
    value = np.asarray(fields.get(field)) if _plain(fields.get(field)) else None
    if value is None or value.dtype.kind not in "biuf":
        raise fields.error(field, "is not a number or an array of numbers")
    with np.errstate(all="ignore"):  # what becomes of odd floats is looked at below
        array = np.array(value, np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        raise fields.error(
            field,
            f"is {_first(array, ~finite)}, so it is not finite",
            "train or export again; NaN usually means that training diverged",
        )
    return array


def above_zero(fields: Fields, field: str, array: Array) -> None:
    """Refuse a parameter that must be above zero and is not.

    Raises:
        LoadError: some element is zero or negative.
    """
    wrong = ~(array > 0)
    if wrong.any():
        raise fields.error(
            field,
            f"is {_first(array, wrong)}, it must be above 0",
            "a time constant is a time in seconds: write the graph again with positive ones",
        )


def _first(array: Array, wrong: Array) -> str:
    """Return the first wrong element with its place, as in `nan at index 3`."""
    if array.ndim == 0:
        return f"{float(array):g}"
    at = np.unravel_index(int(wrong.argmax()), array.shape)
    return f"{array[at]:g} at index {', '.join(str(int(each)) for each in at)}"


def integers(fields: Fields, field: str, low: int) -> tuple[int, ...]:
    """Return a field as a tuple of integers, none below `low`.

    Raises:
        LoadError: missing, not whole numbers, too small or too large.
    """
    value = fields.get(field)
    array = np.asarray(value) if _plain(value) else np.empty(0, "U1")
    whole = array.dtype.kind in "iu" or (
        array.dtype.kind == "f" and bool((array == np.trunc(array)).all())
    )
    if not whole or array.ndim > 1 or not 0 < array.size <= 32:
        raise fields.error(field, "is not a whole number or a few of them")
    if not bool(((array >= low) & (array < LARGEST_INTEGER)).all()):
        raise fields.error(
            field,
            f"is {array.tolist()}, it must be from {low} to {LARGEST_INTEGER - 1}",
        )
    return tuple(int(each) for each in array.ravel())


def integer(fields: Fields, field: str, low: int) -> int:
    """Return a field as one integer, not below `low`.

    Raises:
        LoadError: missing, or not that.
    """
    numbers = integers(fields, field, low)
    if len(numbers) != 1:
        raise fields.error(field, f"has {len(numbers)} values, it must have one")
    return numbers[0]


def pair(fields: Fields, field: str, low: int) -> tuple[int, int]:
    """Return a field as (height, width); one number stands for both.

    Raises:
        LoadError: missing, or not that.
    """
    numbers = integers(fields, field, low)
    if len(numbers) not in (1, 2):
        raise fields.error(field, f"has {len(numbers)} values, it must have one or two")
    return (numbers[0], numbers[-1])


def _plain(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, int, float))
