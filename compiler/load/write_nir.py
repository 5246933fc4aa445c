"""Write a Network as a standard NIR file, its semantics beside it in the metadata."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler import trained
from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.extension import extension_name, to_placeholder
from spikeport.compiler.load.whole_file import whole_file
from spikeport.compiler.memory import allowed_memory, check_memory
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
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.semantics import to_metadata
from spikeport.compiler.sparse import is_sparse


def write_network(network: Network, path: Path, max_memory: str | int | None = None) -> None:
    """Write `network` to `path` as nir 1.0.8 reads it; whole, or not at all.

    Args:
        network: what is written.
        path: where to.
        max_memory: most that sparse weights may take as the dense ones that NIR has, in bytes or
            as `2GiB`; four fifths of what is free without it.

    Raises:
        GraphError: the network holds nodes that NIR does not have.
        MemoryLimit: its sparse weights are too large as dense ones.
        OutputError: the file cannot be written.
    """
    import nir

    path = Path(path)
    _check_dense(network, allowed_memory(max_memory))
    graph = to_nir(network)
    with whole_file(path) as part:
        nir.write(part, graph)


def to_nir(network: Network) -> Any:
    """Return the `nir.NIRGraph` of a network, with its semantics as metadata `spikeport`.

    Raises:
        GraphError: shapes do not fit, or a node is none of NIR's.
    """
    import nir

    net = infer_shapes(flatten_graphs(network))
    source_of = {target: source for source, target in net.edges}
    nodes = {
        name: _to_nir_node(net, name, net.shapes.get(source_of.get(name, ""), ()))
        for name in net.nodes
    }
    return nir.NIRGraph(
        nodes=nodes,
        edges=list(net.edges),
        metadata={"spikeport": to_metadata(net.semantics)} | _trained(net),
        type_check=False,
    )


def _trained(net: Network) -> dict[str, dict[str, str]]:
    return {} if net.trained is None else {trained.KEY: trained.to_metadata(net.trained)}


def _to_nir_node(net: Network, name: str, shape: Shape) -> Any:
    """Return one node; `shape` is its input's."""
    import nir

    node = net.nodes[name]
    if is_neuron(node) and extension_name(type(node)):
        return to_placeholder(node)
    if is_neuron(node) and hasattr(nir, type(node).nir_type):
        values = {each.name: np.array(getattr(node, each.name)) for each in fields(node)}
        return getattr(nir, type(node).nir_type)(**values)
    match node:
        case Input():
            return nir.Input({"input": np.array(node.shape)})
        case Output():
            return nir.Output({"output": np.array(node.shape)})
        case Linear():
            return nir.Linear(_dense(node.weight))
        case Affine():
            return nir.Affine(_dense(node.weight), np.array(node.bias))
        case Conv1d():
            values = _convolution(node, _padding(net.name, name, node))
            return nir.Conv1d(input_shape=shape[1], **values)
        case Conv2d():
            values = _convolution(node, _padding(net.name, name, node))
            return nir.Conv2d(input_shape=shape[1:], **values)
        case SumPool2d() | AvgPool2d():
            return getattr(nir, type(node).__name__)(
                np.array(node.kernel_size), np.array(node.stride), np.array(node.padding)
            )
        case Flatten():
            return nir.Flatten({"input": np.array(shape)}, node.start_dim, node.end_dim)
        case Scale():
            return nir.Scale(np.atleast_1d(node.scale).copy())
        case Delay():
            return nir.Delay(np.atleast_1d(node.delay).copy())
    raise GraphError(
        f"{net.name}: node '{name}' ({type(node).__name__}) cannot be written to a NIR file",
        "NIR has no such node",
        "write the network as it was before it was folded",
    )


#: Of a weight while it is written: the dense array, nir's own, what h5py takes and what it packs.
COPIES = 4


def _check_dense(network: Network, allowed: int) -> None:
    """Refuse a network whose sparse weights are too large as dense ones, before they are made."""
    nodes = flatten_graphs(network).nodes
    sparse = {
        name: node.weight
        for name, node in nodes.items()
        if isinstance(node, Linear | Affine) and is_sparse(node.weight)
    }
    need = COPIES * sum(math.prod(each.shape) * each.dtype.itemsize for each in sparse.values())
    shapes = ", ".join(f"'{name}' {each.shape}" for name, each in list(sparse.items())[:4])
    check_memory(
        need,
        allowed,
        f"{network.name}: NIR has dense weights only, and to write the sparse {shapes} as such",
        "keep the arrays (scipy.sparse.save_npz) or the compiled image (spikeport.save_image)",
    )


def _dense(weight: Any) -> Array:
    return np.asarray(weight.toarray()) if is_sparse(weight) else np.array(weight)


def _convolution(node: Conv1d | Conv2d, padding: Any) -> dict[str, Any]:
    return {
        "weight": np.array(node.weight),
        "bias": np.array(node.bias),
        "stride": node.stride,
        "padding": padding,
        "dilation": node.dilation,
        "groups": node.groups,
    }


def _padding(file: str, name: str, node: Conv1d | Conv2d) -> Any:
    """Return a convolution's padding as NIR says it: numbers where both sides are alike.

    Raises:
        GraphError: they differ, and in another way than PyTorch's `same` pads.
    """
    pads = _sides(node)
    if all(before == behind for before, behind in pads):
        return pads[0][0] if isinstance(node, Conv1d) else tuple(before for before, _ in pads)
    spread = zip(np.ravel(node.dilation), node.weight.shape[2:], strict=True)
    totals = [int(each) * (size - 1) for each, size in spread]
    same = [(each // 2, each - each // 2) for each in totals]
    if pads == same and set(np.ravel(node.stride)) == {1}:
        return "same"
    raise GraphError(
        f"{file}: node '{name}' ({type(node).__name__}) cannot be written to a NIR file",
        f"it pads {pads} (before, behind), NIR pads both sides alike",
        "begin the kernel with rows of zeros, and pad more in front",
    )


def _sides(node: Conv1d | Conv2d) -> list[tuple[int, int]]:
    if isinstance(node, Conv1d):
        return [node.padding]
    return [(p, p + more) for p, more in zip(node.padding, node.more_behind, strict=True)]
