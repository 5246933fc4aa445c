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
from spikeport.compiler.place.memory import list_bits
from spikeport.compiler.place.order import neuron_order
from spikeport.compiler.place.routes import (
    OUTSIDE,
    count_each,
    find_routes,
    mesh_of,
    moved,
    traffic_between,
)
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


@dataclass
class Open:
    """A core that is being filled: (population, neurons, what they need)."""

    held: list[tuple[str, Array, dict[str, int]]] = field(default_factory=list)


def place_lists(program: Program, chip: Chip, chips: int) -> Image:
    """Return the Program on cores of lists; see `place`."""
    core = _lists(chip)
    ordered = {name: _ordered(program, name) for name in program.neurons}
    bounds, out_axons, violations = _cut(program, ordered, core)
    cores: list[Open] = []
    for name, each in ordered.items():
        sent = out_axons[name][each.order]
        for first, end in pairwise(bounds[name]):
            need = _need(each, core, first, end)
            need["out_axons"] = int(sent[first:end].sum())
            _put(cores, name, np.sort(each.order[first:end]), need, core)
    if len(cores) > chip.cores * chips:
        violations.append(_too_many(program, cores, chip, chips))
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
    sending = np.zeros(len(cores), np.int64)
    for route in routes:
        inside = route.source_cores[route.source_cores != OUTSIDE]
        sending += np.bincount(inside, minlength=len(cores))
    uses = [
        _use(chip, core, int(where[number]), each, int(sending[number]))
        for number, each in enumerate(cores)
    ]
    return Image(
        program,
        chip,
        tuple(Slice(part.population, part.neurons, int(where[part.core])) for part in logical),
        moved(routes, where),
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


Bounds = dict[str, list[int]]


def _cut(
    program: Program, ordered: dict[str, Ordered], core: Lists
) -> tuple[Bounds, dict[str, Array], list[Violation | str]]:
    """Return where each population is cut, out-axons per neuron, and what no cut can keep.

    How many cores a neuron sends to depends on how its targets are cut, so what has too many
    out-axons is cut further until nothing has.
    """
    sizes = {name: program.populations[name].size for name in program.populations}
    out_axons = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    bounds: Bounds = {}
    violations: list[Violation | str] = []
    for name, each in ordered.items():
        broken = _alone(each, out_axons[name], core)
        violations += broken
        bounds[name] = [0] if broken else _slices(each, core)
    cut = core.out_axons is not None and not violations
    while cut:
        out_axons = _reached(ordered, bounds, sizes)
        cut = False
        for name, each in ordered.items():
            sent = out_axons[name][each.order]
            broken = _alone(each, sent, core)
            further = bounds[name] if broken else _further(bounds[name], sent, core)
            violations += broken
            cut |= len(further) > len(bounds[name])
            bounds[name] = further
        cut &= not violations
    return bounds, out_axons, violations


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
            return _load(_need(each, core, first, first + count), core)

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
        if all(_load(_need(each, core, *pair), core) <= 1 for pair in pairwise(even))
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
        limit = _limits(core).get(name, NOT_PUBLISHED)
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


def _need(each: Ordered, core: Lists, first: int, end: int) -> dict[str, int]:
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


def _load(need: dict[str, int], core: Lists) -> float:
    """Return the largest share of a core's limits that a need takes; above 1 it does not fit."""
    return max(need[name] / limit for name, limit in _limits(core).items())


def _limits(core: Lists) -> dict[str, int]:
    """Return the limits that are published, by resource."""
    figures = ((name, getattr(core, name)) for name in RESOURCES)
    return {name: figure.whole for name, figure in figures if figure is not None}


def _put(cores: list[Open], name: str, neurons: Array, need: dict[str, int], core: Lists) -> None:
    """Add a slice to the last core if it still fits there, else open a core."""
    if cores:
        others = [held for _, _, held in cores[-1].held]
        total = {key: need[key] + sum(other[key] for other in others) for key in need}
        if _load(total, core) <= 1:
            cores[-1].held.append((name, neurons, need))
            return
    cores.append(Open([(name, neurons, need)]))


def _too_many(program: Program, cores: list[Open], chip: Chip, chips: int) -> Violation:
    """Say how many chips would do, or how much of the largest layer would fit."""
    limit = chip.cores * chips
    enough = -(-len(cores) // chip.cores)
    fix = f"--chips {enough}"
    if enough > chip.most_chips:
        owners = [held[0] for core in cores for held in core.held]
        largest = max(dict.fromkeys(owners), key=owners.count)
        parts = [neurons for core in cores for name, neurons, _ in core.held if name == largest]
        kept = sum(part.size for part in parts[: max(limit - len(cores) + len(parts), 0)])
        fix = f"use at most {kept} neurons in {largest!r}" if kept else "use fewer layers"
    return Violation(program.name, "cores", len(cores), limit, fix)


def _is_sparse(core: Lists) -> Callable[[Synapses, Array, int], bool]:
    """Return the question whether a slice's lists of a projection store an index per synapse."""

    def asked(synapses: Synapses, per_axon: Array, targets: int) -> bool:
        delayed = synapses.delay_steps > 1
        return not list_bits(per_axon, targets, synapses.weight_bits, delayed, core)[1]

    return asked


def _use(chip: Chip, core: Lists, number: int, each: Open, out_axons: int) -> CoreUse:
    needs = [need for _, _, need in each.held]
    total = {key: sum(need[key] for need in needs) for key in needs[0]} | {"out_axons": out_axons}
    limits = _limits(core)
    held = {name: (total[name], limits.get(name)) for name in RESOURCES}
    return CoreUse(number, number // chip.cores, *chip.tile(number), total["synapses"], held)
