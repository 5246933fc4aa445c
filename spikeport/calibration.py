"""Calibration: what u and v of the float reference reach, so that scales can be chosen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport.compiler.clocked import Clocked, Membrane
from spikeport.compiler.kinds import QUANTIZERS, Array
from spikeport.compiler.quantize.scale import Peaks
from spikeport.data import Data

CALIBRATION_SAMPLES = 64
FORGETS = 1e-3  # share kept of a current below which what is left does not tell what there was


class Watch:
    """Collects the largest u and v of every population while the reference runs."""

    def __init__(self) -> None:
        self.largest: dict[tuple[str, str], float] = {}

    def __call__(self, name: str, variables: Mapping[str, Array]) -> None:
        """See one step of one population."""
        for key in ("u", "v"):
            value = variables[key]
            now = max(float(value.max(initial=0.0)), -float(value.min(initial=0.0)))
            self.largest[name, key] = max(self.largest.get((name, key), 0.0), now)

    def peaks(self, clocked: Clocked, data: Data) -> dict[str, Peaks]:
        """Return what was seen, per population.

        v before a reset is at most what was seen after one (or the threshold) and one step's
        current; that bound is used.
        """
        return {name: self._peaks(clocked, name, data) for name in clocked.neurons}

    def _peaks(self, clocked: Clocked, name: str, data: Data) -> Peaks:
        cell = clocked.populations[name].cell
        if not isinstance(cell, Membrane):
            return Peaks(0.0, self.largest.get((name, "v"), 0.0), _drive(clocked, name, data))
        u = self._seen(clocked, name, data) * float(np.abs(cell.gain_v).max(initial=0.0))
        theta = cell.v_threshold[np.isfinite(cell.v_threshold)]
        highest, reset = (float(np.abs(x).max(initial=0.0)) for x in (theta, cell.v_reset))
        seen = self.largest.get((name, "v"), 0.0)
        v = max(highest + reset, seen) + u + float(np.abs(cell.drive_v).max(initial=0.0))
        # On chip v counts from v_reset, and the host drives what a constant would.
        level = np.abs(cell.drive_v) + np.abs((1.0 - cell.keep_v) * cell.v_reset)
        drive = u + float(level.max(initial=0.0))
        return Peaks(u, v, drive if data.kind == "current" else 0.0)

    def _seen(self, clocked: Clocked, name: str, data: Data) -> float:
        """Return the largest current that v saw; `add_v_decay` keeps what is left of it."""
        cell, largest = clocked.populations[name].cell, self.largest.get((name, "u"), 0.0)
        if not cell.has_current or cell.current_order != "add_v_decay":
            return largest
        keep = float(cell.keep_u.min(initial=1.0))
        if keep > FORGETS:
            return largest / keep
        arriving = [np.asarray(abs(p.matrix).sum(axis=1)).max() for p in clocked.into(name)]
        sent = max((float(np.abs(x).max(initial=1.0)) for x in data.inputs.values()), default=1.0)
        return float(sum(arriving)) * sent * float(cell.gain_u.max(initial=0.0))


def _drive(clocked: Clocked, name: str, data: Data) -> float:
    """Return the most that real-valued inputs add to v in a step of a cell of another family."""
    if data.kind != "current":
        return 0.0
    gain = QUANTIZERS[type(clocked.populations[name].membrane)].gain(clocked.populations[name].cell)
    largest = np.zeros(clocked.populations[name].size)
    for each in clocked.into(name):
        if each.pre in data.inputs:
            flat = data.inputs[each.pre].reshape(-1, each.matrix.shape[1])
            largest += np.abs(np.asarray(each.matrix @ flat.T)).max(axis=1)
        elif clocked.populations[each.pre].kind == "constant":
            largest += np.abs(np.asarray(each.matrix)[:, 0])
    return float((largest * np.abs(gain)).max(initial=0.0))


def calibrate(clocked: Clocked, data: Data) -> dict[str, Peaks]:
    """Return the largest u and v of every population over (at most 64 of) the samples."""
    from spikeport.backends import reference

    few, watch = data.first(CALIBRATION_SAMPLES), Watch()
    reference.run(clocked, few.inputs, watch=watch)
    return watch.peaks(clocked, few)
