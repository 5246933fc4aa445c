"""Walking a graph in linear time: neighbours, and the order in which shapes become known."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from spikeport.compiler.network import Delay, is_neuron

Edges = tuple[tuple[str, str], ...]


def sources_and_targets(
    nodes: Iterable[str], edges: Edges
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return node -> nodes that send to it, and node -> nodes that it sends to."""
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    targets: dict[str, list[str]] = {name: [] for name in sources}
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
    return sources, targets


def first_arrivals(
    starts: Iterable[str], targets: Mapping[str, list[str]]
) -> Iterator[tuple[str, str | None]]:
    """Yield every node that can be reached, once, with the node from which it was reached.

    Breadth first; the starts come with None, each when all before it are exhausted.
    """
    seen: set[str] = set()
    for start in starts:
        waiting: deque[tuple[str, str | None]] = deque([(start, None)])
        while waiting:
            name, source = waiting.popleft()
            if name in seen:
                continue
            seen.add(name)
            yield name, source
            waiting.extend((target, name) for target in targets[name])


def inside_loops(names: Collection[str], edges: Edges) -> set[str]:
    """Return the nodes, of those given, that lie on a loop through nothing but them.

    >>> sorted(inside_loops({"a", "b", "c"}, (("a", "b"), ("b", "c"), ("c", "b"), ("a", "x"))))
    ['b', 'c']
    """
    edges = tuple((a, b) for a, b in edges if a in names and b in names)
    parts = loop_numbers(names, edges)
    return {a for a, b in edges if parts[a] == parts[b]}


def loop_numbers(names: Collection[str], edges: Edges) -> dict[str, int]:
    """Return node -> number; two nodes have the same where each leads to the other.

    >>> found = loop_numbers(["a", "b", "c"], (("a", "b"), ("b", "a"), ("b", "c")))
    >>> found["a"] == found["b"], found["b"] == found["c"]
    (True, False)
    """
    number = {name: index for index, name in enumerate(names)}
    ends = np.array([(number[a], number[b]) for a, b in edges], int).reshape(-1, 2)
    if not number:
        return {}
    graph = sp.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (len(number),) * 2)
    _, labels = connected_components(graph, connection="strong")
    return dict(zip(number, labels.tolist(), strict=True))


def stateless_loop(nodes: Mapping[str, Any], edges: Edges) -> list[str]:
    """Return the nodes of one loop with neither neuron nor Delay, in order; [] where none is.

    >>> stateless_loop({"a": 0, "b": 0, "c": 0}, (("a", "b"), ("b", "c"), ("c", "b")))
    ['b', 'c']
    """
    before: dict[str, list[str]] = {
        name: [] for name, node in nodes.items() if not is_neuron(node) and type(node) is not Delay
    }
    for source, target in edges:
        if source in before and target in before:
            before[target].append(source)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        return list(error.args[1][:-1])
    return []
