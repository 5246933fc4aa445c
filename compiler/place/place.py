"""Place a Program: cut populations into slices, put slices on cores, count what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError
from spikeport.compiler.image import CoreUse, Image, Route, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.memory import list_bits
from spikeport.compiler.program import CellPopulation, Program, Synapses


@dataclass
class Need:
    """What a slice asks of a core."""

    compartments: int
    in_axons: int
    out_axons: int
    bits: int
    synapses: int
    configs: int
    thresholds: int


@dataclass
class Open:
    """A core that is being filled."""

    slices: list[tuple[str, Array]] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)


def place(program: Program, chip: Chip) -> Image:
    """Return the Program on cores.

    Slices are consecutive neurons in an order in which neighbours share inputs (maps: row,
    column, channel), as large as a core allows; small ones share a core. Cores are filled in
    the order of the network, so that neighbours in it are neighbours on the mesh.

    Raises:
        FitError: every limit that is broken, by object, with the figure, the limit and a fix.
    """
    rows = {each.name: _stored(each.mantissa) for each in program.synapses}
    parts, violations = _cut(program, rows, chip)
    cores: list[Open] = []
    for name, held in parts.items():
        for neurons, need in held:
            _put(cores, name, neurons, need, chip)
    if len(cores) > chip.cores:
        violations.append(
            f"the network needs {len(cores)} cores, {chip.name} has {chip.cores}: use fewer or "
            "smaller layers, or several chips"
        )
    slices = tuple(
        Slice(name, neurons, number)
        for number, core in enumerate(cores)
        for name, neurons in core.slices
    )
    routes = _routes(program, slices, rows, chip)
    uses = _uses(cores, routes, chip)
    limit = int(chip.limits.out_axons_per_core.value)
    violations += [
        f"core {use.core} ({_names(cores[use.core])}) sends {use.out_axons} out-axons, the limit "
        f"is {limit}: split its populations so that each neuron reaches fewer cores"
        for use in uses
        if use.out_axons > limit
    ]
    if violations:
        raise FitError(
            f"{program.name} does not fit {chip.name}",
            tuple(violations),
            "change the network as each line says, or choose a larger chip",
        )
    return Image(program, chip, slices, routes, uses)


def _stored(mantissa: Any) -> sp.csr_matrix:
    """Return the weights that take memory: those that are not zero."""
    rows = sp.csr_matrix(mantissa, copy=True)
    rows.eliminate_zeros()
    return rows


def _order(population: CellPopulation) -> Array:
    """Return the neurons so that those which read the same inputs are neighbours."""
    numbers = np.arange(population.size)
    if len(population.shape) == 3:
        return np.ascontiguousarray(numbers.reshape(population.shape).transpose(1, 2, 0)).ravel()
    return numbers


Parts = dict[str, list[tuple[Array, Need]]]


def _cut(program: Program, rows: dict[str, sp.csr_matrix], chip: Chip) -> tuple[Parts, list[str]]:
    """Return the slices of every population, and the limits that no slicing can keep.

    How many cores a neuron sends to depends on how its targets are cut, so populations are cut
    until the out-axons do not change any more: at once without recurrence, else in a few rounds.
    """
    out_axons = {name: np.zeros(pop.size, np.int64) for name, pop in program.populations.items()}
    parts: Parts = {}
    for _ in range(len(program.neurons) + 4):
        violations: list[str] = []
        parts = {
            name: _slices(program, name, out_axons[name], rows, chip, violations)
            for name in program.neurons
        }
        reached = _reached(program, parts, rows)
        if violations or all((reached[name] <= out_axons[name]).all() for name in reached):
            break
        out_axons = {name: np.maximum(reached[name], out_axons[name]) for name in reached}
    return parts, violations


def _reached(program: Program, parts: Parts, rows: dict[str, sp.csr_matrix]) -> dict[str, Array]:
    """Return, per neuron, how many slices it sends to."""
    reached = {name: np.zeros(pop.size, np.int64) for name, pop in program.populations.items()}
    for post, slices in parts.items():
        for neurons, _ in slices:
            senders: dict[str, Array] = {}
            for each in program.into(post):
                hit = np.zeros(reached[each.pre].size, bool)
                hit[rows[each.name][neurons].indices] = True
                senders[each.pre] = senders.get(each.pre, False) | hit
            for pre, hit in senders.items():
                reached[pre] += hit
    return reached


def _slices(
    program: Program,
    name: str,
    out_axons: Array,
    rows: dict[str, sp.csr_matrix],
    chip: Chip,
    violations: list[str],
) -> list[tuple[Array, Need]]:
    """Return neurons per slice, each as many as one core allows.

    Maps are cut once at any neuron and once at whole positions only (their lists are dense
    then); the cut with fewer slices is taken.
    """
    population = program.populations[name]
    cuts = []
    for grain in {1, population.shape[0] if len(population.shape) == 3 else 1}:
        found: list[str] = []
        cuts.append((_cut_at(program, name, out_axons, rows, chip, grain, found), found))
    whole = [cut for cut in cuts if not cut[1]] or cuts[:1]
    best, found = min(whole, key=lambda cut: len(cut[0]))
    violations += found
    return best


def _cut_at(
    program: Program,
    name: str,
    out_axons: Array,
    rows: dict[str, sp.csr_matrix],
    chip: Chip,
    grain: int,
    violations: list[str],
) -> list[tuple[Array, Need]]:
    """Return slices of a multiple of `grain` neurons each (fewer where not even that fits)."""
    population = program.populations[name]
    incoming = program.into(name)
    order = _order(population)
    slices: list[tuple[Array, Need]] = []
    start = 0
    guess = order.size
    while start < order.size:
        largest = min(int(chip.limits.compartments_per_core.value), order.size - start)

        def need_of(count: int, first: int = start) -> Need:
            neurons = order[first : first + count]
            return _need(population, neurons, incoming, out_axons, rows, chip)

        count = _largest_fitting(lambda n: not _broken(need_of(n), chip), largest, guess)
        if count == 0:
            violations += [
                f"neuron {order[start]} of {name!r} alone needs {figure} {what}, a core has "
                f"{limit}: {fix}"
                for what, figure, limit, fix in _broken(need_of(1), chip)
            ]
            return slices
        guess = count
        if count > grain and count < largest:
            count -= count % grain
        slices.append((np.sort(order[start : start + count]), need_of(count)))
        start += count
    return slices


def _largest_fitting(fits: Callable[[int], bool], largest: int, guess: int) -> int:
    """Return the largest count that fits, by bisection from a guess; 0 where not one does."""
    if fits(largest):
        return largest
    low, high = 0, largest
    if 0 < guess < largest:
        low, high = (guess, largest) if fits(guess) else (0, guess)
        near = guess + max(1, guess // 8)
        if low and near < high and not fits(near):
            high = near
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _need(
    population: CellPopulation,
    neurons: Array,
    incoming: list[Synapses],
    out_axons: Array,
    rows: dict[str, sp.csr_matrix],
    chip: Chip,
) -> Need:
    in_axons = bits = count = 0
    for each in incoming:
        part = rows[each.name][neurons]
        per_axon = np.bincount(part.indices, minlength=part.shape[1])
        per_axon = per_axon[per_axon > 0]
        in_axons += per_axon.size
        count += int(per_axon.sum())
        bits += _bits(each, per_axon, neurons.size, chip)[0]
    sent = int(out_axons[neurons].sum())
    return Need(neurons.size, in_axons, sent, bits, count, *_configs(population, neurons))


def _bits(synapses: Synapses, per_axon: Array, targets: int, chip: Chip) -> tuple[int, bool]:
    """Return (bits, dense) of a projection's lists on a core; axons without synapses have none."""
    lists = per_axon[per_axon > 0]
    return list_bits(lists, targets, synapses.weight_bits, synapses.delay_steps > 1, chip)


