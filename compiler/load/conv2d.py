"""The Conv2d of a NIR file: padding may be a word, strides may be one number or two."""

from __future__ import annotations

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.load.values import Fields, integer, number, pair
from spikeport.compiler.network import Conv2d


def read_conv2d(fields: Fields) -> Conv2d:
    """Return the node.

    Raises:
        LoadError: a field is missing or impossible.
    """
    weight = number(fields, "weight")
    groups = integer(fields, "groups", 1) if fields.has("groups") else 1
    if weight.ndim != 4 or not weight.size:
        raise fields.error("weight", f"has shape {weight.shape}, not (out, in, height, width)")
    if weight.shape[0] % groups:
        raise fields.error(
            "groups", f"is {groups}, which does not divide the {weight.shape[0]} output channels"
        )
    bias = number(fields, "bias") if fields.has("bias") else np.zeros(weight.shape[0])
    if bias.shape != weight.shape[:1]:
        raise fields.error("bias", f"has shape {bias.shape}, weight wants {weight.shape[:1]}")
    stride = pair(fields, "stride", 1)
    dilation = pair(fields, "dilation", 1)
    if isinstance(fields.get("padding"), str):
        weight, padding = _named_padding(fields, weight, stride, dilation)
    else:
        padding = pair(fields, "padding", 0)
    return Conv2d(weight, bias, stride, padding, dilation, groups)


def _named_padding(
    fields: Fields, weight: Array, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[Array, tuple[int, int]]:
    """Return weight and padding for `valid` and for PyTorch's `same`.

    `same` pads dilation * (kernel - 1) in all, the odd one behind. An odd total becomes even
    by a first row (or column) of zeros in the kernel, which changes no sum.
    """
    word = fields.get("padding")
    if word == "valid":
        return weight, (0, 0)
    if word != "same":
        raise fields.error("padding", f"is '{word[:40]}', it is 'same', 'valid' or numbers")
    if stride != (1, 1):
        raise fields.error("padding", f"is 'same', which needs stride 1, not {stride}")
    total = [each * (size - 1) for each, size in zip(dilation, weight.shape[2:], strict=True)]
    odd = [each % 2 for each in total]
    if any(one and each != 1 for one, each in zip(odd, dilation, strict=True)):
        raise fields.error(
            "padding",
            f"is 'same' with kernel {weight.shape[2:]} and dilation {dilation}, which pads "
            "unevenly",
            "use an odd kernel, or pad with numbers",
        )
    weight = np.pad(weight, ((0, 0), (0, 0), (odd[0], 0), (odd[1], 0)))
    return weight, ((total[0] + odd[0]) // 2, (total[1] + odd[1]) // 2)
