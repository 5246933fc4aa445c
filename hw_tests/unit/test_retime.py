"""Normal form and retiming are exact: the same spikes, later by the lags, and no later than needed.

Weights, levels and decays lie on a coarse binary grid, so that every float sum is exact and equal
means equal: no tolerance is needed anywhere.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import spikeport as sp
from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.passes.normalise import (
    drive_from_constant,
    normalise_order,
    shift_to_reset,
)
from spikeport.compiler.passes.retime import retime
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.compiler.semantics import CHOICES, Semantics, apply_settings
from spikeport.models.neurons.cuba_li import CubaLi
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif

DT = 2.0**-10
STEPS = 12  # v needs two more bits a step: far from the 53 that a float has
LOIHI = sp.chip("loihi1")


# --- random networks -------------------------------------------------------------------------


def neuron(rng: np.random.Generator, size: int, kinds: Sequence[str]) -> Any:
    """Return a population whose every number has a few binary places."""
    level = {
        "r": rng.choice([1.0, 4.0, 8.0], size),
        "v_leak": rng.choice([0.0, 0.0, 0.75], size),
        "v_threshold": rng.choice([0.5, 1.0, 2.0], size),
        "v_reset": rng.choice([0.0, -0.5, 0.25], size),
    }
    tau, tau_syn = (DT * rng.choice([2.0, 4.0], size) for _ in range(2))
    current = {"tau_syn": tau_syn, "w_in": rng.choice([1.0, 2.0], size)}
    leak, fire = (
        {k: level[k] for k in keys} for keys in (("r", "v_leak"), ("v_threshold", "v_reset"))
    )
    match rng.choice(kinds):
        case "LIF":
            return Lif(tau=tau, **leak, **fire)
        case "IF":
            return If(r=level["r"] / DT / 4, **fire)
        case "CubaLIF":
            return CubaLif(tau_mem=tau, **leak, **current, **fire)
        case "LI":
            return Li(tau=tau, **leak)
        case _:
            return CubaLi(tau_mem=tau, **leak, **current)


def random_network(rng: np.random.Generator) -> Network:
    """Populations in a row with skip connections, self loops, biases and mixed rules."""
    size, depth = 3, int(rng.integers(1, 5))
    names = [f"n{index}" for index in range(depth)]
    nodes: dict[str, Any] = {"in": Input((size,))}
    edges: list[tuple[str, str]] = []
    spiking = ("LIF", "IF", "CubaLIF")
    for index, name in enumerate(names):
        last = index == depth - 1
        nodes[name] = neuron(rng, size, (*spiking, "LI", "CubaLI") if last else spiking)
        sources = [("in", *names)[index]]
        sources += [s for s in ("in", *names[:index]) if rng.random() < 0.3 and s not in sources]
        sources += [name] if nodes[name].spiking and rng.random() < 0.5 else []
        for source in sources:
            weight = rng.integers(-6, 13, (size, size)) / 8
            bias = rng.integers(-2, 3, size) / 8 * (rng.random() < 0.5)
            nodes[f"{source}>{name}"] = Affine(weight, bias)
            edges += [(source, f"{source}>{name}"), (f"{source}>{name}", name)]
    nodes["out"] = Output((size,))
    return Network(nodes, (*edges, (names[-1], "out")), random_semantics(rng, names))


def random_semantics(rng: np.random.Generator, names: list[str]) -> Semantics:
    fields = ["input_gain", "current_order", "reset", "reset_when", "spike", "threshold"]
    free = {name: str(rng.choice(CHOICES[name])) for name in fields}
    over = {
        name: {
            "current_order": str(rng.choice(CHOICES["current_order"])),
            "reset": str(rng.choice(["to_value", "to_value", "subtract"])),
            "initial_v": rng.choice([None, None, 0.5, 1.0]),
            "v_min": rng.choice([None, None, -1.0]),
            "refractory": float(rng.choice([0, 0, 2])) * DT,
            "recurrent_bias_at_start": bool(rng.random() < 0.5),
        }
        for name in names
        if rng.random() < 0.7
    }
    return Semantics(
        dt=DT, **free, feedforward_lag=int(rng.random() < 0.3), nodes=over, dialect="random"
    )


def data(rng: np.random.Generator, size: int = 3) -> np.ndarray[Any, Any]:
    return (rng.random((2, STEPS, size)) < 0.5).astype(np.uint8)


def assert_only_later(model: Clocked, chip: Clocked, x: Any) -> int:
    """Compare every spike and every v, aligned by the lags; return the number of spikes."""
    probe = [f"{name}.v" for name in model.neurons]
    ideal = sp.run(model, x, probe=probe)
    longest = max(chip.lags.values())
    late = sp.run(chip, x, probe=probe, steps=STEPS + longest)
    late = replace(late, model_steps=STEPS)
    if any(model.populations[name].cell.spiking for name in model.neurons):
        parity = sp.compare(ideal, late)
        assert parity.different == 0, parity.first_difference
    for name, key in zip(model.neurons, probe, strict=True):
        shift = model.populations[name].cell.v_reset - chip.populations[name].cell.v_reset
        first = chip.lags[name]
        wanted, found = ideal.probes[key] - shift, late.probe_window(key)
        # Equal to the last bit while v stays small; a readout in a loop can grow without end.
        assert np.allclose(wanted, found, rtol=1e-12, atol=1e-12), key
        start = model.populations[name].cell.v_initial - shift
        assert (late.probes[key][:, :first] == start).all(), f"{key} moves before its first step"
    return sum(ideal.spikes[n].total for n in model.neurons if n in ideal.spikes)


@given(seed=some.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_a_random_network_on_chip_time_spikes_the_same_only_later(seed: int):
    rng = np.random.default_rng(seed)
    model = to_clocked(random_network(rng))
    chip = for_chip(model, LOIHI)
    assert all(1 <= each.delay <= 62 for each in chip.projections)
    assert_only_later(model, chip, data(rng))


def test_random_networks_do_spike():
    spikes = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        model = to_clocked(random_network(rng))
        spikes.append(assert_only_later(model, for_chip(model, LOIHI), data(rng)))
    assert np.count_nonzero(spikes) > 24


@given(seed=some.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_loop_of_two_populations_whose_edges_all_wait_a_step_is_exact(seed: int):
    rng = np.random.default_rng(seed)
    a, b = (neuron(rng, 2, ("LIF", "IF", "CubaLIF")) for _ in range(2))
    wire = {name: Linear(rng.integers(-4, 13, (2, 2)) / 8) for name in ("in>a", "a>b", "b>a")}
    model = clocked_loop(a, b, wire, "feedforward_lag=1")
    chip = for_chip(model, LOIHI)
    assert dict(chip.lags)["a"] == dict(chip.lags)["b"]
    assert_only_later(model, chip, data(rng, 2))


def clocked_loop(a: Any, b: Any, wire: dict[str, Any], *said: str) -> Clocked:
    """in -> a -> b -> out, and back from b to a."""
    edges = (
        ("in", "in>a"), ("in>a", "a"), ("a", "a>b"), ("a>b", "b"), ("b", "b>a"), ("b>a", "a"),
        ("b", "out"),
    )  # fmt: skip
    nodes = {"in": Input((2,)), "a": a, "b": b, **wire, "out": Output((2,))}
    return to_clocked(Network(nodes, edges, apply_settings(Semantics(dt=DT), said)))


# --- the normal form, one pass at a time -----------------------------------------------------


def one_layer(kind: Any, *said: str, weight: float = 1.0) -> Clocked:
    nodes = {"in": Input((1,)), "fc": Linear(np.full((1, 1), weight)), "n": kind,
             "out": Output((1,))}  # fmt: skip
    edges = (("in", "fc"), ("fc", "n"), ("n", "out"))
    return to_clocked(Network(nodes, edges, apply_settings(Semantics(dt=DT), said)))


ONE = np.ones(1)
CUBA = CubaLif(4 * DT * ONE, 2 * DT * ONE, 4 * ONE, 0.5 * ONE, 99 * ONE, -1 * ONE, 2 * ONE)
LIF = Lif(4 * DT * ONE, 4 * ONE, 0.5 * ONE, 1 * ONE, -1 * ONE)
PULSE = np.eye(1, 6)[None, :, :].transpose(0, 2, 1)  # one spike in the first step


@pytest.mark.parametrize("order", CHOICES["current_order"])
def test_every_order_of_current_and_voltage_becomes_decay_add_v(order: str):
    model = one_layer(CUBA, f"current_order={order}")
    normal = normalise_order(model)
    assert normal.populations["n"].cell.current_order == "decay_add_v"
    assert [p.delay for p in normal.projections] == [int(order == "v_decay_add")]
    both = [sp.run(each, PULSE, probe=["n.v"]).probes["n.v"] for each in (model, normal)]
    assert np.array_equal(*both)


def test_the_four_orders_let_v_see_what_their_names_say():
    rest = 0.75 * -1 + 0.125  # where v is after a step without input; the spike adds 1 at most
    first = {order: run_v(f"current_order={order}")[0] for order in CHOICES["current_order"]}
    assert first == {
        "decay_add_v": rest + 1.0,
        "add_v_decay": rest + 1.0,
        "v_decay_add": rest,
        "add_decay_v": rest + 0.5,
    }


def run_v(*said: str) -> np.ndarray[Any, Any]:
    return np.asarray(sp.run(one_layer(CUBA, *said), PULSE, probe=["n.v"]).probes["n.v"][0, :, 0])


def test_a_neuron_without_a_current_has_no_order_to_change():
    model = one_layer(LIF, "current_order=v_decay_add")
    assert normalise_order(model).projections[0].delay == 0


def test_v_is_measured_from_the_reset_level():
    cell = shift_to_reset(one_layer(LIF, "v_min=-3", "initial_v=0.5")).populations["n"].cell
    levels = (cell.v_threshold, cell.v_reset, cell.v_initial, cell.v_min, cell.drive_v)
    assert [float(level[0]) for level in levels] == [2.0, 0.0, 1.5, -2.0, 0.125 + 0.25]


@pytest.mark.parametrize("said", ["reset=subtract", "reset=none", "spike=count"])
def test_v_stays_where_it_is_where_no_reset_writes_a_level_or_spikes_are_counted(said: str):
    assert shift_to_reset(one_layer(LIF, said)).populations["n"].cell.v_reset.tolist() == [-1.0]


def test_a_drive_becomes_a_synapse_of_the_constant_population():
    driven = drive_from_constant(one_layer(LIF))
    assert next(iter(driven.populations)) == "bias"
    assert driven.populations["n"].cell.drive_v.tolist() == [0.0]
    (synapse,) = (p for p in driven.projections if p.pre == "bias")
    assert (synapse.name, synapse.post, synapse.delay) == ("n.drive", "n", 0)
    assert synapse.matrix.tolist() == [[0.125]]  # times the gain of 1 it is 0.25 * v_leak


def test_a_drive_behind_a_current_stays_a_drive():
    model = one_layer(CUBA)
    assert drive_from_constant(model).populations["n"].cell.drive_v.tolist() == [0.125]
    assert "bias" not in drive_from_constant(model).populations


# --- lags ------------------------------------------------------------------------------------


def bare(edges: Sequence[tuple[str, str, int]]) -> Clocked:
    """Return a network of edges (pre, post, delay); `in*` are inputs, `one` is the constant."""
    names = dict.fromkeys(name for pre, post, _ in edges for name in (pre, post))
    cell = one_layer(Lif(4 * DT * ONE, ONE, 0 * ONE, ONE, 0 * ONE)).populations["n"].membrane
    kinds = {
        name: "input" if name.startswith("in") else "constant" if name == "one" else "LIF"
        for name in names
    }
    populations = {
        name: Population(kind, (1,), cell if kind == "LIF" else None)
        for name, kind in kinds.items()
    }
    projections = tuple(
        Projection(f"{pre}>{post}", pre, post, np.ones((1, 1)), delay, pre == post)
        for pre, post, delay in edges
    )
    last = next(reversed(names))
    return Clocked(DT, populations, projections, {"out": last}, dict.fromkeys(names, 0))


@pytest.mark.parametrize(
    ("edges", "lags", "delays"),
    [
        ([("in", "a", 0), ("a", "b", 0)], {"a": 1, "b": 2}, [1, 1]),
        ([("in", "a", 0), ("a", "b", 0), ("in", "b", 0)], {"a": 1, "b": 2}, [1, 1, 2]),
        ([("in", "a", 0), ("a", "a", 1), ("a", "b", 0)], {"a": 1, "b": 2}, [1, 1, 1]),
        ([("in", "a", 1), ("a", "b", 1)], {"a": 0, "b": 0}, [1, 1]),
        ([("in", "a", 0), ("a", "b", 1), ("b", "a", 1)], {"a": 1, "b": 1}, [1, 1, 1]),
        ([("in", "a", 0), ("a", "b", 0), ("b", "a", 2)], {"a": 1, "b": 2}, [1, 1, 1]),
        ([("in", "a", 0), ("one", "a", 0), ("one", "b", 0)], {"a": 1, "b": 1}, [1, 1, 1]),
        ([("in", "a", 5), ("b", "a", 0), ("in", "b", 9)], {"a": 1, "b": 0}, [6, 1, 9]),
    ],
    ids=["chain", "skip", "self", "late model", "loop", "slow loop", "bias", "no negative lag"],
)
def test_lags_are_the_smallest_that_do(
    edges: list[tuple[str, str, int]], lags: dict[str, int], delays: list[int]
):
    retimed = retime(bare(edges))
    assert {name: lag for name, lag in retimed.lags.items() if name in lags} == lags
    assert [p.delay for p in retimed.projections] == delays


def smallest_by_trying(network: Clocked, low: int, high: int) -> dict[str, int] | None:
    """Try all lags up to as many as there can be steps on a path; None where none does."""
    movable = network.neurons
    most = sum(max(low - p.delay, p.delay - high, 0) for p in network.projections)
    fitting = []
    for lags in itertools.product(range(most + 1), repeat=len(movable)):
        lag = dict(zip(movable, lags, strict=True))
        delays = [p.delay + lag.get(p.post, 0) - lag.get(p.pre, 0) for p in network.projections]
        long = [p.delay > high for p in network.projections]  # these get relays
        if all(low <= d and (d <= high or free) for d, free in zip(delays, long, strict=True)):
            fitting.append(lags)
    if not fitting:
        return None
    return dict(zip(movable, np.min(fitting, axis=0).tolist(), strict=True))


@given(
    edges=some.lists(
        some.tuples(
            some.sampled_from(["in", "one", "a", "b", "c"]),
            some.sampled_from("abc"),
            some.integers(0, 2),
        ),
        min_size=1,
        max_size=5,
    ),
    low=some.integers(1, 2),
    room=some.integers(0, 2),
)
@settings(max_examples=150, deadline=None)
def test_lags_equal_the_smallest_found_by_trying_all(
    edges: list[tuple[str, str, int]], low: int, room: int
):
    network = bare(edges)
    wanted = smallest_by_trying(network, low, low + room)
    try:
        retimed = retime(network, low, low + room)
    except LoweringError:
        assert wanted is None
        return
    assert all(retimed.lags[name] == 0 for name in ("in", "one") if name in retimed.lags)
    assert all(low <= p.delay <= low + room for p in retimed.projections)
    if wanted is None:  # relays carry what no lags make short enough
        assert retimed.neurons != network.neurons
    else:
        assert {name: retimed.lags[name] for name in network.neurons} == wanted


@given(
    edges=some.lists(
        some.tuples(some.sampled_from(["in", "a", "b", "c"]), some.sampled_from("abc"),
                    some.integers(0, 2)),
        min_size=1,
        max_size=6,
    )
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_allow_skew_makes_every_network_run_on_the_chip(edges: list[tuple[str, str, int]]):
    retimed = retime(bare(edges), allow_skew=True)
    assert all(1 <= p.delay <= 62 for p in retimed.projections)
    exact = smallest_by_trying(bare(edges), 1, 62) is not None
    assert exact == (not any("not exact (--allow-skew)" in note for note in retimed.notes))


# --- loops that are too short ----------------------------------------------------------------


def short_loop() -> Clocked:
    eye = np.eye(2)
    wire = {"in>a": Linear(eye), "a>b": Linear(eye), "b>a": Linear(0.5 * eye)}
    kind = Lif(*(value * np.ones(2) for value in (2 * DT, 2.0, 0.0, 0.25, 0.0)))
    return clocked_loop(kind, kind, wire)


def test_a_loop_of_two_populations_in_one_step_is_refused_and_the_advice_works():
    with pytest.raises(LoweringError) as caught:
        for_chip(short_loop(), LOIHI)
    assert str(caught.value).splitlines() == [
        "the loop a -> b -> a cannot be retimed: it takes 1 step in the reference, the chip "
        "needs 2",
        "  fix: retrain with b -> a delayed by 1 more, or add --allow-skew (then that edge is late "
        "and the result is not exact), or --slow 2 on a chip that can hold its state "
        "(--chip generic_graded)",
    ]
    retrained = delayed(short_loop(), "b>a", 1)
    assert_only_later(retrained, for_chip(retrained, LOIHI), data(np.random.default_rng(1), 2))


def delayed(network: Clocked, name: str, steps: int) -> Clocked:
    return replace(
        network,
        projections=tuple(
            replace(p, delay=p.delay + steps) if p.name == name else p for p in network.projections
        ),
    )


def test_allow_skew_runs_the_network_whose_edge_is_late_and_says_so():
    skewed = for_chip(short_loop(), LOIHI, allow_skew=True)
    assert skewed.notes == (
        "not exact (--allow-skew): b -> a acts 1 step later than in the reference, because the "
        "loop a -> b -> a has more hops than steps",
    )
    x = data(np.random.default_rng(1), 2)
    assert assert_only_later(delayed(short_loop(), "b>a", 1), skewed, x) > 0
    assert sp.compare(sp.run(short_loop(), x), sp.run(skewed, x)).different > 0


def test_an_exact_network_has_no_note_about_skew():
    assert for_chip(one_layer(LIF), LOIHI, allow_skew=True).notes == ()


# --- delays that are too long ----------------------------------------------------------------


def ladder(rungs: int, first: str) -> Clocked:
    """in -> n1 -> ... and one edge from `first` to the last."""
    names = ["in", *(f"n{index}" for index in range(1, rungs + 1))]
    return bare(
        [*((pre, post, 0) for pre, post in itertools.pairwise(names)), (first, names[-1], 0)]
    )


@pytest.mark.parametrize("first", ["in", "n1"])
@pytest.mark.parametrize("over", [0, 1, 63])
def test_a_delay_above_that_of_the_chip_becomes_relays(first: str, over: int):
    rungs = 62 + over + (first == "n1")  # the short cut waits for the longest path
    retimed = retime(ladder(rungs, first))
    relays = [name for name in retimed.populations if ".relay" in name]
    assert relays == [f"{first}.relay{stage + 1}" for stage in range((over + 61) // 62)]
    assert retimed.lags[f"n{rungs}"] == rungs
    taps = [p.delay for p in retimed.projections if p.post == f"n{rungs}" and p.pre in relays]
    assert taps == ([over - 62 * (len(relays) - 1)] if over else [])
    assert max(p.delay for p in retimed.projections) <= 62


def test_a_model_delay_above_that_of_the_chip_becomes_relays_even_in_a_loop():
    retimed = retime(bare([("in", "a", 0), ("a", "a", 70)]))
    assert [(p.pre, p.post, p.delay) for p in retimed.projections] == [
        ("a", "a.relay1", 62),
        ("in", "a", 1),
        ("a.relay1", "a", 8),
    ]


def test_what_relays_leave_of_a_delay_may_be_too_short_and_the_advice_works():
    with pytest.raises(LoweringError) as caught:
        retime(bare([("in", "a", 0), ("a", "a", 7)]), d_min=2, d_max=6)
    assert str(caught.value).splitlines() == [
        "a -> a needs a delay of 7 steps: relays delay by 6 each, and the 1 that are left are "
        "fewer than the 2 that the chip needs",
        "  fix: delay it by 1 more",
    ]
    retimed = retime(bare([("in", "a", 0), ("a", "a", 8)]), d_min=2, d_max=6)
    assert [p.delay for p in retimed.projections] == [6, 2, 2]


# --- what moves alone ------------------------------------------------------------------------

QUIET = CubaLif(4 * DT * ONE, 2 * DT * ONE, ONE, 0 * ONE, ONE, 0 * ONE, ONE)
SUM = If(ONE, ONE, 0 * ONE)


@pytest.mark.parametrize(
    ("kind", "said", "moves"),
    [
        (QUIET, [], False),
        (replace(QUIET, v_leak=0.5 * ONE), [], True),
        (replace(QUIET, v_leak=0.5 * ONE, v_reset=0.5 * ONE), [], False),
        (replace(QUIET, v_reset=-0.5 * ONE), [], True),
        (QUIET, ["initial_v=0.5"], True),
        (QUIET, ["v_min=0.25"], True),
        (SUM, [], False),
        (SUM, ["initial_v=0.5"], False),
        (SUM, ["initial_v=1"], False),
        (SUM, ["initial_v=1", "threshold=greater_equal"], True),
        (SUM, ["initial_v=2"], True),
        (LIF, [], False),  # its drive comes from the constant population, at the right step
        (LIF, ["initial_v=0.5"], True),
        (Li(4 * DT * ONE, ONE, 0.5 * ONE), [], False),
        (Li(4 * DT * ONE, ONE, 0.0 * ONE), ["initial_v=0.5"], True),
    ],
)
def test_a_population_is_held_exactly_where_its_state_moves_alone(
    kind: Any, said: list[str], moves: bool
):
    model = one_layer(kind, *said, weight=0.5)
    chip = for_chip(model, LOIHI)
    assert chip.populations["n"].start_step == (1 if moves else 0)
    assert [note.split(":")[0] for note in chip.notes] == (["n"] if moves else [])
    x = np.repeat(PULSE, 2, axis=1)
    assert_only_later(model, chip, x[:, :STEPS])
    unheld = replace(
        chip, populations={k: replace(p, start_step=0) for k, p in chip.populations.items()}
    )
    if moves:
        with pytest.raises(AssertionError):
            assert_only_later(model, unheld, x[:, :STEPS])


def test_a_population_without_lag_is_not_held():
    model = one_layer(replace(QUIET, v_leak=0.5 * ONE), "feedforward_lag=1")
    assert for_chip(model, LOIHI).populations["n"].start_step == 0


def test_a_drive_reaches_each_layer_in_its_first_step():
    model = to_clocked(
        Network(
            {"in": Input((1,)), "a": LIF, "b": LIF, "c": LIF, "out": Output((1,))},
            (("in", "a"), ("a", "b"), ("b", "c"), ("c", "out")),
            Semantics(dt=DT),
        )
    )
    chip = for_chip(model, LOIHI)
    assert {p.post: p.delay for p in chip.projections if p.pre == "bias"} == {
        "a": 1,
        "b": 2,
        "c": 3,
    }


def test_the_error_names_a_loop_that_is_really_there():
    edges = [("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "a", 1), ("c", "d", 0)]
    with pytest.raises(LoweringError) as caught:
        retime(bare(edges))
    loop = re.search(r"the loop (.*) cannot", str(caught.value)).group(1).split(" -> ")
    there = {(pre, post) for pre, post, _ in edges}
    assert loop[0] == loop[-1]
    assert set(itertools.pairwise(loop)) <= there
    assert "it takes 1 step in the reference, the chip needs 3" in str(caught.value)