def _configs(population: CellPopulation, neurons: Array) -> tuple[int, int]:
    """Return how many compartment and threshold configurations the neurons need."""
    cell = population.cell
    if cell is None:
        return 0, 0
    table = np.stack([column[neurons] for column in cell.configuration])
    return np.unique(table, axis=1).shape[1], np.unique(cell.v_threshold[neurons]).size


def _broken(need: Need, chip: Chip) -> list[tuple[str, int, int, str]]:
    """Return (what, figure, limit, fix) of every limit of one core that a need breaks."""
    limits = chip.limits
    table = (
        ("compartments", need.compartments, limits.compartments_per_core, "use fewer neurons"),
        (
            "in-axons",
            need.in_axons,
            limits.in_axons_per_core,
            "reduce its fan-in, or pool the layer before",
        ),
        (
            "out-axons",
            need.out_axons,
            limits.out_axons_per_core,
            "let it reach fewer cores: reduce the fan-in of the layers after it",
        ),
        (
            "bits of synaptic memory",
            need.bits,
            limits.synaptic_memory_bits_per_core,
            "reduce its fan-in",
        ),
        (
            "compartment configurations",
            need.configs,
            limits.compartment_configs_per_core,
            "let neurons share time constants",
        ),
        (
            "threshold configurations",
            need.thresholds,
            limits.threshold_configs_per_core,
            "let neurons share thresholds",
        ),
    )
    return [
        (what, figure, int(limit.value), fix)
        for what, figure, limit, fix in table
        if figure > limit.value
    ]


