"""The interval of u and v, and for how long nothing overflows: by hand, on the emulator, attacked.

`python -m hw_tests.fuzz_bounds` attacks a thousand networks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

from hw_tests.fuzz_bounds import try_network
from hw_tests.generate.bounded import near_the_ends
from hw_tests.generate.programs import ARITHMETICS
from spikeport.backends import emulator
from spikeport.compiler import fixed
from spikeport.compiler.measure.bounds import Bound, bounds, overflow_rows
from spikeport.compiler.program import (
    GRADED,
    LAVA,
    NENGO_LOIHI,
    XYLO,
    Arithmetic,
    Cell,
    CellPopulation,
    HostCurrent,
    HostTarget,
    Program,
    Synapses,
)
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.models.neurons.izhikevich import IntegerIzhikevich
from spikeport.pages.overflow import HEAD, overflow_sentence, overflow_words
from spikeport.pages.units import MINUS, SPACE

NARROW = Arithmetic("saturate", state_bits=16, weight_shift=0)
HALF = {"decay_u": 2047}  # u keeps half


def cell(size: int = 1, **registers: Any) -> Cell:
    """Neurons that forget u and keep v; registers are one value for all."""
    arrays = {
        key: np.full(size, value, np.int32)
        if type(value) is int and key not in ("start_step", "message_bits", "message_shift")
        else value
        for key, value in registers.items()
    }
    return neutral_cell(size, **arrays)


def synapses(pre: str, post: str, weights: Any, exponent: int = 0, delay: int = 1) -> Synapses:
    matrix = weights if sparse.issparse(weights) else np.array(weights, np.int32)
    name = f"{pre}-{post} after {delay}"
    return Synapses.of(name, pre, post, matrix, exponent, "signed", 32, delay)


def network(
    sizes: dict[str, Any], *edges: Synapses, arithmetic: Arithmetic = LAVA, bits: int = 0
) -> Program:
    """Populations are a number of inputs, or a cell."""
    populations = {
        name: CellPopulation("input", (held,), None, np.ones(1))
        if isinstance(held, int)
        else CellPopulation("LIF", (held.decay_v.size,), held, np.ones(1))
        for name, held in sizes.items()
    }
    last = list(sizes)[-1]
    return Program(1e-3, populations, edges, {"out": last}, {}, arithmetic, message_bits=bits)


def one(weights: Any, arithmetic: Arithmetic = LAVA, exponent: int = 0, **registers: Any) -> Bound:
    """The bound of one neuron behind some inputs."""
    edge = synapses("in", "n", [weights], exponent)
    net = network({"in": len(weights), "n": cell(**registers)}, edge, arithmetic=arithmetic)
    return bounds(net)["n"]


def ends(bound: Bound) -> tuple[int, ...]:
    return tuple(int(x[0]) for x in (bound.u_low, bound.u_high, bound.v_low, bound.v_high))


# --- u ---------------------------------------------------------------------------------------


def test_u_that_forgets_is_the_sum_of_the_weights_of_one_sign():
    assert ends(one([3, 2, -1]))[:2] == (-64, 5 * 64)


def test_u_that_keeps_half_ends_where_it_loses_what_it_gains():
    # 639 loses 320 of itself, as half of it is rounded toward zero; 638 would lose 319
    assert ends(one([3, 2, -1], **HALF))[:2] == (-127, 639)


def test_a_negative_exponent_rounds_the_sum_down():
    assert ends(one([-3, 1], exponent=-1))[:2] == (-2 * 64, 0)


def test_weights_that_are_shifted_one_by_one_are_summed_after_it():
    assert ends(one([-4, 2, 2], NENGO_LOIHI, -2))[:2] == (-64, 0)  # 2 / 4 is even at 0


@pytest.mark.parametrize("delay", [1, 3])
def test_two_projections_of_one_sender_add_up_whatever_their_delays(delay):
    edges = synapses("in", "n", [[2]]), synapses("in", "n", [[3]], 1, delay)
    found = bounds(network({"in": 1, "n": cell()}, *edges))["n"]
    assert ends(found)[:2] == (0, (2 + 6) * 64)


def test_the_own_spikes_of_a_population_count():
    edges = synapses("in", "n", [[2]]), synapses("n", "n", [[7]])
    assert ends(bounds(network({"in": 1, "n": cell()}, *edges))["n"])[:2] == (0, 9 * 64)


def test_sparse_weights_are_summed_as_dense_ones_in_blocks_of_any_size(monkeypatch):
    rng = np.random.default_rng(2)
    matrix = (rng.integers(-128, 128, (40, 30)) * (rng.random((40, 30)) < 0.2)).astype(np.int32)
    wanted = [64 * matrix.clip(*end).sum(axis=1) for end in ((None, 0), (0, None))]
    for block in (1, 7, 1 << 18):
        monkeypatch.setattr("spikeport.compiler.measure.arriving.BLOCK", block)
        for form in (np.asarray, sparse.csr_array):
            edge = synapses("in", "n", form(matrix), 0)
            found = bounds(network({"in": 30, "n": cell(40)}, edge))["n"]
            assert [found.u_low.tolist(), found.u_high.tolist()] == [x.tolist() for x in wanted]


#: So that v forgets, and keeps to its bits where u just does.
FORGETS = {"decay_v": 4096, "bias_mantissa": -1}


def test_u_of_lava_may_be_2_to_the_23_but_not_minus_that():
    assert one([1024], exponent=7, **FORGETS).safe
    assert not one([1025], exponent=7, **FORGETS).safe
    rises = {"decay_v": 4096, "bias_mantissa": 1}
    assert one([-1023], exponent=7, **rises).safe
    assert one([-1024], exponent=7, **rises).steps == 0


def test_u_that_grows_slowly_keeps_to_its_bits_for_so_many_steps():
    growing = one([100], exponent=7, decay_u=0, **FORGETS)  # of 819 200 it loses less than 4096ths
    assert ends(growing)[1] > 1 << 23
    assert growing.steps == 8388608 // 819200


# --- v ---------------------------------------------------------------------------------------


def test_a_bias_moves_v_and_a_readout_ends_where_it_loses_what_it_gains():
    found = one([10, -4], decay_v=2048, bias_mantissa=3, bias_exponent=4, spiking=False)
    rise, fall = 640 + 48, 256 - 48
    assert ends(found)[2:] == (-(2 * (fall - 1) + 1), 2 * (rise - 1) + 1)
    assert found.safe


def test_v_goes_a_step_beyond_its_threshold():
    found = one([10, -4], v_threshold=100, bias_mantissa=3, v_min=-500)
    assert ends(found)[2:] == (-500 - 256 + 3, 100 * 64 + 640 + 3)
    assert found.safe


def test_reset_by_subtraction_holds_v_only_while_a_step_adds_no_more_than_a_threshold():
    enough = one([10], v_threshold=10, reset="subtract")
    assert ends(enough)[3] == 2 * 640
    assert enough.safe
    less = one([100], exponent=7, v_threshold=9000, reset="subtract")
    left = 819200 - 9000 * 64
    assert not less.safe
    assert ends(less)[3] == less.endless
    assert less.steps == 1 + (8388607 - 819200 - 9000 * 64) // left


def test_a_reset_in_the_next_step_lets_v_rise_once_more():
    late = one([10], v_threshold=100, reset_when="next_step", decay_v=0)
    assert ends(late)[3] == 100 * 64 + 2 * 640
    less = one([10], v_threshold=100, reset="subtract", reset_when="next_step")
    assert ends(less)[3] == 100 * 64 + 2 * 640


def test_what_decays_before_it_is_subtracted_from_goes_below_0():
    found = one(
        [100], v_threshold=100, reset="subtract", reset_when="next_step", decay_v=2048
    )  # 9600 follows a v at its threshold; a little above it v halves, and a threshold is taken off
    assert ends(found)[2:] == (-3200, 9600 // 2 + 6400)


def test_snntorchs_subtraction_lets_v_reach_two_thresholds():
    assert ends(one([10], v_threshold=100, reset="subtract_snntorch"))[3] == 200 * 64 + 640


def test_without_a_reset_only_the_decay_holds_v():
    assert one([10], v_threshold=100, reset="none", decay_v=41).safe
    assert one([10], v_threshold=100, reset="none").steps == 8388607 // 640


def test_an_integrator_that_nothing_stops_below_is_proven_for_so_many_steps():
    found = one([-100], exponent=7, v_threshold=100)
    assert found.steps == 8388607 // 819200 == 10
    assert found.worst == 0
    assert found.holds_for(10)
    assert not found.holds_for(11)


def test_a_floor_makes_it_safe_and_pauses_and_late_starts_do_not():
    assert one([-100], exponent=7, v_threshold=100, v_min=0).safe
    for useless in ({"refractory_steps": 9}, {"start_step": 5}):
        assert one([-100], exponent=7, v_threshold=100, **useless).steps == 10


def test_the_first_v_and_the_level_of_the_reset_count():
    found = one([-100], exponent=7, v_threshold=100, v_initial=-4_000_000)
    assert found.steps == (8388607 - 4_000_000) // 819200
    assert ends(one([1], v_initial=-700, v_min=-900))[2] == -700
    assert ends(one([1], v_reset=-700, v_min=-(1 << 23) + 1, decay_v=1))[2] == -700
    assert ends(one([1], v_reset=9000))[3] == 9000 + 64


def test_an_interval_of_some_steps_is_finite():
    edge = synapses("in", "n", [[-100]], 7)
    net = network({"in": 1, "n": cell(v_threshold=100)}, edge)
    assert ends(bounds(net, steps=3)["n"])[2] == -3 * 819200
    assert bounds(net, steps=3)["n"].steps == 10


def test_the_worst_neuron_is_named():
    edge = synapses("in", "n", [[-1], [-100], [-7]], 7)
    assert bounds(network({"in": 1, "n": cell(3, v_threshold=100)}, edge))["n"].worst == 1
    edge = synapses("in", "n", [[1], [5], [90], [7]])
    assert bounds(network({"in": 1, "n": cell(4, decay_v=41)}, edge))["n"].worst == 2


def test_each_neuron_knows_how_much_of_its_registers_it_takes():
    edge = synapses("in", "n", [[10], [-100_000]])
    net = network({"in": 1, "n": cell(2, v_threshold=4, v_min=-2_000_000)}, edge)
    wanted = [(4 + 10) * 64 / 8388607, (2_000_000 + 6_400_000) / 8388607]
    assert bounds(net)["n"].fill.tolist() == wanted
    assert wanted[1] > 1
    assert one([-1], v_threshold=4).fill[0] == np.inf


def test_what_the_host_writes_is_bounded_by_its_registers():
    target = HostTarget(np.ones((1, 2)), np.zeros(1), np.ones(1), np.zeros(1), 3, 0, 4095)
    net = network({"in": 2, "n": cell(v_threshold=100)})
    net = replace(net, host={"in": HostCurrent("in", False, {"n": (target,)})})
    found = bounds(net)["n"]
    assert ends(found) == (0, 0, -found.endless, 100 * 64 + 4095 * 8)
    assert found.steps == 8388607 // (4095 * 8)


# --- what is sent ----------------------------------------------------------------------------


def test_graded_inputs_send_what_their_messages_hold_or_what_is_said():
    net = network({"in": 1, "n": cell()}, synapses("in", "n", [[2]]), arithmetic=GRADED, bits=5)
    assert ends(bounds(net)["n"])[:2] == (-2 * 15 * 64, 2 * 15 * 64)
    assert ends(bounds(net, inputs={"in": (0, 1)})["n"])[:2] == (0, 2 * 64)


def test_counts_and_analog_values_of_a_sender_are_as_large_as_its_v_can_be():
    counting = cell(v_threshold=10, reset="subtract", spike="count", message_bits=16)
    analog = cell(decay_v=4096, spiking=False, message_bits=16, message_shift=6)
    for sender, wanted in ((counting, (0, 3 * 64)), (analog, (0, 25 * 64))):
        edges = synapses("in", "a", [[25]]), synapses("a", "b", [[1]])
        net = network({"in": 1, "b": cell(), "a": sender}, *edges, arithmetic=GRADED, bits=16)
        found = bounds(net, inputs={"in": (0, 1)})
        assert found["a"].safe
        assert ends(found["b"])[:2] == wanted


def test_in_a_loop_of_values_only_the_width_of_messages_is_known():
    analog = cell(decay_v=4096, spiking=False, message_bits=8, message_shift=6)
    net = network({"in": 1, "a": analog}, synapses("a", "a", [[1]]), arithmetic=GRADED, bits=8)
    assert ends(bounds(net)["a"])[:2] == (-127 * 64, 127 * 64)


def test_messages_that_are_clipped_are_no_proof():
    analog = {"decay_v": 4096, "spiking": False, "message_bits": 5, "message_shift": 6}
    assert one([15], GRADED, **analog).safe
    assert not one([16], GRADED, **analog).safe
    counts = {"v_threshold": 1, "decay_v": 4096, "reset": "subtract", "spike": "count"}
    for threshold, most in (("greater", 16), ("greater_equal", 15)):
        counts |= {"threshold": threshold, "message_bits": 5}
        assert one([most], GRADED, **counts).safe
        assert not one([most + 1], GRADED, **counts).safe


def test_a_sum_of_messages_that_wraps_at_32_bits_is_no_proof():
    edge = synapses("in", "n", [[1 << 21]], -20)
    fits, wraps = (
        bounds(network({"in": 1, "n": cell(v_min=0)}, edge, arithmetic=GRADED, bits=bits))["n"]
        for bits in (11, 16)
    )
    assert fits.u_high[0] == 2 * 1023 * 64
    assert wraps.u_high[0] == wraps.endless
    assert wraps.steps == 0


def test_no_claim_is_made_for_other_neurons_and_events_that_saturate_one_by_one():
    other = near_other()
    assert list(bounds(other)) == ["n"]
    assert [row["population"] for row in overflow_rows(other)] == ["n"]
    assert bounds(replace(other, arithmetic=XYLO)) == {}


def near_other() -> Program:
    """A network of a neuron and one of Izhikevich's."""
    ones = np.ones(1, np.int64)
    fields = {
        name: ones
        for name in (
            "quadratic", "linear", "step", "recovery", "b", "c", "d", "v_threshold",
            "v_initial", "u_initial",
        )
    }  # fmt: skip
    net = network({"in": 1, "n": cell()}, synapses("in", "n", [[1]]))
    other = CellPopulation("Izhikevich", (1,), IntegerIzhikevich(**fields), np.ones(1))
    return replace(net, populations={**net.populations, "m": other})


