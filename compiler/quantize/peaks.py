"""How large everything gets: the scale of every population, and of what it sends.

A population's scale depends on what u and v reach, seen in calibration or bounded by the weights
and by what its sources send. Behind graded messages it does not depend on the weights: their
exponent may be negative, so any scale does.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import QUANTIZERS, Array
from spikeport.compiler.passes.retime import by_host
from spikeport.compiler.quantize.arithmetic import LOIHI, arithmetic_of
from spikeport.compiler.quantize.scale import HEADROOM, Peaks, bound_of_weights, choose_scale
from spikeport.compiler.quantize.scaled import Scaled

RELAY_WEIGHT = 64  # of a relay of counts or messages: exact, and v stays far inside 32 bits


@dataclass(frozen=True, eq=False)
class Scaling:
    """How a population's floats become integers.

    Attributes:
        scale: weight units per float unit of v.
        gain: from what arrives to v, (n,).
        peak: what u and v reach.
        incoming: projections that are synapses; the others are the host's.
        message_shift: of an analog population that sends messages, else 0.
        unit: message units per float unit of v, 0 where it sends spikes or nothing.
        weight_shift: of the chip's arithmetic.
    """

    scale: float
    gain: Array
    peak: Peaks
    incoming: tuple[Projection, ...]
    message_shift: int = 0
    unit: float = 0.0
    weight_shift: int = fixed.WEIGHT_SHIFT

    @property
    def full(self) -> float:
        """Units of v per float unit."""
        return self.scale * (1 << self.weight_shift)


def scale_all(
    clocked: Clocked, chip: Chip, peaks: Mapping[str, Peaks], host: Mapping[str, bool]
) -> dict[str, Scaling]:
    """Return the scaling of every population, in network order.

    Raises:
        LoweringError: a bound is needed for what a loop through an analog population reaches.
    """
    scalings: dict[str, Scaling] = {}
    waiting = clocked.neurons
    while waiting:  # those whose sources are known; the first, where all of them are in loops
        ready = [name for name in waiting if _graded_sources(clocked, name) <= scalings.keys()]
        for name in ready or waiting[:1]:
            scaling = _scaling(clocked, name, chip, peaks.get(name), host, scalings)
            scalings[name] = replace(scaling, weight_shift=arithmetic_of(chip).weight_shift)
        waiting = [name for name in waiting if name not in scalings]
    return {name: scalings[name] for name in clocked.neurons}


def _graded_sources(clocked: Clocked, name: str) -> set[str]:
    """Return the populations that send it real values or counts, so their size matters."""
    signals = {pre: clocked.populations[pre].signal for pre in clocked.neurons}
    return {p.pre for p in clocked.into(name) if signals.get(p.pre, "binary") != "binary"}


def _scaling(
    clocked: Clocked,
    name: str,
    chip: Chip,
    peak: Peaks | None,
    host: Mapping[str, bool],
    known: Mapping[str, Scaling],
) -> Scaling:
    pop = clocked.populations[name]
    other = QUANTIZERS.get(type(pop.membrane))
    gain = other.gain(pop.membrane) if other else pop.cell.gain_u * pop.cell.gain_v
    lag = clocked.lags[name]
    written = {(p.post, p.delay - lag) for p in clocked.into(name) if p.pre in host}
    incoming = [p for p in clocked.into(name) if not _written(clocked, p, host, written)]
    if other:
        scale = other.scale(pop.membrane, chip)
        return Scaling(scale, gain, peak or Peaks(0.0, 0.0), tuple(incoming))
    if pop.kind == "Relay" and pop.signal != "binary":
        return _repeating(incoming[0], gain, known, arithmetic_of(chip).weight_shift)
    cell = pop.cell
    headroom = 1.0 if peak is None else HEADROOM  # a bound needs none
    weights = {p: Scaled(p.matrix, gain) for p in incoming}
    if peak is None:
        most = {p: _most_sent(clocked, p, known) for p in incoming}
        bounds = [weights[p] if m == 1.0 else Scaled(p.matrix, gain * m) for p, m in most.items()]
        peak = bound_of_weights(cell, bounds)
        if chip.arithmetic not in LOIHI:  # narrow states that saturate: room above the threshold
            peak = replace(peak, v=min(peak.v, HEADROOM * _finite(cell.v_threshold) or peak.v))
    folded = [weights[p] for p in incoming if clocked.populations[p.pre].signal != "analog"]
    scaling = Scaling(
        choose_scale(name, cell, folded, peak, headroom, chip), gain, peak, tuple(incoming)
    )
    if cell.spiking or not any(p.pre == name for p in clocked.projections):
        return scaling
    scaling = replace(scaling, weight_shift=arithmetic_of(chip).weight_shift)
    largest = max(headroom * peak.v * scaling.full, 1.0)
    shift = max(1, int(np.ceil(np.log2(largest / ((1 << (chip.message_bits - 1)) - 1)))))
    return replace(scaling, message_shift=shift, unit=scaling.full / (1 << shift))


def _finite(levels: Array) -> float:
    return float(np.abs(levels[np.isfinite(levels)]).max(initial=0.0))


def _repeating(
    projection: Projection, gain: Array, known: Mapping[str, Scaling], weight_shift: int
) -> Scaling:
    """Return the scaling of a relay: its weight is 64, so that what it hears is what it sends."""
    source = known.get(projection.pre)
    unit = source.unit if source else 0.0
    peak = source.peak if source else Peaks(0.0, 0.0)
    scale = RELAY_WEIGHT * (unit or 1.0)
    shift = weight_shift + RELAY_WEIGHT.bit_length() - 1 if unit else 0
    return Scaling(scale, gain, peak, (projection,), shift, unit)


def _most_sent(clocked: Clocked, projection: Projection, known: Mapping[str, Scaling]) -> float:
    """Return the largest value that a projection's source can send."""
    sender = clocked.populations[projection.pre]
    if sender.signal == "binary":
        return 1.0
    if projection.pre not in known:
        raise LoweringError(
            f"how much {projection.pre!r} sends to {projection.post!r} is not known",
            "they are in one loop, and its values are real or counted, so no bound follows from "
            "the weights",
            "give data to calibrate with: --data, or sp.compile(net, chip, calibration=x)",
        )
    peak = known[projection.pre].peak.v
    if sender.signal == "analog":
        return peak
    return float(np.ceil(peak / np.abs(sender.cell.v_threshold).min(initial=np.inf)))


def _written(
    clocked: Clocked,
    projection: Projection,
    host: Mapping[str, bool],
    written: Set[tuple[str, int]],
) -> bool:
    """As `retime.by_host`, on the retimed network (delays include the lag)."""
    lag = clocked.lags[projection.post]
    original = replace(projection, delay=projection.delay - lag)
    return by_host(clocked, original, set(host), written)
