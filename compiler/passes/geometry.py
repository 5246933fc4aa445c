"""Shape arithmetic: what comes out of a stateless node, without batch."""

from __future__ import annotations

import math
from typing import Any

from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Scale,
    Shape,
    SumPool2d,
    Weights,
)


class Misfit(Exception):
    """A node cannot take an input of this shape; `why` and `fix` are for the message."""

    def __init__(self, why: str, fix: str = "") -> None:
        self.why, self.fix = why, fix
        super().__init__(why, fix)


def output_shape(node: Any, shape: Shape) -> Shape:
    """Return the shape of what a stateless node makes of an input of `shape`.

    Raises:
        Misfit: it cannot take that input.

    >>> output_shape(SumPool2d((2, 2), (2, 2), (0, 0)), (8, 5, 4))
    (8, 2, 2)
    """
    match node:
        case Linear() | Affine():
            return _linear(node, shape)
        case Conv1d():
            return conv1d_output_shape(node, shape)
        case Conv2d():
            return conv_output_shape(node, shape)
        case SumPool2d() | AvgPool2d():
            return pool_output_shape(node, shape)
        case Flatten():
            return _flatten(node, shape)
        case Scale():
            return _spread("scale", node.scale.shape, shape)
        case Delay():
            return _spread("delay", node.delay.shape, shape)
        case Weights():
            return (int(node.matrix.shape[0]),)
    return shape


def _linear(node: Linear | Affine, shape: Shape) -> Shape:
    """Act on the last dimension, as PyTorch does."""
    outputs, inputs = node.weight.shape
    if shape[-1:] == (inputs,):
        return (*shape[:-1], outputs)
    last = math.prod(shape[-1:])
    fix = f"connect something of {inputs} elements, or give the weight {last} columns"
    if len(shape) > 1 and math.prod(shape) == inputs:
        fix = "put a Flatten (start_dim 0) before it"
    raise Misfit(f"its weight {node.weight.shape} takes ({inputs},), it gets {shape}", fix)


def _not_an_image(word: str, dimensions: str, shape: Shape) -> Misfit:
    count = {"Conv1d": "two"}.get(word, "three")
    return Misfit(
        f"{word} takes {dimensions}, it gets {shape}",
        f"give the Input node {count} dimensions, without batch",
    )


def pool_output_shape(node: SumPool2d | AvgPool2d, shape: Shape) -> tuple[int, int, int]:
    """Return (channels, height, width) behind a pool.

    Raises:
        Misfit: the input is no image, or smaller than the pool.
    """
    if len(shape) != 3:
        raise _not_an_image(type(node).__name__, "(channels, height, width)", shape)
    padded = (2 * node.padding[0], 2 * node.padding[1])
    height, width = _windows(shape[1:], node.kernel_size, node.stride, padded, (1, 1))
    return shape[0], height, width


def conv_output_shape(node: Conv2d, shape: Shape) -> tuple[int, int, int]:
    """Return (channels, height, width) behind a convolution.

    Raises:
        Misfit: the input is no image, has other channels, or is smaller than the kernel.
    """
    if len(shape) != 3:
        raise _not_an_image("Conv2d", "(channels, height, width)", shape)
    _check_channels(node, shape)
    padded = tuple(2 * p + more for p, more in zip(node.padding, node.more_behind, strict=True))
    kernel = node.weight.shape[2:]
    height, width = _windows(shape[1:], kernel, node.stride, padded, node.dilation)
    return int(node.weight.shape[0]), height, width


def conv1d_output_shape(node: Conv1d, shape: Shape) -> tuple[int, int]:
    """Return (channels, length) behind a convolution.

    Raises:
        Misfit: the input is no sequence, has other channels, or is shorter than the kernel.
    """
    if len(shape) != 2:
        raise _not_an_image("Conv1d", "(channels, length)", shape)
    _check_channels(node, shape)
    kernel, padded = node.weight.shape[2:], (sum(node.padding),)
    (length,) = _windows(shape[1:], kernel, (node.stride,), padded, (node.dilation,))
    return int(node.weight.shape[0]), length


def _check_channels(node: Conv1d | Conv2d, shape: Shape) -> None:
    channels = node.weight.shape[1] * node.groups
    if shape[0] != channels:
        raise Misfit(
            f"its weight {node.weight.shape} with groups {node.groups} takes {channels} channels, "
            f"it gets {shape}",
            f"connect something of {channels} channels, or correct weight or groups",
        )


def _windows(
    extents: Shape, kernel: Shape, stride: Shape, padded: Shape, dilation: Shape
) -> tuple[int, ...]:
    """Return how often the kernel fits in: floor((x + padded - d (k - 1) - 1) / s) + 1.

    `padded` counts the zeros on both sides together.
    """
    axes = zip(extents, kernel, stride, padded, dilation, strict=True)
    places = tuple((x + p - d * (k - 1) - 1) // s + 1 for x, k, s, p, d in axes)
    if min(places) < 1:
        raise Misfit(
            f"its kernel {tuple(kernel)} with dilation {dilation} and {padded} zeros of padding "
            f"does not fit into {extents}",
            "use a smaller kernel or a larger padding",
        )
    return places


def _flatten(node: Flatten, shape: Shape) -> Shape:
    rank = len(shape)
    start = node.start_dim + rank if node.start_dim < 0 else node.start_dim
    end = node.end_dim + rank if node.end_dim < 0 else node.end_dim
    if not 0 <= start <= end < rank:
        raise Misfit(
            f"Flatten from dimension {node.start_dim} to {node.end_dim} does not fit {shape}",
            "dimensions are counted without batch, from 0: start_dim 0, end_dim -1 joins all",
        )
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def _spread(word: str, own: Shape, shape: Shape) -> Shape:
    """Return `shape`, against which a node's values of shape `own` must broadcast."""
    fits = len(own) <= len(shape) and all(
        a in (1, b) for a, b in zip(own[::-1], shape[::-1], strict=False)
    )
    if not fits and math.prod(own) != 1:
        raise Misfit(
            f"its {word} {own} does not broadcast to {shape}",
            f"give the {word} one value, or the input's shape",
        )
    return shape