@pytest.mark.parametrize("name", [each for each in ARITHMETICS if each != "xylo"])
def test_the_limits_are_what_the_rules_of_overflow_leave_as_it_is(name):
    arithmetic = ARITHMETICS[name]
    found = one([1], arithmetic)
    if arithmetic.overflow == "unlimited":
        assert (found.u_limit, found.v_limit, found.safe) == (None, None, True)
        return
    rule: Callable[[Any], Any] = fixed.OVERFLOW[arithmetic.overflow]
    if arithmetic.state_bits != 24:
        rule = partial(fixed.saturate, limit=arithmetic.largest_state)
    for limit, one_more in zip(found.u_limit, (-1, 1), strict=True):
        values = np.array([limit, limit + one_more])
        assert (rule(values) == values).tolist() == [True, False]
    assert found.v_limit == (-arithmetic.largest_state, arithmetic.largest_state)


# --- on the emulator -------------------------------------------------------------------------


def test_u_of_a_layer_reaches_its_bound_under_the_worst_input():
    rng = np.random.default_rng(4)
    weights = rng.integers(-120, 121, (9, 20)).astype(np.int32)
    size = {"decay_u": rng.integers(40, 4096, 9).astype(np.int32)}
    net = network({"in": 20, "n": cell(9, v_min=0, **size)}, synapses("in", "n", weights))
    found = bounds(net)["n"]
    worst = np.repeat([weights > 0, weights < 0], 900, axis=1).reshape(18, 900, 20)
    u = emulator.run(net, {"in": worst.astype(np.uint8)}, probe=["n.u"]).probes["n.u"][:, -1]
    high, low = u[np.arange(9), np.arange(9)], u[9 + np.arange(9), np.arange(9)]
    assert (high >= 0.99 * found.u_high).all()
    assert (low <= 0.99 * found.u_low).all()
    assert (high <= found.u_high).all()
    assert (low >= found.u_low).all()


