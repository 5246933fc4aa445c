"""Weights: floats times a scale to integer mantissas with one exponent per projection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution
from spikeport.compiler.program import Synapses
from spikeport.compiler.quantize.arithmetic import Grid, grid_of
from spikeport.compiler.quantize.lost import lost


def integer_synapses(
    projection: Projection, matrix: Any, gain: Array, scale: float, chip: Chip, payload: int = 0
) -> tuple[Synapses, dict[str, Any]]:
    """Return the integer weights of a projection, and what they lost.

    Args:
        projection: in floats.
        matrix: its weights times `gain`, per unit of what is sent.
        gain: (post,).
        scale: weight units per float unit of the target's v.
        chip: whose exponents are used.
        payload: largest message of an analog source, 0 for spikes and counts. Behind messages the
            exponent may be negative, and is large enough for sums to stay inside 32 bits.
    """
    values = values_of(matrix)
    grid = grid_of(values, chip)
    lowest = chip.limits.weight_exponent.low if payload else 0
    mantissa, exponent = mantissas(values, scale, grid, lowest)
    if payload:
        while _row_sum(matrix, mantissa) * payload >= 1 << 31:
            mantissa, exponent = mantissas(values, scale, grid, exponent + 1)
    if exponent > chip.limits.weight_exponent.high:
        raise LoweringError(
            f"{projection.name!r} needs the weight exponent {exponent}",
            f"{chip.name} has {chip.limits.weight_exponent.low} to "
            f"{chip.limits.weight_exponent.high}",
            "bring the weights that end in one population closer together in size, or make the "
            "largest smaller",
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
    detail = f"{grid.mode}, {int(np.count_nonzero(mantissa))} of {values.size} not zero"
    row = lost(projection.name, "weights", grid.bits, error, rms, detail, exponent)
    conv = _integer_conv(projection.conv, gain, scale, grid, exponent)
    made = Synapses(
        projection.name, projection.pre, projection.post, whole, exponent, grid.mode, grid.bits,
        projection.delay, conv,
    )  # fmt: skip
    return made, row


def mantissas(values: Array, scale: float, grid: Grid, lowest: int = 0) -> tuple[Array, int]:
    """Return mantissas on the grid and their common exponent >= `lowest` for weights * scale."""
    largest = float(np.abs(values).max(initial=0.0)) * scale
    full = full_of(grid)
    exponent = max(lowest, int(np.ceil(np.log2(largest / full) - 1e-9))) if largest > 0 else 0
    return _on_grid(values * (scale / 2.0**exponent), grid), exponent


def full_of(grid: Grid) -> int:
    """Return the largest magnitude that a grid holds in its shorter direction."""
    return min(size for size in (grid.high, -grid.low) if size > 0)


def _on_grid(values: Array, grid: Grid) -> Array:
    mantissa = np.rint(values / grid.step).astype(np.int64) * grid.step
    return np.clip(mantissa, grid.low, grid.high)


def _row_sum(matrix: Any, mantissa: Array) -> float:
    """Return the largest sum of magnitudes that ends in one neuron."""
    size = np.abs(mantissa).astype(float)
    if sp.issparse(matrix):
        parts = sp.csr_array((size, matrix.indices, matrix.indptr), shape=matrix.shape)
        return float(np.asarray(parts.sum(axis=1)).max(initial=0.0))
    return float(size.reshape(matrix.shape).sum(axis=1).max(initial=0.0))


def _integer_conv(
    conv: Convolution | None, gain: Array, scale: float, grid: Grid, exponent: int
) -> Convolution | None:
    """Return the same convolution with an integer kernel, where all neurons share one gain."""
    if conv is None or np.ptp(gain) != 0:
        return None
    kernel = _on_grid(conv.kernel * (gain[0] * scale / 2.0**exponent), grid)
    return replace(conv, kernel=kernel.astype(np.int32))


def scaled_rows(matrix: Any, gain: Array) -> Any:
    """Return a dense or CSR matrix with its rows times `gain`, (post,)."""
    if sp.issparse(matrix):
        return sp.csr_matrix(sp.diags(gain) @ matrix)
    return matrix * gain[:, None]


def values_of(matrix: Any) -> Array:
    """Return the stored values of a dense or CSR matrix, flat."""
    return np.asarray(matrix.data if sp.issparse(matrix) else matrix.ravel())


def largest_of(matrix: Any) -> float:
    """Return the largest magnitude in a matrix, 0 for an empty one."""
    return float(np.abs(values_of(matrix)).max(initial=0.0))
