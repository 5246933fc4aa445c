"""The convolutions of a NIR file: padding may be a word, strides may be one number or two."""

from __future__ import annotations

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.load.values import Fields, integer, integers, number, pair
from spikeport.compiler.network import Conv1d, Conv2d

Pair = tuple[int, int]


def read_conv1d(fields: Fields) -> Conv1d:
    """Return the node.

    Raises:
        LoadError: a field is missing or impossible.
    """
    weight, bias, groups = _kernels(fields, "(out, in, length)")
    stride, dilation = integer(fields, "stride", 1), integer(fields, "dilation", 1)
    if not isinstance(fields.get("padding"), str):
        padding = integers(fields, "padding", 0)
        if len(padding) != 1:
            raise fields.error("padding", f"has {len(padding)} values, it must have one")
        return Conv1d(weight, bias, stride, (padding[0], padding[0]), dilation, groups)
    _check_named(fields, (stride,))
    total = dilation * (weight.shape[2] - 1) if fields.get("padding") == "same" else 0
    return Conv1d(weight, bias, stride, (total // 2, total - total // 2), dilation, groups)


def read_conv2d(fields: Fields) -> Conv2d:
    """Return the node.

    Raises:
        LoadError: a field is missing or impossible.
    """
    weight, bias, groups = _kernels(fields, "(out, in, height, width)")
    stride, dilation = pair(fields, "stride", 1), pair(fields, "dilation", 1)
    if not isinstance(fields.get("padding"), str):
        return Conv2d(weight, bias, stride, pair(fields, "padding", 0), dilation, groups)
    _check_named(fields, stride)
    if fields.get("padding") == "valid":
        return Conv2d(weight, bias, stride, (0, 0), dilation, groups)
    weight, padding, more = _same(weight, dilation)
    return Conv2d(weight, bias, stride, padding, dilation, groups, more)


def _kernels(fields: Fields, wanted: str) -> tuple[Array, Array, int]:
    """Return weight, bias and groups."""
    weight = number(fields, "weight")
    groups = integer(fields, "groups", 1) if fields.has("groups") else 1
    if weight.ndim != wanted.count(",") + 1 or not weight.size:
        raise fields.error("weight", f"has shape {weight.shape}, not {wanted}")
    if weight.shape[0] % groups:
        raise fields.error(
            "groups", f"is {groups}, which does not divide the {weight.shape[0]} output channels"
        )
    bias = number(fields, "bias") if fields.has("bias") else np.zeros(weight.shape[0])
    if bias.shape != weight.shape[:1]:
        raise fields.error("bias", f"has shape {bias.shape}, weight wants {weight.shape[:1]}")
    return weight, bias, groups


def _check_named(fields: Fields, stride: tuple[int, ...]) -> None:
    """Refuse a padding that is no word of PyTorch's, or `same` where it has no meaning."""
    word = fields.get("padding")
    if word not in ("same", "valid"):
        raise fields.error("padding", f"is '{word[:40]}', it is 'same', 'valid' or numbers")
    if word == "same" and set(stride) != {1}:
        shown = stride[0] if len(stride) == 1 else stride
        raise fields.error("padding", f"is 'same', which needs stride 1, not {shown}")


def _same(weight: Array, dilation: Pair) -> tuple[Array, Pair, Pair]:
    """Return weight, padding and what comes on top behind, for PyTorch's `same`.

    It pads dilation * (kernel - 1) in all, the odd one behind. Without dilation an odd total
    becomes even by a first row (or column) of zeros in the kernel: that changes no sum, and
    chips that know convolutions pad both sides alike.
    """
    total = [each * (size - 1) for each, size in zip(dilation, weight.shape[2:], strict=True)]
    grown = [each % 2 if one == 1 else 0 for each, one in zip(total, dilation, strict=True)]
    weight = np.pad(weight, ((0, 0), (0, 0), (grown[0], 0), (grown[1], 0)))
    total = [each + more for each, more in zip(total, grown, strict=True)]
    return weight, (total[0] // 2, total[1] // 2), (total[0] % 2, total[1] % 2)
