"""Shapes as old tools wrote them, with batch or time in front: mended, and said to be.

Only what has one reading is mended; `infer_shapes` refuses the rest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.network import (
    Affine,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Network,
    Output,
    Scale,
    Shape,
    SumPool2d,
    is_neuron,
)
from spikeport.compiler.passes.geometry import Misfit, output_shape
from spikeport.compiler.passes.infer_shapes import own_shape, shape_after, starts
from spikeport.compiler.passes.walk import first_arrivals, sources_and_targets

#: Nodes that say what shape they want; the others pass on what they get.
WANTING = (Linear, Affine, Conv2d, SumPool2d, Flatten)


@dataclass(frozen=True)
class _Place:
    """Where a node stands: what it gets, what reads it, what its file says it gets."""

    shape: Shape
    reader: Any
    stated: Shape
    batched: bool


def repair_shapes(net: Network, stated: Mapping[str, Shape]) -> Network:
    """Take batch and time dimensions out of shapes, Flatten and parameters.

    Args:
        net: flat.
        stated: Conv2d and Flatten -> the input shape that the file states.

    Returns:
        The network with `repairs` extended, one sentence each.

    Raises:
        GraphError: shapes that do not fit even so.
    """
    reader = _readers(net)
    nodes, notes = dict(net.nodes), list(net.repairs)
    for name in net.of_type(Input):
        nodes[name], note = _mend_input(name, nodes[name], nodes.get(reader.get(name, "")))
        notes += note
    batched = len(notes) > len(net.repairs)
    # One dict, changed on the way: what stands before a node is mended before it is reached.
    mended = replace(net, nodes=nodes)
    _, targets = sources_and_targets(net.nodes, net.edges)
    shapes: dict[str, Shape] = {}
    for name, source in first_arrivals(starts(nodes), targets):
        if source is not None:
            read_by = nodes.get(reader.get(name, ""))
            place = _Place(shapes[source], read_by, stated.get(name, ()), batched)
            nodes[name], note = _mend(name, nodes[name], place)
            notes += note
        shapes[name] = shape_after(mended, name, None if source is None else shapes[source])
    return replace(mended, repairs=tuple(notes))


def _readers(net: Network) -> dict[str, str]:
    """Return node -> the nearest node that wants a definite shape of what it sends.

    Neurons whose parameters have a shape want that shape, where nothing else wants any.
    """
    sources, _ = sources_and_targets(net.nodes, net.edges)
    found: dict[str, str] = {}
    shaped = [name for name in net.neurons if own_shape(net.nodes[name])]
    for wanting in (net.of_type(*WANTING), shaped):
        waiting = deque((name, name) for name in wanting)
        while waiting:
            name, reader = waiting.popleft()
            for source in sources[name]:
                if source in found:
                    continue
                found[source] = reader
                if is_neuron(net.nodes[source]) or isinstance(net.nodes[source], Scale):
                    waiting.append((source, reader))
    return found


def _mend_input(name: str, node: Input, reader: Any) -> tuple[Input, list[str]]:
    shape = _without_batch(tuple(node.shape), reader)
    if shape == node.shape:
        return node, []
    leading = node.shape[: len(node.shape) - len(shape)]
    word = "batch" if set(leading) == {1} else "time or batch"
    note = f"Input '{name}': shape {node.shape} became {shape}, the leading {leading} is {word}"
    return Input(shape), [note]


def _without_batch(shape: Shape, reader: Any) -> Shape:
    """Return `shape` without what stands before the dimensions that its reader takes."""
    if isinstance(reader, Flatten):
        return shape[1:] if len(shape) >= 4 and shape[0] == 1 and reader.start_dim else shape
    if is_neuron(reader):
        own = own_shape(reader)
        return own if len(shape) > len(own) and shape[-len(own) :] == own else shape
    rank = 3 if isinstance(reader, (Conv2d, SumPool2d)) else 1
    if reader is None or len(shape) <= rank:
        return shape
    try:
        output_shape(reader, shape[-rank:])
    except Misfit:
        return shape
    return shape[-rank:]


def _mend(name: str, node: Any, place: _Place) -> tuple[Any, list[str]]:
    if is_neuron(node):
        return _mend_parameters(name, node, place.shape)
    if isinstance(node, Scale):
        return _mend_scale(name, node, place.shape)
    if isinstance(node, Flatten):
        return _mend_flatten(name, node, place)
    if isinstance(node, Output):
        return _mend_output(name, node, place.shape)
    return node, []


def _mend_parameters(name: str, node: Any, shape: Shape) -> tuple[Any, list[str]]:
    own = own_shape(node)
    extra = len(own) - len(shape)
    if extra <= 0 or own[extra:] != shape or set(own[:extra]) != {1}:
        return node, []
    values = {each.name: getattr(node, each.name) for each in fields(node)}
    # The neuron's arrays are views of values that nobody else holds.
    cut = {key: _cut(value, extra) if value.size > 1 else value for key, value in values.items()}
    note = f"neurons '{name}': parameters of shape {own} became {shape}, without batch"
    return replace(node, **cut), [note]


def _cut(value: Any, extra: int) -> Any:
    return np.reshape(value, value.shape[extra:])


def _mend_scale(name: str, node: Scale, shape: Shape) -> tuple[Scale, list[str]]:
    extra = node.scale.ndim - len(shape)
    if extra <= 0 or set(node.scale.shape[:extra]) != {1}:
        return node, []
    note = f"Scale '{name}': shape {node.scale.shape} became {node.scale.shape[extra:]}"
    return Scale(_cut(node.scale, extra)), [note]


def _mend_output(name: str, node: Output, shape: Shape) -> tuple[Output, list[str]]:
    extra = len(node.shape) - len(shape)
    if extra <= 0 or node.shape[extra:] != shape:
        return node, []
    return Output(shape), [f"Output '{name}': shape {node.shape} became {shape}, without batch"]


def _mend_flatten(name: str, node: Flatten, place: _Place) -> tuple[Flatten, list[str]]:
    """Count a Flatten's dimensions without batch, where that is what makes it fit."""
    end = node.end_dim - 1 if node.end_dim > 0 else node.end_dim
    shifted = Flatten(max(0, node.start_dim - 1) if node.start_dim > 0 else node.start_dim, end)
    with_batch = len(place.stated) > len(place.shape) or (place.batched and not place.stated)
    choices = [shifted, node] if with_batch else [node, shifted]
    if node.start_dim == 1 and node.end_dim == -1:  # torch's default, which means "all but batch"
        choices.append(Flatten(0, -1))
    chosen = next((each for each in choices if _fits(each, place)), node)
    if (chosen.start_dim, chosen.end_dim) == (node.start_dim, node.end_dim):
        return node, []
    note = (
        f"Flatten '{name}': dimensions {node.start_dim} to {node.end_dim} became "
        f"{chosen.start_dim} to {chosen.end_dim}, its input {place.shape} has no batch dimension"
    )
    return chosen, [note]


def _fits(node: Flatten, place: _Place) -> bool:
    try:
        shape = output_shape(node, place.shape)
    except Misfit:
        return False
    wants = isinstance(place.reader, (Linear, Affine))
    return not wants or shape == (place.reader.weight.shape[1],)


def check_stated(net: Network, stated: Mapping[str, Shape]) -> None:
    """Refuse a Conv2d or Flatten whose stated input shape contradicts the inferred one.

    Raises:
        LoadError: names the node and both shapes.
    """
    source_of = {target: source for source, target in net.edges}
    for name, said in stated.items():
        if name not in source_of or not math.prod(said):
            continue
        shape = net.shapes[source_of[name]]
        if isinstance(net.nodes[name], Conv2d):
            shape = shape[1:]
            said = said * 2 if len(said) == 1 else said
        if said[-len(shape) :] != shape:
            raise LoadError(
                f"node '{name}' says that its input has shape {said}, it gets {shape}",
                fix="correct its input_shape (or input_type), or what is before it",
            )
