"""The packets of a run in the order in which cores send them, with their times.

Order: the neurons of a core in the order of their compartments, the packets of a neuron by
ascending core of their target. Between two packets a core looks at the neurons in between; how
many of these have something to do is known per step and core, not neuron by neuron, so those that
do not spike share it evenly (exact where all of them, or none, have).
"""

from __future__ import annotations

import numpy as np

from spikeport.compiler.cost_column import EventTimes
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.mesh_time import Messages
from spikeport.compiler.measure.work import Cores, Work, sent_in
from spikeport.compiler.traces import Traces


def messages_of(traces: Traces, cores: Cores, work: Work, times: EventTimes) -> Messages:
    """Return the packets of the rows of `work`.

    Args:
        traces: of the run.
        cores: of `cores_of`.
        work: counts of the same rows.
        times: figures of the column.
    """
    figures = {kind: float(figure.value) for kind, figure in times.figures.items()}

    def figure(kind: str, instead: float = 0.0) -> float:
        return figures.get(kind, instead)

    access, update, spike = (figure(k) for k in ("soma_access", "soma_update", "spike_out"))
    read = figure("synaptic_op")
    rows, width = work.spikes.shape
    spiking = _spiking(traces, cores, work.first, rows)
    row, home, slot, name_of, neuron = spiking
    core_of_row = row * width + home
    began = np.flatnonzero(np.diff(core_of_row, prepend=-1))
    rank = np.arange(row.size) - np.repeat(began, np.diff(np.append(began, row.size)))
    silent = np.maximum(cores.sizes[None, :] - work.spikes, 0)
    woken = np.maximum(work.updates - work.spikes, 0)
    idle = np.divide(woken, silent, out=np.zeros_like(silent), where=silent > 0)
    looked, fired = slot + 1, rank + 1
    till = looked * access + fired * (spike + update)
    till = till + (looked - fired) * idle[row, home] * update
    soma = cores.sizes * access + work.spikes * spike + work.updates * update

    parts: list[tuple[Array, ...]] = []
    for number, (name, reach) in enumerate(cores.reach.items()):
        if name not in traces.spikes or not reach.packets.nnz:
            continue
        if (reach.home >= 0).all():
            mine = np.flatnonzero(name_of == number)
            who, when, source, place, time = (
                neuron[mine], row[mine], home[mine], slot[mine], till[mine]
            )  # fmt: skip
        else:
            sent = sent_in(traces, name, work.first, work.first + rows)
            when = np.repeat(np.arange(rows), np.diff(sent.indptr))
            who = sent.indices
            source, place, time = np.full(who.size, -1), np.zeros(who.size), np.zeros(who.size)
        fan = np.diff(reach.packets.indptr)[who]
        at = np.repeat(reach.packets.indptr[who], fan) + _counting(fan)
        target = reach.packets.indices[at].astype(np.int64)
        who = np.repeat(who, fan)
        serve = figure("packet_in") + (
            _at(reach.dense, who, target) * read
            + _at(reach.sparse, who, target) * figure("synaptic_op_sparse", read)
        )
        each = (np.repeat(x, fan) for x in (when, source, place, time))
        parts.append((*each, target, serve))
    if not parts:
        empty = np.zeros(0)
        none = empty.astype(np.int32)
        return Messages(
            np.zeros(rows + 1, np.int64), none, none.copy(), empty, empty.copy(), soma, width
        )
    when, source, place, time, target, serve = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    order = np.lexsort((target, place, source, when))
    when, source, time, target, serve = (x[order] for x in (when, source, time, target, serve))
    same = np.append(False, (np.diff(when) == 0) & (np.diff(source) == 0))
    since = time - np.where(same, np.append(0.0, time[:-1]), 0.0)
    wait = np.where(source >= 0, since + figure("packet"), 0.0)
    last = np.append(~same[1:], True) & (source >= 0) if when.size else np.zeros(0, bool)
    rest = soma.copy()
    rest[when[last], source[last]] -= time[last]
    offsets = np.searchsorted(when, np.arange(rows + 1)).astype(np.int64)
    return Messages(
        offsets, source.astype(np.int32), target.astype(np.int32), wait, serve,
        np.maximum(rest, 0.0), width,
    )  # fmt: skip


def _spiking(traces: Traces, cores: Cores, first: int, rows: int) -> tuple[Array, ...]:
    """Return (row, core, slot, number of the population, neuron) of all spikes, in core order."""
    found: list[tuple[Array, ...]] = []
    for number, (name, reach) in enumerate(cores.reach.items()):
        if name not in traces.spikes or not reach.home.size or (reach.home < 0).any():
            continue
        sent = sent_in(traces, name, first, first + rows)
        row = np.repeat(np.arange(rows), np.diff(sent.indptr))
        who = sent.indices.astype(np.int64)
        found.append((row, reach.home[who], cores.slot[name][who], np.full(who.size, number), who))
    if not found:
        return tuple(np.zeros(0, np.int64) for _ in range(5))
    row, home, slot, number_of, neuron = (np.concatenate(x) for x in zip(*found, strict=True))
    order = np.lexsort((slot, home, row))
    return row[order], home[order], slot[order], number_of[order], neuron[order]


def _counting(lengths: Array) -> Array:
    """Return 0, 1, ... for each of these lengths, one after the other.

    >>> _counting(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - lengths, lengths))


def _at(matrix: object, rows: Array, columns: Array) -> Array:
    """Return entries of a sparse matrix, 0 where there is none."""
    if not rows.size:
        return np.zeros(0)
    return np.asarray(matrix[rows, columns]).ravel()  # type: ignore[index]
