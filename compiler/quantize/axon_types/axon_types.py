"""From a retimed `Clocked` to the integers of neurons with one weight per axon type (TrueNorth).

An axon has one of four types, a crossing is a bit, and a neuron has one signed 9-bit weight for
each type. A source that takes K axons, one of each type, on a core has the weights

    w = a * m,   m = -8 .. 7 for K = 4,  -4 .. 3 for K = 3,  -1, 0, 1 for K = 2,  0 or 1 for K = 1

(up to 2^K - 1 where all weights of a neuron have one sign, all signs turned where that is better).
A population gets the largest K for which K times its fan-in are axons of one core. Every neuron has
a unit of its own and needs no exponent; a is as large as 9 bits allow, because threshold and leak
are fractions of the unit then.

A bias becomes the leak, which is added in every step from the very first: v starts lower by what it
gains until the population's first step. Where v would cross the threshold on the way, or the leak
is too large for its register, the bias stays an axon that spikes in every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Membrane, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Arithmetic, Cell, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.arithmetic import arithmetic_of
from spikeport.compiler.quantize.axon_types.levels import Levels, levels_of
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.compiler.quantize.lost import lost
from spikeport.compiler.quantize.peak import HEADROOM, Peaks, bound_of_weights
from spikeport.compiler.quantize.scaled import Scaled
from spikeport.compiler.quantize.weights import scaled_rows

TRIED = 32  # factors a, from the largest down, that are tried for the registers' sake
Inputs = dict[tuple[str, int], list[Projection]]  # (source, delay) -> what comes from there then


@dataclass(frozen=True, eq=False)
class Fitted:
    """The integers of a population; arrays (n,).

    Attributes:
        inputs: projections by source and delay: one weight for each source.
        matrix: weights in floats, CSR (neurons, sources), in the order of `inputs`.
        drive: what v gains in every step by the leak.
        levels: of the weights.
        factor: weight units per level.
        threshold, start, reset_to, leak: registers.
        below: by how much v is held lower than it is: 1 where `>=` has to be `>`.
    """

    inputs: Inputs
    matrix: sp.csr_matrix
    drive: Array
    levels: Levels
    factor: Array
    threshold: Array
    start: Array
    reset_to: Array
    leak: Array
    below: int

    @property
    def scale(self) -> Array:
        """Weight units per float unit of v."""
        return np.asarray(self.factor / self.levels.unit)


def quantize_axon_types(
    clocked: Clocked, chip: Chip, peaks: Mapping[str, Peaks], host: Mapping[str, bool]
) -> Program:
    """Return the Program of a retimed network; see `quantize`.

    Raises:
        LoweringError: an input of real values, or a neuron that forgets or that cannot be at rest.
    """
    for name in host:
        raise LoweringError(
            f"the input {name!r} holds real values",
            f"{chip.name} takes spikes; the host cannot write to its neurons while it runs",
            "encode the input as spikes",
        )
    arithmetic = arithmetic_of(chip)
    populations: dict[str, CellPopulation] = {}
    synapses: list[Synapses] = []
    losses: list[dict[str, Any]] = []
    for name, pop in clocked.populations.items():
        if pop.kind == "input":
            populations[name] = CellPopulation("input", pop.shape, None, np.ones(pop.size))
        elif pop.kind == "constant":
            one = np.ones(1, np.int32)
            cell = _cell(1, arithmetic, bias_mantissa=one, v_threshold=one)
            populations[name] = CellPopulation("constant", (1,), cell, np.ones(1))
        else:
            fitted = _fitted(clocked, name, chip, peaks.get(name))
            populations[name] = _population(clocked, name, fitted, arithmetic)
            made, lost = _synapses(name, fitted, chip)
            synapses += made
            losses += [*lost, *_register_losses(clocked, name, fitted, chip)]
    silent = {name for name, pop in populations.items() if pop.kind == "constant"}
    silent -= {each.pre for each in synapses}  # all its biases are leaks
    return Program(
        dt=clocked.dt,
        populations={name: pop for name, pop in populations.items() if name not in silent},
        synapses=tuple(synapses),
        outputs=clocked.outputs,
        lags={name: lag for name, lag in clocked.lags.items() if name not in silent},
        arithmetic=arithmetic,
        losses=tuple(losses),
        repairs=clocked.repairs,
        notes=clocked.notes,
        name=clocked.name,
        slow=clocked.slow,
    )


# --- one population -----------------------------------------------------------------------------


def _fitted(clocked: Clocked, name: str, chip: Chip, peak: Peaks | None) -> Fitted:
    """Return the integers of a population, with its biases as leaks if these can be."""
    pop = clocked.populations[name]
    cell = pop.cell
    _check_cell(name, cell, pop.kind, chip)
    into = clocked.into(name)
    lag = clocked.lags.get(name, 0)
    biases = [
        each
        for each in into
        if clocked.populations[each.pre].kind == "constant" and each.delay == lag
    ]
    drive = cell.drive_v + sum(
        (sp.csr_matrix(each.matrix).toarray()[:, 0] * cell.gain_u * cell.gain_v for each in biases),
        np.zeros(pop.size),
    )
    others = [each for each in into if each not in biases]
    fitted = _with_leak(clocked, name, others, drive, chip, peak)
    if fitted is None and biases:
        fitted = _with_leak(clocked, name, into, cell.drive_v, chip, peak)
    if fitted is None:
        raise LoweringError(
            f"the drive of {name!r} does not fit {chip.name}",
            f"its leak register adds up to {chip.limits.bias_mantissa.high} units in every step, "
            "from the first",
            f"correct v_threshold or v_leak of {name!r}, or use another --dt",
        )
    if pop.kind == "Relay":
        _check_relay(name, fitted, chip)
    return fitted


def _check_cell(name: str, cell: Membrane, kind: str, chip: Chip) -> None:
    keeps = kind == "Relay" or bool((cell.keep_v == 1.0).all())
    if cell.has_current or not keeps or not cell.spiking:
        raise LoweringError(
            f"{name!r} has a state that decays, or is read as a value",
            f"neurons of {chip.name} add up what they get, and send spikes",
            "use IF neurons without a leak",
        )
    lowest = cell.v_threshold.min(initial=np.inf)
    if lowest < 0 or (lowest == 0 and cell.threshold == "greater_equal"):
        raise LoweringError(
            f"the threshold of {name!r} is not above its reset level",
            f"neuron {int(cell.v_threshold.argmin())} would spike in every step",
            f"correct v_threshold or v_reset of {name!r}",
        )


def _check_relay(name: str, fitted: Fitted, chip: Chip) -> None:
    """A relay forgets what did not make it spike; a neuron of the chip does not."""
    weights = _weights(fitted)
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    if ((weights.data != 0) & (weights.data < fitted.threshold[rows])).any():
        raise LoweringError(
            f"{name!r} repeats what it hears in a step, and one source alone is not enough for it",
            f"neurons of {chip.name} keep what did not make them spike",
            "give the sources that meet there weights of 1",
        )


def _with_leak(
    clocked: Clocked,
    name: str,
    projections: list[Projection],
    drive: Array,
    chip: Chip,
    peak: Peaks | None,
) -> Fitted | None:
    """Return the integers, or None if v cannot get `drive` in every step by the leak register."""
    pop = clocked.populations[name]
    cell = pop.cell
    inputs: Inputs = {}
    for each in projections:
        inputs.setdefault((each.pre, each.delay), []).append(each)
    gain = cell.gain_u * cell.gain_v
    blocks = [_sum(parts, gain) for parts in inputs.values()]
    empty = sp.csr_matrix((pop.size, 0))
    matrix = sp.csr_matrix(sp.hstack(blocks, format="csr")) if blocks else empty
    headroom = 1.0 if peak is None else HEADROOM  # a bound needs none
    weights = Scaled(matrix, np.ones(pop.size))
    reached = headroom * (peak or bound_of_weights(cell, [weights], cut=True)).v
    levels = _units_of_silent(_levels(matrix, chip), cell, drive)
    factor = _factor(levels, cell, drive, reached, chip)
    if factor is None:
        return None
    scale = factor / levels.unit
    strict, subtracts = cell.threshold == "greater", cell.reset.startswith("subtract")
    below = int(strict and subtracts)  # v > T, and T is taken off: held one lower, v >= T
    theta = np.minimum(cell.v_threshold * scale, chip.limits.threshold_mantissa.high)
    threshold = np.floor(theta + 1e-6) + 1 if strict else np.ceil(theta - 1e-6)
    threshold = np.rint(theta) if subtracts else threshold
    threshold = np.clip(threshold, 1, chip.limits.threshold_mantissa.high).astype(np.int64)
    leak = np.rint(drive * scale).astype(np.int64)
    begin = np.rint(cell.v_initial * scale).astype(np.int64) - below
    start = begin - leak * clocked.lags.get(name, 0)
    top = arithmetic_of(chip).largest_state
    highest, lowest = np.maximum(start, begin), np.minimum(start, begin)
    floor = np.nan_to_num(cell.v_min * scale, neginf=-top) - below
    moves = leak != 0
    if (moves & ((highest >= threshold) | (lowest < np.maximum(floor, -top)))).any():
        return None
    if (np.abs(leak) > chip.limits.bias_mantissa.high).any():
        return None
    reset_to = np.rint(cell.v_reset * scale).astype(np.int64) - below
    return Fitted(inputs, matrix, drive, levels, factor, threshold, start, reset_to, leak, below)


def _sum(projections: list[Projection], gain: Array) -> sp.csr_matrix:
    total = sum(
        (sp.csr_matrix(scaled_rows(each.matrix, gain)) for each in projections[1:]),
        sp.csr_matrix(scaled_rows(projections[0].matrix, gain)),
    )
    total.eliminate_zeros()
    return total


def _levels(matrix: sp.csr_matrix, chip: Chip) -> Levels:
    if not isinstance(chip.core, Crossbar) or chip.core.axon_types is None:
        raise TypeError(f"{chip.name} has no axon types")
    return levels_of(matrix, chip.core.axons.whole, chip.core.axon_types.whole)


def _units_of_silent(levels: Levels, cell: Membrane, drive: Array) -> Levels:
    """Return levels with a unit for neurons that hear nothing: their drive or a part of theta."""
    heard = np.diff(levels.levels.indptr) > 0
    theta = np.where(np.isfinite(cell.v_threshold), cell.v_threshold, 0.0)
    alone = np.where(drive != 0, np.abs(drive), np.where(theta > 0, theta / 256, 1.0))
    return Levels(levels.levels, np.where(heard, levels.unit, alone), levels.largest, levels.types)


def _factor(
    levels: Levels, cell: Membrane, drive: Array, reached: float, chip: Chip
) -> Array | None:
    """Return the largest factors a, or those a little smaller at which registers are whole.

    None if the leak is too large at any.
    """
    unit = levels.unit
    bits = chip.core.type_weight_bits if isinstance(chip.core, Crossbar) else None
    most = ((1 << ((9 if bits is None else bits.whole) - 1)) - 1) // levels.largest
    theta = np.where(np.isfinite(cell.v_threshold), cell.v_threshold, 0.0)
    levels_of_v = np.maximum(reached, np.maximum(np.abs(cell.v_initial), np.abs(cell.v_reset)))
    for value, register in (
        (theta, chip.limits.threshold_mantissa.high),
        (levels_of_v, arithmetic_of(chip).largest_state),
        (np.abs(drive), chip.limits.bias_mantissa.high),
    ):
        with np.errstate(divide="ignore"):
            most = np.minimum(most, np.where(value > 0, register * unit / value, np.inf))
    if ((most < 1) & (drive != 0)).any():
        return None
    best = largest = np.maximum(np.floor(most + 1e-9), 1).astype(np.int64)
    error = np.full(unit.size, np.inf)
    for less in range(TRIED):
        tried = np.maximum(largest - less, (largest + 1) // 2)
        lost = np.zeros(unit.size)
        for level in (theta, drive, cell.v_initial):
            exact = np.abs(level) * tried / unit
            lost += np.abs(np.rint(exact) - exact) / np.maximum(exact, 1.0)
        better = lost < error - 1e-9
        best, error = np.where(better, tried, best), np.where(better, lost, error)
    return np.asarray(best)


# --- nouns and losses -----------------------------------------------------------------------------


def _weights(fitted: Fitted) -> sp.csr_matrix:
    """Return the integer weights of a population, (neurons, sources)."""
    weights = fitted.levels.levels.copy()
    weights.data = weights.data * np.repeat(fitted.factor, np.diff(weights.indptr))
    return weights


def _population(
    clocked: Clocked, name: str, fitted: Fitted, arithmetic: Arithmetic
) -> CellPopulation:
    pop, top = clocked.populations[name], arithmetic.largest_state
    cell = pop.cell
    floor = np.nan_to_num(cell.v_min * fitted.scale, neginf=-top) - fitted.below
    integer = _cell(
        pop.size,
        arithmetic,
        v_threshold=fitted.threshold,
        bias_mantissa=fitted.leak,
        v_initial=np.clip(fitted.start, -top, top),
        v_reset=np.clip(fitted.reset_to, -top, top),
        v_min=np.clip(np.rint(floor), -top, top),
        reset=cell.reset,
        start_step=pop.start_step,
    )
    offset = cell.v_offset + fitted.below / fitted.scale
    return CellPopulation(pop.kind, pop.shape, integer, fitted.scale.copy(), offset)


def _cell(size: int, arithmetic: Arithmetic, **given: Any) -> Cell:
    """Return cells that add up what they get, forget no v, and compare by >=."""
    arrays = {
        key: value.astype(np.int32) for key, value in given.items() if isinstance(value, np.ndarray)
    }
    forgets = np.full(size, (1 << arithmetic.decay_bits) - 1, np.int32)
    fields = {"decay_u": forgets, "threshold": "greater_equal", **given, **arrays}
    return neutral_cell(size, **fields)


def _synapses(name: str, fitted: Fitted, chip: Chip) -> tuple[list[Synapses], list[dict[str, Any]]]:
    """Return what ends in a population, and what rounding the weights lost."""
    levels, values = fitted.levels.levels, fitted.matrix
    rows = np.repeat(np.arange(levels.shape[0]), np.diff(levels.indptr))
    error = levels.data * fitted.levels.unit[rows] - values.data
    weights = _weights(fitted).tocsc()
    bits = chip.limits.weight_bits.whole + 2  # of a sum of four
    made, losses, end = [], [], 0
    for (pre, delay), parts in fitted.inputs.items():
        first, end = end, end + parts[0].matrix.shape[1]
        mantissa = sp.csr_matrix(weights[:, first:end], dtype=np.int32)
        mantissa.eliminate_zeros()
        mantissa.sort_indices()
        dense = not any(sp.issparse(each.matrix) for each in parts)
        named = "+".join(each.name for each in parts)
        whole = mantissa.toarray() if dense else mantissa
        made.append(Synapses.of(named, pre, name, whole, 0, "signed", bits, delay))
        here = (levels.indices >= first) & (levels.indices < end)
        detail = f"{fitted.levels.types} axons per source, {mantissa.nnz} weights not zero"
        size = np.sqrt(np.mean(values.data[here] ** 2)) if here.any() else 0.0
        losses.append(lost(named, "weights", fitted.levels.types, error[here], float(size), detail))
    return made, losses


def _register_losses(
    clocked: Clocked, name: str, fitted: Fitted, chip: Chip
) -> list[dict[str, Any]]:
    """Return what rounding thresholds and biases lost."""
    cell, scale = clocked.populations[name].cell, fitted.scale
    above = cell.threshold == "greater" and not fitted.below  # >= T stands for > T - 1
    error = (fitted.threshold - above) / scale - cell.v_threshold
    size = float(np.abs(cell.v_threshold).max(initial=0.0))
    bits = chip.limits.threshold_mantissa.high.bit_length()
    detail = f"{fitted.threshold.min()} to {fitted.threshold.max()}, compared with >="
    losses = [lost(name, "threshold", bits, error, size, detail)]
    if fitted.drive.any():
        error = fitted.leak / scale - fitted.drive
        size = float(np.abs(fitted.drive).max())
        bits = chip.limits.bias_mantissa.high.bit_length() + 1
        losses.append(lost(name, "bias", bits, error, size, "leak register"))
    return losses
