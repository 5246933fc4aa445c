"""From what was seen of a module to a graph: nodes for each layer, an edge per tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import Delay, Input, Output, Shape
from spikeport.modules.origins import Origin, origins
from spikeport.modules.parts import Layer, Part, Seen
from spikeport.modules.registry import layer_of, refusal
from spikeport.modules.stateless import flattened
from spikeport.modules.steps import EVERY, Steps, is_neuron
from spikeport.modules.trace import Call, Trace


@dataclass(frozen=True, eq=False)
class Entry:
    """Where an input enters: the call that reads it, and how many axes are the layer's own."""

    call: Call
    axes: int


@dataclass(eq=False)
class Graph:
    """A graph in the making.

    Attributes:
        trace, steps, dt: what it is made from; `leading` are the axes before a neuron's own.
        nodes, edges: of the Network.
        semantics: neuron -> its fields.
        neurons: neuron -> its layer's name.
        shapes: node -> shape of what it sends.
        entries: input -> where it enters.
        notes: sentences for the report.
        speaks: (layer, which call in a step) -> the nodes that send what it hands out.
        read: nodes that something reads in the same step.
        late: (layer, its entry node, what it reads of the step before).
    """

    trace: Trace
    steps: Steps
    dt: float
    leading: int
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: dict[tuple[str, str], None] = field(default_factory=dict)
    semantics: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    neurons: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    speaks: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    late: list[tuple[str, str, Call]] = field(default_factory=list)


def build(trace: Trace, steps: Steps, dt: float) -> Graph:
    """Return the graph of one step.

    Raises:
        GraphError: a layer that cannot be read, or is fed by something that cannot.
    """
    chosen = [call for call in trace.calls if steps.is_read(call)]
    first = next(call for call in chosen if is_neuron(call.module))
    graph = Graph(trace, steps, dt, _rule(first).leading(first.module) or 1)
    for call in chosen:
        if layer_of(call.module) is not None:  # others are refused where something reads them
            _add(graph, call, _rule(call))
    for reader, entry, made in graph.late:
        _add_late(graph, reader, entry, made)
    _add_outputs(graph, chosen)
    return graph


def _rule(call: Call) -> Layer:
    rule = layer_of(call.module)
    if rule is None:
        raise refusal(call.name, call.module)
    return rule


def _add(graph: Graph, call: Call, rule: Layer) -> None:
    """Add one call's nodes and what leads to them."""
    found = [each for tensor in call.inputs for each in origins(graph.trace, tensor, call.name)]
    shape, after = _shapes(graph, call, rule, found)
    kind = type(call.module).__name__
    part = rule.read(call.module, Seen(call.name, kind, shape, after, graph.dt, call.inputs[0]))
    use = graph.steps.place(call)[1]
    prefix = f"{call.name}_{use + 1}" if use else call.name
    names = {suffix: _free(prefix + suffix, graph.nodes) for suffix in part.nodes}
    for suffix, node in part.nodes.items():
        graph.nodes[names[suffix]] = node
    graph.notes += part.notes
    if rule.neuron:
        graph.semantics[names[""]] = part.semantics
        graph.neurons[names[""]] = call.name
    sources = [
        name for origin in found for name in _sources(graph, call, origin, shape, part, names)
    ]
    if part.nodes:
        _enter(graph, sources, names[part.entry])
        for source, target in part.edges:
            graph.edges[names[source], names[target]] = None
        graph.shapes[names[part.exit]] = after
        sources = [names[part.exit]]
    graph.speaks[call.name, use] = sources


def _enter(graph: Graph, sources: list[str], entry: str) -> None:
    for source in sources:
        if (source, entry) in graph.edges:
            raise GraphError(
                f"layer {entry!r} is given the output of {source!r} twice",
                "an edge is there once",
                "double the weights instead",
            )
        graph.edges[source, entry] = None
    graph.read.update(sources)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _shapes(graph: Graph, call: Call, rule: Layer, found: list[Origin]) -> tuple[Shape, Shape]:
    """Return the shapes of what goes in and out, without batch and time.

    Raises:
        GraphError: there is no batch.
    """
    tensor = call.inputs[0]
    axes = rule.leading(call.module)
    if axes is None:
        axes = _leading_of(graph, tensor, found[0])
    elif axes < 0:
        axes += tensor.ndim
    if axes < 1 or tensor.ndim <= axes:
        raise GraphError(
            f"layer {call.name!r} is given a tensor of shape {tuple(tensor.shape)}",
            "no axis is left for the batch" if axes < 1 else "no axis is left for its neurons",
            "give the sample with a batch axis: sample.unsqueeze(0)",
        )
    return tuple(tensor.shape[axes:]), tuple(call.output.shape[axes:])


