"""Networks built in code: each loads, spikes, and runs on the chip that it was made for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import Network
from spikeport.models.networks.library import NETWORKS, build
from spikeport.models.networks.parts import drawn, memory_of

Array = np.ndarray[Any, Any]
#: Network -> chip, steps, spikes per step of an input channel, on the average.
MADE_FOR = {
    "digits_mlp": ("loihi1", 25, 0.3),
    "mnist_mlp": ("loihi1", 25, 0.13),
    "mnist_cnn": ("loihi1", 25, 0.13),
    "recurrent": ("loihi1", 100, 0.03),
    "residual": ("loihi1", 25, 0.3),
    "delays": ("loihi1", 100, 0.05),
    "sigma_delta": ("generic_graded", 25, 0.3),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def loaded(name: str, folder: Path, **options: Any) -> Network:
    path = folder / f"{name}.nir"
    nir.write(path, build(name, **options))
    return sp.load(path)


def inputs_for(name: str, net: Network, samples: int = 8) -> Array:
    """Return spikes of channels that differ in how often they spike."""
    _, steps, rate = MADE_FOR[name]
    rng = np.random.default_rng(1)
    shape = net.nodes["input"].shape
    levels = rng.random((samples, 1, *shape)) * 2 * rate
    return (rng.random((samples, steps, *shape)) < levels).astype(np.uint8)


@every_network
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_loads_without_a_dialect_and_every_layer_spikes_at_a_sensible_rate(
    name: str, seed: int, tmp_path: Path
):
    net = loaded(name, tmp_path, seed=seed)
    assert net.repairs == ()
    x = inputs_for(name, net)
    probe = [f"{each}.v" for each in net.neurons]
    traces = sp.run(net, x, probe=probe)
    for each in net.neurons:
        if each not in traces.spikes:
            assert 0.2 < np.sqrt(np.mean(traces.probes[f"{each}.v"] ** 2)) < 5, each
            continue
        dense = traces.spikes[each].dense()
        silent = 1 - dense.reshape(*x.shape[:2], -1).any(axis=(0, 1)).mean()
        most = 0.5 if name == "recurrent" else 0.2  # a loop echoes before it has learned
        assert 0.005 < dense.mean() < most, each
        assert silent < 2 / 3, each


@every_network
def test_a_network_with_random_weights_runs_on_the_chip_that_it_was_made_for(
    name: str, tmp_path: Path
):
    net = loaded(name, tmp_path)
    x = inputs_for(name, net)
    image = sp.compile(net, MADE_FOR[name][0], calibration=x)
    ideal, chip = (sp.run(each, x, probe=["output.v"]) for each in (net, image))
    parity = sp.compare(ideal, chip)
    if name == "sigma_delta":  # thresholds of 0.1, and readouts of about 1
        assert parity.analog["output"].rms_difference < 0.1
        return
    for each in net.neurons:
        wanted = ideal.spikes[each].total
        assert abs(chip.window(each).sum() - wanted) < 0.05 * wanted + 5, each
    # Eight bits of weights move some spikes; where spikes act on spikes, every one behind them.
    assert parity.repeated > (0.4 if name == "recurrent" else 0.85)


@every_network
def test_a_seed_is_a_network_and_another_seed_another(name: str, tmp_path: Path):
    first, again, other = (build(name, seed=seed) for seed in (3, 3, 4))
    weights = [node for node, value in first.nodes.items() if hasattr(value, "weight")]
    assert weights
    for each in weights:
        assert np.array_equal(first.nodes[each].weight, again.nodes[each].weight)
        assert not np.array_equal(first.nodes[each].weight, other.nodes[each].weight)


def test_sizes_are_what_was_asked_for(tmp_path: Path):
    assert build("digits_mlp", hidden=7).nodes["hidden1_weights"].weight.shape == (7, 64)
    assert build("mnist_cnn", channels=(3, 5)).nodes["conv2"].weight.shape == (5, 3, 3, 3)
    net = loaded("recurrent", tmp_path, inputs=5, hidden=6, classes=2)
    assert net.nodes["recurrent_weights"].weight.shape == (6, 6)
    fine = build("delays", inputs=5, groups=3, hidden=1)
    assert [fine.nodes[f"delay{k}"].delay.shape for k in range(3)] == [(5,)] * 3


def test_a_name_or_a_size_that_is_not_known_is_refused_with_the_nearest():
    with pytest.raises(GraphError, match="there is no network 'digits_mpl'") as caught:
        build("digits_mpl")
    assert re.findall(r"take (\S+)", caught.value.fix) == ["digits_mlp"]
    with pytest.raises(GraphError, match="'digits_mlp' has no option 'hiden'") as caught:
        build("digits_mlp", hiden=3)
    assert caught.value.fix == "did you mean 'hidden'?"


def test_weights_are_drawn_so_that_v_spreads_by_the_same_whatever_the_layer():
    rng = np.random.default_rng(0)
    for keep, rate, inputs in ((0.9, 0.3, 64), (0.8, 0.05, 400)):
        weight = drawn(rng, (500, inputs), rate, memory_of(keep))
        v = np.zeros(500)
        for _ in range(50):
            signs = rng.choice([-1.0, 1.0], inputs)  # so that nothing but the spread is left
            v = keep * v + weight @ (signs * (rng.random(inputs) < rate))
        assert 0.9 < v.std() < 1.5
