"""Which convolution a weight matrix is, for chips whose cores hold a kernel and not a matrix.

It is read from the integers, not from the nodes that made them: pooling, flattening and scales
have been folded into one matrix by now, and where the product is a sum pool and a convolution
(or a dense layer, a convolution as large as its map), that is what the chip can hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array

Map = tuple[int, int, int]  # channels, rows, columns

MOST_STRIDE = 16  # searched for, whatever the chip has
MOST_TAPS = 1 << 26  # of a kernel that is tried
MOST_TRIES = 64  # pairs of strides; more than one only where a map has a few outputs


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution; pairs are (rows, columns).

    Attributes:
        kernel, stride, padding: as in a Conv2d.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class Allowed:
    """What the search may use: strides, the largest padding, and must kernels be square."""

    strides: tuple[int, ...]
    padding: int
    square: bool


ANY = Allowed(tuple(range(1, MOST_STRIDE + 1)), 64, True)


@dataclass(frozen=True)
class Axis:
    """Inputs and outputs along one axis, and how far apart those that meet are.

    At stride s the output y meets the inputs y * s + low .. y * s + high.
    """

    before: int
    after: int
    stride: int
    low: int
    high: int

    def meetings(self, tap: Array) -> Array:
        """Return for how many outputs the input at distance low + tap exists."""
        place = np.arange(self.after)[:, None] * self.stride + self.low + tap
        return np.asarray(((place >= 0) & (place < self.before)).sum(axis=0))


def pools(matrix: sp.csr_matrix, before: Map, sizes: tuple[int, ...]) -> Iterator[tuple[int, Map]]:
    """Yield (size, map after it) of every sum pool that the matrix begins with, largest first.

    Args:
        matrix: (post, pre) without stored zeros.
        before: the pre neurons, in C order.
        sizes: windows that may be found; 1 is always yielded, last.
    """
    channels, height, width = before
    for size in sorted(set(sizes) - {1}, reverse=True):
        after = (channels, height // size, width // size)
        if min(after) < 1:
            continue
        top = pooled(matrix, before, size)
        if top.nnz * size * size != matrix.nnz:
            continue
        rows = np.repeat(np.arange(after[1]), size)
        columns = np.repeat(np.arange(after[2]), size)
        window = np.full((channels, height, width), -1)
        inside = (np.arange(channels)[:, None, None] * after[1] + rows[:, None]) * after[2]
        window[:, : rows.size, : columns.size] = inside + columns
        flat = window.ravel()
        used = np.flatnonzero(flat >= 0)
        spread = sp.csr_matrix(
            (np.ones(used.size, np.int64), (flat[used], used)), shape=(top.shape[1], flat.size)
        )
        if (top @ spread != matrix).nnz == 0:
            yield size, after
    yield 1, before


def pooled(matrix: sp.csr_matrix, before: Map, size: int) -> sp.csr_matrix:
    """Return the weights from each window's first neuron."""
    channels, height, width = before
    number = np.arange(channels * height * width).reshape(before)
    first = number[:, : height // size * size : size, : width // size * size : size]
    return matrix if size == 1 else sp.csr_matrix(matrix[:, first.ravel()])


Distances = tuple["Axis", "Axis"]


def distances_of(matrix: sp.csr_matrix, before: Map, after: Map) -> list[Distances]:
    """Return how far apart what meets is, along rows and columns, where it is a convolution.

    Args:
        matrix: (post, pre) without stored zeros.
        before, after: the pre and post neurons, in C order.

    Returns:
        One pair for each pair of strides; none where the matrix is no convolution, several where
        a map has so few outputs that its stride cannot be told.
    """
    if matrix.shape != (int(np.prod(after)), int(np.prod(before))):
        return []
    found = matrix.tocoo()
    source, target = np.unravel_index(found.col, before), np.unravel_index(found.row, after)
    rows, columns = (_axes(source[k], target[k], before[k], after[k]) for k in (1, 2))
    made: list[Distances] = []
    smallest = np.inf  # rows of the smallest kernel so far: no pair of wider reach has a smaller
    for pair in sorted(product(rows, columns), key=_reach)[:MOST_TRIES]:
        if _reach(pair) > smallest:
            break
        taps = [
            source[k] - target[k] * axis.stride - axis.low for k, axis in enumerate(pair, start=1)
        ]
        if _is_convolution(found.data, source[0], target[0], taps, pair, before, after):
            made.append(pair)
            window = _smallest(*pair, ANY)
            smallest = min(smallest, window.kernel[0]) if window else smallest
    return made


def _reach(pair: Distances) -> int:
    return max(axis.high - axis.low + 1 for axis in pair)


def window_of(distances: list[Distances], allowed: Allowed) -> Window | None:
    """Return the convolution with the smallest kernel that has these distances, if there is one.

    A kernel that reaches less far along one axis is filled up with zeros to a square.
    """
    windows = [_smallest(high, wide, allowed) for high, wide in distances]
    return min((each for each in windows if each), key=lambda each: each.kernel, default=None)


def _axes(source: Array, target: Array, before: int, after: int) -> list[Axis]:
    """Return an axis for every stride at which outputs meet inputs in a pattern that moves along.

    With one output all strides are alike: one axis stands for them.
    """
    meets = np.zeros((after, before), bool)
    meets[target, source] = True
    places = np.nonzero(meets)
    if not places[0].size:
        return [Axis(before, after, stride, 0, 0) for stride in range(1, MOST_STRIDE + 1)]
    axes = []
    for stride in range(1, MOST_STRIDE + 1) if after > 1 else (1,):
        apart = places[1] - places[0] * stride
        axis = Axis(before, after, stride, int(apart.min()), int(apart.max()))
        taps = np.unique(apart) - axis.low
        if int(axis.meetings(taps).sum()) == apart.size:
            axes.append(axis)
    return axes


def _is_convolution(
    weight: Array,
    source: Array,
    target: Array,
    taps: list[Array],
    axes: tuple[Axis, Axis],
    before: Map,
    after: Map,
) -> bool:
    """Does every output of a channel see the same weights at the same distances, and all of them.

    Args:
        weight, source, target: of every synapse: its weight, input and output channel.
        taps: its distance along both axes, counted from the lowest.
        axes: rows, columns.
        before, after: extents of the maps.
    """
    rows, columns = (axis.high - axis.low + 1 for axis in axes)
    shape = (after[0], before[0], rows, columns)
    if np.prod(shape, dtype=np.float64) > MOST_TAPS:
        return False
    kernel = np.zeros(shape, weight.dtype)
    kernel[target, source, taps[0], taps[1]] = weight
    if (kernel[target, source, taps[0], taps[1]] != weight).any():
        return False
    _, _, row, column = np.nonzero(kernel)
    met = axes[0].meetings(np.arange(rows))[row] * axes[1].meetings(np.arange(columns))[column]
    return int(met.sum()) == weight.size


def _smallest(high: Axis, wide: Axis, allowed: Allowed) -> Window | None:
    """Return the smallest kernel, stride and padding that give these distances and extents."""
    rows, columns = _kernels(high, allowed), _kernels(wide, allowed)
    if not rows or not columns:
        return None
    if not allowed.square:
        (tall, (down, top)), (broad, (across, left)) = (
            min(each.items()) for each in (rows, columns)
        )
        return Window((tall, broad), (down, across), (top, left))
    common = rows.keys() & columns.keys()
    if not common:
        return None
    size = min(common)
    return Window(
        (size, size), (rows[size][0], columns[size][0]), (rows[size][1], columns[size][1])
    )


def _kernels(axis: Axis, allowed: Allowed) -> dict[int, tuple[int, int]]:
    """Return kernel size -> (stride, padding) of all that do the same along an axis."""
    found: dict[int, tuple[int, int]] = {}
    strides = allowed.strides if axis.after == 1 else (axis.stride,)
    for padding in range(max(0, -axis.low), allowed.padding + 1):
        for stride in strides if axis.stride in allowed.strides or axis.after == 1 else ():
            room = axis.before + 2 * padding
            least = max(axis.high + padding + 1, room - stride * axis.after + 1, 1)
            for size in range(least, room - stride * (axis.after - 1) + 1):
                found.setdefault(size, (stride, padding))
    return found
