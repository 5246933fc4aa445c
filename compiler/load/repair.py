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

from spikeport.compiler.errors import GraphError, LoadError
from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
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
from spikeport.compiler.passes.infer_shapes import infer_shapes, own_shape, shape_after, starts
from spikeport.compiler.passes.walk import first_arrivals, sources_and_targets

#: Nodes that say what shape they want; the others pass on what they get.
WANTING = (Linear, Affine, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten)
#: How many dimensions the others take; Linear and Affine act on the last of any number.
RANKS: Mapping[type, int] = {Conv1d: 2, Conv2d: 3, SumPool2d: 3, AvgPool2d: 3}


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
        stated: convolutions and Flatten -> the input shape that the file states.

    Returns:
        The network with `repairs` extended, one sentence each. Where every shape fits as it
        stands, nothing is mended.

    Raises:
        GraphError: shapes that do not fit even so.
    """
    reader = _readers(net)
    if _fits_as_it_stands(net):
        return replace(net, repairs=net.repairs + _last_dimension_notes(net, reader))
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


def _fits_as_it_stands(net: Network) -> bool:
    try:
        infer_shapes(net)
    except GraphError:
        return False
    return True


def _last_dimension_notes(net: Network, reader: Mapping[str, str]) -> tuple[str, ...]:
    """Say which Inputs keep dimensions that other files use for time or batch."""
    return tuple(
        f"warning: Input '{name}' of shape {net.nodes[name].shape} is taken as it is, and "
        f"'{reader[name]}' acts on its last dimension; time or batch do not belong into it"
        for name in net.of_type(Input)
        if len(net.nodes[name].shape) > 1
        and isinstance(net.nodes.get(reader.get(name, "")), (Linear, Affine))
    )


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
                if is_neuron(net.nodes[source]) or isinstance(net.nodes[source], (Scale, Delay)):
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
    rank = RANKS.get(type(reader), 1)
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
    if isinstance(node, (Scale, Delay)):
        return _mend_spread(name, node, place.shape)
    if isinstance(node, Flatten):
        return _mend_flatten(name, node, place)
    if isinstance(node, Output):
        return _mend_output(name, node, place.shape)
    return node, []


def _mend_parameters(name: str, node: Any, shape: Shape) -> tuple[Any, list[str]]:
    own = own_shape(node)
    after, why = _settled(own, shape)
    if after == own:
        return node, []
    values = {each.name: getattr(node, each.name) for each in fields(node)}
    wide = {key: _reshaped(value, len(own), after) for key, value in values.items()}
    return replace(node, **wide), [f"neurons '{name}': parameters of shape {own} {why}"]


def _settled(own: Shape, shape: Shape) -> tuple[Shape, str]:
    """Return the shape that values of shape `own` must have for an input, and why.

    Either ones in front are batch, or one value per channel stands for all of its places; the
    latter only where the values could not be those of the last dimension.
    """
    extra = len(own) - len(shape)
    if extra > 0 and set(own[:extra]) == {1} and _broadcasts(own[extra:], shape):
        return own[extra:], f"became {own[extra:]}, without batch"
    per_channel = len(own) == 1 and len(shape) > 1 and own == shape[:1] and own != shape[-1:]
    if per_channel and math.prod(own) > 1:
        return (*own, *(1 for _ in shape[1:])), f"hold for the {own[0]} channels of {shape}"
    return own, ""


def _broadcasts(own: Shape, shape: Shape) -> bool:
    return all(a in (1, b) for a, b in zip(own, shape, strict=True))


def _reshaped(value: Any, rank: int, after: Shape) -> Any:
    """Return a value that spans `rank` dimensions with those of `after`, ones where it had one."""
    if value.size == 1:
        return value
    # The neuron's arrays are views of values that nobody else holds.
    if rank > len(after):
        return np.reshape(value, value.shape[rank - len(after) :])
    return np.reshape(value, (*value.shape, *(1 for _ in after[rank:])))


def _mend_spread(name: str, node: Scale | Delay, shape: Shape) -> tuple[Any, list[str]]:
    word = "scale" if isinstance(node, Scale) else "delay"
    values = getattr(node, word)
    after, why = _settled(values.shape, shape)
    if after == values.shape:
        return node, []
    note = f"{word.capitalize()} '{name}': values of shape {values.shape} {why}"
    return type(node)(np.reshape(values, after)), [note]


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
    return not wants or shape[-1:] == (place.reader.weight.shape[1],)


def check_stated(net: Network, stated: Mapping[str, Shape]) -> None:
    """Refuse a convolution or Flatten whose stated input shape contradicts the inferred one.

    Raises:
        LoadError: names the node and both shapes.
    """
    source_of = {target: source for source, target in net.edges}
    for name, said in stated.items():
        if name not in source_of or not math.prod(said):
            continue
        shape = net.shapes[source_of[name]]
        if isinstance(net.nodes[name], (Conv1d, Conv2d)):
            shape = shape[1:]
            said = said * len(shape) if len(said) == 1 else said
        if said[-len(shape) :] != shape:
            raise LoadError(
                f"node '{name}' says that its input has shape {said}, it gets {shape}",
                fix="correct its input_shape (or input_type), or what is before it",
            )
