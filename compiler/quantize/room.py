"""How large a population's scale may be: what fits states, thresholds, weights and biases."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Membrane
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.arithmetic import arithmetic_of, full_of
from spikeport.compiler.quantize.candidate import Candidate, grid_for, reach_of
from spikeport.compiler.quantize.peak import HEADROOM, HEADROOM_V, Peaks
from spikeport.compiler.quantize.recipe import Recipe


def largest_scales(
    name: str,
    cell: Membrane,
    candidates: Iterable[Candidate],
    recipe: Recipe,
    peak: Peaks,
    chip: Chip,
    cut: bool = False,
) -> Array:
    """Return the largest weight units per float unit of v of each neuron, (n,); inf: any will do.

    Args:
        name: of the population.
        cell: in floats.
        candidates: weights that end in it.
        recipe: which of them are to fit.
        peak: what u and v reach; with headroom where it was seen, none where it is a bound.
        chip: whose registers hold it all.
        cut: may v be cut off far below, where it did not come back from on calibration data.

    Raises:
        LoweringError: a threshold would be less than one step of the weights, or the chip cannot
            move v in every step.
    """
    size = cell.v_threshold.size
    arithmetic = arithmetic_of(chip)
    aligned = 1 << arithmetic.weight_shift
    largest_state = arithmetic.largest_state / aligned
    bound = _Smallest(size)
    u, v = peak.of_each(size)
    v = peak.v_needed if cut and peak.v_needed is not None else v
    more = peak.more or (np.zeros(size), np.zeros(size))
    for value, headroom, added in ((u, HEADROOM, more[0]), (v, HEADROOM_V, more[1])):
        least = largest_state / (headroom if peak.is_seen else 1.0)
        bound.take(np.maximum(least - added, least / 2), value)
    starts = [cell.v_initial]
    starts += [cell.v_reset] if cell.spiking and cell.reset == "to_value" else []
    for value in starts:
        bound.take(largest_state, np.abs(value))
    theta = np.where(np.isfinite(cell.v_threshold), cell.v_threshold, 0.0)
    bound.take(chip.limits.threshold_mantissa.high, theta)
    top = 1 << chip.limits.weight_exponent.high
    largest = 0.0
    for each in candidates:
        if each.weights.largest > 0:
            bound.take(full_of(grid_for(each, chip)) * top, reach_of(each, recipe))
            largest = max(largest, each.weights.largest)
    _take_drives(bound, name, cell, peak, chip, aligned)
    some = theta > 0
    least = float((theta[some] * bound.value[some]).min(initial=np.inf))
    if least < 1:
        why = f"weights up to {largest:g} against a threshold of {theta.max():g}"
        if not largest:  # behind messages no weight is too large
            reached = max(peak.u, peak.v)
            why = f"it reaches {reached:g} against a threshold of {theta.max():g}"
        raise LoweringError(
            f"the threshold of {name!r} is less than one step of its weights",
            why,
            "scale the weights down or the threshold up",
        )
    return bound.value


class _Smallest:
    """The smallest of several limits of each neuron."""

    def __init__(self, size: int) -> None:
        self.value: Array = np.full(size, np.inf)

    def take(self, most: float | Array, each: Array) -> None:
        """Keep each neuron's value times the scale below `most`; 0 limits nothing."""
        with np.errstate(divide="ignore"):
            limit = np.where(each > 0, most / each, np.inf)
        self.value = np.minimum(self.value, limit)


def _take_drives(
    bound: _Smallest, name: str, cell: Membrane, peak: Peaks, chip: Chip, aligned: int
) -> None:
    """Keep what moves v in every step inside bias registers."""
    register, exponent = chip.limits.bias_mantissa, chip.limits.bias_exponent.high
    written = HEADROOM * peak.drive  # by the host, of either sign
    up = np.maximum(cell.drive_v, written)
    down = np.maximum(-cell.drive_v, written)
    for value, most in ((up, register.high), (down, -register.low)):
        if value.max(initial=0.0) > 0 and most <= 0:
            raise LoweringError(
                f"v of {name!r} is moved {'up' if most == register.high else 'down'} in every step",
                f"bias registers of {chip.name} hold {register.low} to {register.high}",
                "take v_leak or the real-valued input away, or choose another chip",
            )
        if most > 0:
            bound.take((most << exponent) / aligned, value)
