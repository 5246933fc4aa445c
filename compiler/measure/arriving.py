"""What can arrive at a population in one step: sums over its synapses, least and most.

A sender is given as the range of what it sends, which holds 0: everybody is silent before the
first step. Weights are read where they lie, a block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Arithmetic, Program, Synapses
from spikeport.compiler.sparse import is_sparse

BLOCK = 1 << 18  # weights that are looked at together
INT32 = 1 << 31

#: Least and most of what is sent, one value for all senders or one for each.
Range = tuple[Any, Any]


def arriving(
    program: Program, post: str, sent: dict[str, Range], endless: int
) -> tuple[Array, Array]:
    """Return the least and the most that a step can add to u, each (n,) int64.

    Projections add up, whatever their delays: what was sent in different steps arrives in one.

    Args:
        program: the network.
        post: name of the population.
        sent: population -> range of what it sends.
        endless: stands for sums that wrap on the way, and is the largest that is returned.
    """
    arithmetic = program.arithmetic
    low = np.zeros(program.populations[post].size, np.int64)
    high = np.zeros_like(low)
    for each in program.into(post):
        least, most = _sums(each, arithmetic, sent[each.pre])
        wraps = (least < -INT32) | (most >= INT32)  # where messages are summed, in 32 bits
        if arithmetic.weight_exp_at == "sum":
            least, most = (_aligned(x, each, arithmetic, endless) for x in (least, most))
        if program.largest_message(each.pre) > 1:
            least, most = np.where(wraps, -endless, least), np.where(wraps, endless, most)
        low, high = low + least, high + most
    return np.maximum(low, -endless), np.minimum(high, endless)


def _aligned(sums: Array, synapses: Synapses, arithmetic: Arithmetic, endless: int) -> Array:
    up = max(synapses.exponent, 0) + arithmetic.weight_shift
    held = np.clip(sums, -(endless >> up) - 1, (endless >> up) + 1)  # no more than counts
    return fixed.shift(held, synapses.exponent) << arithmetic.weight_shift


def _sums(synapses: Synapses, arithmetic: Arithmetic, sent: Range) -> tuple[Array, Array]:
    """Return the least and the most of the sum of weight times message, (post,) int64."""
    rows = synapses.stored.shape[0]
    least, most = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    low, high = (np.asarray(end, np.int64) for end in sent)
    for first, last, values, pre, starts in _blocks(synapses):
        weight = _effective(values, synapses, arithmetic)
        below, above = (end[pre] if end.ndim else end for end in (low, high))
        one, other = weight * below, weight * above
        np.minimum(one, other, out=weight)
        least[first:last] = _row_sums(weight, starts)
        np.maximum(one, other, out=weight)
        most[first:last] = _row_sums(weight, starts)
    return least, most


def _blocks(synapses: Synapses) -> Iterator[tuple[int, int, Array, Any, Array | None]]:
    """Yield (first row, last, values, their senders, where rows start or None if it is dense)."""
    stored = synapses.stored
    rows, columns = stored.shape
    if not is_sparse(stored):
        together = max(BLOCK // max(columns, 1), 1)
        for first in range(0, rows, together):
            yield first, min(first + together, rows), stored[first : first + together], ..., None
        return
    starts, first = stored.indptr, 0
    while first < rows:
        last = int(np.searchsorted(starts, starts[first] + BLOCK, "right")) - 1
        last = min(max(last, first + 1), rows)
        some = slice(int(starts[first]), int(starts[last]))
        inside = starts[first : last + 1] - starts[first]
        yield first, last, stored.data[some], stored.indices[some], inside
        first = last


def _effective(values: Array, synapses: Synapses, arithmetic: Arithmetic) -> Array:
    """Return weights as they are summed, int64."""
    weight = values.astype(np.int64)
    weight *= synapses.step
    if arithmetic.weight_exp_at == "sum":
        return weight
    return fixed.effective_weights(weight, synapses.exponent, arithmetic.weight_truncation)


def _row_sums(values: Array, starts: Array | None) -> Array:
    if starts is None:
        return np.asarray(values.sum(axis=1))
    running = np.concatenate([[0], np.cumsum(values)])
    return np.asarray(running[starts[1:]] - running[starts[:-1]])
