"""What is added to a loss so that neurons neither fall silent nor talk too much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from spikeport.models.training.recipe import Regularise

Traced = Any


def rate_bounds(sent: Traced, low: float, high: float) -> Traced:
    """Return how far the neurons' rates are outside of bounds, squared, mean over the neurons.

        mean_n ( max(0, low - r_n)^2 + max(0, r_n - high)^2 ),   r_n = mean over steps and samples

    Lower and upper bounds of activity: Zenke and Vogels 2021, Neural Computation 33(4). Rates are
    in spikes per step, `sent` is (steps, samples, n).
    """
    rates = sent.mean((0, 1))
    return (jnp.maximum(0, low - rates) ** 2 + jnp.maximum(0, rates - high) ** 2).mean()


def operation_share(sent: Mapping[str, Traced], fan_out: Mapping[str, Any]) -> Traced:
    """Return the synaptic operations, as a share of those if every neuron spiked in every step.

        sum_pn (s_n fan_out_n) / (T sum_pn fan_out_n),   mean over the samples

    Sorbaro et al. 2020, Frontiers in Neuroscience 14:662, without its target, and
    divided by the most there can be, so that a weight means the same in any network.

    Args:
        sent: population -> (steps, samples, n).
        fan_out: population -> synapses that a spike reaches, (n,).
    """
    most = float(sum(np.sum(fan_out[name]) for name in sent)) or 1.0
    done = sum(
        (spikes.mean((0, 1)) * jnp.asarray(fan_out[name], spikes.dtype)).sum()
        for name, spikes in sent.items()
    )
    return done / most


def penalty(
    part: Regularise,
    hidden: Mapping[str, Traced],
    fan_out: Mapping[str, Any],
) -> Traced:
    """Return everything that a recipe adds to the loss.

    Args:
        part: of the recipe.
        hidden: spiking populations without the output -> what they sent, (steps, samples, n).
        fan_out: population -> synapses that a spike reaches, (n,).
    """
    total: Traced = 0.0
    if part.rate is not None and hidden:
        bounds = [rate_bounds(sent, part.rate.low, part.rate.high) for sent in hidden.values()]
        total = total + part.rate.weight * sum(bounds) / len(bounds)
    if part.synops is not None and hidden:
        total = total + part.synops.weight * operation_share(hidden, fan_out)
    return total
