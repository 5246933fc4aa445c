"""A NIR graph while it is drawn: nodes, edges and the shape of everything, without batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

Shape = tuple[int, ...]
NEURONS = ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I", "Threshold")


@dataclass
class Sketch:
    """Nodes by name, edges in order, and per node the shapes that it takes and gives.

    `rules` holds what a neuron's step does differently from the network's (Semantics fields).
    """

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    takes: dict[str, Shape] = field(default_factory=dict)
    gives: dict[str, Shape] = field(default_factory=dict)
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(
        self, name: str, node: nir.NIRNode, takes: Shape, gives: Shape, after: str | None = None
    ) -> str:
        """Add a node under a name that is free, behind `after`; return that name."""
        free = name
        while free in self.nodes:
            free = f"{name}{len(self.nodes)}"
        self.nodes[free] = node
        self.takes[free], self.gives[free] = takes, gives
        if after is not None:
            self.join(after, free)
        return free

    def join(self, source: str, target: str) -> None:
        """Add an edge."""
        if self.gives[source] != self.takes[target]:
            raise ValueError(
                f"{source} gives {self.gives[source]}, {target} takes {self.takes[target]}"
            )
        self.edges.append((source, target))

    def joined(self, source: str, target: str) -> bool:
        """Is there this edge already (NIR has each once)."""
        return (source, target) in self.edges

    def is_neuron(self, name: str) -> bool:
        """Has this node state (or, a Threshold, spikes)."""
        return type(self.nodes[name]).__name__ in NEURONS

    def before(self, name: str) -> Iterator[str]:
        """Yield the neurons and Inputs that reach `name` without passing another."""
        for source, target in self.edges:
            if target == name:
                passed = self.is_neuron(source) or isinstance(self.nodes[source], nir.Input)
                yield from (source,) if passed else self.before(source)

    def after(self, name: str) -> Iterator[str]:
        """Yield the neurons and Outputs that `name` reaches without passing another."""
        for source, target in self.edges:
            if source == name:
                passed = self.is_neuron(target) or isinstance(self.nodes[target], nir.Output)
                yield from (target,) if passed else self.after(target)


def size_of(shape: Shape) -> int:
    """Return the number of elements."""
    return int(np.prod(shape, dtype=int))
