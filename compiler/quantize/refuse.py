"""What a chip cannot do: kinds, resets, signals, refused by name with what would work."""

from __future__ import annotations

from collections.abc import Iterator

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Membrane, Population
from spikeport.compiler.errors import LoweringError, Refused, counted


def check_kinds(clocked: Clocked, chip: Chip) -> None:
    """Refuse what the chip cannot do, all of it at once.

    Raises:
        LoweringError: names the populations, what they do and what would work.
    """
    found = {
        name: list(_cannot(name, clocked.populations[name], chip, clocked))
        for name in clocked.neurons
    }
    refused = [error for each in found.values() for error in each]
    if len(refused) == 1:
        raise refused[0]
    if refused:
        who = sum(bool(each) for each in found.values())
        raise Refused(
            f"{chip.name} cannot run {counted(who, 'population')} of the network", refused
        )


def _cannot(name: str, pop: Population, chip: Chip, clocked: Clocked) -> Iterator[LoweringError]:
    """Yield everything that a population does and the chip cannot."""
    cell = pop.cell
    if pop.kind not in chip.kinds:
        yield LoweringError(
            f"{name!r} is {_a(pop.kind)}",
            f"{chip.name} runs {', '.join(chip.kinds)}",
            "retrain with one of those, or choose a chip that has this kind: --chip generic_graded",
        )
        return
    if pop.signal == "count" and "count" not in chip.signals:
        yield LoweringError(
            f"{name!r} sends several spikes per step (spike=count)",
            f"{chip.name} sends one binary spike at most",
            f"run it with --set {name}.spike=binary (compare the accuracy), or choose a chip with "
            "counts: --chip generic_graded",
        )
    if not isinstance(cell, Membrane) or pop.kind == "Relay":  # a relay keeps nothing to reset
        return
    readers = [p.post for p in clocked.projections if p.pre == name]
    if pop.signal == "analog" and readers and "graded" not in chip.signals:
        yield LoweringError(
            f"{name!r} is {_a(pop.kind)}, whose output is analog, and it feeds {readers[0]!r}",
            f"{chip.name} carries spikes between neurons; analog values only leave as a readout",
            f"replace {name!r} by a spiking kind, make it an output, or choose a chip with graded "
            "messages: --chip generic_graded",
        )
    lasting = cell.has_current or cell.keep_v.any()  # without a state, nothing is reset
    if pop.cell.spiking and lasting and cell.reset not in chip.resets:
        yield LoweringError(
            f"{name!r} is reset by {cell.reset}",
            f"{chip.name} has {', '.join(chip.resets)}",
            f"--set {name}.reset={chip.resets[0]} (compare the accuracy), or --chip generic_graded",
        )
    if pop.cell.spiking and lasting and cell.reset_when not in chip.reset_when:
        yield LoweringError(
            f"{name!r} is reset in the step after a spike",
            f"{chip.name} resets in the same step",
            f"--set {name}.reset_when=same_step (compare the accuracy), or --chip generic_graded",
        )
    most = chip.limits.refractory_steps.high - 1
    if cell.refractory_steps.max(initial=0) > most:
        yield LoweringError(
            f"{name!r} is refractory for {cell.refractory_steps.max()} steps",
            f"{chip.name} counts {most} at most",
            f"use a longer dt, or --set {name}.refractory={most * clocked.dt:g}",
        )


def _a(kind: str) -> str:
    return f"an {kind}" if kind.startswith("I") else f"a {kind}"
