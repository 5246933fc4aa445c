"""Ways of placing a network that ours is compared with, and what each of them costs.

nengo-loihi's allocators are written anew from their description (its documentation and the
docstrings of `hardware/allocators.py`): blocks of neurons in the order of the model, one a core.
METIS and the annealing behind it share no code with ours. Cores hold so many neurons and no
other limit counts, so that all strategies have the same room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.backends import find_chip
from spikeport.compiler.fabric import Lists
from spikeport.compiler.place.lists.order import neuron_order
from spikeport.compiler.place.lists.refine import refine
from spikeport.compiler.place.mesh.assign import Mesh, assign, weighted_hops
from spikeport.compiler.place.place import place
from spikeport.compiler.place.routes import home_of
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell

Array = np.ndarray[Any, Any]
PROPOSALS = 300_000  # swaps that the annealing behind METIS may try; takes longer than all of ours


@dataclass(frozen=True)
class Wiring:
    """Populations and the weights between them; what comes from the host is left out.

    Attributes:
        shapes: population -> shape.
        matrices: (pre, post, weights (post, pre) as CSR).
        room: neurons that a core can hold.
        mesh: the cores.
    """

    shapes: dict[str, tuple[int, ...]]
    matrices: tuple[tuple[str, str, sp.csr_matrix], ...]
    room: int
    mesh: Mesh

    def size(self, name: str) -> int:
        """Return the number of neurons of a population."""
        return int(np.prod(self.shapes[name]))

    def first(self) -> dict[str, int]:
        """Return population -> number of its first neuron among all."""
        sizes = [self.size(name) for name in self.shapes]
        return dict(zip(self.shapes, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))

    def bounds(self, name: str) -> list[int]:
        """Return where even slices of a population begin and end, as few as there is room for."""
        slices = -(-self.size(name) // self.room)
        return [self.size(name) * number // slices for number in range(slices + 1)]

    @property
    def cores(self) -> int:
        """Number of cores where populations share none."""
        return sum(len(self.bounds(name)) - 1 for name in self.shapes)

    @property
    def links(self) -> sp.csr_matrix:
        """Return all weights in one matrix, over the neurons of all populations."""
        first = self.first()
        cells = [
            (sp.coo_matrix(each), first[pre], first[post]) for pre, post, each in self.matrices
        ]
        rows = np.concatenate([each.row + below for each, _, below in cells])
        columns = np.concatenate([each.col + right for each, right, _ in cells])
        count = sum(self.size(name) for name in self.shapes)
        return sp.csr_matrix((np.ones(rows.size), (rows, columns)), (count, count))


def traffic(wiring: Wiring, core: Array) -> sp.csr_matrix:
    """Return packets from core to core if each neuron spikes once: one for each core it reaches.

    Args:
        wiring: who is linked.
        core: of each neuron, (all neurons,).
    """
    cells = wiring.links.tocoo()
    count = int(core.max()) + 1
    sent = np.unique(cells.col.astype(np.int64) * count + core[cells.row])
    sender, target = np.divmod(sent, count)
    packets = sp.csr_matrix((np.ones(sent.size), (core[sender], target)), (count, count))
    packets.setdiag(0)
    packets.eliminate_zeros()
    return packets


def cut(wiring: Wiring, order_of: Callable[[str], Array]) -> Array:
    """Return the core of each neuron if populations are cut evenly in an order."""
    core, number = [], 0
    for name in wiring.shapes:
        bounds = wiring.bounds(name)
        part = np.empty(wiring.size(name), np.int64)
        part[order_of(name)] = number + np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        core.append(part)
        number += len(bounds) - 1
    return np.concatenate(core)


def naive_slices(wiring: Wiring) -> Array:
    """Cut populations in the order of their numbers."""
    return cut(wiring, lambda name: np.arange(wiring.size(name)))


def our_slices(wiring: Wiring) -> Array:
    """Cut populations in our order."""

    def order_of(name: str) -> Array:
        inputs = [each for pre, post, each in wiring.matrices if post == name != pre]
        own = [each for pre, post, each in wiring.matrices if post == name == pre]
        order = neuron_order(inputs, wiring.shapes[name], own)
        is_map = len(wiring.shapes[name]) > 1
        return order if is_map else refine(order, wiring.bounds(name), inputs, own)

    return cut(wiring, order_of)


def placed(wiring: Wiring) -> Array:
    """Return the core of each neuron as `place` has it; other limits are as good as none."""
    loihi = find_chip("loihi1")
    mesh = {
        name: getattr(loihi.topology, name).model_copy(update={"value": getattr(wiring.mesh, name)})
        for name in ("tiles_x", "tiles_y", "cores_per_tile")
    }
    room = loihi.core.compartments.model_copy(update={"value": wiring.room})
    chip = loihi.model_copy(
        update={
            "topology": loihi.topology.model_copy(update=mesh),
            "core": Lists(fabric="lists", compartments=room),
        }
    )
    program = as_program(wiring)
    home = home_of(program, place(program, chip, wiring.mesh.chips).slices)
    return np.concatenate([home[name] for name in wiring.shapes])


def as_program(wiring: Wiring) -> Program:
    """Return the wiring as a Program of integrators."""
    populations = {
        name: CellPopulation("IF", shape, neutral_cell(wiring.size(name)), np.ones(1))
        for name, shape in wiring.shapes.items()
    }
    synapses = tuple(
        Synapses.of(f"{pre}-{post}", pre, post, (each != 0).astype(np.int32), 0, "excitatory")
        for pre, post, each in wiring.matrices
    )
    return Program(1.0, populations, synapses, {}, dict.fromkeys(populations, 0))


def metis_slices(wiring: Wiring) -> Array:
    """Cut all neurons together by METIS, with as many cores; it may overfill them by 3 %.

    Raises:
        ImportError: pymetis is not installed.
    """
    both = wiring.links + wiring.links.T
    both.setdiag(0)
    both.eliminate_zeros()
    return _metis(sp.csr_matrix(both), wiring.cores)


def metis_population_slices(wiring: Wiring) -> Array:
    """Cut each population by METIS, where neurons with common sources belong together.

    Raises:
        ImportError: pymetis is not installed.
    """
    core, number = [], 0
    for name in wiring.shapes:
        size, parts = wiring.size(name), len(wiring.bounds(name)) - 1
        both = sp.csr_matrix((size, size))
        for pre, post, each in wiring.matrices:
            ones = sp.csr_matrix((np.ones(each.nnz), each.indices, each.indptr), each.shape)
            if post == name:
                both = both + (ones + ones.T if pre == post else ones @ ones.T)
        both = sp.csr_matrix(both)
        both.setdiag(0)
        both.eliminate_zeros()
        core.append(
            number + (_metis(both, parts) if parts > 1 and both.nnz else _even(size, parts))
        )
        number += parts
    return np.concatenate(core)


def _even(size: int, parts: int) -> Array:
    return np.arange(size) * parts // size


def _metis(both: sp.csr_matrix, parts: int) -> Array:
    import pymetis

    graph = pymetis.CSRAdjacency(both.indptr, both.indices)
    options = pymetis.Options(seed=0)
    weights = both.data.astype(np.int64)
    return np.asarray(pymetis.part_graph(parts, graph, eweights=weights, options=options)[1])


def in_order(packets: sp.csr_matrix, mesh: Mesh, seed: int = 0) -> Array:
    """Naive order; also nengo-loihi's OneToOne and Greedy: one block a core, chip after chip."""
    return np.arange(packets.shape[0])