def test_a_claim_for_some_steps_ends_with_the_first_overflow():
    edge = synapses("in", "n", [[-100]], 7)
    net = network({"in": 1, "n": cell(v_threshold=100)}, edge)
    claimed = bounds(net)["n"].steps
    x = {"in": np.ones((1, 30, 1), np.uint8)}
    counted = [emulator.run(net, x, t).extra["overflows"]["n"] for t in range(1, 20)]
    # nothing arrives in the first step, so the run holds out for one more
    assert counted.index(1) == claimed + 1


def test_the_rows_say_how_it_is_known():
    edges = synapses("in", "a", [[-100]], 7), synapses("in", "b", [[-100]], 7)
    floor, none = cell(v_threshold=100, v_min=0), cell(v_threshold=100)
    net = network({"in": 1, "a": floor, "b": none}, *edges)
    x = {"in": np.ones((1, 30, 1), np.uint8)}
    few, many = (emulator.run(net, x, steps) for steps in (10, 14))
    assert [row["by"] for row in overflow_rows(net, few)] == ["proof", "proof, 10 steps"]
    assert [row["overflowed"] for row in overflow_rows(net, few)] == [0, 0]
    assert [row["by"] for row in overflow_rows(net, many)] == ["proof", "calibration"]
    assert [row["overflowed"] for row in overflow_rows(net, many)] == [0, 3]
    assert json.loads(json.dumps(overflow_rows(net)))[1] == {
        "population": "b",
        "u_low": -819200,
        "u_high": 0,
        "v_low": None,
        "v_high": 0,
        "limit": 8388607,
        "by": "calibration",
        "steps": 10,
        "overflowed": None,
    }


