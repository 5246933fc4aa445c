"""Networks whose neurons send values or counts to each other, on the generic graded chip.

The integers are compared with Python's own (hw_tests/integer_reference.py, which shares nothing
with the emulator), the quantization with the float reference.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import spikeport as sp
from hw_tests.graded_programs import (
    MESSAGE_BITS,
    TOP,
    Run,
    analog_rules,
    random_run,
    spiking_rules,
    ties,
)
from hw_tests.integer_reference import run_integers
from spikeport.backends import emulator
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.measure.neurobench import neurobench
from spikeport.compiler.network import Affine, Delay, Input, Linear, Network, Output
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import GRADED, Cell, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.models.neurons.cuba_li import CubaLi
from spikeport.models.neurons.i import I
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif

Array = np.ndarray[Any, Any]
CHIP = sp.chip("generic_graded")
DT = 1e-3
SPIKING, RULES = [*spiking_rules()], [*spiking_rules(), *analog_rules()]


# --- integers, one by one --------------------------------------------------------------------


def assert_as_in_python(run: Run) -> dict[str, int]:
    """Compare all that was sent, u and v; return how many times each population sent something."""
    wanted = run_integers(run.program, run.inputs, run.steps)
    probe = [f"{name}.{variable}" for name in run.program.neurons for variable in "uv"]
    traces = emulator.run(run.program, run.inputs, run.steps, probe=probe)
    for name in run.program.neurons:
        assert np.array_equal(traces.probes[f"{name}.u"], wanted.u[name]), f"u of {name}"
        assert np.array_equal(traces.probes[f"{name}.v"], wanted.v[name]), f"v of {name}"
        sent = np.count_nonzero(wanted.sent[name], axis=1)
        assert np.array_equal(traces.counters[name]["spikes"], sent)
        if name in traces.spikes:
            assert np.array_equal(traces.spikes[name].dense(), wanted.sent[name]), name
    return {name: np.count_nonzero(wanted.sent[name]) for name in run.program.neurons}


@given(
    seed=some.integers(0, 2**32),
    first=some.sampled_from(RULES),
    second=some.sampled_from(RULES),
)
@settings(max_examples=100)
def test_every_u_v_spike_count_and_message_is_as_in_python(
    seed: int, first: dict[str, Any], second: dict[str, Any]
):
    assert_as_in_python(random_run(np.random.default_rng(seed), first, second))


@pytest.mark.parametrize("reset", sorted({rules["reset"] for rules in SPIKING}))
def test_every_combination_of_rules_is_as_in_python_and_spikes(reset: str):
    rng = np.random.default_rng(1)
    for rules in SPIKING:
        if rules["reset"] == reset:
            sent = [assert_as_in_python(random_run(rng, rules, RULES[-2])) for _ in range(4)]
            assert sum(each["a"] for each in sent) > 20, rules
            assert sum(each["b"] for each in sent) > 20, "messages"


@pytest.mark.parametrize("rules", SPIKING, ids=lambda rules: " ".join(rules.values()))
def test_ties_with_the_threshold_are_as_in_python_and_spike_under_greater_equal_alone(
    rules: dict[str, Any],
):
    run = ties(rules)
    assert_as_in_python(run)
    first = emulator.run(run.program, run.inputs, 1).spikes["a"].dense()[0, 0].tolist()
    counts = {("binary", "greater"): [0, 1, 1], ("binary", "greater_equal"): [1, 1, 1],
              ("count", "greater"): [0, 1, 1], ("count", "greater_equal"): [1, 2, 1]}  # fmt: skip
    if rules["reset"] == "subtract_snntorch" and rules["reset_when"] == "same_step":
        # v was as high before the step already, so its spikes of then are owed
        counts = {key: [0, 0, 0] for key in counts} | {("binary", "greater_equal"): [0, 1, 0]}
    assert first == counts[rules["spike"], rules["threshold"]]


def test_a_population_is_held_before_its_start_step_and_late_by_nothing_else():
    run = random_run(np.random.default_rng(4), SPIKING[0], RULES[-2])
    cell = replace(run.program.populations["a"].cell, start_step=5)
    populations = dict(run.program.populations)
    populations["a"] = replace(populations["a"], cell=cell)
    held = replace(run.program, populations=populations)
    traces = emulator.run(held, run.inputs, 16, probe=["a.v"])
    assert (traces.probes["a.v"][:, :5] == cell.v_initial).all()
    assert not traces.spikes["a"].dense()[:, :5].any()
    assert traces.spikes["a"].total > 0


def analog(v: list[int], shift: int, **registers: Any) -> Program:
    """Return neurons that hold v and send it, each to a listener that shows 128 * message as u."""
    size = len(v)
    sender = neutral_cell(
        size, v_initial=np.array(v, np.int32), spiking=False, reset="none",
        message_bits=MESSAGE_BITS, message_shift=shift, **registers,
    )  # fmt: skip
    listener = neutral_cell(size, v_threshold=np.full(size, GRADED.never, np.int32))
    return wired({"a": sender, "b": listener}, {("a", "b"): 2 * np.eye(size)})


def wired(
    cells: dict[str, Cell], weights: dict[tuple[str, str], Array], exponent: int = 0
) -> Program:
    """Return an idle input and populations of these cells."""
    populations = {"in": CellPopulation("input", (1,), None, np.ones(1))}
    for name, cell in cells.items():
        size = cell.decay_v.size
        populations[name] = CellPopulation("LI", (size,), cell, np.ones(size))
    synapses = tuple(
        Synapses.of(f"{pre}-{post}", pre, post, matrix.astype(np.int32), exponent, "mixed")
        for (pre, post), matrix in weights.items()
    )
    return Program(1e-3, populations, synapses, {"out": "b"}, {}, GRADED, message_bits=MESSAGE_BITS)


def seen(program: Program, key: str, steps: int = 2) -> list[int]:
    """Return u or v of sample 0 in the last step."""
    x = np.zeros((1, steps, 1), np.int64)
    values = emulator.run(program, {"in": x}, steps, probe=[key]).probes[key]
    return [int(each) for each in values[0, -1]]


def test_a_message_is_v_with_fewer_bits_rounded_half_up_and_clipped():
    v = [0, 7, 8, 23, 24, -8, -9, -24, -25, 16 * 32767 + 7, 16 * 32767 + 8, TOP, -TOP]
    sent = [0, 0, 1, 1, 2, 0, -1, -1, -2, 32767, 32767, 32767, -32767]
    assert seen(analog(v, 4), "b.u") == [128 * each for each in sent]


def test_a_readout_that_nobody_listens_to_sends_nothing():
    assert seen(analog([1 << 18], 4), "b.u") == [128 << 14]
    assert seen(silenced(analog([1 << 18], 4)), "b.u") == [0]


def silenced(program: Program) -> Program:
    populations = dict(program.populations)
    quiet = replace(populations["a"].cell, message_bits=0)
    return replace(program, populations=populations | {"a": replace(populations["a"], cell=quiet)})


@pytest.mark.parametrize("sign", [1, -1])
def test_u_and_v_stop_at_the_end_of_32_bits_and_the_note_says_so(sign: int):
    full = np.full(1, sign * 4095, np.int32)
    climbing = neutral_cell(
        1, bias_mantissa=full, bias_exponent=np.full(1, 7, np.int32),
        v_initial=np.full(1, sign * (TOP - 4095 * 128), np.int32), spiking=False, reset="none",
        message_bits=MESSAGE_BITS, message_shift=1,
    )  # fmt: skip
    listener = neutral_cell(
        1, decay_u=np.zeros(1, np.int32), v_threshold=np.full(1, GRADED.never, np.int32)
    )
    program = wired({"a": climbing, "b": listener}, {("a", "b"): np.array([[254]])}, exponent=2)
    x = {"in": np.zeros((1, 6, 1), np.int64)}
    traces = emulator.run(program, x, 6, probe=["a.v", "b.u", "b.v"])
    assert traces.probes["a.v"][0, :, 0].tolist() == [sign * TOP] * 6
    u, message = [0], sign * 32767 * 254 * 4 * 64
    for _ in range(5):
        kept = abs(u[-1]) * 4095 // 4096
        u.append(sign * min(kept + abs(message), TOP))
    assert traces.probes["b.u"][0, :, 0].tolist() == u
    assert abs(u[-1]) == TOP
    assert traces.extra["overflows"] == {"a": 5, "b": 4 + 4}  # u and v, from the second message
    assert "u or v of 'a' left 32 bits 5 times" in traces.notes[0]


@pytest.mark.parametrize(("parts", "exponent"), [(1, 0), (2, 0), (1, -7)])
def test_sums_of_messages_wrap_at_32_bits_before_they_are_shifted(parts: int, exponent: int):
    """In one projection, or over several."""
    size = 600
    loud = neutral_cell(
        size, v_initial=np.full(size, TOP, np.int32), spiking=False, reset="none",
        message_bits=MESSAGE_BITS, message_shift=1,
    )  # fmt: skip
    listener = neutral_cell(1, v_threshold=np.full(1, GRADED.never, np.int32))
    whole = np.full((1, size), 254)
    left, right = whole.copy(), whole.copy()
    left[:, size // 2 :], right[:, : size // 2] = 0, 0
    program = wired({"a": loud, "b": listener}, {("a", "b"): whole}, exponent)
    if parts == 2:
        made = [replace(program.synapses[0], name=name).with_mantissa(each.astype(np.int32))
                for name, each in (("left", left), ("right", right))]  # fmt: skip
        program = replace(program, synapses=tuple(made))
    total = (size * 254 * 32767 + 2**31) % 2**32 - 2**31
    wanted = max(min(64 * (total >> -exponent), TOP), -TOP)
    assert total != size * 254 * 32767
    assert seen(program, "b.u") == [wanted]


@pytest.mark.parametrize(("threshold", "count"), [("greater", 4), ("greater_equal", 5)])
def test_a_count_is_how_many_thresholds_fit_and_no_more_than_a_message_holds(
    threshold: str, count: int
):
    theta = np.array([100, 1], np.int32)
    cell = neutral_cell(
        2, v_threshold=theta, v_initial=np.array([5 * 6400, TOP], np.int32), spike="count",
        threshold=threshold, reset="subtract", message_bits=MESSAGE_BITS,
    )  # fmt: skip
    program = wired({"b": cell}, {})
    traces = emulator.run(program, {"in": np.zeros((1, 1, 1), int)}, 1, probe=["b.v"])
    assert traces.spikes["b"].dense()[0, 0].tolist() == [count, 32767]
    assert traces.probes["b.v"][0, 0].tolist() == [(5 - count) * 6400, TOP - 32767 * 64]


def test_a_run_goes_on_from_its_state_with_resets_and_messages_that_are_still_owed():
    rng = np.random.default_rng(8)
    late = next(r for r in SPIKING if r["reset_when"] == "next_step" and r["spike"] == "count")
    for second in RULES:
        run = random_run(rng, late, second)
        probe = ["a.v", "b.v", "b.u"]
        whole = emulator.run(run.program, run.inputs, 16, probe=probe)
        first = emulator.run(run.program, {"in": run.inputs["in"][:, :7]}, 7, probe=probe)
        rest = emulator.run(run.program, {"in": run.inputs["in"][:, 7:]}, 9, first.state, probe)
        for key in probe:
            assert np.array_equal(rest.probes[key], whole.probes[key][:, 7:]), (key, second)


# --- how close to the float network ----------------------------------------------------------


def weights(seed: int, post: int, pre: int, size: float = 0.5, mean: float = 0.15) -> Linear:
    return Linear(np.random.default_rng(seed).normal(mean, size, (post, pre)))


def lif(size: int = 6) -> Lif:
    one = np.ones(size)
    return Lif(8 * DT * one, 4 * one, 0 * one, one, 0 * one)


def li(size: int = 10, leak: float = 0.1) -> Li:
    one = np.ones(size)
    return Li(5 * DT * one, 3 * one, leak * one)


def middle(kind: str, size: int = 10) -> Any:
    """Return an analog population."""
    one = np.ones(size)
    if kind == "CubaLI":
        return CubaLi(4 * DT * one, 6 * DT * one, 2 * one, 0.2 * one, 3 * one)
    if kind == "I":
        return I(0.05 / DT * one)
    return li(size)


def network(nodes: dict[str, Any], *loops: tuple[str, str], said: tuple[str, ...] = ()) -> Network:
    """Return in -> the nodes in a row -> out; those called back* are only in the `loops`."""
    aside = {name for edge in loops for name in edge if name.startswith("back")}
    row = ["in", *(name for name in nodes if name not in aside), "out"]
    edges = (*((a, b) for a, b in zip(row[:-1], row[1:], strict=True)), *loops)  # noqa: RUF007
    everything = {"in": Input((8,)), **nodes, "out": Output((6,))}
    return Network(everything, edges, apply_settings(Semantics(dt=DT, dialect="nir"), said))


def data(rate: float = 0.3, steps: int = 80, seed: int = 0, most: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    spikes = rng.random((4, steps, 8)) < rate
    return spikes * rng.integers(1, most + 1, spikes.shape)


def agreement(net: Network, x: Array, *names: str, kind: str = "spikes") -> tuple[Any, Any]:
    """Return the parity of spikes and v of calibrated integers with the floats, and the image."""
    probe = [f"{name}.v" for name in names]
    image = sp.compile(net, CHIP, calibration=x, kind=kind)
    chip = sp.run(image, x, probe=probe, kind=kind)
    assert chip.notes == (), "nothing overflows"
    ideal = sp.run(net, x, probe=probe, kind=kind)
    assert ideal.spikes["b"].total > 150
    for name in names:
        population, wanted = image.program.populations[name], ideal.probes[f"{name}.v"]
        late = population.in_network_units(chip.probe_window(f"{name}.v"))
        # weights of 8 bits and decays of 12: half a per cent of the range
        assert np.abs(late - wanted).max() < 0.01 * np.abs(wanted).max(), name
    return sp.compare(ideal, chip), image


@pytest.mark.parametrize(("kind", "share"), [("LI", 0.97), ("CubaLI", 0.98), ("I", 0.9)])
def test_spikes_behind_analog_neurons_are_nearly_all_those_of_the_floats(kind: str, share: float):
    """Measured on three inputs: LI 0.980 to 0.992, CubaLI 0.992 to 0.998, I 0.916 to 0.964.

    Nothing fades in an I, so the errors of its 8-bit weights add up.
    """
    net = network({"f1": weights(1, 10, 8), "a": middle(kind), "f2": weights(2, 6, 10), "b": lif()})
    parity, image = agreement(net, data(), "a")
    assert parity.repeated > share
    assert image.program.populations["a"].cell.message_shift > 0
    assert image.program.largest_message("a") == 32767


def test_a_row_of_analog_neurons_passes_values_on():
    net = network(
        {"f1": weights(1, 10, 8), "a": li(), "f2": weights(2, 10, 10, 0.3), "a2": middle("CubaLI"),
         "f3": weights(3, 6, 10), "b": lif()},
    )  # fmt: skip
    parity, _ = agreement(net, data(), "a", "a2")
    assert parity.repeated > 0.97


def test_analog_neurons_in_a_loop_follow_the_floats():
    net = network(
        {"f1": weights(1, 10, 8), "a": li(), "back": weights(5, 10, 10, 0.05, 0.0),
         "f2": weights(2, 6, 10), "b": lif()},
        ("a", "back"), ("back", "a"),
    )  # fmt: skip
    parity, _ = agreement(net, data(), "a")
    assert parity.repeated > 0.97


def test_an_analog_value_that_waits_is_the_same_value_later():
    row = {"f1": weights(1, 10, 8), "a": li(leak=0.0), "late": Delay(np.full(10, 9 * DT)),
           "f2": weights(2, 6, 10), "b": lif()}  # fmt: skip
    soon = {name: node for name, node in row.items() if name != "late"}
    x = np.concatenate([data(), np.zeros((4, 9, 8))], axis=1)  # all of it arrives in both
    runs = []
    for nodes in (row, soon):
        image = sp.compile(network(nodes), CHIP, calibration=x)
        runs.append(sp.run(image, x, probe=["b.v"]).probe_window("b.v"))
    waited, at_once = runs
    assert np.array_equal(waited[:, 9:], at_once[:, :-9])
    assert not waited[:, :9].any()


def counting(*said: str) -> Network:
    one = np.ones(6)
    return network(
        {"f1": Linear(np.random.default_rng(0).integers(-1, 2, (6, 8)).astype(float)),
         "a": If(one / DT, 1.0 * one, 0 * one),
         "f2": Linear(np.random.default_rng(1).integers(-1, 2, (6, 6)).astype(float)),
         "b": If(one / DT, 2.0 * one, 0 * one)},
        said=("spike=count", *said),
    )  # fmt: skip


@pytest.mark.parametrize("threshold", ["greater", "greater_equal"])
@pytest.mark.parametrize("said", ["reset=subtract", "reset=to_value", "v_min=-1"])
def test_counts_that_feed_counts_are_exact_where_weights_are(threshold: str, said: str):
    net, x = counting(f"threshold={threshold}", said), data(0.5, most=4)
    image = sp.compile(net, CHIP, calibration=x, kind="counts")
    ideal, chip = sp.run(net, x, kind="counts"), sp.run(image, x, kind="counts")
    assert ideal.spikes["b"].dense().max() > 2
    assert sp.compare(ideal, chip).different == 0
    assert (image.program.populations["b"].cell.threshold) == threshold


# --- a bound instead of calibration ----------------------------------------------------------


@given(seed=some.integers(0, 2**32), rate=some.sampled_from([0.1, 0.6, 1.0]))
@settings(max_examples=20)
def test_without_calibration_the_bound_holds_for_messages_too(seed: int, rate: float):
    rng = np.random.default_rng(seed)
    kind = ["LI", "CubaLI"][seed % 2]
    net = network(
        {"f1": weights(seed, 10, 8, rng.uniform(0.1, 3)), "a": middle(kind),
         "f2": weights(seed + 1, 6, 10, rng.uniform(0.1, 3)), "b": lif()},
    )  # fmt: skip
    program = sp.compile(net, CHIP).program
    traces = emulator.run(program, {"in": data(rate, 40, seed)}, 42, probe=["a.v"])
    assert traces.extra["overflows"] == dict.fromkeys(program.neurons, 0)
    shift = program.populations["a"].cell.message_shift
    assert np.abs(traces.probes["a.v"]).max() >> shift <= 32767, "no message is clipped"


@pytest.mark.parametrize("fan_in", [100, 600])
def test_however_many_send_full_messages_their_sum_stays_in_32_bits(fan_in: int):
    nodes = {"f1": weights(1, fan_in, 8), "a": li(fan_in), "f2": Linear(np.ones((6, fan_in)) / 40),
             "b": lif()}  # fmt: skip
    x = data(steps=40)
    image = sp.compile(network(nodes), CHIP, calibration=x)
    (behind,) = (each for each in image.program.synapses if each.pre == "a")
    full = int(np.abs(behind.mantissa.astype(np.int64)).sum(axis=1).max()) * 32767
    assert 2**29 < full < 2**31, "it fits, and no more bits are lost than must be"
    ideal, chip = sp.run(network(nodes), x), sp.run(image, x)
    assert ideal.spikes["b"].total > 100
    assert sp.compare(ideal, chip).repeated > 0.95


def test_a_bound_is_found_from_the_sources_on_in_whatever_order_nodes_are_listed():
    nodes = {"f1": weights(1, 10, 8), "a": li(), "f2": weights(2, 6, 10), "b": lif()}
    net = network(nodes, said=("feedforward_lag=1",))
    backwards = replace(net, nodes=dict(reversed(net.nodes.items())))
    scales = [
        {name: population.scale[0] for name, population in each.populations.items()}
        for each in (sp.compile(net, CHIP).program, sp.compile(backwards, CHIP).program)
    ]
    assert scales[0] == scales[1]


def test_a_loop_of_values_has_no_bound_and_the_data_that_is_asked_for_helps():
    net = network(
        {"f1": weights(1, 10, 8), "a": li(), "back": weights(5, 10, 10, 0.05, 0.0),
         "f2": weights(2, 6, 10), "b": lif()},
        ("a", "back"), ("back", "a"),
    )  # fmt: skip
    with pytest.raises(LoweringError) as caught:
        sp.compile(net, CHIP)
    assert str(caught.value).splitlines() == [
        "how much 'a' sends to 'a' is not known: they are in one loop, and its values are real or "
        "counted, so no bound follows from the weights",
        "  fix: give data to calibrate with: --data, or sp.compile(net, chip, calibration=x)",
    ]
    assert sp.compile(net, CHIP, calibration=data())


# --- what loihi1 refuses ---------------------------------------------------------------------


def spiking_row(*said: str) -> Network:
    return network({"f1": weights(1, 6, 8), "b": lif()}, said=said)


def waiting_loop() -> Network:
    """Return a loop in which a value waits for itself, between analog neurons."""
    return network(
        {"f1": weights(1, 6, 8), "a": li(6), "back_late": Delay(np.full(6, 3 * DT)),
         "back": weights(5, 6, 6, 0.05, 0.0), "f2": weights(2, 6, 6), "b": lif()},
        ("a", "back"), ("back", "back_late"), ("back_late", "a"),
    )  # fmt: skip


REFUSED = {
    "an analog value": (
        network({"f1": weights(1, 6, 8), "a": li(6), "f2": weights(2, 6, 6), "b": lif()}),
        r"'a' is a LI, whose output is analog, and it feeds 'b': loihi1 carries spikes",
    ),
    "an integrator's value": (
        network({"f1": weights(1, 6, 8), "a": middle("I", 6), "f2": weights(2, 6, 6), "b": lif()}),
        r"'a' is an I, whose output is analog, and it feeds 'b'",
    ),
    "a value in a loop": (waiting_loop(), r"'a' is a LI, whose output is analog"),
    "counts": (spiking_row("spike=count"), r"'b' sends several spikes per step \(spike=count\)"),
    "no reset": (spiking_row("reset=none"), r"'b' is reset by none: loihi1 has to_value, subtract"),
    "snntorch's reset": (
        spiking_row("reset=subtract_snntorch"),
        r"'b' is reset by subtract_snntor",
    ),
    "a late reset": (
        spiking_row("reset_when=next_step"),
        r"'b' is reset in the step after a spike",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_loihi1_refuses_by_name_and_the_chip_that_it_advises_runs_it(what: str):
    net, message = REFUSED[what]
    with pytest.raises(LoweringError, match=message) as caught:
        sp.compile(net, "loihi1", calibration=data())
    (advised,) = re.findall(r"--chip (\w+)", caught.value.fix)
    image = sp.compile(net, advised, calibration=data())
    parity = sp.compare(sp.run(net, data()), sp.run(image, data()))
    assert parity.repeated > 0.9  # weights of 8 bits: a spike in ten is a step off


# --- what it costs ---------------------------------------------------------------------------


def test_messages_are_placed_costed_and_counted_as_multiplications():
    one = np.ones(2)
    nodes = {"in": Input((1,)), "f1": Affine(np.ones((2, 1)), np.zeros(2)),
             "a": Li(2 * DT * one, one, 0 * one), "f2": Linear(np.ones((3, 2))),
             "b": lif(3), "out": Output((3,))}  # fmt: skip
    row = list(nodes)
    net = Network(nodes, tuple(zip(row[:-1], row[1:], strict=True)), Semantics(dt=DT))  # noqa: RUF007
    x = np.zeros((1, 6, 1))
    x[0, 0] = 1
    image = verify(sp.compile(net, CHIP, calibration=x))
    traces = sp.run(image, x, probe=["a.v"])
    shift = image.program.populations["a"].cell.message_shift
    messages = int((np.abs(traces.probes["a.v"]) >> (shift - 1) > 0).sum())
    assert messages == 2 * (traces.steps - 1)  # v halves in every step and is never gone
    ledger = sp.cost(image, traces).ledger
    events = {(entry.population, entry.kind): entry.events_per_sample for entry in ledger}
    assert events["a", "packet"] == messages
    assert events["a", "synaptic_op"] == 3 * messages
    found = neurobench(image, traces)["SynapticOperations"]
    assert found["Effective_MACs"] == 3 * messages
    assert found["Effective_ACs"] == 2  # what the one spike of the input reads
