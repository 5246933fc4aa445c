"""Whole nouns as text: a changed line here is a changed decision, to be explained in the commit."""

import numpy as np

import spikeport as sp
from spikeport.compiler.network import Affine, Conv2d, Flatten, Input, Network, Output, SumPool2d
from spikeport.compiler.pipeline import for_chip, prepare, to_clocked
from spikeport.compiler.semantics import apply_settings, preset
from spikeport.compiler.text import text
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If


def small_net():
    """A convolution, a pool and a recurrent layer, with weights that one can follow by eye."""
    flat, image = np.ones(3), np.ones((2, 4, 4))
    nodes = {
        "input": Input((1, 4, 4)),
        "conv": Conv2d(
            np.arange(-4, 14).reshape(2, 1, 3, 3) / 8, np.zeros(2), (1, 1), (1, 1), (1, 1), 1
        ),
        "map": If(image, image * 2, image * 0),
        "pool": SumPool2d((2, 2), (2, 2), (0, 0)),
        "flatten": Flatten(0, -1),
        "fc": Affine(np.arange(24).reshape(3, 8) / 24 - 0.25, np.array([0.5, 0.0, -0.5])),
        "out": CubaLif(flat * 8, flat * 4, flat * 8, flat * 0, flat, flat * 0, flat * 4),
        "back": Affine(np.eye(3) / 2, np.zeros(3)),
        "output": Output((3,)),
    }
    edges = (
        ("input", "conv"), ("conv", "map"), ("map", "pool"), ("pool", "flatten"),
        ("flatten", "fc"), ("fc", "out"), ("out", "back"), ("back", "out"), ("out", "output"),
    )  # fmt: skip
    return Network(nodes, edges, apply_settings(preset("nir"), ["dt=1"]), name="small")


def test_the_small_network_after_each_step(golden):
    net = small_net()
    chip = sp.chip("loihi1")
    x = np.tile(np.eye(4), (2, 3, 1, 1, 1)).reshape(2, 3, 1, 4, 4)
    stages = (prepare(net), for_chip(to_clocked(net), chip), sp.compile(net, chip, calibration=x))
    assert "\n".join(text(stage) for stage in stages) == golden("small_net.txt")
