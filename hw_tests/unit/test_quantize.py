"""From floats to integers: what fits, what is lost, and what is refused with advice that works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as some

import spikeport as sp
from spikeport.backends import emulator
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.network import (
    Affine,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Network,
    Output,
    Scale,
)
from spikeport.compiler.passes.convolution import conv_matrix
from spikeport.compiler.pipeline import compile_network, for_chip, to_clocked
from spikeport.compiler.program import Arithmetic, Cell, Program, Synapses
from spikeport.compiler.quantize.decay import quantize_decay
from spikeport.compiler.quantize.quantize import quantize
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.models.neurons.cuba_li import CubaLi
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif

Array = np.ndarray[Any, Any]
LOIHI = sp.chip("loihi1")
DT = 1e-3
WHOLE_RANGE = Recipe(ranges="largest")  # no weight is clipped
UNBOUNDED = Arithmetic(overflow="unlimited")


def lif(size: int = 3, tau: float = 10 * DT, theta: float = 1.0, r: float = 10.0) -> Lif:
    one = np.ones(size)
    return Lif(tau * one, r * one, 0 * one, theta * one, 0 * one)


def cuba(size: int = 3, tau: float = 10 * DT, v_leak: float = 0.0) -> CubaLif:
    one = np.ones(size)
    return CubaLif(tau * one, 5 * DT * one, 10 * one, v_leak * one, one, 0 * one, 5 * one)


def integrator(size: int, theta: float) -> If:
    one = np.ones(size)
    return If(one / DT, theta * one, 0 * one)


def layer(neuron: Any, node: Any, *said: str, inputs: int = 4) -> Network:
    """input -> node -> n -> output, by Euler unless something else is said."""
    nodes = {"in": Input((inputs,)), "fc": node, "n": neuron, "out": Output((3,))}
    edges = (("in", "fc"), ("fc", "n"), ("n", "out"))
    return Network(nodes, edges, apply_settings(Semantics(dt=DT, dialect="nir"), said))


def spikes(seed: int, samples: int = 4, steps: int = 30, inputs: int = 4) -> Array:
    rng = np.random.default_rng(seed)
    return (rng.random((samples, steps, inputs)) < 0.4).astype(np.uint8)


def program_of(
    net: Network, x: Any = None, kind: str = "spikes", recipe: Recipe | None = None
) -> Program:
    return sp.compile(net, calibration=x, kind=kind, recipe=recipe).program


# --- decays ----------------------------------------------------------------------------------


@given(
    lost=some.lists(some.floats(2.0**-12, 1.0), min_size=1, max_size=4),
    variable=some.sampled_from("uv"),
)
def test_a_decay_field_is_within_half_a_step_of_what_is_lost(lost: list[float], variable: str):
    field = quantize_decay(np.array(lost), "n", variable, 12)
    assert (np.abs(field / 4096 - lost) <= 0.5 / 4096).all()
    assert field.dtype == np.int32


@given(lost=some.floats(1e-12, 2.0**-13 * 0.999), variable=some.sampled_from("uv"))
@settings(max_examples=200)
def test_too_slow_a_decay_says_what_to_do(lost: float, variable: str):
    with pytest.raises(LoweringError, match="neuron 1 of 'n' loses") as caught:
        quantize_decay(np.array([0.1, lost]), "n", variable, 12)
    assert "the smallest decay that 12 bits hold is 0.000244141" in str(caught.value)
    longer = float(re.search(r"(\S+) times longer", str(caught.value)).group(1))
    euler, exact = lost * longer, 1 - np.exp(np.log1p(-lost) * longer)
    for advised in (euler, exact):
        assert quantize_decay(np.array([0.1, advised]), "n", variable, 12)[1] == 1
    assert longer * lost < 2.0**-12 + 0.2 * lost  # and not much longer than needed


def test_an_integrator_keeps_everything_in_v_but_not_in_u():
    assert quantize_decay(np.zeros(1), "n", "v", 12).tolist() == [0]
    with pytest.raises(LoweringError, match="u of neuron 0 of 'n' loses 0 per") as caught:
        quantize_decay(np.zeros(1), "n", "u", 12)
    assert caught.value.fix.startswith("give it a time constant")


def test_a_state_that_grows_is_refused_and_a_shorter_dt_helps():
    net = layer(lif(tau=0.8 * DT), Linear(np.ones((3, 4))))
    with pytest.raises(LoweringError, match=r"v of neuron 0 of 'n' keeps -0.25 of") as caught:
        program_of(net)
    ratio = float(re.search(r"dt/tau is (\S+)$", caught.value.fix).group(1))
    shorter = apply_settings(net.semantics, [f"dt={DT / ratio}"])
    assert program_of(net.with_semantics(shorter))


def test_a_time_constant_of_one_step_in_single_precision_is_one_step():
    tau = float(np.float32(DT)) * (1 - 1e-7)  # dt / tau is 1.0000001
    program = program_of(layer(cuba(tau=tau), Linear(np.ones((3, 4)))))
    assert program.populations["n"].cell.decay_v.tolist() == [4095] * 3


def test_forgetting_all_but_a_4096th_is_a_loss_with_a_figure():
    program = program_of(layer(lif(tau=DT), Linear(np.ones((3, 4)))))
    (lost,) = (row for row in program.losses if row["what"] == "decay_v")
    assert lost["error_max"] == pytest.approx(1 / 4096)


def test_the_field_of_u_is_one_less_because_the_chip_adds_one():
    program = program_of(layer(cuba(), Linear(np.ones((3, 4)))))
    cell = program.populations["n"].cell
    assert cell.decay_u.tolist() == [round(0.2 * 4096) - 1] * 3
    assert cell.decay_v.tolist() == [round(0.1 * 4096)] * 3


# --- weights and thresholds ------------------------------------------------------------------


def dense(matrix: Any) -> Array:
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix)


@given(
    seed=some.integers(0, 2**32),
    sign=some.sampled_from(["mixed", "excitatory", "inhibitory"]),
    spread=some.floats(1e-3, 10.0),
    size=some.floats(1e-6, 10.0),  # much above the threshold, weights are refused (below)
)
@settings(max_examples=60, deadline=None)
def test_a_weight_is_wrong_by_half_a_step_at_most(seed: int, sign: str, spread: float, size: float):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(2, 3, 4)) * size
    weights[1] *= spread
    weights = {"mixed": weights, "excitatory": abs(weights), "inhibitory": -abs(weights)}[sign]
    nodes = {"in": Input((4,)), "a": Linear(weights[0]), "b": Linear(weights[1]),
             "n": cuba(), "out": Output((3,))}  # fmt: skip
    edges = (("in", "a"), ("in", "b"), ("a", "n"), ("b", "n"), ("n", "out"))
    program = program_of(Network(nodes, edges, Semantics(dt=DT)), recipe=WHOLE_RANGE)
    scale = program.populations["n"].scale[:, None] / 64  # weight units per float unit of v
    for made, wanted in zip(program.synapses, weights, strict=True):
        mantissa = dense(made.mantissa)
        step = (2 if sign == "mixed" else 1) * 2.0**made.exponent
        error = mantissa * 2.0**made.exponent / scale - wanted  # the gain is 5/5 * 10/10
        assert (np.abs(error) <= step / 2 / scale * (1 + 1e-9)).all()
        assert made.sign_mode == sign
        assert 0 <= made.exponent <= 7
        assert np.abs(mantissa).max() <= (254 if sign == "mixed" else 255)
        assert not (sign == "mixed" and (mantissa % 2).any())
        (lost,) = (row for row in program.losses if row["object"] == made.name)
        assert lost["error_max"] == pytest.approx(np.abs(error).max())
        assert lost["error_rms"] == pytest.approx(np.sqrt(np.mean(error**2)))


def test_the_largest_weight_uses_its_eight_bits():
    for sign, most in ((-1.0, 254), (1.0, 255)):
        node = Linear(np.array([[0.3141, 0.2718, 0.0577, sign]] * 3))
        (made,) = program_of(layer(lif(), node), spikes(0), recipe=WHOLE_RANGE).synapses
        assert most // 2 < np.abs(dense(made.mantissa)).max() <= most


@given(theta=some.lists(some.floats(1e-2, 1e2), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_a_threshold_is_within_half_a_mantissa_and_seventeen_bits(theta: list[float]):
    one = np.ones(3)
    neuron = Lif(10 * DT * one, 10 * one, 0 * one, np.array(theta), 0 * one)
    program = program_of(layer(neuron, Linear(np.full((3, 4), 0.3))))
    mantissa = program.populations["n"].cell.v_threshold
    assert (mantissa <= 131071).all()
    units = np.array(theta) * program.populations["n"].scale / 64
    assert np.abs(mantissa - units).max() <= 0.5


def test_a_threshold_below_one_step_of_the_weights_is_refused_and_scaling_down_helps():
    with pytest.raises(LoweringError, match="the threshold of 'n' is less than one step") as caught:
        program_of(layer(lif(), Linear(np.full((3, 4), 1e6))))
    assert caught.value.fix == "scale the weights down or the threshold up"
    assert program_of(layer(lif(), Linear(np.full((3, 4), 1e2))))
    assert program_of(layer(lif(theta=1e4), Linear(np.full((3, 4), 1e6))))


@pytest.mark.parametrize("threshold", ["greater", "greater_equal"])
@pytest.mark.parametrize("reset", ["to_value", "subtract"])
@pytest.mark.parametrize(("values", "theta"), [((-1, 0, 1), 2), ((0, 1, 3, 5), 6)])
def test_ties_of_an_integrator_are_decided_as_in_the_model(
    threshold: str, reset: str, values: tuple[int, ...], theta: int
):
    weight = np.random.default_rng(5).choice(values, (3, 4)).astype(float)
    net = layer(integrator(3, theta), Linear(weight), f"threshold={threshold}", f"reset={reset}")
    x = spikes(1)
    ideal, chip = sp.run(net, x), sp.run(sp.compile(net, calibration=x), x)
    assert ideal.spikes["n"].total > 0
    assert sp.compare(ideal, chip).different == 0
    other = {"greater": "greater_equal", "greater_equal": "greater"}[threshold]
    swapped = net.with_semantics(apply_settings(net.semantics, [f"threshold={other}"]))
    assert sp.compare(sp.run(swapped, x), chip).different > 0  # there are ties


def test_a_convolution_keeps_an_integer_kernel_that_is_its_matrix():
    rng = np.random.default_rng(0)
    conv = Conv2d(rng.normal(size=(2, 1, 2, 3)), np.zeros(2), (1, 2), (1, 1), (1, 1), 1)
    nodes = {"in": Input((1, 4, 5)), "c": conv, "s": Scale(np.array(0.7)),
             "n": Lif(*(np.array(v) for v in (10 * DT, 3.0, 0.0, 1.0, 0.0))),
             "flat": Flatten(0, -1), "out": Output((30,))}  # fmt: skip
    edges = (("in", "c"), ("c", "s"), ("s", "n"), ("n", "flat"), ("flat", "out"))
    (made,) = program_of(Network(nodes, edges, Semantics(dt=DT))).synapses
    assert made.conv.kernel.dtype == np.int32
    assert np.array_equal(dense(conv_matrix(made.conv)), dense(made.mantissa))


# --- nothing overflows -----------------------------------------------------------------------


def assert_never_overflows(program: Program, x: Array) -> None:
    """Compare with a datapath that has no limits: where nothing wraps, they are the same."""
    keys = [f"{name}.{var}" for name in program.neurons for var in "uv"]
    here = emulator.run(program, {"in": x}, probe=keys)
    free = emulator.run(replace(program, arithmetic=UNBOUNDED), {"in": x}, probe=keys)
    for key in keys:
        assert np.abs(free.probes[key]).max() < 1 << 23, key
        assert np.array_equal(here.probes[key], free.probes[key]), key


def two_layers(seed: int, *said: str) -> Network:
    """in -> a, which is recurrent -> b, of random kinds, sizes of weights and biases."""
    rng = np.random.default_rng(seed)
    kinds = (
        lif(tau=DT * 10 ** rng.uniform(0.1, 3)),
        cuba(tau=DT * 10 ** rng.uniform(0.1, 3), v_leak=float(rng.choice([0.0, 0.5, -20.0]))),
        integrator(3, 1.0),
    )
    readouts = (
        Li(*(np.full(3, v) for v in (50 * DT, 2.0, -3.0))),
        CubaLi(*(np.full(3, v) for v in (50 * DT, 500 * DT, 2.0, 30.0, 1.0))),
    )
    size = 10 ** rng.uniform(-3, 1)
    nodes = {
        "in": Input((4,)),
        "fc": Affine(rng.normal(size=(3, 4)) * size, rng.normal(size=3) * size),
        "a": kinds[rng.integers(3)],
        "back": Linear(rng.normal(size=(3, 3)) * size),
        "fc2": Linear(rng.normal(size=(3, 3))),
        "b": (*kinds, *readouts)[rng.integers(5)],
        "out": Output((3,)),
    }
    edges = (
        ("in", "fc"), ("fc", "a"), ("a", "back"), ("back", "a"), ("a", "fc2"), ("fc2", "b"),
        ("b", "out"),
    )  # fmt: skip
    return Network(nodes, edges, apply_settings(Semantics(dt=DT), said))


@pytest.mark.parametrize("seed", range(40))
def test_calibrated_on_its_own_data_nothing_overflows_and_no_limit_is_far(seed: int):
    x = spikes(seed)
    program = program_of(two_layers(seed), x)
    assert_never_overflows(program, x)


@given(seed=some.integers(0, 2**32), rate=some.sampled_from([0.1, 0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_without_calibration_the_bound_holds_for_any_input(seed: int, rate: float):
    initial = ("a.initial_v=40",) if seed % 3 == 0 else ()
    program = compile_network(two_layers(seed, *initial), LOIHI).program
    x = (np.random.default_rng(seed).random((2, 60, 4)) < rate).astype(np.uint8)
    assert_never_overflows(program, x)


@given(tau=some.floats(20, 8000), weight=some.floats(1.0, 2.0))
@settings(max_examples=60, deadline=None)
def test_a_current_that_is_fed_for_ever_stays_below_its_limit(tau: float, weight: float):
    one = np.ones(1)  # v forgets at once, so u is what comes nearest to its limit
    slow = CubaLif(DT * one, tau * DT * one, one, 0 * one, one, 0 * one, tau * one)
    nodes = {"in": Input((4,)), "fc": Linear(np.full((1, 4), weight)), "n": slow}
    edges = (("in", "fc"), ("fc", "n"), ("n", "out"))
    net = Network(nodes | {"out": Output((1,))}, edges, Semantics(dt=DT))
    program = compile_network(net, LOIHI).program
    fed = dense(program.synapses[0].mantissa).sum() << program.synapses[0].exponent
    lost_per_step = (program.populations["n"].cell.decay_u[0] + 1) / 4096
    assert (fed << 6) / lost_per_step < 1 << 23  # where u comes to rest


def test_an_initial_v_far_beyond_everything_else_is_still_held_exactly():
    net = layer(lif(), Linear(np.ones((3, 4))), "initial_v=-9000")
    for image in (sp.compile(net), sp.compile(net, calibration=spikes(0))):
        population = image.program.populations["n"]
        assert population.cell.v_initial / population.scale == pytest.approx(-9000, rel=1e-6)


@pytest.mark.parametrize("leak", [0.5, 20.0, -300.0])
def test_a_leak_level_behind_a_current_is_a_bias_register_that_fits(leak: float):
    net = layer(cuba(tau=3 * DT, v_leak=leak), Linear(np.full((3, 4), 1e-3)), "reset=subtract")
    program = program_of(net)
    cell = program.populations["n"].cell
    added = cell.bias_mantissa.astype(int) << cell.bias_exponent
    assert np.abs(cell.bias_mantissa).max() <= 4095
    assert cell.bias_exponent.max() <= 7
    wanted = leak / 3 * program.populations["n"].scale
    assert np.abs(added - wanted).max() <= 2.0 ** cell.bias_exponent.max() / 2
    (lost,) = (row for row in program.losses if row["what"] == "bias")
    assert lost["error_max"] == pytest.approx(np.abs(added - wanted).max() / 64 * 64
                                              / program.populations["n"].scale[0])  # fmt: skip


# --- what the chip cannot do -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("n.spike=count", r"'n' sends several spikes per step \(spike=count\)"),
        ("spike=count", r"'n' sends several spikes per step \(spike=count\)"),
        ("n.reset=none", "'n' is reset by none: loihi1 has to_value, subtract"),
        ("reset_when=next_step", "'n' is reset in the step after a spike"),
        ("refractory=0.063", "'n' is refractory for 63 steps: loihi1 counts 62 at most"),
        ("n.refractory=2", "'n' is refractory for 2000 steps"),
    ],
)
def test_a_rule_that_the_chip_lacks_is_refused_and_the_setting_it_names_works(
    setting: str, message: str
):
    net = layer(lif(), Linear(np.ones((3, 4))), setting)
    with pytest.raises(LoweringError, match=message) as caught:
        program_of(net)
    (advice,) = re.findall(r"--set ([^ ,]+)", caught.value.fix)
    assert program_of(net.with_semantics(apply_settings(net.semantics, [advice])))


def test_the_longest_refractory_time_fits():
    program = program_of(layer(lif(), Linear(np.ones((3, 4))), "refractory=0.062"))
    assert program.populations["n"].cell.refractory_steps.tolist() == [63] * 3


def test_an_analog_value_between_neurons_is_refused_and_both_ways_out_work():
    readout = Li(*(np.full(3, v) for v in (10 * DT, 1.0, 0.0)))
    nodes = {"in": Input((3,)), "li": readout, "n": lif(), "out": Output((3,))}
    edges = (("in", "li"), ("li", "n"), ("n", "out"))
    net = Network(nodes, edges, Semantics(dt=DT))
    with pytest.raises(
        LoweringError, match="'li' is a LI, whose output is analog, and it feeds 'n'"
    ):
        program_of(net)
    assert program_of(replace(net, nodes=nodes | {"li": lif()}))
    as_output = (("in", "li"), ("in", "n"), ("n", "out"), ("li", "out2"))
    assert program_of(replace(net, nodes=nodes | {"out2": Output((3,))}, edges=as_output))


def test_a_kind_that_the_chip_lacks_is_refused_and_another_kind_works():
    small = LOIHI.model_copy(update={"kinds": ("LIF", "LI")})
    net = layer(cuba(), Linear(np.ones((3, 4))))
    with pytest.raises(LoweringError, match="'n' is a CubaLIF: loihi1 runs LIF, LI"):
        sp.compile(net, chip=small)
    assert sp.compile(layer(lif(), Linear(np.ones((3, 4)))), chip=small)
    assert sp.compile(net, chip=LOIHI)


# --- readouts --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LI", "CubaLI"])
def test_a_readout_never_spikes_and_its_v_is_that_of_the_model(kind: str):
    one = np.ones(3)
    readout = Li(20 * DT * one, 9 * one, 0.5 * one)
    if kind == "CubaLI":
        readout = CubaLi(20 * DT * one, 5 * DT * one, 9 * one, 0.5 * one, 5 * one)
    net = layer(readout, Affine(np.full((3, 4), 2.0), one))
    x = np.ones((2, 80, 4), np.uint8)
    image = sp.compile(net, calibration=x)
    chip, ideal = sp.run(image, x, probe=["n.v"]), sp.run(net, x, probe=["n.v"])
    assert "n" not in chip.spikes
    assert chip.counters["n"]["spikes"].sum() == 0
    assert image.program.populations["n"].cell.v_threshold.tolist() == [131072] * 3
    v = chip.probe_window("n.v") / image.program.populations["n"].scale
    # 12 decay bits: tau is off by at most 1 / (2 * 4096 * 0.05) = 0.25 %, weights by 0.4 %.
    assert np.abs(v - ideal.probes["n.v"]).max() < 0.01 * np.abs(ideal.probes["n.v"]).max()
    assert ideal.probes["n.v"].max() > 50


# --- currents that the host adds -------------------------------------------------------------


def current(seed: int, static: bool, samples: int = 3, steps: int = 40) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (samples, 1 if static else steps, 4))
    return np.repeat(x, steps, axis=1) if static else x


def assert_v_follows(net: Network, x: Any, names: Sequence[str] = ("n",)) -> Program:
    """Compare v of chip and model on the model's time axis."""
    image = sp.compile(net, calibration=x, kind="current")
    probe = [f"{name}.v" for name in names]
    chip = sp.run(image, x, probe=probe)
    ideal = sp.run(net, x, probe=probe, kind="current")
    for name, key in zip(names, probe, strict=True):
        wanted = ideal.probes[key]
        v = chip.probe_window(key) / image.program.populations[name].scale
        # Decays have 12 bits and registers 12 of the largest drive; a step too early or too
        # late, or a bias too many, is several per cent of the range.
        assert np.abs(v - wanted).max() < 0.01 * np.abs(wanted).max(), name
    return image.program


