"""What the loader mends each time that it reads a file, written into the file.

The loader's network is the reading; here the file is made to say the same in full: shapes
without batch, every parameter as large as its population, Flatten counted without batch, input
shapes where NIR keeps them. So other readers, which mend nothing, read what the loader reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields as fields_of
from typing import Any

import numpy as np

from spikeport.compiler.kinds import NEURONS
from spikeport.compiler.load.mend import Change, Edit, Place, places
from spikeport.compiler.network import Network, Shape, is_neuron

#: Types that are not neurons and whose one array other readers take for their shape.
ELEMENTWISE = {"Scale": "scale", "Delay": "delay", "Threshold": "threshold"}


def mend_settled(tree: Mapping[str, Any], net: Network) -> list[Change]:
    """Return the changes that make a tree say in full what `net`, read from it, says."""
    sent = Sent(tree, net)
    return [
        change
        for place in places(tree)
        for name, node in place.nodes.items()
        for change in _settled(place, name, node, net, sent)
    ]


def _settled(
    place: Place, name: str, node: Mapping[str, Any], net: Network, sent: Sent
) -> Iterator[Change]:
    kind = str(node.get("type"))
    full = place.prefix + name
    if kind in ("Input", "Output"):
        yield from _port(place, name, kind, node, sent.of(place.prefix, name))
    elif full not in net.nodes or full not in net.shapes:
        return
    elif kind in NEURONS and is_neuron(net.nodes[full]):
        names = [each.name for each in fields_of(NEURONS[kind])]
        yield from _parameters(place, name, kind, node, names, net.shapes[full])
    elif kind in ELEMENTWISE:
        yield from _parameters(place, name, kind, node, [ELEMENTWISE[kind]], net.shapes[full])
    elif kind in ("Conv1d", "Conv2d"):
        yield from _conv(place, name, kind, node, sent.into(full))
    elif kind == "Flatten":
        yield from _flatten(place, name, node, net.nodes[full], sent.into(full))


class Sent:
    """The shapes that nodes send and get, ports of nested graphs included.

    Args:
        tree: the file.
        net: read from it, flat, with the shapes that are known.
    """

    def __init__(self, tree: Mapping[str, Any], net: Network) -> None:
        self._places = {place.prefix: place for place in places(tree)}
        self._net = net
        self._source = {target: source for source, target in net.edges}
        self._first = {
            (place.prefix, target): source
            for place in self._places.values()
            for source, target in reversed(place.edges)
        }
        self._holders = {
            f"{place.prefix}{name}.": (place.prefix, name)
            for place in self._places.values()
            for name in place.nodes
        }

    def into(self, flat: str) -> Shape:
        """Return the shape that a node of the flat network gets, () where it is not known."""
        return self._net.shapes.get(self._source.get(flat, ""), ())

    def of(self, prefix: str, name: str) -> Shape:
        """Return the shape that a node of the file sends, () where it is not known."""
        seen = set()
        while (prefix, name) not in seen and prefix in self._places:
            seen.add((prefix, name))
            if prefix + name in self._net.shapes:
                return self._net.shapes[prefix + name]
            place = self._places[prefix]
            kind = place.nodes.get(name, {}).get("type")
            if kind == "NIRGraph":  # sends what its Output gets
                prefix, name = f"{prefix}{name}.", self._port(f"{prefix}{name}.", "Output")
            elif kind == "Input" and prefix:  # sends what its graph gets
                prefix, name = self._holders[prefix]
                name = self._first.get((prefix, name), "")
            else:
                name = self._first.get((prefix, name), "")
        return ()

    def _port(self, prefix: str, kind: str) -> str:
        place = self._places.get(prefix)
        nodes = place.nodes if place else {}
        return next((name for name, node in nodes.items() if node.get("type") == kind), "")


def _port(
    place: Place, name: str, kind: str, node: Mapping[str, Any], shape: Shape
) -> Iterator[Change]:
    said = shape_of(node.get("shape"))
    if not shape or (said == shape and node["shape"].ndim == 1):
        return
    leading = said[: max(0, len(said) - len(shape))]
    word = "batch" if set(leading) == {1} else "time or batch"
    yield Change(
        "drop-batch",
        place.prefix + name,
        f"{kind} of shape {list(said)}",
        f"its shape is {list(shape)}",
        f"NIR's shapes are those of one step of one sample; the leading {list(leading)} is {word}"
        if leading and said[len(leading) :] == shape
        else "this is what the nodes around it send",
        (Edit(place.at(name, "shape"), np.array(shape)),),
    )


def shape_of(value: Any) -> Shape:
    """Return a shape as the file gives it, () where it gives none."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        return ()
    return tuple(int(each) for each in value.ravel()[:32])


