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

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Membrane, Population
from spikeport.compiler.fabric import Lists
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.arithmetic import Grid, exponent_of, full_of
from spikeport.compiler.quantize.candidate import Candidate, grid_for, reach_of
from spikeport.compiler.quantize.levels import (
    Rows,
    levels_of,
    of_groups,
    pick_levels,
    spread_levels,
)
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.trained import Trained

TIE = 0.25  # of a mantissa: how far below a threshold `>=` already spikes, where v decays
FLOAT32 = 1e-6  # of a value: more than its rounding in a file
MANY = 1 << 14  # groups; of more, each takes the largest level that fits


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
    most = np.maximum(of_groups(fits, groups) * unit - over, 1e-300)
    least = np.maximum(of_groups(room, groups) * unit - over, 1e-300)
    if alike:
        most, least = np.maximum(np.floor(most + 1e-9), 1), np.maximum(np.floor(least + 1e-9), 1)
    held = _most_levels(chip, most.size, alike)
    if most.size > MANY:
        chosen = most if held >= most.size else spread_levels(most, held)
    else:
        levels = levels_of(most, least, recipe, alike, _is_counted(chip, alike))
        rows = Rows(used, grids, exponents, groups, recipe)
        chosen = pick_levels(levels, rows, over, unit, held)
    scale = ((chosen + over) / unit)[groups]
    found = dict(zip(map(id, used), exponents, strict=True))
    given = tuple(found.get(id(each), 0) for each in candidates)
    classes = np.unique(chosen, return_inverse=True)[1].ravel()[groups] if alike else groups
    return Scales(scale, given, classes)


def trained_scales(
    trained: Trained | None, name: str, chip: Chip, candidates: Sequence[Candidate], recipe: Recipe
) -> Scales | None:
    """Return the scales that a population was trained with for this chip; None: it was not.

    Exponents are the smallest that hold the weights: those of the training, or ones that hold its
    grid as well. Weights out of a file are off by the rounding of float32.
    """
    if trained is None or trained.chip != chip.name or name not in trained.scales:
        return None
    scale = trained.scales[name]
    exponents = [
        None
        if each.adapts or not each.weights.largest
        else exponent_of(
            float((reach_of(each, recipe) * scale).max()) * (1 - FLOAT32), grid_for(each, chip)
        )
        for each in candidates
    ]
    classes = np.unique(scale, return_inverse=True)[1].ravel()
    return Scales(scale, tuple(exponents), classes)


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
    return np.asarray(of_groups(each, groups, of)[groups])


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
