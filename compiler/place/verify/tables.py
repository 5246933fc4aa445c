"""Read the packed tables of cores of lists back: every synapse once, with its weight and delay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.lists.tables import HOST, CoreTables
from spikeport.compiler.place.verify.counts import cells_of


def wrong_tables(image: Image, tables: Mapping[int, CoreTables]) -> Iterator[str]:
    """Yield what is wrong with the tables.

    Args:
        image: its slices, routes and cores are right.
        tables: core number -> its tables, and those of the host.
    """
    wanted = {HOST, *(use.core for use in image.cores)}
    for core in wanted ^ set(tables):
        yield f"core {core} has tables, or should have"
    if wanted != set(tables):
        return
    for step in (
        _wrong_slots,
        _wrong_axons,
        _wrong_lists,
        _wrong_formats,
        _wrong_out_axons,
        _wrong_synapses,
    ):
        wrong = [*step(image, tables)]
        yield from wrong
        if wrong:
            return


def _wrong_slots(image: Image, tables: Mapping[int, CoreTables]) -> Iterator[str]:
    """Every neuron of a core's slices is in one of its compartments."""
    first = _first_of(image)
    numbers = {name: number for number, name in enumerate(image.program.populations)}
    expected: dict[int, list[Array]] = {core: [] for core in tables}
    for part in image.slices:
        expected[part.core].append(first[numbers[part.population]] + part.neurons)
    for name in image.program.inputs:
        size = image.program.populations[name].size
        expected[HOST].append(first[numbers[name]] + np.arange(size))
    for core, table in tables.items():
        if _outside(table.slot_population, len(numbers)):
            yield f"a compartment of core {core} holds a population that does not exist"
            continue
        held = np.sort(_who(first, table))
        who = np.sort(_joined(expected[core]))
        if held.size != who.size:
            yield f"core {core} has {held.size} compartments in its table, {who.size} in its slices"
        elif (np.diff(held) == 0).any():
            yield f"a neuron is in two compartments of core {core}"
        elif not np.array_equal(held, who):
            yield f"a compartment of core {core} holds a neuron of another core"


def _wrong_axons(image: Image, tables: Mapping[int, CoreTables]) -> Iterator[str]:
    """Every in-axon has a projection, and a sender of that projection."""
    names = list(image.program.populations)
    sizes = np.array([each.size for each in image.program.populations.values()])
    pre = np.array([names.index(each.pre) for each in image.program.synapses], np.int64)
    uses = {use.core: use for use in image.cores}
    for core, table in tables.items():
        if _outside(table.axon_projection, pre.size):
            yield f"an in-axon of core {core} has a projection that does not exist"
        elif (pre[table.axon_projection] != table.axon_population).any():
            yield f"an in-axon of core {core} has a projection of another population"
        elif (table.axon_neuron >= sizes[table.axon_population]).any():
            yield f"an in-axon of core {core} has a sender that does not exist"
        if core != HOST and table.axon_neuron.size != uses[core].used("in_axons"):
            told = uses[core].used("in_axons")
            yield f"core {core} has {table.axon_neuron.size} in-axons in its table, {told} are told"


def _wrong_lists(image: Image, tables: Mapping[int, CoreTables]) -> Iterator[str]:
    """Lists lie one behind the other, without gaps, and end at targets of their projection."""
    names = list(image.program.populations)
    post = np.array([names.index(each.post) for each in image.program.synapses], np.int64)
    for core, table in tables.items():
        size = table.target.size
        if not size == table.weight.size == table.delay.size:
            yield f"the synapses of core {core} do not all have a target, a weight and a delay"
            continue
        order = np.argsort(table.axon_start, kind="stable")
        start = table.axon_start[order]
        end = start + table.axon_length[order]
        if (table.axon_length <= 0).any():
            yield f"an in-axon of core {core} has no list"
        elif start.size and (start[0] < 0 or end.max() > size):
            yield f"a list of core {core} leaves its memory of {size} synapses"
        elif (start[1:] < end[:-1]).any():
            yield f"two lists of core {core} overlap"
        elif int(table.axon_length.sum()) != size:
            yield f"core {core} has synapses that are in no list"
        elif _outside(table.target, table.slot_neuron.size):
            yield f"a synapse of core {core} ends at a compartment that does not exist"
        else:
            projection = np.repeat(table.axon_projection[order], table.axon_length[order])
            if (table.slot_population[table.target] != post[projection]).any():
                yield f"a synapse of core {core} ends at a neuron of another population"


def _wrong_formats(image: Image, tables: Mapping[int, CoreTables]) -> Iterator[str]:
    """As many synapses are in lists with indices as the routes to a core say."""
    indexed = dict.fromkeys(tables, 0)
    for route in image.routes:
        indexed[route.target_core] += int(route.sparse.sum())
    for core, table in tables.items():
        found = int(table.axon_length[~table.axon_dense].sum())
        if found != indexed[core]:
            yield f"core {core} stores {found} synapses with an index, its routes {indexed[core]}"


