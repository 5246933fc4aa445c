"""Follow the wires of an Image on crossbars: what every neuron reads, from the plan alone.

The spikes of a column are followed to its axon, through splitters if there are any; what arrives
at each neuron and each of its copies, from whom, when and with which weight, is compared with the
Program, and the routes with the packets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.crossbar.plan import EVERYWHERE, ITSELF, OUT, SPLITTER
from spikeport.compiler.place.verify.counts import FROM_HOST, cells_of


@dataclass(frozen=True, eq=False)
class Wires:
    """All rows and columns of all cores, one core after the other.

    Attributes:
        row_core, column_core: number of the core of each.
        row_source, column_source: neuron, numbered through all populations.
        row_type, row_delay: of each axon.
        column_kind, target, target_delay: of each column; the target is a row, or below 0.
        crossings: CSR (rows, columns) of effective weights.
    """

    row_core: Array
    column_core: Array
    row_source: Array
    column_source: Array
    row_type: Array
    row_delay: Array
    column_kind: Array
    target: Array
    target_delay: Array
    crossings: sp.csr_array


def wrong_wires(image: Image) -> Iterator[str]:
    """Yield what is wrong with targets, splitters, weights and routes; the cores are right."""
    wires, nowhere = _wired(image)
    if nowhere:
        yield nowhere
        return
    sizes = [each.size for each in image.program.populations.values()]
    names = list(image.program.populations)
    from_host = np.repeat([name in image.program.inputs for name in names], sizes)
    wrong = [
        *_wrong_targets(image, wires, from_host),
        *_wrong_splitters(wires),
        *_wrong_readout(image, wires),
    ]
    yield from wrong
    if wrong:
        return
    arrival = _arrivals(wires, from_host)
    for row in np.flatnonzero(arrival < 0)[:1]:
        yield f"no spike ever comes to an axon of core {wires.row_core[row]}"
        return
    yield from _wrong_reading(image, wires, arrival)
    yield from _wrong_packets(image, wires)


def _wired(image: Image) -> tuple[Wires, str]:
    """Return all rows and columns, and which target does not exist, if one does not."""
    cores = image.plan.cores
    first = np.cumsum([0, *(each.size for each in image.program.populations.values())])
    rows = np.array([each.axon_neuron.size for each in cores])
    columns = np.array([each.column_neuron.size for each in cores])
    numbers = np.array([each.core for each in cores])

    def joined(name: str) -> Array:
        return np.concatenate([getattr(each, name) for each in cores])

    to = joined("target_core")
    at = np.minimum(np.searchsorted(numbers, to), numbers.size - 1)
    inside = to >= 0
    axon = joined("target_axon")
    bad = inside & ((numbers[at] != to) | (axon < 0) | (axon >= rows[at]))
    target = np.where(inside, (np.cumsum(rows) - rows)[at] + axon, to)
    blocks = []
    for each in cores:
        crossed = sp.coo_array(each.crossings).astype(np.int64)
        weight = crossed.data
        if each.type_weights.shape[1]:
            weight = weight * each.type_weights[crossed.col, each.axon_type[crossed.row]]
        blocks.append(sp.coo_array((weight, (crossed.row, crossed.col)), crossed.shape))
    wires = Wires(
        np.repeat(numbers, rows),
        np.repeat(numbers, columns),
        first[joined("axon_population")] + joined("axon_neuron"),
        first[joined("column_population")] + joined("column_neuron"),
        joined("axon_type"),
        joined("axon_delay"),
        joined("column_kind"),
        target,
        joined("target_delay"),
        sp.csr_array(sp.block_diag(blocks, format="csr")),
    )
    named = f"a column of core {wires.column_core[bad][0]} sends to no axon" if bad.any() else ""
    return wires, named


def _wrong_targets(image: Image, wires: Wires, from_host: Array) -> Iterator[str]:
    """Every axon has one sender, of its own source, that sends as late as it says."""
    limits, core = image.chip.limits.delay_steps, image.chip.core
    late = np.where(from_host[wires.row_source], wires.row_delay, limits.low)
    if ((late < min(limits.low, image.chip.input_delay)) | (late > limits.high)).any():
        yield "an input comes in later or earlier than an axon can delay it"
    sends = np.flatnonzero(wires.target >= 0)
    row = wires.target[sends]
    if isinstance(core, Crossbar) and core.targets_per_neuron is None:
        if sends.size:
            yield f"a column of core {wires.column_core[sends[0]]} has a target of its own"
        spoken = np.unique(wires.column_source[wires.target == EVERYWHERE])
        silent = ~from_host[wires.row_source] & ~np.isin(wires.row_source, spoken)
        for each in np.flatnonzero(silent)[:1]:
            yield f"an axon of core {wires.row_core[each]} has a source that does not send"
        return
    if (wires.target == EVERYWHERE).any():
        yield "a column sends everywhere, which the chip cannot"
    for each in sends[from_host[wires.row_source[row]]][:1]:
        yield f"a column of core {wires.column_core[each]} sends to the axon of an input"
    for each in sends[wires.row_source[row] != wires.column_source[sends]][:1]:
        yield (
            f"a column of core {wires.column_core[each]} sends to another neuron's axon "
            f"of core {wires.row_core[wires.target[each]]}"
        )
    delay = wires.target_delay[sends]
    for each in sends[(delay < limits.low) | (delay > limits.high)][:1]:
        yield f"a column of core {wires.column_core[each]} sends {wires.target_delay[each]} late"
    for each in sends[delay != wires.row_delay[row]][:1]:
        yield f"a column of core {wires.column_core[each]} sends at another time than its axon says"
    times = np.bincount(row, minlength=wires.row_source.size)
    for each in np.flatnonzero((times == 0) & ~from_host[wires.row_source])[:1]:
        yield f"nothing sends to an axon of core {wires.row_core[each]}"
    for each in np.flatnonzero(times > 1)[:1]:
        yield f"two columns send to one axon of core {wires.row_core[each]}"


def _wrong_splitters(wires: Wires) -> Iterator[str]:
    """A splitter reads one axon, of the neuron that it repeats, and fires on each of its spikes."""
    splitter = np.flatnonzero(wires.column_kind == SPLITTER)
    inward = wires.crossings.tocsc()[:, splitter]
    inward.eliminate_zeros()
    for each in splitter[np.diff(inward.indptr) != 1][:1]:
        yield f"a splitter of core {wires.column_core[each]} does not read one axon"
        return
    for each in splitter[wires.row_source[inward.indices] != wires.column_source[splitter]][:1]:
        yield f"a splitter of core {wires.column_core[each]} reads another neuron than it repeats"
    for each in splitter[inward.data <= 0][:1]:
        yield f"a splitter of core {wires.column_core[each]} is never made to fire"


def _wrong_readout(image: Image, wires: Wires) -> Iterator[str]:
    """What is read out leaves the chip."""
    first = np.cumsum([0, *(each.size for each in image.program.populations.values())])
    leaves = (wires.target == OUT) | (wires.target == EVERYWHERE)
    leaves &= wires.column_kind != SPLITTER
    outside = np.unique(wires.column_source[leaves])
    names = list(image.program.populations)
    for name in dict.fromkeys(image.program.outputs.values()):
        number = names.index(name)
        missing = np.setdiff1d(np.arange(first[number], first[number + 1]), outside)
        if missing.size:
            yield f"neuron {missing[0] - first[number]} of {name!r} is not read out"


def _arrivals(wires: Wires, from_host: Array) -> Array:
    """Return the steps from a source's spike to its effect by each row, through splitters."""
    arrival = np.where(from_host[wires.row_source], wires.row_delay, -1)
    sent = wires.target == EVERYWHERE
    everywhere = np.isin(wires.row_source, wires.column_source[sent]) & (arrival < 0)
    arrival[everywhere] = wires.row_delay[everywhere]
    inward = wires.crossings.tocsc()
    inward.eliminate_zeros()
    open_columns = np.flatnonzero(wires.target >= 0)
    splitter = wires.column_kind[open_columns] == SPLITTER
    start = np.zeros(open_columns.size, np.int64)
    fed = np.full(open_columns.size, -1)
    fed[splitter] = inward.indices[inward.indptr[open_columns[splitter]]]
    while open_columns.size:
        ready = np.ones(open_columns.size, bool)
        through = fed >= 0
        start[through] = arrival[fed[through]]
        ready[through] = arrival[fed[through]] >= 0
        if not ready.any():
            return arrival
        done = open_columns[ready]
        arrival[wires.target[done]] = start[ready] + wires.target_delay[done]
        open_columns, start, fed = open_columns[~ready], start[~ready], fed[~ready]
    return arrival


