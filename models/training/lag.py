"""Time shifts under JAX: whole steps, and delays that are learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array

LONGEST = 62  # steps: what chips hold in a synapse; a learned delay stays below it
REACH = 3.0  # steps around a delay from which its derivative looks
TIE = 1e-5  # steps: more than float32 loses of a delay in seconds, so that halves count as halves


def late(x: Any, steps: int) -> Any:
    """Return x(t - steps), zeros before; (steps, ...) as x."""
    import jax.numpy as jnp

    if steps == 0:
        return x
    held = max(x.shape[0] - steps, 0)
    zeros = jnp.zeros((x.shape[0] - held, *x.shape[1:]), x.dtype)
    return jnp.concatenate([zeros, x[:held]])


def learned_delay(x: Any, delay: Any) -> Any:
    """Return x, each element later by its own delay, through which a derivative goes.

    Forward every delay is rounded half up to whole steps, as the clock rounds it, so what is
    trained is what is deployed. Backward a spike that arrives k steps after it was sent counts as
    if it arrived with the weight exp(-((k - d) / REACH)^2 / 2): a delay is drawn to where its
    spikes were wanted (after Hammouamri et al. 2024, ICLR, "Learning Delays in Spiking Neural
    Networks using Dilated Convolutions with Learnable Spacings").

    Args:
        x: (steps, samples, *shape).
        delay: steps, broadcastable to shape; taken as 0 to `LONGEST`.
    """
    import jax
    import jax.numpy as jnp

    # Not `clip`, which halves the derivative of a delay that is exactly 0.
    held = jnp.where(delay < 0, 0.0, jnp.where(delay > LONGEST, float(LONGEST), delay))
    held = jnp.broadcast_to(held, x.shape[2:]).ravel()
    now, sent = np.arange(LONGEST, 2 * LONGEST), np.arange(2 * LONGEST)
    lag = (now[:, None] - sent)[..., None]
    at = (jnp.floor(held + (0.5 + TIE)) == lag).astype(x.dtype)
    bell = jnp.exp(-0.5 * ((lag - held) / REACH) ** 2).astype(x.dtype)
    bell = jnp.where((lag >= 0) & (lag <= LONGEST), bell, 0)
    weight = at + bell - jax.lax.stop_gradient(bell)
    made = jnp.einsum("tui,busi->btsi", weight, _windows(x), precision=jax.lax.Precision.HIGHEST)
    return made.reshape(-1, *x.shape[1:])[: x.shape[0]]


def whole_steps(delay: Array) -> Array:
    """Return learned delays in steps as `learned_delay` rounds them.

    >>> whole_steps(np.array([-1.0, 0.4, np.float32(0.0025) / 1e-3, 70.0])).tolist()
    [0.0, 0.0, 3.0, 62.0]
    """
    return np.asarray(np.floor(np.clip(delay, 0.0, LONGEST) + (0.5 + TIE)))


def _windows(x: Any) -> Any:
    """Return x in blocks of `LONGEST` steps, each behind the block before it.

    Within such a window lies all that may arrive during its second half, so one matrix of lags
    serves all of them.

    Returns:
        (blocks, 2 LONGEST, samples, n), zeros before the first step and after the last.
    """
    import jax.numpy as jnp

    steps, samples = x.shape[:2]
    zeros = ((LONGEST, -steps % LONGEST), (0, 0), (0, 0))
    blocks = jnp.pad(x.reshape(steps, samples, -1), zeros).reshape(
        -1, LONGEST, samples, x[0, 0].size
    )
    return jnp.concatenate([blocks[:-1], blocks[1:]], axis=1)


def fixed_delay(x: Any, delay: Array) -> Any:
    """Return x, each element later by its own delay in steps, rounded as the clock rounds."""
    import jax.numpy as jnp

    whole = np.floor(np.round(delay, 9) + 0.5).astype(int)
    total = jnp.zeros_like(x)
    for k in np.unique(whole):
        total = total + late(x, int(k)) * (whole == k)
    return total
