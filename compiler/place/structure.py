"""Is there anything that a better order could gain? In a network drawn by chance there is not.

Neurons that read one source, or cores that send to one core, share others too where there are
modules, layers, a ring or a plane. Where they share no more than their numbers of synapses
explain, every order is as good as the next, and none need be searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array
from spikeport.compiler.place.counts import ones_in

LOOKED_AT = 500_000  # entries, in whole rows
DRAWN = 1000  # columns
WORK = 2_000_000  # entries met on two steps: fewer columns are drawn where rows are long
#: Times what chance explains, above which a search is worth its time; a draw is 2 % off.
MORE = 1.05


def by_chance(matrix: Any, weighted: bool = False, more: float = MORE, seed: int = 0) -> bool:
    """Do rows with one column in common share others no more often than by chance?

    Args:
        matrix: (n, m), dense or CSR array: synapses (post, pre), or traffic (core, core).
        weighted: count an entry as often as it says, not once.
        more: times what chance explains, and no more, is chance.
        seed: of the draw of columns.

    >>> modules = np.kron(np.eye(9), np.ones((9, 9)))
    >>> by_chance(modules), by_chance(np.ones((81, 81)))
    (False, True)
    """
    entries = matrix.nnz if sp.issparse(matrix) else matrix.size
    some = sp.csr_array(matrix[:: max(-(-entries // LOOKED_AT), 1)])
    some = sp.csr_array(some, dtype=np.float64) if weighted else ones_in(some, np.float64)
    if some.nnz == 0:
        return True
    met = max(some.nnz**2 // (some.shape[0] * some.shape[1]), 1)
    count = min(DRAWN, max(WORK // met, 16))
    drawn = np.unique(np.random.default_rng(seed).choice(some.indices, count))
    readers = sp.csr_array(some[:, drawn].T)
    reader, per_column = readers.indices, np.asarray(some.sum(axis=0))
    row_sums, row_squares = (_per_row(some.data**power, some.indptr) for power in (1, 2))
    shared = ((readers @ some).data ** 2).sum() - readers.data**2 @ row_squares[reader]
    shared -= _pairs(readers.data**2, readers.indptr)  # all readers share the drawn column itself
    pairs = _pairs(readers.data * (row_sums[reader] - readers.data), readers.indptr)
    chance = ((per_column**2).sum() - row_squares.sum()) / row_sums.sum() ** 2
    return bool(shared <= more * pairs * chance)


def _pairs(values: Array, starts: Array) -> float:
    """Return the sum, over all pairs of different values in a row, of their products."""
    return float((_per_row(values, starts) ** 2).sum() - (values**2).sum())


def _per_row(values: Array, starts: Array) -> Array:
    rows = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    return np.bincount(rows, values, starts.size - 1)