def round_robin(packets: sp.csr_matrix, mesh: Mesh, seed: int = 0) -> Array:
    """nengo-loihi's RoundRobin: block i goes to the next free core of chip i mod chips."""
    number = np.arange(packets.shape[0])
    return number % mesh.chips * mesh.cores_per_chip + number // mesh.chips


def greedy_interchip(packets: sp.csr_matrix, mesh: Mesh, seed: int = 0) -> Array:
    """nengo-loihi's GreedyInterchip: a chip is filled before the next is begun.

    It begins with a block that nothing sends to, where there is one; next comes always the block
    with the strongest connection to one that is on the chip.
    """
    one_way = packets.toarray()
    both = np.maximum(one_way, one_way.T)
    sources = np.flatnonzero(one_way.sum(axis=0) == 0).tolist()
    left = dict.fromkeys([*sources, *range(len(both))])
    position = np.empty(len(both), np.int64)
    held: list[int] = []
    for slot in range(len(both)):
        if slot % mesh.cores_per_chip == 0:
            held = []
        rest = list(left)
        pull = both[np.ix_(rest, held)].max(axis=1) if held else np.zeros(len(rest))
        block = rest[int(pull.argmax())]
        position[block] = slot
        held.append(block)
        del left[block]
    return position


def shuffled(packets: sp.csr_matrix, mesh: Mesh, seed: int = 0) -> Array:
    """Random cores, on any chip."""
    return np.random.default_rng(seed).permutation(mesh.cores)[: packets.shape[0]]


def annealed(packets: sp.csr_matrix, mesh: Mesh, seed: int = 0) -> Array:
    """Simulated annealing of one swap at a time, from the naive order.

    Proposals are drawn in batches; the first one accepted is made, as if they came one by one.
    """
    size, rng = mesh.cores, np.random.default_rng(seed)
    wide = np.zeros((size, size))
    wide[: packets.shape[0], : packets.shape[0]] = (packets + packets.T).toarray()
    x, y = mesh.tile(np.arange(size))
    apart = np.abs(x[:, None] - x) + np.abs(y[:, None] - y).astype(float)  # of the cores i and j
    at, costs = np.arange(size), wide @ apart  # costs[i, j]: of i where j is
    best, found, cost, tried, hot = 0.0, at.copy(), 0.0, 0, 0.0
    while tried < PROPOSALS:
        i, j = rng.integers(size, size=(2, 4 * size))
        gain = costs[i, j] - costs[i, i] + costs[j, i] - costs[j, j] + 2 * wide[i, j] * apart[i, j]
        hot = hot or 0.2 * float(np.abs(gain[gain != 0]).mean())
        warmth = hot * 0.01 ** (tried / PROPOSALS)
        real = (apart[i, j] > 0) & (np.minimum(i, j) < packets.shape[0])
        passed = real & (gain < warmth * rng.standard_exponential(i.size))
        first = int(passed.argmax())
        tried += first + 1 if passed[first] else i.size
        if not passed[first]:
            continue
        a, b = i[first], j[first]
        costs += np.outer(wide[a] - wide[b], apart[b] - apart[a])
        costs[:, [a, b]] = costs[:, [b, a]]
        apart[:, [a, b]] = apart[:, [b, a]]
        apart[[a, b]] = apart[[b, a]]
        at[[a, b]] = at[[b, a]]
        cost += gain[first]
        if cost < best - 1e-9:
            best, found = cost, at.copy()
    return found[: packets.shape[0]]


