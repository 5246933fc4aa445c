"""Random networks of the kind that is trained in a chip's integers: weights between spiking layers.

Between two populations stands one node with weights at most, beside pools, delays and reshapes;
everything else is as random as in `graphs.py`: neurons, their rules, recurrence, skips.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from hw_tests.generate.chains import Chains
from hw_tests.generate.graphs import SAMPLES, Drawn
from hw_tests.generate.neurons import draw_neuron
from hw_tests.generate.rules import as_settings, bounded, draw_local_rules, draw_rules
from hw_tests.generate.sketch import Shape, Sketch

KINDS = ("IF", "LIF", "CubaLIF")
ORDERS = ("decay_add_v", "add_v_decay", "add_decay_v")


def layered_graph(rng: np.random.Generator, chip: str = "loihi1") -> Drawn:
    """Return 1 to 3 layers of spiking neurons, some with a loop, a skip or a readout.

    Args:
        rng: where everything comes from.
        chip: `loihi1` draws what that chip carries, `generic_graded` other resets too.
    """
    said = _rules(rng, chip)
    sketch = Sketch()
    chains = Chains(rng, sketch, said["dt"])
    shape: Shape = (int(rng.integers(2, 12)),)
    if rng.random() < 0.35:
        shape = (int(rng.integers(1, 3)), 5, 5)
    last = sketch.add("input", nir.Input({"input": np.array(shape)}), shape, shape)
    sources = [last]
    layers = int(rng.integers(1, 4))
    for layer in range(layers):
        last = _neuron(rng, sketch, said, chip, _way(rng, chains, sources[-1]))
        if rng.random() < 0.25:
            _way_to(rng, chains, str(rng.choice(sources)), last)
        if rng.random() < 0.3 and said["recurrent_lag"]:
            _way_to(rng, chains, last, last)
        sources.append(last)
        if layer < layers - 1 and len(sketch.gives[last]) == 1 and rng.random() < 0.2:
            last = chains.delay(last)
            sources[-1] = last
    if rng.random() < 0.2:  # a readout hears spikes and sends none
        weighted = chains.flat(last)
        node = draw_neuron(rng, "LI", sketch.gives[weighted], said)
        last = sketch.add("readout", node, *(sketch.gives[weighted],) * 2, weighted)
    given = sketch.gives[last]
    sketch.add("output", nir.Output({"output": np.array(given)}), given, given, last)
    settings = as_settings(said)
    for name, over in sketch.rules.items():
        settings += as_settings(over, name)
    graph = nir.NIRGraph(sketch.nodes, sketch.edges, type_check=False)
    x = rng.random((SAMPLES, int(rng.integers(12, 25)), *shape)) < rng.uniform(0.2, 0.6)
    from collections import Counter

    return Drawn(graph, settings, chip, {"input": x.astype(np.uint8)}, Counter())


def _rules(rng: np.random.Generator, chip: str) -> dict[str, Any]:
    said = draw_rules(rng, chip)
    if said["current_order"] == "v_decay_add" and rng.random() < 0.9:
        said["current_order"] = str(rng.choice(ORDERS))
    return said


def _way(rng: np.random.Generator, chains: Chains, source: str) -> str:
    """Add one node with weights, maybe a pool or a delay before it."""
    sketch, last = chains.sketch, source
    if rng.random() < 0.25:
        last = chains.delay(last)
    if len(sketch.gives[last]) == 1:
        return chains.dense(last)
    match rng.integers(4):
        case 0:
            return chains.flat(last)
        case 1:
            return chains.flat(chains.pool(last))
        case 2:
            return chains.pool(last)
    return chains.conv2d(last)


def _way_to(rng: np.random.Generator, chains: Chains, source: str, target: str) -> None:
    """Add a matrix from one population to another of a plain shape, maybe late."""
    sketch = chains.sketch
    wanted = sketch.takes[target]
    if len(wanted) != 1:
        return
    last = chains.delay(source, 1) if rng.random() < 0.3 else source
    sketch.join(chains.dense(chains.flatten(last), wanted[0]), target)


def _neuron(
    rng: np.random.Generator, sketch: Sketch, said: dict[str, Any], chip: str, last: str
) -> str:
    shape = sketch.gives[last]
    name = sketch.add("n", draw_neuron(rng, str(rng.choice(KINDS)), shape, said), shape, shape)
    sketch.join(last, name)
    if rng.random() < 0.3:
        whole = bounded(said | draw_local_rules(rng, chip, said["dt"]))
        changed = {field for field in whole if whole[field] != said[field]} | {"reset"}
        sketch.rules[name] = {field: whole[field] for field in sorted(changed)}
    return name
