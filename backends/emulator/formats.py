"""From the weights of a projection to one of the engine's synapse formats (synapses.h).

Dense 8-bit rows where many weights are not zero, blocks of 64 neighbouring targets where those
of a source lie together (convolutions), packed words of 4 bytes else; 32-bit forms of rows and
lists where a weight does not fit 8 bits or sums do not fit 32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array

DENSE, BLOCKS, PACKED, WIDE, ROWS = range(5)
GROUP = 64  # targets of a group of a dense row; rows are whole multiples of it
BLOCK = 64  # targets of a block: four to a word
DENSE_SHARE = 0.06  # share of weights that are not zero above which 8-bit rows are faster
ROWS_SHARE = 0.25  # the same for 32-bit rows
BLOCK_GAIN = 8  # synapses that a block must hold on average to be faster than so many words
LOOKED_AT = 256  # sources that the gain is estimated from
WORD_TARGETS = 1 << 24


def fields_of(
    weights: Any, order_pre: Array | None, order_post: Array | None, wide: bool, lists: bool
) -> dict[str, Any]:
    """Return the fields of a projection that hold its weights.

    Args:
        weights: integers, (post, pre), dense array or CSR array.
        order_pre, order_post: neuron at each place, or None.
        wide: only formats that sums of 64 bits take.
        lists: only lists of 32 bits (events are walked through one by one).

    Returns:
        `format`, `weights` and what belongs to it, and `sign`: -1 where weights are stored
        with their opposite sign.
    """
    post, pre = weights.shape
    narrow = None if wide or lists else _in_8_bits(weights)
    share = DENSE_SHARE if narrow is not None else ROWS_SHARE
    if not lists and _count(weights) >= share * pre * post:
        return _rows(weights, order_pre, order_post, narrow)
    first, targets, values = _by_source(weights, order_pre, order_post)
    if narrow is None:
        values = values.astype(np.int32)
        return {"format": WIDE, "first": first, "targets": targets, "weights": values, "sign": 1}
    sign, is_unsigned = narrow
    small = (values * sign if sign < 0 else values).astype(np.uint8 if is_unsigned else np.int8)
    common = {"sign": sign, "is_unsigned": int(is_unsigned)}
    if _blocks_pay(first, targets):
        return common | _blocks(first, targets, small)
    if post > WORD_TARGETS:
        values = values.astype(np.int32)
        return {"format": WIDE, "first": first, "targets": targets, "weights": values, "sign": 1}
    words = targets.view(np.uint32)  # they are ours, and as large as the words
    words <<= 8
    words |= small.view(np.uint8)
    return common | {"format": PACKED, "first": first, "weights": words}


def _in_8_bits(weights: Any) -> tuple[int, bool] | None:
    """Return (sign, unsigned) of 8-bit weights, None where they do not fit."""
    values = weights if isinstance(weights, np.ndarray) else weights.data
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low >= -128 and high <= 127:
        return 1, False
    if low >= 0 and high <= 255:
        return 1, True
    if high <= 0 and low >= -255:
        return -1, True
    return None


def _count(weights: Any) -> int:
    if isinstance(weights, np.ndarray):
        return int(np.count_nonzero(weights))
    return int(weights.nnz)


def _rows(
    weights: Any, order_pre: Array | None, order_post: Array | None, narrow: Any
) -> dict[str, Any]:
    """Return rows of all targets, one for each source, padded with weights of 0."""
    dense = weights if isinstance(weights, np.ndarray) else weights.toarray()
    dense = dense if order_post is None else dense[order_post]
    dense = dense if order_pre is None else dense[:, order_pre]
    post, pre = dense.shape
    stride = -(-post // GROUP) * GROUP
    common = {"stride": stride, "sign": 1}
    if narrow is None:
        rows = np.zeros((pre, stride), np.int32)
        rows[:, :post] = dense.T
        return common | {"format": ROWS, "weights": rows}
    lowest = 0 if narrow[1] else -128
    padded = np.full((stride, pre), -lowest, np.uint8)
    np.subtract(dense, lowest, out=padded[:post], dtype=np.int16, casting="unsafe")
    if narrow[0] < 0:
        np.negative(dense, out=padded[:post], dtype=np.int16, casting="unsafe")
    halves = padded.reshape(-1, 2, GROUP // 2, pre)
    rows = np.ascontiguousarray(halves.transpose(3, 0, 2, 1)).reshape(pre, stride)
    return common | {"format": DENSE, "weights": rows, "sign": narrow[0], "lowest": lowest}


def _by_source(
    weights: Any, order_pre: Array | None, order_post: Array | None
) -> tuple[Array, Array, Array]:
    """Return (first, targets, values) of the weights that are not zero, by source, by place.

    All three are new arrays; targets are int32.
    """
    import scipy.sparse as sp

    rows = sp.csr_matrix(weights)
    if order_post is not None:
        rows = rows[order_post]
    columns = rows.tocsc()
    if order_pre is not None:
        columns = columns[:, order_pre]
    if not columns.data.all():
        columns.eliminate_zeros()
    return columns.indptr.astype(np.int64), columns.indices, columns.data


def _blocks_pay(first: Array, targets: Array) -> bool:
    """Do the targets of a source lie so close that blocks are faster; asked of some sources."""
    some = np.unique(np.linspace(0, first.size - 2, LOOKED_AT).astype(np.int64))
    sizes = (first[some + 1] - first[some]).tolist()
    if not sum(sizes):
        return False
    at = np.concatenate([np.arange(first[k], first[k + 1]) for k in some])
    begins = np.concatenate([[0], np.cumsum(sizes)])
    starts = _block_starts(begins, targets[at])
    return bool(starts.size * BLOCK_GAIN <= at.size)


def _block_starts(first: Array, targets: Array) -> Array:
    """Return at which synapse each block begins: the first that the one before does not reach.

    All sources take their next block at once, so there are as many rounds as a source has blocks.
    """
    row = np.repeat(np.arange(first.size - 1), np.diff(first))
    reach = int(targets.max(initial=0)) + BLOCK + 1
    keys = row * reach + targets
    found = []
    at = first[:-1][np.diff(first) > 0]
    while at.size:
        found.append(at)
        beyond = np.searchsorted(keys, keys[at] + BLOCK)
        inside = beyond < first[row[at] + 1]
        at = beyond[inside]
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _blocks(first: Array, targets: Array, small: Array) -> dict[str, Any]:
    """Return blocks of 64 neighbouring targets; those that are not reached weigh 0."""
    starts = _block_starts(first, targets)
    block = np.searchsorted(starts, np.arange(targets.size), side="right") - 1
    weights = np.zeros((starts.size, BLOCK), small.dtype)
    within = targets - targets[starts[block]]
    weights[block, within % 16 * 4 + within // 16] = small
    return {
        "format": BLOCKS,
        "first": np.searchsorted(starts, first).astype(np.int64),
        "targets": targets[starts],
        "weights": weights,
    }
