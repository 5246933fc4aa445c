"""Inputs and Outputs without a shape: taken from the nodes around them, where those say it.

Exporters that did not know a shape wrote `[]`, or nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.compiler.errors import SpikeportError
from spikeport.compiler.load.mend import Change, Edit, Place, places
from spikeport.compiler.load.mend_settle import Sent, shape_of
from spikeport.compiler.load.nodes import read_node, stated_input
from spikeport.compiler.load.values import Fields
from spikeport.compiler.network import Graph, Input, Network, Output, Shape, is_neuron
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.geometry import Misfit
from spikeport.compiler.passes.infer_shapes import own_shape, shape_after, starts
from spikeport.compiler.passes.walk import first_arrivals, sources_and_targets

UNKNOWN = np.array([1])


def mend_port_shapes(tree: Mapping[str, Any]) -> list[Change]:
    """Return the changes that give every Input and Output the shape that its neighbours want.

    An Input gets the shape of the first thing behind it that wants one; an Output what it is
    sent. Where neighbours disagree or do not say, there is no change.
    """
    without = [
        (place, name)
        for place in places(tree)
        for name, node in place.nodes.items()
        if node.get("type") in ("Input", "Output") and not all(shape_of(node.get("shape")) or (0,))
    ]
    if not without:
        return []
    try:
        net, stated = _net(tree)
    except SpikeportError:
        return []
    unknown = {place.prefix + name for place, name in without}
    net = _with_inputs(net, stated, unknown)
    sent = Sent(tree, replace(net, shapes=_shapes(net, unknown)))
    found = [(place, name, sent.of(place.prefix, name)) for place, name in without]
    return [_shaped(place, name, shape) for place, name, shape in found if shape]


def _shaped(place: Place, name: str, shape: Shape) -> Change:
    node = place.nodes[name]
    kind = node["type"]
    return Change(
        "fill-shape",
        place.prefix + name,
        f"{kind} whose shape is {list(shape_of(node['shape'])) if 'shape' in node else 'missing'}",
        f"its shape is {list(shape)}",
        "what is behind it takes that" if kind == "Input" else "it is sent that",
        (Edit(place.at(name, "shape"), np.array(shape)),),
        severity="error",
    )


def _net(tree: Mapping[str, Any]) -> tuple[Network, dict[str, Shape]]:
    """Return the flat network, (1,) standing for every shape that is unknown."""
    stated: dict[str, Shape] = {}
    by_prefix = {place.prefix: place for place in places(tree)}

    def graph(prefix: str) -> Graph:
        nodes: dict[str, Any] = {}
        for name, node in by_prefix[prefix].nodes.items():
            kind = str(node.get("type"))
            if kind == "NIRGraph":
                nodes[name] = graph(f"{prefix}{name}.")
                continue
            known = all(shape_of(node.get("shape")) or (0,))
            port = kind in ("Input", "Output")
            values = {**node, "shape": UNKNOWN} if port and not known else node
            fields = Fields(prefix + name, kind, values)
            nodes[name] = read_node(fields)
            stated[prefix + name] = stated_input(fields)
        return Graph(nodes, by_prefix[prefix].edges)

    whole = graph("")
    if any(end not in whole.nodes for edge in whole.edges for end in edge):
        return Network({}, ()), {}
    return flatten_graphs(Network(whole.nodes, whole.edges)), stated


def _with_inputs(net: Network, stated: Mapping[str, Shape], unknown: set[str]) -> Network:
    _, targets = sources_and_targets(net.nodes, net.edges)
    nodes = dict(net.nodes)
    for name in set(net.of_type(Input)) & unknown:
        wanted = _wanted(name, net, targets, stated, unknown)
        nodes.pop(name)
        if wanted:
            nodes[name] = Input(wanted)
    edges = tuple((a, b) for a, b in net.edges if a in nodes and b in nodes)
    return replace(net, nodes=nodes, edges=edges)


def _wanted(
    start: str,
    net: Network,
    targets: Mapping[str, list[str]],
    stated: Mapping[str, Shape],
    unknown: set[str],
) -> Shape:
    """Return the one shape that everything behind an Input wants, () where there is not one."""
    found: set[Shape] = set()
    waiting, seen = deque(targets[start]), {start}
    while waiting:
        name = waiting.popleft()
        if name in seen:
            continue
        seen.add(name)
        node = net.nodes[name]
        shape = () if name in unknown else _wants(node, stated.get(name, ()))
        if shape:
            found.add(shape)
        elif is_neuron(node) or type(node).__name__ in ("Scale", "Delay"):
            waiting.extend(targets[name])  # these pass on the shape that they get
        elif not isinstance(node, Output):
            return ()
    return found.pop() if len(found) == 1 else ()


def _wants(node: Any, stated: Shape) -> Shape:
    """Return the input shape that a node asks for, () where it takes any."""
    if is_neuron(node):
        try:
            return own_shape(node)
        except Misfit:
            return ()
    match type(node).__name__:
        case "Linear" | "Affine":
            return (int(node.weight.shape[1]),)
        case "Conv1d" | "Conv2d" if all(stated or (0,)):
            channels = int(node.weight.shape[1]) * int(node.groups)
            return (channels, *stated[-(node.weight.ndim - 2) :])
        case "Flatten":
            return stated if all(stated or (0,)) else ()
        case "Output":
            return tuple(node.shape)
    return ()


def _shapes(net: Network, unknown: set[str]) -> dict[str, Shape]:
    """Return what nodes send, as far as it can be known; an Output of unknown shape takes any."""
    _, targets = sources_and_targets(net.nodes, net.edges)
    shapes: dict[str, Shape] = {}
    for name, source in first_arrivals(starts(net.nodes), targets):
        got = None if source is None else shapes.get(source)
        if source is not None and got is None:
            continue
        if isinstance(net.nodes[name], Output) and name in unknown:
            shapes[name] = got or ()
            continue
        try:
            shapes[name] = shape_after(net, name, got)
        except SpikeportError:
            continue
    return shapes
