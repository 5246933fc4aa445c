"""The scale of each neuron: weight units per float unit of v.

Where a core keeps a threshold for each neuron, a scale of its own costs nothing: the neuron's
weights fill their bits, and its threshold takes the scale up. A core holds a few different
thresholds only, so the neurons of a population share as many levels as that; without such a
choice (`scales="population"`) all share one.

The largest scale at which everything fits is where the search begins. Below it lie those at which
the threshold is a whole mantissa, so that it loses nothing; of these the one with the smallest
error of the weights is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Membrane, Population
from spikeport.compiler.fabric import Lists
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.arithmetic import Grid, exponent_of, full_of, grid_of
from spikeport.compiler.quantize.recipe import Recipe, Wish
from spikeport.compiler.quantize.scaled import Scaled

TIE = 0.25  # of a mantissa: how far below a threshold `>=` already spikes, where v decays
TRIED = 1 << 25  # weights times levels that are compared at most
LEVELS = 96  # thresholds that are compared
ROUNDS = 4  # in which the levels that neurons share settle
LOWEST = 0.5  # of what fits: levels below waste a bit
MANY = 1 << 14  # groups; of more, each takes the largest level that fits
BEYOND = 1.5  # of what fits: levels above clip the largest weights
ALL_BUT = 0.999  # of a neuron's weights that `percentile` keeps whole


@dataclass(frozen=True, eq=False)
class Candidate:
    """Weights that a scale is chosen for.

    Attributes:
        weights: in float units of v.
        wish: how they are held.
        mean, spread: of what each source adds to v on calibration data, (pre,); None: unknown.
        counts: how much an error of its weights matters: one that acts in every step, a bias, more.
    """

    weights: Scaled
    wish: Wish
    mean: Array | None = None
    spread: Array | None = None
    counts: float = 1.0

    @property
    def adapts(self) -> bool:
        """Do its exponents follow the size of the weights, or a second synapse what is left."""
        whole = self.wish.is_split and self.wish.share == 1
        return whole or self.wish.lists in ("size", "sign-size")


@dataclass(frozen=True, eq=False)
class Scales:
    """What was chosen for a population.

    Attributes:
        scale: weight units per float unit of v, (n,).
        exponents: of each candidate, None where it follows the weights.
        classes: neurons of one number share a threshold and move together, (n,).
    """

    scale: Array
    exponents: tuple[int | None, ...]
    classes: Array


def choose_scales(
    pop: Population, candidates: Sequence[Candidate], room: Array, chip: Chip, recipe: Recipe
) -> Scales:
    """Return the scale of each neuron.

    Args:
        pop: in floats.
        candidates: what ends in it.
        room: largest scale of each neuron, (n,); inf where any will do.
        chip: whose formats and thresholds are used.
        recipe: what was asked for.
    """
    room = np.where(np.isfinite(room), room, 1.0)
    theta = pop.cell.v_threshold
    alike = bool(pop.cell.spiking and (theta == theta[0]).all() and 0 < theta[0] < np.inf)
    groups = groups_of(pop, chip, recipe, alike)
    room = _least(room, groups)
    # In an order of their own: delays and relays, which reorder projections, change nothing.
    used = sorted(
        (each for each in candidates if each.weights.largest > 0),
        key=lambda each: (each.weights.largest, each.weights.count),
    )
    grids = [grid_for(each, chip) for each in used]
    reach = [_least(reach_of(each, recipe), groups, np.maximum) for each in used]
    exponents, fits = _exponents(used, grids, reach, room, chip)
    over = _over(pop.cell) if alike else 0.0
    unit = theta[0] if alike else 1.0
    most = np.maximum(_of_groups(fits, groups) * unit - over, 1e-300)
    least = np.maximum(_of_groups(room, groups) * unit - over, 1e-300)
    if alike:
        most, least = np.maximum(np.floor(most + 1e-9), 1), np.maximum(np.floor(least + 1e-9), 1)
    held = _most_levels(chip, most.size, alike)
    if most.size > MANY:
        chosen = most if held >= most.size else _spread(most, held)
    else:
        levels = _levels(most, least, chip, recipe, alike)
        rows = _Rows(used, grids, exponents, groups, recipe)
        chosen = _pick(levels, rows, over, unit, held)
    scale = ((chosen + over) / unit)[groups]
    found = dict(zip(map(id, used), exponents, strict=True))
    given = tuple(found.get(id(each), 0) for each in candidates)
    classes = np.unique(chosen, return_inverse=True)[1].ravel()[groups] if alike else groups
    return Scales(scale, given, classes)


def groups_of(pop: Population, chip: Chip, recipe: Recipe, alike: bool) -> Array:
    """Return for each neuron the number of the group that shares its scale, (n,).

    All, or those of one channel of a map, or each alone.
    """
    each = np.arange(pop.size)
    lists = isinstance(chip.core, Lists)  # other cores hold one scale for what they hold
    mixed = pop.cell.spiking and not alike and _counts_thresholds(chip)
    if recipe.scales == "population" or not lists or mixed or (pop.analog and chip.message_bits):
        return 0 * each
    if len(pop.shape) == 3:
        return each // (pop.shape[1] * pop.shape[2])
    return each


def whole(cell: Membrane) -> bool:
    """Is v always a whole multiple of 64: weights add to it, and nothing decays."""
    return not cell.has_current and bool((cell.keep_v == 1.0).all())


def _over(cell: Membrane) -> float:
    """Return how far above its mantissa a threshold is meant to be."""
    return TIE if cell.threshold == "greater_equal" and not whole(cell) else 0.0


def _least(each: Array, groups: Array, of: Any = np.minimum) -> Array:
    """Return the least (or another) of each neuron's group, (n,)."""
    return np.asarray(_of_groups(each, groups, of)[groups])


