"""Layers that send changes: sigma-delta neurons, and integrators as readout."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.load.extension import to_placeholder
from spikeport.compiler.semantics import Semantics
from spikeport.models.networks.parts import DT, STEPS, check_weights, graph, source, target
from spikeport.models.neurons.sigma_delta import SigmaDelta

RATE = 0.45  # root mean square of the spikes per step of a pixel of the digits
ACTIVE = 0.7  # root mean square of relu(x) where x spreads by 1


def sigma_delta(
    *, seed: int = 0, inputs: int = 64, hidden: int = 64, classes: int = 10, theta: float = 0.1
) -> nir.NIRGraph:
    """Return two layers of sigma-delta neurons, and integrators that sum up what they hear.

        inputs -> Linear -> SigmaDelta -> Linear -> SigmaDelta -> Linear -> I

    After any number of steps the readout holds what a network of ReLUs would answer to the sum of
    the inputs so far, within what thresholds hold back; `mem_last` decodes it.

    Args:
        seed: of the weights.
        inputs, hidden, classes: neurons of each layer.
        theta: changes below it are not sent; activations are of the order of 1.
    """
    rng = np.random.default_rng(seed)
    ones = np.ones(hidden)
    cells = SigmaDelta(v_threshold=theta * ones, bias=0.0 * ones)
    nodes: dict[str, Any] = {
        "input": source(inputs),
        "hidden1_weights": nir.Linear(_drawn(rng, hidden, inputs, STEPS * RATE)),
        "hidden1": to_placeholder(cells),
        "hidden2_weights": nir.Linear(_drawn(rng, hidden, hidden, ACTIVE)),
        "hidden2": to_placeholder(cells),
        "output_weights": nir.Linear(_drawn(rng, classes, hidden, ACTIVE)),
        "output": nir.I(np.full(classes, 1 / DT, np.float32)),
        "readout": target(classes),
    }
    return graph(nodes, Semantics(dt=DT, dialect="nir", threshold="greater_equal"))


def _drawn(rng: np.random.Generator, post: int, pre: int, size: float) -> Array:
    """Return weights behind which activations spread by 1, where what arrives has this size."""
    check_weights(post, pre)
    return rng.normal(0.0, 1.0 / (size * np.sqrt(pre)), (post, pre)).astype(np.float32)
