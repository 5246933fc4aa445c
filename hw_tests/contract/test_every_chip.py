"""Every chip of the library takes a small network of a kind that it runs, and verifies it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import spikeport as sp
from spikeport.backends import chip_names
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.semantics import preset
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif
from spikeport.models.neurons.threshold import Threshold


def neurons(kind: str, size: int) -> If | Lif | CubaLif | Threshold:
    one, zero = np.ones(size), np.zeros(size)
    if kind == "IF":
        return If(one, one, zero)
    if kind == "LIF":
        return Lif(one * 8, one * 8, zero, one, zero)
    if kind == "CubaLIF":
        return CubaLif(one * 8, one * 4, one * 8, zero, one, zero, one * 2)
    return Threshold(one)


def network(chip: sp.Chip) -> Network:
    """Return 6 inputs, 7 and 3 neurons of the first kind that the chip runs, with its reset."""
    kind = next(each for each in ("IF", "LIF", "CubaLIF", "Threshold") if each in chip.kinds)
    rng = np.random.default_rng(1)
    nodes: dict[str, object] = {"input": Input((6,))}
    for name, (before, size) in {"a": (6, 7), "b": (7, 3)}.items():
        nodes[f"to_{name}"] = Linear(rng.uniform(-0.5, 1.0, (size, before)))
        nodes[name] = neurons(kind, size)
    nodes["output"] = Output((3,))
    counts = "binary" not in chip.signals or chip.arithmetic == "xylo"
    said = replace(
        preset("nir"),
        dt=1.0,
        reset=chip.resets[0],
        spike="count" if counts else "binary",
        threshold=chip.thresholds[-1],
    )
    return Network(nodes, tuple(pairwise(nodes)), name="small").with_semantics(said)


@pytest.mark.parametrize("name", chip_names())
def test_a_small_network_fits_runs_and_is_verified(name):
    chip = sp.chip(name)
    net = network(chip)
    verdict = sp.check(net, chip)
    assert verdict["fits"], verdict["violations"]
    if chip.arithmetic in ("none", "float"):  # limits alone; the float network itself
        return
    x = np.random.default_rng(2).integers(0, 2, (4, 30, 6)).astype(np.uint8)
    image = sp.compile(net, chip, calibration=x)
    assert verify(image, full=True) is image
    ideal, ran = sp.run(net, x), sp.run(image, x)
    wanted, got = ideal.spikes["b"].total, ran.spikes["b"].total
    assert wanted > 30
    assert abs(got - wanted) < 0.5 * wanted  # the same network, in few bits on some of them
    assert {use.chip for use in image.cores} == {0}
