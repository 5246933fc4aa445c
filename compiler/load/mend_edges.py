"""Edges that name what is not there, edges given twice, and ports left in the middle of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spikeport.compiler.errors import GraphError
from spikeport.compiler.load.mend import ABSENT, Change, Edge, Edit, Place, places
from spikeport.compiler.passes.flatten_graphs import splice

MOST_MISSING = 20  # names that are looked into; each costs a walk over all edges


def mend_missing_ends(tree: Mapping[str, Any]) -> list[Change]:
    """Return the changes for edges whose ends are no nodes.

    An exporter that flattened a nested graph `lif` left its ports `lif.input` and `lif.output`,
    and edges that still say `lif`: there is one place where each of them can lead.

        before: fc -> lif,  lif.input -> lif.n -> lif.output,  lif -> out
        after:  fc -> lif.input -> lif.n -> lif.output -> out
    """
    changes: list[Change] = []
    for place in places(tree):
        found: list[Change] = []
        for name in _missing(place):
            # Each change is made to what the ones before it leave.
            edges = tuple(found[-1].edits[0].value) if found else place.edges
            here = replace(place, graph={**place.graph, "edges": [list(each) for each in edges]})
            found += _flattened(here, name) or _renamed(here, name) or _dead_end(here, name)
        changes += found
    return changes


def _missing(place: Place) -> list[str]:
    ends = dict.fromkeys(end for edge in place.edges for end in edge)
    return [end for end in ends if end not in place.nodes][:MOST_MISSING]


def _ports(place: Place, name: str, kind: str) -> list[str]:
    return [
        each
        for each, node in place.nodes.items()
        if node.get("type") == kind and each.rpartition(".")[0] == name
    ]


def _flattened(place: Place, name: str) -> list[Change]:
    entry, leave = _ports(place, name, "Input"), _ports(place, name, "Output")
    if len(entry) != 1 or len(leave) != 1:
        return []
    around = (name, name) in place.edges
    first, last = entry[0], leave[0]
    moved = [(last if a == name else a, first if b == name else b) for a, b in place.edges]
    return [
        Change(
            "reconnect",
            place.prefix + name,
            f"{_edges_of(place, name)} without a node '{name}'",
            f"what goes to '{name}' goes to '{first}', what comes from it comes from '{last}'",
            f"'{name}' was a nested graph that its tool flattened: its only Input and Output "
            "are still there",
            (place.with_edges(moved),),
            severity="error",
        ),
        *([_without_itself(place, name, moved, (last, first))] if around else []),
    ]


def _without_itself(place: Place, name: str, moved: list[Edge], around: Edge) -> Change:
    return Change(
        "drop-edge",
        place.prefix + name,
        f"an edge from '{name}' to itself, around a nested graph that was flattened",
        f"the edge from '{name}' to '{name}' is dropped",
        "an early snnTorch exporter wrote it beside the recurrence inside the graph; it could "
        "also mean that the graph's output is added to its input",
        (place.with_edges(edge for edge in moved if edge != around),),
        guess=True,
        severity="error",
    )


def _renamed(place: Place, name: str) -> list[Change]:
    """Put the one node that no edge mentions where the one name is that no node has."""
    used = {end for edge in place.edges for end in edge}
    idle = [each for each in place.nodes if each not in used]
    if len(idle) != 1 or len(_missing(place)) != 1:
        return []
    moved = [(idle[0] if a == name else a, idle[0] if b == name else b) for a, b in place.edges]
    return [
        Change(
            "rename-end",
            place.prefix + idle[0],
            f"{_edges_of(place, name)} without a node '{name}', and no edge of '{idle[0]}'",
            f"the edges of '{name}' are those of '{idle[0]}'",
            f"'{name}' is the only name that is missing here, '{idle[0]}' the only node that no "
            "edge mentions; a node could also have been lost",
            (place.with_edges(moved),),
            guess=True,
            severity="error",
        )
    ]


def _dead_end(place: Place, name: str) -> list[Change]:
    """Drop edges to a missing node that leads nowhere, or from one that nothing depends on."""
    inwards = [edge for edge in place.edges if edge[1] == name]
    outwards = [edge for edge in place.edges if edge[0] == name]
    fed = {b for a, b in place.edges if a != name}
    if (inwards and outwards) or any(b not in fed for _, b in outwards):
        return []
    kept = [edge for edge in place.edges if name not in edge]
    return [
        Change(
            "drop-edge",
            place.prefix + name,
            f"{_edges_of(place, name)} without a node '{name}'",
            "the edges are dropped" if len(inwards + outwards) > 1 else "the edge is dropped",
            f"nothing that is there needs '{name}'; but a node could have been lost",
            (place.with_edges(kept),),
            guess=True,
            severity="error",
        )
    ]


def _edges_of(place: Place, name: str) -> str:
    found = [f"'{a}' to '{b}'" for a, b in place.edges if name in (a, b)]
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    word = "an edge" if len(found) == 1 else "edges"
    return f"{word} from {', '.join(found[:4])}{more}"


def mend_duplicates(tree: Mapping[str, Any]) -> list[Change]:
    """Return the changes for edges that are given more than once."""
    changes = []
    for place in places(tree):
        once = dict.fromkeys(place.edges)
        if len(once) == len(place.edges):
            continue
        twice = [edge for edge, times in Counter(place.edges).items() if times > 1]
        listed = ", ".join(f"'{a}' to '{b}'" for a, b in twice[:6])
        changes.append(
            Change(
                "drop-duplicate",
                place.prefix.rstrip("."),
                f"edges that are given more than once: {listed}",
                "each is there once",
                "edges of a graph are a set, and nir 1.0.8 refuses duplicates; a tool that added "
                "both up would have meant weights of twice the size",
                (place.with_edges(once),),
                guess=True,
                severity="error",
            )
        )
    return changes


def mend_ports(tree: Mapping[str, Any]) -> list[Change]:
    """Return the changes that take Inputs and Outputs out of the middle of a graph.

    before: fc -> lif.input -> lif.n -> lif.output -> out
    after:  fc -> lif.n -> out
    """
    return [change for place in places(tree) for change in _joined(place)]


def _inside(place: Place) -> list[str]:
    fed = {b for _, b in place.edges}
    feeding = {a for a, _ in place.edges}
    return [
        name
        for name, node in place.nodes.items()
        if (node.get("type") == "Input" and name in fed)
        or (node.get("type") == "Output" and name in feeding)
    ]


def _joined(place: Place) -> list[Change]:
    ports = _inside(place)
    if not ports or _missing(place):
        return []
    try:
        _, edges = splice("", place.nodes, place.edges, set(ports))
    except GraphError:
        return []  # a loop of ports: the loader says so
    listed = ", ".join(f"'{name}'" for name in ports[:6])
    return [
        Change(
            "join-port",
            place.prefix.rstrip("."),
            f"Input and Output nodes in the middle of the graph: {listed}",
            "they are gone, and what entered them goes where they led",
            "they are the ports of a nested graph that was flattened; other readers take them for "
            "inputs and outputs of the whole",
            (
                place.with_edges(edges),
                *(Edit((*place.parts, "nodes", name), ABSENT) for name in ports),
            ),
        )
    ]
