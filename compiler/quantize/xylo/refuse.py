"""What Xylo cannot do, refused by name, and what it does otherwise, said in notes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Population
from spikeport.compiler.errors import LoweringError, counted
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.peak import Peaks
from spikeport.compiler.quantize.xylo.cell import HIDDEN_SPIKES

FAR = 0.25  # rounding the share that a state loses by more than this is said in a note


def refuse(name: str, pop: Population, peak: Peaks, is_output: bool, chip: Chip) -> None:
    """Refuse what this population does and the chip does not.

    Args:
        name: of the population.
        pop: in floats.
        peak: what its states reach.
        is_output: is it read out; a readout sends one spike per step.
        chip: for messages.

    Raises:
        LoweringError: by name and with what would work.
    """
    cell = pop.cell
    if not (cell.v_threshold > 0).all() or not np.isfinite(cell.v_threshold).all():
        raise LoweringError(
            f"a threshold of {name!r} is {cell.v_threshold.min():g}",
            "v is reset by taking the threshold off, so it must be above 0",
            "correct v_threshold",
        )
    if cell.v_initial.any():
        raise LoweringError(
            f"v of {name!r} starts at {np.abs(cell.v_initial).max():g}",
            f"all states of {chip.name} start at 0",
            f"--set {name}.initial_v=0",
        )
    if np.isfinite(cell.v_min).any():
        raise LoweringError(
            f"v of {name!r} does not fall below {cell.v_min.max():g}",
            f"{chip.name} has no lower limit but that of 16 bits",
            f"--set {name}.v_min=none (compare the accuracy), or --chip loihi1",
        )
    if cell.spike == "binary" and not is_output and thresholds_held(pop, peak) >= 2:
        raise LoweringError(
            f"{name!r} sends one spike per step (spike=binary), and a step can bring "
            f"{peak.u:g}, enough for two of its thresholds of {cell.v_threshold.min():g}",
            f"a hidden neuron of {chip.name} sends a spike for each threshold that v holds",
            f"--set {name}.spike=count (compare the accuracy), or --chip loihi1",
        )


def thresholds_held(pop: Population, peak: Peaks) -> float:
    """Return how many thresholds v can hold at most: less than one, and what a step brings."""
    cell = pop.cell
    step = peak.u + float(np.abs(cell.drive_v).max(initial=0.0))
    return 1.0 + step / float(cell.v_threshold.min())


def notes_of(
    name: str, clocked: Clocked, kept: tuple[Array, Array], peak: Peaks, is_output: bool
) -> Iterator[str]:
    """Yield a sentence for each thing that is not exactly as in the float network.

    Args:
        name: of the population.
        clocked: where it is.
        kept: share of current and voltage that its shifts keep, (n,).
        peak: what its states reach.
        is_output: is it read out.
    """
    pop, lag = clocked.populations[name], clocked.lags[name]
    cell = pop.cell
    most = thresholds_held(pop, peak)
    if is_output and cell.spike == "count" and most >= 2:
        yield (
            f"the readout {name!r} sends one spike per step at most: where v reaches twice the "
            "threshold, the network's other spikes come in later steps"
        )
    if not is_output and most > HIDDEN_SPIKES + 1:
        yield f"{name!r} sends {HIDDEN_SPIKES} spikes per step at most"
    if cell.drive_v.any() and lag:
        yield (
            f"the bias of {name!r} is a register that acts from the first step, "
            f"{counted(lag, 'step')} before its inputs arrive: the transient differs"
        )
    for what, keep, now in (("current", cell.keep_u, kept[0]), ("v", cell.keep_v, kept[1])):
        wrong = np.abs(now - keep) / np.maximum(1.0 - keep, 2.0**-15)
        if wrong.max() > FAR:
            worst = int(wrong.argmax())
            yield (
                f"{what} of {name!r} keeps {now[worst]:.4g} per step, not {keep[worst]:.4g}: time "
                "constants are powers of two of the time step"
            )
