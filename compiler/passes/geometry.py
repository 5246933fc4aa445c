"""Shape arithmetic: what comes out of a stateless node, without batch."""

from __future__ import annotations

import math
from typing import Any

from spikeport.compiler.network import (
    Affine,
    Conv2d,
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
        case Conv2d():
            return conv_output_shape(node, shape)
        case SumPool2d():
            return pool_output_shape(node, shape)
        case Flatten():
            return _flatten(node, shape)
        case Scale():
            return _scale(node, shape)
        case Weights():
            return (int(node.matrix.shape[0]),)
    return shape


def _linear(node: Linear | Affine, shape: Shape) -> Shape:
    outputs, inputs = node.weight.shape
    if shape == (inputs,):
        return (outputs,)
    fix = f"connect something of {inputs} elements, or give the weight {math.prod(shape)} columns"
    if len(shape) > 1 and math.prod(shape) == inputs:
        fix = "put a Flatten (start_dim 0) before it"
    raise Misfit(f"its weight {node.weight.shape} takes ({inputs},), it gets {shape}", fix)


def _not_an_image(word: str, shape: Shape) -> Misfit:
    return Misfit(
        f"{word} takes (channels, height, width), it gets {shape}",
        "give the Input node three dimensions, without batch",
    )


def pool_output_shape(node: SumPool2d, shape: Shape) -> tuple[int, int, int]:
    """Return (channels, height, width) behind a pool.

    Raises:
        Misfit: the input is no image, or smaller than the pool.
    """
    if len(shape) != 3:
        raise _not_an_image("SumPool2d", shape)
    return (shape[0], *_windows(shape[1:], node.kernel_size, node, (1, 1)))


def conv_output_shape(node: Conv2d, shape: Shape) -> tuple[int, int, int]:
    """Return (channels, height, width) behind a convolution.

    Raises:
        Misfit: the input is no image, has other channels, or is smaller than the kernel.
    """
    if len(shape) != 3:
        raise _not_an_image("Conv2d", shape)
    channels = node.weight.shape[1] * node.groups
    if shape[0] != channels:
        raise Misfit(
            f"its weight {node.weight.shape} with groups {node.groups} takes {channels} channels, "
            f"it gets {shape}",
            f"connect something of {channels} channels, or correct weight or groups",
        )
    kernel = (int(node.weight.shape[2]), int(node.weight.shape[3]))
    return (int(node.weight.shape[0]), *_windows(shape[1:], kernel, node, node.dilation))


def _windows(
    extents: Shape, kernel: tuple[int, int], node: Conv2d | SumPool2d, dilation: tuple[int, int]
) -> tuple[int, int]:
    """Return how often the kernel fits in: floor((x + 2 p - d (k - 1) - 1) / s) + 1."""
    axes = zip(extents, kernel, node.stride, node.padding, dilation, strict=True)
    height, width = ((x + 2 * p - d * (k - 1) - 1) // s + 1 for x, k, s, p, d in axes)
    if min(height, width) < 1:
        raise Misfit(
            f"its kernel {kernel} with dilation {dilation} and padding {node.padding} does not fit "
            f"into {extents}",
            "use a smaller kernel or a larger padding",
        )
    return height, width


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


def _scale(node: Scale, shape: Shape) -> Shape:
    size = node.scale.shape
    fits = len(size) <= len(shape) and all(
        a in (1, b) for a, b in zip(size[::-1], shape[::-1], strict=False)
    )
    if not fits and node.scale.size != 1:
        raise Misfit(
            f"its scale {size} does not broadcast to {shape}",
            "give the scale one value, or the input's shape",
        )
    return shape
