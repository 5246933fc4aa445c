"""Rounding that looks at the output: errors of the weights of one neuron cancel in its v.

Of a neuron with weights w and traces x (what each weight adds to v at some moments of the
calibration data) the rounded weights q make v wrong by (q - w) x. Beginning with the nearest,
one weight after the other takes the step at which the sum of squares of that error is least,
and again, until none moves: coordinate descent, the idea of AdaRound (Nagel et al., ICML 2020,
arXiv:2004.10568) and of OPTQ (Frantar et al., ICLR 2023, arXiv:2210.17323), with weights that move
by one step at most from where they were trained to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.part import Part

SWEEPS = 6
SETTLED = 0.02  # share of the weights that still move, below which they are left
RIDGE = 1e-2  # of a mean trace's square: how much an error counts where nothing was seen
BLOCK = 1 << 19  # of the errors of v that are held at once, values


def round_for_output(
    parts: Sequence[Part], matrices: Sequence[Any], traces: Sequence[Array]
) -> list[Array]:
    """Return the steps of all weights that end in one population, flat, floats, per projection.

    Args:
        parts: of each projection.
        matrices: (post, pre), which weights end in which neuron.
        traces: (pre, moments) float32.
    """
    steps = [part.nearest() for part in parts]
    moments = max((each.shape[1] for each in traces), default=0)
    if not parts or not moments:
        return steps
    floor = RIDGE * max(float(np.mean([np.mean(each**2) for each in traces])), 1e-12) * moments
    post = matrices[0].shape[0]
    rows = max(1, BLOCK // moments)
    for first in range(0, post, rows):
        some = slice(first, min(first + rows, post))
        _descend(parts, steps, matrices, traces, some, floor)
    return steps


def _descend(
    parts: Sequence[Part],
    steps: Sequence[Array],
    matrices: Sequence[Any],
    traces: Sequence[Array],
    rows: slice,
    floor: float,
) -> None:
    """Round the weights of some neurons, in place in `steps`."""
    sides = [
        _Side(part, each, matrix, trace, rows, floor)
        for part, each, matrix, trace in zip(parts, steps, matrices, traces, strict=True)
    ]
    weights = sum(int(side.lengths.sum()) for side in sides)
    wrong = np.sum([side.wrong() for side in sides], axis=0)
    for _ in range(SWEEPS):
        moved = 0
        for side in sides:
            for k in range(side.longest):
                moved += side.move(k, wrong)
        if moved < SETTLED * weights:
            return


class _Side:
    """The weights of one projection that end in some neurons, with what they add to v."""

    def __init__(
        self, part: Part, steps: Array, matrix: Any, trace: Array, rows: slice, floor: float
    ) -> None:
        self.trace, self.floor, self.steps = trace, floor, steps
        self.power = np.einsum("pm,pm->p", trace, trace, dtype=np.float64) + floor
        self.dense = not sp.issparse(matrix)
        if self.dense:
            pre = matrix.shape[1]
            self.begin = np.arange(rows.start, rows.stop) * pre
            self.lengths = np.full(self.begin.size, pre)
            self.columns = np.arange(pre)
        else:
            self.begin = matrix.indptr[rows.start : rows.stop].astype(np.int64)
            self.lengths = np.diff(matrix.indptr[rows.start : rows.stop + 1])
            self.columns = matrix.indices
        self.longest = int(self.lengths.max(initial=0))
        self.shape = (rows.stop - rows.start, matrix.shape[1])
        end = int(self.begin[-1] + self.lengths[-1]) if self.begin.size else 0
        self.at = slice(int(self.begin[0]) if self.begin.size else 0, end)
        self.exact = part.values[self.at] / _some(part.unit, self.at)
        self.unit = _some(part.unit, self.at)
        low, high = (_some(each, self.at) for each in part.ends)
        held = np.clip(self.exact, low, high)
        self.low = np.maximum(low, np.floor(held) - 1)
        self.high = np.minimum(high, np.ceil(held) + 1)

    def wrong(self) -> Array:
        """Return the error of v at each moment, (neurons, moments) float32."""
        error = ((self.steps[self.at] - self.exact) * self.unit).astype(np.float32)
        if self.dense:
            return np.asarray(error.reshape(self.shape) @ self.trace)
        indptr = np.append(self.begin, self.at.stop) - self.at.start
        rows = sp.csr_array((error, self.columns[self.at], indptr), shape=self.shape)
        return np.asarray(rows @ self.trace)

    def move(self, k: int, wrong: Array) -> int:
        """Give the k-th weight of each neuron its best step; return how many moved."""
        neurons = np.flatnonzero(self.lengths > k)
        places = self.begin[neurons] + k
        inner = places - self.at.start
        unit, now = self.unit[inner], self.steps[places]
        if self.dense:
            trace, power = self.trace[k], self.power[k]
            slope = wrong @ trace
        else:
            column = self.columns[places]
            trace, power = self.trace[column], self.power[column]
            slope = np.einsum("nm,nm->n", wrong[neurons], trace)
        own = (now - self.exact[inner]) * unit  # kept small where no trace was seen
        wanted = now - (slope + self.floor * own) / (power * unit)
        best = np.clip(np.rint(wanted), self.low[inner], self.high[inner])
        change = np.flatnonzero(best != now)
        if change.size:
            self.steps[places[change]] = best[change]
            delta = ((best - now) * unit)[change].astype(np.float32)
            added = np.outer(delta, trace) if self.dense else delta[:, None] * trace[change]
            wrong[neurons[change]] += added
        return int(change.size)


def _some(each: Array, at: slice) -> Array:
    """Return a part of an array, or of a value that all share."""
    return each[at] if each.ndim else np.broadcast_to(each, at.stop - at.start)