@pytest.mark.parametrize("order", ["decay_add_v", "add_v_decay", "v_decay_add", "add_decay_v"])
@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("kind", ["LIF", "IF", "CubaLIF"])
def test_a_current_moves_v_as_in_the_model(kind: str, static: bool, lag: int, order: str):
    if kind != "CubaLIF" and order != "decay_add_v":
        return
    high = 99 * np.ones(3)  # v is compared, so nothing may spike
    neuron = {
        "LIF": replace(lif(), v_threshold=high, v_leak=0.25 * np.ones(3)),
        "IF": replace(integrator(3, 1.0), v_threshold=high),
        "CubaLIF": replace(cuba(), v_threshold=high),
    }[kind]
    rng = np.random.default_rng(7)
    node = Affine(rng.normal(size=(3, 4)), rng.normal(size=3))
    net = layer(neuron, node, f"feedforward_lag={lag}", f"current_order={order}")
    program = assert_v_follows(net, current(3, static))
    on_time = lag == 0 and order == "decay_add_v" and kind != "CubaLIF"
    assert program.host["in"].static == (static and on_time)
    assert any("the host computes the first layer" in note for note in program.notes) != (
        program.host["in"].static
    )


def test_a_static_current_is_one_bias_register_per_sample():
    program = assert_v_follows(
        layer(replace(lif(), v_threshold=99 * np.ones(3)), Linear(np.ones((3, 4)))),
        current(0, static=True),
    )
    assert "the static current 'in' is one bias register per sample in n" in program.notes
    assert program.synapses == ()
    assert program.lags["n"] == 0


