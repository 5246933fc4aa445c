"""Run a network under JAX and where it will run later: are they the same in every spike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import spikeport as sp
from spikeport.backends import reference
from spikeport.compiler.network import Input, Network
from spikeport.compiler.quantize.recipe import Recipe, parse_wish
from spikeport.models.training.integers import InIntegers
from spikeport.models.training.quantized import LEVELS, Quantized, quantized
from spikeport.models.training.simulator import Ran, Trainable, trainable
from spikeport.models.training.surrogate import surrogate

Array = np.ndarray[Any, Any]
RELATIVE = 1e-12  # of the largest value: matrices are multiplied in another order


def flat(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return inputs as (samples, steps, n)."""
    return {name: x.reshape(*x.shape[:2], -1) for name, x in inputs.items()}


def run_jax(
    model: Trainable | Quantized, params: Mapping[str, Any], inputs: Mapping[str, Array],
    dtype: Any = np.float64,
) -> Ran:  # fmt: skip
    """Return a run under JAX, compiled as one, with v of every population; its arrays NumPy's."""
    watch = model.clocked.neurons

    def run(params: Any, inputs: Any) -> Any:
        ran = model.run(params, inputs, surrogate(), watch)
        return ran.sent, ran.v

    with jax.enable_x64(True):
        given = {name: np.asarray(x, dtype) for name, x in flat(inputs).items()}
        sent, v = jax.jit(run)(dict(params), given)
        return Ran(_outside(sent), _outside(v))


def _outside(found: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.swapaxes(np.asarray(x), 0, 1) for name, x in found.items()}


def unlike_reference(net: Network, inputs: Mapping[str, Array]) -> list[str]:
    """Return how a run under JAX differs from the NumPy reference: spikes exactly, v by rounding.

    Args:
        net: with semantics.
        inputs: input -> (samples, steps, *shape).
    """
    model = trainable(net)
    keys = [f"{name}.v" for name in model.clocked.neurons]
    expected = reference.run(model.clocked, flat(inputs), probe=keys)
    got = run_jax(model, {}, inputs)
    wrong = []
    for name in model.clocked.neurons:
        if name in expected.spikes:
            wrong += unequal(f"spikes of {name!r}", expected.spikes[name].dense(), got.sent[name])
        v = expected.probes[f"{name}.v"]
        error = float(np.abs(got.v[name] - v).max(initial=0.0))
        if not error <= RELATIVE * np.abs(v).max(initial=0.0):
            wrong.append(f"v of {name!r} differs by {error:g}")
    return wrong


def unequal(what: str, expected: Array, got: Array) -> list[str]:
    """Return a sentence where two arrays differ, [] where they do not."""
    if expected.shape != got.shape:
        return [f"{what}: {got.shape} instead of {expected.shape}"]
    differ = np.argwhere(expected != got)
    if not len(differ):
        return []
    at = tuple(int(k) for k in differ[0])
    return [
        f"{what} in sample, step, neuron {at}: {got[at]}, not {expected[at]} "
        f"({len(differ)} of {got.size} differ)"
    ]


@dataclass(frozen=True, eq=False)
class Deployed:
    """A network that was moved about in a chip's integers, and what came of it.

    Attributes:
        ran: what the trainer's integers did.
        net: the network on the chip's grid, written and read again.
        spikes: of all populations that send spikes.
        different: sentences, one per population whose spikes on the emulator differ.
    """

    ran: Ran
    net: Network
    spikes: int
    different: list[str]


def learned_in_integers(model: Trainable) -> list[str]:
    """Return what may be learned in integers, of a network."""
    return [key for key in model.initial if key.endswith((".weight", ".bias"))]


def moved(model: Trainable, learned: Sequence[str], rng: np.random.Generator) -> dict[str, Array]:
    """Return parameters some way from where they were, float32, as a training leaves them."""
    params = {}
    for key in learned:
        value = model.initial[key]
        near = value * (1 + 0.1 * rng.standard_normal(value.shape))
        if key.rpartition(".")[2] not in LEVELS:
            near = near + 0.02 * np.abs(value).mean() * rng.standard_normal(value.shape)
        params[key] = near.astype(np.float32)
    return params


def deploy_from_integers(
    net: Network,
    chip: str,
    inputs: Mapping[str, Array],
    rng: np.random.Generator,
    path: Path,
    bits: str = "",
    learned: Sequence[str] | None = None,
) -> Deployed:
    """Move a network's parameters at random in a chip's integers, and run it on the chip.

    All the way of a training: what the quantizer makes of the network says how integers are held;
    the parameters move; the network that comes out is written, read and compiled without a word.

    Args:
        net: with semantics.
        chip: name.
        inputs: input -> (samples, steps, *shape), spikes.
        rng: of the moves.
        path: of the file that the network passes through.
        bits: of weights, as a recipe of the quantizer says it; "" for its own.
        learned: `NODE.field`; by default weights and biases.

    Raises:
        SpikeportError: the chip, or the trainer in integers, does not take the network.
    """
    recipe = Recipe({"": parse_wish(bits)}, scales="population") if bits else None
    model = trainable(net)
    learned = learned_in_integers(model) if learned is None else learned
    data = {f"x.{name}": x for name, x in inputs.items()}
    image = sp.compile(net, chip, calibration=data, recipe=recipe)
    held = quantized(model, image.program, learned)
    params = moved(model, learned, rng)
    ran = run_jax(held, params, inputs, np.float32)
    with jax.enable_x64(True):
        final = InIntegers(held, image.chip.name).network(params)
    path.unlink(missing_ok=True)
    sp.write(final, path)
    again = sp.load(path)
    traces = sp.run(sp.compile(again, chip, calibration=data), data)
    wrong, spikes = [], 0
    for name in model.clocked.neurons:
        if name in traces.spikes:
            spikes += int(traces.window(name).sum())
            wrong += unequal(f"spikes of {name!r}", traces.window(name), ran.sent[name])
    return Deployed(ran, again, spikes, wrong)


def spikes_for(
    net: Network, rng: np.random.Generator, rate: float = 0.3, samples: int = 3, steps: int = 20
) -> dict[str, Array]:
    """Return random spikes for every input of a network."""
    shapes = {name: net.nodes[name].shape for name in net.of_type(Input)}
    return {
        name: (rng.random((samples, steps, math.prod(shape))) < rate)
        .reshape(samples, steps, *shape)
        .astype(np.uint8)
        for name, shape in shapes.items()
    }