def _parameters(
    place: Place,
    name: str,
    kind: str,
    node: Mapping[str, Any],
    fields: list[str],
    shape: Shape,
) -> Iterator[Change]:
    old = {key: node[key] for key in fields if isinstance(node.get(key), np.ndarray)}
    spread = {key: value for key, value in old.items() if value.shape != shape}
    if not spread:
        return
    batched = all(value.size == _count(shape) > 1 for value in spread.values())
    listed = ", ".join(f"{key} {list(value.shape)}" for key, value in spread.items())
    yield Change(
        "drop-batch" if batched else "broadcast",
        place.prefix + name,
        f"{kind} with {listed} for {_count(shape)} neurons of shape {list(shape)}",
        f"each parameter has shape {list(shape)}",
        "the leading 1 is batch"
        if batched
        else "one value stands for all; other readers take its shape for the population's",
        tuple(Edit(place.at(name, key), _spread(value, shape)) for key, value in spread.items()),
    )


def _count(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _spread(value: Any, shape: Shape) -> Any:
    """Return a parameter for every neuron, of the dtype that the file has.

    A view where one value stands for many: a population may be too large to be written out.
    """
    if value.size == _count(shape):
        return value.reshape(shape)
    if value.size == 1:
        return np.broadcast_to(value.reshape(()), shape)
    return np.broadcast_to(value.reshape(value.shape[value.ndim - len(shape) :]), shape)


def _conv(
    place: Place, name: str, kind: str, node: Mapping[str, Any], shape: Shape
) -> Iterator[Change]:
    wanted = shape[1:]
    if not wanted or (shape_of(node.get("input_shape")) == wanted):
        return
    value = np.array(wanted if kind == "Conv2d" else wanted[0])
    yield Change(
        "fill-input-shape",
        place.prefix + name,
        f"{kind} without input_shape"
        if node.get("input_shape") is None
        else f"{kind} whose input_shape is {list(shape_of(node['input_shape']))}",
        f"input_shape is {list(wanted)}",
        "this is what it gets; nir 1.0.8 cannot open a convolution without it",
        (Edit(place.at(name, "input_shape"), value),),
    )


def _flatten(
    place: Place, name: str, node: Mapping[str, Any], flatten: Any, shape: Shape
) -> Iterator[Change]:
    said = tuple(shape_of(node.get(key))[:1] for key in ("start_dim", "end_dim"))
    wanted = ((flatten.start_dim,), (flatten.end_dim,))
    stated = shape_of(node.get("input_type"))
    edits = []
    if said != wanted:
        edits += [
            Edit(place.at(name, "start_dim"), np.array(flatten.start_dim)),
            Edit(place.at(name, "end_dim"), np.array(flatten.end_dim)),
        ]
    if shape and stated != shape:
        edits.append(Edit(place.at(name, "input_type"), np.array(shape)))
    edits = [edit for edit in edits if not _equal(node.get(edit.path[-1]), edit.value)]
    if not edits:
        return
    yield Change(
        "flatten-dims",
        place.prefix + name,
        f"Flatten of dimensions {said[0]} to {said[1]} of {list(stated)}".replace("(", "").replace(
            ",)", ""
        ),
        f"dimensions {flatten.start_dim} to {flatten.end_dim} of {list(shape)}",
        "NIR counts dimensions without batch, and this is what it gets",
        tuple(edits),
    )


def _equal(value: Any, wanted: Any) -> bool:
    return isinstance(value, np.ndarray) and np.array_equal(value, wanted)