def test_a_current_that_comes_in_two_ways_counts_twice_and_its_biases_once():
    rng = np.random.default_rng(2)
    nodes = {
        "in": Input((4,)),
        "a": Affine(rng.normal(size=(3, 4)), rng.normal(size=3)),
        "b": Affine(rng.normal(size=(3, 4)), rng.normal(size=3)),
        "n": replace(lif(), v_threshold=99 * np.ones(3)),
        "out": Output((3,)),
    }
    edges = (("in", "a"), ("in", "b"), ("a", "n"), ("b", "n"), ("n", "out"))
    assert_v_follows(Network(nodes, edges, Semantics(dt=DT)), current(1, static=False))


def test_two_currents_into_one_population_add_its_bias_once():
    rng = np.random.default_rng(2)
    nodes = {
        "left": Input((4,)),
        "right": Input((4,)),
        "a": Affine(rng.normal(size=(3, 4)), np.ones(3)),
        "b": Linear(rng.normal(size=(3, 4))),
        "n": replace(lif(), v_threshold=99 * np.ones(3)),
        "out": Output((3,)),
    }
    edges = (("left", "a"), ("right", "b"), ("a", "n"), ("b", "n"), ("n", "out"))
    x = {"x.left": current(1, static=False), "x.right": current(2, static=False)}
    assert_v_follows(Network(nodes, edges, Semantics(dt=DT)), x)


