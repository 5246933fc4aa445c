"""Which physical core each logical core goes to, so that packets travel few hops.

This is the quadratic assignment problem: minimise the sum over pairs of packets times hops. Some
cheap starts are made (`starts.py`, the naive order among them), annealing goes on from several of
them and then from the best (`anneal.py`), and the best ever seen is given back. Budgets count
rounds, the seed is fixed, no clock is read: the result depends on the arguments alone, and it is
never worse than the naive order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import FitError, Violation
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.mesh.anneal import Field, anneal
from spikeport.compiler.place.mesh.starts import starts
from spikeport.compiler.place.structure import by_chance

#: Rounds of annealing where nothing else is said: about 0.5 s for 128 cores, 3 s for 4096.
BUDGET = 6000
LARGE_BUDGET = 1500
LARGE = 1024  # slots from which on the starts are so much better than chance that heat only harms
#: Pairs of cores with traffic from which on a search must have something to find.
TESTED = 1 << 15
STRUCTURED = 1.01  # as `by_chance` has it: traffic of so many pairs is less than 0.1 % off
#: Above so many slots, or pairs of cores with traffic, rounds are fewer, so that time is bounded.
MANY_SLOTS, MANY_PAIRS = 4096, 100_000
ROUNDS_PER_PAIR = 12  # few cores are soon as good as they get: 300 rounds for 5, all from 23 on

#: Which of the placements so far (0 the best start, BEST the best of all), heat, share of the
#: budget, reach. Tried beside ten others on grids, layers, modules and random traffic, three
#: seeds each: many short runs from different starts are better than one long run.
BEST = -1
SMALL_PLAN = (
    (0, 0.1, 0.12, 1.0),
    (1, 0.1, 0.12, 1.0),
    (2, 0.1, 0.12, 1.0),
    (3, 0.1, 0.12, 1.0),
    (0, 0.3, 0.12, 1.0),
    (BEST, 0.03, 0.2, 0.5),
    (BEST, 0.01, 0.2, 0.3),
)
LARGE_PLAN = ((0, 0.01, 0.3, 0.5), (1, 0.01, 0.3, 0.5), (BEST, 0.01, 0.4, 0.2))


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


def assign(traffic: Any, mesh: Mesh, seed: int = 0, budget: int | None = None) -> Array:
    """Return the physical core of each logical core, int64, shape (k,), all different.

    As few chips are used as hold k cores, for a packet between chips costs more than its hops.

    Args:
        traffic: packets from core i to core j, or to i from j, sparse or dense, shape (k, k),
            none below 0.
        mesh: the physical cores.
        seed: of the search.
        budget: rounds of the search; 0 gives the best start, None a number by size.

    Raises:
        FitError: there are fewer physical cores than logical ones.

    >>> chain = np.eye(4, k=1)[[0, 2, 1, 3]][:, [0, 2, 1, 3]]  # 0 -> 2 -> 1 -> 3
    >>> assign(chain, Mesh(4, 1)).tolist() in ([0, 2, 1, 3], [3, 1, 2, 0])
    True
    """
    count = traffic.shape[0]
    if count > mesh.cores:
        enough = -(-count // mesh.cores_per_chip)
        raise FitError(
            f"{count} cores do not fit a mesh of {mesh.cores}",
            [Violation("the placement", "cores", count, mesh.cores, f"--chips {enough}")],
        )
    naive = np.arange(count)
    one_way = sp.csr_array(traffic)
    if one_way.nnz > TESTED and by_chance(one_way, weighted=True, more=STRUCTURED):
        return naive
    both = _both_ways(one_way)
    if both.nnz == 0:
        return naive
    field = _room(count, mesh)
    pairs = both.nnz // 2
    if budget is None:
        budget = BUDGET if field.slots <= LARGE else LARGE_BUDGET
        budget = min(budget, budget * MANY_SLOTS // field.slots, budget * MANY_PAIRS // pairs)
        budget = min(budget, ROUNDS_PER_PAIR * count**2)
    found = _search(both, field, seed, budget)
    columns, rows = field.tile(found)
    cores = columns * mesh.tiles_y + rows
    cores = cores * mesh.cores_per_tile + found % mesh.cores_per_tile
    better = weighted_hops(both, cores, mesh) < weighted_hops(both, naive, mesh)
    return np.asarray(cores if better else naive)


def _both_ways(traffic: Any) -> sp.csr_matrix:
    """Return what goes between two cores in either direction, without what stays in a core."""
    one_way = sp.csr_matrix(traffic, dtype=np.float64)
    both = sp.csr_matrix(one_way + one_way.T)
    both.setdiag(0)
    both.eliminate_zeros()
    both.sort_indices()
    return both


def _room(count: int, mesh: Mesh) -> Field:
    """Return the tiles to search in, from the first column and row on.

    These are all tiles of the chips used, or, where these are many and most would stay empty, a
    rectangle of some more tiles than are needed.
    """
    columns = mesh.tiles_x * -(-count // mesh.cores_per_chip)
    whole = Field(columns, mesh.tiles_y, mesh.cores_per_tile)
    if whole.slots <= 2 * count:
        return whole
    tiles = -(-count // mesh.cores_per_tile)
    rows = min(mesh.tiles_y, int(np.ceil(np.sqrt(tiles))) + 2)
    columns = min(columns, -(-tiles // rows) + 4)
    return Field(columns, rows, mesh.cores_per_tile)


def _search(both: sp.csr_matrix, field: Field, seed: int, budget: int) -> Array:
    """Return the slots of the best placement found."""
    rng = np.random.default_rng(seed)
    begun = [np.arange(both.shape[0]), *starts(both, field)]
    pool = sorted(((_cost(both, field, slots), n, slots) for n, slots in enumerate(begun)))
    best = pool[0]
    for which, heat, share, reach in SMALL_PLAN if field.slots <= LARGE else LARGE_PLAN:
        start = best if which == BEST else pool[min(which, len(pool) - 1)]
        slots = anneal(both, field, start[2], heat, round(budget * share), rng, reach)
        best = min(best, (_cost(both, field, slots), len(begun), slots), key=lambda one: one[0])
    return best[2]


def _cost(both: sp.csr_matrix, field: Field, slots: Array) -> float:
    cells = both.tocoo()
    x, y = field.tile(slots)
    hops = np.abs(x[cells.row] - x[cells.col]) + np.abs(y[cells.row] - y[cells.col])
    return float((cells.data * hops).sum())
