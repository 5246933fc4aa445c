"""Convolutions between integrate-and-fire neurons: image-like inputs, few weights."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from spikeport.compiler.semantics import Semantics
from spikeport.models.networks.parts import (
    DT,
    affine,
    drawn,
    graph,
    if_,
    memory_of,
    source,
    target,
)

STRIDE = 2  # of both convolutions, which so need no pooling
RATE = 0.13  # spikes per step of a pixel of MNIST
HIDDEN_RATE = 0.05
BETWEEN = 8  # steps from spike to spike: an integrator forgets at a reset, and only there


def mnist_cnn(*, seed: int = 0, channels: tuple[int, int] = (8, 16)) -> nir.NIRGraph:
    """Return two convolutions of stride 2 and a layer of 10, all with IF neurons reset to 0.

        1 x 28 x 28 -> 5 x 5 -> IF c1 x 12 x 12 -> 3 x 3 -> IF c2 x 5 x 5 -> flatten -> IF 10

    An integrator forgets nothing, so chips without decays run it as well as others do.
    """
    rng = np.random.default_rng(seed)
    memory = memory_of(1.0, steps=BETWEEN)
    first, second = channels
    flat = second * 5 * 5
    nodes: dict[str, Any] = {
        "input": source(1, 28, 28),
        "conv1": _conv(drawn(rng, (first, 1, 5, 5), RATE, memory), 28),
        "spikes1": if_(first, 12, 12),
        "conv2": _conv(drawn(rng, (second, first, 3, 3), HIDDEN_RATE, memory), 12),
        "spikes2": if_(second, 5, 5),
        "flatten": nir.Flatten({"input": np.array([second, 5, 5])}, 0, -1),
        "output_weights": affine(rng, 10, flat, HIDDEN_RATE, memory),
        "output": if_(10),
        "readout": target(10),
    }
    return graph(nodes, Semantics(dt=DT, dialect="nir"))


def _conv(kernel: Any, extent: int) -> nir.Conv2d:
    bias = np.zeros(kernel.shape[0], np.float32)
    return nir.Conv2d((extent, extent), kernel, (STRIDE, STRIDE), (0, 0), (1, 1), 1, bias)