def _of_groups(each: Array, groups: Array, of: Any = np.minimum) -> Array:
    if groups.size == 0:
        return np.zeros(0)
    found = np.full(int(groups.max()) + 1, np.inf if of is np.minimum else 0.0)
    of.at(found, groups, each)
    return found


def grid_for(each: Candidate, chip: Chip) -> Grid:
    """Return the grid of a candidate's (first) weights."""
    extent = each.weights.extent
    return grid_of(np.abs(extent) if "sign" in each.wish.lists else extent, chip, each.wish.bits[0])


def reach_of(each: Candidate, recipe: Recipe) -> Array:
    """Return the weight of each neuron that is to fit, (n,): the largest, or all but a few."""
    largest, matrix = each.weights.row_largest, each.weights.matrix
    if recipe.ranges != "percentile":
        return largest
    last = int(ALL_BUT * (matrix.shape[1] - 1))  # of all of a row, zeros first
    if not sp.issparse(matrix):
        sizes = np.partition(np.abs(matrix), last, axis=1)[:, last]
    else:
        lengths = _lengths(matrix)
        order = np.lexsort((np.abs(matrix.data), np.repeat(np.arange(lengths.size), lengths)))
        at = last - (matrix.shape[1] - lengths)  # among those that are stored
        held = np.append(np.abs(matrix.data)[order], 0.0)
        sizes = np.where(at >= 0, held[np.where(at >= 0, matrix.indptr[:-1] + at, -1)], 0.0)
    found = np.asarray(sizes * np.abs(each.weights.gain), np.float64)
    return np.where(found > 0, found, largest)


def _lengths(matrix: Any) -> Array:
    return np.diff(matrix.indptr)


def _exponents(
    used: Sequence[Candidate], grids: Sequence[Grid], reach: Sequence[Array], room: Array,
    chip: Chip,
) -> tuple[list[int | None], Array]:  # fmt: skip
    """Return the exponent of each projection, and the largest scales at which all weights fit.

    Exponents begin with those at which every neuron has all its room, and go down one by one as
    long as that makes the sum of the expected errors smaller.
    """
    top = chip.limits.weight_exponent.high
    fixed = [k for k, each in enumerate(used) if not each.adapts]
    if not fixed:
        return [None] * len(used), room
    found = {
        k: min(exponent_of(float((reach[k] * room).max(initial=0.0)), grids[k]), top) for k in fixed
    }

    def fits(given: dict[int, int]) -> Array:
        held = room
        for k in fixed:
            with np.errstate(divide="ignore"):
                held = np.minimum(held, full_of(grids[k]) * 2.0 ** given[k] / reach[k])
        return held

    # An error moves few spikes of a neuron whose v moves much: errors are shares of its weights.
    size = np.max([reach[k] for k in fixed], axis=0)
    size = np.where(size > 0, size, 1.0)

    counts = {k: used[k].counts * used[k].weights.count / reach[k].size for k in fixed}

    def error(given: dict[int, int]) -> float:
        squares = 1.0 / (fits(given) * size) ** 2
        return float(
            sum(counts[k] * (grids[k].step * 2.0 ** given[k]) ** 2 * squares.sum() for k in fixed)
        )

    best, left = error(found), True
    while left:
        lower = [{**found, k: found[k] - 1} for k in fixed if found[k] > 0]
        errors = [error(other) for other in lower]
        left = min(errors, default=best) < best * (1 - 1e-9)
        if left:
            best = min(errors)
            found = lower[errors.index(best)]
    return [found.get(k) for k in range(len(used))], fits(found)


def _levels(most: Array, room: Array, chip: Chip, recipe: Recipe, alike: bool) -> Array:
    """Return the levels that each group may take, (groups, levels)."""
    if recipe.ranges == "largest":
        return most[:, None] if not _is_counted(chip, alike) else _shared(most, room, 1.0)
    beyond = 1.0 if recipe.ranges == "percentile" else BEYOND
    if _is_counted(chip, alike) and most.size > 1:
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


def _spread(most: Array, held: int) -> Array:
    """Return the largest of `held` levels, alike in ratio, that each group has room for."""
    levels = np.floor(np.geomspace(most.min(), most.max(), held) + 1e-9)
    return np.asarray(levels[np.searchsorted(levels, most, "right") - 1])


def _is_counted(chip: Chip, alike: bool) -> bool:
    return alike and _counts_thresholds(chip)


def _counts_thresholds(chip: Chip) -> bool:
    """Does a core hold a few different thresholds only."""
    return isinstance(chip.core, Lists) and chip.core.threshold_configs is not None


def _most_levels(chip: Chip, groups: int, alike: bool) -> int:
    """Return how many different thresholds a population may have.

    Two of them and the bias neuron find room on a core.
    """
    if not (_is_counted(chip, alike) and isinstance(chip.core, Lists)):
        return groups
    held = chip.core.threshold_configs
    return groups if held is None else max(1, (held.whole - 1) // 2)


class _Rows:
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
        self.size = _of_groups(size, groups, np.maximum)
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
            lengths = _lengths(matrix)[rows]
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


def _pick(levels: Array, rows: _Rows, over: float, unit: float, most: int) -> Array:
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