def _wrong_out_axons(image: Image, tables: Mapping[int, CoreTables]) -> Iterator[str]:
    """Every in-axon is served by one out-axon, that of its sender."""
    first = _first_of(image)
    cores = np.array(sorted(tables))
    held = [tables[int(core)] for core in cores]
    for core, table in zip(cores, held, strict=True):
        if _outside(table.out_slot, table.slot_neuron.size):
            yield f"an out-axon of core {core} starts at a compartment that does not exist"
            return
        if not np.isin(table.out_core, cores).all():
            yield f"an out-axon of core {core} ends at a core that does not exist"
            return
    sender = _joined(
        [first[t.slot_population[t.out_slot]] + t.slot_neuron[t.out_slot] for t in held]
    )
    listed = _joined([first[t.axon_population] + t.axon_neuron for t in held])
    source = np.repeat(cores, [table.out_slot.size for table in held])
    ends = _joined([table.out_core for table in held])
    start = _joined([table.out_axon for table in held])
    count = _joined([table.out_count for table in held])
    axons = np.array([table.axon_neuron.size for table in held])
    target = np.searchsorted(cores, ends)
    bad = np.flatnonzero((start < 0) | (count < 1) | (start + count > axons[target]))
    if bad.size:
        yield f"an out-axon of core {source[bad[0]]} ends at no in-axon of core {ends[bad[0]]}"
        return
    pairs = np.sort(sender * (cores.size + 1) + target)
    if (np.diff(pairs) == 0).any():
        yield "a compartment has two out-axons to one core"
    there = np.repeat(_before(axons)[target] + start - _before(count), count)
    there += np.arange(there.size)
    other = np.flatnonzero(np.repeat(sender, count) != listed[there])
    if other.size:
        at = np.searchsorted(np.cumsum(count), other[0], "right")
        yield f"an out-axon of core {source[at]} ends at another sender's in-axon of {ends[at]}"
    times = np.bincount(there, minlength=listed.size)
    unserved = np.flatnonzero(times != 1)
    if unserved.size:
        core = cores[np.searchsorted(np.cumsum(axons), unserved[0], "right")]
        yield f"an in-axon of core {core} is served by {times[unserved[0]]} out-axons"


def _wrong_synapses(image: Image, tables: Mapping[int, CoreTables]) -> Iterator[str]:
    """The tables hold the synapses of the Program, each with its weight and delay."""
    order = {core: np.argsort(table.axon_start) for core, table in tables.items()}
    columns = [_per_synapse(table, order[core]) for core, table in tables.items()]
    projection, sender, target, weight, delay = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    where = np.argsort(projection, kind="stable")
    starts = np.searchsorted(projection[where], np.arange(len(image.program.synapses) + 1))
    for number, each in enumerate(image.program.synapses):
        chosen = where[starts[number] : starts[number + 1]]
        if (delay[chosen] != each.delay_steps).any():
            yield f"a synapse of {each.name!r} has not its delay of {each.delay_steps}"
        post, pre, mantissa = cells_of(each)
        width = image.program.populations[each.pre].size
        wanted = post.astype(np.int64) * width + pre
        found = target[chosen].astype(np.int64) * width + sender[chosen]
        if wanted.size != found.size:
            yield f"the tables hold {found.size} synapses of {each.name!r}, not {wanted.size}"
            continue
        bits = 1 + int(np.abs(mantissa.astype(np.int64)).max(initial=0)).bit_length()
        yield from _compared(each.name, wanted, mantissa, found, weight[chosen], bits)


def _compared(
    name: str, wanted: Array, mantissa: Array, found: Array, weight: Array, bits: int
) -> Iterator[str]:
    """Compare two lists of (cell, weight) in any order."""
    low, mask = -(1 << (bits - 1)), (1 << bits) - 1
    if ((weight < low) | (weight > -low)).any():
        yield f"a weight of {name!r} is larger than any of the program's"
        return
    expected = _sorted(wanted << bits | (mantissa.astype(np.int64) & mask))
    read = _sorted(found << bits | (weight.astype(np.int64) & mask))
    differs = np.flatnonzero(expected != read)
    if differs.size == 0:
        return
    same_cells = np.array_equal(expected >> bits, read >> bits)
    what = "has another weight" if same_cells else "is at another place, or twice"
    yield f"a synapse of {name!r} {what} in the tables, {differs.size} differ"


def _sorted(keys: Array) -> Array:
    return keys if (keys[1:] >= keys[:-1]).all() else np.sort(keys)


def _per_synapse(table: CoreTables, order: Array) -> tuple[Array, ...]:
    """Return (projection, sender, target neuron, weight, delay) of every synapse of a core."""
    length = table.axon_length[order]
    return (
        np.repeat(table.axon_projection[order], length),
        np.repeat(table.axon_neuron[order], length),
        table.slot_neuron[table.target],
        table.weight,
        table.delay,
    )


def _who(first: Array, table: CoreTables) -> Array:
    """Return who is in each compartment, numbered through all populations."""
    return np.asarray(first[table.slot_population] + table.slot_neuron)


def _first_of(image: Image) -> Array:
    """Return where each population begins when all neurons are numbered through."""
    sizes = [each.size for each in image.program.populations.values()]
    return np.cumsum([0, *sizes])[:-1]


def _before(count: Array) -> Array:
    return np.cumsum(count) - count


def _outside(numbers: Array, end: int) -> bool:
    return bool(numbers.size and (numbers.min() < 0 or numbers.max() >= end))


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0, np.int64), *parts])
