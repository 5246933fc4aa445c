"""The scale of a population: weight units per float unit of v.

It is the largest for which thresholds fit their bits, exponents fit, and u and v stay inside
their bits; among nearby ones that use the eight bits of some projection fully, the one with the
smallest weight error is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Membrane
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.arithmetic import arithmetic_of, grid_of
from spikeport.compiler.quantize.scaled import Scaled
from spikeport.compiler.quantize.weights import full_of, mantissas

TIE = 0.25  # of a mantissa: how far below a threshold `>=` already spikes, where v decays
TRIED = 200_000  # weights of a projection at which scales are compared
HEADROOM = 2.0  # calibrated peaks may double before u wraps or v saturates


@dataclass(frozen=True)
class Peaks:
    """Largest magnitudes seen in calibration, in the float network's units.

    Attributes:
        u: of what v sees of the current, times its gain.
        v: before a reset.
        drive: of what the host adds to v per step.
    """

    u: float
    v: float
    drive: float = 0.0


def choose_scale(
    name: str, cell: Membrane, folded: list[Scaled], peak: Peaks, headroom: float, chip: Chip
) -> float:
    """Return weight units per float unit of v."""
    theta = cell.v_threshold[np.isfinite(cell.v_threshold)]
    arithmetic = arithmetic_of(chip)
    aligned = 1 << arithmetic.weight_shift
    largest_state = arithmetic.largest_state / aligned
    limits = [largest_state / (headroom * value) for value in (peak.u, peak.v) if value > 0]
    starts = [cell.v_initial]
    starts += [cell.v_reset] if cell.spiking and cell.reset == "to_value" else []
    levels = [float(np.abs(each).max(initial=0.0)) for each in starts]
    limits += [largest_state / value for value in levels if value > 0]
    if theta.size and theta.max() > 0:
        limits.append(chip.limits.threshold_mantissa.high / float(theta.max()))
    used = [weights for weights in folded if weights.largest > 0]
    spread = [weights.largest for weights in used]
    top = 1 << chip.limits.weight_exponent.high
    full = [full_of(grid_of(weights.extent, chip)) for weights in used]
    limits += [size * top / largest for size, largest in zip(full, spread, strict=True)]
    limits += _room_for_drives(name, cell, peak, chip, aligned)
    if not limits:
        return 1.0
    best = min(limits)
    if theta.size and theta.max() > 0 and theta.max() * best < 1:
        why = f"weights up to {max(spread, default=0):g} against a threshold of {theta.max():g}"
        reached = max(peak.u, peak.v)
        if not spread:  # behind messages no weight is too large
            why = f"it reaches {reached:g} against a threshold of {theta.max():g}"
        raise LoweringError(
            f"the threshold of {name!r} is less than one step of its weights",
            why,
            "scale the weights down or the threshold up",
        )
    candidates = [best]
    for size, largest in zip(full, spread, strict=True):
        candidates += [size * 2.0**e / largest for e in range(-8, 8)]
    near = [value for value in candidates if best / 4 < value <= best]
    tried = [weights.first(TRIED) for weights in folded]
    scale = min(near, key=lambda value: (_error(tried, value, chip), -value))
    return _on_threshold(cell, theta, scale)


def _room_for_drives(
    name: str, cell: Membrane, peak: Peaks, chip: Chip, aligned: int
) -> list[float]:
    """Return the largest scales at which bias registers hold what moves v in every step."""
    register, exponent = chip.limits.bias_mantissa, chip.limits.bias_exponent.high
    up, down = float(cell.drive_v.max(initial=0.0)), float(-cell.drive_v.min(initial=0.0))
    written = HEADROOM * peak.drive  # by the host, of either sign
    limits = []
    for value, most in ((max(up, written), register.high), (max(down, written), -register.low)):
        if value > 0 and most <= 0:
            raise LoweringError(
                f"v of {name!r} is moved {'up' if most == register.high else 'down'} in every step",
                f"bias registers of {chip.name} hold {register.low} to {register.high}",
                "take v_leak or the real-valued input away, or choose another chip",
            )
        limits += [(most << exponent) / (value * aligned)] if value > 0 else []
    return limits


def _on_threshold(cell: Membrane, theta: Array, scale: float) -> float:
    """Return a scale a little smaller, at which a threshold that all share loses nothing.

    It is a whole mantissa then, or `TIE` more where `>=` meets a state that decays.
    """
    if theta.size == 0 or np.ptp(theta) != 0 or theta[0] <= 0:
        return scale
    over = TIE if cell.threshold == "greater_equal" and not whole(cell) else 0.0
    mantissa = np.floor(theta[0] * scale - over + 1e-9)
    return float((mantissa + over) / theta[0]) if mantissa >= 1 else scale


def whole(cell: Membrane) -> bool:
    """Is v always a whole multiple of 64: weights add to it, and nothing decays."""
    return not cell.has_current and bool((cell.keep_v == 1.0).all())


def _error(tried: list[Array], scale: float, chip: Chip) -> float:
    """Return the summed squared rounding error of weights at a scale, in float units."""
    total = 0.0
    for values in tried:
        if values.size:
            mantissa, exponent = mantissas(values, scale, grid_of(values, chip))
            total += float(np.sum((mantissa * 2.0**exponent / scale - values) ** 2))
    return total


def bound_of_weights(cell: Membrane, folded: list[Scaled]) -> Peaks:
    """Return what u and v can reach at most, from the weights alone (v at most 64 thresholds).

    `folded` are weights times the most that their sources send.

    What rounding may add counts: decays lose a whole number of 4096ths, and a weight grows by
    half a step, at most 1/127 of the largest.
    """
    total: Array = np.zeros(cell.keep_v.size)
    for weights in folded:
        sums, counts = weights.row_sums()
        total = total + sums + counts * weights.largest / 127
    lost_u, lost_v = (
        np.maximum(np.rint((1.0 - keep) * 4096), 1.0) / 4096 for keep in (cell.keep_u, cell.keep_v)
    )
    u = total / lost_u
    rise = u + np.abs(cell.drive_v)
    theta = np.where(np.isfinite(cell.v_threshold), np.abs(cell.v_threshold), rise)
    v = np.minimum(rise / lost_v, 64 * np.maximum(theta, rise))
    return Peaks(float(u.max(initial=0.0)), float(np.maximum(v, theta + rise).max(initial=0.0)))
