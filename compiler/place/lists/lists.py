"""Place a Program on cores with in-axons and synapse lists (Loihi-like, SpiNNaker).

Populations are cut into slices (`cut.py`), small ones share a core, and `assign` puts the
cores where spikes have short ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
from spikeport.compiler.program import Program, Synapses


@dataclass
class Open:
    """A core that is being filled: (population, neurons, what they need)."""

    held: list[tuple[str, Array, dict[str, int]]] = field(default_factory=list)


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


def _put(cores: list[Open], name: str, neurons: Array, need: dict[str, int], core: Lists) -> None:
    """Add a slice to the last core if it still fits there, else open a core."""
    if cores:
        others = [held for _, _, held in cores[-1].held]
        total = {key: need[key] + sum(other[key] for other in others) for key in need}
        if load_of(total, core) <= 1:
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
    limits = limits_of(core)
    counted = ("compartments", "in_axons", "out_axons")  # the others need a formula or a table
    held = {
        name: (total[name], limits.get(name)) for name in RESOURCES if name in (*limits, *counted)
    }
    return CoreUse(number, number // chip.cores, *chip.tile(number), total["synapses"], held)