def test_the_page_says_it_in_words():
    edges = synapses("in", "a", [[-100]], 7), synapses("in", "b", [[-100]], 7)
    floor, none = cell(v_threshold=100, v_min=0), cell(v_threshold=100)
    net = network({"in": 1, "a": floor, "b": none}, *edges)
    x = {"in": np.ones((1, 30, 1), np.uint8)}
    said = {}
    for steps in (10, 14):
        result = {"overflow": overflow_rows(net, emulator.run(net, x, steps))}
        rows = overflow_words(result)
        assert {len(row) for row in rows} == {len(HEAD)}
        said[steps] = [row[4] for row in rows], rows[1][5], overflow_sentence(result)
    assert rows[0][1].replace(SPACE, " ") == f"{MINUS}819 200 to 0"
    assert rows[0][3].replace(SPACE, " ") == "±8 388 607"
    whole = "1 of 2 populations cannot overflow, whatever the input"
    always = "proven for any input"
    assert said == {
        10: (
            [always, f"{always} in 10 steps"],
            "0",
            f"{whole}; 1 cannot in as many steps as were run",
        ),
        14: (
            [always, "by calibration; proven for 10 steps only"],
            "3",
            f"{whole}; 1 by calibration only; b overflowed in this run",
        ),
    }
    assert overflow_words({}) == []
    assert overflow_sentence({}) == ""


