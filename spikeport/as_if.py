"""What a network would cost on a chip that refuses it: an estimate from the reference's spikes.

Its neurons are put on cores in their order, as many as a core holds, without any other limit, and
they spike as in the float reference. That is no deployment: the chip's own arithmetic would make
other spikes, and what it cannot do stays impossible. So it stands apart from every cost of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.fabric import Crossbar, Lists
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.place.routes import Routes
from spikeport.compiler.program import Program
from spikeport.compiler.traces import Traces
from spikeport.costed import cost_under, energy_of
from spikeport.prepared import Prepared
from spikeport.processor import as_run_there, structure_of
from spikeport.timed import step_budget, time_of_run

NOTE = (
    "an estimate as if the network fitted: neurons on cores in their order, spikes of the float "
    "reference, no splitters or relays"
)
#: A reference does not say which somas were busy, so columns that charge these are left out.
NOT_COUNTED = ("soma_update", "hop_east_west", "hop_north_south")


def is_priced(chip: Chip) -> bool:
    """Can a run that the chip refuses be priced all the same."""
    return isinstance(chip.core, Crossbar | Lists) and bool(_columns(chip))


def as_if(given: Prepared, chip: Chip, ideal: Traces) -> dict[str, Any] | None:
    """Return {"energy", "time", "note"} of a network that a chip refuses, or None.

    None where the chip's figures need what only a run on it could count.
    """
    if not is_priced(chip):
        return None
    program = structure_of(given.clocked)
    image = _in_order(program, chip)
    if image.chips > chip.most_chips:
        why = (
            f"its neurons take {len(image.cores)} cores of {chip.name}, of which there are "
            f"{chip.cores * chip.most_chips}"
        )
        nothing = {"known": False, "why": why}
        return {"energy": nothing, "time": nothing, "note": NOTE}
    traces = as_run_there(ideal, given.data.inputs, image)
    budget = step_budget(chip, given.clocked.dt)
    costs = {
        name: cost_under(image, _with_updates(traces), column=name, pieces=given.pieces)
        for name in _columns(chip)
    }
    column = chip.default_cost if chip.default_cost in costs else next(iter(costs))
    return {
        "energy": energy_of(chip, costs, column),
        "time": time_of_run(image, costs, column, budget),
        "note": NOTE,
    }


def _columns(chip: Chip) -> Mapping[str, Any]:
    return {
        name: column
        for name, column in chip.costs.items()
        if not any(kind in column.figures for kind in NOT_COUNTED)
    }


def _in_order(program: Program, chip: Chip) -> Image:
    """Return a program on cores in the order of its neurons, whatever else a core's limits are."""
    room = _room(chip)
    slices: list[Slice] = []
    placed = 0
    for name in program.neurons:
        first, size = 0, program.populations[name].size
        while first < size:
            core = placed // room
            end = min(size, first + (core + 1) * room - placed)
            slices.append(Slice(name, np.arange(first, end), core))
            placed += end - first
            first = end
    uses = tuple(
        CoreUse(number, number // chip.cores, *chip.tile(number), 0, {})
        for number in range(-(-placed // room))
    )
    chips = max(-(-len(uses) // chip.cores), 1)
    held = tuple(slices)
    return Image(program, chip, held, Routes(program, held), uses, chips)


def _room(chip: Chip) -> int:
    """Return how many neurons a core holds."""
    core = chip.core
    if isinstance(core, Crossbar):
        return core.neurons.whole
    return core.compartments.whole if isinstance(core, Lists) else 1


def _with_updates(traces: Traces) -> Traces:
    """Return the run with counters of updates, which none of the columns charges."""
    counters: dict[str, dict[str, Any]] = {
        name: {"active": np.zeros_like(each["spikes"]), **each}
        for name, each in traces.counters.items()
    }
    return replace(traces, counters=counters)