def test_a_current_and_spikes_of_a_neuron_add_up():
    rng = np.random.default_rng(4)
    nodes = {
        "in": Input((4,)),
        "fc": Affine(rng.normal(size=(3, 4)), np.ones(3)),
        "n": lif(),
        "fc2": Linear(rng.normal(size=(3, 3))),
        "skip": Linear(rng.normal(size=(3, 4))),
        "m": replace(lif(), v_threshold=99 * np.ones(3)),
        "out": Output((3,)),
    }
    edges = (
        ("in", "fc"), ("fc", "n"), ("n", "fc2"), ("fc2", "m"), ("in", "skip"), ("skip", "m"),
        ("m", "out"),
    )  # fmt: skip
    program = assert_v_follows(Network(nodes, edges, Semantics(dt=DT)), current(4, True), ["m"])
    assert program.lags["m"] == 1


# --- what a Program is -----------------------------------------------------------------------


def test_every_loss_has_its_figures():
    net = layer(cuba(v_leak=0.3), Affine(np.random.default_rng(0).normal(size=(3, 4)), np.ones(3)))
    losses = program_of(net, spikes(0)).losses
    assert [(row["object"], row["what"]) for row in losses] == [
        ("fc", "weights"),
        ("fc.bias", "weights"),
        ("n", "decay_v"),
        ("n", "decay_u"),
        ("n", "bias"),
        ("n", "threshold"),
    ]
    for row in losses:
        assert 0 <= row["error_rms"] <= row["error_max"] < 0.02
        assert 0 <= row["relative"] < 0.05
        assert row["bits"] > 0
        assert row["detail"]


