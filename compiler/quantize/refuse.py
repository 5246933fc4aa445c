"""What a chip cannot do: kinds, resets, signals, refused by name with what would work."""

from __future__ import annotations

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Membrane, Population
from spikeport.compiler.errors import LoweringError


def check_kinds(clocked: Clocked, chip: Chip) -> None:
    """Refuse what the chip cannot do, all of it at once.

    Raises:
        LoweringError: names the populations, what they do and what would work.
    """
    refused: list[LoweringError] = []
    for name in clocked.neurons:
        try:
            _check_kind(name, clocked.populations[name], chip, clocked)
        except LoweringError as error:
            refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise LoweringError(
            f"{chip.name} cannot run {len(refused)} of the populations",
            "; ".join(f"{error.what}, {error.why}" for error in refused[:12]),
            "; ".join(dict.fromkeys(error.fix for error in refused[:12])),
        )


def _check_kind(name: str, pop: Population, chip: Chip, clocked: Clocked) -> None:
    cell = pop.cell
    if pop.kind not in chip.kinds:
        raise LoweringError(
            f"{name!r} is {_a(pop.kind)}",
            f"{chip.name} runs {', '.join(chip.kinds)}",
            "retrain with one of those, or choose a chip that has this kind: --chip generic_graded",
        )
    if pop.signal == "count" and "count" not in chip.signals:
        raise LoweringError(
            f"{name!r} sends several spikes per step (spike=count)",
            f"{chip.name} sends one binary spike at most",
            f"run it with --set {name}.spike=binary (compare the accuracy), or choose a chip with "
            "counts: --chip generic_graded",
        )
    if not isinstance(cell, Membrane) or pop.kind == "Relay":  # a relay keeps nothing to reset
        return
    readers = [p.post for p in clocked.projections if p.pre == name]
    if pop.signal == "analog" and readers and "graded" not in chip.signals:
        raise LoweringError(
            f"{name!r} is {_a(pop.kind)}, whose output is analog, and it feeds {readers[0]!r}",
            f"{chip.name} carries spikes between neurons; analog values only leave as a readout",
            f"replace {name!r} by a spiking kind, make it an output, or choose a chip with graded "
            "messages: --chip generic_graded",
        )
    if pop.cell.spiking and cell.reset not in chip.resets:
        raise LoweringError(
            f"{name!r} is reset by {cell.reset}",
            f"{chip.name} has {', '.join(chip.resets)}",
            f"--set {name}.reset={chip.resets[0]} (compare the accuracy), or --chip generic_graded",
        )
    if pop.cell.spiking and cell.reset_when not in chip.reset_when:
        raise LoweringError(
            f"{name!r} is reset in the step after a spike",
            f"{chip.name} resets in the same step",
            f"--set {name}.reset_when=same_step (compare the accuracy), or --chip generic_graded",
        )
    most = chip.limits.refractory_steps.high - 1
    if cell.refractory_steps.max(initial=0) > most:
        raise LoweringError(
            f"{name!r} is refractory for {cell.refractory_steps.max()} steps",
            f"{chip.name} counts {most} at most",
            f"--set {name}.refractory={most * clocked.dt:g}, or use a longer dt",
        )


def _a(kind: str) -> str:
    return f"an {kind}" if kind.startswith("I") else f"a {kind}"
