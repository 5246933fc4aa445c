"""What goes wrong while a network learns, by name, with the usual remedies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spikeport.compiler.errors import TrainingError

#: Above this share of steps with a spike a population is said to be saturated.
SATURATED = 0.95
#: A loss this many times the best epoch's, and above the first one's, is said to diverge.
DIVERGED = 2.0

LOWER = "lower optimiser.rate, or set optimiser.clip: 1.0"
MORE_SPIKES = (
    "larger initial weights, a lower v_threshold, a longer tau, regularise: {rate: {weight: 1, "
    "low: 0.01}}, or a gentler surrogate slope"
)
FEWER_SPIKES = (
    "smaller initial weights, a higher v_threshold, or regularise: {rate: {weight: 1, high: 0.5}}"
)


def check_finite(
    epoch: int, batch: int, loss: float, bad_slopes: Sequence[str], bad_values: Sequence[str]
) -> None:
    """Stop a training whose loss or parameters are no numbers any more.

    Args:
        epoch, batch: of the step, from 0.
        loss: of the step.
        bad_slopes: parameters whose gradient is not finite, in the network's order.
        bad_values: parameters that are not finite after the step.

    Raises:
        TrainingError: it names the step and the first such parameter.
    """
    if not bad_slopes and not bad_values and abs(loss) < float("inf"):
        return
    if bad_slopes:
        why = f"the gradient of {bad_slopes[0]!r} is not finite"
    elif bad_values:
        why = f"{bad_values[0]!r} is not finite after it"
    else:
        why = "all gradients are finite: the loss itself overflowed"
    raise TrainingError(
        f"no number any more in step {batch} of epoch {epoch}, whose loss is {loss:g}", why, LOWER
    )


def epoch_warnings(
    rows: Sequence[Mapping[str, Any]], activity: Mapping[str, float], output: str
) -> list[str]:
    """Return what looks wrong after an epoch, a sentence each.

    A silent output is an error in the second epoch without a spike: in the first the surrogate's
    tails may still lift it, and where a whole epoch of updates did not, all classes tie and every
    further epoch is lost.

    Args:
        rows: of the history, the epoch that just ended last.
        activity: spiking population -> share of cells (a neuron in a step) with a spike.
        output: the population that is decoded, where its spikes are.

    Raises:
        TrainingError: the output was silent in this epoch and in the one before.
    """
    epoch = rows[-1]["epoch"]
    found = []
    for name, share in activity.items():
        if share == 0:
            found.append(f"{name} is silent: no spike in epoch {epoch}; usual remedies: "
                         f"{MORE_SPIKES}")  # fmt: skip
        elif share >= SATURATED:
            found.append(f"{name} is saturated: spikes in {share:.1%} of its steps in epoch "
                         f"{epoch}; usual remedies: {FEWER_SPIKES}")  # fmt: skip
    before = rows[-2]["activity"] if len(rows) > 1 else {}
    if activity.get(output) == 0 and before.get(output) == 0:
        silent = [name for name, share in activity.items() if share == 0]
        raise TrainingError(
            f"the output {output!r} stays silent: no spike in epochs {epoch - 1} and {epoch}",
            f"silent in the last epoch: {', '.join(silent)}",
            f"start from {MORE_SPIKES}",
        )
    losses = [float(row["loss"]) for row in rows]
    if losses[-1] > DIVERGED * min(losses) and losses[-1] > losses[0]:
        found.append(f"the loss diverges: {losses[-1]:.4g} in epoch {epoch}, {min(losses):.4g} "
                     f"in epoch {losses.index(min(losses))}; usual remedy: {LOWER}")  # fmt: skip
    return found
