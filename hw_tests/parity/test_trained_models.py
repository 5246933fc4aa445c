"""Networks that come with the package: what a training in integers computes is what the emulator
computes, in every spike, and the emulator's arithmetic is not the trainer's.

The trainer takes the NumPy specification's step under JAX, all samples at once and layer by layer,
un-retimed; the emulator is the C engine, on the retimed and placed network.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.image import Image
from spikeport.compiler.network import Input, Network
from spikeport.models.networks.library import shipped
from spikeport.models.training.prepare import prepare
from spikeport.models.training.quantized import quantized
from spikeport.models.training.read_recipe import read_recipe
from spikeport.models.training.simulator import trainable
from spikeport.models.training.surrogate import surrogate

jax = pytest.importorskip("jax")

RECIPES = Path(sp.__file__).parent / "models" / "networks" / "recipes"
RECIPES = RECIPES if RECIPES.exists() else Path(__file__).parents[2] / "models/networks/recipes"
SHIPPED = RECIPES.parent / "shipped"
FOR_CHIP = ["digits-mlp-loihi1", "mnist-cnn-loihi1", "mnist-cnn-loihi1-4bit", "recurrent-loihi1"]


def test_every_network_that_was_trained_for_a_chip_is_tested_here():
    assert sorted(each.stem for each in SHIPPED.glob("*-loihi1*.nir")) == sorted(FOR_CHIP)


def some_samples(name: str, net: Network) -> Any:
    given = prepare(read_recipe(RECIPES / f"{name}.yaml"), RECIPES)
    x = np.concatenate([x for x, _ in islice(given.testing(), 1)])[:48]
    return x.reshape(*x.shape[:2], *net.nodes[net.of_type(Input)[0]].shape)


def spikes_of_training(net: Network, image: Image, x: Any) -> dict[str, Any]:
    with jax.enable_x64(True):
        model = trainable(net)
        learned = [key for key in model.initial if key.endswith((".weight", ".bias"))]
        held = quantized(model, image.program, learned)
        params = {key: jax.numpy.asarray(model.initial[key], "float32") for key in learned}
        flat = jax.numpy.asarray(x.reshape(*x.shape[:2], -1), "float32")
        ran = jax.jit(lambda p, x: held.run(p, {model.clocked.inputs[0]: x}, surrogate()).sent)(
            params, flat
        )
        return {name: np.swapaxes(np.asarray(ran[name]), 0, 1) for name in model.clocked.neurons}


@pytest.mark.parametrize("name", FOR_CHIP)
def test_training_in_integers_and_the_emulator_send_the_same_spikes(name: str):
    net = sp.load(shipped(name))
    x = some_samples(name, net)
    image = sp.compile(net, "loihi1")
    traces = sp.run(image, x)
    for population, sent in spikes_of_training(net, image, x).items():
        chip = np.asarray(traces.window(population)).reshape(sent.shape)
        assert chip.any(), f"{population} is silent"
        assert np.array_equal(chip, sent), population


@pytest.mark.parametrize("name", FOR_CHIP)
def test_calibration_changes_nothing_in_a_network_that_carries_its_scales(name: str):
    net = sp.load(shipped(name))
    x = some_samples(name, net)
    with_data = sp.compile(net, "loihi1", calibration=x[:4]).program
    without = sp.compile(net, "loihi1").program
    for one, other in zip(with_data.synapses, without.synapses, strict=True):
        assert one.exponent == other.exponent
        assert np.array_equal(one.values * one.step, other.values * other.step)
    for population, held in with_data.populations.items():
        assert np.array_equal(held.scale, without.populations[population].scale)


def test_weights_of_a_network_for_four_bits_have_four_bits():
    program = sp.compile(sp.load(shipped("mnist-cnn-loihi1-4bit")), "loihi1").program
    assert {each.weight_bits for each in program.synapses} == {4}


def test_one_weight_elsewhere_is_seen():
    name = "digits-mlp-loihi1"
    net = sp.load(shipped(name))
    x = some_samples(name, net)
    image = sp.compile(net, "loihi1")
    affine = net.nodes["hidden1_weights"]
    other = np.array(affine.weight)
    other[3] *= 2
    changed = type(affine)(other, affine.bias)
    moved = type(net)({**net.nodes, "hidden1_weights": changed}, net.edges, net.semantics)
    sent = spikes_of_training(moved, image, x)
    chip = np.asarray(sp.run(image, x).window("hidden1")).reshape(sent["hidden1"].shape)
    assert (chip != sent["hidden1"]).any()