def test_a_program_holds_integers_only():
    program = program_of(layer(cuba(v_leak=0.3), Linear(np.ones((3, 4)))))
    for pop in program.populations.values():
        arrays = [getattr(pop.cell, f.name) for f in fields(Cell)] if pop.cell else []
        for array in arrays:
            assert not isinstance(array, np.ndarray) or array.dtype == np.int32
    assert all(each.mantissa.dtype == np.int32 for each in program.synapses)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_a_program_refuses_anything_else(kind: type):
    with pytest.raises(LoweringError, match="the weights of 'fc' are not int32"):
        Synapses.of("fc", "in", "n", np.ones((1, 1), kind), 0, "mixed")
    cell = program_of(layer(lif(), Linear(np.ones((3, 4))))).populations["n"].cell
    for name in ("decay_v", "v_threshold", "bias_mantissa", "v_initial"):
        with pytest.raises(
            LoweringError, match=f"{name} of a Program is {np.dtype(kind)}, not int32"
        ):
            replace(cell, **{name: np.ones(3, kind)})


def test_a_programs_arrays_cannot_be_changed():
    program = program_of(layer(lif(), Linear(np.ones((3, 4)))))
    with pytest.raises(ValueError, match="read-only"):
        program.populations["n"].cell.v_threshold[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        program.synapses[0].mantissa[0, 0] = 1


def test_quantizing_takes_a_retimed_network_and_changes_no_delay():
    retimed = for_chip(to_clocked(two_layers(3)), LOIHI)
    program = quantize(retimed, LOIHI, {}, {})
    assert [s.delay_steps for s in program.synapses] == [
        p.delay for name in retimed.populations for p in retimed.into(name)
    ]
    assert program.lags == retimed.lags


def test_a_threshold_below_the_reset_level_is_refused():
    net = layer(lif(theta=-1.0), Linear(np.ones((3, 4))))
    with pytest.raises(LoweringError, match="the threshold of 'n' is not above its reset level"):
        program_of(net)
