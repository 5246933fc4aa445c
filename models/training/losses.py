"""Losses: from what the output population did to one number, mean over the samples.

Each takes what the population sent, float (steps, samples, n), or its v after the reset, and the
labels, integers (samples,). The slope of a spike itself is the surrogate's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from spikeport.models.training.recipe import (
    CountTargetLoss,
    FirstSpikeLoss,
    MembraneLoss,
    RateLoss,
    VanRossumLoss,
)

Traced = Any  # a jax array, or NumPy's


def cross_entropy(logits: Traced, labels: Traced, smoothing: float = 0.0) -> Traced:
    """Return the mean cross entropy of softmax(logits) with smoothed labels.

        L = - sum_k q_k log softmax(logits)_k,   q = (1 - smoothing) onehot + smoothing / n

    Label smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7.

    Args:
        logits: (samples, n).
        labels: (samples,), 0 to n - 1.
        smoothing: share of a label that is spread over all classes.
    """
    n = logits.shape[-1]
    target = (1 - smoothing) * jax.nn.one_hot(labels, n, dtype=logits.dtype) + smoothing / n
    return -(target * jax.nn.log_softmax(logits)).sum(-1).mean()


def rate(sent: Traced, labels: Traced, scale: float = 1.0, smoothing: float = 0.0) -> Traced:
    """Return the cross entropy of spike counts:  logits_k = scale sum_t s_k(t).

    Eshraghian et al. 2023, Proc. IEEE 111(9), arXiv:2109.12894 ("cross entropy spike rate",
    here of the sum of the steps).
    """
    return cross_entropy(scale * sent.sum(0), labels, smoothing)


def count_target(sent: Traced, labels: Traced, right: float = 0.8, wrong: float = 0.05) -> Traced:
    """Return the mean squared distance of rates from targets:  mean_k (sum_t s_k / T - r_k)^2.

    r is `right` for the label's neuron and `wrong` for the others, in spikes per step
    ("mean square spike rate" of Eshraghian et al. 2023; the spike count loss of SLAYER, Shrestha
    and Orchard 2018, arXiv:1810.08646).
    """
    hot = jax.nn.one_hot(labels, sent.shape[-1], dtype=sent.dtype)
    return ((sent.mean(0) - (wrong + (right - wrong) * hot)) ** 2).mean()


def membrane(
    v: Traced, labels: Traced, of: str = "max", scale: float = 1.0, smoothing: float = 0.0
) -> Traced:
    """Return the cross entropy of v: its value in the `last` step, its `max` or its `mean`.

    Max over time and last step: Cramer et al. 2022, IEEE TNNLS 33(7), arXiv:1910.07407; max over
    time: Zenke and Vogels 2021, Neural Computation 33(4).
    """
    reduced = {"last": v[-1], "max": v.max(0), "mean": v.mean(0)}[of]
    return cross_entropy(scale * reduced, labels, smoothing)


def first_spike(sent: Traced) -> Traced:
    """Return the time of the first spike, in steps, (samples, n); the number of steps where none.

        t_1 = sum_t prod_(r <= t) (1 - s(r))

    This counts the steps before the first spike. Where s is 0 or 1 it is exact, and between them
    it is the mean time of a process that spikes with probability s: the survival function of a
    discrete hazard, summed. Counts above 1 are a spike.
    """
    # Not jnp.clip: at its bounds, where spikes are, it halves the gradient.
    return jnp.cumprod(1 - jnp.where(sent > 1, 1, sent), axis=0).sum(0)


def ttfs(sent: Traced, labels: Traced, scale: float = 1.0, smoothing: float = 0.0) -> Traced:
    """Return the cross entropy of first spikes:  logits_k = - scale t_1,k.

    Mostafa 2018, IEEE TNNLS 29(7), arXiv:1606.08165 (there with the exponentials of the
    times); the time itself: `first_spike`.
    """
    return cross_entropy(-scale * first_spike(sent), labels, smoothing)


def van_rossum(sent: Traced, target: Traced, tau: float = 5.0) -> Traced:
    """Return the van Rossum distance of spike trains, squared, mean over samples and neurons.

        D^2 = 1/tau sum_t (f(t) - g(t))^2,   f(t) = e^(-1/tau) f(t-1) + s(t), g of the target

    van Rossum 2001, Neural Computation 13(4), with his kernel, an exponential; as a
    loss with surrogate gradients: Zenke and Ganguli 2018, Neural Computation 30(6).

    Args:
        sent: (steps, samples, n).
        target: spikes that should be sent, broadcast against `sent`.
        tau: time constant of the kernel, steps.
    """
    keep = jnp.exp(jnp.asarray(-1 / tau, sent.dtype))
    apart = sent - target

    def leak(trace: Traced, now: Traced) -> tuple[Traced, Traced]:
        trace = keep * trace + now
        return trace, trace

    _, traces = jax.lax.scan(leak, jnp.zeros_like(apart[0]), apart)
    return (traces**2).sum(0).mean() / tau


def label_trains(labels: Traced, steps: int, n: int, period: int) -> Traced:
    """Return target trains (steps, samples, n): the label's neuron spikes every `period` steps."""
    times = (jnp.arange(steps) % period == period - 1).astype(jnp.float32)
    return times[:, None, None] * jax.nn.one_hot(labels, n)


def loss_of(part: Any) -> Callable[[Traced, Traced, Traced], Traced]:
    """Return the loss of a recipe as a function of (sent, v, labels); v may be None for most."""
    match part:
        case RateLoss():
            return lambda sent, v, labels: rate(sent, labels, part.scale, part.smoothing)
        case CountTargetLoss():
            return lambda sent, v, labels: count_target(sent, labels, part.right, part.wrong)
        case MembraneLoss():
            return lambda sent, v, labels: membrane(v, labels, part.of, part.scale, part.smoothing)
        case FirstSpikeLoss():
            return lambda sent, v, labels: ttfs(sent, labels, part.scale, part.smoothing)
        case VanRossumLoss():
            return lambda sent, v, labels: van_rossum(
                sent,
                label_trains(labels, sent.shape[0], sent.shape[2], part.period).astype(sent.dtype),
                part.tau,
            )
    raise TypeError(f"no loss: {part!r}")
