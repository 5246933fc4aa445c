"""The first cell that differs, with its cause: each class on a network made for it."""

from dataclasses import replace

import numpy as np
import pytest

import spikeport as sp
from hw_tests.generate.faults import FAULTS
from hw_tests.generate.healthy import drawn, fine_weights
from hw_tests.unit.test_attribution import analog_relay, integrators, leaky, lossy, loud, network
from spikeport.backends import emulator, reference
from spikeport.compiler.measure.parity import compare
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.compiler.semantics import apply_settings, preset
from spikeport.data import read_data
from spikeport.explain import explain
from spikeport.models.neurons.cuba_lif import CubaLif


def told(net, x, change=lambda program: program, kind="spikes"):
    """What explain says of a network whose weights are exact and whose Program was changed."""
    image = fine(net, x, kind)
    return explained(net, x, replace(image, program=change(image.program)), kind)


def fine(net, x, kind="spikes", skew=False):
    """The network on Loihi, with weights of 17 bits."""
    image = sp.compile(net, calibration=x, kind=kind, allow_skew=skew)
    host = frozenset(read_data(x, net, kind).host())
    retimed = for_chip(to_clocked(net), image.chip, host, skew)
    return replace(image, program=fine_weights(image.program, retimed))


def explained(net, x, image, kind="spikes", received=None):
    data, clocked = read_data(x, net, kind), to_clocked(net)
    ideal = reference.run(clocked, data.inputs)
    ours = emulator.run(image, received or data.inputs)
    parity = compare(ideal, ours)
    return explain(clocked, image, data, parity, ours), parity.first_difference


def with_cell(program, **changes):
    """The population n with some registers made anew from the old ones."""
    population = program.populations["n"]
    fields = {name: make(getattr(population.cell, name)) for name, make in changes.items()}
    changed = replace(population, cell=replace(population.cell, **fields))
    return replace(program, populations={**program.populations, "n": changed})


def times(factor):
    return lambda register: np.rint(register * factor).astype(np.int32)


def spikes(seed=0, steps=80, inputs=9, rate=0.3):
    return (np.random.default_rng(seed).random((8, steps, inputs)) < rate).astype(np.uint8)


def layer(bias=None, settings=()):
    """Leaky neurons that nothing but a fault moves."""
    return network(leaky(6), np.random.default_rng(1).normal(0.2, 0.4, (6, 9)), bias, settings)


REGISTERS = {
    "decay rounding": {"decay_v": times(1.05)},
    "threshold rounding": {"v_threshold": times(1.2)},
    "reset": {"reset": lambda reset: "subtract"},
}


@pytest.mark.parametrize("cause", REGISTERS)
def test_a_wrong_register_is_named(cause):
    found, first = told(layer(), spikes(), lambda program: with_cell(program, **REGISTERS[cause]))
    assert found["causes"][0] == cause
    assert found["ranked"][0]["object"] == "n"
    assert (found["population"], found["neuron"]) == ("n", list(first.neuron))
    assert found["step"] == first.step
    assert str(first) in found["text"]


@pytest.mark.parametrize("reset", ["to_value", "subtract"])
def test_a_longer_pause_after_a_spike_is_a_reset(reset):
    """v rests where the reset left it, and both stories say so."""
    net = layer(settings=[f"reset={reset}"])
    found, _ = told(net, spikes(), lambda p: with_cell(p, refractory_steps=lambda r: r + 3))
    first = found["ranked"][0]
    assert found["causes"][0] == "reset"
    assert first["alone"] == pytest.approx(found["v_chip"] - found["v_reference"], abs=1e-3)


def test_a_threshold_that_is_off_is_reported_beside_the_trained_one():
    found, _ = told(layer(), spikes(), lambda program: with_cell(program, v_threshold=times(2)))
    assert found["v_threshold"] == pytest.approx(1.0)
    assert found["v_threshold_chip"] == pytest.approx(2.0, rel=1e-4)
    assert "against 2" in found["text"]


