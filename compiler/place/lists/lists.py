"""Place a Program on cores with in-axons and synapse lists (Loihi-like, SpiNNaker).

Populations are cut into slices (`cut.py`), small ones share a core, and `assign` puts the
cores where spikes have short ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError, Violation
from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.lists.cut import RESOURCES, cut, limits_of, load_of, need_of
from spikeport.compiler.place.lists.memory import list_bits
from spikeport.compiler.place.mesh.assign import assign
from spikeport.compiler.place.routes import (
    OUTSIDE,
    find_routes,
    mesh_of,
    moved,
    traffic_between,
)
from spikeport.compiler.program import CellPopulation, Program, Synapses


@dataclass(frozen=True, eq=False)
class Part:
    """Neurons that go to one core together.

    Attributes:
        name: of the population.
        neurons: their numbers, ascending.
        need: what they ask of a core, by resource.
        tables: the different configurations and thresholds among them; parts share these.
    """

    name: str
    neurons: Array
    need: Mapping[str, int]
    tables: Mapping[str, frozenset[tuple[str | int, ...]]]


Open = list[Part]  # a core that is being filled


def place_lists(program: Program, chip: Chip, chips: int) -> Image:
    """Return the Program on cores of lists; see `place`."""
    core = _lists(chip)
    ordered, bounds, out_axons, violations = cut(program, core)
    cores: list[Open] = []
    for name, each in ordered.items():
        sent = out_axons[name][each.order]
        for first, end in pairwise(bounds[name]):
            need = need_of(each, core, first, end)
            need["out_axons"] = int(sent[first:end].sum())
            neurons = np.sort(each.order[first:end])
            _put(cores, Part(name, neurons, need, _tables(each.population, neurons)), core)
    if len(cores) > chip.cores * chips:
        violations.append(_too_many(program, cores, chip, chips))
    if violations:
        raise FitError(
            f"{program.name} does not fit {chip.name}",
            violations,
            "change the network as each line says, or choose a larger chip",
        )
    logical = tuple(
        Slice(part.name, part.neurons, number) for number, each in enumerate(cores) for part in each
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


def _tables(
    population: CellPopulation, neurons: Array
) -> dict[str, frozenset[tuple[str | int, ...]]]:
    """Return the entries that neurons need in a core's tables of configurations."""
    cell = population.cell
    if cell is None:
        return {}
    columns = np.unique(np.stack([each[neurons] for each in cell.configuration]), axis=1)
    kind = type(cell).__name__
    return {
        "compartment_configs": frozenset((kind, *entry) for entry in columns.T.tolist()),
        "threshold_configs": frozenset((v,) for v in np.unique(cell.v_threshold[neurons]).tolist()),
    }


def _together(parts: Open) -> dict[str, int]:
    """Return what parts need on one core: sums, and tables shared."""
    total = {name: sum(part.need[name] for part in parts) for name in parts[0].need}
    for name in parts[0].tables:
        total[name] = len(frozenset().union(*(part.tables.get(name, ()) for part in parts)))
    return total


def _put(cores: list[Open], part: Part, core: Lists) -> None:
    """Add neurons to the last core if they still fit there, else open a core."""
    if cores and load_of(_together([*cores[-1], part]), core) <= 1:
        cores[-1].append(part)
    else:
        cores.append([part])


def _too_many(program: Program, cores: list[Open], chip: Chip, chips: int) -> Violation:
    """Say how many chips would do, or how much of the largest layer would fit."""
    limit = chip.cores * chips
    enough = -(-len(cores) // chip.cores)
    fix = f"--chips {enough}"
    if enough > chip.most_chips:
        owners = [part.name for core in cores for part in core]
        largest = max(dict.fromkeys(owners), key=owners.count)
        parts = [part for core in cores for part in core if part.name == largest]
        kept = sum(part.neurons.size for part in parts[: max(limit - len(cores) + len(parts), 0)])
        fix = f"use at most {kept} neurons in {largest!r}" if kept else "use fewer layers"
    return Violation(program.name, "cores", len(cores), limit, fix)


def _is_sparse(core: Lists) -> Callable[[Synapses, Array, int], bool]:
    """Return the question whether a slice's lists of a projection store an index per synapse."""

    def asked(synapses: Synapses, per_axon: Array, targets: int) -> bool:
        delayed = synapses.delay_steps > 1
        return not list_bits(per_axon, targets, synapses.weight_bits, delayed, core)[1]

    return asked


def _use(chip: Chip, core: Lists, number: int, each: Open, out_axons: int) -> CoreUse:
    total = _together(each) | {"out_axons": out_axons}
    limits = limits_of(core)
    counted = ("compartments", "in_axons", "out_axons")  # the others need a formula or a table
    held = {
        name: (total[name], limits.get(name)) for name in RESOURCES if name in (*limits, *counted)
    }
    return CoreUse(number, number // chip.cores, *chip.tile(number), total["synapses"], held)
