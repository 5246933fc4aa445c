"""One target per neuron: who needs copies and splitters so that its spikes reach every axon.

A neuron of TrueNorth sends to one axon. One that must reach n axons either stands n times in its
core, or sends to an axon of a splitter core, whose crossbar repeats the spike in n columns, each
with a target of its own. A copy takes a column of a core that may have none left, and needs every
axon of its original there, all of whose spikes it has to add up again; a splitter takes a column
elsewhere, adds up one spike, and takes one step. So

* what must arrive one step after the spike, or leave the chip, gets a copy;
* all others get splitters: one step to the splitter, the rest of the delay from there;
* only where that takes more cores than there are, columns to spare are filled with copies first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.place.crossbar.axons import Sources
from spikeport.compiler.place.crossbar.cut import Filled
from spikeport.compiler.place.crossbar.plan import (
    COPY,
    EVERYWHERE,
    ITSELF,
    NOWHERE,
    OUT,
    SPLITTER,
)
from spikeport.compiler.program import Program


@dataclass(frozen=True, eq=False)
class Targets:
    """Every axon that a neuron has to reach, by source; columns of equal length.

    Attributes:
        source: number of the neuron over all populations, ascending.
        core, axon: where; the core is `OUT` for what the host reads.
        delay: steps from the spike to its effect, 0 for what leaves.
    """

    source: Array
    core: Array
    axon: Array
    delay: Array

    @property
    def direct(self) -> Array:
        """Is there no time for a splitter."""
        return np.asarray(self.delay <= 1)


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of all cores, by core; arrays of equal length.

    Attributes:
        core: where each is; splitter cores follow the others.
        source: number of the neuron that it is or repeats.
        kind: `ITSELF`, `COPY` or `SPLITTER`.
        target_core, target_axon, delay: where it sends.
        fed: axon of its own core that feeds a splitter, -1 for others.
        row: what its own row stands for, where columns have one, else None.
    """

    core: Array
    source: Array
    kind: Array
    target_core: Array
    target_axon: Array
    delay: Array
    fed: Array
    row: Array | None = None


def find_targets(program: Program, cores: list[Filled], sources: Sources) -> Targets:
    """Return what every neuron has to reach, given what is on each core."""
    sizes = [filled.axons.size for filled in cores]
    keys = np.concatenate([np.zeros(0, np.int64), *(filled.axons for filled in cores)])
    axon = np.concatenate([np.zeros(0, np.int64), *map(np.arange, sizes)])
    core, source = np.repeat(np.arange(len(cores)), sizes), sources.neuron(keys)
    delay = sources.delay(keys)
    read = [
        sources.first(name) + np.arange(program.populations[name].size)
        for name in dict.fromkeys(program.outputs.values())
    ]
    leaving = np.concatenate([np.zeros(0, np.int64), *read])
    none = np.zeros(leaving.size, np.int64)
    inside = ~sources.from_host[source]
    columns = [
        np.concatenate([found[inside], out])
        for found, out in ((source, leaving), (core, none + OUT), (axon, none), (delay, none))
    ]
    order = np.lexsort((columns[3] > 1, columns[0]))  # by source, those without time first
    return Targets(*(column[order] for column in columns))


