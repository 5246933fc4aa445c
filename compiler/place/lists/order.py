"""An order of a population's neurons in which neighbours share inputs: slices are cut from it.

Maps (channels, height, width) and lines (channels, length) are halved again and again along their
longer side, channels innermost: any run of neighbours is then a nearly square patch, which reads
fewer inputs than a strip of rows. What is densely connected stays as it is, for there any order
is as good. Other neurons get coordinates in which those with common sources (or links to each
other) are near, by power iteration, and are cut in two again and again where the coordinates
leave most room; the pieces are taken as they were cut, or joined again by similarity (Ward's
clustering, better for modules), whichever gives fewer lists of synapses.

Measured on random modular, ring, plane and structureless networks of 2 000 to 20 000 shuffled
neurons, as packets between slices: reverse Cuthill-McKee needs up to 1.8 times, and an order by
one eigenvector 1.3 times, what this order needs; METIS's k-way partition needs 0.7 (planes) to
1.07 (modules) times as much. After `refine` it is the other way round (modules and random
networks: METIS needs 1.05 to 1.15 times as much, because it minimises cut synapses and not
packets), so pymetis is no dependency, and no result depends on whether it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.cluster.hierarchy import leaves_list, linkage

from spikeport.compiler.kinds import Array

DENSE = 0.5  # share of non-zero weights above which an order gains nothing
COORDINATES = 8
ROUNDS = 8  # of power iteration; more for small networks
SYNAPSES = 1_000_000  # of one matrix that are looked at: each row's every n-th
LEAF = 16  # neurons that are not cut any further
LEAVES = 1500  # at most about so many pieces: joining them takes time with the square
MIDDLE = 0.3  # share of neurons that each side of a cut gets at least


def neuron_order(
    matrices: Sequence[sp.csr_matrix],
    shape: tuple[int, ...],
    own: Sequence[sp.csr_matrix] = (),
) -> Array:
    """Return the neurons in an order in which those with common inputs are neighbours.

    Args:
        matrices: weights from other populations, each (n, their size); stored zeros count.
        shape: of the population, n neurons in all; (c, h, w) and (c, l) are maps.
        own: weights from the population to itself, each (n, n).

    Returns:
        A permutation of 0 .. n - 1, int64.

    >>> neuron_order([], (2, 1, 3)).tolist()  # both channels of a place are neighbours
    [0, 3, 1, 4, 2, 5]
    """
    count = int(np.prod(shape))
    if len(shape) in (2, 3) and shape[0] < count:
        return _map_order(shape)
    inputs = [_thinned(each) for each in matrices if _is_sparse(each)]
    links = [_thinned(each) for each in own if _is_sparse(each)]
    naive = np.arange(count)
    if count <= 2 or not inputs + links:
        return naive
    points = _coordinates(inputs, links, count)
    pieces = _cut_apart(points)
    orders = [naive, np.concatenate(pieces), np.concatenate(_joined(points, pieces))]
    return min(orders, key=lambda order: _lists(inputs + links, order))


def _map_order(shape: tuple[int, ...]) -> Array:
    """Return places halved along the longer side until they are single, channels innermost."""
    places = np.arange(int(np.prod(shape[1:]))).reshape(shape[1:])
    order = np.concatenate([each.ravel() for each in _halves(places)])
    return np.asarray(order[:, None] + np.arange(shape[0]) * places.size).ravel()


def _halves(places: Array) -> list[Array]:
    if places.size <= 1:
        return [places]
    axis = int(np.argmax(places.shape))
    one, other = np.array_split(places, 2, axis)
    return [*_halves(one), *_halves(other)]


def _is_sparse(matrix: sp.csr_matrix) -> bool:
    return bool(0 < matrix.nnz <= DENSE * matrix.shape[0] * matrix.shape[1])


def _thinned(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Return ones where weights are; of many, every n-th."""
    step = -(-matrix.nnz // SYNAPSES)
    kept = np.arange(0, matrix.nnz, step)
    starts = np.searchsorted(kept, matrix.indptr)
    ones = np.ones(kept.size, np.float32)
    return sp.csr_matrix((ones, matrix.indices[kept], starts), matrix.shape)


def _coordinates(
    inputs: Sequence[sp.csr_matrix], links: Sequence[sp.csr_matrix], count: int
) -> Array:
    """Return (n, COORDINATES): the leading eigenvectors of who shares sources or is linked.

    A source counts by one over the number of its targets. The leading one, which says how
    connected a neuron is, is taken out.
    """
    shared = [each @ sp.diags(_one_over_root(each.sum(axis=0))) for each in inputs]
    pairs = [(each, sp.csr_matrix(each.T)) for each in (*shared, *links)]
    sums = np.zeros((count, 1), np.float32)
    flat = np.ones((count, 1), np.float32)

    def spread(values: Array) -> Array:
        total = np.zeros_like(values)
        for rows, columns in pairs[: len(shared)]:
            total += rows @ (columns @ values)
        for rows, columns in pairs[len(shared) :]:
            total += rows @ values
            total += columns @ values
        return total

    sums = spread(flat)
    scale = _one_over_root(sums)[:, None]
    first = np.sqrt(np.maximum(sums, 1)) / np.linalg.norm(np.sqrt(np.maximum(sums, 1)))
    values = np.random.default_rng(0).standard_normal((count, COORDINATES), dtype=np.float32)
    rounds = ROUNDS if sum(each.nnz for each, _ in pairs) > SYNAPSES / 4 else 2 * ROUNDS
    for done in range(rounds):
        values = scale * spread(scale * values)
        values -= first * (first.T @ values)
        if done % 2:
            values = np.linalg.qr(values)[0]
    along = values.T @ (scale * spread(scale * values))
    strengths, turn = np.linalg.eigh((along + along.T) / 2)
    return np.asarray(scale * (values @ turn) * np.maximum(strengths, 0))


def _one_over_root(sums: Array) -> Array:
    return np.asarray(1 / np.sqrt(np.maximum(np.asarray(sums, np.float32).ravel(), 1)))


def _cut_apart(points: Array) -> list[Array]:
    """Return pieces of near points, near pieces being neighbours.

    A set is cut across its longest axis where the two halves vary least in themselves, at some
    place in the middle; the half nearer to what came before comes first.
    """
    pieces: list[Array] = []
    whole = max(LEAF, len(points) // LEAVES)
    last = np.zeros(points.shape[1])
    stack = [np.arange(len(points))]
    while stack:
        held = stack.pop()
        if held.size <= whole:
            pieces.append(held)
            last = points[held].mean(axis=0)
            continue
        one, other = _two(held, points[held])
        far = [np.linalg.norm(points[half].mean(axis=0) - last) for half in (one, other)]
        stack += [other, one] if far[0] <= far[1] else [one, other]
    return pieces


def _joined(points: Array, pieces: list[Array]) -> list[Array]:
    """Return pieces in the order of a tree that joins those whose middles are nearest first."""
    if len(pieces) < 3:
        return pieces
    middles = np.stack([points[piece].mean(axis=0) for piece in pieces]).astype(np.float64)
    return [pieces[number] for number in leaves_list(linkage(middles, "ward"))]


def _two(held: Array, points: Array) -> tuple[Array, Array]:
    centred = points - points.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    along = (centred @ axis).astype(np.float64)
    order = np.argsort(along, kind="stable")
    fewest = max(1, int(held.size * MIDDLE))
    left = np.arange(fewest, held.size - fewest + 1)
    sums = np.cumsum(along[order])[left - 1]
    between = sums**2 * (1 / left + 1 / (held.size - left))
    cut = int(left[between.argmax()])
    return held[order[:cut]], held[order[cut:]]


def _lists(matrices: Sequence[sp.csr_matrix], order: Array) -> int:
    """Return how many (source, slice) pairs there are, over coarse and fine slices."""
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    total = 0
    for slices in (8, 64):
        part = place * min(slices, order.size) // order.size
        for each in matrices:
            hit = np.zeros((each.shape[1], slices), bool)
            hit[each.indices, np.repeat(part, np.diff(each.indptr))] = True
            total += int(np.count_nonzero(hit))
    return total
