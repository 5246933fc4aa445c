"""Flatten nested graphs: one level, names joined by dots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import Graph, Input, Network, Output, Scale
from spikeport.compiler.passes.walk import Edges

MOST_EDGES = 1_000_000


def flatten_graphs(net: Network) -> Network:
    """Replace every nested graph by its nodes.

    The inner Input and Output are where the outer edges are joined, and go. An edge to a graph
    means its only Input, an edge from it its only Output; an edge to or from `graph.NODE` means
    that node, however many there are.

        before: fc -> lif{input -> n -> output, n -> w -> n} -> out
        after:  fc -> lif.n -> out,  lif.n -> lif.w -> lif.n

    Raises:
        GraphError: an edge to a graph could mean several nodes, two nodes get the same name, or
            two edges the same ends.
    """
    if not any(isinstance(node, Graph) for node in net.nodes.values()):
        return net
    opened = _Opened(net.name)
    opened.add("", net.nodes, net.edges)
    for a, b in opened.edges:
        for end in (a, b):
            if end not in opened.nodes:
                raise GraphError(f"{net.name}: the edge from '{a}' to '{b}' leads to no node")
    nodes, edges = splice(net.name, opened.nodes, tuple(opened.edges), opened.ports)
    return replace(net, nodes=nodes, edges=edges)


@dataclass
class _Opened:
    """What has been opened so far, under its full names."""

    file: str
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    ports: set[str] = field(default_factory=set)

    def add(self, prefix: str, nodes: Mapping[str, Any], edges: Edges) -> None:
        """Add a graph and what is nested in it; `prefix` is its name and a dot."""
        for name, node in nodes.items():
            if isinstance(node, Graph):
                self.add(f"{prefix}{name}.", node.nodes, node.edges)
                continue
            self._check_new(prefix + name)
            self.nodes[prefix + name] = node
            if prefix and isinstance(node, (Input, Output)):
                self.ports.add(prefix + name)
        for a, b in edges:
            source = _port(self.file, prefix, nodes, a, Output)
            self.edges.append((source, _port(self.file, prefix, nodes, b, Input)))

    def _check_new(self, name: str) -> None:
        if name in self.nodes:
            raise GraphError(
                f"{self.file}: two nodes are called '{name}' once nested graphs are opened",
                "a node of a nested graph is called GRAPH.NODE then",
                "rename one of them",
            )


def _port(file: str, prefix: str, nodes: Mapping[str, Any], end: str, kind: type) -> str:
    """Return the full name of the node that an edge's end means."""
    node = nodes.get(end)
    if not isinstance(node, Graph):
        return prefix + end
    ports = [name for name, inner in node.nodes.items() if isinstance(inner, kind)]
    if len(ports) == 1:
        return f"{prefix}{end}.{ports[0]}"
    said = " or ".join(f"'{end}.{name}'" for name in ports[:6])
    raise GraphError(
        f"{file}: nested graph '{prefix}{end}' has {len(ports)} {kind.__name__} nodes",
        f"an edge to or from '{end}' does not say which one it means",
        f"write the edge with {said}" if said else f"give '{end}' an {kind.__name__}",
    )


def splice(
    file: str, nodes: Mapping[str, Any], edges: Edges, ports: set[str]
) -> tuple[dict[str, Any], Edges]:
    """Take nodes out that only pass on what they get; what came in goes where they sent.

    A port on one of two ways between the same nodes stays, as a Scale of 1: the ways add up, and
    an edge counts once.

    Returns:
        The nodes that stay, and their edges, each once, in order.

    Raises:
        GraphError: the nodes form a loop, an edge is there twice, or there are too many.
    """
    sources: dict[str, dict[str, None]] = {name: {} for name in nodes}
    targets: dict[str, dict[str, None]] = {name: {} for name in nodes}
    for a, b in edges:
        if b in targets[a]:
            raise GraphError(
                f"{file}: two edges lead from '{a}' to '{b}' once nested graphs are opened",
                "it is unclear whether the input counts twice",
                "keep one of the two",
            )
        targets[a][b] = sources[b][a] = None
    kept = dict(nodes)
    made = 0
    for port in [name for name in nodes if name in ports]:  # sets have no order of their own
        before, after = sources[port], targets[port]
        if port in before:
            raise GraphError(f"{file}: '{port}' is in a loop without state", fix="cut the loop")
        made += len(before) * len(after)
        if made > MOST_EDGES:
            raise GraphError(f"{file}: too many edges meet in '{port}'")
        if any(b in targets[a] for a in before for b in after):
            kept[port] = Scale(np.ones(1))
            continue
        del kept[port], sources[port], targets[port]
        for a in before:
            del targets[a][port]
            targets[a].update(after)
        for b in after:
            del sources[b][port]
            sources[b].update(before)
    return kept, tuple((a, b) for a in kept for b in targets[a])