def columns_needed(targets: Targets, neurons: int, room: int) -> Array:
    """Return how many columns each neuron takes at least, (neurons,).

    Args:
        targets: what they reach.
        neurons: of all populations.
        room: columns of a core, so that many splitters can hang on one axon.
    """
    direct = np.bincount(targets.source[targets.direct], minlength=neurons)
    late = np.bincount(targets.source[~targets.direct], minlength=neurons)
    return np.asarray(np.maximum(direct + -(-late // room), 1))


def make_columns(
    targets: Targets, cores: list[Filled], sources: Sources, room: int, axons: int, wide: Array
) -> Columns:
    """Return the columns of all cores, splitter cores included.

    Args:
        targets: what neurons reach.
        cores: who is where.
        sources: numbers of neurons.
        room: columns of a core, and so splitters that one axon feeds at most.
        axons: rows of a core.
        wide: which neurons stand there once for each of their axons, see `spare_copies`.
    """
    order, homes = _homes(cores, sources)
    home, position = np.full(sources.from_host.size, -1), np.full(sources.from_host.size, -1)
    home[order], position[order] = homes, np.arange(order.size)
    late = ~targets.direct & ~wide[targets.source]
    silent = np.setdiff1d(order, targets.source)
    feeds, splitters = _split(targets, late, position, room, axons, len(cores))
    none = np.zeros(silent.size, np.int64)
    straight = ~late
    source = np.concatenate([targets.source[straight], feeds.source, silent])
    target_core = np.concatenate([targets.core[straight], feeds.target_core, none + NOWHERE])
    target_axon = np.concatenate([targets.axon[straight], feeds.target_axon, none])
    delay = np.concatenate([targets.delay[straight], feeds.delay, none])
    by_place = np.argsort(position[source], kind="stable")
    source = source[by_place]
    kind = np.where(np.diff(source, prepend=-1) != 0, ITSELF, COPY)
    return Columns(
        np.concatenate([home[source], splitters.core]),
        np.concatenate([source, splitters.source]),
        np.concatenate([kind, splitters.kind]),
        np.concatenate([target_core[by_place], splitters.target_core]),
        np.concatenate([target_axon[by_place], splitters.target_axon]),
        np.concatenate([delay[by_place], splitters.delay]),
        np.concatenate([np.full(source.size, -1), splitters.fed]),
    )


def spare_copies(targets: Targets, cores: list[Filled], sources: Sources, room: int) -> Array:
    """Return which neurons find columns for a copy for each of their axons, bool.

    On every core those come first that need the fewest more.

    Args:
        targets: what neurons reach.
        cores: who is where.
        sources: numbers of neurons.
        room: columns of a core.
    """
    order, homes = _homes(cores, sources)
    neurons = sources.from_host.size
    needed = columns_needed(targets, neurons, room)
    more = np.maximum(np.bincount(targets.source, minlength=neurons), 1) - needed
    wide = np.zeros(neurons, bool)
    for held in np.split(order, np.flatnonzero(np.diff(homes)) + 1):
        spare = room - int(needed[held].sum())
        cheapest = held[np.argsort(more[held], kind="stable")]
        wide[cheapest[np.cumsum(more[cheapest]) <= spare]] = True
    return wide


def columns_without_targets(
    cores: list[Filled], used: Array, sources: Sources, own_row: bool
) -> Columns:
    """Return the columns of a chip where nothing has to be done for a neuron to reach many axons.

    Args:
        cores: who is where.
        used: axons that somebody reads, ascending.
        sources: numbers of neurons.
        own_row: do a column's spikes enter by the row of its own number; a neuron whose spikes
            must enter by two rows has two columns then.
    """
    order, homes = _homes(cores, sources)
    owner = sources.neuron(used)
    first, end = np.searchsorted(owner, order), np.searchsorted(owner, order, side="right")
    many = np.maximum(end - first, 1) if own_row else np.ones(order.size, np.int64)
    source, starts = np.repeat(order, many), np.cumsum(many) - many
    rank = np.arange(source.size) - np.repeat(starts, many)
    row = sources.keys(source, 1)  # of a neuron that nobody reads
    heard = np.repeat(end > first, many)
    row[heard] = used[(np.repeat(first, many) + rank)[heard]]
    none = np.zeros(source.size, np.int64)
    return Columns(
        core=np.repeat(homes, many),
        source=source,
        kind=np.where(rank == 0, ITSELF, COPY),
        target_core=none + EVERYWHERE,
        target_axon=none,
        delay=sources.delay(row),
        fed=none - 1,
        row=row if own_row else None,
    )


def _homes(cores: list[Filled], sources: Sources) -> tuple[Array, Array]:
    """Return the neurons of all cores, and the core of each, ascending."""
    held = [
        np.concatenate([sources.first(name) + neurons for name, neurons in filled.parts])
        for filled in cores
    ]
    homes = np.repeat(np.arange(len(cores)), [len(neurons) for neurons in held])
    return np.concatenate([np.zeros(0, np.int64), *held]), homes


def _split(
    targets: Targets, late: Array, position: Array, room: int, axons: int, first_core: int
) -> tuple[Columns, Columns]:
    """Return the columns that feed splitters, and the splitters.

    A source with more targets than one axon can feed splitters has several feeding columns. A
    single target needs no splitter.

    Args:
        targets: what neurons reach.
        late: which of these go through splitters.
        position: of a neuron, by core.
        room: columns of a core.
        axons: rows of a core.
        first_core: number of the first splitter core.
    """
    rows = np.flatnonzero(late)
    rows = rows[np.argsort(position[targets.source[rows]], kind="stable")]
    source = targets.source[rows]
    starts = np.flatnonzero(np.diff(source, prepend=-1))
    rank = np.arange(rows.size) - np.repeat(starts, np.diff(np.append(starts, rows.size)))
    first = np.flatnonzero(rank % room == 0)  # of each feeding column's targets
    sizes = np.diff(np.append(first, rows.size))
    core, axon = _packed(np.where(sizes > 1, sizes, 0), room, axons)
    number = np.repeat(np.arange(first.size), sizes)
    alone = sizes == 1
    feeds = Columns(
        np.full(first.size, -1),
        source[first],
        np.full(first.size, COPY),
        np.where(alone, targets.core[rows[first]], first_core + core),
        np.where(alone, targets.axon[rows[first]], axon),
        np.where(alone, targets.delay[rows[first]], 1),
        np.full(first.size, -1),
    )
    kept = ~alone[number]
    rows, number = rows[kept], number[kept]
    splitters = Columns(
        first_core + core[number],
        targets.source[rows],
        np.full(rows.size, SPLITTER),
        targets.core[rows],
        targets.axon[rows],
        targets.delay[rows] - 1,
        axon[number],
    )
    return feeds, splitters


def _packed(sizes: Array, room: int, axons: int) -> tuple[Array, Array]:
    """Return (core, axon) for groups of columns, one after the other; 0 columns need no axon."""
    core, axon = np.zeros(sizes.size, np.int64), np.zeros(sizes.size, np.int64)
    number = used = groups = 0
    for at in np.flatnonzero(sizes):
        if used + sizes[at] > room or groups == axons:
            number, used, groups = number + 1, 0, 0
        core[at], axon[at] = number, groups
        used, groups = used + int(sizes[at]), groups + 1
    return core, axon
