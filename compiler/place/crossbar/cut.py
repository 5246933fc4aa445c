"""Cut populations into columns of crossbars, as many neurons a core as its rows and columns hold.

Neurons are taken in an order in which neighbours read the same sources (`order.py`), until the
next one would need a row or a column too many; small populations share a core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array
from spikeport.compiler.place.crossbar.axons import Wanted


@dataclass(frozen=True)
class Room:
    """What a core has.

    Attributes:
        axons, columns: of a core.
        own_row: a column takes the row of its own number, whoever reads it.
    """

    axons: int
    columns: int
    own_row: bool = False

    def rows(self, axons: Array | int, columns: Array | int) -> Array:
        """Return the rows that so many axons and columns take."""
        return np.asarray(axons + columns if self.own_row else axons)


@dataclass
class Filled:
    """A core that is being filled.

    Attributes:
        parts: (population, neurons) of it.
        axons: axons that take a row, ascending.
        columns: how many are used.
    """

    parts: list[tuple[str, Array]] = field(default_factory=list)
    axons: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    columns: int = 0


def fill(
    wanted: Mapping[str, Wanted],
    orders: Mapping[str, Array],
    copies: Mapping[str, Array],
    room: Room,
) -> tuple[list[Filled], dict[str, Array]]:
    """Return cores with neurons, and per population those that no core holds.

    Args:
        wanted: what each population needs.
        orders: population -> its neurons in the order in which they are taken.
        copies: population -> columns that each neuron takes, (n,).
        room: of a core.
    """
    cores: list[Filled] = []
    broken: dict[str, Array] = {}
    for name, each in wanted.items():
        order, matrix = orders[name], counted(each, room)
        taken = copies[name][order]
        bounds, alone = _bounds(sp.csr_matrix(matrix[order]), taken, room)
        if alone:
            broken[name] = order[alone]
        for first, end in bounds:
            neurons = np.sort(order[first:end])
            axons = np.sort(each.keys[np.unique(matrix[neurons].indices)])
            _put(cores, name, neurons, axons, int(taken[first:end].sum()), room)
    return cores, broken


def counted(each: Wanted, room: Room) -> sp.csr_matrix:
    """Return the crossings whose axons take rows: all, or only those from outside the chip."""
    if not room.own_row:
        return each.matrix
    matrix = each.matrix.tocoo()
    kept = each.from_host[matrix.col]
    cells = (matrix.data[kept], (matrix.row[kept], matrix.col[kept]))
    return sp.csr_matrix(cells, each.matrix.shape)


def _bounds(
    matrix: sp.csr_matrix, taken: Array, room: Room
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return (first, end) of the rows that go together, and the rows that fit nowhere."""
    before, starts = _seen_before(matrix), matrix.indptr
    bounds: list[tuple[int, int]] = []
    alone: list[int] = []
    first, size = 0, matrix.shape[0]
    while first < size:
        end = min(size, first + room.columns)
        new = before[starts[first] : starts[end]] < first
        axons = np.concatenate([[0], np.cumsum(new)])[starts[first + 1 : end + 1] - starts[first]]
        columns = np.cumsum(taken[first:end])
        fits = (room.rows(axons, columns) <= room.axons) & (columns <= room.columns)
        count = int(np.count_nonzero(fits))  # both only grow: the first so many
        if count == 0:
            alone.append(first)
        else:
            bounds.append((first, first + count))
        first += max(count, 1)
    return bounds, alone


def _seen_before(matrix: sp.csr_matrix) -> Array:
    """Return for each entry the row of the entry above it in its column, -1 for the first."""
    order = np.argsort(matrix.indices, kind="stable")
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[order]
    above = np.concatenate([[-1], rows[:-1]])
    above[np.flatnonzero(np.diff(matrix.indices[order], prepend=-1))] = -1
    before = np.empty_like(above)
    before[order] = above
    return before


def _put(
    cores: list[Filled], name: str, neurons: Array, axons: Array, columns: int, room: Room
) -> None:
    """Add neurons to the last core if they still fit there, else open a core."""
    if cores:
        both = np.union1d(cores[-1].axons, axons)
        total = cores[-1].columns + columns
        if room.rows(both.size, total) <= room.axons and total <= room.columns:
            cores[-1].parts.append((name, neurons))
            cores[-1].axons, cores[-1].columns = both, total
            return
    cores.append(Filled([(name, neurons)], axons, columns))
