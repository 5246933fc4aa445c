"""What the builders share: a graph that says what its steps mean, and weights that make it spike.

A builder draws weights from a normal distribution whose width is chosen so that v of a neuron
spreads by about `SPREAD` thresholds: silent layers do not learn, nor do those that always spike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import nir
import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.memory import check_free
from spikeport.compiler.semantics import Semantics, to_metadata

DT = 1e-4  # seconds per step, as snnTorch's exporter writes
TAU = 1e-3
STEPS = 25  # for which an image is shown
SPREAD = 1.2  # standard deviation of v without reset, in thresholds


def graph(
    nodes: Mapping[str, Any],
    semantics: Semantics,
    edges: Sequence[tuple[str, str]] | None = None,
) -> nir.NIRGraph:
    """Return nodes as a graph with its semantics in the metadata.

    Args:
        nodes: name -> node of NIR.
        semantics: what a step means, `dt` included.
        edges: (source, target); by default each node feeds the next.
    """
    pairs = list(pairwise(nodes)) if edges is None else list(edges)
    return nir.NIRGraph(dict(nodes), pairs, metadata={"spikeport": to_metadata(semantics)})


def source(*shape: int) -> nir.Input:
    """Return an input of a shape, without batch and time."""
    return nir.Input({"input": np.array(shape)})


def target(*shape: int) -> nir.Output:
    """Return an output of a shape."""
    return nir.Output({"output": np.array(shape)})


def drawn(rng: np.random.Generator, shape: Sequence[int], rate: float, memory: float) -> Array:
    """Return weights or kernels, float32, normal around 0.

    Args:
        rng: that they are drawn from.
        shape: (post, pre), or (channels out, channels in, height, width).
        rate: spikes per step of what arrives.
        memory: of the neuron, see `memory_of`.
    """
    check_weights(*shape)
    fan_in = int(np.prod(shape[1:]))
    spread = SPREAD / np.sqrt(fan_in * rate * memory)
    return rng.normal(0.0, spread, tuple(shape)).astype(np.float32)


def check_weights(*shape: int) -> None:
    """Refuse weights that could not be trained here: with gradient and moments, twice in float64.

    Raises:
        MemoryLimit: see `check_free`.
    """
    check_free(32 * prod(shape), f"a layer with weights of shape {shape}", "make it smaller")


def memory_of(*keep: float, steps: int = STEPS) -> float:
    """Return how much a neuron sums up: the sum of squares of v after one unit of input.

    Args:
        keep: share of the current and of v that survives a step, one factor for each.
        steps: that are looked at; a neuron that never forgets sums up all of them.

    >>> memory_of(1.0, steps=25)
    25.0
    """
    response = np.ones(1)
    for each in keep:
        response = np.convolve(response, each ** np.arange(steps))[:steps]
    return float((response**2).sum())


def affine(rng: np.random.Generator, post: int, pre: int, rate: float, memory: float) -> nir.Affine:
    """Return drawn weights with biases of 0."""
    return nir.Affine(drawn(rng, (post, pre), rate, memory), np.zeros(post, np.float32))


def lif(size: int, tau: float = TAU, dt: float = DT) -> nir.LIF:
    """Return neurons of threshold 1 whose input adds to v as it is (r = tau / dt)."""
    levels = {"tau": tau, "r": tau / dt, "v_leak": 0, "v_threshold": 1, "v_reset": 0}
    return nir.LIF(**{key: np.full(size, value, np.float32) for key, value in levels.items()})


def if_(*shape: int, dt: float = DT) -> nir.IF:
    """Return integrators of threshold 1 whose input adds to v as it is (r = 1 / dt)."""
    levels = {"r": 1 / dt, "v_threshold": 1, "v_reset": 0}
    return nir.IF(**{key: np.full(shape, value, np.float32) for key, value in levels.items()})
