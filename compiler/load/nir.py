"""Read a NIR file: guarded, checked, mended where it has one reading, shapes inferred."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler import trained
from spikeport.compiler.errors import GraphError, LoadError, SemanticsError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.advice import with_advice
from spikeport.compiler.load.edges import check_edges, check_flow, check_names
from spikeport.compiler.load.extension import extension_kind, metadata_names, read_extension
from spikeport.compiler.load.files import naming
from spikeport.compiler.load.hdf5 import Parts, read_tree
from spikeport.compiler.load.nodes import (
    BESIDE,
    absent_fields,
    fields_used,
    read_node,
    stated_input,
)
from spikeport.compiler.load.prune import join_ports, prune
from spikeport.compiler.load.repair import check_stated, repair_shapes
from spikeport.compiler.load.values import Fields
from spikeport.compiler.load.write_nir import write_network
from spikeport.compiler.network import Graph, Network, Shape
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.passes.walk import Edges
from spikeport.compiler.semantics import Semantics, from_metadata
from spikeport.compiler.trained import Trained

__all__ = ["read_network", "write_network"]

SEMANTICS, TRAINED = "spikeport", trained.KEY  # groups of a graph's metadata that are read


def read_network(path: Path) -> Network:
    """Return the network of a NIR file: flat, with shapes, every array finite float64.

    Neuron kinds are known once `spikeport.models.neurons` is imported.

    Raises:
        LoadError: the file is damaged, hostile, or not a graph that can be stepped; the
            message begins with the file's name and names the node.
        GraphError: shapes do not fit.
    """
    path = Path(path)
    return network_of(path.name, read_tree(path, _wanted))


def network_of(file: str, tree: Mapping[str, Any]) -> Network:
    """Return the network of a tree as `read_tree` gives it; errors as for `read_network`."""
    with naming(file):
        return _network(file, tree)


def _wanted(parts: Parts) -> bool:
    """Are the values of the dataset at this path read: metadata only where it is ours."""
    if "metadata" not in parts:
        return True
    after = parts[parts.index("metadata") + 1 :]
    return after[:1] in ((SEMANTICS,), (TRAINED,)) or (
        len(after) == 1 and after[0] in metadata_names()
    )


def _network(file: str, tree: Mapping[str, Any]) -> Network:
    if not isinstance(tree.get("node"), Mapping):
        raise LoadError(
            "this is an HDF5 file without a NIR graph in it",
            "there is no group called node",
            "write the graph with nir.write(file, graph)",
        )
    root: Mapping[str, Any] = tree["node"]
    if _type_of("(the graph)", root) != "NIRGraph":
        raise LoadError(
            f"the file holds one node of type '{str(root.get('type'))[:60]}', not a graph",
            fix="wrap it: nir.NIRGraph.from_list(node)",
        )
    stated: dict[str, Shape] = {}
    notes: list[str] = []
    absent: dict[str, list[str]] = {}
    graph = _read_graph("", root, stated, notes, absent)
    notes += [f"{field} is not in the file for {_some(nodes)}" for field, nodes in absent.items()]
    net = Network(graph.nodes, graph.edges, name=file, repairs=tuple(notes))
    net = join_ports(flatten_graphs(net))
    check_flow(net)
    net = _with_shapes(prune(net), stated)
    net = replace(net, semantics=_semantics(root, net), trained=_trained(root, net))
    return replace(net, repairs=net.repairs + _threshold_warnings(net))


def _with_shapes(net: Network, stated: Mapping[str, Shape]) -> Network:
    try:
        mended = infer_shapes(repair_shapes(net, stated))
    except GraphError as error:
        raise with_advice(error, net, stated) from None
    check_stated(mended, stated)
    spread = [
        name
        for name in mended.neurons
        if any(v.size == 1 for v in vars(net.nodes[name]).values()) and mended.shapes[name] != (1,)
    ]
    if not spread:
        return mended
    note = f"single values of parameters hold for all neurons of {_some(spread)}"
    return replace(mended, repairs=(*mended.repairs, note))


def _some(names: list[str]) -> str:
    """Return the first names, quoted, and how many more there are."""
    listed = ", ".join(f"'{name[:40]}'" for name in names[:6])
    return listed if len(names) <= 6 else f"{listed} and {len(names) - 6} more"


def _read_graph(
    prefix: str,
    tree: Mapping[str, Any],
    stated: dict[str, Shape],
    notes: list[str],
    absent: dict[str, list[str]],
) -> Graph:
    """Return a graph with its nested graphs; `prefix` is its name and a dot.

    What the nodes say beside themselves is added to `stated`, `notes` and `absent`.
    """
    nodes: dict[str, Any] = {}
    found = tree.get("nodes")
    if not isinstance(found, Mapping):
        raise LoadError(f"the graph '{prefix[:-1] or 'node'}' has no group called nodes")
    check_names(list(found))
    for name, node in found.items():
        if not isinstance(node, Mapping):
            raise LoadError(f"node '{prefix}{name}' is a value, not a group with a type")
        kind = _type_of(prefix + name, node)
        extension = extension_kind(prefix + name, node)
        if kind == "NIRGraph":
            nodes[name] = _read_graph(f"{prefix}{name}.", node, stated, notes, absent)
            continue
        fields = Fields(prefix + name, kind, node)
        nodes[name] = read_node(fields)
        if extension is not None:
            nodes[name] = read_extension(extension, prefix + name, node["metadata"], nodes[name])
            continue
        _note_unread(fields, notes)
        for field, value in absent_fields(fields).items():
            absent.setdefault(f"{field} (taken as {value:g})", []).append(prefix + name)
        shape = stated_input(fields)
        if shape:
            stated[prefix + name] = shape
    edges = _read_edges(prefix, tree.get("edges"))
    check_edges(prefix[:-1], nodes, edges)
    return Graph(nodes, edges)


def _type_of(name: str, node: Mapping[str, Any]) -> str:
    """Return a node's type."""
    kind = node.get("type")
    if not isinstance(kind, str):
        raise LoadError(
            f"node '{name}' has no type",
            "type is the text that says what a node is",
            "write the graph again with nir.write",
        )
    return kind