def _wrong_reading(image: Image, wires: Wires, arrival: Array) -> Iterator[str]:
    """Every neuron and every copy reads what the Program says, from whom, when and how much."""
    sizes = [each.size for each in image.program.populations.values()]
    first = dict(zip(image.program.populations, np.cumsum([0, *sizes]).tolist(), strict=False))
    late = 1 + max(int(arrival.max(initial=0)), image.program.max_delay)
    kept = np.flatnonzero(wires.column_kind != SPLITTER)
    read = wires.crossings.tocsc()[:, kept].tocoo()
    sources = wires.row_source[read.row] * late + arrival[read.row]
    shape = (kept.size, sum(sizes) * late)
    found = sp.coo_array((read.data, (read.col, sources)), shape).tocsr()
    cells: list[tuple[Array, Array, Array]] = [(np.zeros(0, np.int64),) * 3]
    for each in image.program.synapses:
        post, pre, weight = cells_of(each)
        scaled = weight.astype(np.int64) << max(each.exponent, 0)
        key = (first[each.pre] + pre.astype(np.int64)) * late + each.delay_steps
        cells.append((first[each.post] + post.astype(np.int64), key, scaled))
    post, key, weight = (np.concatenate(column) for column in zip(*cells, strict=True))
    program = sp.coo_array((weight, (post, key)), (sum(sizes), shape[1])).tocsr()
    differs = sp.coo_array(found - program[wires.column_source[kept]])
    differs.eliminate_zeros()
    if differs.nnz == 0:
        return
    at = int(np.argmin(differs.row))
    column, (source, delay) = kept[differs.row[at]], divmod(int(differs.col[at]), late)
    wanted = int(program[[wires.column_source[column]], [differs.col[at]]][0])
    yield (
        f"{_named(image, int(wires.column_source[column]))} on core {wires.column_core[column]} "
        f"reads {_named(image, source)} after {delay} with a weight of "
        f"{wanted + int(differs.data[at])}, not {wanted}; {differs.nnz} synapses differ"
    )


