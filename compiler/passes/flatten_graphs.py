"""Flatten nested graphs: one level, names joined by dots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import Graph, Input, Network, Output
from spikeport.compiler.passes.walk import Edges

MOST_EDGES = 1_000_000


def flatten_graphs(net: Network) -> Network:
    """Replace every nested graph by its nodes.

    The inner Input and Output are where the outer edges are joined, and go.

        before: fc -> lif{input -> n -> output, n -> w -> n} -> out
        after:  fc -> lif.n -> out,  lif.n -> lif.w -> lif.n

    Raises:
        GraphError: an inner graph that edges enter or leave has not exactly one Input or
            Output, or two nodes get the same name.
    """
    nodes, edges = dict(net.nodes), net.edges
    while any(isinstance(node, Graph) for node in nodes.values()):
        nodes, edges = _open_one_level(net.name, nodes, edges)
    if edges is net.edges:
        return net
    return replace(net, nodes=nodes, edges=edges)


def _open_one_level(
    file: str, nodes: Mapping[str, Any], edges: Edges
) -> tuple[dict[str, Any], Edges]:
    flat: dict[str, Any] = {}
    inner_edges: list[tuple[str, str]] = []
    entries: dict[str, list[str]] = {}
    exits: dict[str, list[str]] = {}
    for name, node in nodes.items():
        inner = _open(name, node) if isinstance(node, Graph) else {name: node}
        twice = next((each for each in inner if each in flat), None)
        if twice is not None:
            raise GraphError(
                f"{file}: two nodes are called '{twice}' once nested graphs are opened",
                f"the inner nodes of '{name}' are called '{name}.NODE' then",
                "rename one of them",
            )
        flat |= inner
        if isinstance(node, Graph):
            inner_edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in node.edges]
            entries[name] = [each for each in inner if _is(node, name, each, Input)]
            exits[name] = [each for each in inner if _is(node, name, each, Output)]
    joined = tuple(
        (_sole(file, a, exits, "Output"), _sole(file, b, entries, "Input")) for a, b in edges
    )
    ports = {each for ends in (*entries.values(), *exits.values()) for each in ends}
    return splice(file, flat, (*joined, *inner_edges), ports)


def _open(name: str, graph: Graph) -> dict[str, Any]:
    return {f"{name}.{inner}": node for inner, node in graph.nodes.items()}


def _is(graph: Graph, name: str, inner: str, kind: type) -> bool:
    return isinstance(graph.nodes[inner[len(name) + 1 :]], kind)


def _sole(file: str, end: str, ports: Mapping[str, list[str]], word: str) -> str:
    """Return the node that an edge's end means: the graph's only Input or Output."""
    if end not in ports:
        return end
    if len(ports[end]) != 1:
        raise GraphError(
            f"{file}: nested graph '{end}' has {len(ports[end])} {word} nodes",
            f"an edge to or from '{end}' does not say which one it means",
            f"give '{end}' exactly one {word}, or connect its inner nodes directly",
        )
    return ports[end][0]


def splice(
    file: str, nodes: Mapping[str, Any], edges: Edges, ports: set[str]
) -> tuple[dict[str, Any], Edges]:
    """Take nodes out that only pass on what they get; what came in goes where they sent.

    Returns:
        The nodes that stay, and their edges, each once, in order.

    Raises:
        GraphError: the nodes form a loop, or the edges become too many.
    """
    sources: dict[str, dict[str, None]] = {name: {} for name in nodes}
    targets: dict[str, dict[str, None]] = {name: {} for name in nodes}
    for a, b in edges:
        targets[a][b] = None
        sources[b][a] = None
    made = 0
    for port in [name for name in nodes if name in ports]:  # sets have no order of their own
        before, after = sources.pop(port), targets.pop(port)
        if port in before:
            raise GraphError(f"{file}: '{port}' is in a loop without state", fix="cut the loop")
        made += len(before) * len(after)
        if made > MOST_EDGES:
            raise GraphError(f"{file}: too many edges meet in '{port}'")
        for a in before:
            del targets[a][port]
            targets[a].update(after)
        for b in after:
            del sources[b][port]
            sources[b].update(before)
    kept = {name: node for name, node in nodes.items() if name not in ports}
    return kept, tuple((a, b) for a in kept for b in targets[a])
