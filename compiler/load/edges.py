"""Names and edges of a graph as a file gives them: refused here, or relied on afterwards."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from spikeport.compiler.errors import LoadError, printable
from spikeport.compiler.network import Graph, Input, Network, Output
from spikeport.compiler.passes.walk import Edges, stateless_loop

LONGEST_NAME = 200
#: What could act in a page or in a terminal, beside characters that cannot be printed.
MARKUP = set("<>&\"'`")


def check_names(names: Collection[str]) -> None:
    """Refuse names that could act where they are printed.

    Raises:
        LoadError: a name is empty, too long, or holds markup or control characters.
    """
    for index, name in enumerate(names):
        if name.strip() in ("", ".", "..") or len(name) > LONGEST_NAME:
            why = f"it has {len(name)} characters, from 1 to {LONGEST_NAME} are allowed"
        elif not name.isprintable() or MARKUP & set(name):
            why = "it holds markup or characters that cannot be printed"
        else:
            continue
        plain = "".join("?" if each in MARKUP else each for each in printable(name))[:60]
        raise LoadError(
            f"node {index} has a name that is not safe to print ('{plain}')",
            why,
            "rename the node with letters, digits, dots and underscores, and write the file again",
        )


def check_edges(graph: str, nodes: Mapping[str, Any], edges: Edges) -> None:
    """Refuse edges that occur twice or whose ends are not there.

    An end may be a node of a nested graph, written `GRAPH.NODE`.

    Args:
        graph: name of the nested graph, "" for the outermost.
        nodes: of this graph.
        edges: of this graph.

    Raises:
        LoadError: the message names the node and how to mend the file.
    """
    where = f"in nested graph '{graph}': " if graph else ""
    seen: set[tuple[str, str]] = set()
    inner = _inner_names(nodes) if any(isinstance(n, Graph) for n in nodes.values()) else set()
    for source, target in edges:
        for end in (source, target):
            if end not in nodes and end not in inner:
                raise _missing(where, end, nodes, edges)
        if (source, target) in seen:
            raise LoadError(
                f"{where}duplicate edge from '{source}' to '{target}'",
                "NIR sums what enters a node, so it is unclear whether the input counts twice",
                "keep one of the two, with doubled weights if that was meant",
            )
        seen.add((source, target))


def _inner_names(nodes: Mapping[str, Any]) -> set[str]:
    """Return the names of the nodes of nested graphs, as they are called from outside."""
    names: set[str] = set()
    for name, node in nodes.items():
        if isinstance(node, Graph):
            inner = {*node.nodes, *_inner_names(node.nodes)}
            names |= {f"{name}.{each}" for each in inner}
    return names


def _missing(where: str, name: str, nodes: Mapping[str, Any], edges: Edges) -> LoadError:
    ends = [(a, b) for a, b in edges if name in (a, b)]
    source, target = ends[0]
    return LoadError(
        f"{where}the edge from '{source}' to '{target}' needs a node '{name}', which is not there",
        f"the nodes are {_listed(nodes)}",
        _port_advice(name, nodes, source)
        or _flattened_advice(name, nodes, ends)
        or _rename_advice(name, nodes, edges),
    )


def _port_advice(name: str, nodes: Mapping[str, Any], source: str) -> str:
    """Name the Inputs (or Outputs) of the nested graph that `GRAPH.NODE` begins with."""
    graph = next((key for key in nodes if name.startswith(key + ".")), "")
    if not isinstance(nodes.get(graph), Graph):
        return ""
    kind = Output if name == source else Input
    ports = [key for key, node in nodes[graph].nodes.items() if isinstance(node, kind)]
    listed = " or ".join(f"'{graph}.{key}'" for key in ports[:6])
    return f"write the edge with {listed}, which '{graph}' has" if listed else ""


def _flattened_advice(name: str, nodes: Mapping[str, Any], ends: list[tuple[str, str]]) -> str:
    """Say how to reconnect a nested graph that was flattened while its name stayed in edges."""
    entry = _port(name, nodes, Input)
    leave = _port(name, nodes, Output)
    if not entry or not leave:
        return ""
    steps = [f"connect '{a}' to '{entry}'" for a, b in ends if b == name and a != name]
    steps += [f"connect '{leave}' to '{b}'" for a, b in ends if a == name and b != name]
    remove = f"remove the edges of '{name}'"
    return f"{', '.join(steps[:6])}, {remove}, and write the file again"


def _port(name: str, nodes: Mapping[str, Any], kind: type) -> str:
    found = [key for key, node in nodes.items() if key.startswith(name + ".")]
    ports = [key for key in found if isinstance(nodes[key], kind)]
    return ports[0] if len(ports) == 1 else ""


def _rename_advice(name: str, nodes: Mapping[str, Any], edges: Edges) -> str:
    used = {end for edge in edges for end in edge}
    idle = [each for each in nodes if each not in used]
    near = difflib.get_close_matches(name[:60], (idle or list(nodes))[:1000], n=1, cutoff=0.4)
    if near:
        also = ", which no edge mentions," if idle else ""
        return f"if '{near[0]}'{also} is meant: rename it to '{name}', and write the file again"
    return f"add the node '{name}' or remove its edges, and write the file again"


def _listed(nodes: Mapping[str, Any]) -> str:
    names = [f"'{name}'" for name in list(nodes)[:12]]
    return ", ".join(names) + (f" and {len(nodes) - 12} more" if len(nodes) > 12 else "")


def check_flow(net: Network) -> None:
    """Refuse a flat graph without Input or Output, or with a loop that nothing delays.

    Raises:
        LoadError: the message names the nodes.
    """
    for kind in (Input, Output):
        if not net.of_type(kind):
            raise LoadError(
                f"the graph has no {kind.__name__} node",
                f"it has {_listed(net.nodes) or 'no nodes at all'}",
                f"add an {kind.__name__} with the shape of the data, and write the file again",
            )
    loop = stateless_loop(net.nodes, net.edges)
    if loop:
        way = " to ".join(f"'{name}'" for name in [*loop[:8], loop[0]])
        raise LoadError(
            f"the graph has a loop (cycle) without state: {way}",
            "every node of it would need its own output in the same step",
            "put a neuron or a Delay into the loop, or cut one of its edges",
        )