def test_a_run_that_continues_counts_the_steps_before_it():
    net = network({"in": 1, "n": cell(v_threshold=100)}, synapses("in", "n", [[-100]], 7))
    x = {"in": np.ones((1, 6, 1), np.uint8)}
    first = emulator.run(net, x, 6)
    second = emulator.run(net, x, 6, first.state)
    assert [overflow_rows(net, each)[0]["by"] for each in (first, second)] == [
        "proof, 10 steps",
        "calibration",
    ]


# --- attacked --------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_no_claim_about_random_networks_is_broken_by_inputs_that_try(first):
    for seed in range(first, first + 20):
        assert try_network(seed).trouble == [], f"seed {seed}"


def test_most_quantized_networks_are_proven():
    claims = [
        bounds(near.program, None, near.inputs)
        for near in map(near_the_ends, range(2, 102, 5))  # of loihi1
    ]
    shares = [np.mean([each.safe for each in some.values()]) for some in claims]
    assert np.mean(shares) > 0.7


def without(**changed: Any) -> Callable[..., dict[str, Bound]]:
    """Bounds that take some registers to be other than they are."""

    def prove(program: Program, *rest: Any) -> dict[str, Bound]:
        populations = dict(program.populations)
        for name in program.neurons:
            held = populations[name].cell
            if isinstance(held, Cell):
                new = {
                    key: np.full_like(getattr(held, key), value)
                    if isinstance(getattr(held, key), np.ndarray)
                    else value
                    for key, value in changed.items()
                }
                populations[name] = replace(populations[name], cell=replace(held, **new))
        return bounds(replace(program, populations=populations), *rest)

    return prove


