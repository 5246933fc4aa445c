"""Layers without state: PyTorch's own, and the tools' wrappers of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    Linear,
    Shape,
    SumPool2d,
)
from spikeport.modules.parts import Layer, Part, Seen, values

Pair = tuple[int, int]


def _nothing(module: Any, seen: Seen) -> Part:
    return Part()


def _linear(module: Any, seen: Seen) -> Part:
    weight = values(module.weight)
    if seen.shape != weight.shape[1:]:
        raise seen.refuse(
            f"it acts on the last axis of {seen.shape}",
            "put nn.Flatten before it, or nn.Conv1d with kernel 1 in its place",
        )
    return Part({"": affine(weight, module.bias)})


def affine(weight: Any, bias: Any) -> Linear | Affine:
    """Return weight and bias (or None), tensors or arrays, as a node."""
    weight = values(weight)
    return Linear(weight) if bias is None else Affine(weight, values(bias))


def _bias(module: Any) -> Any:
    return np.zeros(module.weight.shape[0]) if module.bias is None else values(module.bias)


def _conv1d(module: Any, seen: Seen) -> Part:
    _check_zeros(module, seen)
    (stride,), (dilation,) = module.stride, module.dilation
    before, behind = _padding(module.padding, module.kernel_size, module.dilation)[0]
    node = Conv1d(
        values(module.weight), _bias(module), stride, (before, behind), dilation, module.groups
    )
    return Part({"": node})


def conv2d(module: Any, seen: Seen) -> Part:
    """Return an nn.Conv2d as a node."""
    _check_zeros(module, seen)
    pads = _padding(module.padding, module.kernel_size, module.dilation)
    node = Conv2d(
        values(module.weight),
        _bias(module),
        _pair(module.stride),
        (pads[0][0], pads[1][0]),
        _pair(module.dilation),
        module.groups,
        (pads[0][1] - pads[0][0], pads[1][1] - pads[1][0]),
    )
    return Part({"": node})


def _check_zeros(module: Any, seen: Seen) -> None:
    if module.padding_mode != "zeros":
        raise seen.refuse(
            f"its padding is {module.padding_mode!r}",
            "use padding_mode='zeros': chips have no other",
        )


def _padding(padding: Any, kernel: Any, dilation: Any) -> list[Pair]:
    """Return (before, behind) per axis, as PyTorch means numbers, `valid` and `same`."""
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(extent // 2, extent - extent // 2) for extent in total]
    if padding == "valid":
        return [(0, 0) for _ in kernel]
    each = (padding,) * len(kernel) if isinstance(padding, int) else tuple(padding)
    return [(int(extent), int(extent)) for extent in each]


def _pair(value: Any) -> Pair:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def _avg_pool(module: Any, seen: Seen) -> Part:
    kernel, stride, padding = _pool(module, seen)
    if padding != (0, 0) and not module.count_include_pad:
        raise seen.refuse("it does not count its padding", "use count_include_pad=True")
    if module.divisor_override is not None:
        raise seen.refuse("it has a divisor of its own", "put the factor into the next weights")
    return Part({"": AvgPool2d(kernel, stride, padding)})


def _sum_pool(module: Any, seen: Seen) -> Part:
    if module.norm_type != 1:
        raise seen.refuse(
            f"its norm is {module.norm_type}; only 1, the sum, is linear", "use norm_type=1"
        )
    kernel, stride, _ = _pool(module, seen)
    return Part({"": SumPool2d(kernel, stride, (0, 0))})


def _pool(module: Any, seen: Seen) -> tuple[Pair, Pair, Pair]:
    kernel = _pair(module.kernel_size)
    stride = kernel if module.stride is None else _pair(module.stride)
    padding = _pair(getattr(module, "padding", 0))
    windows = [
        (n + 2 * p - k) // s + 1
        for n, p, k, s in zip(seen.shape[1:], padding, kernel, stride, strict=True)
    ]
    if module.ceil_mode and seen.after[1:] != tuple(windows):
        raise seen.refuse("ceil_mode adds a window over the edge", "use ceil_mode=False")
    return kernel, stride, padding


def _adaptive_pool(module: Any, seen: Seen) -> Part:
    if any(n % m for n, m in zip(seen.shape[1:], seen.after[1:], strict=True)):
        raise seen.refuse(
            f"its windows differ in size: {seen.shape} to {seen.after}", "use nn.AvgPool2d"
        )
    height, width = (n // m for n, m in zip(seen.shape[1:], seen.after[1:], strict=True))
    return Part({"": AvgPool2d((height, width), (height, width), (0, 0))})


def _flatten(module: Any, seen: Seen) -> Part:
    if seen.shape == seen.after:
        return Part()
    node = flattened(seen.shape, seen.after)
    if node is None:
        raise seen.refuse(
            f"it makes {seen.after} of {seen.shape}", "use nn.Flatten: chips only count neurons"
        )
    return Part({"": node})


def flattened(before: Shape, after: Shape) -> Flatten | None:
    """Return the Flatten that makes one shape of another; None if none does."""
    for start in range(len(before)):
        for end in range(start, len(before)):
            joined = math.prod(before[start : end + 1])
            if (*before[:start], joined, *before[end + 1 :]) == after:
                return Flatten(start, end)
    return None


def _batch_norm(module: Any, seen: Seen) -> Part:
    """Return y = factor x + offset per channel: a convolution of kernel 1, or a diagonal."""
    if module.running_mean is None or module.running_var is None:
        raise seen.refuse(
            "it keeps no running statistics, so it depends on the whole batch",
            "train it with track_running_stats=True",
        )
    factor = 1.0 / np.sqrt(values(module.running_var) + module.eps)
    if module.weight is not None:
        factor = factor * values(module.weight)
    offset = -factor * values(module.running_mean)
    if module.bias is not None:
        offset = offset + values(module.bias)
    channels = factor.size
    if len(seen.shape) == 1:
        return Part({"": Affine(np.diag(factor), offset)})
    kernel = factor.reshape(channels, 1, *[1] * (len(seen.shape) - 1))
    if len(seen.shape) == 2:
        return Part({"": Conv1d(kernel, offset, 1, (0, 0), 1, channels)})
    return Part({"": Conv2d(kernel, offset, (1, 1), (0, 0), (1, 1), channels)})


def behind_leading(axes: int) -> Any:
    """Return the rule for layers whose own shape has so many axes; the input is not known yet."""
    return lambda module: -axes


SKIP = Layer(_nothing)
LAYERS: Mapping[str, Layer] = {
    "Linear": Layer(_linear, behind_leading(1)),
    "Conv1d": Layer(_conv1d, behind_leading(2)),
    "Conv2d": Layer(conv2d, behind_leading(3)),
    "AvgPool2d": Layer(_avg_pool, behind_leading(3)),
    "LPPool2d": Layer(_sum_pool, behind_leading(3)),
    "AdaptiveAvgPool2d": Layer(_adaptive_pool, behind_leading(3)),
    "BatchNorm1d": Layer(_batch_norm),
    "BatchNorm2d": Layer(_batch_norm, behind_leading(3)),
    "Flatten": Layer(_flatten),
    "Unflatten": Layer(_flatten),
    **dict.fromkeys(
        ("Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"), SKIP
    ),
}
#: Why layers that many networks have are refused, and what to use instead.
KNOWN_REFUSALS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("MaxPool1d", "MaxPool2d", "AdaptiveMaxPool2d", "SpikingMaxPooling2dLayer"),
        (
            "a maximum is not a sum of synapses, and chips have no other way to join spikes",
            "train with nn.AvgPool2d or a convolution of stride 2",
        ),
    ),
    **dict.fromkeys(
        ("ReLU", "LeakyReLU", "GELU", "Sigmoid", "Tanh", "SiLU", "ELU", "NeuromorphicReLU"),
        ("it is not linear and does not spike", "put a spiking layer in its place"),
    ),
    **dict.fromkeys(
        ("LayerNorm", "GroupNorm", "InstanceNorm2d", "BatchNormTT1d", "BatchNormTT2d"),
        ("it depends on the sample or the step", "use nn.BatchNorm2d, which is constant in eval"),
    ),
}