Slicing = Callable[[Wiring], Array]
Placing = Callable[[sp.csr_matrix, Mesh, int], Array]
#: Strategy -> how neurons are cut into slices, and how these are put on cores.
STRATEGIES: dict[str, tuple[Slicing, Placing]] = {
    "naive order (nengo-loihi OneToOne, Greedy)": (naive_slices, in_order),
    "random (mean of 10)": (naive_slices, shuffled),
    "nengo-loihi RoundRobin": (naive_slices, round_robin),
    "nengo-loihi GreedyInterchip": (naive_slices, greedy_interchip),
    "METIS + annealing": (metis_slices, annealed),
    "METIS by population + annealing": (metis_population_slices, annealed),
    "our slices, naive order": (our_slices, in_order),
    "our slices, GreedyInterchip": (our_slices, greedy_interchip),
    "naive slices, our placement": (naive_slices, assign),
    "our slices, our placement": (our_slices, assign),
    "ours": (placed, in_order),  # cores are physical already
}


def optimum(packets: sp.csr_matrix, mesh: Mesh) -> float:
    """Return the fewest packets times hops of all placements on the fewest chips; for few cores."""
    cells, count = packets.tocoo(), packets.shape[0]
    room = -(-count // mesh.cores_per_chip) * mesh.cores_per_chip
    x, y = mesh.tile(np.array(list(permutations(range(room), count))))
    hops = np.abs(x[:, cells.row] - x[:, cells.col]) + np.abs(y[:, cells.row] - y[:, cells.col])
    return float((hops @ cells.data).min())


def small_cases(count: int = 60, seed: int = 0) -> list[tuple[sp.csr_matrix, Mesh]]:
    """Return random traffic of up to eight cores, and meshes of up to eight."""
    rng = np.random.default_rng(seed)
    meshes = (
        Mesh(4, 2), Mesh(8, 1), Mesh(2, 2, 2), Mesh(3, 2), Mesh(2, 2, 1, 2), Mesh(2, 1, 2, 2),
        Mesh(7, 1),
    )  # fmt: skip
    cases = []
    for number in range(count):
        mesh = meshes[number % len(meshes)]
        cores = int(rng.integers(3, mesh.cores + 1))
        chance = rng.choice([0.3, 0.6, 1.0])
        packets = rng.integers(1, 200, (cores, cores)) * (rng.random((cores, cores)) < chance)
        packets[np.arange(cores - 1), np.arange(1, cores)] += 1
        np.fill_diagonal(packets, 0)
        shuffled_cores = rng.permutation(cores)
        cases.append((sp.csr_matrix(packets[shuffled_cores][:, shuffled_cores]), mesh))
    return cases


def random_network(
    neurons: int, modules: int, inputs: int, inside: float, room: int, mesh: Mesh, seed: int = 0
) -> Wiring:
    """Return a recurrent population with shuffled neurons.

    Args:
        neurons: how many.
        modules: of equal size, numbers shuffled.
        inputs: that each neuron draws.
        inside: share of them from its own module, the others from anywhere.
        room, mesh: of the cores.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(neurons), inputs)
    first = rows * modules // neurons * neurons // modules
    within = first + rng.integers(0, neurons // modules, rows.size)
    columns = np.where(rng.random(rows.size) < inside, within, rng.integers(0, neurons, rows.size))
    name = rng.permutation(neurons)
    cells = sp.csr_matrix((np.ones(rows.size), (name[rows], name[columns])), (neurons, neurons))
    return Wiring({"net": (neurons,)}, (("net", "net", cells),), room, mesh)


def costs(wiring: Wiring, strategy: str) -> tuple[float, float]:
    """Return (packets, packets times hops) of a strategy on a network.

    Raises:
        ImportError: it needs pymetis, which is not installed.
    """
    slicing, placing = STRATEGIES[strategy]
    packets = traffic(wiring, slicing(wiring))
    seeds = range(10) if placing is shuffled else range(1)
    hops = [
        weighted_hops(packets, placing(packets, wiring.mesh, seed), wiring.mesh) for seed in seeds
    ]
    return float(packets.sum()), float(np.mean(hops))