def test_a_lost_bias_is_named_whether_it_is_a_synapse_or_a_register():
    net = layer(np.full(6, 0.25))

    def without(program):
        return replace(program, synapses=tuple(s for s in program.synapses if s.pre == "in"))

    found, _ = told(net, spikes(), without)
    assert (found["ranked"][0]["cause"], found["ranked"][0]["object"]) == ("bias", "w.bias")
    one = np.ones(6)
    still = CubaLif(8e-4 * one, 4e-4 * one, 8 * one, 0.2 * one, one, 0 * one, 4 * one)
    net = network(still, np.full((6, 9), 0.25))
    found, _ = told(net, spikes(), lambda p: with_cell(p, bias_mantissa=lambda b: 0 * b))
    assert (found["ranked"][0]["cause"], found["ranked"][0]["object"]) == ("bias", "n")


def test_a_weight_that_does_not_fit_is_named_with_its_projection():
    net, x = lossy()
    found, first = explained(net, x, sp.compile(net, calibration=x))
    assert first is not None
    assert found["causes"][0] == "weight rounding"
    assert found["ranked"][0]["object"] == "w"


@pytest.mark.parametrize("more", [1, 2])
def test_a_delay_that_is_off_is_named_with_its_projection(more):
    def later(program):
        late = (replace(s, delay_steps=s.delay_steps + more) for s in program.synapses)
        return replace(program, synapses=tuple(late))

    found, _ = told(layer(), spikes(), later)
    assert (found["ranked"][0]["cause"], found["ranked"][0]["object"]) == ("delay", "w")


def test_a_population_that_is_read_at_another_lag_is_named():
    found, _ = told(layer(), spikes(), lambda p: replace(p, lags={**p.lags, "n": p.lags["n"] + 1}))
    assert (found["causes"][0], found["ranked"][0]["object"]) == ("lag", "n")


def test_an_input_that_the_chip_did_not_receive_is_named():
    net, x = layer(), spikes()
    image = fine(net, x)
    lost = x * (np.random.default_rng(3).random(x.shape) < 0.8)
    found, _ = explained(net, x, image, received={"in": lost.astype(np.uint8)})
    assert (found["causes"][0], found["ranked"][0]["object"]) == ("input", "in")


