"""From neurons on cores and their columns to crossbars, and to the routes between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.image import Route
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.crossbar.axons import Sources, Wanted
from spikeport.compiler.place.crossbar.cut import Filled
from spikeport.compiler.place.crossbar.plan import EVERYWHERE, SPLITTER, CrossbarCore
from spikeport.compiler.place.crossbar.targets import Columns
from spikeport.compiler.place.routes import OUTSIDE


def crossbars(
    wanted: Mapping[str, Wanted],
    cores: Sequence[Filled],
    columns: Columns,
    core: Crossbar,
    sources: Sources,
) -> list[CrossbarCore]:
    """Return every core, splitter cores behind the others.

    Args:
        wanted: what neurons need.
        cores: who is where.
        columns: of all cores, by core.
        core: what one has.
        sources: numbers of sources.
    """
    by_number = {sources.populations.index(name): each for name, each in wanted.items()}
    types = 0 if core.axon_types is None else core.axon_types.whole
    count = 1 + int(columns.core.max(initial=-1))
    bounds = np.searchsorted(columns.core, np.arange(count + 1))
    sent = _packet_delays(columns)
    made = []
    for number in range(count):
        part = slice(bounds[number], bounds[number + 1])
        keys = _axons(number, part, cores, columns, sources)
        population, neuron = sources.named(columns.source[part])
        kind, fed = columns.kind[part], columns.fed[part]
        axon_population, axon_neuron = sources.named(sources.neuron(keys))
        made.append(
            CrossbarCore(
                core=number,
                axon_population=axon_population,
                axon_neuron=axon_neuron,
                axon_type=sources.part(keys),
                axon_delay=_delays(number, keys, sent, sources),
                column_population=population,
                column_neuron=neuron,
                column_kind=kind.copy(),
                crossings=_crossings(by_number, population, neuron, kind, fed, keys),
                type_weights=_type_weights(by_number, population, neuron, kind, types),
                target_core=columns.target_core[part].copy(),
                target_axon=columns.target_axon[part].copy(),
                target_delay=columns.delay[part].copy(),
            )
        )
    return made


def _axons(
    number: int, part: slice, cores: Sequence[Filled], columns: Columns, sources: Sources
) -> Array:
    """Return what each row of a core stands for."""
    if number < len(cores):
        own = [] if columns.row is None else [columns.row[part]]
        return np.concatenate([*own, cores[number].axons])
    axons, first = np.unique(columns.fed[part], return_index=True)
    return sources.keys(columns.source[part][first], 1) if axons.size else axons


def _packet_delays(columns: Columns) -> dict[int, tuple[Array, Array]]:
    """Return core -> (axons, delay of the packets that columns send to each)."""
    order = np.argsort(columns.target_core, kind="stable")
    order = order[columns.target_core[order] >= 0]
    changes = np.flatnonzero(np.diff(columns.target_core[order])) + 1
    return {
        int(columns.target_core[part[0]]): (columns.target_axon[part], columns.delay[part])
        for part in np.split(order, changes)
        if part.size
    }


def _delays(
    number: int, keys: Array, sent: Mapping[int, tuple[Array, Array]], sources: Sources
) -> Array:
    """Return the delay of each axon of a core: that of its packets, where splitters send these."""
    delay = sources.delay(keys)
    axons, packets = sent.get(number, (np.zeros(0, np.int64), np.zeros(0, np.int64)))
    delay[axons] = packets
    return delay


def _crossings(
    wanted: Mapping[int, Wanted],
    population: Array,
    neuron: Array,
    kind: Array,
    fed: Array,
    keys: Array,
) -> sp.csr_matrix:
    """Return the matrix of a core, (axons, columns)."""
    by_key = np.argsort(keys)
    splitters = np.flatnonzero(kind == SPLITTER)
    rows, across = [fed[splitters]], [splitters]
    data = [np.ones(splitters.size, np.int64)]
    for number in np.unique(population[kind != SPLITTER]):
        at = np.flatnonzero((population == number) & (kind != SPLITTER))
        chosen = wanted[number].matrix[neuron[at]]
        found = np.searchsorted(keys, wanted[number].keys[chosen.indices], sorter=by_key)
        rows.append(by_key[found])
        across.append(np.repeat(at, np.diff(chosen.indptr)))
        data.append(chosen.data)
    cells = (np.concatenate(rows), np.concatenate(across))
    weights = np.concatenate(data).astype(np.int32)
    return sp.csr_matrix((weights, cells), (keys.size, neuron.size))


def _type_weights(
    wanted: Mapping[int, Wanted], population: Array, neuron: Array, kind: Array, types: int
) -> Array:
    weights = np.zeros((neuron.size, types), np.int64)
    if types == 0:
        return weights
    weights[kind == SPLITTER, 0] = 1
    for number in np.unique(population[kind != SPLITTER]):
        at = (population == number) & (kind != SPLITTER)
        weights[at] = wanted[number].type_weights[neuron[at]]
    return weights


def crossbar_routes(
    cores: Sequence[CrossbarCore], columns: Columns, sources: Sources
) -> tuple[Route, ...]:
    """Return the packets between cores: one for each axon and spike of its source.

    A neuron stands in a route once for each packet, so several times where it reaches several
    axons of a core; routes lead to splitter cores and away from them too, where the source core is
    the splitter's. Synapses are crossings, those of copies and splitters included.
    """
    sizes = [each.axons for each in cores]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    target = np.repeat(np.arange(len(cores)), sizes)
    population, neuron, synapses = (
        np.concatenate([np.zeros(0, np.int64), *parts])
        for parts in (
            [each.axon_population for each in cores],
            [each.axon_neuron for each in cores],
            [np.diff(each.crossings.indptr) for each in cores],
        )
    )
    source = np.full(target.size, OUTSIDE)
    sends = columns.target_core >= 0
    source[starts[columns.target_core[sends]] + columns.target_axon[sends]] = columns.core[sends]
    if (columns.target_core == EVERYWHERE).any():
        home = np.full(sources.from_host.size, OUTSIDE)
        home[columns.source] = columns.core
        source = home[sources.starts[population] + neuron]
    order = np.lexsort((source, neuron, target, population))
    order = order[synapses[order] > 0]
    reached = population[order] * len(cores) + target[order]
    return tuple(
        Route(
            sources.populations[population[part[0]]],
            int(target[part[0]]),
            neuron[part],
            source[part],
            synapses[part].astype(np.int64),
            np.zeros(part.size, np.int64),
        )
        for part in np.split(order, np.flatnonzero(np.diff(reached)) + 1)
        if part.size
    )
