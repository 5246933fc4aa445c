"""Sparse weights in one form: CSR arrays with sorted 32-bit indices, no duplicates and no zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.sparse import is_sparse

if TYPE_CHECKING:
    import scipy.sparse as sp

#: Weights in one sparse matrix: they are numbered in 32 bits.
MOST = (1 << 31) - 1


def checked_weight(weight: Any) -> Any:
    """Return the weight of a Linear or Affine: a sparse one as `canonical` floats.

    Args:
        weight: (post, pre), a dense array (returned as it is) or any of SciPy's sparse matrices.

    Raises:
        GraphError: a sparse one is not a matrix, or does not hold finite numbers.
    """
    if not is_sparse(weight):
        return weight
    if weight.ndim != 2:
        raise GraphError(
            f"a sparse weight has the shape {weight.shape}",
            "a weight has a row per output and a column per input",
            "give a matrix: scipy.sparse.csr_array((data, indices, indptr), shape=(post, pre))",
        )
    if weight.dtype.kind not in "biuf":
        raise GraphError(
            f"a sparse weight holds {weight.dtype}",
            "weights are real numbers",
            "convert it: weight.astype(float)",
        )
    rows = canonical(weight)
    if rows.dtype not in (np.float32, np.float64):
        rows = with_data(rows, rows.data.astype(np.float64))
    if not np.isfinite(rows.data).all():
        raise GraphError(
            "a sparse weight holds NaN or infinity",
            "no state could be computed with it",
            "train again; NaN usually means that training diverged",
        )
    return rows


def canonical(matrix: Any) -> sp.csr_array:
    """Return a sparse matrix as CSR, with sorted int32 indices, no duplicates and no zeros.

    Raises:
        GraphError: it has more weights than can be numbered.
    """
    import scipy.sparse as sp

    rows = sp.csr_array(matrix)
    if rows.nnz > MOST:
        raise GraphError(
            f"a matrix has {rows.nnz} weights that are not zero",
            f"{MOST} are the most",
            "make two populations of its targets, each with its part of the rows",
        )
    places = (each.astype(np.int32, copy=False) for each in (rows.indices, rows.indptr))
    rows = sp.csr_array((rows.data, *places), shape=rows.shape)
    if rows.has_canonical_format and np.count_nonzero(rows.data) == rows.data.size:
        return rows
    rows = rows.copy()
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def with_data(rows: Any, data: Array) -> sp.csr_array:
    """Return a canonical CSR array with other values at the same places; indices are shared."""
    import scipy.sparse as sp

    made = sp.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
    made.has_canonical_format = True
    return made
