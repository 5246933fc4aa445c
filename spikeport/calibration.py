"""Calibration: what u and v of the float reference reach, so that scales can be chosen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport.compiler.clocked import Clocked, Membrane
from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import QUANTIZERS, Array
from spikeport.compiler.quantize.peak import Peaks
from spikeport.compiler.quantize.seen import Seen
from spikeport.data import Data

CALIBRATION_SAMPLES = 64  # that are run at once, and that roundings and rasters look at
DEEPER = 2.0  # other data may come back from twice the depth, beside all other headroom
FORGETS = 1e-3  # share kept of a current below which what is left does not tell what there was


class Watch:
    """Collects what u and v of every population reach while the reference runs.

    Attributes:
        largest: (population, variable) -> largest magnitude of each neuron, (n,).
        returned: population -> the lowest v of each neuron after which it spiked all the same: a
            v that is cut off below that never shows.
    """

    def __init__(self) -> None:
        self.largest: dict[tuple[str, str], Array] = {}
        self.returned: dict[str, Array] = {}
        self._lowest: dict[str, Array] = {}  # v since the last spike, (samples, n)

    def __call__(self, name: str, variables: Mapping[str, Array], sent: Array) -> None:
        """See one step of one population."""
        for key in ("u", "v"):
            now = np.abs(variables[key]).max(axis=0, initial=0.0)
            known = self.largest.get((name, key))
            self.largest[name, key] = now if known is None else np.maximum(known, now)
        v, fired = variables["v"], sent != 0
        lowest = self._lowest.get(name, np.zeros_like(v))
        low = np.where(fired, lowest, 0.0).min(axis=0, initial=0.0)
        self.returned[name] = np.minimum(self.returned.get(name, low), low)
        self._lowest[name] = np.where(fired, v, np.minimum(lowest, v))

    def starts_anew(self) -> None:
        """Forget where v was: what is seen next are other samples."""
        self._lowest = {}

    def peaks(self, clocked: Clocked, data: Data) -> dict[str, Peaks]:
        """Return what was seen, per population.

        v before a reset is at most what was seen after one (or the threshold) and one step's
        current; that bound is used.
        """
        return {name: self._peaks(clocked, name, data) for name in clocked.neurons}

    def _peaks(self, clocked: Clocked, name: str, data: Data) -> Peaks:
        cell = clocked.populations[name].cell
        seen = self.largest.get((name, "v"), np.zeros(1))
        if not isinstance(cell, Membrane):
            return Peaks(0.0, float(seen.max(initial=0.0)), _drive(clocked, name, data))
        u = self._current(clocked, name, data) * np.abs(cell.gain_v)
        theta = np.where(np.isfinite(cell.v_threshold), np.abs(cell.v_threshold), 0.0)
        v = np.maximum(theta + np.abs(cell.v_reset), seen) + u + np.abs(cell.drive_v)
        # On chip v counts from v_reset, and the host drives what a constant would.
        level = np.abs(cell.drive_v) + np.abs((1.0 - cell.keep_v) * cell.v_reset)
        drive = float((u + level).max(initial=0.0)) if data.kind == "current" else 0.0
        up = theta + np.abs(cell.v_reset) + u + np.abs(cell.drive_v)
        needed = np.maximum(up, u - DEEPER * self.returned.get(name, np.zeros(1)))
        return Peaks(
            float(u.max(initial=0.0)), float(v.max(initial=0.0)), drive, u, v,
            np.minimum(needed, v) if cell.spiking else None,
        )  # fmt: skip

    def _current(self, clocked: Clocked, name: str, data: Data) -> Array:
        """Return the largest current that v saw, (n,); `add_v_decay` keeps what is left of it."""
        cell = clocked.populations[name].cell
        largest = self.largest.get((name, "u"), np.zeros(cell.keep_u.size))
        if not cell.has_current or cell.current_order != "add_v_decay":
            return largest
        keep = float(cell.keep_u.min(initial=1.0))
        if keep > FORGETS:
            return largest / keep
        arriving = [np.asarray(abs(p.matrix).sum(axis=1)).ravel() for p in clocked.into(name)]
        sent = max((float(np.abs(x).max(initial=1.0)) for x in data.inputs.values()), default=1.0)
        return np.asarray(sum(arriving, np.zeros(cell.keep_u.size)) * sent * cell.gain_u)


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
    """Return what u and v of every population reach over all samples, a few at a time."""
    from spikeport.backends import reference

    watch = Watch()
    for first in range(0, data.samples, CALIBRATION_SAMPLES):
        some = {name: x[first : first + CALIBRATION_SAMPLES] for name, x in data.inputs.items()}
        reference.run(clocked, some, watch=watch)
        watch.starts_anew()
    return watch.peaks(clocked, data)


def check_calibration(data: Data) -> None:
    """Refuse data that nothing can be chosen on.

    Raises:
        DataError: there is no spike in it.
    """
    if data.kind == "current" or any(x.any() for x in data.inputs.values()):
        return
    raise DataError(
        "the calibration data holds no spike",
        f"{data.samples} samples of {data.steps} steps say nothing of what rounding changes",
        "give data that the network was trained on",
    )


def seen_on(retimed: Clocked, data: Data) -> Seen:
    """Return a run of the retimed network on (at most 64 of) the samples.

    Raises:
        DataError: its inputs are real values, or it never spikes, or always: such data says
            nothing of the roundings.
    """
    from spikeport.backends import reference

    if data.kind == "current":
        raise DataError(
            "outputs cannot be calibrated on real-valued inputs",
            "the host computes the first layer, and its rounding is not the quantizer's",
            "leave out --rounding output, --ranges output or raster, and --correct",
        )
    few = data.first(CALIBRATION_SAMPLES)
    check_calibration(few)
    traces = reference.run(retimed, few.inputs)
    spiking = [name for name in retimed.neurons if name in traces.spikes]
    cells = {name: traces.samples * traces.model_steps * retimed.populations[name].size
             for name in spiking if retimed.populations[name].kind != "constant"}  # fmt: skip
    sent = {name: traces.spikes[name].neuron.size for name in cells}  # however many each time
    if cells and not any(sent.values()):
        raise DataError(
            "no neuron spikes on the calibration data",
            f"{few.samples} samples of {few.steps} steps say nothing of what rounding changes",
            "give data that the network was trained on, and check --dialect and --dt",
        )
    if cells and all(sent[name] >= cells[name] > 0 for name in cells):
        raise DataError(
            "every neuron spikes in every step of the calibration data",
            f"{few.samples} samples of {few.steps} steps say nothing of what rounding changes",
            "give data that the network was trained on, and check --dialect and --dt",
        )
    return Seen(retimed, traces)
