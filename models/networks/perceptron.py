"""Fully connected layers of LIF neurons, for images as spike trains."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from spikeport.compiler.semantics import Semantics
from spikeport.models.networks.parts import DT, TAU, affine, graph, lif, memory_of, source, target

HIDDEN_RATE = 0.12  # spikes per step of a hidden neuron


def perceptron(sizes: Sequence[int], *, seed: int, rate: float) -> nir.NIRGraph:
    """Return input -> (Affine -> LIF) for each further size, each layer named by its number.

    Args:
        sizes: of the input, the hidden layers, the output.
        seed: of the weights.
        rate: spikes per step of an input.
    """
    rng = np.random.default_rng(seed)
    nodes: dict[str, Any] = {"input": source(sizes[0])}
    for layer, (pre, post) in enumerate(pairwise(sizes), 1):
        name = "output" if layer == len(sizes) - 1 else f"hidden{layer}"
        nodes[f"{name}_weights"] = affine(rng, post, pre, rate, memory_of(1 - DT / TAU))
        nodes[name], rate = lif(post), HIDDEN_RATE
    nodes["readout"] = target(sizes[-1])
    return graph(nodes, Semantics(dt=DT, dialect="nir"))


def digits_mlp(*, seed: int = 0, hidden: int = 100) -> nir.NIRGraph:
    """Return 64 inputs, a hidden layer and 10 LIF neurons, for scikit-learn's digits of 8 x 8."""
    return perceptron((64, hidden, 10), seed=seed, rate=0.3)


def mnist_mlp(*, seed: int = 0, hidden: int = 256) -> nir.NIRGraph:
    """Return 784 inputs, a hidden layer and 10 LIF neurons, for MNIST's digits of 28 x 28."""
    return perceptron((784, hidden, 10), seed=seed, rate=0.13)
