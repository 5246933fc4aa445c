"""Place a Program on cores with a crossbar of axons by neurons (TrueNorth, ODIN, BrainScaleS-2).

Populations are cut so that what their neurons read has rows and they have columns on one core
(`axons.py`, `cut.py`); where a neuron has a single target, copies and splitters are
added (`targets.py`). How many columns a neuron takes depends on how its targets are cut, so
this is repeated until nothing changes: at once, but for neurons that cannot use splitters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError, Violation
from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.crossbar.axons import (
    Sources,
    Wanted,
    parts_of,
    sources_of,
    wanted_axons,
)
from spikeport.compiler.place.crossbar.build import crossbar_routes, crossbars
from spikeport.compiler.place.crossbar.cut import Filled, Room, fill
from spikeport.compiler.place.crossbar.plan import COPY, SPLITTER, Crossbars
from spikeport.compiler.place.crossbar.targets import (
    Columns,
    columns_needed,
    columns_without_targets,
    find_targets,
    make_columns,
    spare_copies,
)
from spikeport.compiler.place.crossbar.violations import (
    ENDLESS,
    crowded,
    too_heavy,
    too_late,
    too_many_axons,
    too_many_columns,
    too_many_cores,
)
from spikeport.compiler.place.lists.order import neuron_order
from spikeport.compiler.place.mesh.assign import assign
from spikeport.compiler.place.routes import mesh_of, moved, traffic_between
from spikeport.compiler.program import Program

ROUNDS = 40  # each adds copies; those that still change then do not come to an end


@dataclass(frozen=True, eq=False)
class Cut:
    """Neurons on cores, before these have a place.

    Attributes:
        cores: who is where.
        copies: population -> columns that each neuron takes, (n,).
        broken: population -> neurons that no core holds.
        endless: does each round need more copies than the one before.
    """

    cores: list[Filled]
    copies: dict[str, Array]
    broken: dict[str, Array]
    endless: bool = False


def place_crossbar(program: Program, chip: Chip, chips: int) -> Image:
    """Return the Program on crossbars; see `place`."""
    core = _crossbar(chip)
    sources = sources_of(program, core)
    violations: list[Violation | str] = [*too_late(program, chip)]
    wanted: dict[str, Wanted] = {}
    for name in program.neurons:
        wanted[name], found = wanted_axons(program, name, core, sources)
        violations += found
    violations += too_heavy(wanted, chip)
    cut = _cut(program, wanted, core, sources)
    violations += too_many_axons(wanted, cut.broken, core)
    if core.targets_per_neuron is not None:
        violations += too_many_columns(wanted, cut.copies, cut.broken, core)
    violations += [ENDLESS] if cut.endless else []
    violations += crowded(program, wanted, cut.copies, core, chip, chips)
    there = chip.cores * chips
    if not violations and len(cut.cores) > there:  # without splitters, whose targets are not there
        violations.append(too_many_cores(program, len(cut.cores), chip, chips, parts_of(core)))
    if violations:
        raise _does_not_fit(program, chip, violations)
    columns = _columns(program, cut, wanted, core, sources, there)
    number = 1 + int(columns.core.max(initial=-1))
    if number > there:
        many = too_many_cores(program, number, chip, chips, parts_of(core))
        raise _does_not_fit(program, chip, [many])
    logical = crossbars(wanted, cut.cores, columns, core, sources)
    routes = crossbar_routes(logical, columns, sources)
    where = assign(traffic_between(routes, number), mesh_of(chip, chips))
    placed = sorted((each.on(where) for each in logical), key=lambda each: each.core)
    slices = tuple(
        Slice(name, neurons, int(where[at]))
        for at, filled in enumerate(cut.cores)
        for name, neurons in filled.parts
    )
    uses = tuple(
        CoreUse(
            each.core,
            each.core // chip.cores,
            *chip.tile(each.core),
            each.crossings.nnz,
            {
                "compartments": (each.columns, core.neurons.whole),
                "axons": (each.axons, core.axons.whole),
                "copies": (each.counted(COPY), None),
                "splitters": (each.counted(SPLITTER), None),
            },
        )
        for each in placed
    )
    plan = Crossbars(sources.populations, tuple(placed))
    return Image(program, chip, slices, moved(routes, where), uses, chips, plan)


def _crossbar(chip: Chip) -> Crossbar:
    if not isinstance(chip.core, Crossbar):
        raise TypeError(f"{chip.name} is not built of crossbars")
    return chip.core


def _does_not_fit(program: Program, chip: Chip, violations: Sequence[Violation | str]) -> FitError:
    return FitError(
        f"{program.name} does not fit {chip.name}",
        violations,
        "change the network as each line says, or choose a larger chip",
    )


def _cut(program: Program, wanted: dict[str, Wanted], core: Crossbar, sources: Sources) -> Cut:
    room = Room(core.axons.whole, core.neurons.whole, core.own_row)
    orders = {name: _order(program, each) for name, each in wanted.items()}
    copies = {name: np.ones(each.matrix.shape[0], np.int64) for name, each in wanted.items()}
    if core.own_row:
        rows = np.bincount(sources.neuron(_used(wanted)), minlength=int(sources.starts[-1]))
        copies = {name: np.maximum(_of(name, rows, sources), 1) for name in copies}
    for _ in range(ROUNDS):
        cores, broken = fill(wanted, orders, copies, room)
        if broken or core.targets_per_neuron is None:
            break
        targets = find_targets(program, cores, sources)
        needed = columns_needed(targets, int(sources.starts[-1]), room.columns)
        found = {name: _of(name, needed, sources) for name in copies}
        if all((found[name] <= copies[name]).all() for name in copies):
            break
        copies = {name: np.maximum(found[name], copies[name]) for name in copies}
    else:
        return Cut(cores, copies, broken, endless=True)
    return Cut(cores, copies, broken)


def _order(program: Program, wanted: Wanted) -> Array:
    """Return the neurons of a population so that neighbours read the same."""
    rows = [(each, each.rows) for each in program.into(wanted.name)]
    return neuron_order(
        [matrix for each, matrix in rows if each.pre != wanted.name],
        program.populations[wanted.name].shape,
        [matrix for each, matrix in rows if each.pre == wanted.name],
    )


def _of(name: str, values: Array, sources: Sources) -> Array:
    """Return a population's part of what is numbered over all populations."""
    first = sources.populations.index(name)
    return values[sources.starts[first] : sources.starts[first + 1]]


def _used(wanted: dict[str, Wanted]) -> Array:
    """Return every axon that some neuron reads, ascending."""
    found = [each.keys[np.unique(each.matrix.indices)] for each in wanted.values()]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def _columns(
    program: Program,
    cut: Cut,
    wanted: dict[str, Wanted],
    core: Crossbar,
    sources: Sources,
    there: int,
) -> Columns:
    """Return the columns of all cores: with fewest crossings, or on fewest cores if need be."""
    if core.targets_per_neuron is None:
        return columns_without_targets(cut.cores, _used(wanted), sources, core.own_row)
    targets, room = find_targets(program, cut.cores, sources), core.neurons.whole
    none = np.zeros(sources.from_host.size, bool)
    columns = make_columns(targets, cut.cores, sources, room, core.axons.whole, none)
    if int(columns.core.max(initial=-1)) < there:
        return columns
    wide = spare_copies(targets, cut.cores, sources, room)
    return make_columns(targets, cut.cores, sources, room, core.axons.whole, wide)
