"""Simulated annealing of cores on a mesh, many swaps at a time.

In one round all slots are paired with those at one random offset, every pair's gain is computed
from two tables, and the pairs that pass Metropolis' test are swapped together, as long as they
are few. Because hops are |dx| + |dy|, the tables are small: what a core would cost in each column
and in each row. Gains are exact for one swap and nearly so for a few; the sum that decides what
was best is exact. Offsets shrink as it cools (Sechen and Sangiovanni-Vincentelli 1985; the
window of VPR), which at a given budget found less traffic than robust tabu search and than
annealing one swap at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array

LARGEST_DENSE = 1024  # slots up to which the traffic is held as a full matrix
TOGETHER = 16  # at most one slot in so many is swapped at once
COOLS_TO = 0.003  # of the mean gain, in the last round


@dataclass(frozen=True)
class Field:
    """A rectangle of tiles: slot s is in column s // (rows * depth), row s // depth % rows."""

    columns: int
    rows: int
    depth: int

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self.columns * self.rows * self.depth

    def tile(self, slot: Array) -> tuple[Array, Array]:
        """Return column and row of slots."""
        column, inside = np.divmod(slot, self.rows * self.depth)
        return column, inside // self.depth


def anneal(
    both: sp.csr_matrix,
    field: Field,
    slots: Array,
    heat: float,
    rounds: int,
    rng: np.random.Generator,
    reach: float = 1.0,
) -> Array:
    """Return the best slots seen from a start on; never worse than the start.

    Args:
        both: packets between i and j in both directions, symmetric, no diagonal, shape (k, k).
        field: where there is room; at least k slots.
        slots: the start, one slot per core, shape (k,).
        heat: temperature of the first round, in mean gains of a swap.
        rounds: how many.
        rng: makes it repeatable.
        reach: largest offset in the first round, as a share of the field.
    """
    walk = _Walk(both, field, slots)
    gains = np.abs(walk.gains(*rng.integers(field.slots, size=(2, 4000))))
    if not gains.any():
        return slots
    hot = float(gains[gains > 0].mean())
    most = max(1, field.slots // TOGETHER)
    best, found = walk.cost(), walk.at.copy()
    for done in np.arange(rounds) / max(rounds, 1):
        one, other = _pairs(field, reach * (1 - done), rng)
        warmth = hot * heat * (min(COOLS_TO, heat) / heat) ** done
        passed = walk.gains(one, other) < warmth * rng.standard_exponential(one.size)
        chosen = np.flatnonzero(passed)
        if chosen.size > most:
            chosen = rng.permutation(chosen)[:most]
        if chosen.size:
            walk.swap(one[chosen], other[chosen])
            cost = walk.cost()
            if cost < best:
                best, found = cost, walk.at.copy()
    out = np.empty(field.slots, np.int64)
    out[found] = np.arange(field.slots)
    return out[: slots.size]


class _Walk:
    """Which core is in which slot, and what every core would cost in each column and row.

    Slots without a core hold one without traffic, numbered from k on.
    """

    def __init__(self, both: sp.csr_matrix, field: Field, slots: Array) -> None:
        size = field.slots
        self.traffic = sp.csr_matrix((both.data, both.indices, _longer(both.indptr, size)))
        self.traffic.resize(size, size)
        self.full: Any = self.traffic.toarray() if size <= LARGEST_DENSE else None
        cells = self.traffic.tocoo()
        keys = cells.row.astype(np.int64) * size + cells.col
        order = np.argsort(keys)
        self.keys, self.packets = keys[order], cells.data[order]
        self.x, self.y = field.tile(np.arange(size))
        self.far_x = _distances(field.columns)
        self.far_y = _distances(field.rows)
        self.at = np.empty(size, np.int64)
        empty = np.setdiff1d(np.arange(size), slots, assume_unique=True)
        everywhere = np.concatenate([slots, empty])
        self.at[everywhere] = np.arange(size)
        self.in_column = np.asarray(self.traffic @ self.far_x[self.x[everywhere]])
        self.in_row = np.asarray(self.traffic @ self.far_y[self.y[everywhere]])

    def between(self, i: Array, j: Array) -> Array:
        """Return the packets between cores."""
        if self.full is not None:
            return np.asarray(self.full[i, j])
        wanted = i * self.at.size + j
        place = np.minimum(np.searchsorted(self.keys, wanted), self.keys.size - 1)
        return np.where(self.keys[place] == wanted, self.packets[place], 0.0)

    def gains(self, one: Array, other: Array) -> Array:
        """Return by how much the cost grows if the cores of two slots are swapped."""
        i, j = self.at[one], self.at[other]
        x, y, to_x, to_y = self.x[one], self.y[one], self.x[other], self.y[other]
        gain = self.in_column[i, to_x] - self.in_column[i, x]
        gain += self.in_column[j, x] - self.in_column[j, to_x]
        gain += self.in_row[i, to_y] - self.in_row[i, y]
        gain += self.in_row[j, y] - self.in_row[j, to_y]
        gain += 2 * self.between(i, j) * (self.far_x[x, to_x] + self.far_y[y, to_y])
        return np.asarray(gain)

    def swap(self, one: Array, other: Array) -> None:
        """Swap the cores of pairs of slots, all different."""
        moved = np.concatenate([self.at[one], self.at[other]])
        old, new = np.concatenate([one, other]), np.concatenate([other, one])
        rows = self.traffic[moved] if self.full is None else self.full[moved]
        self.in_column += rows.T @ (self.far_x[self.x[new]] - self.far_x[self.x[old]])
        self.in_row += rows.T @ (self.far_y[self.y[new]] - self.far_y[self.y[old]])
        self.at[new] = moved

    def cost(self) -> float:
        """Return packets times hops."""
        columns = self.in_column[self.at, self.x].sum()
        return float(columns + self.in_row[self.at, self.y].sum()) / 2


def _longer(starts: Array, size: int) -> Array:
    """Return the row starts of a matrix with empty rows added."""
    return np.concatenate([starts, np.full(size + 1 - starts.size, starts[-1])])


def _distances(length: int) -> Array:
    line = np.arange(length, dtype=np.float64)
    return np.abs(line[:, None] - line)


def _pairs(field: Field, reach: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return pairs of slots at one random offset, no slot twice.

    Args:
        field: the slots.
        reach: largest offset as a share of the field, in (0, 1].
        rng: draws the offset and which end of a pair comes first.
    """
    far_x = min(max(1, round((field.columns - 1) * reach)), field.columns - 1)
    far_y = min(max(1, round((field.rows - 1) * reach)), field.rows - 1)
    right, up = 0, 0
    while not (right or up):
        right, up = int(rng.integers(far_x + 1)), int(rng.integers(-far_y, far_y + 1))
    numbers = np.arange(field.slots).reshape(field.columns, field.rows, field.depth)
    if right:
        first = _every_other(field.columns, right, rng)
        one = numbers[first, max(0, -up) : field.rows - max(0, up)]
        other = numbers[first + right, max(0, up) : field.rows + min(0, up)]
    else:
        first = _every_other(field.rows, abs(up), rng)
        one, other = numbers[:, first], numbers[:, first + abs(up)]
    if field.depth > 1:
        other = other[:, :, rng.permutation(field.depth)]
    return one.ravel(), other.ravel()


def _every_other(length: int, step: int, rng: np.random.Generator) -> Array:
    """Return places of which none is `step` from another and each has a place `step` further."""
    start = int(rng.integers(2 * step))
    places = np.arange(length - step)
    return np.asarray(places[(places + start) // step % 2 == 0])
