"""Encoders: still values (or signals) become spikes over time.

Each is a function from values (k, *n), normally in [0, 1], the number of steps and a random
generator to (k, steps, *n): uint8 spikes or counts, float32 for direct current.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature

import numpy as np

from spikeport.compiler.errors import DataError, counted
from spikeport.compiler.kinds import Array
from spikeport.models.data.dataset import unknown
from spikeport.models.options import check_options

MOST_COUNTED = 255  # spikes of one neuron in one step, what uint8 holds


def encode(
    name: str, values: Array, steps: int, rng: np.random.Generator, /, **options: float
) -> Array:
    """Return values as spikes over time.

    Args:
        name: of ENCODERS.
        values: (k, *n); for `delta` a signal (k, steps, *n).
        steps: how many to make, at least 1.
        rng: what the random encoders draw from.
        options: of the encoder.

    Returns:
        (k, steps, *n), for `delta` (k, steps, 2, *n): uint8, float32 for `direct`.

    Raises:
        DataError: an unknown encoder or option (the nearest name is told), values that are not
            finite, steps that cannot be made.
    """
    if name not in ENCODERS:
        raise unknown(f"there is no encoder {name!r}", name, list(ENCODERS))
    known = [each for each in signature(ENCODERS[name]).parameters][3:]
    check_options(f"the encoder {name!r}", ENCODERS[name], options, known, DataError)
    for option, value in options.items():
        if not np.isfinite(value):
            raise DataError(f"{option} of the encoder {name!r} is {value}", "it must be finite")
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise DataError(f"cannot encode into {steps!r} steps", fix="give a whole number from 1")
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        raise DataError("the values are not all finite", "an encoder cannot spike NaN times")
    return np.asarray(ENCODERS[name](values, int(steps), rng, **options))


def bernoulli(values: Array, steps: int, rng: np.random.Generator, gain: float = 1.0) -> Array:
    """One spike or none in each step, with probability gain * value, cut to [0, 1]."""
    chance = (values * np.float32(gain))[:, None]
    shape = (len(values), steps, *values.shape[1:])
    return (rng.random(shape, np.float32) < chance).astype(np.uint8)


def poisson(
    values: Array, steps: int, rng: np.random.Generator, gain: float = 1.0, counts: bool = False
) -> Array:
    """Events of a Poisson process, gain * value of them a step on average.

    Two events in a step are one spike, so that P(spike) = 1 - exp(-gain * value); with `counts`
    they are two, up to 255.
    """
    if gain < 0 or (values < 0).any():
        raise DataError("a rate is negative", fix="scale the values into [0, 1], gain from 0")
    shape = (len(values), steps, *values.shape[1:])
    events = rng.poisson((values * np.float32(gain))[:, None], shape)
    return np.minimum(events, MOST_COUNTED if counts else 1).astype(np.uint8)


def latency(values: Array, steps: int, rng: np.random.Generator, threshold: float = 0.01) -> Array:
    """One spike per neuron, in step round((1 - value) * (steps - 1)): the largest value first.

    Values below `threshold` send none, values above 1 count as 1. Nothing is random.
    """
    at = np.rint((1 - np.clip(values, 0, 1)) * (steps - 1)).astype(np.int64)[:, None]
    step = np.arange(steps).reshape(1, steps, *[1] * (values.ndim - 1))
    return np.asarray((at == step) & (values >= threshold)[:, None], np.uint8)


def delta(values: Array, steps: int, rng: np.random.Generator, threshold: float = 0.1) -> Array:
    """Spikes of change for a signal (k, steps, *n): up and down channels (k, steps, 2, *n).

    Up spikes in step t if x[t] - x[t-1] > threshold, down if x[t-1] - x[t] > threshold; both
    strict, nothing in step 0. Nothing is random.
    """
    if values.ndim < 2 or values.shape[1] != steps:
        raise DataError(
            f"cannot encode the changes of a signal of shape {values.shape[1:]}",
            f"its first dimension is time and should be {counted(steps, 'step')}",
            f"set steps to {values.shape[1]}" if values.ndim > 1 else "give (samples, steps, n)",
        )
    change = np.diff(values, axis=1, prepend=values[:, :1])
    return np.stack([change > threshold, -change > threshold], axis=2).astype(np.uint8)


def direct(values: Array, steps: int, rng: np.random.Generator, gain: float = 1.0) -> Array:
    """The value itself times gain, as a current in every step; float32. Nothing is random."""
    return np.asarray(np.repeat((values * np.float32(gain))[:, None], steps, axis=1))


ENCODERS: Mapping[str, Callable[..., Array]] = {
    "bernoulli": bernoulli,
    "poisson": poisson,
    "latency": latency,
    "delta": delta,
    "direct": direct,
}
