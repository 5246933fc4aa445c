"""The level of each group of neurons: a threshold, and with it a scale, that loses little.

Where a core holds a few different thresholds, groups choose from levels that they share: one after
the other the level with which, beside those that are held, least is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.arithmetic import Grid
from spikeport.compiler.quantize.candidate import Candidate, lengths_of
from spikeport.compiler.quantize.recipe import Recipe

TRIED = 1 << 25  # weights times levels that are compared at most
LEVELS = 96  # thresholds that are compared
LOWEST = 0.5  # of what fits: levels below waste a bit
BEYOND = 1.5  # of what fits: levels above clip the largest weights
ROUNDS = 4  # in which the levels that neurons share settle


def levels_of(most: Array, room: Array, recipe: Recipe, alike: bool, counted: bool) -> Array:
    """Return the levels that each group may take, (groups, levels); 0: it has no room for it.

    Args:
        most: of each group, the largest at which no weight is clipped, (groups,).
        room: the largest that its states allow.
        recipe: how far weights may be clipped.
        alike: do all neurons have one threshold, so that levels are whole mantissas.
        counted: are they shared, because a core holds few.
    """
    if recipe.ranges == "largest":
        return most[:, None] if not counted else _shared(most, room, 1.0)
    beyond = 1.0 if recipe.ranges == "percentile" else BEYOND
    if counted and most.size > 1:
        return _shared(most, room, beyond)
    shares = np.linspace(LOWEST, beyond, LEVELS)
    shares = np.unique(np.append(shares, 1.0))
    levels = np.minimum(most[:, None] * shares, room[:, None])
    return np.asarray(np.maximum(np.floor(levels + 1e-9), 1.0) if alike else levels)


def _shared(most: Array, room: Array, beyond: float) -> Array:
    """Return levels that all groups choose from; 0 where one has no room for it."""
    low, high = max(1.0, LOWEST * float(most.min())), beyond * float(most.max())
    levels = np.geomspace(low, max(float(most.max()), low), LEVELS)
    above = np.geomspace(most.max(), max(high, float(most.max())), LEVELS // 8)
    ends = [most.min(), np.median(most), most.max()]
    levels = np.unique(np.floor(np.concatenate([levels, above, ends])))
    held = (levels <= (room if beyond > 1 else most)[:, None]) & (levels >= 1)
    return np.asarray(np.where(held, levels, 0.0))


def spread_levels(most: Array, held: int) -> Array:
    """Return the largest of `held` levels, alike in ratio, that each group has room for."""
    levels = np.floor(np.geomspace(most.min(), most.max(), held) + 1e-9)
    return np.asarray(levels[np.searchsorted(levels, most, "right") - 1])


class Rows:
    """Some weights of one neuron of each group, to try scales on."""

    def __init__(
        self, used: Sequence[Candidate], grids: Sequence[Grid], exponents: Sequence[int | None],
        groups: Array, recipe: Recipe,
    ) -> None:  # fmt: skip
        first = np.unique(groups, return_index=True)[1] if groups.size else np.zeros(0, int)
        middle = np.bincount(groups) // 2 if groups.size else first
        order = np.argsort(groups, kind="stable")
        starts = np.cumsum(np.append(0, np.bincount(groups)))[:-1] if groups.size else first
        rows = order[starts + middle] if groups.size else first
        if groups.size and groups.max() == 0:  # one scale for all: more than one neuron is asked
            rows = np.unique(np.linspace(0, groups.size - 1, 256).astype(int))
        self.groups = np.asarray(groups[rows]) if groups.size else rows
        size = np.max([np.zeros(groups.size), *(each.weights.row_largest for each in used)], axis=0)
        self.size = of_groups(size, groups, np.maximum)
        self.sides = [
            _Side(each, grid, exponent, rows, recipe.ranges in ("output", "raster"))
            for each, grid, exponent in zip(used, grids, exponents, strict=True)
            if exponent is not None
        ]

    def errors(self, scales: Array) -> Array:
        """Return the error of each group at each scale, (groups, levels); inf where it is 0."""
        groups = scales.shape[0]
        total = np.zeros(scales.shape)
        for side in self.sides:
            squares = side.errors(scales[self.groups])
            np.add.at(total, self.groups, squares)
        # Among scales that lose no more than a weight unit the largest is best: there the largest
        # weights round up, and so meet ties of `>=`.
        least = np.full(groups, 1e-300)
        for side in self.sides:
            np.add.at(least, self.groups, side.counts)
        total = np.maximum(total, least[:, None] * (1.0 / np.where(scales > 0, scales, 1.0)) ** 2)
        total /= np.where(self.size > 0, self.size, 1.0)[:, None] ** 2
        return np.where(scales > 0, total, np.inf)


class _Side:
    """Some weights of some neurons over one projection, padded, (rows, few)."""

    def __init__(
        self, each: Candidate, grid: Grid, exponent: int, rows: Array, by_output: bool
    ) -> None:
        matrix, gain = each.weights.matrix, each.weights.gain
        few = max(4, TRIED // (LEVELS * max(rows.size, 1)))
        if not sp.issparse(matrix):
            columns = np.linspace(0, matrix.shape[1] - 1, min(few, matrix.shape[1])).astype(int)
            columns = np.broadcast_to(columns, (rows.size, columns.size))
            self.values = matrix[rows[:, None], columns] * gain[rows, None]
            stands_for = matrix.shape[1] / max(columns.shape[1], 1)
        else:
            lengths = lengths_of(matrix)[rows]
            width = int(min(few, lengths.max(initial=0)))
            step = np.maximum(lengths / max(width, 1), 1.0)
            inner = (np.arange(width) * step[:, None]).astype(int)
            there = inner < lengths[:, None]
            at = np.where(there, matrix.indptr[rows][:, None] + inner, 0)
            columns = matrix.indices[at] if matrix.data.size else at
            data = matrix.data[at] if matrix.data.size else at
            self.values = np.where(there, data * gain[rows, None], 0.0)
            stands_for = float(np.mean(step)) if step.size else 1.0
        self.unit, self.grid = grid.step * 2.0**exponent, grid
        self.weight = stands_for * each.counts
        known = by_output and each.mean is not None and each.spread is not None
        self.mean = each.mean[columns] if known and each.mean is not None else None
        self.spread = each.spread[columns] if known and each.spread is not None else None
        self.by_sign = "sign" in each.wish.lists
        self.counts = stands_for * np.count_nonzero(self.values, axis=1)

    def errors(self, scales: Array) -> Array:
        """Return the error of each row at each scale, (rows, levels)."""
        low, high = self.grid.low // self.grid.step, self.grid.high // self.grid.step
        low = -high if self.by_sign else low
        found = np.zeros(scales.shape)
        for level in range(scales.shape[1]):
            scale = np.maximum(scales[:, level, None], 1e-300)
            steps = np.clip(np.rint(self.values * (scale / self.unit)), low, high)
            wrong = steps * (self.unit / scale) - self.values
            if self.mean is None or self.spread is None:
                found[:, level] = self.weight * np.sum(wrong**2, axis=1)
            else:
                drift = np.sum(wrong * self.mean, axis=1) * self.weight
                found[:, level] = drift**2 + self.weight * np.sum(wrong**2 * self.spread, axis=1)
        return found


def pick_levels(levels: Array, rows: Rows, over: float, unit: float, most: int) -> Array:
    """Return the level of each group, at most so many different ones, (groups,)."""
    if levels.size == 0:
        return np.ones(levels.shape[0])
    scales = np.where(levels > 0, (levels + over) / unit, 0.0)
    errors = rows.errors(scales)
    if most >= levels.shape[0]:
        tied = errors <= errors.min(axis=1, keepdims=True) * (1 + 1e-9)
        return np.asarray(np.where(tied, levels, 0.0).max(axis=1))
    shared = levels.max(axis=0)
    worst = errors[np.isfinite(errors)].max(initial=1.0)
    cost = np.where(np.isfinite(errors), errors, worst * 1e6 + 1e6)
    held: list[int] = []
    now = np.full(levels.shape[0], np.inf)
    for _ in range(min(most, shared.size)):
        sums = np.minimum(now[:, None], cost).sum(axis=0)
        best = int(np.argmin(sums))
        if best in held:
            break
        held.append(best)
        now = np.minimum(now, cost[:, best])
    some = np.array(held)
    for k in list(range(some.size)) * ROUNDS:  # each level to where, with the others, least is lost
        others = cost[:, np.delete(some, k)].min(axis=1, initial=np.inf)
        some[k] = np.argmin(np.minimum(others[:, None], cost).sum(axis=0))
    return np.asarray(shared[some[np.argmin(cost[:, some], axis=1)]])


def of_groups(each: Array, groups: Array, of: Any = np.minimum) -> Array:
    """Return the least (or another) of the neurons of each group, (groups,)."""
    if groups.size == 0:
        return np.zeros(0)
    found = np.full(int(groups.max()) + 1, np.inf if of is np.minimum else 0.0)
    of.at(found, groups, each)
    return found
