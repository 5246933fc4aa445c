"""Who sends to which core: the axons between cores, and the traffic that they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.image import Route, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.assign import Mesh
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
    """Return the routes of placed slices, one for each (population, source core, target core).

    Args:
        program: what runs.
        slices: where its neurons are.
        rows: projection name -> its weights that are not zero, (post, pre).
        is_sparse: (projection, synapses per axon, targets) -> do these lists store indices.
    """
    home = home_of(program, slices)
    found: dict[tuple[str, int], Array] = {}
    sparse: dict[tuple[str, int], Array] = {}
    for part in slices:
        for each in program.into(part.population):
            size = program.populations[each.pre].size
            chosen = rows[each.name][part.neurons]
            per_axon = np.bincount(chosen.indices, minlength=size)
            total = found.setdefault((each.pre, part.core), np.zeros(size, np.int64))
            total += per_axon
            if is_sparse(each, per_axon, part.neurons.size):
                indexed = sparse.setdefault((each.pre, part.core), np.zeros(size, np.int64))
                indexed += per_axon
    routes = []
    for (pre, target), per_axon in found.items():
        senders = np.flatnonzero(per_axon)
        senders = senders[np.argsort(home[pre][senders], kind="stable")]
        cuts = np.flatnonzero(np.diff(home[pre][senders])) + 1
        lists = sparse.get((pre, target), np.zeros(per_axon.size, np.int64))
        for neurons in np.split(senders, cuts) if senders.size else ():
            source = int(home[pre][neurons[0]])
            routes.append(Route(pre, source, target, neurons, per_axon[neurons], lists[neurons]))
    return tuple(routes)


def traffic_between(routes: tuple[Route, ...], cores: int) -> sp.csr_matrix:
    """Return the packets from core to core if every neuron spikes once, (cores, cores)."""
    on_chip = [route for route in routes if route.source_core != OUTSIDE]
    ends = ([route.source_core for route in on_chip], [route.target_core for route in on_chip])
    packets = [route.neurons.size for route in on_chip]
    return sp.csr_matrix((packets, ends), shape=(cores, cores))
