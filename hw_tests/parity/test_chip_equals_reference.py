"""Networks whose values the chip holds exactly: there it equals the reference in every cell."""

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.semantics import apply_settings, preset
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif
from spikeport.verbs import run


def layer(neuron, weight, said, extra=()):
    nodes = {"in": Input((weight.shape[1],)), "w": Linear(weight), "n": neuron}
    nodes["out"] = Output((weight.shape[0],))
    edges = (("in", "w"), ("w", "n"), ("n", "out"))
    return Network(nodes, edges, apply_settings(said, extra), name="layer")


def both(net, x):
    image = sp.compile(net, calibration=x)
    return sp.compare(run(net, x), run(image, x))


@pytest.mark.parametrize("threshold", ["greater", "greater_equal"])
@pytest.mark.parametrize("reset", ["subtract", "to_value"])
def test_an_integrator_on_whole_weights_never_drifts(reset, threshold):
    """255 needs all eight bits, 2 is met exactly every second step: a lost tie would show."""
    x = np.random.default_rng(1).integers(0, 2, (30, 100, 2)).astype(np.uint8)
    one = np.ones(1)
    net = layer(
        If(one, 2 * one, 0 * one), np.array([[1.0, 255.0]]), preset("nir"),
        ["dt=1", f"reset={reset}", f"threshold={threshold}"],
    )  # fmt: skip
    parity = both(net, x)
    assert parity.different == 0
    assert parity.populations["n"].spikes_expected > 500


def test_a_tie_at_the_threshold_of_a_leaky_neuron_is_met():
    """tau = 2 dt and weight 2: one spike brings v to 1, the threshold, exactly."""
    x = np.zeros((4, 40, 1), np.uint8)
    x[:, ::7] = 1
    one = np.ones(1)
    neuron = Lif(2e-4 * one, one, 0 * one, one, 0 * one)
    net = layer(neuron, np.array([[2.0]]), preset("spikingjelly"), ["dt=1e-4"])
    parity = both(net, x)
    assert parity.different == 0
    assert parity.populations["n"].spikes_expected == 4 * 6


def test_voltages_are_decoded_in_the_networks_own_units():
    """Levels that differ per neuron decide the class; the chip measures v from them."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2, (60, 30, 8)).astype(np.uint8)
    three = np.ones(3)
    reset = np.array([-5.0, 0.0, 0.5])
    neuron = Lif(5e-3 * three, 50 * three, 0 * three, 1.5 * three, reset)
    net = layer(neuron, rng.normal(0, 0.4, (3, 8)), preset("nir"), ["dt=1e-4"])
    ideal = run(net, x, probe=["n.v"])
    for decode, of in (("mem_last", lambda v: v[:, -1]), ("mem_mean", lambda v: v.mean(axis=1))):
        labels = of(ideal.probes["n.v"]).argmax(axis=1)
        assert np.unique(labels).size > 1
        result = sp.deploy(
            net, data={"x": x, "labels": labels}, decode=decode, backends_wanted=["emulator"]
        )
        assert result["accuracy"]["reference"] == 1.0
        assert result["accuracy"]["emulator"] > 0.9


def two_outputs():
    """The first output is shallow, the second lies two layers deeper."""
    rng = np.random.default_rng(4)
    nodes = {"in": Input((5,))}
    edges = [("in", "w1")]
    for depth in (1, 2, 3):
        one = np.ones(5)
        nodes[f"w{depth}"] = Linear(rng.normal(0.3, 0.5, (5, 5)))
        nodes[f"l{depth}"] = Lif(1e-3 * one, 10 * one, 0 * one, one, 0 * one)
        edges += [(f"w{depth}", f"l{depth}"), (f"l{depth}", f"w{depth + 1}")]
    edges[-1] = ("l3", "deep")
    nodes |= {"shallow": Output((5,)), "deep": Output((5,))}
    edges.append(("l1", "shallow"))
    ordered = {name: nodes[name] for name in sorted(nodes, key=lambda n: n == "deep")}
    return Network(ordered, tuple(edges), apply_settings(preset("nir"), ["dt=1e-4"]), name="two")


def test_what_lies_deeper_than_the_first_output_is_compared_too():
    x = np.random.default_rng(5).integers(0, 2, (3, 40, 5)).astype(np.uint8)
    result = sp.deploy(two_outputs(), data=x, backends_wanted=["emulator"])
    found = result["parity"]["emulator_vs_reference"]["populations"]
    assert {name: row["lag"] for name, row in found.items()} == {"l1": 1, "l2": 2, "l3": 3}
    assert all(row["cells"] == 3 * 40 * 5 for row in found.values())
    assert found["l3"]["spikes_reference"] > 0


def test_a_stream_of_one_sample_is_a_stream(tmp_path):
    x = np.random.default_rng(6).integers(0, 2, (1, 20, 5)).astype(np.uint8)
    result = sp.deploy(two_outputs(), data=x, stream=True, backends_wanted=["emulator"])
    assert result["stream"] is True
    assert "state_reset" not in result["energy"]["by_kind"]


def test_a_real_valued_input_has_a_cause_too():
    x = np.random.default_rng(7).normal(0.5, 0.5, (8, 60, 5))
    result = sp.deploy(two_outputs(), data=x, input="current", backends_wanted=["emulator"])
    parity = result["parity"]["emulator_vs_reference"]
    assert (parity["first_difference"] is None) == (parity["explanation"] is None)
    if parity["different"]:
        assert parity["first_difference"]["cause"]
