"""Groups of neurons that hear the inputs through delays of their own, which are learned."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np

from spikeport.compiler.semantics import Semantics
from spikeport.models.networks.parts import drawn, graph, lif, memory_of, source, target

DT = 1e-3
TAU = 5e-3  # short: only spikes that arrive together make a neuron spike
TOGETHER = 2.0  # thresholds that one spike of every input, all at once, is worth at first
RATE = 0.05  # spikes per step of a neuron


def delays(
    *, seed: int = 0, inputs: int = 4, groups: int = 4, hidden: int = 4, classes: int = 4,
    longest: int = 36,
) -> nir.NIRGraph:  # fmt: skip
    """Return inputs -> (Delay -> Linear -> LIF) for each group, and all of them -> LIF classes.

    Made for the task of `data/delays.py`. A Delay holds one delay for each input, so the weights
    behind it share them: a group is what learns one pattern of delays. With `hidden=1` there is a
    delay for each synapse.

    Args:
        seed: of the weights and of the delays, which are spread evenly up to `longest`.
        inputs: channels.
        groups: of neurons with delays of their own.
        hidden: neurons in each group.
        classes: neurons of the output.
        longest: steps; a chip has 62 at most without relays.
    """
    rng = np.random.default_rng(seed)
    memory = memory_of(1 - DT / TAU)
    nodes: dict[str, Any] = {"input": source(inputs)}
    edges: list[tuple[str, str]] = []
    for k in range(groups):
        chain = {
            f"delay{k}": nir.Delay(rng.uniform(0.0, longest * DT, inputs).astype(np.float32)),
            f"weights{k}": nir.Linear(
                (TOGETHER / inputs * rng.uniform(0.6, 1.4, (hidden, inputs))).astype(np.float32)
            ),
            f"group{k}": lif(hidden, TAU, DT),
            f"output_weights{k}": nir.Linear(drawn(rng, (classes, hidden), groups * RATE, memory)),
        }
        names = ["input", *chain, "output"]
        edges += pairwise(names)
        nodes |= chain
    nodes |= {"output": lif(classes, TAU, DT), "readout": target(classes)}
    return graph(nodes, Semantics(dt=DT, dialect="nir"), [*edges, ("output", "readout")])
