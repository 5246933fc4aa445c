"""One small graph of the conformance suite."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from hw_tests.generate.chains import Chains
from hw_tests.generate.sketch import Shape, Sketch

Array = np.ndarray[Any, Any]
DT = 2.0**-10  # seconds; on a binary grid, so that ties can be met exactly
SAMPLES, STEPS = 2, 24
SAID = {"dt": DT, "tau_unit": "seconds", "recurrent_lag": 1}


@dataclass(frozen=True, eq=False)
class Case:
    """A graph with inputs, of one NIR primitive in one variant.

    Attributes:
        primitive: NIR's name.
        variant: what is special about this graph.
        graph: of the `nir` package.
        settings: `FIELD=VALUE` texts for the preset `nir`.
        inputs: input name -> (samples, steps, *shape), spikes.
    """

    primitive: str
    variant: str
    graph: nir.NIRGraph
    settings: tuple[str, ...]
    inputs: dict[str, Array]

    @property
    def name(self) -> str:
        """Primitive and variant."""
        return f"{self.primitive}: {self.variant}"


@dataclass
class Draft:
    """A sketch, the random numbers and the chains that belong to one name."""

    primitive: str
    variant: str

    def __post_init__(self) -> None:
        seed = zlib.crc32(f"{self.primitive}: {self.variant}".encode())
        self.rng = np.random.default_rng(seed)
        self.sketch = Sketch()
        self.chains = Chains(self.rng, self.sketch, DT)
        self.steps = STEPS

    def input(self, shape: Shape, name: str = "in") -> str:
        """Add an Input."""
        return self.sketch.add(name, nir.Input({"input": np.array(shape)}), shape, shape)

    def output(self, source: str, name: str = "out") -> str:
        """Add an Output that shows `source`."""
        shape = self.sketch.gives[source]
        return self.sketch.add(name, nir.Output({"output": np.array(shape)}), shape, shape, source)

    def lif(self, source: str, name: str = "lif") -> str:
        """Add a plain LIF population that answers about every third step."""
        shape = self.sketch.gives[source]
        steps = self.rng.uniform(2.0, 8.0, shape)
        threshold = self.rng.uniform(0.4, 1.2, shape)
        zero = np.zeros(shape)
        node = nir.LIF(steps * DT, steps, zero, threshold, zero)
        return self.sketch.add(name, node, shape, shape, source)

    def case(self, settings: Sequence[str] = ()) -> Case:
        """Return what was drafted."""
        graph = nir.NIRGraph(self.sketch.nodes, self.sketch.edges, type_check=False)
        inputs = {
            name: (self.rng.random((SAMPLES, self.steps, *self.sketch.gives[name])) < 0.45).astype(
                np.uint8
            )
            for name, node in self.sketch.nodes.items()
            if isinstance(node, nir.Input)
        }
        return Case(self.primitive, self.variant, graph, (f"dt={DT}", *settings), inputs)
