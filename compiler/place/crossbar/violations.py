"""What does not fit on crossbars, with the figure, the limit and what to do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import Violation, counted
from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.crossbar.axons import Wanted, parts_of
from spikeport.compiler.program import Program

ENDLESS = (
    "copies of neurons that are heard one step after their spikes take more and more cores: delay "
    "what these neurons send by one step more, so that splitters can repeat it"
)


def too_late(program: Program, chip: Chip) -> list[Violation]:
    """Return the projections whose delay no axon has."""
    most = chip.limits.delay_steps.high
    return [
        Violation(
            repr(each.name), "steps of delay", each.delay_steps, most, f"delay it by {most} at most"
        )
        for each in program.synapses
        if each.delay_steps > most
    ]


def too_heavy(wanted: Mapping[str, Wanted], chip: Chip) -> list[Violation]:
    """Return, per population, the weight that no crossing holds: rows have the sign."""
    most = (1 << (chip.limits.weight_bits.whole - 1)) - 1
    found = []
    for name, each in wanted.items():
        size = np.abs(each.matrix.data)
        if each.type_weights.shape[1] == 0 and size.max(initial=0) > most:
            at = int(size.argmax())
            neuron = int(np.searchsorted(each.matrix.indptr, at, side="right")) - 1
            fix = "join the paths that lead from one source to it into one"
            who = f"a synapse of neuron {neuron} of {name!r}"
            found.append(Violation(who, "units of weight", int(size[at]), most, fix))
    return found


def too_many_axons(
    wanted: Mapping[str, Wanted], broken: Mapping[str, Array], core: Crossbar
) -> list[Violation]:
    """Return, per population, the neuron that reads more than a core has rows for."""
    found = []
    for name, neurons in broken.items():
        axons = np.diff(wanted[name].matrix.indptr)[neurons]
        if axons.max() <= core.axons.whole:
            continue
        worst = int(axons.argmax())
        count = int(np.count_nonzero(axons > core.axons.whole))
        kept = core.axons.whole // _axons_of_one_input(wanted[name], neurons, core)
        found.append(
            Violation(
                f"neuron {neurons[worst]} of {name!r}{_others(count - 1)}",
                "axons",
                int(axons[worst]),
                core.axons.whole,
                f"keep at most {kept} of its {wanted[name].inputs[neurons[worst]]} inputs",
            )
        )
    return found


def _axons_of_one_input(wanted: Wanted, neurons: Array, core: Crossbar) -> int:
    """Return the most axons, one for each type, that one input of these neurons takes."""
    matrix, parts = wanted.matrix, parts_of(core)
    rows = (matrix.indices[matrix.indptr[n] : matrix.indptr[n + 1]] // parts for n in neurons)
    return max((int(np.bincount(row).max()) for row in rows if row.size), default=1)


def _others(count: int) -> str:
    return f" (and {counted(count, 'other')} of it)" if count else ""


def too_many_columns(
    wanted: Mapping[str, Wanted],
    copies: Mapping[str, Array],
    broken: Mapping[str, Array],
    core: Crossbar,
) -> list[Violation]:
    """Return, per population, the neuron that needs more copies of itself than a core has."""
    found = []
    for name, neurons in broken.items():
        axons = np.diff(wanted[name].matrix.indptr)[neurons]
        crowded = neurons[axons <= core.axons.whole]
        if crowded.size == 0:
            continue
        worst = int(crowded[copies[name][crowded].argmax()])
        found.append(
            Violation(
                f"neuron {worst} of {name!r}{_others(crowded.size - 1)}",
                "columns (copies that reach their axons one step after a spike)",
                int(copies[name][worst]),
                core.neurons.whole,
                "delay what it sends by one step more, so that splitters can repeat it",
            )
        )
    return found


def crowded(
    program: Program,
    wanted: Mapping[str, Wanted],
    copies: Mapping[str, Array],
    core: Crossbar,
    chip: Chip,
    chips: int,
) -> list[Violation]:
    """Return what is too much for all cores of a chip together.

    Where a column's spikes enter by its own row (one core), rows are counted too.
    """
    neurons = sum(each.size for each in copies.values())
    columns = sum(int(each.sum()) for each in copies.values())
    most = core.neurons.whole * chip.cores * chips
    found = []
    if columns > most and (chip.most_chips == chips or core.own_row):
        both = " (copies included)" if columns > neurons else ""
        keep = max(most - (columns - neurons), most // 2)
        fix = f"use at most {keep} neurons"
        found.append(Violation(program.name, f"neurons{both}", columns, most, fix))
    if not core.own_row:
        return found
    outside = [each.keys[np.unique(each.matrix.indices)] for each in wanted.values()]
    hosts = [each.from_host[np.unique(each.matrix.indices)] for each in wanted.values()]
    keys = np.concatenate([k[h] for k, h in zip(outside, hosts, strict=True)])
    inputs, rows = np.unique(keys).size, core.axons.whole
    if inputs + columns > rows:
        times = 2 if core.signed_rows else 1
        sizes = sum(program.populations[name].size for name in program.inputs)
        half = rows // 2
        keep_inputs, keep_neurons = half // times, half // times
        if inputs <= half:
            keep_inputs, keep_neurons = sizes, (rows - inputs) // times
        elif columns <= half:
            keep_inputs, keep_neurons = (rows - columns) // times, neurons
        fix = f"use at most {counted(keep_inputs, 'input')} and {counted(keep_neurons, 'neuron')}"
        found.append(Violation(program.name, "rows", inputs + columns, rows, fix))
    return found


def too_many_cores(program: Program, cores: int, chip: Chip, chips: int, parts: int) -> Violation:
    """Return that there are fewer cores than it takes, and what would help."""
    enough = -(-cores // chip.cores)
    fix = "use fewer or smaller layers"
    if enough <= chip.most_chips:
        fix = f"--chips {enough}"
    elif isinstance(chip.core, Crossbar) and chip.core.targets_per_neuron is None:
        sources = chip.core.axons.whole // parts
        fix = f"let its neurons read at most {sources} inputs and neurons in all"
    return Violation(program.name, "cores", cores, chip.cores * chips, fix)
