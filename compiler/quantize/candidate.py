"""Weights that a scale is chosen for: how they are held, and which of them are to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.arithmetic import Grid, grid_of
from spikeport.compiler.quantize.recipe import Recipe, Wish
from spikeport.compiler.quantize.scaled import Scaled

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
        lengths = lengths_of(matrix)
        order = np.lexsort((np.abs(matrix.data), np.repeat(np.arange(lengths.size), lengths)))
        at = last - (matrix.shape[1] - lengths)  # among those that are stored
        held = np.append(np.abs(matrix.data)[order], 0.0)
        sizes = np.where(at >= 0, held[np.where(at >= 0, matrix.indptr[:-1] + at, -1)], 0.0)
    found = np.asarray(sizes * np.abs(each.weights.gain), np.float64)
    return np.where(found > 0, found, largest)


def lengths_of(matrix: Any) -> Array:
    """Return how many weights each row of a CSR matrix stores, (post,)."""
    return np.diff(matrix.indptr)
