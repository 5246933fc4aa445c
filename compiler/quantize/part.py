"""Weights on their way to integers: what each one is, and the steps that it may become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.arithmetic import LOIHI, Grid, full_of, grid_of

SIZES = 3  # exponents that the weights of one projection and sign may have


@dataclass(frozen=True, eq=False)
class Part:
    """Stored weights of a projection, flat, and the grid that each is rounded to.

    Attributes:
        values: in weight units, (stored,) float64.
        exponent: of each, (stored,) or one for all.
        grid: of the first, whose bits and step all share.
        by_sign: are positive and negative ones in lists of their own.
    """

    values: Array
    exponent: Array
    grid: Grid
    by_sign: bool

    @property
    def unit(self) -> Array:
        """Weight units per step, as `exponent`."""
        return np.asarray(np.ldexp(float(self.grid.step), self.exponent))

    @property
    def ends(self) -> tuple[Array, Array]:
        """The smallest and the largest step that each may become."""
        low, high = self.grid.low // self.grid.step, self.grid.high // self.grid.step
        if not self.by_sign:
            return np.asarray(low), np.asarray(high)
        return np.where(self.values < 0, -high, 0), np.where(self.values > 0, high, 0)

    def nearest(self) -> Array:
        """Return the nearest steps, floats."""
        low, high = self.ends
        return np.asarray(np.clip(np.rint(self.values / self.unit), low, high))


def part_of(
    values: Array, matrix: Any, lists: str, bits: int, chip: Chip, exponent: int | None = None
) -> Part:
    """Return weights with the exponents that their lists give them.

    Args:
        values: of `matrix`, flat, in weight units.
        matrix: (post, pre), dense or CSR; says which weights end in one neuron.
        lists: see `Wish`.
        bits: of a weight; 0: as many as the chip has.
        chip: whose formats and exponents are used.
        exponent: of all weights of one list, where it was chosen already.

    Raises:
        LoweringError: a weight needs a larger exponent than the chip has.
    """
    by_sign = lists in ("sign", "sign-size") and chip.arithmetic in LOIHI
    extent = np.array([values.min(initial=0.0), values.max(initial=0.0)])
    grid = grid_of(np.abs(extent) if by_sign else extent, chip, bits)
    top = chip.limits.weight_exponent.high
    needed: Array = np.minimum(_needed(values, grid), top)
    if lists == "row":
        needed = _largest_of_rows(needed, matrix)
    elif lists in ("size", "sign-size"):
        needed = _few(needed, values, by_sign)
    elif lists == "sign" and by_sign:
        below, above = (int(needed[side].max(initial=0)) for side in (values < 0, values > 0))
        needed = np.where(values < 0, below, above)
    else:
        needed = np.asarray(needed.max(initial=0) if exponent is None else exponent)
    if exponent is None and np.abs(values).max(initial=0.0) > full_of(grid) * 2.0**top * (1 + 1e-6):
        raise LoweringError(
            f"weights up to {np.abs(values).max():g} units are too large",
            f"{chip.name} holds {full_of(grid)} times 2^{top}",
            "bring the weights that end in one population closer together in size, or make the "
            "largest smaller",
        )
    return Part(values, needed.astype(np.int32), grid, by_sign)


def residual_of(part: Part, steps: Array, rows: Array, bits: int, chip: Chip) -> Part:
    """Return what is left of weights beside `steps`, as weights of a second synapse.

    Args:
        part: the weights.
        steps: that the first synapses hold.
        rows: (stored,) bool, weights that get a second one.
        bits: of it.
        chip: whose exponents are used.
    """
    left = np.where(rows, part.values - steps * part.unit, 0.0)
    grid = grid_of(np.array([0.0 if part.by_sign else -1.0, 1.0]), chip, bits)
    exponent = _needed(left, grid).max(initial=0)
    return Part(left, np.asarray(exponent, np.int32), grid, part.by_sign)


def _needed(values: Array, grid: Grid) -> Array:
    """Return the smallest exponent, 0 at least, with which the grid holds each value."""
    fraction, exponent = np.frexp(np.abs(values) / (full_of(grid) * (1 + 1e-9)))
    return np.asarray(np.maximum(exponent - (fraction == 0.5), 0))


def _largest_of_rows(needed: Array, matrix: Any) -> Array:
    if not sp.issparse(matrix):
        each = needed.reshape(matrix.shape).max(axis=1, initial=0)
        return np.asarray(np.repeat(each, matrix.shape[1]))
    lengths = np.diff(matrix.indptr)
    some = lengths > 0
    each = np.zeros(lengths.size, needed.dtype)
    each[some] = np.maximum.reduceat(needed, matrix.indptr[:-1][some]) if needed.size else 0
    return np.asarray(np.repeat(each, lengths))


def _few(needed: Array, values: Array, by_sign: bool) -> Array:
    """Return each weight's exponent out of `SIZES` at most, for each sign."""
    sides = (values < 0, values > 0) if by_sign else (values != 0,)
    found = np.zeros_like(needed)
    for side in sides:
        counts = np.bincount(needed[side], minlength=1)
        found[side] = _chosen(counts)[needed[side]]
    return found


def _chosen(counts: Array) -> Array:
    """Return, for each exponent that weights need, the one they get: the smallest sum of errors."""
    top = counts.size - 1
    best, chosen = np.inf, np.full(counts.size, top)
    for subset in range(1 << top):
        some = [k for k in range(top) if subset >> k & 1]
        if len(some) >= SIZES:
            continue
        given = np.array([*some, top])[np.searchsorted(some, np.arange(counts.size))]
        error = float(counts @ 4.0**given)
        if error < best:
            best, chosen = error, given
    return chosen
