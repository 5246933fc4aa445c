"""Walking a graph in linear time: neighbours, and the order in which shapes become known."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from spikeport.compiler.network import is_neuron

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


def stateless_loop(nodes: Mapping[str, Any], edges: Edges) -> list[str]:
    """Return the nodes of one loop that has no neuron in it, in order; [] where there is none.

    >>> stateless_loop({"a": 0, "b": 0, "c": 0}, (("a", "b"), ("b", "c"), ("c", "b")))
    ['b', 'c']
    """
    before: dict[str, list[str]] = {name: [] for name, node in nodes.items() if not is_neuron(node)}
    for source, target in edges:
        if source in before and target in before:
            before[target].append(source)
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        return list(error.args[1][:-1])
    return []
