"""Place a Program on cores with in-axons and synapse lists (Loihi-like, SpiNNaker).

Populations are cut into slices (`cut.py`), small ones share a core, and `assign` puts the
cores where spikes have short ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError, Violation
from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.lists.cut import cut
from spikeport.compiler.place.lists.need import RESOURCES, limits_of, load_of, needs_of
from spikeport.compiler.place.mesh.assign import assign
from spikeport.compiler.place.routes import Routes, mesh_of, traffic_of
from spikeport.compiler.program import Program


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
    made, limits = cut(program, core), limits_of(core)
    cores: list[Open] = []
    for name, each in made.ordered.items():
        bounds, sent = made.bounds[name], made.out_axons[name][each.order]
        if len(bounds) == 1:
            continue
        needs = needs_of(each, core, bounds, made.lists.get(name))
        needs["out_axons"] = np.add.reduceat(sent, bounds[:-1])
        rows = zip(*(figures.tolist() for figures in needs.values()), strict=True)
        for (first, end), figures in zip(pairwise(bounds), rows, strict=True):
            neurons = np.sort(each.order[first:end])
            need = dict(zip(needs, figures, strict=True))
            _put(cores, Part(name, neurons, need, each.tables(first, end)), limits)
    violations = [*made.violations]
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
    traffic = traffic_of(program, logical, made.lists, len(cores))
    where = assign(traffic, mesh_of(chip, chips))
    sending = np.asarray(traffic.sum(axis=0)).ravel()
    uses = [
        _use(chip, limits, int(where[number]), each, int(sending[number]))
        for number, each in enumerate(cores)
    ]
    slices = tuple(Slice(part.population, part.neurons, int(where[part.core])) for part in logical)
    return Image(
        program,
        chip,
        slices,
        Routes(program, slices, core),
        tuple(sorted(uses, key=lambda use: use.core)),
        chips,
    )


def _lists(chip: Chip) -> Lists:
    if not isinstance(chip.core, Lists):
        raise TypeError(f"{chip.name} is not built of lists")
    return chip.core


def _together(parts: Open) -> dict[str, int]:
    """Return what parts need on one core: sums, and tables shared."""
    total = {name: sum(part.need[name] for part in parts) for name in parts[0].need}
    for name in parts[0].tables:
        total[name] = len(frozenset().union(*(part.tables.get(name, ()) for part in parts)))
    return total


def _put(cores: list[Open], part: Part, limits: Mapping[str, int]) -> None:
    """Add neurons to the last core if they still fit there, else open a core."""
    if cores and load_of(_together([*cores[-1], part]), limits) <= 1:
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


def _use(chip: Chip, limits: Mapping[str, int], number: int, each: Open, out_axons: int) -> CoreUse:
    total = _together(each) | {"out_axons": out_axons}
    counted = ("compartments", "in_axons", "out_axons")  # the others need a formula or a table
    held = {
        name: (total[name], limits.get(name)) for name in RESOURCES if name in (*limits, *counted)
    }
    return CoreUse(number, number // chip.cores, *chip.tile(number), total["synapses"], held)
