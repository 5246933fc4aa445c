"""Real graphs on the emulator and on real Lava 0.10: equal in every u, v and spike."""

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.verbs import chip, run


def packed_digits(cases):
    recorded = np.load(cases / "trained_snntorch_digits_lif" / "eval.npz")
    shape = recorded["shape"]
    x = np.unpackbits(recorded["packed"])[: np.prod(shape)].reshape(shape)
    return {"x": x, "labels": recorded["labels"]}


def moving_rings(cases, samples=3):
    """Three variants of the recorded ring: as it is, mirrored, and turned."""
    x = np.load(cases / "nirpaper_cnn_sinabs" / "input.npz")["x"]
    return {"x": np.stack([x, x[..., ::-1], x[:, :, ::-1]])[:samples]}


def braille(cases):
    return {"x": np.load(cases / "nirpaper_braille_zero" / "input.npz")["x"][:5]}


GRAPHS = {
    "trained_snntorch_digits_lif": ("snntorch", 1e-4, packed_digits),
    "nirpaper_braille_zero": ("nir", 1e-4, braille),
    "nirpaper_cnn_sinabs": ("nir", 1.0, moving_rings),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_emulator_equals_lava_in_every_bit(cases, lava, name):
    dialect, dt, data = GRAPHS[name]
    net = sp.load(cases / name / "graph.nir", dialect=dialect, dt=dt)
    samples = data(cases)
    result = sp.deploy(net, data=samples, backends_wanted=["emulator", "lava"])
    parity = result["parity"]["lava_vs_emulator"]
    assert parity["different"] == 0
    assert parity["variables"] == ["spikes", "u", "v"]
    assert parity["samples"] == min(20, len(samples["x"]))
    neurons = result["resources"]["compartments"]
    steps = result["steps"] + result["latency_steps"]

    assert parity["cells"] == 3 * neurons * steps * parity["samples"]
    assert result["parity"]["emulator_vs_reference"]["explanation"]["causes"]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_retimed_float_network_is_the_reference_later(cases, name):
    dialect, dt, data = GRAPHS[name]
    net = sp.load(cases / name / "graph.nir", dialect=dialect, dt=dt)
    x = data(cases)["x"][:5]
    retimed = for_chip(to_clocked(net), chip("loihi1"))
    parity = sp.compare(run(net, x), run(retimed, x))
    assert parity.different == 0
    assert max(retimed.lags.values()) >= 2


@pytest.mark.parametrize("changing", [False, True])
def test_pixels_as_current_deploy(cases, lava, changing):
    x = packed_digits(cases)["x"][:6].mean(axis=1, keepdims=True).repeat(25, axis=1)
    if changing:
        x = x * np.linspace(0.5, 1.5, 25)[None, :, None]
    net = sp.load(cases / "trained_snntorch_digits_lif" / "graph.nir", dialect="snntorch", dt=1e-4)
    result = sp.deploy(net, data={"x": x}, input="current", backends_wanted=["emulator", "lava"])
    assert result["parity"]["lava_vs_emulator"]["different"] == 0
    against = result["parity"]["emulator_vs_reference"]
    assert against["different"] < 0.01 * against["cells"]
    words = "the host computes the first layer" if changing else "one bias register per sample"
    assert any(words in note for note in result["notes"])
