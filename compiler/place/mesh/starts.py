"""Cheap first placements of cores on a mesh: along a snake, from the middle outwards, spectral."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from spikeport.compiler.kinds import Array
from spikeport.compiler.place.mesh.anneal import Field

ANGLES = 12  # turns of the spectral picture that are tried, between 0 and 180 degrees
SMALLEST_SPECTRAL = 4  # cores
LARGEST_DENSE = 400  # cores up to which all eigenvectors are computed


def starts(both: sp.csr_matrix, field: Field) -> list[Array]:
    """Return placements, each one slot per core, int64, shape (k,).

    Args:
        both: packets between i and j in both directions, symmetric, no diagonal, shape (k, k).
        field: where there is room; at least k slots.
    """
    count = both.shape[0]
    snake = snake_order(field)[:count]
    found = [snake, growth(both, field)]
    if count < SMALLEST_SPECTRAL:
        return found
    picture = spectral(both)
    along = np.empty(count, np.int64)
    along[np.argsort(picture[:, 0], kind="stable")] = snake
    found.append(along)
    for angle in np.arange(ANGLES) * np.pi / ANGLES:
        turned = picture @ np.array([[np.cos(angle)], [np.sin(angle)]])
        upright = picture @ np.array([[-np.sin(angle)], [np.cos(angle)]])
        found.append(spread(turned[:, 0], upright[:, 0], field))
    return found


def snake_order(field: Field) -> Array:
    """Return all slots, column by column, every other column backwards."""
    tiles = np.arange(field.columns * field.rows).reshape(field.columns, field.rows)
    tiles[1::2] = tiles[1::2, ::-1]
    return (tiles.ravel()[:, None] * field.depth + np.arange(field.depth)).ravel()


def spread(across: Array, upwards: Array, field: Field) -> Array:
    """Return slots in the order of two coordinates: columns by the first, rows by the second.

    Only as many columns and rows, in the middle, are used as make the picture nearly square.
    """
    count = across.size
    tiles = -(-count // field.depth)
    rows = min(field.rows, int(np.ceil(np.sqrt(tiles))))
    columns = min(field.columns, -(-tiles // rows))
    rows = -(-tiles // columns)
    left, low = (field.columns - columns) // 2, (field.rows - rows) // 2
    slots = np.empty(count, np.int64)
    columns_of = np.array_split(np.argsort(across, kind="stable"), columns)
    for column, cores in enumerate(columns_of, left):
        cores = cores[np.argsort(upwards[cores], kind="stable")]
        inside = low * field.depth + np.arange(cores.size) * (rows * field.depth) // cores.size
        slots[cores] = column * field.rows * field.depth + inside
    return slots


def spectral(both: sp.csr_matrix) -> Array:
    """Return two coordinates per core, shape (k, 2), in which those with much traffic are near.

    They are the second and third eigenvector of the traffic, normalised by what each core sends
    and receives (Hall 1970).
    """
    count = both.shape[0]
    sums = np.asarray(both.sum(axis=1)).ravel()
    sums = np.maximum(sums, 0.01 * sums[sums > 0].mean())
    scale = sp.diags(1 / np.sqrt(sums))
    normal = sp.csr_matrix(scale @ both @ scale)
    if count <= LARGEST_DENSE:
        vectors = np.linalg.eigh(normal.toarray())[1][:, ::-1]
    else:
        start = np.random.default_rng(0).standard_normal(count)
        try:
            values, vectors = eigsh(
                normal, k=4, which="LA", ncv=40, v0=start, tol=1e-2, maxiter=100
            )
        except ArpackNoConvergence as error:
            values, vectors = error.eigenvalues, error.eigenvectors
        vectors = vectors[:, np.argsort(-values)]
    wide = np.zeros((count, 3))
    wide[:, : min(3, vectors.shape[1])] = vectors[:, :3]
    picture = wide[:, 1:] / np.sqrt(sums)[:, None]
    return np.asarray(picture)


def growth(both: sp.csr_matrix, field: Field) -> Array:
    """Return slots given one after the other, from the middle outwards.

    Next is the core that has the largest share of its traffic with cores that are placed; it gets
    the free slot where this traffic travels the fewest hops.
    """
    count = both.shape[0]
    x, y = field.tile(np.arange(field.slots))
    middle = np.abs(x - (field.columns - 1) / 2) + np.abs(y - (field.rows - 1) / 2)
    columns, rows = np.arange(field.columns), np.arange(field.rows)
    sums = np.asarray(both.sum(axis=1)).ravel()
    tie = 1e-9 * max(float(sums.max()), 1.0) / (1 + middle.max())
    free, left = middle * tie, np.full(count, 0.0)
    slots = np.full(count, -1, np.int64)
    placed_share = np.zeros(count)
    for step in range(count):
        core = int((placed_share + left).argmax()) if step else int(sums.argmax())
        if step and placed_share[core] == 0:
            core = int((sums + left).argmax())
        held = slice(both.indptr[core], both.indptr[core + 1])
        near, packets = both.indices[held], both.data[held]
        there = slots[near] >= 0
        near_x, near_y = field.tile(slots[near[there]])
        in_column = packets[there] @ np.abs(near_x[:, None] - columns)
        in_row = packets[there] @ np.abs(near_y[:, None] - rows)
        slot = int((in_column[x] + in_row[y] + free).argmin())
        slots[core], free[slot], left[core] = slot, np.inf, -np.inf
        placed_share[near] += packets / np.maximum(sums[near], 1e-300)
    return slots
