"""Integer weights in few bytes: mantissa = stored * step, each stored weight of 1, 2 or 4 bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.rows import canonical, with_data
from spikeport.compiler.sparse import is_sparse

#: From the smallest; the C engine reads these three.
KINDS = (np.int8, np.int16, np.int32)


def compact(mantissa: Any) -> tuple[Any, int]:
    """Return weights divided by their largest common power of two, and that power.

    Args:
        mantissa: (post, pre), integers of at most 32 bits, a dense array or a sparse one.

    Returns:
        A C-ordered array, or a CSR array with sorted int32 indices, without duplicates and
        zeros, of the smallest type that holds the weights; and the step, 1 where all are zero.

    >>> compact(np.array([[-256, 254]], np.int32))
    (array([[-128,  127]], dtype=int8), 2)
    """
    if not is_sparse(mantissa):
        return smallest(np.ascontiguousarray(mantissa))
    rows = canonical(mantissa)
    data, step = smallest(rows.data)
    return with_data(rows, data), step


def smallest(values: Array) -> tuple[Array, int]:
    """Return integers divided by their largest common power of two, and that power."""
    if values.size == 0:
        return values.astype(KINDS[0]), 1
    every_bit = int(np.bitwise_or.reduce(values, axis=None))
    shift = max((every_bit & -every_bit).bit_length() - 1, 0)
    low, high = int(values.min()) >> shift, int(values.max()) >> shift
    kind = next(k for k in KINDS if np.iinfo(k).min <= low and high <= np.iinfo(k).max)
    divided = values >> values.dtype.type(shift) if shift else values
    return divided.astype(kind, copy=False), 1 << shift
