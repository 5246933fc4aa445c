"""Weights: floats times a scale to integer mantissas with one exponent per projection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Projection
from spikeport.compiler.compact import compact
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution
from spikeport.compiler.program import Synapses
from spikeport.compiler.quantize.arithmetic import Grid, grid_of
from spikeport.compiler.quantize.lost import row_of
from spikeport.compiler.quantize.scaled import Scaled


def integer_synapses(
    projection: Projection, gain: Array, scale: float, chip: Chip, payload: int = 0
) -> tuple[Synapses, dict[str, Any]]:
    """Return the integer weights of a projection, and what they lost.

    Args:
        projection: in floats.
        gain: (post,), from a weight to v, per unit of what is sent.
        scale: weight units per float unit of the target's v.
        chip: whose exponents are used.
        payload: largest message of an analog source, 0 for spikes and counts. Behind messages the
            exponent may be negative, and is large enough for sums to stay inside 32 bits.
    """
    weights = Scaled(projection.matrix, gain)
    grid = grid_of(weights.extent, chip)
    lowest = chip.limits.weight_exponent.low if payload else 0
    exponent = _exponent(weights.largest * scale, grid, lowest)
    while payload and _row_sum(weights, scale, grid, exponent) * payload >= 1 << 31:
        exponent += 1
    if exponent > chip.limits.weight_exponent.high:
        raise LoweringError(
            f"{projection.name!r} needs the weight exponent {exponent}",
            f"{chip.name} has {chip.limits.weight_exponent.low} to "
            f"{chip.limits.weight_exponent.high}",
            "bring the weights that end in one population closer together in size, or make the "
            "largest smaller",
        )
    steps, row = _rounded(projection.name, weights, scale, grid, exponent)
    matrix = projection.matrix
    if sp.issparse(matrix):
        whole = sp.csr_array((steps, matrix.indices, matrix.indptr), shape=matrix.shape)
    else:
        whole = steps.reshape(matrix.shape)
    stored, more = compact(whole)
    made = Synapses(
        projection.name, projection.pre, projection.post, stored, grid.step * more, exponent,
        grid.mode, grid.bits, projection.delay,
        _integer_conv(projection.conv, gain, scale, grid, exponent),
    )  # fmt: skip
    return made, row


def _rounded(
    name: str, weights: Scaled, scale: float, grid: Grid, exponent: int
) -> tuple[Array, dict[str, Any]]:
    """Return all weights in steps of the grid, flat, and what they lost."""
    low, high = grid.low // grid.step, grid.high // grid.step
    steps = np.empty(weights.size, np.min_scalar_type(min(low, -high - 1)))
    wrong = largest = power = 0.0  # sum of squares of the errors, the largest, that of the weights
    count = 0
    for _, at, values in weights.blocks():
        whole = _in_steps(values, scale, grid, exponent)
        steps[at] = whole.ravel()
        error = whole * (grid.step * 2.0**exponent)
        error /= scale
        error -= values
        largest = max(largest, float(error.max(initial=0.0)), -float(error.min(initial=0.0)))
        wrong += float(np.sum(error**2))
        power += float(np.sum(values**2))
        count += int(np.count_nonzero(values)) if sp.issparse(weights.matrix) else values.size
    rms, size = (float(np.sqrt(each / count)) if count else 0.0 for each in (wrong, power))
    detail = f"{grid.mode}, {int(np.count_nonzero(steps))} of {count} not zero"
    return steps, row_of(name, "weights", grid.bits, rms, largest, size, detail, exponent)


def mantissas(values: Array, scale: float, grid: Grid) -> tuple[Array, int]:
    """Return mantissas on the grid, floats, and their common exponent for weights * scale."""
    exponent = _exponent(float(np.abs(values).max(initial=0.0)) * scale, grid, 0)
    return _in_steps(values, scale, grid, exponent) * grid.step, exponent


def _exponent(largest: float, grid: Grid, lowest: int) -> int:
    """Return the exponent, `lowest` at least, with which the grid holds `largest`."""
    full = full_of(grid)
    return max(lowest, int(np.ceil(np.log2(largest / full) - 1e-9))) if largest > 0 else 0


def full_of(grid: Grid) -> int:
    """Return the largest magnitude that a grid holds in its shorter direction."""
    return min(size for size in (grid.high, -grid.low) if size > 0)


def _in_steps(values: Array, scale: float, grid: Grid, exponent: int) -> Array:
    """Return weights in whole steps of the grid, floats."""
    whole = values * (scale / 2.0**exponent)
    whole /= grid.step
    np.rint(whole, out=whole)
    return np.clip(whole, grid.low // grid.step, grid.high // grid.step, out=whole)


def _row_sum(weights: Scaled, scale: float, grid: Grid, exponent: int) -> float:
    """Return the largest sum of mantissas' magnitudes that ends in one neuron."""
    most = 0.0
    for rows, _, values in weights.blocks():
        size = np.abs(_in_steps(values, scale, grid, exponent)) * grid.step
        most = max(most, float(weights.sum_rows(size, rows).max(initial=0.0)))
    return most


def _integer_conv(
    conv: Convolution | None, gain: Array, scale: float, grid: Grid, exponent: int
) -> Convolution | None:
    """Return the same convolution with an integer kernel, where all neurons share one gain."""
    if conv is None or np.ptp(gain) != 0:
        return None
    kernel = _in_steps(np.asarray(conv.kernel, np.float64), gain[0] * scale, grid, exponent)
    return replace(conv, kernel=(kernel * grid.step).astype(np.int32))


def scaled_rows(matrix: Any, gain: Array) -> Any:
    """Return a dense or CSR matrix with its rows times `gain`, (post,)."""
    if sp.issparse(matrix):
        return sp.csr_matrix(sp.diags(gain) @ matrix)
    return matrix * gain[:, None]


def values_of(matrix: Any) -> Array:
    """Return the stored values of a dense or CSR matrix, flat."""
    return np.asarray(matrix.data if sp.issparse(matrix) else matrix.ravel())
