"""How large everything gets: the scale of every population, and of what it sends.

A population's scale depends on what u and v reach, seen in calibration or bounded by the weights
and by what its sources send. Behind graded messages it does not depend on the weights: their
exponent may be negative, so any scale does.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import QUANTIZERS, Array
from spikeport.compiler.passes.retime import by_host
from spikeport.compiler.quantize.arithmetic import LOIHI, arithmetic_of, full_of, grid_of
from spikeport.compiler.quantize.candidate import Candidate
from spikeport.compiler.quantize.gains import Followed, follow_decays
from spikeport.compiler.quantize.peak import HEADROOM, Peaks, bound_of_weights
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.quantize.room import largest_scales
from spikeport.compiler.quantize.scale import choose_scales, trained_scales
from spikeport.compiler.quantize.scaled import Scaled
from spikeport.compiler.quantize.seen import Seen

ALWAYS = 100.0  # times as much counts an error of what acts in each step: others in one in ten
FAR = 16.0  # times what a neuron that sends changes has sent: its sum can be far below 0
WIDE = 24  # bits of a state; wider ones have room for all that is summed up
RELAY_WEIGHT = 64  # of a relay of counts or messages: exact, and v stays far inside 32 bits


@dataclass(frozen=True, eq=False)
class Scaling:
    """How a population's floats become integers.

    Attributes:
        scale: weight units per float unit of v, (n,).
        gain: from what arrives to v, (n,).
        peak: what u and v reach.
        incoming: projections that are synapses; the others are the host's.
        followed: decays as registers hold them; None: as they are.
        exponents: of the projections whose scale was chosen for one.
        classes: neurons of one number share a threshold, (n,).
        traces: of the projections that calibration data came over, see `Seen.traces_into`.
        threshold_shift: added to threshold mantissas, (n,) or one for all.
        is_cut: may v be cut off far below.
        drive: added to what moves v in every step, in units of v on the chip, (n,) or one for all.
        message_shift: of an analog population that sends messages, else 0.
        unit: message units per float unit of v, 0 where it sends spikes or nothing.
        weight_shift: of the chip's arithmetic.
    """

    scale: Array
    gain: Array
    peak: Peaks
    incoming: tuple[Projection, ...]
    message_shift: int = 0
    unit: float = 0.0
    weight_shift: int = fixed.WEIGHT_SHIFT
    followed: Followed | None = None
    exponents: Mapping[str, int | None] = field(default_factory=dict)
    classes: Array = field(default_factory=lambda: np.zeros(1, np.int64))
    traces: Mapping[Projection, Array] = field(default_factory=dict)
    threshold_shift: Array = field(default_factory=lambda: np.zeros(1, np.int64))
    drive: Array = field(default_factory=lambda: np.zeros(1))
    is_cut: bool = False

    @property
    def full(self) -> Array:
        """Units of v per float unit, (n,)."""
        return self.scale * (1 << self.weight_shift)

    @property
    def arriving_gain(self) -> Array:
        """From what arrives over synapses to v, with what decays of registers miss, (n,)."""
        return self.gain if self.followed is None else self.gain * self.followed.gain


def scale_all(
    clocked: Clocked,
    chip: Chip,
    peaks: Mapping[str, Peaks],
    host: Mapping[str, bool],
    recipe: Recipe,
    seen: Seen | None,
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
            scaling = _scaling(clocked, name, chip, peaks.get(name), host, scalings, recipe, seen)
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
    recipe: Recipe,
    seen: Seen | None,
) -> Scaling:
    pop = clocked.populations[name]
    other = QUANTIZERS.get(type(pop.membrane))
    gain = other.gain(pop.membrane) if other else pop.cell.gain_u * pop.cell.gain_v
    lag = clocked.lags[name]
    written = {(p.post, p.delay - lag) for p in clocked.into(name) if p.pre in host}
    incoming = tuple(p for p in clocked.into(name) if not _written(clocked, p, host, written))
    if other:
        scale = np.full(pop.size, other.scale(pop.membrane, chip))
        scaling = Scaling(scale, gain, peak or Peaks(0.0, 0.0), incoming)
        return _sending(clocked, scaling, chip, known, recipe) if pop.analog else scaling
    if pop.kind == "Relay" and pop.signal != "binary":
        return _repeating(pop.size, incoming[0], gain, known, arithmetic_of(chip).weight_shift)
    cell = pop.cell
    arithmetic = arithmetic_of(chip)
    followed = follow_decays(cell, arithmetic) if recipe.decays == "gain" else None
    fed = gain if followed is None else gain * followed.gain
    weights = {p: Scaled(p.matrix, fed) for p in incoming}
    if peak is None:
        most = {p: _most_sent(clocked, p, known) for p in incoming}
        bounds = [
            weights[p] if m == 1.0 else weights[p].times(np.asarray(m)) for p, m in most.items()
        ]
        peak = bound_of_weights(cell, bounds)
        if chip.arithmetic not in LOIHI:  # narrow states that saturate: room above the threshold
            v = min(peak.v, HEADROOM * _finite(cell.v_threshold) or peak.v)
            peak = replace(peak, v=v, v_each=np.minimum(peak.of_each(pop.size)[1], v))
    spiking = [p for p in incoming if clocked.populations[p.pre].signal != "analog"]
    traces: Mapping[Projection, Array] = {}
    if seen is not None and recipe.looks_at_outputs:
        count = sum(weights[p].size for p in spiking)
        traces = seen.traces_into(name, tuple(spiking), count)
    # Weights in one list have their eight bits at any scale; where more is held, more room pays,
    # and what a neuron that never forgets sums up below is what takes it.
    more = any(recipe.wish(p.name).lists != "one" or recipe.wish(p.name).is_split for p in spiking)
    cut = more and arithmetic.state_bits <= WIDE and bool((cell.keep_v == 1).all())
    cut &= peak.v_needed is not None and bool((peak.v_needed < peak.of_each(pop.size)[1]).any())
    candidates = [
        _candidate(weights[p], recipe, p, traces.get(p), _acts_always(clocked, p.pre))
        for p in spiking
    ]
    driven = cell if followed is None else replace(cell, drive_v=cell.drive_v * followed.gain_v)
    room = largest_scales(name, driven, candidates, recipe, peak, chip, cut)
    held = [room]
    for p in incoming:  # behind messages any exponent will do, but one for all
        if p not in spiking:
            filled = full_of(grid_of(weights[p].extent, chip, recipe.wish(p.name).bits[0]))
            unit = known[p.pre].unit if p.pre in known else 0.0
            held.append(_alike(weights[p].row_largest / (unit or 1.0), room, filled))
    room = np.min(held, axis=0)
    chosen = trained_scales(clocked.trained, name, chip, candidates, recipe)
    chosen = chosen or choose_scales(pop, candidates, room, chip, recipe)
    scaling = Scaling(
        chosen.scale, gain, peak, incoming, followed=followed, classes=chosen.classes,
        exponents={p.name: e for p, e in zip(spiking, chosen.exponents, strict=True)},
        traces=traces if recipe.rounding == "output" else {}, is_cut=cut,
    )  # fmt: skip
    if cell.spiking or not any(p.pre == name for p in clocked.projections):
        return scaling
    return _with_unit(replace(scaling, weight_shift=arithmetic.weight_shift), chip)


def _with_unit(scaling: Scaling, chip: Chip) -> Scaling:
    """Return the same with the unit of messages that hold the peak of v."""
    full = float(scaling.full.max(initial=1.0))  # one, as what is sent has one unit
    largest = max((HEADROOM if scaling.peak.is_seen else 1.0) * scaling.peak.v * full, 1.0)
    shift = max(1, int(np.ceil(np.log2(largest / _most_of(chip)))))
    return replace(scaling, message_shift=shift, unit=full / (1 << shift))


def _most_of(chip: Chip) -> int:
    """Return the largest payload of a message."""
    return (1 << (chip.message_bits - 1)) - 1


def _sending(
    clocked: Clocked, scaling: Scaling, chip: Chip, known: Mapping[str, Scaling], recipe: Recipe
) -> Scaling:
    """Return the scaling of a kind that sends messages and has its own integers.

    Its own scale; a larger one, sixteen times at most, where weights from spikes would not fill
    their bits; a smaller one where they, what the host writes or sixteen times what was seen would
    not fit; and a little smaller so that the largest of the first weights fills its bits. Where
    nothing was seen, a message lies in the middle of the state's bits at its own scale.
    """
    arithmetic, limits, peak = arithmetic_of(chip), chip.limits, scaling.peak
    aligned = 1 << arithmetic.weight_shift
    own = wanted = float(scaling.scale.max())
    held = [FAR * own]
    filled: list[float] = []
    for each in scaling.incoming:
        weights = Scaled(each.matrix, scaling.gain)
        graded = clocked.populations[each.pre].signal == "analog"
        if not weights.largest or (graded and each.pre not in known):  # not yet known: in a loop
            continue
        full = full_of(grid_of(weights.extent, chip, recipe.wish(each.name).bits[0]))
        unit = known[each.pre].unit if graded else 1.0
        filled.append(full * unit / weights.largest)
        if not graded:
            wanted = max(wanted, filled[-1])
            held.append(filled[-1] * 2.0**limits.weight_exponent.high)
    if peak.drive:
        most = limits.bias_mantissa.high << limits.bias_exponent.high
        held.append(most / (HEADROOM * peak.drive * aligned))
    if peak.v:
        held.append(arithmetic.largest_state / (FAR * peak.v * aligned))
    scale = min(wanted, *held)
    if filled:
        scale = filled[0] * 2.0 ** np.floor(np.log2(scale / filled[0]) + 1e-9)
    if not peak.v:
        middle = (arithmetic.state_bits - chip.message_bits) // 2
        peak = replace(peak, v=(_most_of(chip) << middle) / (own * aligned), is_seen=False)
    found = replace(
        scaling, scale=np.full(scaling.scale.size, scale), peak=peak,
        weight_shift=arithmetic.weight_shift,
    )  # fmt: skip
    return _with_unit(found, chip)


def _alike(largest: Array, room: Array, full: int) -> Array:
    """Return the scales at which the largest weights of all neurons fill their bits, in the room.

    They are `full` times a power of two then, and so have one exponent.
    """
    some = largest > 0
    size = float((room * largest)[some & np.isfinite(room)].min(initial=np.inf))
    if not np.isfinite(size):
        return np.full(room.size, np.inf)
    size = float(full * 2.0 ** np.floor(np.log2(size / full)))
    return np.where(some, size / np.where(some, largest, 1.0), np.inf)


def _acts_always(clocked: Clocked, name: str) -> bool:
    """Is a population the constant, or a relay that waits for it."""
    pop = clocked.populations[name]
    if pop.kind != "Relay":
        return pop.kind == "constant"
    return all(_acts_always(clocked, each.pre) for each in clocked.into(name))


def _candidate(
    weights: Scaled, recipe: Recipe, projection: Projection, trace: Array | None, always: bool
) -> Candidate:
    wish = recipe.wish(projection.name)
    if trace is None:
        return Candidate(weights, wish, counts=ALWAYS if always else 1.0)
    return Candidate(weights, wish, trace.mean(axis=1), trace.var(axis=1) + 1e-3)


def _finite(levels: Array) -> float:
    return float(np.abs(levels[np.isfinite(levels)]).max(initial=0.0))


def _repeating(
    size: int, projection: Projection, gain: Array, known: Mapping[str, Scaling], weight_shift: int
) -> Scaling:
    """Return the scaling of a relay: its weight is 64, so that what it hears is what it sends."""
    source = known.get(projection.pre)
    unit = source.unit if source else 0.0
    peak = source.peak if source else Peaks(0.0, 0.0)
    scale = RELAY_WEIGHT * (unit or 1.0)
    shift = weight_shift + RELAY_WEIGHT.bit_length() - 1 if unit else 0
    return Scaling(np.full(size, scale), gain, peak, (projection,), shift, unit)


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
