"""Cut populations into slices that a core of lists can hold.

Slices are neighbours that share inputs, as many as a core allows, then balanced, then refined:
neurons change places between slices where that saves packets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import Violation
from spikeport.compiler.fabric import Lists
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.lists.memory import list_bits
from spikeport.compiler.place.lists.order import neuron_order
from spikeport.compiler.place.lists.refine import refine
from spikeport.compiler.place.routes import count_each
from spikeport.compiler.program import CellPopulation, Program, Synapses

NOT_PUBLISHED = 1 << 62  # no figure is above it
#: Resource of a core -> (its words after a number, what to do where one neuron breaks it).
RESOURCES = {
    "compartments": ("compartments", "use fewer neurons"),
    "in_axons": ("in-axons", "keep at most {limit} inputs of a neuron"),
    "out_axons": ("out-axons", "let a neuron reach at most {limit} cores"),
    "synaptic_memory_bits": ("bits of synaptic memory", "keep at most {inputs} inputs of a neuron"),
    "compartment_configs": ("compartment configurations", "let neurons share time constants"),
    "threshold_configs": ("threshold configurations", "let neurons share thresholds"),
}


@dataclass(frozen=True, eq=False)
class Ordered:
    """A population in the order in which it is cut.

    Attributes:
        name, population: who.
        order: neuron at each place of the order, (n,).
        incoming: projections that end in it, with their rows in that order.
        codes: (n, 2) numbers of each neuron's compartment and threshold configuration.
        grain: slices of whole multiples of it are tried too (channels of a map).
    """

    name: str
    population: CellPopulation
    order: Array
    incoming: tuple[tuple[Synapses, sp.csr_matrix], ...]
    codes: Array
    grain: int

    @property
    def from_others(self) -> list[sp.csr_matrix]:
        """Weights from other populations, rows in the order."""
        return [matrix for each, matrix in self.incoming if each.pre != self.name]

    @property
    def from_itself(self) -> list[sp.csr_matrix]:
        """Weights from the population to itself, rows in the order."""
        return [matrix for each, matrix in self.incoming if each.pre == self.name]

    def taken_in(self, order: Array) -> Ordered:
        """Return the same with its places taken in another order, (n,)."""
        incoming = tuple((each, matrix[order]) for each, matrix in self.incoming)
        return replace(self, order=self.order[order], incoming=incoming, codes=self.codes[order])


def ordered_for_cutting(program: Program, name: str) -> Ordered:
    """Return a population in an order in which those that share inputs are neighbours."""
    population = program.populations[name]
    rows = tuple((each, each.rows) for each in program.into(name))
    cell = population.cell
    codes = np.zeros((population.size, 2), np.int64)
    if cell is not None:
        table = np.stack(cell.configuration)
        codes[:, 0] = np.unique(table, axis=1, return_inverse=True)[1].ravel()
        codes[:, 1] = np.unique(cell.v_threshold, return_inverse=True)[1].ravel()
    grain = population.shape[0] if len(population.shape) == 3 else 1
    natural = Ordered(name, population, np.arange(population.size), rows, codes, grain)
    order = neuron_order(natural.from_others, population.shape, natural.from_itself)
    return natural.taken_in(order)


Bounds = dict[str, list[int]]


def cut(
    program: Program, core: Lists
) -> tuple[dict[str, Ordered], Bounds, dict[str, Array], list[Violation | str]]:
    """Return populations in order, their cuts, out-axons per neuron, and what no cut can keep.

    How many cores a neuron sends to depends on how its targets are cut, so what has too many
    out-axons is cut further until nothing has.
    """
    sizes = {name: program.populations[name].size for name in program.populations}
    out_axons = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    ordered = {name: ordered_for_cutting(program, name) for name in program.neurons}
    bounds: Bounds = {}
    violations: list[Violation | str] = []
    for name, each in ordered.items():
        broken = _alone(each, out_axons[name], core)
        violations += broken
        bounds[name] = [0] if broken else _slices(each, core)
        ordered[name] = each if broken else _refined(each, bounds[name], core)
    again = core.out_axons is not None and not violations
    while again:
        out_axons = _reached(ordered, bounds, sizes)
        again = False
        for name, each in ordered.items():
            sent = out_axons[name][each.order]
            broken = _alone(each, sent, core)
            further = bounds[name] if broken else _further(bounds[name], sent, core)
            violations += broken
            again |= len(further) > len(bounds[name])
            bounds[name] = further
        again &= not violations
    return ordered, bounds, out_axons, violations


def _refined(each: Ordered, bounds: list[int], core: Lists) -> Ordered:
    """Return neurons exchanged between the slices, where fewer packets are sent and all fit."""
    if each.grain > 1 or len(bounds) < 3:
        return each
    own = [matrix[:, each.order] for matrix in each.from_itself]
    places = refine(np.arange(each.order.size), bounds, each.from_others, own)
    other = each.taken_in(places)
    fit = all(load_of(need_of(other, core, *pair), core) <= 1 for pair in pairwise(bounds))
    return other if fit else each


def _further(bounds: list[int], sent: Array, core: Lists) -> list[int]:
    """Return the bounds with every slice that has too many out-axons cut in equal parts."""
    most = 1 if core.out_axons is None else core.out_axons.whole
    new = [0]
    for first, end in pairwise(bounds):
        parts = max(min(-(-int(sent[first:end].sum()) // most), end - first), 1)
        new += [first + (end - first) * (part + 1) // parts for part in range(parts)]
    return new


def _reached(
    ordered: dict[str, Ordered], bounds: Bounds, sizes: dict[str, int]
) -> dict[str, Array]:
    """Return, per neuron, how many slices it sends to."""
    reached = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    for post, each in ordered.items():
        for first, end in pairwise(bounds[post]):
            senders: dict[str, list[Array]] = {}
            for synapses, matrix in each.incoming:
                senders.setdefault(synapses.pre, []).append(_sources(matrix, first, end))
            for pre, found in senders.items():
                reached[pre][np.unique(np.concatenate(found))] += 1
    return reached


def _sources(matrix: sp.csr_matrix, first: int, end: int) -> Array:
    """Return the columns of the weights in rows first .. end, one for each weight."""
    return np.asarray(matrix.indices[matrix.indptr[first] : matrix.indptr[end]])


def _slices(each: Ordered, core: Lists) -> list[int]:
    """Return where slices begin and end: as few as possible, and balanced.

    Maps are cut once at any neuron and once at whole positions only (their lists are dense
    then); the cut with fewer slices is taken.
    """
    cuts = (_bounds(each, core, grain) for grain in {1, each.grain})
    return _balanced(each, core, min(cuts, key=len))


def _bounds(each: Ordered, core: Lists, grain: int) -> list[int]:
    """Return where slices begin and end: as large as they fit, in multiples of `grain`."""
    bounds, guess = [0], each.order.size
    while bounds[-1] < each.order.size:
        first = bounds[-1]
        largest = min(core.compartments.whole, each.order.size - first)

        def load(count: int, first: int = first) -> float:
            return load_of(need_of(each, core, first, first + count), core)

        guess = count = max(_largest_fitting(load, largest, guess), 1)
        if count > grain and count < largest:
            count -= count % grain
        bounds.append(first + count)
    return bounds


def _balanced(each: Ordered, core: Lists, bounds: list[int]) -> list[int]:
    """Return as many slices of nearly equal size, where these fit too."""
    slices, grains = len(bounds) - 1, each.order.size // each.grain
    if slices < 2 or slices > grains:
        return bounds
    even: list[int] = (np.arange(slices + 1) * grains // slices * each.grain).tolist()
    return (
        even
        if all(load_of(need_of(each, core, *pair), core) <= 1 for pair in pairwise(even))
        else bounds
    )


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


def _alone(each: Ordered, sent: Array, core: Lists) -> list[Violation | str]:
    """Return every limit that a neuron breaks by itself, with the worst such neuron."""
    in_axons, bits, most = (np.zeros(each.order.size, np.int64) for _ in range(3))
    for synapses, matrix in each.incoming:
        inputs = np.diff(matrix.indptr).astype(np.int64)
        in_axons += inputs
        one = list_bits(
            np.ones(1, np.int64), 1, synapses.weight_bits, synapses.delay_steps > 1, core
        )
        bits += inputs * one[0]
        most = np.maximum(most, one[0])
    found: list[Violation | str] = []
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


def need_of(each: Ordered, core: Lists, first: int, end: int) -> dict[str, int]:
    """Return what the neurons at places first .. end of the order ask of a core, by resource.

    Out-axons are not among it: they depend on how everything else is cut.
    """
    in_axons = bits = count = 0
    for synapses, matrix in each.incoming:
        per_axon = count_each(_sources(matrix, first, end), matrix.shape[1])[1]
        in_axons += per_axon.size
        count += int(matrix.indptr[end] - matrix.indptr[first])
        if core.synaptic_memory_bits is not None:
            delayed = synapses.delay_steps > 1
            bits += list_bits(per_axon, end - first, synapses.weight_bits, delayed, core)[0]
    return {
        "compartments": end - first,
        "in_axons": in_axons,
        "out_axons": 0,
        "synaptic_memory_bits": bits,
        "compartment_configs": np.unique(each.codes[first:end, 0]).size,
        "threshold_configs": np.unique(each.codes[first:end, 1]).size,
        "synapses": count,
    }


def load_of(need: dict[str, int], core: Lists) -> float:
    """Return the largest share of a core's limits that a need takes; above 1 it does not fit."""
    return max(need[name] / limit for name, limit in limits_of(core).items())


def limits_of(core: Lists) -> dict[str, int]:
    """Return the limits that are published, by resource."""
    figures = ((name, getattr(core, name)) for name in RESOURCES)
    return {name: figure.whole for name, figure in figures if figure is not None}