def _note_unread(fields: Fields, notes: list[str]) -> None:
    used = (*fields_used(fields.type), *BESIDE)
    unread = [name for name in fields.values if name not in used]
    if unread:
        listed = ", ".join(f"'{name[:40]}'" for name in unread[:5])
        notes.append(f"ignored fields of node '{fields.node}' ({fields.type}): {listed}")


def _read_edges(prefix: str, edges: Any) -> Edges:
    if edges is None:
        raise LoadError(f"the graph '{prefix[:-1] or 'node'}' has no edges")
    if isinstance(edges, np.ndarray) and edges.size == 0:
        return ()
    pairs = edges if isinstance(edges, list) else [edges]
    if not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(end, str) for end in pair)
        for pair in pairs
    ):
        raise LoadError(
            f"the edges of the graph '{prefix[:-1] or 'node'}' are not pairs of names",
            fix="write the graph again with nir.write",
        )
    return tuple((source, target) for source, target in pairs)


def _metadata(root: Mapping[str, Any], key: str) -> Any:
    metadata = root.get("metadata")
    return metadata.get(key) if isinstance(metadata, Mapping) else None


def _trained(root: Mapping[str, Any], net: Network) -> Trained | None:
    """Return what the graph's metadata say it was trained for."""
    stored = _metadata(root, TRAINED)
    sizes = {name: math.prod(net.shapes[name]) for name in net.neurons}
    return None if stored is None else trained.from_metadata(stored, sizes)


def _semantics(root: Mapping[str, Any], net: Network) -> Semantics:
    """Return the semantics kept in the graph's metadata, unset where there are none."""
    stored = _metadata(root, SEMANTICS)
    if stored is None:
        return Semantics()
    if not isinstance(stored, Mapping):
        raise LoadError("the metadata 'spikeport' is a value, not a group of settings")
    try:
        semantics = from_metadata(stored)
    except SemanticsError as error:
        raise LoadError(
            f"metadata 'spikeport': {error.what}",
            error.why,
            "correct or remove it in the tool that wrote it",
        ) from None
    unknown = [name for name in semantics.nodes if name not in net.nodes]
    if unknown:
        raise LoadError(
            f"metadata 'spikeport' sets something for node '{unknown[0]}', which is not there",
            fix="correct or remove it in the tool that wrote it",
        )
    return semantics


def _threshold_warnings(net: Network) -> tuple[str, ...]:
    """Say which neurons fire again as soon as they were reset."""
    warnings = []
    for name in net.neurons:
        node = net.nodes[name]
        if not hasattr(node, "v_reset"):
            continue
        threshold, reset = np.broadcast_arrays(_once(node.v_threshold), _once(node.v_reset))
        low = threshold <= reset
        if low.any():
            at = np.unravel_index(int(low.argmax()), low.shape)
            warnings.append(
                f"warning: neurons '{name}': v_threshold {threshold[at]:g} is not above "
                f"v_reset {reset[at]:g}, so they may fire without input"
            )
    return tuple(warnings)


def _once(view: Array) -> Array:
    """Return a broadcast view without its repetitions: 2 500 of them could be 16 million each."""
    return view[tuple(slice(None) if stride else slice(0, 1) for stride in view.strides)]
