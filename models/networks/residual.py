"""A skip connection around a layer: spikes reach the join twice, at once and transformed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np

from spikeport.compiler.semantics import Semantics
from spikeport.models.networks.parts import DT, TAU, affine, graph, lif, memory_of, source, target


def residual(
    *, seed: int = 0, inputs: int = 64, hidden: int = 64, classes: int = 10
) -> nir.NIRGraph:
    """Return LIF layers of which the third hears the first directly and through the second.

        input -> entry -> inner -> join -> output
                   \\________________/

    After spike-element-wise addition (Fang et al., NeurIPS 34, 2021, section 3.2), with the sum in
    front of the neurons: a chip then needs no counts. On chip the skip waits for the layer that it
    goes around (retiming).

    Args:
        seed: of the weights.
        inputs, hidden, classes: neurons of each layer.
    """
    rng = np.random.default_rng(seed)
    memory = memory_of(1 - DT / TAU)
    sizes = {"entry": (hidden, inputs), "inner": (hidden, hidden), "join": (hidden, hidden),
             "output": (classes, hidden)}  # fmt: skip
    rates = {"entry": 0.3, "inner": 0.12, "join": 0.12, "output": 0.12}
    nodes: dict[str, Any] = {"input": source(inputs)}
    for name, (post, pre) in sizes.items():
        nodes[f"{name}_weights"] = affine(rng, post, pre, rates[name], memory)
        nodes[name] = lif(post)
    nodes["readout"] = target(classes)
    names = list(nodes)
    edges = [*pairwise(names), ("entry", "join")]
    return graph(nodes, Semantics(dt=DT, dialect="nir"), edges)
