"""Whole levels for the weights of each neuron, where a source has an axon of each of K types."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array

CLIPPED = (1.1, 1.25, 1.4, 1.6, 1.9, 2.3, 2.8)  # units this much too small for the largest weight


@dataclass(frozen=True, eq=False)
class Levels:
    """Weights of a population as levels times a unit of each neuron.

    Attributes:
        levels: CSR int64 (neurons, sources), with the sparsity of the weights; 0 where one is lost.
        unit: float units per level, (n,); 1 for a neuron without weights.
        largest: the largest weight of a type, in levels, that these need, (n,).
        types: K, how many axons a source takes.
    """

    levels: sp.csr_matrix
    unit: Array
    largest: Array
    types: int


def levels_of(matrix: sp.csr_matrix, axons: int, types: int) -> Levels:
    """Return the levels that lose least, neuron by neuron.

    K is the largest for which the population's neurons find K axons for each of their sources, and
    at least 2 for a neuron with weights of both signs.

    Args:
        matrix: float weights, (neurons, sources), none stored that is 0.
        axons: of a core.
        types: of axons.

    >>> found = levels_of(sp.csr_matrix([[0.5, -1.0], [0.25, 0.75]]), axons=256, types=4)
    >>> found.levels.toarray().tolist(), found.unit.tolist(), found.largest.tolist()
    ([[1, -2], [1, 3]], [0.5, 0.25], [2, 2])
    """
    fan_in = np.diff(matrix.indptr)
    common = int(np.clip(axons // max(int(fan_in.max(initial=1)), 1), 1, types))
    rows = np.repeat(np.arange(fan_in.size), fan_in)
    low, high = _extremes(matrix, rows)
    mixed = (low < 0) & (high > 0)
    turned = np.where(np.where(mixed, high > -low, high == 0), -1.0, 1.0)  # level -8 is the largest
    used = np.maximum(common, 1 + mixed)
    bottom = np.where(mixed, np.where(used == 2, -1, -(1 << (used - 1))), 0)
    top = np.where(mixed, np.where(used == 2, 1, (1 << (used - 1)) - 1), (1 << used) - 1)
    reach = np.maximum(-bottom, top)  # level of the largest weight, once turned to that side
    size = np.maximum(high, -low)
    values = matrix.data * turned[rows]
    unit, error = np.ones(fan_in.size), np.full(fan_in.size, np.inf)
    units = [size / np.minimum(level, reach) for level in range(1, int(reach.max(initial=1)) + 1)]
    for tried in (*units, *(size / (reach * times) for times in CLIPPED)):
        step = np.where(size > 0, tried, 1.0)
        whole = np.clip(np.rint(values / step[rows]), bottom[rows], top[rows])
        lost = np.bincount(rows, (whole * step[rows] - values) ** 2, fan_in.size)
        better = lost < error - 1e-12 * size**2  # the fewest levels of those that lose the same
        unit, error = np.where(better, step, unit), np.where(better, lost, error)
    whole = np.clip(np.rint(values / unit[rows]), bottom[rows], top[rows]).astype(np.int64)
    levels = sp.csr_matrix((whole, matrix.indices, matrix.indptr), matrix.shape)
    largest = _largest_type(*_extremes(levels, rows), types)
    levels.data *= turned[rows].astype(np.int64)
    return Levels(levels, unit, largest, int(used.max(initial=1)))


def _extremes(matrix: sp.csr_matrix, rows: Array) -> tuple[Array, Array]:
    """Return the smallest and the largest value of each row, 0 among them."""
    low, high = np.zeros(matrix.shape[0], matrix.dtype), np.zeros(matrix.shape[0], matrix.dtype)
    np.minimum.at(low, rows, matrix.data)
    np.maximum.at(high, rows, matrix.data)
    return low, high


def _largest_type(low: Array, high: Array, types: int) -> Array:
    """Return the largest of the weights 1, 2, 4 .. that is used, below 0 where `low` is."""
    largest = np.ones(low.size, np.int64)
    for used in range(2, types + 1):
        below = 1 << (used - 1)
        signed = (low < 0) & ((low < -1) | (high > 1))
        more = signed & ((low < -(below >> 1)) | (high > (below >> 1) - 1))
        more |= (low == 0) & (high >= below)
        largest = np.where(more, below, largest)
    return largest