def _leading_of(graph: Graph, tensor: Any, origin: Origin) -> int:
    """Return the axes before its own of a tensor that comes from a known node."""
    if isinstance(origin.of, Call):
        for name in graph.speaks.get((origin.of.name, graph.steps.place(origin.of)[1]), []):
            own = graph.shapes[name]
            if tuple(tensor.shape[tensor.ndim - len(own) :]) == own:
                return int(tensor.ndim - len(own))
    return graph.leading


def _sources(
    graph: Graph,
    call: Call,
    origin: Origin,
    shape: Shape,
    part: Part,
    names: Mapping[str, str],
) -> list[str]:
    """Return the nodes that one origin stands for, in the shape that the layer takes."""
    if isinstance(origin.of, str):
        _add_input(graph, call, origin.of, shape)
        return [_in_shape(graph, origin.of, shape, call.name)]
    _rule(origin.of)
    step, use = graph.steps.place(origin.of)
    if step in (EVERY, graph.steps.chosen):
        spoken = graph.speaks[origin.of.name, use]
        return [_in_shape(graph, each, shape, call.name) for each in spoken]
    if step != graph.steps.chosen - 1 or not part.nodes:
        raise GraphError(
            f"layer {call.name!r} is given what {origin.of.name!r} made in an earlier step",
            "only weights and neurons can read the step before, and nothing an older one",
            f"let the loop lead through nn.Linear on the last output of {origin.of.name!r}",
        )
    graph.late.append((call.name, names[part.entry], origin.of))
    return []


def _add_input(graph: Graph, call: Call, name: str, shape: Shape) -> None:
    if name in graph.entries:
        return
    graph.entries[name] = Entry(call, len(shape))
    graph.nodes[name] = Input(shape)
    graph.shapes[name] = shape


def _in_shape(graph: Graph, source: str, shape: Shape, reader: str) -> str:
    """Return a node that sends what `source` sends, in another shape if need be."""
    own = graph.shapes[source]
    if own == shape:
        return source
    node = flattened(own, shape)
    if node is None or math.prod(own) != math.prod(shape):
        raise GraphError(
            f"layer {reader!r} takes the shape {shape}, {source!r} sends {own}",
            "between them stands a reshape that is no flattening",
            "use nn.Flatten, or bring the axes before the layer's own to (batch, ...)",
        )
    name = _free(f"{source}_flat", graph.nodes)
    graph.nodes[name], graph.shapes[name] = node, shape
    graph.edges[source, name] = None
    graph.read.add(source)
    return name


def _add_late(graph: Graph, reader: str, entry: str, made: Call) -> None:
    """Add an edge from what a layer made in the step before: a loop, or a delay."""
    for source in graph.speaks[made.name, graph.steps.place(made)[1]]:
        if _reaches(graph, entry, source):
            graph.edges[source, entry] = None
            continue
        name = _free(f"{source}_later", graph.nodes)
        graph.nodes[name] = Delay(np.full(graph.shapes[source], graph.dt))
        graph.shapes[name] = graph.shapes[source]
        graph.edges[source, name] = None
        _enter(graph, [name], entry)
        graph.notes.append(f"{reader} reads {made.name} a step later: a Delay of one step")


def _reaches(graph: Graph, start: str, end: str) -> bool:
    """Does a way along the edges lead from `start` to `end`."""
    seen, front = {start}, [start]
    for name in front:  # grows while it is walked
        for source, target in graph.edges:
            if source == name and target not in seen:
                seen.add(target)
                front.append(target)
    return end in seen


def _add_outputs(graph: Graph, chosen: list[Call]) -> None:
    """Give every layer that nothing reads an Output, in the order of the calls."""
    last = {
        name: None
        for spoken in graph.speaks.values()
        for name in spoken
        if name not in graph.read and name not in graph.entries
    }
    for name in last:
        wanted = "output" if len(last) == 1 else f"output_{name}"
        output = _free(wanted, graph.nodes)
        graph.nodes[output] = Output(graph.shapes[name])
        graph.edges[name, output] = None
    left = {call.name: call for call in chosen if layer_of(call.module) is None}
    for name, call in left.items():
        kind = type(call.module).__name__
        graph.notes.append(f"{name} ({kind}) is left out: nothing that is read depends on it")
