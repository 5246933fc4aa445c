"""The reference simulator that trains: the same steps as the NumPy reference, under JAX.

Populations are taken in topological order. What no loop holds together is not stepped together: a
layer's input of all steps is one matrix product, and only its neurons are scanned over time.
Populations in a loop are scanned together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

import spikeport.models.neurons  # noqa: F401 - registers the steps
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.network import Delay, Network, is_neuron
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.passes.walk import loop_numbers
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import require_dt
from spikeport.models.neurons.spiking import Spiking
from spikeport.models.training.lag import late, whole_steps
from spikeport.models.training.operators import LEARNED, apply, bias_of
from spikeport.models.training.wiring import BiasRoute, Route, routes_of

#: Parameters of neurons that are no number to be learned by descent.
FIXED = ("v_reset",)


@dataclass(frozen=True, eq=False)
class Ran:
    """What happened; arrays (steps, samples, n) of JAX.

    Attributes:
        sent: population -> what it sent: spikes or counts as floats, v where it is analog.
        v: population -> v after reset, for those that were watched.
    """

    sent: Mapping[str, Any]
    v: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Trainable:
    """A network whose parameters can be learned; see `trainable`.

    Attributes:
        net: flat, with shapes and semantics.
        clocked: the same under its clock.
        routes, biases: what leads into each population.
        initial: `NODE.field` -> array in the network's own units, float64; all that can be learned.
    """

    net: Network
    clocked: Clocked
    routes: Sequence[Route]
    biases: Sequence[BiasRoute]
    initial: Mapping[str, Array]

    @property
    def output(self) -> str:
        """The population that is decoded."""
        return self.clocked.output

    @property
    def populations(self) -> dict[str, int]:
        """Population with state -> number of neurons."""
        return {name: self.clocked.populations[name].size for name in self.clocked.neurons}

    @cached_property
    def fan_out(self) -> dict[str, Array]:
        """Population -> synapses that one spike of each neuron meets, (n,)."""
        found = {
            name: np.zeros(pop.size)
            for name, pop in self.clocked.populations.items()
            if pop.kind != "constant"
        }
        for each in self.clocked.projections:
            if each.pre in found:
                found[each.pre] += np.asarray((each.matrix != 0).sum(axis=0)).ravel()
        return found

    @cached_property
    def stages(self) -> list[list[str]]:
        """Populations with state, those of one loop together, in topological order."""
        names = self.clocked.neurons
        pairs = tuple((r.pre, r.post) for r in self.routes if r.pre in names)
        parts = loop_numbers(names, pairs)
        groups: dict[int, list[str]] = {}
        for name in names:
            groups.setdefault(parts[name], []).append(name)
        done: set[str] = set()
        ordered: list[list[str]] = []
        waiting = list(groups.values())
        while waiting:
            ready = next(
                group
                for group in waiting
                if all(pre in done or pre in group for pre, post in pairs if post in group)
            )
            waiting.remove(ready)
            done |= set(ready)
            ordered.append(ready)
        return ordered

    def run(
        self,
        params: Mapping[str, Any],
        inputs: Mapping[str, Any],
        spiking: Spiking,
        watch: Sequence[str] = (),
    ) -> Ran:
        """Run the network from its initial state; pure, so it can be compiled and differentiated.

        Args:
            params: `NODE.field` -> JAX array in the network's own units; what is not named keeps
                its value.
            inputs: input -> (samples, steps, n), spikes, counts or real values; their type is the
                type of all that is computed.
            spiking: how v becomes spikes, see `surrogate`.
            watch: populations whose v is wanted.
        """
        return Run(self, params, inputs, spiking, watch).result()

    def network(self, params: Mapping[str, Any]) -> Network:
        """Return the network with these parameters, float32 as NIR files hold them.

        Delays are the whole steps that they were trained as.
        """
        nodes, dt = dict(self.net.nodes), require_dt(self.net.semantics)
        for name, given in _by_node(params).items():
            if isinstance(nodes[name], Delay):
                given = {"delay": whole_steps(np.asarray(given["delay"], np.float64) / dt) * dt}
            values = {
                field: np.asarray(np.asarray(value, np.float32), np.float64)
                for field, value in given.items()
            }
            nodes[name] = replace(nodes[name], **values)
        return replace(self.net, nodes=nodes)


def trainable(net: Network) -> Trainable:
    """Return a network as the trainer runs it.

    Args:
        net: with semantics and dt, as `load` returns it.

    Raises:
        GraphError: a loop without neurons keeps a value in a Delay.
        SemanticsError: dt is missing.
    """
    flat = infer_shapes(flatten_graphs(net))
    clocked = to_clocked(net)
    routes, biases = routes_of(flat, clocked)
    found = {
        f"{name}.{field}": _dense(getattr(node, field))
        for name, node in flat.nodes.items()
        for field in learned_fields(node)
    }
    return Trainable(flat, clocked, tuple(routes), tuple(biases), found)


def learned_fields(node: Any) -> tuple[str, ...]:
    """Return the fields of a node that can be learned."""
    if is_neuron(node):
        return tuple(each.name for each in fields(node) if each.name not in FIXED)
    return LEARNED.get(type(node), ())


def _dense(value: Any) -> Array:
    return np.array(value.toarray() if hasattr(value, "toarray") else value, np.float64)


def _by_node(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, value in params.items():
        node, _, field = key.rpartition(".")
        found.setdefault(node, {})[field] = value
    return found


class Run:
    """One run while it is traced: what each population sends, filled stage by stage.

    Other arithmetics (`quantized.py`) replace `cell`, `advance` and `into`.
    """

    def __init__(
        self,
        model: Trainable,
        params: Mapping[str, Any],
        inputs: Mapping[str, Any],
        spiking: Spiking,
        watch: Sequence[str],
    ) -> None:
        import jax.numpy as jnp

        self.model, self.spiking, self.watch = model, spiking, watch
        self.given = _by_node(params)
        self.sent = {name: jnp.swapaxes(x, 0, 1) for name, x in inputs.items()}
        self.v: dict[str, Any] = {}
        first = next(iter(self.sent.values()))
        self.steps, self.samples, self.dtype = first.shape[0], first.shape[1], first.dtype
        self.dt = require_dt(model.net.semantics)
        for name in model.net.semantics.nodes.keys() - model.net.nodes.keys():
            raise GraphError(f"the semantics of {name!r} are set, but there is no such neuron")

    def result(self) -> Ran:
        """Run all stages."""
        for members in self.model.stages:
            self._stage(members)
        return Ran(self.sent, self.v)

    def _stage(self, members: list[str]) -> None:
        """Scan the populations of one stage over time."""
        import jax
        import jax.numpy as jnp

        inner = [r for r in self.model.routes if r.pre in members and r.post in members]
        heard = {name: self._from_outside(name, members) for name in members}
        cells = {name: self.cell(name) for name in members}
        depth = max((r.lag + self._longest(r) for r in inner), default=0)
        states = {name: self._start(name, cells[name]) for name in members}
        behind = {
            name: jnp.zeros((depth, self.samples, self.model.clocked.populations[name].size),
                            self.dtype)
            for name in members if inner
        }  # fmt: skip

        def step(carry: Any, arriving: Any) -> Any:
            states, behind = dict(carry[0]), dict(carry[1])
            seen: dict[str, Any] = {}
            for name in members:
                received = arriving[name]
                for route in inner:
                    if route.post == name:
                        received = received + self._around(route, behind, seen)
                state = dict(states[name])
                seen[name] = self.advance(name, cells[name], state, received)
                states[name] = state
            behind = {
                name: jnp.concatenate([kept[1:], seen[name][None]]) if depth else kept
                for name, kept in behind.items()
            }
            shown = {name: self.v_of(name, states[name]) for name in members if name in self.watch}
            return (states, behind), (seen, shown)

        # Not unrolled: XLA then computes the shared terms of the derivatives once for each use.
        _, (sent, v) = jax.lax.scan(step, (states, behind), heard)
        self.sent |= sent
        self.v |= v

    def _start(self, name: str, cell: Any) -> dict[str, Any]:
        import jax.numpy as jnp

        state = STEPS[type(cell)].start(cell, self.samples)
        return {
            key: jnp.asarray(value, jnp.int32 if key == "refractory" else self.dtype)
            for key, value in state.items()
        }

    def _longest(self, route: Route) -> int:
        """Return the longest delay of the nodes on a way inside a loop, in steps."""
        nodes = [self.model.net.nodes[name] for name in route.nodes]
        longest = 0
        for name, node in zip(route.nodes, nodes, strict=True):
            if not hasattr(node, "delay"):
                continue
            if "delay" in self.given.get(name, {}):
                raise GraphError(
                    f"the delay of {name!r} lies in a loop",
                    "delays are learned on ways that close no loop",
                    "leave delays out of what is learned, or move the Delay out of the loop",
                )
            longest += math.floor(float(np.max(node.delay)) / self.dt + 0.5)
        return longest

    def _from_outside(self, name: str, members: Sequence[str]) -> Any:
        """Return what arrives at a population from others, (steps, samples, n)."""
        import jax.numpy as jnp

        size = self.model.clocked.populations[name].size
        total = jnp.zeros((self.steps, self.samples, size), self.dtype)
        for route in self.model.routes:
            if route.post == name and route.pre not in members:
                total = total + late(self.into(route, self.sent[route.pre]), route.lag)
        for bias in self.model.biases:
            if bias.post == name:
                value = self.bias(bias)
                if value is not None:
                    total = total + value
        return total

    def _around(self, route: Route, behind: Mapping[str, Any], seen: Mapping[str, Any]) -> Any:
        """Return what arrives in this step over a way inside a loop, (samples, n)."""
        import jax.numpy as jnp

        delays = [n for n in route.nodes if hasattr(self.model.net.nodes[n], "delay")]
        if not delays:
            sent = behind[route.pre][-route.lag] if route.lag else seen[route.pre]
            return self.into(route, sent[None])[0]
        past = behind[route.pre]
        if route.lag == 0:
            # What is sent later in this step is a step late at least, so any value will do for it.
            now = seen.get(route.pre, jnp.zeros(past.shape[1:], past.dtype))
            past = jnp.concatenate([past, now[None]])
        else:
            past = past[: past.shape[0] - route.lag + 1]
        return self.into(route, past)[-1]

    def into(self, route: Route, sent: Any) -> Any:
        """Return what a way makes of what was sent, (steps, samples, n); its lag is not in it."""
        x = sent.reshape(*sent.shape[:2], *self.model.net.shapes[route.pre])
        for name in route.nodes:
            x = apply(self.model.net.nodes[name], self.given.get(name, {}), x, self.dt)
        return x.reshape(*x.shape[:2], -1)

    def bias(self, bias: BiasRoute) -> Any:
        """Return what a bias adds, (steps, 1, n), or None where there is none."""
        node = self.model.net.nodes[bias.node]
        shape = self.model.net.shapes[bias.node]
        value = bias_of(node, self.given.get(bias.node, {}), shape, self.dtype)
        if value is None:
            return None
        import jax.numpy as jnp

        x = jnp.broadcast_to(value, (self.steps, 1, *value.shape))
        for name in bias.nodes:
            x = apply(self.model.net.nodes[name], self.given.get(name, {}), x, self.dt)
        return late(x.reshape(self.steps, 1, -1), bias.lag)

    def cell(self, name: str) -> Any:
        """Return the per-step parameters of a population, in the type of the run."""
        import jax.numpy as jnp

        given = self.given.get(name, {})
        cell = self.model.clocked.populations[name].cell
        if given:
            node = replace(
                self.model.net.nodes[name],
                **{field: jnp.asarray(value, self.dtype) for field, value in given.items()},
            )
            cell = node.clock(self.model.net.semantics.at(name), self.dt)
        return cast(cell, self.dtype)

    def advance(self, name: str, cell: Any, state: dict[str, Any], received: Any) -> Any:
        """Take one step of a population: replace what is in its state, return what it sends."""
        return STEPS[type(cell)].step(cell, state, received, self.spiking)

    def v_of(self, name: str, state: Mapping[str, Any]) -> Any:
        """Return v in the network's units."""
        return state["v"]


def cast(cell: Any, dtype: Any) -> Any:
    """Return a cell whose float arrays have another type; its integers are int32."""
    changed = {}
    for each in fields(cell):
        value = getattr(cell, each.name)
        if hasattr(value, "astype"):
            changed[each.name] = value.astype(np.int32 if value.dtype.kind in "iu" else dtype)
    return replace(cell, **changed)
