"""Who sends to which core: the axons between cores, and the traffic that they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, overload

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import Route, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.counts import lists_in, marks, ones_in
from spikeport.compiler.place.lists.memory import list_bits
from spikeport.compiler.place.mesh.assign import Mesh
from spikeport.compiler.program import Program

OUTSIDE = -1  # the core of what comes from the host
TOGETHER = 1024  # slices whose routes are found at once


def mesh_of(chip: Chip, chips: int) -> Mesh:
    """Return where the cores of so many chips are."""
    topology = chip.topology
    return Mesh(
        topology.tiles_x.whole, topology.tiles_y.whole, topology.cores_per_tile.whole, chips
    )


def home_of(program: Program, slices: Sequence[Slice]) -> dict[str, Array]:
    """Return the core of every neuron, `OUTSIDE` for inputs; population -> int64 (n,)."""
    home = {name: np.full(pop.size, OUTSIDE) for name, pop in program.populations.items()}
    for part in slices:
        home[part.population][part.neurons] = part.core
    return home


Columns = tuple[Array, Array, Array]  # senders, synapses, how many of these store an index


@dataclass(frozen=True, eq=False)
class Routes(Sequence[Route]):
    """The routes of placed slices, one for each population and core that it reaches.

    They are found again, a few cores at a time, whenever somebody asks: kept, they would take
    more memory than the synapses. Going through all is as cheap as asking for one.

    Attributes:
        program: what runs.
        slices: where its neurons are.
        lists: the cores, where these hold lists that may store an index per synapse.
    """

    program: Program
    slices: tuple[Slice, ...]
    lists: Lists | None = None

    def __iter__(self) -> Iterator[Route]:
        cores: dict[int, list[Slice]] = {}
        for part in self.slices:
            cores.setdefault(part.core, []).append(part)
        home, numbers = home_of(self.program, self.slices), list(cores)
        largest = max((part.neurons.size for part in self.slices), default=1)
        ones = {each.name: marks(each.stored, largest) for each in self.program.synapses}
        for first in range(0, len(numbers), TOGETHER):
            chosen = numbers[first : first + TOGETHER]
            counted = self._counted([part for core in chosen for part in cores[core]], ones)
            for core in chosen:
                found: dict[str, list[Columns]] = {}
                for part in cores[core]:
                    for each in self.program.into(part.population):
                        found.setdefault(each.pre, []).append(next(counted[each.name]))
                for pre, lists in found.items():
                    neurons, synapses, sparse = lists[0] if len(lists) == 1 else _summed(lists)
                    if neurons.size:
                        yield Route(pre, core, neurons, home[pre][neurons], synapses, sparse)

    def _counted(
        self, parts: Sequence[Slice], ones: Mapping[str, Any]
    ) -> dict[str, Iterator[Columns]]:
        """Return per projection what `Columns` says of each of these slices that it ends in."""
        counted = {}
        for each in self.program.synapses:
            neurons = [part.neurons for part in parts if part.population == each.post]
            if not neurons:
                continue
            targets = np.array([held.size for held in neurons])
            bounds = np.cumsum([0, *targets.tolist()]).tolist()
            found = lists_in(ones[each.name], np.concatenate(neurons), bounds)
            found.sort_indices()
            dense = np.ones(targets.size, bool)
            if self.lists is not None:
                delayed, width = each.delay_steps > 1, each.weight_bits
                columns = (found.data, found.indptr, targets)
                dense = list_bits(*columns, width, delayed, self.lists)[1]
            counted[each.name] = _rows(found, dense)
        return counted

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, at: int) -> Route: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Route, ...]: ...

    def __getitem__(self, at: int | slice) -> Route | tuple[Route, ...]:
        return tuple(self)[at]


def _rows(found: sp.csr_array, dense: Array) -> Iterator[Columns]:
    for (first, end), without in zip(pairwise(found.indptr.tolist()), dense, strict=True):
        synapses = found.data[first:end].astype(np.int64)
        yield found.indices[first:end].astype(np.int64), synapses, synapses * (not without)


def _summed(lists: list[Columns]) -> Columns:
    """Return one list of senders: what several projections bring to a core."""
    neurons, synapses, sparse = (np.concatenate(each) for each in zip(*lists, strict=True))
    some, place = np.unique(neurons, return_inverse=True)
    whole, indexed = np.bincount(place, weights=synapses), np.bincount(place, weights=sparse)
    return some, whole.astype(np.int64), indexed.astype(np.int64)


def traffic_of(
    program: Program,
    slices: Sequence[Slice],
    lists: Mapping[str, Sequence[sp.csr_array]],
    cores: int,
) -> sp.csr_array:
    """Return the packets to each core from each core if every neuron spikes once, (cores, cores).

    Args:
        program: what runs.
        slices: by core, ascending, those of a population one after the other.
        lists: population -> for each projection into it, the synapses of each sender in each of
            its slices, (slices, pre).
        cores: how many there are.
    """
    home, found = home_of(program, slices), [sp.csr_array((cores, cores), dtype=np.int32)]
    at = {post: [part.core for part in slices if part.population == post] for post in lists}
    for pre in program.neurons:
        senders = [
            (at[post], counted)
            for post, each_counted in lists.items()
            for each, counted in zip(program.into(post), each_counted, strict=True)
            if each.pre == pre
        ]
        if senders:
            reached = _by_core(senders, cores)
            found.append(sp.csr_array(reached @ _in_rows(home[pre], cores)))
    return found[1] if len(found) == 2 else sp.csr_array(sum(found[1:], start=found[0]))


def _by_core(senders: Sequence[tuple[Sequence[int], sp.csr_array]], cores: int) -> sp.csr_array:
    """Return a one for each sender of each core, from senders of slices on ascending cores."""
    held = [core for places, _ in senders for core in places]
    rows = senders[0][1] if len(senders) == 1 else sp.vstack([each for _, each in senders], "csr")
    if len(set(held)) < len(held):  # one packet reaches all that is on a core
        on_core = sp.csr_array(_in_rows(held, cores).T)
        return ones_in(on_core @ ones_in(rows), np.int32)
    lengths = np.zeros(cores + 1, np.int32)
    lengths[np.array(held) + 1] = np.diff(rows.indptr)
    starts = np.cumsum(lengths, dtype=rows.indptr.dtype)
    ones = np.ones(rows.nnz, np.int32)
    return sp.csr_array((ones, rows.indices, starts), (cores, rows.shape[1]))


def _in_rows(columns: Array | Sequence[int], size: int) -> sp.csr_array:
    """Return a matrix with a one per row, in these columns, (n, size)."""
    places = np.asarray(columns, np.int32)
    starts = np.arange(places.size + 1, dtype=np.int32)
    return sp.csr_array((np.ones(places.size, np.int32), places, starts), (places.size, size))


def traffic_between(routes: Sequence[Route], cores: int) -> sp.csr_matrix:
    """Return the packets from core to core if every neuron spikes once, (cores, cores)."""
    packets = np.zeros((cores, cores), np.int64)
    for route in routes:
        inside = route.source_cores[route.source_cores != OUTSIDE]
        packets[:, route.target_core] += np.bincount(inside, minlength=cores)
    return sp.csr_matrix(packets)


def moved(routes: Sequence[Route], where: Array) -> tuple[Route, ...]:
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
