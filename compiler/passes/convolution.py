"""Convolution and pooling as sparse matrices, built without loops over neurons or taps."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import AvgPool2d, Conv1d, Conv2d, Convolution, Shape, SumPool2d
from spikeport.compiler.passes.geometry import output_shape

MOST_SYNAPSES = 1 << 27  # of one matrix; some 2 GB while it is built


def convolution_of(node: Conv1d | Conv2d, shape: Shape) -> Convolution:
    """Return the geometry of a convolution on inputs of shape (channels, ...).

    A Conv1d is one of height 1. Where more zeros stand behind than in front, `padding` is what
    stands in front; the output's shape says the rest.
    """
    after = output_shape(node, shape)
    if isinstance(node, Conv2d):
        return Convolution(
            np.array(node.weight),
            node.stride,
            node.padding,
            node.dilation,
            node.groups,
            (shape[0], shape[1], shape[2]),
            (after[0], after[1], after[2]),
        )
    return Convolution(
        node.weight[:, :, None, :].copy(),
        (1, node.stride),
        (0, node.padding[0]),
        (1, node.dilation),
        node.groups,
        (shape[0], 1, shape[1]),
        (after[0], 1, after[1]),
    )


def conv_matrix(conv: Convolution) -> Any:
    """Return the CSR matrix (out neurons, in neurons) of a 2-D cross-correlation.

    Neurons are numbered in C order of (channel, row, column).

    Raises:
        GraphError: it would have more than `MOST_SYNAPSES` entries.
    """
    out_channels, in_group, rows, columns = conv.kernel.shape
    _, out_rows, out_columns = conv.output_shape
    channels, height, width = conv.input_shape
    high = _Axis(rows, out_rows, height, conv, 0)
    wide = _Axis(columns, out_columns, width, conv, 1)
    synapses = out_channels * in_group * high.pairs * wide.pairs
    if synapses > MOST_SYNAPSES:
        raise GraphError(
            f"its matrix has {synapses} entries",
            f"the limit is {MOST_SYNAPSES}",
            "use a larger stride, fewer channels or a smaller input",
        )
    tap_y, y, source_y = high.taken()
    tap_x, x, source_x = wide.taken()
    channel = np.arange(out_channels)
    group = channel // (out_channels // conv.groups)
    inner = group[:, None] * in_group + np.arange(in_group)
    place = (y[:, None] * out_columns + x).ravel()
    source = (source_y[:, None] * width + source_x).ravel()
    post = channel[:, None, None] * (out_rows * out_columns) + place
    pre = inner[:, :, None] * (height * width) + source
    value = conv.kernel[:, :, tap_y[:, None], tap_x].reshape(pre.shape)
    post = np.broadcast_to(post, pre.shape)
    size = (out_channels * out_rows * out_columns, channels * height * width)
    matrix = sp.csr_matrix((value.ravel(), (post.ravel(), pre.ravel())), shape=size)
    matrix.eliminate_zeros()
    return matrix


class _Axis:
    """Which input each tap of a kernel meets at each place along one axis.

    Tap k of the output at i meets the input at i * stride - padding + k * dilation, where there
    is one: from place `first` to before `last`.
    """

    def __init__(self, taps: int, extent: int, source: int, conv: Convolution, axis: int) -> None:
        self.stride = conv.stride[axis]
        self.offset = np.arange(taps) * conv.dilation[axis] - conv.padding[axis]
        last = np.clip(-((self.offset - source) // self.stride), 0, extent)
        self.first = np.clip(-(self.offset // self.stride), 0, extent)
        self.count = np.maximum(last - self.first, 0)
        self.pairs = int(self.count.sum())

    def taken(self) -> tuple[Array, Array, Array]:
        """Return tap, output position and input position of every meeting."""
        tap = np.repeat(np.arange(self.count.size), self.count)
        before = np.cumsum(self.count) - self.count
        place = np.arange(self.pairs) - before[tap] + self.first[tap]
        return tap, place, place * self.stride + self.offset[tap]


def pool_matrix(pool: SumPool2d | AvgPool2d, shape: Shape) -> Any:
    """Return the CSR matrix of a sum, or an average, over windows of each channel."""
    channels, height, width = shape
    outputs, rows, columns = output_shape(pool, shape)
    window = pool.kernel_size[0] * pool.kernel_size[1]
    share = 1.0 / window if isinstance(pool, AvgPool2d) else 1.0
    return conv_matrix(
        Convolution(
            np.broadcast_to(np.float64(share), (channels, 1, *pool.kernel_size)),
            pool.stride,
            pool.padding,
            (1, 1),
            channels,
            (channels, height, width),
            (outputs, rows, columns),
        )
    )
