"""From a retimed `Clocked` to the integers of a Loihi-1-like chip.

Folding (DESIGN section 6): with u and v as the chip steps them,

    u <- keep_u u + W' s,   v <- keep_v v + u,   W' = W * gain_u * gain_v

so a population needs one scale s: W' s are weight mantissas times 2^exponent, and the threshold
mantissa is v_threshold * s. The scale is the largest for which thresholds fit 17 bits, exponents
fit, and the calibrated u and v stay inside 24 bits; among nearby ones that use the eight bits of
some projection fully, the one with the smallest weight error is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler import fixed
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Membrane, Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution
from spikeport.compiler.passes.retime import by_host
from spikeport.compiler.program import (
    BRIAN2_LOIHI,
    LAVA,
    NENGO_LOIHI,
    Cell,
    CellPopulation,
    HostCurrent,
    HostTarget,
    Program,
    Synapses,
)
from spikeport.compiler.quantize.decay import quantize_decay

ARITHMETIC = {"lava": LAVA, "nengo_loihi": NENGO_LOIHI, "brian2_loihi": BRIAN2_LOIHI}
HEADROOM = 2.0  # calibrated peaks may double before u wraps or v saturates
FULL = {"mixed": 254, "excitatory": 255, "inhibitory": 255}
NO_SPIKE = 131072  # mantissa << 6 is 2**23, above the largest v


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


def quantize(
    clocked: Clocked, chip: Chip, peaks: Mapping[str, Peaks], host: Mapping[str, bool]
) -> Program:
    """Return the Program of a retimed network.

    Args:
        clocked: in the chip's normal form and retimed (`pipeline.for_chip`).
        chip: whose widths are used.
        peaks: per population, from a run of the reference; where one is missing, a bound from
            the weights is used.
        host: inputs with real values -> is the value static over a sample.

    Raises:
        LoweringError: something that the chip cannot do, by name and with what would work.
    """
    check_kinds(clocked, chip)
    populations: dict[str, CellPopulation] = {}
    synapses: list[Synapses] = []
    losses: list[dict[str, Any]] = []
    targets: dict[str, dict[str, HostTarget]] = {name: {} for name in host}
    for name, pop in clocked.populations.items():
        if pop.kind == "input":
            populations[name] = CellPopulation("input", pop.shape, None, np.ones(pop.size))
        elif pop.kind == "constant":
            populations[name] = CellPopulation("constant", (1,), _always_spiking(), np.ones(1))
        else:
            parts = _population(clocked, name, chip, peaks.get(name), host)
            populations[name], more, drives, lost = parts
            synapses += more
            losses += lost
            for source, target in drives.items():
                targets[source][name] = target
    hosts = {
        name: HostCurrent(
            name,
            static and all(not t.keep.any() and t.lag == 0 for t in targets[name].values()),
            targets[name],
        )
        for name, static in host.items()
    }
    return Program(
        dt=clocked.dt,
        populations=populations,
        synapses=tuple(synapses),
        outputs=clocked.outputs,
        lags=clocked.lags,
        arithmetic=ARITHMETIC[chip.arithmetic],
        host=hosts,
        losses=tuple(losses),
        repairs=clocked.repairs,
        notes=(*clocked.notes, *map(_host_note, hosts.values())),
        name=clocked.name,
    )


def _host_note(host: HostCurrent) -> str:
    """Say what the host does for a real-valued input."""
    where = ", ".join(host.targets)
    if host.static:
        return f"the static current {host.name!r} is one bias register per sample in {where}"
    return (
        f"the current {host.name!r} changes over time: the host computes the first layer "
        f"({where}) and writes bias registers every step; its energy is not counted"
    )


def check_kinds(clocked: Clocked, chip: Chip) -> None:
    """Refuse what the chip cannot do.

    Raises:
        LoweringError: names the population, what it does and what would work.
    """
    for name in clocked.neurons:
        _check_kind(name, clocked.populations[name], chip, clocked)


def _check_kind(name: str, pop: Population, chip: Chip, clocked: Clocked) -> None:
    cell = pop.cell
    if pop.kind not in chip.kinds:
        raise LoweringError(
            f"{name!r} is a {pop.kind}",
            f"{chip.name} runs {', '.join(chip.kinds)}",
            "choose a chip that has this kind (spikeport chips), or retrain with one of those",
        )
    if pop.signal == "count" and "count" not in chip.signals:
        raise LoweringError(
            f"{name!r} sends several spikes per step (spike=count)",
            f"{chip.name} sends one binary spike at most",
            f"run it with --set {name}.spike=binary (compare the accuracy), or choose a chip with "
            "counts",
        )
    readers = [p.post for p in clocked.projections if p.pre == name]
    if pop.signal == "analog" and readers:
        raise LoweringError(
            f"{name!r} is a {pop.kind}, whose output is analog, and it feeds {readers[0]!r}",
            f"{chip.name} carries spikes between neurons; analog values only leave as a readout",
            f"replace {name!r} by a spiking kind, or make it an output",
        )
    if pop.cell.spiking and cell.reset not in chip.resets:
        raise LoweringError(
            f"{name!r} is reset by {cell.reset}",
            f"{chip.name} has {', '.join(chip.resets)}",
            f"--set {name}.reset={chip.resets[0]}",
        )
    if pop.cell.spiking and cell.reset_when == "next_step":
        raise LoweringError(
            f"{name!r} is reset in the step after a spike",
            f"{chip.name} resets in the same step",
            f"--set {name}.reset_when=same_step",
        )
    most = chip.limits.refractory_steps.high - 1
    if cell.refractory_steps.max(initial=0) > most:
        raise LoweringError(
            f"{name!r} is refractory for {cell.refractory_steps.max()} steps",
            f"{chip.name} counts {most} at most",
            f"--set {name}.refractory={most * clocked.dt:g}, or use a longer dt",
        )


def _always_spiking() -> Cell:
    """Return the bias neuron: v = 1 > 0 in every step."""
    return _cell(1, bias_mantissa=np.ones(1, np.int32))


def _cell(size: int, **given: Any) -> Cell:
    zeros = np.zeros(size, np.int32)
    neutral: dict[str, Any] = {
        "decay_u": np.full(size, 4095, np.int32),
        "decay_v": zeros,
        "v_threshold": zeros,
        "bias_mantissa": zeros,
        "bias_exponent": zeros,
        "v_reset": zeros,
        "v_initial": zeros,
        "v_min": np.full(size, -(fixed.STATE_LIMIT - 1), np.int32),
        "refractory_steps": np.ones(size, np.int32),
    }
    return Cell(**{**neutral, **given})


def _population(
    clocked: Clocked, name: str, chip: Chip, peak: Peaks | None, host: Mapping[str, bool]
) -> tuple[CellPopulation, list[Synapses], dict[str, HostTarget], list[dict[str, Any]]]:
    """Return a population with everything that ends in it, in integers, and what was lost."""
    pop = clocked.populations[name]
    cell = pop.cell
    gain = cell.gain_u * cell.gain_v
    lag = clocked.lags[name]
    written = {p.post: p.delay - lag for p in clocked.into(name) if p.pre in host}
    unwritten = [p for p in clocked.into(name) if not _written(clocked, p, host, written)]
    offset = np.zeros(pop.size)
    for projection in clocked.into(name):
        if projection not in unwritten and projection.pre not in host:
            offset = offset + np.asarray(projection.matrix)[:, 0] * gain
    incoming = unwritten
    folded = [_scaled_rows(p.matrix, gain) for p in incoming]
    headroom = 1.0 if peak is None else HEADROOM  # a bound needs none
    peak = _bound(cell, folded) if peak is None else peak
    scale = _choose_scale(name, cell, folded, peak, headroom, chip)
    losses: list[dict[str, Any]] = []
    synapses = []
    for projection, matrix in zip(incoming, folded, strict=True):
        made, lost = _synapses(projection, matrix, gain, scale, chip)
        synapses.append(made)
        losses.append(lost)
    integer = _integer_cell(name, pop, scale, chip, losses)
    drives: dict[str, HostTarget] = {}
    for projection in clocked.into(name):
        if projection.pre in host:
            target = _host_target(projection, cell, gain, offset, scale, peak)
            offset = np.zeros(pop.size)  # once, however many inputs there are
            drives[projection.pre] = _sum(drives.get(projection.pre), target)
    full = scale * (1 << fixed.WEIGHT_SHIFT)
    lowered = CellPopulation(pop.kind, pop.shape, integer, np.full(pop.size, full))
    return lowered, synapses, drives, losses


def _written(
    clocked: Clocked, projection: Projection, host: Mapping[str, bool], written: Mapping[str, int]
) -> bool:
    """As `retime.by_host`, on the retimed network (delays include the lag)."""
    lag = clocked.lags[projection.post]
    original = replace(projection, delay=projection.delay - lag)
    return by_host(clocked, original, set(host), written)


def _scaled_rows(matrix: Any, gain: Array) -> Any:
    if sp.issparse(matrix):
        return sp.csr_matrix(sp.diags(gain) @ matrix)
    return matrix * gain[:, None]


def _values(matrix: Any) -> Array:
    return np.asarray(matrix.data if sp.issparse(matrix) else matrix.ravel())


def _largest(matrix: Any) -> float:
    return float(np.abs(_values(matrix)).max(initial=0.0))


def _bound(cell: Membrane, folded: list[Any]) -> Peaks:
    """Return what u and v can reach at most, from the weights alone (v at most 64 thresholds).

    What rounding may add counts: decays lose a whole number of 4096ths, and a weight grows by
    half a step, at most 1/127 of the largest.
    """
    total: Array = np.zeros(cell.keep_v.size)
    for matrix in folded:
        total = total + np.asarray(np.abs(matrix).sum(axis=1)).ravel()
        total = total + np.asarray((matrix != 0).sum(axis=1)).ravel() * _largest(matrix) / 127
    lost_u, lost_v = (
        np.maximum(np.rint((1.0 - keep) * 4096), 1.0) / 4096 for keep in (cell.keep_u, cell.keep_v)
    )
    u = total / lost_u
    rise = u + np.abs(cell.drive_v)
    theta = np.where(np.isfinite(cell.v_threshold), np.abs(cell.v_threshold), rise)
    v = np.minimum(rise / lost_v, 64 * np.maximum(theta, rise))
    return Peaks(float(u.max(initial=0.0)), float(np.maximum(v, theta + rise).max(initial=0.0)))


def _choose_scale(
    name: str, cell: Membrane, folded: list[Any], peak: Peaks, headroom: float, chip: Chip
) -> float:
    """Return weight units per float unit of v."""
    theta = cell.v_threshold[np.isfinite(cell.v_threshold)]
    largest_state = (fixed.STATE_LIMIT - 1) / (1 << fixed.WEIGHT_SHIFT)
    limits = [largest_state / (headroom * value) for value in (peak.u, peak.v) if value > 0]
    limits += [largest_state / value for value in (_largest(cell.v_initial),) if value > 0]
    if theta.size and theta.max() > 0:
        limits.append(chip.limits.threshold_mantissa.high / float(theta.max()))
    spread = [_largest(matrix) for matrix in folded if _largest(matrix) > 0]
    top = 1 << chip.limits.weight_exponent.high
    limits += [254 * top / value for value in spread]
    drives = (HEADROOM * peak.drive, _largest(cell.drive_v))
    biggest = chip.limits.bias_mantissa.high << chip.limits.bias_exponent.high
    limits += [biggest / (value * (1 << fixed.WEIGHT_SHIFT)) for value in drives if value > 0]
    if not limits:
        return 1.0
    best = min(limits)
    if theta.size and theta.max() > 0 and theta.max() * best < 1:
        raise LoweringError(
            f"the threshold of {name!r} is less than one step of its weights",
            f"weights up to {max(spread, default=0):g} against a threshold of {theta.max():g}",
            "scale the weights down or the threshold up",
        )
    candidates = [best]
    for matrix in folded:
        size = _largest(matrix)
        full = FULL[_sign_mode(matrix)]
        candidates += [full * 2.0**e / size for e in range(-8, 8) if size > 0]
    near = [value for value in candidates if best / 4 < value <= best]
    return min(near, key=lambda value: (_error(folded, value), -value))


def _error(folded: list[Any], scale: float) -> float:
    """Return the summed squared rounding error of all weights at a scale, in float units."""
    total = 0.0
    for matrix in folded:
        values = _values(matrix)[:200_000]
        if values.size:
            mantissa, exponent = _mantissas(values, scale, _sign_mode(matrix))
            total += float(np.sum((mantissa * 2.0**exponent / scale - values) ** 2))
    return total


def _sign_mode(matrix: Any) -> str:
    return fixed.sign_mode_of(_values(matrix))


def _mantissas(values: Array, scale: float, sign_mode: str) -> tuple[Array, int]:
    """Return 8-bit mantissas and their common exponent >= 0 for weights * scale."""
    full = FULL[sign_mode]
    largest = float(np.abs(values).max(initial=0.0)) * scale
    exponent = max(0, int(np.ceil(np.log2(largest / full) - 1e-9))) if largest > 0 else 0
    step = 2 if sign_mode == "mixed" else 1
    mantissa = np.rint(values * scale / (step << exponent)).astype(np.int64) * step
    return np.clip(mantissa, -256 if step == 2 else -255, full), exponent


def _synapses(
    projection: Projection, matrix: Any, gain: Array, scale: float, chip: Chip
) -> tuple[Synapses, dict[str, Any]]:
    """Return the integer weights of a projection, and what they lost."""
    mode = _sign_mode(matrix)
    values = _values(matrix)
    mantissa, exponent = _mantissas(values, scale, mode)
    if exponent > chip.limits.weight_exponent.high:
        raise LoweringError(
            f"{projection.name!r} needs the weight exponent {exponent}",
            f"{chip.name} has {chip.limits.weight_exponent.low} to "
            f"{chip.limits.weight_exponent.high}",
            "bring the weights that end in one population closer together in size",
        )
    mantissa = mantissa.astype(np.int32)
    if sp.issparse(matrix):
        whole = sp.csr_matrix((mantissa, matrix.indices, matrix.indptr), shape=matrix.shape)
        whole = whole.copy()
        whole.eliminate_zeros()
        whole.sort_indices()
    else:
        whole = mantissa.reshape(matrix.shape)
    error = mantissa * 2.0**exponent / scale - values
    rms = float(np.sqrt(np.mean(values**2))) if values.size else 0.0
    error_rms = float(np.sqrt(np.mean(error**2))) if values.size else 0.0
    lost = {
        "object": projection.name,
        "what": "weights",
        "bits": 8,
        "exponent": exponent,
        "error_rms": error_rms,
        "error_max": float(np.abs(error).max(initial=0.0)),
        "relative": error_rms / rms if rms > 0 else 0.0,
        "detail": f"{mode}, {int(np.count_nonzero(mantissa))} of {values.size} not zero",
    }
    conv = _integer_conv(projection.conv, gain, scale, mode, exponent)
    made = Synapses(
        projection.name, projection.pre, projection.post, whole, exponent, mode, 8,
        projection.delay, conv,
    )  # fmt: skip
    return made, lost


def _integer_conv(
    conv: Convolution | None, gain: Array, scale: float, mode: str, exponent: int
) -> Convolution | None:
    """Return the same convolution with an integer kernel, where all neurons share one gain."""
    if conv is None or np.ptp(gain) != 0:
        return None
    step = 2 if mode == "mixed" else 1
    full = FULL[mode]
    kernel = np.rint(conv.kernel * gain[0] * scale / (step << exponent)).astype(np.int32) * step
    return replace(conv, kernel=np.clip(kernel, -256 if step == 2 else -255, full))


def _integer_cell(
    name: str, pop: Population, scale: float, chip: Chip, losses: list[dict[str, Any]]
) -> Cell:
    """Return the integer parameters of a population; adds what they lost to `losses`."""
    cell = pop.cell
    full = scale * (1 << fixed.WEIGHT_SHIFT)
    field = quantize_decay(1.0 - cell.keep_v, name, "v", chip)
    decay_v = np.minimum(field, 4095).astype(np.int32)  # forgets all but 1/4096 at most
    losses.append(_decay_loss(name, "decay_v", decay_v, cell.keep_v))
    decay_u = np.full(pop.size, 4095, np.int32)
    if cell.has_current:
        field = quantize_decay(1.0 - cell.keep_u, name, "u", chip)
        losses.append(_decay_loss(name, "decay_u", field, cell.keep_u))
        decay_u = field - 1  # the chip adds 1
    mantissa, exponent = _bias(cell.drive_v * full, chip)
    if cell.drive_v.any():
        losses.append(_bias_loss(name, mantissa, exponent, cell.drive_v, full))
    initial = np.clip(np.rint(cell.v_initial * full), -(1 << 23) + 1, (1 << 23) - 1)
    floor = np.maximum(np.nan_to_num(cell.v_min * full, neginf=-(2.0**23)), -(2.0**23) + 1)
    threshold = np.full(pop.size, NO_SPIKE, np.int32)
    if cell.spiking:
        threshold = _threshold(cell, scale, chip, losses, name)
    return _cell(
        pop.size,
        decay_u=decay_u.astype(np.int32),
        decay_v=decay_v,
        v_threshold=threshold,
        bias_mantissa=mantissa,
        bias_exponent=exponent,
        v_initial=initial.astype(np.int32),
        v_min=np.rint(floor).astype(np.int32),
        refractory_steps=(cell.refractory_steps + 1).astype(np.int32),
        reset=cell.reset,
        start_step=pop.start_step,
        spiking=cell.spiking,
    )


def _threshold(
    cell: Membrane, scale: float, chip: Chip, losses: list[dict[str, Any]], name: str
) -> Array:
    """Return threshold mantissas.

    The chip's condition is strict. `>=` on whole multiples of 64 (an integrator without decay)
    is `>` one mantissa lower, exactly; with decay the tie is finer than the mantissa.
    """
    mantissa = np.rint(cell.v_threshold * scale)
    if cell.threshold == "greater_equal" and not cell.has_current and (cell.keep_v == 1.0).all():
        mantissa = np.ceil(cell.v_threshold * scale - 1e-9) - 1
    limit = chip.limits.threshold_mantissa
    mantissa = np.clip(mantissa, limit.low, limit.high).astype(np.int32)
    error = mantissa / scale - cell.v_threshold
    size = float(np.abs(cell.v_threshold).max(initial=0.0))
    losses.append(
        {
            "object": name,
            "what": "threshold",
            "bits": 17,
            "exponent": None,
            "error_rms": float(np.sqrt(np.mean(error**2))),
            "error_max": float(np.abs(error).max(initial=0.0)),
            "relative": float(np.abs(error).max(initial=0.0)) / size if size else 0.0,
            "detail": f"mantissa {mantissa.min()} to {mantissa.max()}",
        }
    )
    return mantissa


def _decay_loss(name: str, what: str, field: Array, keep: Array) -> dict[str, Any]:
    error = (4096 - field) / 4096 - keep
    return {
        "object": name,
        "what": what,
        "bits": 12,
        "exponent": None,
        "error_rms": float(np.sqrt(np.mean(error**2))),
        "error_max": float(np.abs(error).max(initial=0.0)),
        "relative": float((np.abs(error) / np.maximum(1 - keep, 2.0**-12)).max(initial=0.0)),
        "detail": f"field {field.min()} to {field.max()}",
    }


def _bias(drive: Array, chip: Chip) -> tuple[Array, Array]:
    """Return bias mantissas and their common exponent for what v gains per step."""
    top = chip.limits.bias_mantissa.high
    largest = float(np.abs(drive).max(initial=0.0))
    exponent = max(0, int(np.ceil(np.log2(largest / top) - 1e-9))) if largest > 0 else 0
    mantissa = np.rint(drive / (1 << exponent)).astype(np.int32)
    return mantissa, np.full(drive.size, exponent, np.int32)


def _bias_loss(
    name: str, mantissa: Array, exponent: Array, drive: Array, full: float
) -> dict[str, Any]:
    error = mantissa * 2.0**exponent / full - drive
    return {
        "object": name,
        "what": "bias",
        "bits": 13,
        "exponent": int(exponent.max(initial=0)),
        "error_rms": float(np.sqrt(np.mean(error**2))),
        "error_max": float(np.abs(error).max(initial=0.0)),
        "relative": float(np.abs(error).max(initial=0.0) / np.abs(drive).max(initial=1e-300)),
        "detail": "register on v",
    }


def _host_target(
    projection: Projection,
    cell: Membrane,
    gain: Array,
    offset: Array,
    scale: float,
    peak: Peaks,
) -> HostTarget:
    """Return what the host does for one population."""
    full = scale * (1 << fixed.WEIGHT_SHIFT)
    largest = HEADROOM * peak.drive * full
    exponent = max(0, int(np.ceil(np.log2(max(largest, 1.0) / 4095))))
    return HostTarget(
        matrix=_scaled_rows(projection.matrix, gain),
        offset=offset,
        gain=np.full(gain.size, full),
        keep=cell.keep_u.copy() if cell.has_current else np.zeros(gain.size),
        exponent=min(exponent, 7),
        lag=projection.delay,
    )


def _sum(first: HostTarget | None, second: HostTarget) -> HostTarget:
    """Return what two projections from one input do together."""
    if first is None:
        return second
    total = first.matrix + second.matrix
    matrix = total if sp.issparse(total) else np.asarray(total)
    return replace(first, matrix=matrix, offset=first.offset + second.offset)
