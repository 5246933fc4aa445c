"""Delays: seconds to steps, what that loses, and networks against a slow step-by-step one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hw_tests.node_by_node import Steps
from spikeport.backends import reference
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import (
    Affine,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Output,
    Scale,
    Weights,
)
from spikeport.compiler.passes.delays import LONGEST_DELAY
from spikeport.compiler.passes.fold_linear import fold_linear
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.passes.terms import MOST_DELAYED
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.models.neurons.i import I
from spikeport.models.neurons.lif import Lif
from spikeport.models.neurons.threshold import Threshold

DT = 1e-3
Edges = tuple[tuple[str, str], ...]


def network(nodes: dict[str, Any], edges: str, *said: str) -> Network:
    """Return a network with shapes; edges are written `a>b b>c`."""
    pairs: Edges = tuple(tuple(edge.split(">")) for edge in edges.split())  # type: ignore[misc]
    return infer_shapes(Network(nodes, pairs, apply_settings(Semantics(dt=DT), said)))


def delay(*steps: float) -> Delay:
    """Return a Delay of so many steps each."""
    return Delay(np.array(steps) * DT)


def outputs(net: Network, inputs: dict[str, Any], steps: int) -> dict[str, Any]:
    """Return Output -> what the reference shows there, (steps, n)."""
    clocked = to_clocked(net)
    given = {name: data.reshape(1, len(data), -1) for name, data in inputs.items()}
    shown = {name: f"{pop}.v" for name, pop in clocked.outputs.items()}
    analog = {n: key for n, key in shown.items() if not spiking(clocked, n)}
    traces = reference.run(clocked, given, steps, probe=[*analog.values()])
    fired = [name for name in shown if name not in analog]
    spikes = {name: traces.spikes[clocked.outputs[name]].dense()[0] for name in fired}
    return {n: traces.probes[key][0] for n, key in analog.items()} | spikes


def spiking(clocked: Clocked, output: str) -> bool:
    cell = clocked.populations[clocked.outputs[output]].membrane
    return cell is not None and cell.spiking


def assert_equals_the_slow_one(net: Network, steps: int = 12, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    data = {
        name: rng.integers(0, 2, (steps - 3, *net.shapes[name])).astype(float)
        for name in net.of_type(Input)
    }
    slow = Steps(net, data, DT)
    for name, shown in outputs(net, data, steps).items():
        wanted = np.array([slow.sent(name, t).ravel() for t in range(steps)])
        # Sums of a few numbers near one, taken in another order.
        assert np.allclose(shown, wanted, atol=1e-9), name


# --- seconds to steps ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [(0, 0), (4e-4, 0), (5e-4, 1), (1.49e-3, 1), (2.4999999999e-3, 3), (3e-3, 3), (1.0, 1000)],
)
@pytest.mark.parametrize("lag", [0, 1])
def test_a_delay_is_rounded_half_up_and_comes_on_top_of_the_lag(
    seconds: float, steps: int, lag: int
):
    nodes = {"in": Input((1,)), "d": Delay(np.array(seconds)), "n": I(np.ones(1))}
    net = network({**nodes, "out": Output((1,))}, "in>d d>n n>out", f"feedforward_lag={lag}")
    (projection,) = to_clocked(net).projections
    assert (projection.delay, projection.name) == (steps + lag, "d")


def test_several_delays_on_one_path_add_up_before_they_are_rounded():
    nodes = {"in": Input((1,)), "a": delay(0.3), "w": Linear(np.ones((1, 1))), "b": delay(0.3)}
    net = network({**nodes, "n": I(np.ones(1)), "out": Output((1,))}, "in>a a>w w>b b>n n>out")
    assert [each.delay for each in to_clocked(net).projections] == [1]


def test_what_was_rounded_is_said_with_the_largest_error():
    nodes = {"in": Input((4,)), "d": delay(1, 2.25, 3.6, 0), "n": I(np.ones(4))}
    clocked = to_clocked(network({**nodes, "out": Output((4,))}, "in>d d>n n>out"))
    assert clocked.notes == (
        "delays: 2 of 3 delayed paths (2 synapses) took no whole number of steps of 0.001 s and "
        "were rounded; the largest error is 0.0004 s (0.4 steps)",
    )
    assert sorted(each.delay for each in clocked.projections) == [0, 1, 2, 4]


def test_whole_steps_are_nothing_to_speak_of():
    nodes = {"in": Input((2,)), "d": Delay(np.array([0.003, 0.007])), "n": I(np.ones(2))}
    clocked = to_clocked(network({**nodes, "out": Output((2,))}, "in>d d>n n>out"))
    assert clocked.notes == ()  # 0.003 / 0.001 is 2.9999999999999996


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1e-3, r"node 'd' \(Delay\): delay is -0.001 to -0.001 seconds"),
        (np.nan, r"node 'd' \(Delay\): delay is nan"),
        (np.inf, r"node 'd' \(Delay\): delay is inf"),
        (1.1 * LONGEST_DELAY * DT, r"the path in -> d has a delay of 1100 s, 1.1e\+06 steps"),
    ],
    ids=["negative", "nan", "infinite", "too long"],
)
def test_a_delay_that_cannot_be_is_refused_by_name(value: float, message: str):
    nodes = {"in": Input((1,)), "d": Delay(np.array([value])), "n": I(np.ones(1))}
    net = network({**nodes, "out": Output((1,))}, "in>d d>n n>out")
    with pytest.raises(GraphError, match=message):
        to_clocked(net)


# --- folding ---------------------------------------------------------------------------------


def paths(net: Network) -> list[Weights]:
    return [node for node in fold_linear(net).nodes.values() if isinstance(node, Weights)]


def test_every_delay_of_a_node_gets_the_rows_that_have_it():
    nodes = {"in": Input((3,)), "d": delay(2, 1, 2), "n": I(np.ones(3)), "out": Output((3,))}
    found = {
        round(path.delay / DT): path.matrix.toarray().tolist()
        for path in paths(network(nodes, "in>d d>n n>out"))
    }
    assert found == {
        1: [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        2: [[1, 0, 0], [0, 0, 0], [0, 0, 1]],
    }


def test_a_linear_behind_delays_takes_each_column_in_its_time():
    weight = np.array([[1.0, 2.0], [3.0, 4.0]])
    nodes = {"in": Input((2,)), "d": delay(1, 4), "w": Linear(weight), "n": I(np.ones(2))}
    net = network({**nodes, "out": Output((2,))}, "in>d d>w w>n n>out")
    found = {round(p.delay / DT): np.asarray(dense(p.matrix)).tolist() for p in paths(net)}
    assert found == {1: [[1, 0], [3, 0]], 4: [[0, 2], [0, 4]]}


def test_a_linear_behind_many_delays_is_one_narrow_matrix_for_each():
    weight = np.arange(1.0, 25.0).reshape(2, 12)
    nodes = {"in": Input((12,)), "d": delay(*range(12)), "w": Linear(weight), "n": I(np.ones(2))}
    net = network({**nodes, "out": Output((2,))}, "in>d d>w w>n n>out")
    found = {round(p.delay / DT): p.matrix for p in paths(net)}
    assert {steps: matrix.nnz for steps, matrix in found.items()} == dict.fromkeys(range(12), 2)
    assert dense(sum(found.values())).tolist() == weight.tolist()
    assert found[7].toarray()[:, 7].tolist() == [8.0, 20.0]


def dense(matrix: Any) -> Any:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def test_a_delay_of_one_value_leaves_a_convolution_what_it_is():
    conv = Conv2d(np.ones((1, 1, 2, 2)), np.zeros(1), (1, 1), (0, 0), (1, 1), 1)
    nodes = {"in": Input((1, 3, 3)), "conv": conv, "d": delay(2), "n": I(np.ones((1, 1, 1)))}
    (path,) = paths(network({**nodes, "out": Output((1, 2, 2))}, "in>conv conv>d d>n n>out"))
    assert path.conv is not None
    assert path.delay == 2 * DT


def test_delays_that_round_to_the_same_step_become_one_projection():
    nodes = {"in": Input((3,)), "d": delay(2, 2.2, 2.4), "n": I(np.ones(3)), "out": Output((3,))}
    (projection,) = to_clocked(network(nodes, "in>d d>n n>out")).projections
    assert projection.delay == 2
    assert dense(projection.matrix).tolist() == np.eye(3).tolist()


def test_a_bias_in_front_of_a_delay_acts_from_that_step_on():
    fc = Affine(np.zeros((2, 1)), np.array([1.0, 10.0]))
    nodes = {"in": Input((1,)), "fc": fc, "d": delay(2, 3), "n": Scale(np.ones(1))}
    net = network({**nodes, "out": Output((2,))}, "in>fc fc>d d>n n>out")
    shown = outputs(net, {"in": np.zeros((5, 1))}, 5)["out"]
    assert shown.tolist() == [[0, 0], [0, 0], [1, 0], [1, 10], [1, 10]]
    clocked = to_clocked(net)
    constant = [each for each in clocked.projections if each.pre == "bias"]
    assert sorted(each.delay for each in constant) == [2, 3]
    assert len({each.name for each in clocked.projections}) == len(clocked.projections)


def test_a_recurrent_bias_is_late_by_its_delay_and_by_a_step_where_the_tool_says_so():
    fc = Affine(np.ones((1, 1)), np.ones(1))
    nodes = {"in": Input((1,)), "n": Threshold(np.ones(1)), "fc": fc, "d": delay(3)}
    for said, wanted in (("true", 3), ("false", 4)):
        net = network(
            {**nodes, "out": Output((1,))}, "in>n n>fc fc>d d>n n>out",
            f"recurrent_bias_at_start={said}",
        )  # fmt: skip
        clocked = to_clocked(net)
        assert {p.name: p.delay for p in clocked.projections} == {
            "in->n": 0, "fc+d": 4, "fc+d.bias": wanted,
        }  # fmt: skip


def test_so_many_different_delays_that_memory_would_fill_are_refused_by_name():
    size = int(np.sqrt(MOST_DELAYED)) + 1
    steps = Delay(np.arange(size) * 1e-6)
    nodes = {"in": Input((size,)), "d": steps, "n": I(np.ones(1)), "out": Output((size,))}
    with pytest.raises(GraphError, match=f"node 'd' has {size} different delays on") as told:
        fold_linear(network(nodes, "in>d d>n n>out"))
    assert "whole time steps" in told.value.fix
    nodes["d"] = Delay(np.round(steps.delay, 4))  # the advice
    assert len(paths(network(nodes, "in>d d>n n>out"))) > 10


# --- loops that a Delay closes ---------------------------------------------------------------


def test_a_delay_closes_a_loop_that_has_no_neuron():
    # y[t] = x[t] + 0.5 y[t - 2]
    nodes = {"in": Input((1,)), "y": Scale(np.ones(1)), "d": delay(2), "half": Scale(np.array(0.5))}
    net = network({**nodes, "out": Output((1,))}, "in>y y>d d>half half>y y>out")
    clocked = to_clocked(net)
    assert clocked.populations["d"].kind == "Delay"
    assert clocked.populations["d"].signal == "analog"
    shown = outputs(net, {"in": np.array([[1.0], [0.0], [0.0]])}, 7)["out"]
    assert shown[:, 0].tolist() == [1, 0, 0.5, 0, 0.25, 0, 0.125]


def test_a_delay_in_a_loop_may_differ_from_element_to_element():
    nodes = {
        "in": Input((3,)),
        "y": Flatten(0, -1),
        "d": delay(1, 3, 2),
        "half": Scale(np.array(0.5)),
    }
    net = network({**nodes, "out": Output((3,))}, "in>y y>d d>half half>y y>out")
    assert_equals_the_slow_one(net)


def test_a_bias_in_a_loop_without_neurons_acts_from_the_first_step_on():
    nodes = {"in": Input((1,)), "fc": Affine(np.eye(1) / 2, np.ones(1)), "d": delay(1)}
    net = network(
        {**nodes, "out": Output((1,))}, "in>d fc>d d>fc d>out", "recurrent_bias_at_start=false"
    )
    shown = outputs(net, {"in": np.zeros((4, 1))}, 4)["out"]
    assert shown[:, 0].tolist() == [0, 1, 1.5, 1.75]


def test_a_delay_between_neurons_stays_part_of_their_path():
    nodes = {"in": Input((2,)), "a": Threshold(np.ones(2)), "d": delay(1, 2), "b": I(np.ones(2))}
    net = network({**nodes, "out": Output((2,))}, "in>a a>d d>b b>a b>out")
    assert "d" not in to_clocked(net).populations


def test_a_loop_whose_delay_rounds_to_nothing_is_refused_and_a_shorter_dt_helps():
    nodes = {
        "in": Input((1,)),
        "y": Scale(np.ones(1)),
        "d": delay(0.4),
        "half": Scale(np.array(0.5)),
    }
    net = network({**nodes, "out": Output((1,))}, "in>y y>d d>half half>y y>out")
    with pytest.raises(GraphError, match="d act on each other within one step") as told:
        to_clocked(net)
    assert "--dt" in told.value.fix
    to_clocked(net.with_semantics(Semantics(dt=DT / 2)))


@pytest.mark.parametrize("lag", [0, 1])
def test_a_delay_that_is_a_population_adds_no_lag_of_its_own(lag: int):
    nodes = {"in": Input((1,)), "y": Scale(np.ones(1)), "d": delay(2), "n": I(np.ones(1))}
    net = network(
        {**nodes, "out": Output((1,))}, "in>y y>d d>y d>n n>out", f"feedforward_lag={lag}"
    )
    found = {(each.pre, each.post): each.delay for each in to_clocked(net).projections}
    assert found == {("in", "d"): 0, ("d", "d"): 2, ("d", "n"): 2 + lag}


# --- whole networks --------------------------------------------------------------------------


@given(seed=some.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_random_graphs_with_delays_send_in_every_step_what_the_slow_one_sends(seed: int):
    rng = np.random.default_rng(seed)
    nodes: dict[str, Any] = {"in": Input((3,))}
    edges = []
    for index in range(int(rng.integers(2, 10))):
        kinds = (
            Linear(rng.normal(size=(3, 3))),
            Affine(rng.normal(size=(3, 3)), rng.normal(size=3)),
            Scale(rng.normal(size=3) / 2),
            delay(*rng.integers(0, 4, 3)),
            delay(int(rng.integers(1, 4))),
            Threshold(rng.normal(size=3)),
            I(rng.normal(size=3) / DT),
        )
        name, before = f"n{index}", list(nodes)
        nodes[name] = kinds[rng.integers(len(kinds))]
        many = int(rng.integers(1, min(3, len(before)) + 1))
        edges += [f"{source}>{name}" for source in rng.choice(before, many, replace=False)]
    nodes |= {"back": delay(*rng.integers(1, 4, 3)), "less": Scale(rng.normal(size=3) / 4)}
    edges += [f"n{index}>back", "back>less", f"less>n{rng.integers(index + 1)}"]
    nodes |= {"out": Output((3,)), "last": Output((3,))}
    edges += [f"{rng.choice(list(nodes)[1:-3])}>out", f"n{index}>last"]
    net = network(nodes, " ".join(edges), "recurrent_lag=0")
    assert_equals_the_slow_one(net, seed=seed)


def test_lags_of_neurons_and_delays_add_up_in_a_loop():
    one = np.ones(1)
    lif = Lif(DT * one, one, 0 * one, 0.5 * one, 0 * one)
    nodes = {"in": Input((1,)), "n": lif, "d": delay(2)}
    net = network({**nodes, "out": Output((1,))}, "in>n n>d d>n n>out")
    shown = outputs(net, {"in": np.array([[1.0], [0.0]])}, 8)["out"]
    assert np.flatnonzero(shown[:, 0]).tolist() == [0, 3, 6]
