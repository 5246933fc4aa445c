"""What u and v of a population reach: seen in calibration, or bounded by the weights alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.compiler.clocked import Membrane
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.scaled import Scaled

HEADROOM = 2.0  # calibrated peaks of u may double before it wraps
HEADROOM_V = 1.5  # those of v may grow by a half before it is clipped


@dataclass(frozen=True, eq=False)
class Peaks:
    """Largest magnitudes in the float network's units.

    Attributes:
        u: of what v sees of the current, times its gain.
        v: before a reset.
        drive: of what the host adds to v per step.
        u_each, v_each: the same of each neuron, (n,); None: the largest stands for each.
        v_needed: of each neuron, what v must hold: its threshold, and the depths that it came back
            from to spike; None: all of `v`.
        more: what rounding may add to u and v, in weight units, (n,) each, beside that.
        is_seen: on data; a bound needs no headroom.
    """

    u: float
    v: float
    drive: float = 0.0
    u_each: Array | None = None
    v_each: Array | None = None
    v_needed: Array | None = None
    more: tuple[Array, Array] | None = None
    is_seen: bool = True

    def of_each(self, size: int) -> tuple[Array, Array]:
        """Return u and v of each neuron, (n,)."""
        u = np.full(size, self.u) if self.u_each is None else self.u_each
        return u, np.full(size, self.v) if self.v_each is None else self.v_each


def bound_of_weights(cell: Membrane, folded: list[Scaled], cut: bool = False) -> Peaks:
    """Return what u and v can reach at most, from the weights alone.

    What rounding may add counts: decays lose a whole number of 4096ths, and a weight grows by
    half a step: at most 1/127 of the largest, or one weight unit.

    Args:
        cell: in floats.
        folded: weights times the most that their sources send.
        cut: give v 64 thresholds even where it decays: narrow states saturate. Integrators, which
            nothing bounds, are given so much anyway.
    """
    total: Array = np.zeros(cell.keep_v.size)
    count: Array = np.zeros(cell.keep_v.size)
    for weights in folded:
        sums, counts = weights.row_sums()
        total = total + sums + counts * weights.largest / 127
        count = count + counts
    lost_u, lost_v = (
        np.maximum(np.rint((1.0 - keep) * 4096), 1.0) / 4096 for keep in (cell.keep_u, cell.keep_v)
    )
    u = total / lost_u
    rise = u + np.abs(cell.drive_v)
    theta = np.where(np.isfinite(cell.v_threshold), np.abs(cell.v_threshold), rise)
    some = np.minimum(rise / lost_v, 64 * np.maximum(theta, rise))
    v = np.maximum(some if cut else np.where(cell.keep_v < 1, rise / lost_v, some), theta + rise)
    return Peaks(
        float(u.max(initial=0.0)),
        float(v.max(initial=0.0)),
        0.0,
        u,
        v,
        more=(count / lost_u, count / lost_u / lost_v),
        is_seen=False,
    )
