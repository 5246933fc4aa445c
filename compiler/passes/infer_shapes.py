"""Infer the output shape of every node, without batch, in linear time.

nir's own inference is wrong for kernels that are not square and for groups, so this one is
ours. It is strict: whatever a file's author may have meant is settled in `load/repair.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Graph, Input, Network, Output, Shape, is_neuron
from spikeport.compiler.passes.geometry import Misfit, output_shape
from spikeport.compiler.passes.walk import first_arrivals, sources_and_targets

LARGEST_NODE = 1 << 24  # elements of one node's output


def infer_shapes(net: Network) -> Network:
    """Fill `shapes`, and broadcast each neuron's parameters to its population's shape.

    Shapes start at the Inputs, then at neurons that nothing reaches but whose parameters have
    a shape; a node takes the shape of the first source that reaches it, and every other edge
    must agree. Neurons have the shape of their input, so recurrent edges need no order.

    Raises:
        GraphError: shapes do not fit, a node is too large, or its shape cannot be known.

    >>> infer_shapes(Network({"in": Input((3,)), "out": Output((3,))}, (("in", "out"),))).shapes
    {'in': (3,), 'out': (3,)}
    """
    _, targets = sources_and_targets(net.nodes, net.edges)
    shapes: dict[str, Shape] = {}
    entering: dict[str, Shape] = {}
    for name, source in first_arrivals(starts(net.nodes), targets):
        shapes[name] = shape_after(net, name, None if source is None else shapes[source])
        entering[name] = shapes[name if source is None else source]
    _check_all_known(net, shapes)
    for source, target in net.edges:
        if shapes[source] != entering[target]:
            raise _mismatch(net, source, shapes[source], target, entering[target])
    nodes = {
        name: broadcast_parameters(node, shapes[name]) if is_neuron(node) else node
        for name, node in net.nodes.items()
    }
    return replace(net, nodes=nodes, shapes={name: shapes[name] for name in nodes})


def starts(nodes: Mapping[str, Any]) -> list[str]:
    """Return the nodes at which shapes start: Inputs, then neurons that have a shape."""
    inputs = [name for name, node in nodes.items() if isinstance(node, Input)]
    neurons = [name for name, node in nodes.items() if is_neuron(node) and _has_shape(node)]
    return inputs + neurons


def _has_shape(node: Any) -> bool:
    return any(getattr(node, each.name).shape for each in fields(node))


def own_shape(node: Any) -> Shape:
    """Return the shape that a neuron's parameters span, () where all are single values.

    Raises:
        Misfit: the parameters do not describe the same neurons.
    """
    shapes = [getattr(node, each.name).shape for each in fields(node)]
    spanning = [shape for shape in shapes if math.prod(shape) != 1]
    try:
        return np.broadcast_shapes(*spanning)
    except ValueError:
        raise Misfit("its parameters have different shapes", "give each one per neuron") from None


def shape_after(net: Network, name: str, shape: Shape | None) -> Shape:
    """Return the output shape of a node that gets `shape`, None where nothing feeds it.

    Raises:
        GraphError: it cannot take that input, or is too large.
    """
    node = net.nodes[name]
    try:
        after = _shape_of(node, shape)
    except Misfit as misfit:
        kind = getattr(node, "nir_type", type(node).__name__)
        raise GraphError(f"{net.name}: node '{name}' ({kind})", misfit.why, misfit.fix) from None
    if math.prod(after) > LARGEST_NODE:
        raise GraphError(
            f"{net.name}: node '{name}' is too large",
            f"its shape {after} has {math.prod(after)} elements, the limit is {LARGEST_NODE}",
        )
    return after


def _shape_of(node: Any, shape: Shape | None) -> Shape:
    if isinstance(node, Input) or (isinstance(node, Output) and shape is None):
        if shape not in (None, node.shape):
            raise Misfit(f"it has shape {node.shape}, it gets {shape}")
        return tuple(node.shape)
    if isinstance(node, Output):
        if shape != node.shape:
            raise Misfit(f"it has shape {node.shape}, it gets {shape}", f"give it shape {shape}")
        return tuple(node.shape)
    if is_neuron(node):
        return _neuron_shape(own_shape(node), shape)
    if isinstance(node, Graph):
        raise Misfit("nested graphs are opened before shapes are inferred", "flatten_graphs first")
    if shape is None:
        raise Misfit("nothing feeds it", "connect it, or remove it")
    return output_shape(node, shape)


def _neuron_shape(own: Shape, shape: Shape | None) -> Shape:
    if shape is None:
        return own or (1,)
    same_rank = len(own) == len(shape)
    if own and not (same_rank and all(a in (1, b) for a, b in zip(own, shape, strict=True))):
        raise Misfit(
            f"its parameters have shape {own}, it gets {shape}",
            "give each parameter one value, or one per neuron",
        )
    return shape


def _check_all_known(net: Network, shapes: Mapping[str, Shape]) -> None:
    unknown = [name for name in net.nodes if name not in shapes]
    if unknown:
        raise GraphError(
            f"{net.name}: the size of node '{unknown[0]}' cannot be known",
            "no Input leads to it and its parameters are single values",
            f"connect '{unknown[0]}' to something, or remove it",
        )


def _mismatch(net: Network, source: str, sent: Shape, target: str, wanted: Shape) -> GraphError:
    return GraphError(
        f"{net.name}: node '{target}' gets inputs of different shapes",
        f"'{source}' sends {sent}, another node sends {wanted}",
        f"let everything that enters '{target}' have the same shape",
    )


def broadcast_parameters(node: Any, shape: Shape) -> Any:
    """Return the neuron with all parameters of `shape`, as views that need no memory."""
    return replace(
        node, **{each.name: _spread(getattr(node, each.name), shape) for each in fields(node)}
    )


def _spread(value: Array, shape: Shape) -> Array:
    if value.shape == shape:
        return value
    single = value.reshape(()) if value.size == 1 else value
    return np.broadcast_to(single, shape)
