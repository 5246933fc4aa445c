"""Weights times a gain per neuron, made block by block: a large matrix is never there twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array

BLOCK = 1 << 16  # weights, of float64: they stay in the cache from one operation to the next


@dataclass(frozen=True, eq=False)
class Scaled:
    """A matrix whose rows are multiplied by `gain`, in float64.

    Attributes:
        matrix: (post, pre), dense or CSR without duplicates, floats of any width.
        gain: (post,) float64.
    """

    matrix: Any
    gain: Array

    def blocks(self) -> Iterator[tuple[slice, slice, Array]]:
        """Yield rows, where their weights are among all, and these: (rows, pre), flat if CSR."""
        ends = self._ends
        for first, last in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            rows, gain = slice(first, last), self.gain[first:last]
            if not sp.issparse(self.matrix):
                pre = self.matrix.shape[1]
                values = np.multiply(self.matrix[rows], gain[:, None], dtype=np.float64)
                yield rows, slice(first * pre, last * pre), values
                continue
            at = slice(int(self.matrix.indptr[first]), int(self.matrix.indptr[last]))
            each = self.spread(self.gain, rows)
            yield rows, at, np.multiply(self.matrix.data[at], each, dtype=np.float64)

    def spread(self, each: Array, rows: slice) -> Array:
        """Return a value of each neuron, (post,), as the weights of a block can be multiplied."""
        some = each[rows]
        if not sp.issparse(self.matrix):
            return np.asarray(some[:, None])
        if some.size and (some == some[0]).all():
            return np.asarray(some[:1])
        return np.repeat(some, self._lengths(rows))

    @property
    def size(self) -> int:
        """How many weights are stored: all of a dense matrix."""
        return int(self.matrix.data.size if sp.issparse(self.matrix) else self.matrix.size)

    @cached_property
    def count(self) -> int:
        """How many weights are not zero."""
        stored = self.matrix.data if sp.issparse(self.matrix) else self.matrix
        return int(np.count_nonzero(stored))

    @cached_property
    def extent(self) -> Array:
        """The smallest and the largest of the stored weights, 0 for none."""
        if self.size == 0:
            return np.zeros(2)
        if self._alike:
            stored = self.matrix.data if sp.issparse(self.matrix) else self.matrix
            ends = np.array([stored.min(), stored.max()], np.float64) * self.gain[0]
            return np.sort(ends)
        ends = [(values.min(), values.max()) for _, _, values in self.blocks() if values.size]
        low, high = zip(*ends, strict=True)
        return np.array([min(low), max(high)])

    @property
    def largest(self) -> float:
        """The largest magnitude, 0 where there is none."""
        return float(np.abs(self.extent).max())

    @cached_property
    def row_largest(self) -> Array:
        """The largest magnitude among the weights that end in each neuron, (post,)."""
        found = np.zeros(self.gain.size)
        for rows, _, values in self.blocks():
            sizes = np.abs(values)
            if not sp.issparse(self.matrix):
                found[rows] = sizes.max(axis=1, initial=0.0)
            elif sizes.size:
                lengths = self._lengths(rows)
                starts = np.cumsum(lengths) - lengths
                some = np.flatnonzero(lengths)
                found[rows.start + some] = np.maximum.reduceat(sizes, starts[some])
        return found

    def flat(self) -> Array:
        """Return all stored weights, flat, as they are stored."""
        found = np.empty(self.size)
        for _, at, values in self.blocks():
            found[at] = values.ravel()
        return found

    def times(self, factor: Array | float) -> Scaled:
        """Return the same with rows multiplied by a factor, (post,) or one."""
        return Scaled(self.matrix, self.gain * factor)

    def first(self, most: int) -> Array:
        """Return the first stored weights, flat, `most` at most."""
        found: list[Array] = []
        taken = 0
        for _, _, values in self.blocks():
            found.append(values.ravel())
            taken += values.size
            if taken >= most:
                break
        return np.concatenate(found)[:most] if found else np.zeros(0)

    def row_sums(self) -> tuple[Array, Array]:
        """Return the sum of magnitudes and the number of weights that are not zero, (post,)."""
        sums, counts = np.zeros(self.gain.size), np.zeros(self.gain.size, np.int64)
        for rows, _, values in self.blocks():
            sums[rows] = self.sum_rows(np.abs(values), rows)
            counts[rows] = self.sum_rows((values != 0).astype(np.int64), rows)
        return sums, counts

    def sum_rows(self, values: Array, rows: slice) -> Array:
        """Return the sum over each row of a block, (rows,)."""
        if not sp.issparse(self.matrix):
            return np.asarray(values.sum(axis=1))
        lengths = self._lengths(rows)
        sums = np.zeros(lengths.size, values.dtype)
        starts = np.cumsum(lengths) - lengths
        if values.size:
            sums[lengths > 0] = np.add.reduceat(values, starts[lengths > 0])
        return sums

    @cached_property
    def _alike(self) -> bool:
        """Do all rows have one gain."""
        return bool(self.gain.size) and bool((self.gain == self.gain[0]).all())

    @cached_property
    def _ends(self) -> Array:
        """Where blocks of rows begin and end: about `BLOCK` weights each, one row at least."""
        rows, pre = self.matrix.shape
        if not sp.issparse(self.matrix):
            starts = np.arange(0, rows, max(1, BLOCK // max(pre, 1)))
        else:
            starts = np.searchsorted(self.matrix.indptr, np.arange(0, self.size, BLOCK))
        return np.unique(np.concatenate([[0], starts, [rows]]).astype(np.int64))

    def _lengths(self, rows: slice) -> Array:
        return np.diff(self.matrix.indptr[rows.start : rows.stop + 1])
