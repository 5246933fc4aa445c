"""The optimiser of a recipe, as an optax transformation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optax

from spikeport.models.training.recipe import (
    Constant,
    Cosine,
    OptimiserPart,
    Stairs,
    WarmupCosine,
)


def optimiser(part: OptimiserPart, kinds: Mapping[str, str], batches: int, epochs: int) -> Any:
    """Return the transformation of gradients into updates.

    Gradients are clipped to a global norm, scaled by the method, weights (and nothing else) decay
    apart from the gradient (Loshchilov and Hutter 2019, arXiv:1711.05101), then comes the rate of
    the schedule, times what the recipe says for the kind of parameter.

    Args:
        part: of the recipe.
        kinds: parameter -> kind, as `parameters.py` names them.
        batches: of an epoch.
        epochs: of the training.
    """
    chain = [optax.clip_by_global_norm(part.clip)] if part.clip is not None else []
    chain.append(_method(part))
    if part.weight_decay:
        mask = {name: kind == "weights" for name, kind in kinds.items()}
        chain.append(optax.add_decayed_weights(part.weight_decay, mask))
    chain.append(optax.scale_by_learning_rate(schedule(part, batches, epochs)))
    if part.times:
        chain.append(_times({name: part.times.get(kind, 1.0) for name, kind in kinds.items()}))  # type: ignore[call-overload]
    return optax.chain(*chain)


def _method(part: OptimiserPart) -> Any:
    """Return what scales gradients; Kingma and Ba 2015 (adam), Hinton's rmsprop, Chen et al. 2023
    (lion), plain descent with momentum where there is any."""
    match part.name:
        case "adam" | "adamw":
            return optax.scale_by_adam()
        case "rmsprop":
            return optax.scale_by_rms()
        case "lion":
            return optax.scale_by_lion()
    return optax.trace(part.momentum) if part.momentum else optax.identity()


def _times(factors: Mapping[str, float]) -> Any:
    return optax.stateless(
        lambda updates, _: {name: factors[name] * each for name, each in updates.items()}
    )


def schedule(part: OptimiserPart, batches: int, epochs: int) -> Any:
    """Return the learning rate as a function of the number of the step."""
    whole = batches * epochs
    match part.schedule:
        case Constant():
            return optax.constant_schedule(part.rate)
        case Cosine(end=end):
            return optax.cosine_decay_schedule(part.rate, whole, alpha=end)
        case WarmupCosine(warmup=warmup, end=end):
            return optax.warmup_cosine_decay_schedule(
                0.0, part.rate, warmup * batches, whole, end * part.rate
            )
        case Stairs(every=every, factor=factor):
            steps = min(every, epochs) * batches  # optax counts in int32
            return optax.exponential_decay(part.rate, steps, factor, staircase=True)
