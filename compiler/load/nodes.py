"""One node of a NIR file: from its fields, as read, to one of our nodes.

Only fields that the node's type has are used. Numbers become float64 and must be finite. Neuron
types are those that somebody registered: `spikeport.models.neurons` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from typing import Any

import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.kinds import NEURONS
from spikeport.compiler.load.conv import read_conv1d, read_conv2d
from spikeport.compiler.load.extension import is_standard
from spikeport.compiler.load.values import Fields, above_zero, integer, integers, number, pair
from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Output,
    Scale,
    Shape,
    SumPool2d,
)

LARGEST_SHAPE = 1 << 24  # elements
LARGEST_KERNEL = 1 << 16  # a pool's window along one axis
LONGEST_WAIT = 1e9  # seconds
#: NIR type -> the field in which it states the shape of its input.
STATING = {"Conv1d": "input_shape", "Conv2d": "input_shape", "Flatten": "input_type"}
#: Fields that NIR or its older versions write beside a node's own.
BESIDE = ("type", "metadata", "input_type", "output_type", "input_shape", "shape")


def read_node(fields: Fields) -> Any:
    """Return the node that `fields` describe.

    Raises:
        LoadError: unknown type, or a field that is missing or impossible.
    """
    if is_standard(fields.type):
        return _read_neuron(fields)
    if fields.type in READERS:
        return READERS[fields.type][0](fields)
    raise LoadError(
        f"node '{fields.node}' has the unknown type '{fields.type[:60]}'",
        f"types that are read: {', '.join((*READERS, *filter(is_standard, NEURONS), 'NIRGraph'))}",
        "check the spelling, or replace the node",
    )


def fields_used(node_type: str) -> tuple[str, ...]:
    """Return the names of the fields that are read of a type; none for unknown types."""
    if is_standard(node_type):
        return tuple(each.name for each in fields_of(NEURONS[node_type]))
    return READERS[node_type][1] if node_type in READERS else ()


def stated_input(fields: Fields) -> Shape:
    """Return the input shape that a convolution or Flatten states, () where it states none.

    Conv1d states its length, Conv2d (height, width), Flatten the whole shape; tools that did not
    know it wrote zeros.
    """
    field = STATING.get(fields.type, "")
    if not field or not fields.has(field):
        return ()
    return integers(fields, field, 0)


def absent_fields(fields: Fields) -> Mapping[str, float]:
    """Return what a neuron's node leaves out -> the value that stands for it."""
    kind: Any = NEURONS.get(fields.type)
    found: Mapping[str, float] = {} if kind is None else kind.absent
    return {name: value for name, value in found.items() if not fields.has(name)}


def _read_neuron(fields: Fields) -> Any:
    kind: Any = NEURONS[fields.type]
    absent = absent_fields(fields)
    values = {}
    for each in fields_of(kind):
        if each.name in absent:
            continue
        values[each.name] = number(fields, each.name)
        if each.name in kind.positive:
            above_zero(fields, each.name, values[each.name])
    _check_like_shapes(fields, values)
    like = max(values.values(), key=np.size)
    return kind(**values, **{name: np.full(like.shape, value) for name, value in absent.items()})


def _check_like_shapes(fields: Fields, values: Mapping[str, Any]) -> None:
    """Refuse parameters that do not describe the same neurons."""
    shapes = {name: value.shape for name, value in values.items() if value.size != 1}
    if any(not value.size for value in values.values()) or any(
        len(shape) != len(next(iter(shapes.values()))) for shape in shapes.values()
    ):
        raise _unlike(fields, values)
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        raise _unlike(fields, values) from None


def _unlike(fields: Fields, values: Mapping[str, Any]) -> LoadError:
    shapes = ", ".join(f"{name} {value.shape}" for name, value in values.items())
    return LoadError(
        f"node '{fields.node}' ({fields.type}) has parameters of different shapes",
        shapes,
        "give every parameter one value, or one per neuron",
    )


def _read_port(kind: Callable[[Shape], Any]) -> Callable[[Fields], Any]:
    def read(fields: Fields) -> Any:
        shape = integers(fields, "shape", 1)
        if math.prod(shape) > LARGEST_SHAPE:
            raise fields.error(
                "shape", f"is {shape}, so it is too large: the limit is {LARGEST_SHAPE} elements"
            )
        return kind(shape)

    return read


def _read_linear(fields: Fields) -> Linear:
    weight = number(fields, "weight")
    if weight.ndim != 2 or not weight.size:
        raise fields.error("weight", f"has shape {weight.shape}, it must be (outputs, inputs)")
    return Linear(weight)


def _read_affine(fields: Fields) -> Affine:
    weight = _read_linear(fields).weight
    bias = number(fields, "bias")
    if bias.shape != weight.shape[:1]:
        raise fields.error(
            "bias",
            f"has shape {bias.shape}, weight {weight.shape} wants {weight.shape[:1]}",
            "write one bias per output",
        )
    return Affine(weight, bias)


def _read_pool(kind: Callable[..., Any]) -> Callable[[Fields], Any]:
    def read(fields: Fields) -> Any:
        kernel = pair(fields, "kernel_size", 1)
        if max(kernel) > LARGEST_KERNEL:
            raise fields.error(
                "kernel_size", f"is {kernel}, so it is too large: the limit is {LARGEST_KERNEL}"
            )
        return kind(kernel, pair(fields, "stride", 1), pair(fields, "padding", 0))

    return read


def _read_flatten(fields: Fields) -> Flatten:
    return Flatten(integer(fields, "start_dim", -32), integer(fields, "end_dim", -32))


def _read_scale(fields: Fields) -> Scale:
    return Scale(number(fields, "scale"))


def _read_delay(fields: Fields) -> Delay:
    delay = number(fields, "delay")
    if not delay.size:
        raise fields.error("delay", "is empty", "give one value, or one per element")
    if (delay < 0).any() or (delay > LONGEST_WAIT).any():
        raise fields.error(
            "delay",
            f"is {delay.min():g} to {delay.max():g} seconds, it must be from 0 to {LONGEST_WAIT:g}",
            "a delay is a time in seconds: nothing can act before it was sent",
        )
    return Delay(delay)


CONVOLUTION = ("weight", "bias", "stride", "padding", "dilation", "groups")
POOL = ("kernel_size", "stride", "padding")

#: NIR type -> reader, and the fields that it reads.
READERS: Mapping[str, tuple[Callable[[Fields], Any], tuple[str, ...]]] = {
    "Input": (_read_port(Input), ("shape",)),
    "Output": (_read_port(Output), ("shape",)),
    "Linear": (_read_linear, ("weight",)),
    "Affine": (_read_affine, ("weight", "bias")),
    "Conv1d": (read_conv1d, CONVOLUTION),
    "Conv2d": (read_conv2d, CONVOLUTION),
    "SumPool2d": (_read_pool(SumPool2d), POOL),
    "AvgPool2d": (_read_pool(AvgPool2d), POOL),
    "Flatten": (_read_flatten, ("start_dim", "end_dim")),
    "Scale": (_read_scale, ("scale",)),
    "Delay": (_read_delay, ("delay",)),
}
