"""Time shifts under JAX: whole steps, and delays that are learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array

LONGEST = 62  # steps: what chips hold in a synapse; a learned delay stays below it
REACH = 3.0  # steps around a delay from which its derivative looks


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

    held = jnp.clip(delay, 0.0, float(LONGEST))
    whole = jnp.floor(held + 0.5)
    total = jnp.zeros_like(x)
    for k in range(min(LONGEST, x.shape[0] - 1) + 1):
        at = (whole == k).astype(x.dtype)
        bell = jnp.exp(-0.5 * ((k - held) / REACH) ** 2).astype(x.dtype)
        total = total + late(x, k) * (at + bell - jax.lax.stop_gradient(bell))
    return total


def fixed_delay(x: Any, delay: Array) -> Any:
    """Return x, each element later by its own delay in steps, rounded as the clock rounds."""
    import jax.numpy as jnp

    whole = np.floor(np.round(delay, 9) + 0.5).astype(int)
    total = jnp.zeros_like(x)
    for k in np.unique(whole):
        total = total + late(x, int(k)) * (whole == k)
    return total
