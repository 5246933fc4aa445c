"""How many synapses each sender has in each slice: one pass over the weights counts all slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array


def marks(stored: Any, largest: int) -> Any:
    """Return a one for each weight that is not zero, (post, pre), in a type that counts so many.

    Args:
        stored: weights as `Synapses` has them; a CSR array shares its indices.
        largest: neurons of the largest slice that will be counted.
    """
    kind = np.min_scalar_type(max(largest, 1))
    if not sp.issparse(stored):
        return (stored != 0).astype(kind)
    return ones_in(stored, kind)


def lists_in(ones: Any, order: Array, bounds: Sequence[int]) -> sp.csr_array:
    """Return how many synapses each sender has in each slice, (slices, pre), only where any.

    Args:
        ones: from `marks`, (post, pre).
        order: neurons, those of one slice after those of another.
        bounds: places of the order where slices begin and end, ascending.
    """
    first, end = bounds[0], bounds[-1]
    starts = np.asarray(bounds, np.int32) - np.int32(first)
    members = (np.ones(end - first, ones.dtype), order[first:end].astype(np.int32), starts)
    held = sp.csr_array(members, (len(bounds) - 1, ones.shape[0]))
    return sp.csr_array(held @ ones)


def ones_in(matrix: sp.csr_array, kind: Any = bool) -> sp.csr_array:
    """Return a one for each entry; the indices are shared and, unlike by `astype`, not sorted."""
    return sp.csr_array((np.ones(matrix.nnz, kind), matrix.indices, matrix.indptr), matrix.shape)
