"""Training in a chip's own integers: quantization-aware training.

Forward, every population takes the integer step that the emulator's specification takes, on weight
mantissas, decay fields and threshold mantissas that are rounded from the parameters. Backward,
rounding counts as the identity (straight-through, Bengio et al. 2013, arXiv 1308.3432) and the
integer step as the float step at the same state.

What does not change while it trains comes from a Program that the quantizer made: the scale of
each population, the exponent and the bits of each list of weights. The trained network carries the
scales (`compiler/trained.py`), so the quantizer makes the very same integers of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from spikeport.compiler.clocked import Clocked, Membrane, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.network import AvgPool2d, Scale, SumPool2d
from spikeport.compiler.pipeline import NORMAL_FORM
from spikeport.compiler.program import Cell, Program
from spikeport.models.neurons.spiking import EXACT, Spiking
from spikeport.models.training.held import (
    Held,
    as_it_is,
    factor_of,
    gain_of,
    held_bias,
    held_weights,
)
from spikeport.models.training.lag import late
from spikeport.models.training.operators import apply, bias_of
from spikeport.models.training.simulator import Ran, Run, Trainable, cast
from spikeport.models.training.wiring import BiasRoute, Route

EXACT_FLOAT32 = 1 << 24  # sums of integers below it are exact in float32, in any order
LEVELS = ("tau", "tau_mem", "tau_syn", "v_threshold")  # of neurons, that may be learned here


@dataclass(frozen=True, eq=False)
class Quantized:
    """A network in the integers of a chip, for training; see `quantized`.

    Attributes:
        model: in floats.
        clocked: in the chip's normal form, not retimed.
        program: the quantizer's, whose scales and exponents hold.
        routes, biases: how the weights of each way are held.
        fixed: population -> (delay, weight units (n,)) of what no parameter moves.
    """

    model: Trainable
    clocked: Clocked
    program: Program
    routes: Mapping[Route, Held]
    biases: Mapping[BiasRoute, Held]
    fixed: Mapping[str, Sequence[tuple[int, Array]]]

    def run(
        self,
        params: Mapping[str, Any],
        inputs: Mapping[str, Any],
        spiking: Spiking,
        watch: Sequence[str] = (),
    ) -> Ran:
        """Run in integers; as `Trainable.run`, under 64-bit JAX (`jax.enable_x64`)."""
        return IntegerRun(self, params, inputs, spiking, watch).result()

    def snapped(self, params: Mapping[str, Any]) -> dict[str, Array]:
        """Return the parameters at the values that their integers stand for, float64."""
        import jax.numpy as jnp

        inputs = {name: jnp.zeros((1, 1, self.clocked.populations[name].size), jnp.float64)
                  for name in self.clocked.inputs}  # fmt: skip
        as_arrays = {key: jnp.asarray(value, jnp.float64) for key, value in params.items()}
        run = IntegerRun(self, as_arrays, inputs, EXACT, ())
        return {key: np.asarray(value) for key, value in run.snapped(as_arrays).items()}


def quantized(model: Trainable, program: Program, learned: Sequence[str]) -> Quantized:
    """Return a network in the integers of a Program, for training.

    Args:
        model: the network that the Program was made of.
        program: with plain lists of weights: one exponent each, not split.
        learned: `NODE.field` of what will be learned.

    Raises:
        LoweringError: the Program does something that cannot be trained through.
    """
    clocked = model.clocked
    for step in NORMAL_FORM:
        clocked = step(clocked)
    for name in clocked.neurons:
        cell = program.populations[name].cell
        if not isinstance(cell, Cell) or cell.message_bits or cell.bias_mantissa.any():
            raise LoweringError(
                f"{name!r} cannot be trained in integers",
                "that is for neurons of the integrate-and-fire family that send spikes, without "
                "bias registers or graded messages",
                "train in floats: leave out quantize",
            )
        if getattr(model.clocked.populations[name].cell, "current_order", "") == "v_decay_add":
            raise LoweringError(
                f"{name!r} hears what arrives a step late (current_order=v_decay_add)",
                "the trainer in integers takes the order of chips: decay, add, then v",
                "train in floats: leave out quantize",
            )
    for key in learned:
        _check_learned(model, key)
    if program.host:
        raise LoweringError(
            "real-valued inputs cannot be trained on in integers",
            "the host computes their first layer",
            "encode them as spikes: encoder: bernoulli",
        )
    taken: set[str] = set()
    routes: dict[Route, Held] = {}
    for route in model.routes:
        own = [p for p in clocked.projections if _is_on(p, route)]
        taken |= {each.name for each in own}
        routes[route] = held_weights(model, program, clocked, route, own, learned)
    biases: dict[BiasRoute, Held] = {}
    for bias in model.biases:
        own = [p for p in clocked.projections if p.post == bias.post and _is_bias(model, p, bias)]
        if not own and f"{bias.node}.bias" not in learned:
            continue
        taken |= {each.name for each in own}
        if f"{bias.node}.bias" not in learned:
            factor = factor_of(model, bias.nodes)
            biases[bias] = as_it_is(program, clocked, own, factor)
            continue
        beside = [held for route, held in routes.items() if route.post == bias.post]
        biases[bias] = held_bias(model, program, bias, own, beside)
    fixed: dict[str, list[tuple[int, Array]]] = {}
    for each in clocked.projections:
        if each.name in taken:
            continue
        if clocked.populations[each.pre].kind != "constant":
            raise LoweringError(
                f"the projection {each.name!r} is not one of the trainer's ways",
                "several nodes were folded into its weights",
                "train in floats: leave out quantize",
            )
        kept = as_it_is(program, clocked, [each], 1.0)
        column = _array(each.matrix)[:, 0] * gain_of(program, clocked, each.post)
        column = np.clip(np.rint(column / kept.unit), -kept.most, kept.most) * kept.unit
        fixed.setdefault(each.post, []).append((each.delay, column))
    return Quantized(model, clocked, program, routes, biases, fixed)


def _check_learned(model: Trainable, key: str) -> None:
    node, _, field = key.rpartition(".")
    if node in model.clocked.populations:
        cell: Any = model.clocked.populations[node].cell
        plain = isinstance(cell, Membrane) and cell.threshold == "greater"
        if plain and cell.current_order == "decay_add_v" and field in LEVELS:
            return
    elif field in ("weight", "bias"):
        return
    raise LoweringError(
        f"{key} cannot be learned in integers",
        f"weights and biases can, and {', '.join(LEVELS)} of neurons that spike above (>) their "
        "threshold and whose current decays first",
        "leave it out of learn, or train it in floats before",
    )


def _is_on(projection: Projection, route: Route) -> bool:
    """Is a projection this way, or a part of it with one of its delays."""
    if (projection.pre, projection.post) != (route.pre, route.post):
        return False
    label = "+".join(route.nodes)
    return not route.nodes or projection.name == label or projection.name.startswith(f"{label} (")


def _is_bias(model: Trainable, projection: Projection, bias: BiasRoute) -> bool:
    chain = (bias.node, *bias.nodes)
    name = projection.name.partition(".bias")[0]
    of_routes = ("+".join(r.nodes) for r in model.routes
                 if r.post == bias.post and r.nodes[-len(chain):] == chain)  # fmt: skip
    return ".bias" in projection.name and any(name.partition(" (")[0] == each for each in of_routes)


def through(rounded: Any, smooth: Any) -> Any:
    """Return the value of `rounded` with the derivative of `smooth`."""
    import jax

    return smooth + jax.lax.stop_gradient(rounded - smooth)


class IntegerRun(Run):
    """One run in integers while it is traced.

    What arrives is held in floats, which are whole: sums below 2^24 are exact. The state holds the
    integers and, beside them, the floats that they stand for, along which derivatives go.
    """

    def __init__(
        self,
        held: Quantized,
        params: Mapping[str, Any],
        inputs: Mapping[str, Any],
        spiking: Spiking,
        watch: Sequence[str],
    ) -> None:
        super().__init__(held.model, params, inputs, spiking, watch)
        self.held = held
        self.shift = held.program.arithmetic.weight_shift
        self.cells = {name: self._cell(name) for name in held.clocked.neurons}

    def cell(self, name: str) -> Any:
        """Return (float cell, integer cell, weight units per unit of what arrives)."""
        return self.cells[name]

    def _cell(self, name: str) -> tuple[Any, Any, Any]:
        import jax.numpy as jnp

        integer: Any = self.held.program.populations[name].cell
        cell: Any = self.held.clocked.populations[name].cell
        full = self.held.program.populations[name].scale
        scale = full / (1 << self.shift)
        changed: dict[str, Any] = {}
        if self.given.get(name):
            said = super().cell(name)
            for field in ("gain_u", "keep_u", "gain_v", "keep_v"):
                changed[field] = getattr(said, field)
            changed["v_threshold"] = said.v_threshold - cell.v_offset
            integer, changed = self._rounded(integer, cell, changed, scale)
            cell = replace(cell, **changed)
        gain = jnp.asarray(cell.gain_u * cell.gain_v * scale)
        return cast(cell, self.dtype), integer, gain

    def _rounded(self, integer: Any, cell: Any, exact: dict[str, Any], scale: Array) -> Any:
        """Return the integer cell of traced parameters, and the floats that it stands for."""
        import jax.numpy as jnp

        bits = self.held.program.arithmetic.decay_bits
        unity = float(1 << bits)
        decay_v = jnp.rint((1.0 - exact["keep_v"]) * unity)
        decay_u = jnp.rint((1.0 - exact["keep_u"]) * unity) - 1
        theta = jnp.rint(exact["v_threshold"] * scale)
        changed = exact | {
            "keep_v": through(1.0 - decay_v / unity, exact["keep_v"]),
            "v_threshold": through(theta / scale, exact["v_threshold"]),
        }
        values = {each.name: getattr(integer, each.name) for each in fields(integer)}
        values |= {"decay_v": decay_v.astype(np.int64), "largest_message": integer.largest_message}
        if cell.spiking:
            values["v_threshold"] = theta.astype(np.int64)
        if cell.has_current:
            values["decay_u"] = decay_u.astype(np.int64)
            changed["keep_u"] = through(1.0 - (decay_u + 1) / unity, exact["keep_u"])
        return SimpleNamespace(**values), changed

    def _start(self, name: str, cell: Any) -> dict[str, Any]:
        import jax.numpy as jnp

        program = self.held.program
        started = STEPS[Cell].start(program.populations[name].cell, self.samples)
        integers = {key: jnp.asarray(value, jnp.int64) for key, value in started.items()}
        floats = super()._start(name, cell[0])
        return {"integers": integers, "floats": self._stood_for(name, cell[0], integers, floats)}

    def _stood_for(self, name: str, cell: Any, integers: Any, floats: Any) -> dict[str, Any]:
        """Return the floats that integers stand for, with the derivatives of `floats`."""
        full = self.held.program.populations[name].scale
        unit_u = full * cell.gain_v
        v = (integers["v"] / full).astype(self.dtype)
        u = (integers["u"] / unit_u).astype(self.dtype)
        found = {"u": through(u, floats["u"]), "v": through(v, floats["v"])}
        found["refractory"] = integers["refractory"].astype("int32")
        found["pending"] = through(integers["pending"].astype(self.dtype), floats["pending"])
        return found

    def advance(self, name: str, cell: Any, state: dict[str, Any], received: Any) -> Any:
        """Take the integer step, and the float step beside it."""
        import jax

        floating, integer, gain = cell
        floats = dict(state["floats"])
        sent = STEPS[type(floating)].step(
            floating, floats, (received / gain).astype(self.dtype), self.spiking
        )
        integers = dict(state["integers"])
        whole = jax.lax.stop_gradient(received).astype("int64")
        arithmetic = self.held.program.arithmetic
        spikes, _ = STEPS[Cell].step(integer, arithmetic, integers, whole, np.int64(0))
        state["integers"] = integers
        state["floats"] = self._stood_for(name, floating, integers, floats)
        if not floating.spiking:
            return state["floats"]["v"]
        return through(spikes.astype(self.dtype), sent)

    def v_of(self, name: str, state: Mapping[str, Any]) -> Any:
        """Return v in the network's units, from its integers."""
        return state["floats"]["v"] + self.held.program.populations[name].offset

    def _from_outside(self, name: str, members: Sequence[str]) -> Any:
        import jax.numpy as jnp

        total = super()._from_outside(name, members)
        for delay, column in self.held.fixed.get(name, ()):
            lasting = np.arange(self.steps) >= delay
            total = total + jnp.asarray(lasting[:, None, None] * column, self.dtype)
        return total

    def weight(self, held: Held, value: Any, post: str, is_kernel: bool) -> Any:
        """Return weights in whole weight units, (post, ...), with straight-through derivatives."""
        import jax.numpy as jnp

        gain = self.cells[post][2] * held.factor
        if is_kernel:  # neurons of one channel share a scale
            gain = gain.reshape(value.shape[0], -1)[:, 0]
        exact = value * gain.reshape(-1, *[1] * (value.ndim - 1)) / held.unit
        steps = jnp.clip(jnp.rint(exact), -held.most, held.most)
        return through(steps, exact) * held.unit

    def into(self, route: Route, sent: Any) -> Any:
        """Return what arrives over a way in weight units: whole numbers."""
        import jax.numpy as jnp

        held, net = self.held.routes[route], self.model.net
        x = sent.reshape(*sent.shape[:2], *net.shapes[route.pre])
        weighted = False
        for name in route.nodes:
            node, given = net.nodes[name], self.given.get(name, {})
            if isinstance(node, Scale):
                continue
            if hasattr(node, "weight"):
                dense = given.get("weight", _array(node.weight))
                kernel = self.weight(held, jnp.asarray(dense), route.post, dense.ndim > 2)
                x, weighted = apply(node, {"weight": kernel}, x, self.dt), True
            elif isinstance(node, AvgPool2d):
                x = apply(SumPool2d(node.kernel_size, node.stride, node.padding), {}, x, self.dt)
            else:
                x = apply(node, {}, x, self.dt)
        x = x.reshape(*x.shape[:2], -1)
        if weighted:
            return x
        return x * self.weight(held, jnp.ones(x.shape[2]), route.post, False).astype(self.dtype)

    def bias(self, bias: BiasRoute) -> Any:
        """Return what a bias adds in weight units."""
        import jax.numpy as jnp

        held = self.held.biases.get(bias)
        if held is None:
            return None
        net = self.model.net
        given = self.given.get(bias.node, {})
        shape = net.shapes[bias.node]
        value = bias_of(net.nodes[bias.node], given, shape, jnp.float64)
        if value is None:
            return None
        if any(isinstance(net.nodes[n], (SumPool2d, AvgPool2d)) or hasattr(net.nodes[n], "weight")
               for n in bias.nodes):  # fmt: skip
            raise LoweringError(
                f"the bias of {bias.node!r} passes through weights or a pool",
                "the trainer rounds biases where they end",
                "put a neuron between them, or train in floats: leave out quantize",
            )
        column = self.weight(held, value.reshape(-1), bias.post, False)
        x = jnp.broadcast_to(column.astype(self.dtype), (self.steps, 1, column.size))
        return late(x, bias.lag)

    def snapped(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters at the values that their integers stand for."""
        found = dict(params)
        for route, held in self.held.routes.items():
            for name in route.nodes:
                key = f"{name}.weight"
                if key in found:
                    found[key] = self._back(held, found[key], route.post, found[key].ndim > 2)
        for bias, held in self.held.biases.items():
            key = f"{bias.node}.bias"
            if key in found:
                found[key] = self._back(held, found[key], bias.post, True)
        return found

    def _back(self, held: Held, value: Any, post: str, is_kernel: bool) -> Any:
        gain = self.cells[post][2] * held.factor
        each = gain.reshape(value.shape[0], -1)[:, 0] if is_kernel else gain
        whole = self.weight(held, value, post, is_kernel)
        return whole / each.reshape(-1, *[1] * (value.ndim - 1))


def _array(weight: Any) -> Array:
    return np.asarray(weight.toarray() if hasattr(weight, "toarray") else weight)
