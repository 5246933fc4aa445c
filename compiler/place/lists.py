"""Place a Program on cores with in-axons and synapse lists (Loihi-like, SpiNNaker).

Populations are cut into slices of neighbours that share inputs, as large as a core allows and
then balanced; small ones share a core. `assign` puts the cores where spikes have short ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError, Violation
from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.assign import assign
from spikeport.compiler.place.memory import axon_bits, list_bits
from spikeport.compiler.place.order import neuron_order
from spikeport.compiler.place.routes import find_routes, mesh_of, traffic_between
from spikeport.compiler.program import CellPopulation, Program, Synapses

#: Resource of a core -> (its words after a number, what to do where one neuron breaks it).
RESOURCES = {
    "compartments": ("compartments", "use fewer neurons"),
    "in_axons": ("in-axons", "keep at most {limit} of its inputs"),
    "out_axons": ("out-axons", "let it reach at most {limit} cores"),
    "synaptic_memory_bits": ("bits of synaptic memory", "keep at most {synapses} of its inputs"),
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


@dataclass
class Open:
    """A core that is being filled: (population, neurons, what they need)."""

    held: list[tuple[str, Array, dict[str, int]]] = field(default_factory=list)


def place_lists(program: Program, chip: Chip, chips: int) -> Image:
    """Return the Program on cores of lists; see `place`."""
    core = _lists(chip)
    ordered = {name: _ordered(program, name) for name in program.neurons}
    parts, violations = _cut(program, ordered, core)
    cores: list[Open] = []
    for name, held in parts.items():
        for neurons, need in held:
            _put(cores, name, neurons, need, core)
    if len(cores) > chip.cores * chips:
        violations.append(_too_many(program, len(cores), chip, chips))
    if violations:
        raise FitError(
            f"{program.name} does not fit {chip.name}",
            violations,
            "change the network as each line says, or choose a larger chip",
        )
    logical = tuple(
        Slice(name, neurons, number)
        for number, each in enumerate(cores)
        for name, neurons, _ in each.held
    )
    rows = {each.name: each.rows for each in program.synapses}
    routes = find_routes(program, logical, rows, _is_sparse(core))
    where = assign(traffic_between(routes, len(cores)), mesh_of(chip, chips))
    out_axons = np.zeros(len(cores), np.int64)
    for route in routes:
        if route.source_core >= 0:
            out_axons[route.source_core] += route.neurons.size
    uses = [
        _use(chip, core, int(where[number]), each, int(out_axons[number]))
        for number, each in enumerate(cores)
    ]
    return Image(
        program,
        chip,
        tuple(Slice(part.population, part.neurons, int(where[part.core])) for part in logical),
        tuple(route.on(where) for route in routes),
        tuple(sorted(uses, key=lambda use: use.core)),
        chips,
    )


def _lists(chip: Chip) -> Lists:
    if not isinstance(chip.core, Lists):
        raise TypeError(f"{chip.name} is not built of lists")
    return chip.core


def _ordered(program: Program, name: str) -> Ordered:
    population = program.populations[name]
    rows = [(each, each.rows) for each in program.into(name)]
    order = neuron_order(
        [matrix for each, matrix in rows if each.pre != name],
        population.shape,
        [matrix for each, matrix in rows if each.pre == name],
    )
    cell = population.cell
    codes = np.zeros((population.size, 2), np.int64)
    if cell is not None:
        table = np.stack(cell.configuration)
        codes[:, 0] = np.unique(table, axis=1, return_inverse=True)[1].ravel()
        codes[:, 1] = np.unique(cell.v_threshold, return_inverse=True)[1].ravel()
    incoming = tuple((each, matrix[order]) for each, matrix in rows)
    grain = population.shape[0] if len(population.shape) == 3 else 1
    return Ordered(name, population, order, incoming, codes[order], grain)


Parts = dict[str, list[tuple[Array, dict[str, int]]]]


def _cut(
    program: Program, ordered: dict[str, Ordered], core: Lists
) -> tuple[Parts, list[Violation | str]]:
    """Return the slices of every population, and the limits that no slicing can keep.

    How many cores a neuron sends to depends on how its targets are cut, so populations are cut
    until the out-axons do not change any more: at once without recurrence, else in a few rounds.
    """
    sizes = {name: program.populations[name].size for name in program.populations}
    out_axons = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    bounded = core.out_axons is not None
    parts: Parts = {}
    for _ in range(len(ordered) + 4):
        violations: list[Violation | str] = []
        parts = {
            name: _slices(each, out_axons[name], core, violations) for name, each in ordered.items()
        }
        if violations or not bounded:
            break
        reached = _reached(ordered, parts, sizes)
        if all((reached[name] <= out_axons[name]).all() for name in reached):
            break
        out_axons = {name: np.maximum(reached[name], out_axons[name]) for name in reached}
    return parts, violations


def _reached(ordered: dict[str, Ordered], parts: Parts, sizes: dict[str, int]) -> dict[str, Array]:
    """Return, per neuron, how many slices it sends to."""
    reached = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    for post, each in ordered.items():
        start = 0
        for neurons, _ in parts[post]:
            senders: dict[str, Array] = {}
            for synapses, matrix in each.incoming:
                hit = senders.setdefault(synapses.pre, np.zeros(sizes[synapses.pre], bool))
                hit[_sources(matrix, start, start + neurons.size)] = True
            for pre, hit in senders.items():
                reached[pre] += hit
            start += neurons.size
    return reached


def _sources(matrix: sp.csr_matrix, first: int, end: int) -> Array:
    """Return the columns of the weights in rows first .. end, one for each weight."""
    return np.asarray(matrix.indices[matrix.indptr[first] : matrix.indptr[end]])


def _slices(
    each: Ordered, out_axons: Array, core: Lists, violations: list[Violation | str]
) -> list[tuple[Array, dict[str, int]]]:
    """Return neurons per slice with what they need, in fewest slices, balanced.

    Maps are cut once at any neuron and once at whole positions only (their lists are dense
    then); the cut with fewer slices is taken.
    """
    sent = out_axons[each.order]
    cuts = []
    for grain in {1, each.grain}:
        found: list[Violation | str] = []
        cuts.append((_bounds(each, sent, core, grain, found), found))
    whole = [cut for cut in cuts if not cut[1]] or cuts[:1]
    bounds, found = min(whole, key=lambda cut: len(cut[0]))
    violations += found
    if not found:
        bounds = _balanced(each, sent, core, bounds)
    return [
        (np.sort(each.order[first:end]), _need(each, sent, core, first, end))
        for first, end in pairwise(bounds)
    ]


def _bounds(
    each: Ordered, sent: Array, core: Lists, grain: int, violations: list[Violation | str]
) -> list[int]:
    """Return where slices begin and end: as large as they fit, in multiples of `grain`."""
    bounds, guess = [0], each.order.size
    while bounds[-1] < each.order.size:
        first = bounds[-1]
        largest = min(core.compartments.whole, each.order.size - first)

        def fits(count: int, first: int = first) -> bool:
            return not _broken(_need(each, sent, core, first, first + count), core)

        count = _largest_fitting(fits, largest, guess)
        if count == 0:
            violations += _alone(each, sent, core, first)
            return bounds
        guess = count
        if count > grain and count < largest:
            count -= count % grain
        bounds.append(first + count)
    return bounds


def _balanced(each: Ordered, sent: Array, core: Lists, bounds: list[int]) -> list[int]:
    """Return as many slices of nearly equal size, where these fit too."""
    slices, grains = len(bounds) - 1, each.order.size // each.grain
    if slices < 2 or slices > grains:
        return bounds
    even = (np.arange(slices + 1) * grains // slices * each.grain).tolist()
    fit = all(not _broken(_need(each, sent, core, *pair), core) for pair in pairwise(even))
    return even if fit else bounds


def _largest_fitting(fits: Callable[[int], bool], largest: int, guess: int) -> int:
    """Return the largest count that fits, searched outwards from a guess; 0 where not one does."""
    low, high = 0, largest + 1  # `low` fits, `high` does not
    near, step = min(guess, largest), max(1, guess // 16)
    while high - low > 1:
        if fits(near):
            low, near = near, near + step
        else:
            high, near = near, near - step
        if not low < near < high:
            near = (low + high) // 2
        step *= 2
    return low


def _alone(each: Ordered, sent: Array, core: Lists, first: int) -> list[Violation | str]:
    """Return every limit that a single neuron breaks."""
    need = _need(each, sent, core, first, first + 1)
    synapses = 0
    if core.synaptic_memory_bits is not None:
        one = axon_bits(np.int64(1), max((s.weight_bits for s, _ in each.incoming), default=8) + 12,
                        core)  # fmt: skip
        synapses = core.synaptic_memory_bits.whole // int(one)
    found: list[Violation | str] = []
    for name, (figure, limit) in _broken(need, core).items():
        words, fix = RESOURCES[name]
        who = f"neuron {each.order[first]} of {each.name!r} alone"
        found.append(
            Violation(who, words, figure, limit, fix.format(limit=limit, synapses=synapses))
        )
    return found


def _need(each: Ordered, sent: Array, core: Lists, first: int, end: int) -> dict[str, int]:
    """Return what the neurons at places first .. end of the order ask of a core, by resource."""
    in_axons = bits = count = 0
    for synapses, matrix in each.incoming:
        per_axon = np.bincount(_sources(matrix, first, end))
        in_axons += int(np.count_nonzero(per_axon))
        count += int(matrix.indptr[end] - matrix.indptr[first])
        if core.synaptic_memory_bits is not None:
            delayed = synapses.delay_steps > 1
            bits += list_bits(per_axon, end - first, synapses.weight_bits, delayed, core)[0]
    return {
        "compartments": end - first,
        "in_axons": in_axons,
        "out_axons": int(sent[first:end].sum()),
        "synaptic_memory_bits": bits,
        "compartment_configs": np.unique(each.codes[first:end, 0]).size,
        "threshold_configs": np.unique(each.codes[first:end, 1]).size,
        "synapses": count,
    }


def _broken(need: dict[str, int], core: Lists) -> dict[str, tuple[int, int]]:
    """Return resource -> (figure, limit) of every limit of one core that a need breaks."""
    return {
        name: (need[name], limit.whole)
        for name in RESOURCES
        if (limit := getattr(core, name)) is not None and need[name] > limit.value
    }


def _put(cores: list[Open], name: str, neurons: Array, need: dict[str, int], core: Lists) -> None:
    """Add a slice to the last core if it still fits there, else open a core."""
    if cores:
        others = [held for _, _, held in cores[-1].held]
        total = {key: need[key] + sum(other[key] for other in others) for key in need}
        if not _broken(total, core):
            cores[-1].held.append((name, neurons, need))
            return
    cores.append(Open([(name, neurons, need)]))


def _too_many(program: Program, cores: int, chip: Chip, chips: int) -> Violation:
    enough = -(-cores // chip.cores)
    fix = f"--chips {enough}" if enough <= chip.most_chips else "use fewer or smaller layers"
    return Violation(program.name, "cores", cores, chip.cores * chips, fix)


def _is_sparse(core: Lists) -> Callable[[Synapses, Array, int], bool]:
    """Return the question whether a slice's lists of a projection store an index per synapse."""

    def asked(synapses: Synapses, per_axon: Array, targets: int) -> bool:
        delayed = synapses.delay_steps > 1
        return not list_bits(per_axon, targets, synapses.weight_bits, delayed, core)[1]

    return asked


def _use(chip: Chip, core: Lists, number: int, each: Open, out_axons: int) -> CoreUse:
    needs = [need for _, _, need in each.held]
    total = {key: sum(need[key] for need in needs) for key in needs[0]} | {"out_axons": out_axons}
    held = {
        name: (total[name], None if getattr(core, name) is None else getattr(core, name).whole)
        for name in RESOURCES
    }
    return CoreUse(number, number // chip.cores, *chip.tile(number), total["synapses"], held)
