"""Cut populations into slices that a core of lists can hold.

Slices are neighbours that share inputs, as many as a core allows, then balanced, then refined:
neurons change places between slices where that saves packets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import Violation
from spikeport.compiler.fabric import Lists
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.counts import ones_in
from spikeport.compiler.place.lists.memory import list_bits
from spikeport.compiler.place.lists.need import (
    NOT_PUBLISHED,
    RESOURCES,
    Ordered,
    inputs_of,
    limits_of,
    load_of,
    needs_of,
    ordered,
)
from spikeport.compiler.place.lists.order import DENSE, neuron_order
from spikeport.compiler.place.lists.refine import refine
from spikeport.compiler.place.structure import by_chance
from spikeport.compiler.program import Program, Synapses

LARGE = 1_000_000  # synapses of a population; smaller ones are searched without a test
AHEAD = 64  # slices from which on many are cut at once
ROOM = 0.993  # of a core's limits that these are meant to take, and at least do:
TAKEN = 0.95

Bounds = list[int]
Found = list[Violation | str]


@dataclass(frozen=True, eq=False)
class Cut:
    """Populations in order, and where they are cut; each mapping by population.

    Attributes:
        ordered: in the order in which they are cut.
        bounds: places of the order where slices begin and end.
        lists: per projection the synapses of each sender in each slice.
        out_axons: how many slices each neuron sends to, (n,); 0 where the chip has no limit.
        violations: what no cut can keep; then the others may be missing.
    """

    ordered: Mapping[str, Ordered]
    bounds: Mapping[str, Bounds]
    lists: Mapping[str, Sequence[sp.csr_array]]
    out_axons: Mapping[str, Array]
    violations: Found


def cut(program: Program, core: Lists) -> Cut:
    """Return the cuts of all populations.

    How many cores a neuron sends to depends on how its targets are cut, so what has too many
    out-axons is cut further until nothing has.
    """
    out_axons = {name: np.zeros(each.size, np.int64) for name, each in program.populations.items()}
    found: dict[str, Ordered] = {}
    bounds: dict[str, Bounds] = {}
    violations: Found = []
    for name in program.neurons:
        search = _searched(program, name)
        each = ordered(program, name, core, _order(program, name, search))
        broken = _alone(each, out_axons[name], core)
        violations += broken
        bounds[name] = [0] if broken else _slices(each, core)
        found[name] = each if broken else _refined(each, bounds[name], core, search)
    if violations:
        return Cut(found, bounds, {}, out_axons, violations)
    lists = {name: each.lists(bounds[name]) for name, each in found.items()}
    again = core.out_axons is not None
    while again:
        out_axons = _reached(found, lists, out_axons)
        again = False
        for name, each in found.items():
            sent = out_axons[name][each.order]
            broken = _alone(each, sent, core)
            violations += broken
            further = bounds[name] if broken else _further(bounds[name], sent, core)
            if len(further) > len(bounds[name]):
                again, bounds[name], lists[name] = True, further, each.lists(further)
        again &= not violations
    return Cut(found, bounds, lists, out_axons, violations)


def _searched(program: Program, name: str) -> list[Synapses]:
    """Return the projections into a population, or none where no order can gain anything."""
    into = program.into(name)
    if sum(each.count for each in into) <= LARGE or not all(map(_without_structure, into)):
        return into
    return []


def _without_structure(each: Synapses) -> bool:
    """Is a projection dense, or drawn by chance."""
    places = each.stored.shape[0] * each.stored.shape[1]
    return each.count > DENSE * places or by_chance(each.stored)


def _order(program: Program, name: str, search: Sequence[Synapses]) -> Array:
    """Return the neurons in an order in which those that share inputs are neighbours."""
    rows = [(each, each.rows) for each in search]
    return neuron_order(
        [matrix for each, matrix in rows if each.pre != name],
        program.populations[name].shape,
        [matrix for each, matrix in rows if each.pre == name],
    )


def _refined(each: Ordered, bounds: Bounds, core: Lists, search: Sequence[Synapses]) -> Ordered:
    """Return neurons exchanged between the slices, where fewer packets are sent and all fit."""
    if each.grain > 1 or len(bounds) < 3 or not search:
        return each
    inputs = [one.rows[each.order] for one in search if one.pre != each.name]
    own = [one.rows[each.order][:, each.order] for one in search if one.pre == each.name]
    places = refine(np.arange(each.order.size), bounds, inputs, own)
    other = each.taken_in(places)
    return other if _fit(other, core, bounds) else each


def _fit(each: Ordered, core: Lists, bounds: Bounds) -> bool:
    return bool((_loads(each, core, bounds) <= 1).all())


def _loads(each: Ordered, core: Lists, bounds: Bounds) -> Array:
    return np.asarray(load_of(needs_of(each, core, bounds), limits_of(core)))


def _further(bounds: Bounds, sent: Array, core: Lists) -> Bounds:
    """Return the bounds with every slice that has too many out-axons cut in equal parts."""
    most = 1 if core.out_axons is None else core.out_axons.whole
    new = [0]
    for first, end in pairwise(bounds):
        parts = max(min(-(-int(sent[first:end].sum()) // most), end - first), 1)
        new += [first + (end - first) * (part + 1) // parts for part in range(parts)]
    return new


def _reached(
    found: Mapping[str, Ordered],
    lists: Mapping[str, Sequence[sp.csr_array]],
    sizes: Mapping[str, Array],
) -> dict[str, Array]:
    """Return, per neuron, how many slices it sends to."""
    reached = {name: np.zeros_like(each) for name, each in sizes.items()}
    for name, each in found.items():
        senders: dict[str, sp.csr_array] = {}
        for (synapses, _), held in zip(each.incoming, lists[name], strict=True):
            some, pre = ones_in(held), synapses.pre
            senders[pre] = senders[pre] + some if pre in senders else some
        for pre, held in senders.items():
            reached[pre] += np.bincount(held.indices, minlength=reached[pre].size)
    return reached


def _slices(each: Ordered, core: Lists) -> Bounds:
    """Return where slices begin and end: as few as possible, and balanced.

    Maps are cut once at any neuron and once at whole positions only (their lists are dense
    then); the cut with fewer slices is taken.
    """
    cuts = (_bounds(each, core, grain) for grain in {1, each.grain})
    return _balanced(each, core, min(cuts, key=len))


def _bounds(each: Ordered, core: Lists, grain: int) -> Bounds:
    """Return where slices begin and end: as large as they fit, in multiples of `grain`."""
    bounds, guess, size = [0], each.order.size, each.order.size
    before = np.concatenate([[0], np.cumsum(each.inputs[each.order])])
    while bounds[-1] < size:
        first = bounds[-1]
        largest = min(core.compartments.whole, size - first)

        def load(count: int, first: int = first) -> float:
            return float(_loads(each, core, [first, first + count])[0])

        guess = count = max(_largest_fitting(load, largest, guess), 1)
        if count > grain and count < largest:
            count -= count % grain
        bounds.append(first + count)
        if grain == 1 and size - first > AHEAD * count:
            bounds += _ahead(each, core, before, first, first + count)
    return bounds


def _ahead(each: Ordered, core: Lists, before: Array, first: int, end: int) -> Bounds:
    """Return where slices behind a full one end, as long as those alike to it are as full.

    They are counted together, more and more at once while all are right.

    Args:
        each: the population.
        core: what has to hold a slice.
        before: synapses of all neurons before each place of the order, (n + 1,).
        first, end: of the full slice.
    """
    most = core.compartments.whole
    share = int(ROOM * (before[end] - before[first]) / _loads(each, core, [first, end])[0])
    bounds, batch = [end], 2
    while True:
        ends = bounds[-1:]
        while len(ends) <= batch and ends[-1] < each.order.size:
            room = int(np.searchsorted(before, before[ends[-1]] + share, "right")) - 1
            last = ends[-1] + most if end - first == most else min(room, ends[-1] + most)
            ends.append(min(max(last, ends[-1] + 1), each.order.size))
        if len(ends) == 1:
            return bounds[1:]
        loads = _loads(each, core, ends)
        wrong = np.flatnonzero((loads > 1) | (loads < TAKEN))
        bounds += ends[1 : 1 + (wrong[0] if wrong.size else len(loads))]
        if wrong.size:
            return bounds[1:]
        batch *= 2


def _balanced(each: Ordered, core: Lists, bounds: Bounds) -> Bounds:
    """Return as many slices of nearly equal size, where these fit too."""
    slices, grains = len(bounds) - 1, each.order.size // each.grain
    if slices < 2 or slices > grains:
        return bounds
    even: Bounds = (np.arange(slices + 1) * grains // slices * each.grain).tolist()
    most = int(np.add.reduceat(each.inputs[each.order], even[:-1]).argmax())  # likely the fullest
    return even if _fit(each, core, even[most : most + 2]) and _fit(each, core, even) else bounds


def _largest_fitting(load: Callable[[int], float], largest: int, guess: int) -> int:
    """Return a count with load <= 1, the largest to within one in 64; 0 where not one has it.

    Loads grow nearly in proportion to counts, so the next guess is the count over its load.
    """
    low, high, near = 0, largest + 1, min(guess, largest)  # `low` fits, `high` does not
    while high - low > max(1, low // 64):
        share = load(near)
        low, high = (near, high) if share <= 1 else (low, near)
        near = min(max(int(near / max(share, 1e-9)), low + 1), high - 1)
    return low


def _alone(each: Ordered, sent: Array, core: Lists) -> Found:
    """Return every limit that a neuron breaks by itself, with the worst such neuron."""
    in_axons, bits, most = (np.zeros(each.order.size, np.int64) for _ in range(3))
    one = np.ones(1, np.int64)
    for synapses, ones in each.incoming:
        inputs = inputs_of(ones)[each.order]
        in_axons += inputs
        width, delayed = synapses.weight_bits, synapses.delay_steps > 1
        price = list_bits(one, np.arange(2), one, width, delayed, core)[0]
        bits += inputs * price
        most = np.maximum(most, price)
    found: Found = []
    for name, figures in (
        ("in_axons", in_axons), ("out_axons", sent), ("synaptic_memory_bits", bits)
    ):  # fmt: skip
        limit = limits_of(core).get(name, NOT_PUBLISHED)
        broken = np.count_nonzero(figures > limit)
        if not broken:
            continue
        worst = int(figures.argmax())
        words, fix = RESOURCES[name]
        others = f" (the worst of {broken} such neurons)" if broken > 1 else ""
        who = f"neuron {each.order[worst]} of {each.name!r} alone{others}"
        told = fix.format(limit=limit, inputs=limit // max(int(most[worst]), 1))
        found.append(Violation(who, words, int(figures[worst]), limit, told))
    return found