def one_projection_less(program: Program, *rest: Any) -> dict[str, Bound]:
    return bounds(replace(program, synapses=program.synapses[1:]), *rest)


def longer_delays_forgotten(program: Program, *rest: Any) -> dict[str, Bound]:
    at_once = tuple(each for each in program.synapses if each.delay_steps <= 1)
    return bounds(replace(program, synapses=at_once), *rest)


def own_spikes_forgotten(program: Program, *rest: Any) -> dict[str, Bound]:
    others = tuple(each for each in program.synapses if each.pre != each.post)
    return bounds(replace(program, synapses=others), *rest)


def exponents_forgotten(program: Program, *rest: Any) -> dict[str, Bound]:
    flat = tuple(replace(each, exponent=min(each.exponent, 0)) for each in program.synapses)
    return bounds(replace(program, synapses=flat), *rest)


def twice_as_long(program: Program, *rest: Any) -> dict[str, Bound]:
    found = bounds(program, *rest)
    return {
        name: replace(each, each_steps=np.minimum(each.each_steps, 1 << 61) * 2)
        for name, each in found.items()
    }


#: What a bound might forget: such a bound, and the first of 20 networks that it is tried on.
FAULTS = {
    "a projection": (one_projection_less, 0),
    "delays": (longer_delays_forgotten, 0),
    "own spikes": (own_spikes_forgotten, 0),
    "exponents": (exponents_forgotten, 0),
    "biases": (without(bias_mantissa=0), 0),
    "the threshold": (without(v_threshold=0), 0),
    "the first v": (without(v_initial=0), 0),
    "that a reset comes late": (without(reset_when="same_step"), 10),
    "that a reset subtracts": (without(reset="to_value", v_reset=0), 0),
    "what u keeps": (without(decay_u=4095), 0),
    "what v keeps": (without(decay_v=4096), 0),
    "half of the steps": (twice_as_long, 40),
}


@pytest.mark.parametrize(("fault", "first"), FAULTS.values(), ids=FAULTS)
def test_a_bound_that_forgets_something_is_found_out(fault, first):
    assert any(try_network(seed, fault).trouble for seed in range(first, first + 20))