def test_a_real_valued_input_that_is_cut_off_by_its_register_is_named():
    net, x = layer(), np.random.default_rng(2).normal(0.3, 0.5, (4, 60, 9))

    def clipped(program):
        (host,) = program.host.values()
        low = {name: tuple(replace(t, register=t.register // 8) for t in each)
               for name, each in host.targets.items()}  # fmt: skip
        return replace(program, host={host.name: replace(host, targets=low)})

    found, _ = told(net, x, clipped, kind="current")
    first = found["ranked"][0]
    assert (found["causes"][0], first["object"]) == ("input", "in")
    moved = found["v_chip"] - found["v_reference"]
    assert first["alone"] == pytest.approx(moved, abs=1e-3)


def test_a_current_that_wraps_is_told_from_a_voltage_that_saturates():
    x = np.zeros((1, 60, 2), np.uint8)
    x[:, ::2, 0] = 1
    net = network(leaky(1), np.array([[4.0, 0.7]]))
    image = sp.compile(net, calibration=x)
    found, _ = explained(net, x, replace(image, program=loud(net, x, 5)[1]))
    assert (found["causes"][0], found["ranked"][0]["object"]) == ("wrap", "n")
    x[:, :30, 1], x[:, 30:, 1], x[:, :, 0] = 1, 0, 0
    x[:, 30:, 0] = 1
    net = network(integrators(1), np.array([[0.5, -0.5]]))
    found, _ = explained(net, x, replace(image, program=loud(net, x, 5)[1]))
    assert (found["causes"][0], found["ranked"][0]["object"]) == ("saturation", "n")


def test_a_reference_that_only_just_meets_its_threshold_is_a_tie():
    """0.5 twice is 1, the threshold, and 0.5 is no whole step beside 0.777: the chip is above."""
    x = np.zeros((1, 12, 2), np.uint8)
    x[:, :, 0] = 1
    ties = []
    for beside in (0.777, 0.71, 0.83, 0.93):
        net = network(integrators(1), np.array([[0.5, beside]]))
        found, first = explained(net, x, sp.compile(net, calibration=x))
        ties += [found["causes"][0]] if first else []
    assert ties
    assert set(ties) == {"threshold tie"}


def test_the_edge_that_a_loop_delays_is_named():
    """--allow-skew delays an edge of a loop that is shorter than its hops."""
    rng = np.random.default_rng(0)
    nodes = {"in": Input((4,)), "w": Linear(rng.normal(0.6, 0.3, (4, 4)))}
    nodes |= {"a": leaky(4), "ab": Linear(rng.normal(0.5, 0.3, (4, 4))), "b": leaky(4)}
    nodes |= {"ba": Linear(rng.normal(0.5, 0.3, (4, 4))), "out": Output((4,))}
    edges = (("in", "w"), ("w", "a"), ("a", "ab"), ("ab", "b"), ("b", "ba"), ("ba", "a"))
    said = apply_settings(preset("nir"), ["dt=1e-4"])
    net = Network(nodes, (*edges, ("b", "out")), said, name="loop")
    x = (rng.random((4, 40, 4)) < 0.4).astype(np.uint8)
    found, _ = explained(net, x, fine(net, x, skew=True))
    assert found["causes"][0] == "skew"
    assert "--allow-skew delays" in found["text"]


@pytest.mark.parametrize("seed", range(27))
def test_the_story_told_of_a_neuron_is_what_both_runs_recorded(seed):
    """Where a side did not spike, v before its reset is v: the probes of both runs say it."""
    rng = np.random.default_rng(seed)
    well = drawn(rng, fine=bool(seed % 2))
    fault = FAULTS[seed % len(FAULTS)](well, rng)
    if fault is None:
        pytest.skip("this network has no place for the fault")
    probe = [f"{name}.v" for name in well.image.program.neurons if name != "bias"]
    ours = emulator.run(fault.program, fault.inputs or well.data.inputs, probe=probe)
    ideal = reference.run(well.clocked, well.data.inputs, probe=probe)
    parity = compare(ideal, ours)
    first = parity.first_difference
    image = replace(well.image, program=fault.program)
    found = explain(well.clocked, image, well.data, parity, ours)
    at = (first.sample, first.step, *first.neuron)
    if not first.expected:
        assert found["v_reference"] == pytest.approx(ideal.v_window(first.population)[at], 1e-9)
    if not first.got:
        assert found["v_chip"] == pytest.approx(ours.v_window(first.population)[at], 1e-9)
    moved = found["v_chip"] - found["v_threshold_chip"]
    assert (moved > 1e-4) <= bool(first.got)


def test_what_arrives_as_messages_is_replayed_in_bits():
    net = analog_relay()
    x = (np.random.default_rng(5).random((6, 60, 6)) < 0.4).astype(np.uint8)

    def coarse(program):
        old = next(each for each in program.synapses if each.name == "b")
        new = old.with_mantissa((old.mantissa // 64 * 64).astype(np.int32))
        return replace(program, synapses=tuple(new if s is old else s for s in program.synapses))

    image = sp.compile(net, "generic_graded", calibration=x)
    image = replace(image, program=coarse(image.program))
    data, clocked = read_data(x, net), to_clocked(net)
    ours = emulator.run(image, data.inputs, probe=["lif.v"])
    parity = compare(reference.run(clocked, data.inputs), ours)
    first = parity.first_difference
    found = explain(clocked, image, data, parity, ours)
    assert (found["causes"][0], found["ranked"][0]["object"]) == ("weight rounding", "b")
    if not first.got:
        at = (first.sample, first.step, *first.neuron)
        assert found["v_chip"] == pytest.approx(ours.v_window("lif")[at], 1e-9)


def test_nothing_is_explained_where_nothing_differs_or_states_are_held():
    x = np.random.default_rng(1).integers(0, 2, (4, 50, 3)).astype(np.uint8)
    net = network(integrators(2, 2.0), np.array([[1.0, 255.0, 2.0]] * 2))
    found, first = told(net, x)
    assert first is None
    assert found is None
    weak, spiked = lossy()
    result = sp.deploy(weak, "generic_graded", data=spiked, slow=2, backends_wanted=["emulator"])
    assert result["parity"]["emulator_vs_reference"]["explanation"] is None
