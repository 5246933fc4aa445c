"""Xylo: from CubaLIF in floats to 8-bit weights, decays by shift and counted spikes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from hw_tests.xylo_models import DT, chip, compared, compiled, cuba, lasting, near, net_of, spikes
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.network import Affine, Linear, Network
from spikeport.compiler.semantics import apply_settings
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.li import Li

Array = np.ndarray[Any, Any]

# --- from floats to integers -----------------------------------------------------------------


def test_with_time_constants_of_the_chip_counts_are_those_of_the_reference_within_a_few_percent():
    x, unseen = spikes(), spikes(99)
    image = compiled(net_of(), x)
    cells, counts = near(net_of(), unseen, "h", image)
    assert cells > 0.97
    assert counts < 0.01
    cells, counts = near(net_of(), unseen, "o", image)
    assert cells > 0.94
    assert counts < 0.05
    ideal, found = compared(net_of(), unseen, "o", image)
    same = ideal.sum(axis=1).argmax(axis=1) == found.sum(axis=1).argmax(axis=1)
    assert same.mean() >= 0.95
    assert not any("keeps" in note for note in image.program.notes)


@pytest.mark.parametrize("dash", [(2.6, 3.5), (3.4, 4.5), (3.6, 3.6), (1.6, 5.4)])
def test_a_time_constant_between_two_shifts_keeps_the_number_of_spikes(dash: tuple[float, float]):
    x = spikes()
    net = net_of(hidden=cuba(60, dash), readout=cuba(8, dash, 4.0))
    image = compiled(net, x)
    ideal, found = compared(net, x, "h", image)
    assert abs(found.sum() / ideal.sum() - 1) < 0.2
    rows = [row for row in image.program.losses if row["what"] == "dash_syn"]
    exact = round(dash[0])
    assert all(row["relative"] == pytest.approx(abs(2 ** (dash[0] - exact) - 1)) for row in rows)


@pytest.mark.parametrize("order", ["add_decay_v", "decay_add_v", "add_v_decay", "v_decay_add"])
def test_every_order_of_current_and_voltage_runs_with_the_same_accuracy(order: str):
    x = spikes()
    net = net_of(f"current_order={order}")
    image = compiled(net, x)
    assert near(net, x, "h", image)[1] < 0.01
    assert near(net, x, "o", image)[1] < 0.05
    assert image.program.lags["o"] == (order != "v_decay_add")


def test_weights_of_each_neuron_use_their_bits_where_their_sizes_differ():
    rng = np.random.default_rng(3)
    net = net_of()
    factor = np.linspace(0.3, 1.0, 60)
    other = {**net.nodes, "fc1": Linear(rng.uniform(-0.4, 0.4, (60, 16)) * factor[:, None])}
    program = compiled(Network(other, net.edges, net.semantics), spikes()).program
    (weights,) = (each for each in program.synapses if each.post == "h")
    assert np.abs(weights.mantissa).max(axis=1).min() > 63
    cell, scale = program.populations["h"].cell, program.populations["h"].scale
    assert np.ptp(scale) > 0
    assert np.array_equal(cell.v_threshold, scale)  # thresholds of 1 lose nothing


def test_weights_are_shifted_left_so_that_states_have_fine_steps():
    x = spikes()
    net = net_of()
    for part in (1, 16):
        small = {**net.nodes, "fc1": Linear(net.nodes["fc1"].weight * 4 / part)}
        one = np.ones(60) * 4 / part
        h = cuba(60)
        small["h"] = CubaLif(h.tau_mem, h.tau_syn, h.r, h.v_leak, one, h.v_reset, h.w_in)
        program = compiled(Network(small, net.edges, net.semantics), x).program
        (weights,) = (each for each in program.synapses if each.post == "h")
        assert weights.exponent >= 1
        assert program.populations["h"].cell.v_threshold.min() > 1500


def test_what_is_lost_has_a_row_for_each_kind_of_register():
    net = net_of(hidden=cuba(60, v_leak=0.3))
    rows = {(row["object"], row["what"]) for row in compiled(net, spikes()).program.losses}
    registers = {"dash_syn", "dash_mem", "threshold"}
    assert {(n, what) for n in "ho" for what in registers} | {
        ("fc1", "weights"), ("fc2", "weights"), ("h", "bias")
    } == rows  # fmt: skip


def test_two_paths_between_the_same_neurons_are_one_matrix_on_chip():
    net = net_of()
    half = Linear(net.nodes["fc1"].weight / 2)
    nodes = {**net.nodes, "fc1": half, "again": half}
    edges = (*net.edges, ("in", "again"), ("again", "h"))
    x = spikes()
    one, two = compiled(net, x).program, compiled(Network(nodes, edges, net.semantics), x).program
    assert [each.post for each in two.synapses] == ["h", "o"]
    assert np.array_equal(two.synapses[0].mantissa, one.synapses[0].mantissa)


def test_a_hidden_population_sends_counts_and_a_readout_one_spike():
    x = spikes(most=15)
    net = net_of(hidden=cuba(60, theta=0.5))
    image = compiled(net, x)
    assert 10 < compared(net, x, "h", image)[0].max() <= 31
    assert near(net, x, "h", image)[1] < 0.01
    assert compared(net, x, "o", image)[1].max() == 1
    assert any("readout 'o' sends one spike per step at most" in n for n in image.program.notes)


def test_a_bias_on_the_weights_is_a_neuron_that_always_spikes():
    net = net_of()
    biased = Affine(net.nodes["fc2"].weight, np.linspace(0, 0.06, 8))
    biased_net = Network({**net.nodes, "fc2": biased}, net.edges, net.semantics)
    x = spikes()
    image = compiled(biased_net, x)
    (name,) = (n for n, pop in image.program.populations.items() if pop.kind == "constant")
    assert compared(biased_net, x)[0].sum() > compared(net, x)[0].sum() + 300
    assert near(biased_net, x, "o", image)[1] < 0.05
    assert sp.run(image, x).spikes[name].dense().all()


def test_a_leak_level_is_a_bias_register_and_an_early_start_is_said():
    net = net_of(hidden=cuba(60, v_leak=0.9), readout=cuba(8, v_leak=1.5, theta=2.0))
    x = spikes()
    image = compiled(net, x)
    assert image.program.populations["h"].cell.bias.min() > 0
    said = [note for note in image.program.notes if "acts from the first step" in note]
    assert len(said) == 1
    assert "'o'" in said[0]
    assert "1 step before" in said[0]
    assert near(net, x, "h", image)[1] < 0.02


def test_without_calibration_the_scale_leaves_room_for_everything():
    image = sp.compile(net_of(), chip())
    assert any("no calibration" in note for note in image.program.notes)
    traces = sp.run(image, np.ones((1, 60, 16), np.uint8))
    assert not traces.extra["overflows"]["h"]


# --- what is refused, with advice that works ------------------------------------------------


def refused(net: Network, x: Array | None = None, kind: str = "spikes") -> LoweringError:
    with pytest.raises(LoweringError) as caught:
        sp.compile(net, chip(), calibration=spikes() if x is None else x, kind=kind)
    return caught.value


def advised(error: LoweringError, net: Network) -> Network:
    """Return the network with the setting that the error tells."""
    setting = re.search(r"--set ([^\s,]+)", error.fix).group(1)
    return net.with_semantics(apply_settings(net.semantics, [setting]))


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ("h.initial_v=0.5", "v of 'h' starts at 0.5"),
        ("o.v_min=0", "v of 'o' does not fall below 0"),
        ("h.spike=binary", "'h' sends one spike per step .* two of its thresholds of 0.1"),
        ("h.reset=to_value", "'h' is reset by to_value"),
        ("o.reset_when=next_step", "'o' is reset in the step after"),
        ("h.refractory=0.003", "'h' is refractory for 3 steps"),
    ],
)
def test_a_setting_that_the_chip_has_not_is_refused_and_the_advice_works(said: str, match: str):
    hidden = cuba(60, theta=0.1)
    net = (
        net_of(said, "h.spike=binary", hidden=hidden)
        if "to_value" in said
        else net_of(said, hidden=hidden)
    )
    error = refused(net)
    assert re.search(match, error.what)
    fixed = advised(error, net)
    if "to_value" in said:
        fixed = advised(refused(fixed), fixed)  # then the counts
    assert compiled(fixed, spikes(), sp.chip("xylo_audio2"))


def test_one_spike_a_step_is_accepted_where_v_never_holds_two_thresholds():
    net = net_of("spike=binary", hidden=cuba(60, theta=3.0))
    x = spikes()
    ideal, found = compared(net, x, "h")
    assert ideal.max() == found.max() == 1
    assert np.mean(ideal == found) > 0.98


def test_an_analog_readout_is_refused_by_name():
    one = np.ones(8)
    error = refused(net_of(readout=Li(lasting(4) * one, one, 0 * one)))
    assert "'o' is a LI" in str(error)
    assert "xylo_audio2 runs IF, LIF, CubaLIF" in str(error)


def test_real_valued_input_is_refused():
    error = refused(net_of(), spikes().astype(float) * 0.3, "current")
    assert "the input 'in' is a current" in str(error)


# --- real graphs -----------------------------------------------------------------------------


def test_rockpools_network_runs_on_xylo_with_the_accuracy_that_its_decays_allow(cases):
    folder = cases / "rockpool_ff_cuba"
    net = sp.load(folder / "graph.nir", dialect="rockpool", dt=DT)
    x = spikes(samples=40, steps=100)
    image = compiled(net, x, sp.chip("xylo_audio2"))
    ideal, found = compared(net, x, "1_LIFTorch", image)
    per_neuron = np.abs(ideal.sum(axis=1) - found.sum(axis=1)).sum() / ideal.sum()
    assert per_neuron < 0.06  # time constants are 31 and 28 % from the nearest shift
    assert any("keeps 0.875 per step, not 0.9048" in note for note in image.program.notes)
