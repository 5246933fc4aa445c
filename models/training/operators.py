"""What a stateless node does to what arrives, under JAX: the same arithmetic as `operators.py`
of the compiler, without its matrices, so that kernels are learned as kernels.

Arrays are (steps, samples, *shape); parameters are those of the node that are not None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Linear,
    Scale,
    SumPool2d,
)
from spikeport.compiler.passes.geometry import output_shape
from spikeport.models.training.lag import fixed_delay, learned_delay

#: Node type -> the fields that can be learned.
LEARNED: Mapping[type, tuple[str, ...]] = {
    Linear: ("weight",),
    Affine: ("weight", "bias"),
    Conv1d: ("weight", "bias"),
    Conv2d: ("weight", "bias"),
    Scale: ("scale",),
    Delay: ("delay",),
}


def apply(node: Any, given: Mapping[str, Any], x: Any, dt: float) -> Any:
    """Return what a node makes of `x`, without its bias.

    Args:
        node: stateless.
        given: field -> array, for what is learned; the others are the node's own.
        x: (steps, samples, *shape).
        dt: seconds per step, for delays.

    Raises:
        GraphError: nobody knows such a node here.
    """
    match node:
        case Flatten():
            return x.reshape(*x.shape[:2], *output_shape(node, x.shape[2:]))
        case Linear() | Affine():
            return x @ _of(node, given, "weight", x).T
        case Scale():
            return x * _of(node, given, "scale", x)
        case Delay():
            if "delay" in given:
                return learned_delay(x, _of(node, given, "delay", x) / dt)
            return fixed_delay(x, node.delay / dt)
        case SumPool2d() | AvgPool2d():
            return _pool(node, x)
        case Conv1d() | Conv2d():
            return _conv(node, _of(node, given, "weight", x), x)
    raise GraphError(f"a {type(node).__name__} cannot be trained through")


def bias_of(node: Any, given: Mapping[str, Any], shape: tuple[int, ...], dtype: Any) -> Any:
    """Return what a node adds in every step, in its output's shape; None: nothing."""
    if not isinstance(node, Affine | Conv1d | Conv2d):
        return None
    bias = given.get("bias", node.bias)
    if "bias" not in given and not np.any(bias):
        return None
    import jax.numpy as jnp

    bias = jnp.asarray(bias, dtype)
    if isinstance(node, Affine):
        return jnp.broadcast_to(bias, shape)
    return jnp.broadcast_to(bias.reshape(-1, *[1] * (len(shape) - 1)), shape)


def _of(node: Any, given: Mapping[str, Any], field: str, x: Any) -> Any:
    import jax.numpy as jnp

    value = given.get(field, getattr(node, field))
    dense = value.toarray() if hasattr(value, "toarray") else value
    return jnp.asarray(dense, x.dtype)


def _conv(node: Conv1d | Conv2d, kernel: Any, x: Any) -> Any:
    """Return the cross-correlation, as PyTorch defines it."""
    import jax.lax as lax

    stride: tuple[int, ...] = (node.stride,) if isinstance(node, Conv1d) else node.stride
    dilation: tuple[int, ...] = (node.dilation,) if isinstance(node, Conv1d) else node.dilation
    padding = [(node.padding[0], node.padding[1])]
    if isinstance(node, Conv2d):
        before_behind = zip(node.padding, node.more_behind, strict=True)
        padding = [(zeros, zeros + more) for zeros, more in before_behind]
    flat = x.reshape(-1, *x.shape[2:])
    made = lax.conv_general_dilated(
        flat, kernel, stride, padding, rhs_dilation=dilation, feature_group_count=node.groups
    )
    return made.reshape(*x.shape[:2], *made.shape[1:])


def _pool(node: SumPool2d | AvgPool2d, x: Any) -> Any:
    import jax.lax as lax

    steps_samples = ((0, 0),) * 3
    high, wide = node.padding
    total = lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        (1, 1, 1, *node.kernel_size),
        (1, 1, 1, *node.stride),
        (*steps_samples, (high, high), (wide, wide)),
    )
    window = node.kernel_size[0] * node.kernel_size[1]
    return total / window if isinstance(node, AvgPool2d) else total
