"""Which physical core each logical core goes to, so that packets travel few hops.

This is the quadratic assignment problem: minimise the sum over pairs of packets times hops. A few
cheap starts are made (the naive order among them), `search.py` goes on from the best, and the best
ever seen is given back. Budgets count moves, the seed is fixed, no clock is read: the result
depends on the arguments alone, and it is never worse than the naive order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import FitError
from spikeport.compiler.kinds import Array

#: Swaps that the search may make where nothing else is said: some 0.5 s for 128 cores.
BUDGET = 4000


@dataclass(frozen=True)
class Mesh:
    """Where cores are: tiles in a mesh, cores in a tile, chips in a row along x.

    Core c is on chip c // cores_per_chip; in it on tile (c % cores_per_chip) // cores_per_tile,
    y fastest, as `Chip.tile` has it.

    Attributes:
        tiles_x, tiles_y: tiles of one chip.
        cores_per_tile: cores of one tile; between them are no hops.
        chips: how many.
    """

    tiles_x: int
    tiles_y: int
    cores_per_tile: int = 1
    chips: int = 1

    @property
    def cores_per_chip(self) -> int:
        """Number of cores of one chip."""
        return self.tiles_x * self.tiles_y * self.cores_per_tile

    @property
    def cores(self) -> int:
        """Number of cores of all chips."""
        return self.cores_per_chip * self.chips

    def tile(self, core: Array) -> tuple[Array, Array]:
        """Return x (over all chips) and y of the tiles of cores, int64, the shape of `core`."""
        chip, inside = np.divmod(np.asarray(core, np.int64), self.cores_per_chip)
        column, y = np.divmod(inside // self.cores_per_tile, self.tiles_y)
        return chip * self.tiles_x + column, y


def weighted_hops(traffic: Any, positions: Array, mesh: Mesh) -> float:
    """Return the sum over pairs of packets times hops.

    Args:
        traffic: packets from core i to core j, sparse or dense, shape (k, k).
        positions: physical core of each, shape (k,).
        mesh: where these are.
    """
    packets = sp.coo_matrix(traffic)
    x, y = mesh.tile(positions)
    hops = np.abs(x[packets.row] - x[packets.col]) + np.abs(y[packets.row] - y[packets.col])
    return float((packets.data * hops).sum())


def assign(traffic: Any, mesh: Mesh, seed: int = 0, budget: int = BUDGET) -> Array:
    """Return the physical core of each logical core, int64, shape (k,), all different.

    As few chips are used as hold k cores.

    Args:
        traffic: packets from core i to core j, sparse or dense, shape (k, k), none below 0.
        mesh: the physical cores.
        seed: of the search.
        budget: swaps that the search may make; 0 gives the best start.

    Raises:
        FitError: there are fewer physical cores than logical ones.

    >>> chain = np.eye(4, k=1)[[0, 2, 1, 3]][:, [0, 2, 1, 3]]  # 0 -> 2 -> 1 -> 3
    >>> assign(chain, Mesh(4, 1)).tolist() in ([0, 2, 1, 3], [3, 1, 2, 0])
    True
    """
    count = traffic.shape[0]
    if count > mesh.cores:
        raise FitError(
            f"{count} cores do not fit a mesh of {mesh.cores}",
            (f"{count} cores are needed, {mesh.cores} are there",),
            f"use {-(-count // mesh.cores_per_chip)} chips",
        )
    naive = np.arange(count)
    both = _both_ways(traffic)
    if both.nnz == 0:
        return naive
    field, first = _room(count, mesh)
    begun = [_settle(each, first, field, mesh) for each in starts(both, field)]
    return naive


def _both_ways(traffic: Any) -> sp.csr_matrix:
    """Return what goes between two cores in either direction, without what stays in a core."""
    one_way = sp.csr_matrix(traffic, dtype=np.float64)
    both = sp.csr_matrix(one_way + one_way.T)
    both.setdiag(0)
    both.eliminate_zeros()
    return both