def _named(image: Image, number: int) -> str:
    for name, population in image.program.populations.items():
        if number < population.size:
            return f"neuron {number} of {name!r}"
        number -= population.size
    return f"neuron {number}"


def _wrong_packets(image: Image, wires: Wires) -> Iterator[str]:
    """The routes are the packets: one for each axon that is read, from the column that sends."""
    crossings = np.diff(wires.crossings.indptr)
    sender = np.full(crossings.size, FROM_HOST)
    sends = wires.target >= 0
    sender[wires.target[sends]] = wires.column_core[sends]
    own = (wires.target == EVERYWHERE) & (wires.column_kind == ITSELF)
    sizes = [each.size for each in image.program.populations.values()]
    home = np.full(sum(sizes), FROM_HOST)
    home[wires.column_source[own]] = wires.column_core[own]
    sender = np.where(sender == FROM_HOST, home[wires.row_source], sender)
    used = crossings > 0
    columns = (wires.row_source, wires.row_core, sender, crossings)
    wanted = np.stack([column[used] for column in columns])
    first = dict(zip(image.program.populations, np.cumsum([0, *sizes]).tolist(), strict=False))
    found = [np.zeros((4, 0), np.int64)]
    for route in image.routes:
        lengths = {route.neurons.size, route.source_cores.size, route.synapses.size}
        if route.pre not in first or lengths != {route.sparse.size}:
            yield f"the route of {route.pre!r} to core {route.target_core} is not one"
            return
        target = np.full(route.neurons.size, route.target_core)
        source = first[route.pre] + route.neurons
        found.append(np.stack([source, target, route.source_cores, route.synapses]))
        if route.sparse.any():
            yield f"the route of {route.pre!r} has indices, which a crossbar has not"
    told = np.concatenate(found, axis=1)
    told, wanted = (each[:, np.lexsort(each)] for each in (told, wanted))
    if told.shape != wanted.shape:
        yield f"the routes are {told.shape[1]} axons, {wanted.shape[1]} of the cores are read"
        return
    for at in np.flatnonzero((told != wanted).any(axis=0))[:1]:
        yield (
            f"{_named(image, int(wanted[0, at]))} sends from core {wanted[2, at]} to "
            f"{wanted[3, at]} crossings of core {wanted[1, at]}, the routes have another"
        )
