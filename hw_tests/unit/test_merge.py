"""Parallel paths become one projection where a chip stores one weight per pair of neurons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.semantics import preset
from spikeport.models.neurons.if_ import If


def two_paths() -> Network:
    """Return input -> a, and from a to b twice, the weights of both as large as they get."""
    one, zero = np.ones(4), np.zeros(4)
    nodes = {
        "input": Input((4,)),
        "in_a": Linear(np.eye(4)),
        "a": If(one, one, zero),
        "left": Linear(np.full((4, 4), 0.4)),
        "right": Linear(np.eye(4) * 0.4),
        "b": If(one, one, zero),
        "output": Output((4,)),
    }
    edges = [("input", "in_a"), ("in_a", "a"), ("a", "left"), ("a", "right")]
    edges += [("left", "b"), ("right", "b"), ("b", "output")]
    said = replace(preset("nir"), dt=1.0, threshold="greater_equal")
    return Network(nodes, tuple(edges), name="two").with_semantics(said)


@pytest.mark.parametrize(("chip", "most"), [("speck2f", 127), ("odin", 7)])
def test_the_sum_of_two_paths_is_what_is_rounded(chip, most):
    x = (np.random.default_rng(0).random((2, 20, 4)) < 0.4).astype(np.uint8)
    net = two_paths()
    image = sp.compile(net, chip, calibration=x)
    (both,) = [each for each in image.program.into("b")]
    assert both.name == "left+right"
    assert int(np.abs(both.rows.toarray()).max()) <= most
    assert sp.run(image, x).spikes["b"].total == pytest.approx(
        sp.run(net, x).spikes["b"].total, rel=0.1
    )


def test_lists_keep_both_paths():
    assert len(sp.compile(two_paths(), "loihi1").program.into("b")) == 2