def _put(cores: list[Open], name: str, neurons: Array, need: Need, chip: Chip) -> None:
    """Add a slice to the last core if it still fits there, else open a core."""
    if cores:
        together = [*cores[-1].needs, need]
        total = Need(*(sum(getattr(n, key) for n in together) for key in vars(need)))
        if not _broken(total, chip):
            cores[-1].slices.append((name, neurons))
            cores[-1].needs.append(need)
            return
    cores.append(Open([(name, neurons)], [need]))


def _routes(
    program: Program, slices: tuple[Slice, ...], rows: dict[str, sp.csr_matrix], chip: Chip
) -> tuple[Route, ...]:
    """Return the axons between cores: who sends where, and to how many synapses."""
    core_of = {name: np.full(pop.size, -1, np.int64) for name, pop in program.populations.items()}
    for each in slices:
        core_of[each.population][each.neurons] = each.core
    found: dict[tuple[str, int], Array] = {}
    sparse: dict[tuple[str, int], Array] = {}
    for synapses in program.synapses:
        for each in slices:
            if each.population != synapses.post:
                continue
            part = rows[synapses.name][each.neurons]
            per_axon = np.bincount(part.indices, minlength=part.shape[1])
            key = (synapses.pre, each.core)
            found[key] = found.get(key, 0) + per_axon
            dense = _bits(synapses, per_axon, each.neurons.size, chip)[1]
            sparse[key] = sparse.get(key, 0) + (0 if dense else 1) * per_axon
    routes = []
    for (pre, target), per_axon in found.items():
        for source in np.unique(core_of[pre]):
            neurons = np.flatnonzero((per_axon > 0) & (core_of[pre] == source))
            if neurons.size:
                lists = (per_axon[neurons], sparse[pre, target][neurons])
                routes.append(Route(pre, int(source), target, neurons, *lists))
    return tuple(routes)


def _uses(cores: list[Open], routes: tuple[Route, ...], chip: Chip) -> tuple[CoreUse, ...]:
    out_axons = np.zeros(len(cores), np.int64)
    for route in routes:
        if route.source_core >= 0:
            out_axons[route.source_core] += route.neurons.size
    return tuple(
        CoreUse(
            number,
            *chip.tile(number),
            compartments=sum(need.compartments for need in core.needs),
            in_axons=sum(need.in_axons for need in core.needs),
            out_axons=int(out_axons[number]),
            synapses=sum(need.synapses for need in core.needs),
            synaptic_memory_bits=sum(need.bits for need in core.needs),
        )
        for number, core in enumerate(cores)
    )


def _names(core: Open) -> str:
    return ", ".join(repr(name) for name, _ in core.slices)
