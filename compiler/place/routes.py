"""Who sends to which core: the axons between cores, and the traffic that they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.image import Route, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.mesh.assign import Mesh
from spikeport.compiler.program import Program, Synapses

OUTSIDE = -1  # the core of what comes from the host


def mesh_of(chip: Chip, chips: int) -> Mesh:
    """Return where the cores of so many chips are."""
    topology = chip.topology
    return Mesh(
        topology.tiles_x.whole, topology.tiles_y.whole, topology.cores_per_tile.whole, chips
    )


def home_of(program: Program, slices: tuple[Slice, ...]) -> dict[str, Array]:
    """Return the core of every neuron, `OUTSIDE` for inputs; population -> int64 (n,)."""
    home = {name: np.full(pop.size, OUTSIDE) for name, pop in program.populations.items()}
    for part in slices:
        home[part.population][part.neurons] = part.core
    return home


def find_routes(
    program: Program,
    slices: tuple[Slice, ...],
    rows: Mapping[str, sp.csr_matrix],
    is_sparse: Callable[[Synapses, Array, int], bool] = lambda synapses, per_axon, targets: False,
) -> tuple[Route, ...]:
    """Return the routes of placed slices, one for each population and core that it reaches.

    Args:
        program: what runs.
        slices: where its neurons are.
        rows: projection name -> its weights that are not zero, (post, pre).
        is_sparse: (projection, synapses per axon, targets) -> do these lists store indices.
    """
    home = home_of(program, slices)
    found: dict[tuple[str, int], list[tuple[Array, Array, Array]]] = {}
    for part in slices:
        for each in program.into(part.population):
            size = program.populations[each.pre].size
            neurons, synapses = count_each(rows[each.name][part.neurons].indices, size)
            indexed = is_sparse(each, synapses, part.neurons.size)
            lists = found.setdefault((each.pre, part.core), [])
            lists.append((neurons, synapses, synapses * indexed))
    routes = []
    for (pre, target), lists in found.items():
        neurons, synapses, sparse = lists[0] if len(lists) == 1 else _summed(lists)
        if neurons.size:
            routes.append(Route(pre, target, neurons, home[pre][neurons], synapses, sparse))
    return tuple(routes)


def count_each(numbers: Array, end: int) -> tuple[Array, Array]:
    """Return which numbers of 0 .. end - 1 occur, ascending, and how often each does."""
    if numbers.size * 8 < end:  # a table of all would be mostly empty
        return np.unique(numbers, return_counts=True)
    counts = np.bincount(numbers, minlength=end)
    some = np.flatnonzero(counts)
    return some, counts[some]


def _summed(lists: list[tuple[Array, Array, Array]]) -> tuple[Array, Array, Array]:
    """Return one list of senders: what several projections bring to a core."""
    neurons, synapses, sparse = (np.concatenate(each) for each in zip(*lists, strict=True))
    some, place = np.unique(neurons, return_inverse=True)
    whole, indexed = np.bincount(place, weights=synapses), np.bincount(place, weights=sparse)
    return some, whole.astype(np.int64), indexed.astype(np.int64)


def traffic_between(routes: tuple[Route, ...], cores: int) -> sp.csr_matrix:
    """Return the packets from core to core if every neuron spikes once, (cores, cores)."""
    packets = np.zeros((cores, cores), np.int64)
    for route in routes:
        inside = route.source_cores[route.source_cores != OUTSIDE]
        packets[:, route.target_core] += np.bincount(inside, minlength=cores)
    return sp.csr_matrix(packets)


def moved(routes: tuple[Route, ...], where: Array) -> tuple[Route, ...]:
    """Return the routes with core i moved to core `where[i]`."""
    where = np.append(where, OUTSIDE)  # so that -1 stays -1
    return tuple(
        replace(
            route,
            target_core=int(where[route.target_core]),
            source_cores=where[route.source_cores],
        )
        for route in routes
    )
