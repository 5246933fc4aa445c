"""Surrogate derivatives: what a spike's derivative is taken for, under JAX.

A spike is a step of v at the threshold theta, whose derivative is 0 or infinite. Forward it stays
that step, as in every run; backward it counts as h(x) / |theta|, x = (v - theta) / |theta|: the
published functions are for theta = 1, and so a network in other units learns alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from spikeport.compiler.errors import DataError, nearest
from spikeport.models.neurons.spiking import Spiking, whole_multiples

Derivative = Callable[[Any], Any]


def _fast_sigmoid(slope: float) -> Derivative:
    """h = 1 / (1 + slope |x|)^2 (Zenke and Ganguli 2018, Neural Computation 30(6), SuperSpike)."""
    return lambda x: 1.0 / (1.0 + slope * abs(x)) ** 2


def _arctan(slope: float) -> Derivative:
    """h = (slope / 2) / (1 + (pi slope x / 2)^2) (Fang et al. 2021, ICCV, equation 12)."""
    return lambda x: (slope / 2.0) / (1.0 + (math.pi / 2.0 * slope * x) ** 2)


def _triangle(slope: float) -> Derivative:
    """h = slope max(0, 1 - slope |x|) (Bellec et al. 2018, NeurIPS, with dampening slope)."""
    import jax.numpy as jnp

    return lambda x: slope * jnp.maximum(0.0, 1.0 - slope * abs(x))


#: Name -> (function of a slope, the slope that its source uses).
SURROGATES: Mapping[str, tuple[Callable[[float], Derivative], float]] = {
    "fast_sigmoid": (_fast_sigmoid, 25.0),
    "arctan": (_arctan, 2.0),
    "triangle": (_triangle, 1.0),
}


def surrogate(name: str = "fast_sigmoid", slope: float | None = None) -> Spiking:
    """Return how v becomes spikes in training.

    Args:
        name: `fast_sigmoid`, `arctan` or `triangle`.
        slope: how narrow the derivative is, > 0, per |theta|; by default its source's.

    Raises:
        DataError: no such surrogate, or a slope that is not above 0.
    """
    if name not in SURROGATES:
        raise DataError(
            f"unknown surrogate {name!r}",
            f"known are {', '.join(SURROGATES)}",
            f"surrogate: {{name: {nearest(name, SURROGATES)}}}",
        )
    make, usual = SURROGATES[name]
    slope = usual if slope is None else slope
    if not (slope > 0 and math.isfinite(slope)):
        raise DataError(f"the slope of a surrogate is {slope}", "it is above 0", f"slope: {usual}")
    import jax

    return Spiking(_above(make(slope)), _multiples(), jax.lax.stop_gradient)


def _unit(theta: Any) -> Any:
    """Return |theta|, or 1 where it is 0 or infinite."""
    import jax.numpy as jnp

    size = jnp.abs(theta)
    return jnp.where((size > 0) & jnp.isfinite(size), size, 1.0)


def _above(derivative: Derivative) -> Any:
    import jax

    @partial(jax.custom_jvp, nondiff_argnums=(2,))
    def above(v: Any, theta: Any, condition: str) -> Any:
        spikes = v >= theta if condition == "greater_equal" else v > theta
        return spikes.astype(v.dtype)

    @above.defjvp
    def _tangent(condition: str, primals: Any, tangents: Any) -> Any:
        v, theta = primals
        unit = _unit(theta)
        slope = derivative((v - theta) / unit) / unit
        return above(v, theta, condition), slope * (tangents[0] - tangents[1])

    return _of_arrays(above)


def _of_arrays(how: Any) -> Any:
    """Return the function with theta in the type of v."""
    import jax.numpy as jnp

    def taken(v: Any, theta: Any, condition: str) -> Any:
        v = jnp.asarray(v)
        return how(v, jnp.asarray(theta, v.dtype), condition)

    return taken


def _multiples() -> Any:
    """Return counts whose derivative is that of v / theta above half a threshold, else 0.

    Straight-through over the floor (Bengio et al. 2013, arXiv 1308.3432); below half a threshold
    a neuron is too far from its first spike to be moved there.
    """
    import jax
    import jax.numpy as jnp

    @partial(jax.custom_jvp, nondiff_argnums=(2,))
    def multiples(v: Any, theta: Any, condition: str) -> Any:
        return whole_multiples(v, theta, condition).astype(v.dtype)

    @multiples.defjvp
    def _tangent(condition: str, primals: Any, tangents: Any) -> Any:
        v, theta = primals
        through = tangents[0] / theta - v * tangents[1] / theta**2
        return multiples(v, theta, condition), jnp.where(v >= 0.5 * theta, through, 0.0)

    return _of_arrays(multiples)
