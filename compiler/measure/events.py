"""How many events of each kind a run was, by population and core, counted one by one.

One run serves any placement of the same Program: what a neuron did comes from the run's counters,
where it happened from the Image.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Crossbar, Processor
from spikeport.compiler.image import Image, Route
from spikeport.compiler.kinds import Array
from spikeport.compiler.traces import Traces

WHOLE_CHIP = -1  # the core of what happens to a chip as a whole, and of what the host sends
Counts = dict[tuple[str, str, int], float]


def count_events(image: Image, traces: Traces) -> Counts:
    """Return (population, event kind, core) -> events per sample of a run.

    `soma_access` every neuron in every step; `soma_update` where it had something to do;
    `spike_out` per spike; `packet` per spike and receiving core, at the core that sends it, and
    `packet_in` at the one that takes it; hops per packet; `synaptic_op` per non-zero weight read,
    at its core, apart for lists that store indices; on crossbars `crossbar_op` per crossing of a
    row that is read. On a processor `dense_synaptic_op`, every weight in every step, and nothing
    else but `soma_access`.
    """
    if isinstance(image.chip.core, Processor):
        return _count_dense(image, traces)
    counts: Counts = {}

    def add(population: str, kind: str, core: int, events: float) -> None:
        key = (population, kind, core)
        counts[key] = counts.get(key, 0.0) + events

    for part in image.slices:
        counters = traces.counters[part.population]
        add(part.population, "soma_access", part.core, float(part.neurons.size * traces.steps))
        add(part.population, "soma_update", part.core, _mean(counters["active"], part.neurons))
        add(part.population, "spike_out", part.core, _mean(counters["spikes"], part.neurons))
    row = image.chip.core.neurons.whole if isinstance(image.chip.core, Crossbar) else 0
    for route in image.routes:
        sent = traces.counters[route.pre]["spikes"][:, route.neurons].mean(axis=0)
        dense = float((sent * (route.synapses - route.sparse)).sum())
        add(route.pre, "synaptic_op", route.target_core, dense)
        sparse = float((sent * route.sparse).sum())
        add(route.pre, "synaptic_op_sparse", route.target_core, sparse)
        add(route.pre, "packet_in", route.target_core, float(sent.sum()))
        add(route.pre, "crossbar_op", route.target_core, float(sent.sum()) * row)
        east, north = hops_of(image, route)
        for kind, events in (
            ("packet", sent), ("hop_east_west", sent * east), ("hop_north_south", sent * north)
        ):  # fmt: skip
            by_core = np.bincount(route.source_cores + 1, weights=events)  # -1: from the host
            for core in np.flatnonzero(by_core):
                add(route.pre, kind, int(core) - 1, float(by_core[core]))
    return counts


def hops_of(image: Image, route: Route) -> tuple[Array, Array]:
    """Return hops east-west and north-south, (n,); what comes from the host enters at the core."""
    inside = route.source_cores >= 0
    x, y = image.chip.tile(route.source_cores)
    to_x, to_y = image.chip.tile(route.target_core)
    return np.abs(to_x - x) * inside, np.abs(to_y - y) * inside


def host_work(image: Image, traces: Traces, pieces: int = 1) -> dict[str, float]:
    """Return what the host does for a sample: weights that it multiplies, packets that it sends."""
    macs = 0.0
    for host in image.program.host.values():
        times = 1 if host.static else traces.model_steps
        for target in chain.from_iterable(host.targets.values()):
            macs += float(sp.csr_matrix(target.matrix).nnz * times)
    packets = 0.0
    for route in image.routes:
        outside = route.neurons[route.source_cores < 0]
        packets += _mean(traces.counters[route.pre]["spikes"], outside) if outside.size else 0.0
    return {"macs_per_sample": macs / pieces, "packets_per_sample": packets / pieces}


def _count_dense(image: Image, traces: Traces) -> Counts:
    """Return what a processor does in each step, whoever spikes: every neuron, every weight."""
    counts: Counts = {}
    for part in image.slices:
        events = float(part.neurons.size * traces.steps)
        counts[part.population, "soma_access", part.core] = events
    for each in image.program.synapses:
        key = (each.pre, "dense_synaptic_op", 0)
        counts[key] = counts.get(key, 0.0) + float(each.count * traces.steps)
    return counts


def _mean(counter: Any, neurons: Array) -> float:
    return float(counter[:, neurons].sum(axis=1).mean())
