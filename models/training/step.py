"""One step of training: forward, backward and update in a single compiled function."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.decode import needs_v
from spikeport.models.training.losses import loss_of
from spikeport.models.training.optimiser import optimiser
from spikeport.models.training.prepare import Prepared
from spikeport.models.training.quantized import Quantized
from spikeport.models.training.regularisers import penalty
from spikeport.models.training.simulator import Trainable
from spikeport.models.training.surrogate import surrogate

Moved = dict[str, Any]
Runner = Trainable | Quantized


@dataclass(frozen=True)
class Told:
    """What a step tells; arrays that may still be computed.

    Attributes:
        loss: penalties included.
        answer: what is decoded, (steps, samples, n).
        activity: share of cells with a spike, of each spiking population in order.
        bad_slopes, bad_values: is a parameter's gradient, or what it became, not finite.
    """

    loss: Any
    answer: Any
    activity: Any
    bad_slopes: Any
    bad_values: Any


jax.tree_util.register_dataclass(
    Told, ["loss", "answer", "activity", "bad_slopes", "bad_values"], []
)


@dataclass(frozen=True, eq=False)
class Compiled:
    """The compiled functions of a training.

    Attributes:
        step: (moved, state, x, labels) -> (moved, state, Told); what it was given is used up.
        answer: (moved, x) -> what is decoded, (steps, samples, n).
        start: coordinates and state of the optimiser before the first step.
        seconds: that compiling took.
        bytes: that a step takes beside what it is given, as XLA says.
    """

    step: Callable[..., Any]
    answer: Callable[..., Any]
    start: tuple[Moved, Any]
    seconds: float
    bytes: int | None


def compiled(given: Prepared, runner: Runner, steps: int, of: Any) -> Compiled:
    """Compile a training for batches of a shape.

    Args:
        given: the training.
        runner: the network, in floats or in integers.
        steps: of a sample.
        of: an array of the type that batches have.
    """
    dtype = given.recipe.precision
    moved = {name: jnp.asarray(each, dtype) for name, each in given.coordinates.start().items()}
    recipe = given.recipe
    method = optimiser(recipe.optimiser, given.coordinates.kinds, given.batches, recipe.epochs)
    state = method.init(moved)
    step, answer = _functions(given, runner, method)
    shaped: Any = jax.ShapeDtypeStruct
    x = shaped((recipe.batch, steps, of.shape[2]), of.dtype)
    labels = shaped((recipe.batch,), np.int32)
    began = time.perf_counter()
    stepping = jax.jit(step, donate_argnums=(0, 1)).lower(moved, state, x, labels).compile()
    answering = jax.jit(answer).lower(moved, x).compile()
    seconds = time.perf_counter() - began
    memory = stepping.memory_analysis()
    taken = None if memory is None else int(memory.temp_size_in_bytes)
    return Compiled(stepping, answering, (moved, state), seconds, taken)


def _functions(
    given: Prepared, runner: Runner, method: Any
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    recipe, output = given.recipe, given.output
    spike = surrogate(recipe.surrogate.name, recipe.surrogate.slope)
    watch = (output,) if given.needs_v else ()
    reads_v, loss = needs_v(recipe.decode), loss_of(recipe.loss)
    hidden = [name for name in given.spiking if name != output]

    def forward(moved: Moved, x: Any) -> Any:
        params = given.coordinates.in_units(moved, jnp)
        inputs = {given.input: x.astype(recipe.precision)}
        return runner.run(params, inputs, spike, watch)

    def answer(moved: Moved, x: Any) -> Any:
        ran = forward(moved, x)
        return ran.v[output] if reads_v else ran.sent[output]

    def objective(moved: Moved, x: Any, labels: Any) -> Any:
        ran = forward(moved, x)
        total = loss(ran.sent[output], ran.v.get(output), labels) + penalty(
            recipe.regularise, {name: ran.sent[name] for name in hidden}, given.trainable.fan_out
        )
        activity = jnp.stack([(ran.sent[name] > 0).mean() for name in given.spiking] or [0.0])
        return total, (ran.v[output] if reads_v else ran.sent[output], activity)

    def step(moved: Moved, state: Any, x: Any, labels: Any) -> Any:
        whole = jax.value_and_grad(objective, has_aux=True)(moved, x, labels)
        (total, (decoded, activity)), slopes = whole
        updates, state = method.update(slopes, state, moved)
        moved = given.coordinates.held(optax.apply_updates(moved, updates), jnp)
        return moved, state, Told(total, decoded, activity, _bad(slopes), _bad(moved))

    def _bad(arrays: Moved) -> Any:
        return jnp.stack([~jnp.isfinite(arrays[name]).all() for name in given.coordinates.kinds])

    return step, answer


def on_device(moved: dict[str, Array], leaves: tuple[Array, ...], start: tuple[Moved, Any]) -> Any:
    """Return coordinates and optimiser state out of a checkpoint, in the structure of `start`.

    Raises:
        ValueError: they are of another structure.
    """
    structure = jax.tree.structure(start[1])
    before = [(each.shape, each.dtype) for each in jax.tree.leaves(start)]
    placed = ({name: jnp.asarray(moved[name]) for name in start[0]},
              jax.tree.unflatten(structure, [jnp.asarray(each) for each in leaves]))  # fmt: skip
    if [(each.shape, each.dtype) for each in jax.tree.leaves(placed)] != before:
        raise ValueError("arrays of other shapes or types")
    return placed
