"""Convolution and pooling as sparse matrices, built without loops over neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution, Shape, SumPool2d
from spikeport.compiler.passes.geometry import output_shape


def conv_matrix(conv: Convolution) -> Any:
    """Return the CSR matrix (out neurons, in neurons) of a 2-D cross-correlation.

    Neurons are numbered in C order of (channel, row, column).
    """
    out_channels, in_group, rows, columns = conv.kernel.shape
    _, out_rows, out_columns = conv.output_shape
    channels, height, width = conv.input_shape
    out_group = out_channels // conv.groups
    channel = np.arange(out_channels)
    inner = (channel // out_group * in_group)[:, None] + np.arange(in_group)[None, :]
    parts = []
    for row in range(rows):
        y, source_y = _axis(
            out_rows, height, conv.stride[0], conv.padding[0], row * conv.dilation[0]
        )
        for column in range(columns):
            x, source_x = _axis(
                out_columns, width, conv.stride[1], conv.padding[1], column * conv.dilation[1]
            )
            place = (y[:, None] * out_columns + x[None, :]).ravel()
            source = (source_y[:, None] * width + source_x[None, :]).ravel()
            shape = (out_channels, in_group, place.size)
            post = channel[:, None, None] * (out_rows * out_columns) + place
            pre = inner[:, :, None] * (height * width) + source
            value = conv.kernel[:, :, row, column][:, :, None]
            parts.append([np.broadcast_to(part, shape).ravel() for part in (post, pre, value)])
    post, pre, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    size = (out_channels * out_rows * out_columns, channels * height * width)
    matrix = sp.csr_matrix((value, (post, pre)), shape=size)
    matrix.eliminate_zeros()
    return matrix


def pool_matrix(pool: SumPool2d, shape: Shape) -> Any:
    """Return the CSR matrix of a sum over windows of each channel."""
    channels, height, width = shape
    outputs, rows, columns = output_shape(pool, shape)
    return conv_matrix(
        Convolution(
            np.ones((channels, 1, *pool.kernel_size)),
            pool.stride,
            pool.padding,
            (1, 1),
            channels,
            (channels, height, width),
            (outputs, rows, columns),
        )
    )


def _axis(extent: int, source: int, stride: int, padding: int, offset: int) -> tuple[Array, Array]:
    """Return (output positions, input positions) along one axis that stay inside the input."""
    position = np.arange(extent)
    origin = position * stride - padding + offset
    inside = (origin >= 0) & (origin < source)
    return position[inside], origin[inside]
