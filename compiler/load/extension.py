"""Extension nodes: a standard neuron of the right shape, whose metadata says what it stands for.

NIR cannot hold a node class of our own (nir 1.0.8 writes one and then cannot read it back). So
metadata `spikeport.ext` names the kind, and every parameter is a number or an array beside it.
A kind registers with `extension` (that name) and `placeholder` (the NIR neuron that is written).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any

import numpy as np

from spikeport.compiler.errors import GraphError, LoadError
from spikeport.compiler.kinds import NEURONS, Array
from spikeport.compiler.load.values import Fields, above_zero, number

#: Metadata key by which a standard node says that it stands for something else.
EXTENSION = "spikeport.ext"
#: Parameters of a placeholder that are not above zero, where it does not have to matter.
AT_ZERO = ("v_leak", "v_reset")


def extension_name(kind: Any) -> str:
    """Return the name under which a kind stands in metadata, "" for NIR's own kinds."""
    return str(getattr(kind, "extension", ""))


def is_standard(node_type: str) -> bool:
    """Is this the NIR type of a registered neuron, which a file may hold by that name."""
    return node_type in NEURONS and not extension_name(NEURONS[node_type])


def metadata_names() -> set[str]:
    """Return the keys of a node's metadata that are read: the mark, and parameters."""
    kinds: list[Any] = [kind for kind in NEURONS.values() if extension_name(kind)]
    return {EXTENSION, *(each.name for kind in kinds for each in fields_of(kind))}


def extension_kind(name: str, node: Mapping[str, Any]) -> Any:
    """Return the kind that a node stands for, None where it is what it says.

    Raises:
        LoadError: nobody knows the extension, or the node cannot be a placeholder.
    """
    metadata = node.get("metadata")
    if not isinstance(metadata, Mapping) or EXTENSION not in metadata:
        return None
    said, own = str(metadata[EXTENSION])[:60], str(node.get("type"))[:60]
    kind = next((kind for kind in NEURONS.values() if extension_name(kind) == said), None)
    if kind is None or not said:
        raise LoadError(
            f"node '{name}' is an extension '{said}' that is not known",
            f"its type {own} is only a placeholder",
            "update spikeport, or replace the node by a standard one",
        )
    if not is_standard(own):
        raise LoadError(
            f"node '{name}' is an extension '{said}' in a node of type {own}",
            "an extension is a kind of neuron, so a neuron must hold its place",
            f"write it as a {placeholder_of(kind)} with the parameters in its metadata",
        )
    return kind


def read_extension(kind: Any, name: str, metadata: Mapping[str, Any], like: Any) -> Any:
    """Return the neuron of an extension, its parameters of one shape.

    Args:
        kind: as `extension_kind` returns it.
        name: of the node.
        metadata: where the parameters are.
        like: the placeholder as it was read; its shape is the neuron's.

    Raises:
        LoadError: a parameter is missing, impossible, or of another shape.
    """
    given = Fields(name, f"extension {extension_name(kind)}", metadata)
    own = np.broadcast_shapes(*(getattr(like, each.name).shape for each in fields_of(like)))
    values = {}
    for each in fields_of(kind):
        if each.name in kind.absent and not given.has(each.name):
            value: Array = np.array(kind.absent[each.name])
        else:
            value = number(given, each.name)
        if each.name in kind.positive:
            above_zero(given, each.name, value)
        values[each.name] = _spread(given, each.name, value, own)
    return kind(**values)


def _spread(given: Fields, field: str, value: Array, shape: tuple[int, ...]) -> Array:
    try:
        return np.broadcast_to(value.reshape(()) if value.size == 1 else value, shape)
    except ValueError:
        raise given.error(
            field,
            f"has shape {value.shape}, the node's own parameters have {shape}",
            "give it one value, or one per neuron",
        ) from None


def placeholder_of(kind: Any) -> str:
    """Return the NIR type that holds the place of a kind."""
    return str(getattr(kind, "placeholder", "LIF"))


def to_placeholder(node: Any) -> Any:
    """Return the `nir` node that holds the place of an extension neuron, with its metadata.

    Raises:
        GraphError: the kind names a placeholder that is no neuron of NIR.
    """
    import nir

    kind = type(node)
    holder = placeholder_of(kind)
    if not is_standard(holder):
        raise GraphError(f"the extension {extension_name(kind)} has the placeholder {holder}")
    values = {each.name: np.array(getattr(node, each.name)) for each in fields_of(node)}
    like = next(iter(values.values()))
    neutral = {
        each.name: np.full(like.shape, float(each.name not in AT_ZERO))
        for each in fields_of(NEURONS[holder])
    }
    made = getattr(nir, holder)(**neutral)
    made.metadata = {EXTENSION: extension_name(kind), **values}
    return made
