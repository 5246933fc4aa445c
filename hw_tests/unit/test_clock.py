"""The clock: decay factors and gains per step, which edges are late, where biases go."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any

import numpy as np
import pytest

from spikeport.backends import reference
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import GraphError, SemanticsError
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.passes.normalise import drive_from_constant
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.models.neurons.cuba_li import CubaLi
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif

DT, TAU, TAU_SYN, R, W_IN, LEAK = 1e-3, 4e-3, 2e-3, 3.0, 5.0, 0.5
ONE = np.ones(1)
LIF = Lif(TAU * ONE, R * ONE, LEAK * ONE, 99 * ONE, -1 * ONE)
CUBA = CubaLif(
    TAU * ONE, TAU_SYN * ONE, R * ONE, LEAK * ONE, 2 * ONE, -1 * ONE, W_IN * ONE
)  # fmt: skip


def clocked(neuron: Any, *settings: str) -> Any:
    """Return the per-step parameters of one neuron behind an input."""
    net = Network(
        {"in": Input((1,)), "n": neuron, "out": Output((1,))},
        (("in", "n"), ("n", "out")),
        apply_settings(Semantics(dt=DT), settings),
    )
    return to_clocked(net).populations["n"].cell


def per_step(cell: Any) -> dict[str, float]:
    names = ("keep_u", "gain_u", "keep_v", "gain_v", "drive_v")
    return {name: float(getattr(cell, name)[0]) for name in names}


# --- decay factors and gains -----------------------------------------------------------------


def test_euler_loses_dt_over_tau_and_gains_as_much_of_the_input():
    assert per_step(clocked(LIF)) == pytest.approx(
        {"keep_u": 0, "gain_u": 1, "keep_v": 0.75, "gain_v": 0.75, "drive_v": 0.125}
    )


def test_exact_integration_loses_what_an_exponential_loses():
    kept = exp(-0.25)
    assert per_step(clocked(LIF, "integration=exact")) == pytest.approx(
        {
            "keep_u": 0,
            "gain_u": 1,
            "keep_v": kept,
            "gain_v": (1 - kept) * 3,
            "drive_v": (1 - kept) / 2,
        }
    )


@pytest.mark.parametrize(("integration", "kept"), [("euler", 0.75), ("exact", exp(-0.25))])
def test_unit_gain_adds_the_input_as_it_is(integration: str, kept: float):
    cell = clocked(LIF, "input_gain=unit", f"integration={integration}")
    assert per_step(cell) == pytest.approx(
        {"keep_u": 0, "gain_u": 1, "keep_v": kept, "gain_v": 1, "drive_v": (1 - kept) / 2}
    )


@pytest.mark.parametrize(
    ("setting", "gain_u", "gain_v"),
    [
        ("input_gain=per_equation", 0.5 * W_IN, 0.25 * R),
        ("input_gain=unit_current", 1.0, 0.25 * R),
        ("input_gain=unit", 1.0, 1.0),
    ],
)
def test_a_current_has_a_gain_of_its_own(setting: str, gain_u: float, gain_v: float):
    assert per_step(clocked(CUBA, setting)) == pytest.approx(
        {"keep_u": 0.5, "gain_u": gain_u, "keep_v": 0.75, "gain_v": gain_v, "drive_v": 0.125}
    )


def test_the_exact_current_decays_with_its_own_time_constant():
    cell = per_step(clocked(CUBA, "integration=exact"))
    assert cell["keep_u"] == pytest.approx(exp(-0.5))
    assert cell["gain_u"] == pytest.approx((1 - exp(-0.5)) * W_IN)


@pytest.mark.parametrize(("setting", "gain"), [("input_gain=unit", 1.0), ("reset=none", R * DT)])
def test_an_integrator_keeps_all_and_gains_r_dt(setting: str, gain: float):
    assert per_step(clocked(If(R * ONE, ONE, 0 * ONE), setting)) == pytest.approx(
        {"keep_u": 0, "gain_u": 1, "keep_v": 1, "gain_v": gain, "drive_v": 0}
    )


def test_tau_times_dt_in_the_file_is_divided_by_dt():
    written = Lif(TAU * DT * ONE, R * ONE, LEAK * ONE, 2 * ONE, -1 * ONE)
    said = per_step(clocked(written, "tau_unit=seconds_times_dt"))
    assert said == pytest.approx(per_step(clocked(LIF)))


@pytest.mark.parametrize(
    "readout",
    [Li(TAU * ONE, R * ONE, LEAK * ONE), CubaLi(*(x * ONE for x in (TAU, TAU_SYN, R, LEAK, W_IN)))],
    ids=["Li", "CubaLi"],
)
def test_a_readout_is_the_neuron_without_spikes_and_reset(readout: Any):
    cell = clocked(readout, "reset=subtract", "spike=count")
    twin = clocked(CUBA if cell.has_current else LIF)
    assert per_step(cell) == per_step(twin)
    assert (cell.spiking, cell.reset, cell.spike) == (False, "none", "binary")
    assert np.isinf(cell.v_threshold).all()


def test_v_starts_at_its_reset_level_unless_something_else_is_said():
    assert clocked(LIF).v_initial.tolist() == [-1.0]
    assert clocked(LIF, "initial_v=0.25").v_initial.tolist() == [0.25]
    assert clocked(LIF, "n.initial_v=0.25").v_initial.tolist() == [0.25]


def test_levels_and_rules_arrive_as_they_were_said():
    cell = clocked(LIF, "v_min=-3", "reset=subtract", "reset_when=next_step", "spike=count",
                   "threshold=greater_equal", "current_order=add_v_decay")  # fmt: skip
    assert (cell.v_threshold[0], cell.v_reset[0], cell.v_min[0]) == (99.0, -1.0, -3.0)
    assert (cell.reset, cell.reset_when, cell.spike) == ("subtract", "next_step", "count")
    assert (cell.threshold, cell.current_order) == ("greater_equal", "add_v_decay")


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0, 0), (4e-4, 0), (5e-4, 1), (2e-3, 2), (25e-4, 3)]
)
def test_a_refractory_time_is_rounded_to_the_nearest_step(seconds: float, steps: int):
    assert clocked(LIF, f"refractory={seconds}").refractory_steps.tolist() == [steps]


# --- loops -----------------------------------------------------------------------------------


def layers(edges: Sequence[tuple[str, str]], *settings: str, biases: Sequence[str] = ()) -> Clocked:
    """Return populations of one LIF each, an edge `a -> b` through a node `ab`."""
    names = [name for name in dict.fromkeys(n for edge in edges for n in edge) if name != "in"]
    nodes: dict[str, Any] = {"in": Input((1,))} | dict.fromkeys(names, LIF)
    wires = []
    for pre, post in edges:
        bias = ONE if pre + post in biases else 0 * ONE
        nodes[pre + post] = Affine(np.ones((1, 1)), bias)
        wires += [(pre, pre + post), (pre + post, post)]
    nodes["out"] = Output((1,))
    semantics = apply_settings(Semantics(dt=DT), settings)
    return to_clocked(Network(nodes, (*wires, (names[-1], "out")), semantics))


def late(network: Clocked) -> list[str]:
    return [each.name for each in network.projections if each.recurrent]


@pytest.mark.parametrize(
    ("edges", "wanted"),
    [
        ("in>a a>b b>c", []),
        ("in>a a>a a>b", ["aa"]),
        ("in>a a>b b>a", ["ba"]),
        ("in>a a>b a>c b>c", []),
        ("in>a a>b in>b", []),
        ("in>a a>b b>c c>a", ["ca"]),
        ("in>a a>b b>c a>c c>a", ["ca"]),
        ("in>a a>b b>c c>d a>d c>b d>a b>b", ["cb", "da", "bb"]),
        ("in>a in>b a>b b>a", ["ab", "ba"]),
        ("in>b b>c c>b a>b a>a", ["cb", "aa"]),
    ],
    ids=[
        "chain",
        "self loop",
        "two populations",
        "skip",
        "skip from the input",
        "three populations",
        "skip inside a loop",
        "loops in loops",
        "both with input",
        "no input",
    ],
)
def test_the_edges_that_close_a_loop_are_recurrent(edges: str, wanted: list[str]):
    network = layers([tuple(edge.split(">")) for edge in edges.split()])  # type: ignore[misc]
    assert late(network) == wanted
    assert all(each.delay == int(each.recurrent) for each in network.projections)


@pytest.mark.parametrize(("forward", "back"), [(0, 1), (1, 0), (1, 1)])
def test_lags_are_the_delays_of_forward_and_of_recurrent_edges(forward: int, back: int):
    network = layers(
        [("in", "a"), ("a", "b"), ("b", "a")],
        f"feedforward_lag={forward}",
        f"recurrent_lag={back}",
    )
    assert {p.name: p.delay for p in network.projections} == {
        "ina": forward,
        "ab": forward,
        "ba": back,
    }


def test_populations_are_sorted_so_that_what_acts_in_the_same_step_comes_first():
    network = layers([("c", "d"), ("b", "c"), ("in", "b"), ("d", "b")])
    assert list(network.populations) == ["in", "b", "c", "d"]


def test_a_loop_without_delay_is_refused_and_the_advice_works():
    edges = [("in", "a"), ("a", "b"), ("b", "a")]
    with pytest.raises(GraphError, match="a, b act on each other within one step") as caught:
        layers(edges, "recurrent_lag=0")
    first, _, second = caught.value.fix.partition(", or ")
    assert layers(edges, first.removeprefix("use --set "))
    assert "feedforward_lag" in second
    assert layers(edges, "recurrent_lag=0", "feedforward_lag=1")


# --- biases ----------------------------------------------------------------------------------


def test_a_bias_is_a_projection_from_a_population_that_is_one_in_every_step():
    network = layers([("in", "a")], biases=["ina"])
    bias = network.into("a")[1]
    assert (bias.name, bias.pre, bias.delay) == ("ina.bias", "bias", 0)
    assert bias.matrix.tolist() == [[1.0]]
    assert (network.populations["bias"].kind, network.inputs) == ("constant", ["in"])


def test_without_biases_there_is_no_constant_population():
    assert "bias" not in layers([("in", "a")]).populations


@pytest.mark.parametrize(("said", "delay"), [("true", 0), ("false", 1)])
def test_a_recurrent_bias_acts_in_the_first_step_or_from_the_second_on(said: str, delay: int):
    network = layers(
        [("in", "a"), ("a", "a")], f"recurrent_bias_at_start={said}", biases=["aa", "ina"]
    )
    assert {p.name: p.delay for p in network.into("a")} == {
        "ina": 0,
        "aa": 1,
        "ina.bias": 0,
        "aa.bias": delay,
    }
    silence = {"in": np.zeros((1, 3, 1))}
    v = reference.run(network, silence, probe=["a.v"]).probes["a.v"][0, :, 0]
    cell = network.populations["a"].cell
    wanted, now = [], -1.0
    for biases in (2.0 - delay, 2.0, 2.0):
        now = cell.keep_v[0] * now + cell.gain_v[0] * biases + cell.drive_v[0]
        wanted.append(now)
    assert v.tolist() == pytest.approx(wanted)


def test_a_population_that_is_called_bias_stays_what_it_is():
    network = layers([("in", "bias"), ("bias", "bias_"), ("bias_", "c")], biases=["inbias"])
    assert network.populations["bias"].kind == network.populations["bias_"].kind == "LIF"
    assert network.populations["bias__"].kind == "constant"
    assert [p.pre for p in network.into("bias")] == ["in", "bias__"]


def test_a_drive_does_not_take_a_population_that_is_called_bias_for_the_constant():
    network = drive_from_constant(layers([("in", "a"), ("a", "bias")]))
    assert network.populations["bias"].kind == "LIF"
    assert {p.name: p.pre for p in network.projections if "drive" in p.name} == {
        "a.drive": "bias_",
        "bias.drive": "bias_",
    }


# --- what is refused -------------------------------------------------------------------------


def test_settings_of_a_node_that_is_no_neuron_are_refused_with_names_that_work():
    with pytest.raises(SemanticsError, match="the semantics of 'ina' are set, but") as caught:
        layers([("in", "a")], "ina.reset=none")
    (name,) = caught.value.why.removeprefix("neurons here are ").split(", ")
    assert layers([("in", "a")], f"{name}.reset=none").populations["a"].cell.reset == "none"


def test_a_network_without_dt_is_refused():
    net = Network(
        {"in": Input((1,)), "fc": Linear(np.ones((1, 1))), "n": LIF, "out": Output((1,))},
        (("in", "fc"), ("fc", "n"), ("n", "out")),
    )
    with pytest.raises(SemanticsError, match="the length of a time step is unknown"):
        to_clocked(net)
    assert to_clocked(net.with_semantics(Semantics(dt=1e-4)))


def test_projections_of_one_name_are_told_apart():
    net = Network(
        {
            "in": Input((1,)),
            "fc": Linear(np.ones((1, 1))),
            "a": LIF,
            "b": LIF,
            "out": Output((1,)),
            "out2": Output((1,)),
        },
        (("in", "fc"), ("fc", "a"), ("fc", "b"), ("a", "out"), ("b", "out2")),
        Semantics(dt=DT),
    )
    assert [p.name for p in to_clocked(net).projections] == ["fc", "fc (in -> b)"]
