"""What each core has to do in each step: counts by row (one step of one sample) and core.

Spikes are events and routes are axons, so everything but the updates of somas follows from the
spikes, for any placement. Updates are the engine's counters where it counted this placement's
cores; else a neuron's updates without a spike are spread evenly over its steps without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.traces import Traces

CELLS = 1 << 21  # rows times cores that are held at once
PACKETS = 1 << 22  # packets of these rows, some 100 bytes each
SPREAD = (
    "the run did not count the cores of this placement: updates of somas are spread evenly over "
    "the steps (run with count_cores to have them step by step)"
)


@dataclass(frozen=True, eq=False)
class Reach:
    """Where the spikes of one population go, as (neurons, cores) matrices.

    Attributes:
        home: index of each neuron's core, -1 for the host, int64 (n,).
        out: packets that leave a core for one spike of each neuron.
        packets: packets that reach a core.
        dense, sparse: synapses read there, in lists without and with indices.
    """

    home: Array
    out: sp.csr_array
    packets: sp.csr_array
    dense: sp.csr_array
    sparse: sp.csr_array


@dataclass(frozen=True, eq=False)
class Work:
    """Counts of some rows.

    Attributes:
        first: number of the first row.
        spikes, packets, packets_in, dense, sparse: float64 (rows, cores).
        updates: of somas, float64 (rows, cores).
    """

    first: int
    spikes: Array
    packets: Array
    packets_in: Array
    dense: Array
    sparse: Array
    updates: Array


@dataclass(frozen=True, eq=False)
class Cores:
    """The cores of an Image and where their neurons send.

    Attributes:
        numbers: of the cores that are used, ascending.
        sizes: neurons of each.
        reach: population -> Reach.
        slot: population -> place of each neuron among those of its core, int64 (n,).
    """

    numbers: Array
    sizes: Array
    reach: Mapping[str, Reach]
    slot: Mapping[str, Array]


def cores_of(image: Image) -> Cores:
    """Return the cores of an Image, and for each population whom a spike reaches."""
    numbers = np.array(sorted(use.core for use in image.cores), np.int64)
    sizes = np.zeros(numbers.size, np.int64)
    home = {n: np.full(p.size, -1, np.int64) for n, p in image.program.populations.items()}
    slot = {name: np.zeros(place.size, np.int64) for name, place in home.items()}
    for part in image.slices:
        at = int(np.searchsorted(numbers, part.core))
        home[part.population][part.neurons] = at
        slot[part.population][part.neurons] = sizes[at] + np.arange(part.neurons.size)
        sizes[at] += part.neurons.size
    found: dict[str, list[tuple[Array, Array, Array, Array, Array]]] = {name: [] for name in home}
    for route in image.routes:
        target = np.full(route.neurons.size, np.searchsorted(numbers, route.target_core))
        source = np.searchsorted(numbers, route.source_cores)
        source[route.source_cores < 0] = -1
        dense = route.synapses - route.sparse
        found[route.pre].append((route.neurons, source, target, dense, route.sparse))
    reach = {
        name: _reach(home[name], numbers.size, parts) for name, parts in found.items()
    }  # fmt: skip
    return Cores(numbers, sizes, reach, slot)


def _reach(home: Array, cores: int, parts: Sequence[tuple[Array, ...]]) -> Reach:
    nothing = (np.zeros(0, np.int64),) * 5
    neurons, source, target, dense, sparse = (
        np.concatenate(each) for each in zip(*(parts or [nothing]), strict=True)
    )
    shape, ones, inside = (home.size, cores), np.ones(neurons.size), source >= 0

    def matrix(values: Array, columns: Array, some: Array) -> sp.csr_array:
        rows = (neurons[some], columns[some])
        return sp.csr_array((values[some].astype(np.float64), rows), shape=shape)

    everywhere = np.ones(neurons.size, bool)
    return Reach(
        home,
        matrix(ones, source, inside),
        matrix(ones, target, everywhere),
        matrix(dense, target, dense > 0),
        matrix(sparse, target, sparse > 0),
    )


def sent_in(traces: Traces, name: str, first: int, end: int) -> sp.csr_array:
    """Return the spikes of a population in some rows, (end - first, n)."""
    events = traces.spikes[name]
    offsets = events.offsets[first : end + 1]
    some = slice(int(offsets[0]), int(offsets[-1]))
    count = events.neuron[some] * 0 + 1 if events.count is None else events.count[some]
    indices = (count.astype(np.float64), events.neuron[some], offsets - offsets[0])
    return sp.csr_array(indices, shape=(end - first, events.size))


def chunks(traces: Traces, cores: Cores) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of rows that are looked at together: so many cells and packets at most.

    A single row may have more packets; what bounds these is the network.
    """
    rows, together = traces.samples * traces.steps, max(CELLS // max(cores.numbers.size, 1), 1)
    packets = np.zeros(rows + 1, np.int64)  # at most, before each row
    for name, reach in cores.reach.items():
        if name in traces.spikes:
            most = int(np.diff(reach.packets.indptr).max(initial=0))
            packets += traces.spikes[name].offsets * most
    first = 0
    while first < rows:
        fits = int(np.searchsorted(packets, packets[first] + PACKETS, side="right")) - 1
        end = min(max(fits, first + 1), first + together, rows)
        yield first, end
        first = end


def work_of(image: Image, traces: Traces, cores: Cores) -> Iterator[Work]:
    """Yield what each core does in each step, some rows at a time."""
    counted = counts_these(traces, image, cores)
    for first, end in chunks(traces, cores):
        sums = {
            kind: np.zeros((end - first, cores.numbers.size))
            for kind in ("spikes", "packets", "packets_in", "dense", "sparse", "updates")
        }
        for name, reach in cores.reach.items():
            if name not in traces.spikes:
                continue
            sent = sent_in(traces, name, first, end)
            sums["packets"] += (sent @ reach.out).toarray()
            sums["packets_in"] += (sent @ reach.packets).toarray()
            sums["dense"] += (sent @ reach.dense).toarray()
            sums["sparse"] += (sent @ reach.sparse).toarray()
            if (reach.home >= 0).all() and reach.home.size:
                sums["spikes"] += (sent @ _on_cores(reach.home, cores)).toarray()
        if counted:
            updates = traces.cores["soma_updates"].reshape(-1, cores.numbers.size)
            sums["updates"] += updates[first:end]
        else:
            sums["updates"] += sums["spikes"] + _spread(traces, cores, first, end)
        yield Work(first, **sums)


def counts_these(traces: Traces, image: Image, cores: Cores) -> bool:
    """Did the run count the somas of exactly these cores."""
    if "soma_updates" not in traces.cores:
        return False
    if not np.array_equal(traces.cores["numbers"], cores.numbers):
        return False
    by_core = np.zeros((traces.samples, cores.numbers.size), np.int64)
    for part in image.slices:
        at = int(np.searchsorted(cores.numbers, part.core))
        active = traces.counters[part.population]["active"]
        by_core[:, at] += active[:, part.neurons].sum(axis=1)
    found = traces.cores["soma_updates"].sum(axis=1, dtype=np.int64)
    return bool(np.array_equal(found, by_core))


def _spread(traces: Traces, cores: Cores, first: int, end: int) -> Array:
    """Return the updates without a spike, evenly over the steps, (rows, cores)."""
    each = np.zeros((traces.samples, cores.numbers.size))
    for name, reach in cores.reach.items():
        counters = traces.counters.get(name, {})
        if "active" not in counters or not reach.home.size or (reach.home < 0).any():
            continue
        silent = np.maximum(counters["active"] - np.minimum(counters["spikes"], traces.steps), 0)
        each += silent @ _on_cores(reach.home, cores)
    return np.asarray(each[np.arange(first, end) // traces.steps] / traces.steps)


def _on_cores(home: Array, cores: Cores) -> sp.csr_array:
    places = np.arange(home.size + 1)
    return sp.csr_array((np.ones(home.size), home, places), shape=(home.size, cores.numbers.size))
