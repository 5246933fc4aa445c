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

#: Entries, in whole rows: so many, or where there are many columns so many of each.
LOOKED_AT, OF_EACH = 500_000, 5
#: Pairs of entries that chance explains, and so many columns at least, and entries at most.
PAIRS, FEWEST, WORK = 4000, 64, 20_000_000
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
    wanted = max(LOOKED_AT, OF_EACH * matrix.shape[1])
    some = sp.csr_array(matrix[:: max(-(-entries // wanted), 1)])
    some = sp.csr_array(some, dtype=np.float64) if weighted else ones_in(some, np.float64)
    if some.nnz == 0:
        return True
    met = some.nnz**2 / (some.shape[0] * some.shape[1])  # entries in the rows of one column
    count = max(min(PAIRS * some.shape[1] / met**2, WORK / met), FEWEST)
    drawn = np.unique(np.random.default_rng(seed).choice(some.indices, int(count)))
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
