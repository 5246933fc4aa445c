"""The emulator by itself: against a specification in Python's integers, and its promises."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as some

from spikeport.backends import emulator
from spikeport.compiler.errors import DataError
from spikeport.compiler.program import (
    BRIAN2_LOIHI,
    LAVA,
    NENGO_LOIHI,
    Arithmetic,
    Cell,
    CellPopulation,
    Program,
    Synapses,
)

EDGE = 1 << 23
SATURATING = Arithmetic(overflow="saturate")
DATAPATHS = (LAVA, NENGO_LOIHI, BRIAN2_LOIHI, SATURATING)


# --- the specification: Python's integers, one neuron after the other ------------------------


@dataclass(frozen=True)
class Layer:
    """Neurons as dicts of registers, and what they share."""

    neurons: list[dict[str, int]]
    reset: str = "to_value"
    start_step: int = 0
    spiking: bool = True


@dataclass(frozen=True)
class Edge:
    """Weights from one layer (or `in`) to another; rows by post neuron."""

    pre: str
    post: str
    rows: list[list[int]]
    exponent: int = 0
    delay: int = 1


@dataclass(frozen=True)
class Net:
    """A tiny network in lists, with its input[step][neuron] for each sample."""

    layers: dict[str, Layer]
    edges: list[Edge]
    samples: list[list[list[int]]]
    arithmetic: Arithmetic = LAVA


@dataclass
class Neuron:
    """What the specification keeps of one neuron, and of every step of it."""

    v: int
    u: int = 0
    pause: int = 0
    active: int = 0
    us: list[int] = field(default_factory=list)
    vs: list[int] = field(default_factory=list)
    spikes: list[int] = field(default_factory=list)


def leak(x: int, keep: int) -> int:
    """x * keep / 4096, rounded toward zero."""
    return x * keep // 4096 if x >= 0 else -(-x * keep // 4096)


def int32(x: int) -> int:
    return (x + 2**31) % 2**32 - 2**31


def overflow(x: int, rule: str) -> int:
    if rule == "unlimited":
        return x
    x = int32(x)
    if rule == "saturate":
        return min(max(x, 1 - EDGE), EDGE - 1)
    if rule == "twos_complement":
        return (x + EDGE) % (2 * EDGE) - EDGE
    if x > EDGE:
        return x - 2 * EDGE
    return x + 2 * EDGE if x <= -EDGE else x


def arriving(weights: list[int], sent: list[int], exponent: int, how: Arithmetic) -> int:
    """Return what a neuron gets over one edge, as it adds to u."""
    scale = Fraction(2) ** exponent
    if how.weight_exp_at == "sum":
        total = sum(w * s for w, s in zip(weights, sent, strict=True))
        return floor(total * scale) * 64
    if how.weight_truncation == "nearest":
        each = [min(max(round(w * scale), -256 * scale), 256 * scale - 1) for w in weights]
    else:
        each = [floor(w * scale) for w in weights]
    limit = 2**21 - 2**6
    aligned = [min(max(floor(w) * 64, -limit), limit) for w in each]
    return sum(w * s for w, s in zip(aligned, sent, strict=True))


def step(neuron: Neuron, registers: dict[str, int], layer: Layer, how: Arithmetic, q: int) -> int:
    """Take one step of one neuron; return 1 when it fires."""
    bias = registers["bias_mantissa"] * 2 ** registers["bias_exponent"]
    neuron.active += bool(neuron.u or neuron.v or q or bias)
    free = how.overflow == "unlimited"
    neuron.u = overflow(
        leak(neuron.u, 4095 - registers["decay_u"]) + (q if free else int32(q)), how.overflow
    )
    v = leak(neuron.v, 4096 - registers["decay_v"]) + neuron.u + bias
    if not free:
        v = min(max(int32(v), 1 - EDGE), EDGE - 1)
    held = neuron.pause > 0
    if held:
        v, neuron.pause = neuron.v, neuron.pause - 1
    neuron.v = v if free else max(v, registers["v_min"])  # brian2_loihi has no floor
    threshold = registers["v_threshold"] * 64
    if held or not layer.spiking or neuron.v <= threshold:
        return 0
    if layer.reset == "to_value":
        neuron.v = registers["v_reset"]
    elif layer.reset == "subtract":
        neuron.v -= threshold
    neuron.pause = registers["refractory_steps"] - 1
    return 1


def specified(net: Net, sample: int, steps: int) -> dict[str, list[Neuron]]:
    """Return every neuron of one sample after `steps` steps."""
    x = net.samples[sample]
    made = {
        name: [Neuron(each["v_initial"]) for each in layer.neurons]
        for name, layer in net.layers.items()
    }

    def sent(name: str, t: int) -> list[int]:
        if name == "in":
            return x[t] if 0 <= t < len(x) else [0] * len(x[0])
        return [neuron.spikes[t] if t >= 0 else 0 for neuron in made[name]]

    for t in range(steps):
        for name, layer in net.layers.items():
            for k, neuron in enumerate(made[name]):
                fired = 0
                if t >= layer.start_step:
                    q = sum(
                        arriving(e.rows[k], sent(e.pre, t - e.delay), e.exponent, net.arithmetic)
                        for e in net.edges
                        if e.post == name
                    )
                    fired = step(neuron, layer.neurons[k], layer, net.arithmetic, q)
                neuron.us.append(neuron.u)
                neuron.vs.append(neuron.v)
                neuron.spikes.append(fired)
    return made


# --- the same network as a Program -----------------------------------------------------------


def program_of(net: Net, form: Any = np.asarray) -> Program:
    """Return the Program; `form` makes its matrices (dense, or some sparse class)."""
    sources = len(net.samples[0][0])
    populations = {"in": CellPopulation("input", (sources,), None, np.ones(sources))}
    for name, layer in net.layers.items():
        registers = {
            key: np.array([each[key] for each in layer.neurons], np.int32)
            for key in layer.neurons[0]
        }
        cell = Cell(
            **registers, reset=layer.reset, start_step=layer.start_step, spiking=layer.spiking
        )
        size = len(layer.neurons)
        populations[name] = CellPopulation("CubaLIF", (size,), cell, np.ones(size))
    synapses = tuple(
        Synapses.of(
            f"w{k}",
            edge.pre,
            edge.post,
            form(np.array(edge.rows, np.int32)),
            edge.exponent,
            "mixed",
            8,
            edge.delay,
        )
        for k, edge in enumerate(net.edges)
    )
    last = list(populations)[-1]
    return Program(1e-3, populations, synapses, {"out": last}, {last: 0}, net.arithmetic)


def run(program: Program, x: Any, steps: int | None = None, state: Any = None) -> Any:
    """Run a Program on x (samples, steps, n), with every variable probed."""
    probe = [f"{name}.{variable}" for name in program.neurons for variable in ("u", "v")]
    return emulator.run(program, {"in": np.asarray(x)}, steps, state, probe)


def everything(traces: Any) -> dict[str, np.ndarray]:
    """Return all that a run gave, by name; the second axis of each array is the step."""
    return {
        **traces.probes,
        **{f"{name} spikes": events.dense() for name, events in traces.spikes.items()},
    }


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for key, array in one.items():
        np.testing.assert_array_equal(array, other[key], err_msg=key)


# --- random networks -------------------------------------------------------------------------


def whole(low: int, high: int, *edges: int) -> some.SearchStrategy[int]:
    return (
        some.sampled_from(edges) | some.integers(low, high) if edges else some.integers(low, high)
    )


REGISTERS = some.fixed_dictionaries(
    {
        "decay_u": whole(0, 4095, 0, 4095),
        "decay_v": whole(0, 4096, 0, 4096),
        "v_threshold": whole(0, 131071, 0, 1, 131071) | whole(0, 500),
        "bias_mantissa": whole(-4095, 4095, 0),
        "bias_exponent": whole(0, 7),
        "v_reset": whole(-100_000, 100_000, 0),
        "v_initial": whole(-100_000, 100_000, 0, 1 - EDGE, EDGE - 1),
        "v_min": some.sampled_from([1 - EDGE, -(2**31), -500, 0]),
        "refractory_steps": some.integers(1, 4),
    }
)


@some.composite
def nets(draw: Any, datapaths: tuple[Arithmetic, ...] = DATAPATHS) -> Net:
    """Draw an input and one or two layers with edges anywhere: forward, recurrent, doubled."""
    sizes = {"in": draw(some.integers(1, 3))}
    layers = {}
    for name in ["a", "b"][: draw(some.integers(1, 2))]:
        neurons = draw(some.lists(REGISTERS, min_size=1, max_size=3))
        sizes[name] = len(neurons)
        reset = draw(some.sampled_from(["to_value", "subtract", "none"]))
        layers[name] = Layer(
            neurons, reset, start_step=draw(some.integers(0, 3)), spiking=draw(some.booleans())
        )
    weight = whole(-256, 255, 0, -256, 255)
    edges = []
    for _ in range(draw(some.integers(1, 4))):
        pre, post = draw(some.sampled_from(list(sizes))), draw(some.sampled_from(list(layers)))
        row = some.lists(weight, min_size=sizes[pre], max_size=sizes[pre])
        rows = draw(some.lists(row, min_size=sizes[post], max_size=sizes[post]))
        edges.append(Edge(pre, post, rows, draw(some.integers(-7, 7)), draw(some.integers(1, 4))))
    steps = draw(some.integers(1, 10))
    bit = some.sampled_from([0, 1, 1])
    one = some.lists(bit, min_size=sizes["in"], max_size=sizes["in"])
    sample = some.lists(one, min_size=steps, max_size=steps)
    samples = draw(some.lists(sample, min_size=1, max_size=3))
    return Net(layers, edges, samples, draw(some.sampled_from(datapaths)))


often = settings(max_examples=200, deadline=None, derandomize=True)


@often
@given(nets(), some.integers(0, 3))
def test_every_u_v_spike_and_counter_is_as_specified(net, more):
    steps = len(net.samples[0]) + more
    traces = run(program_of(net), net.samples, steps)
    for sample in range(len(net.samples)):
        for name, neurons in specified(net, sample, steps).items():
            assert traces.probes[f"{name}.u"][sample].T.tolist() == [n.us for n in neurons]
            assert traces.probes[f"{name}.v"][sample].T.tolist() == [n.vs for n in neurons]
            if net.layers[name].spiking:
                spikes = traces.spikes[name].dense()[sample].T
                assert spikes.tolist() == [n.spikes for n in neurons]
            counted = traces.counters[name]
            assert counted["active"][sample].tolist() == [n.active for n in neurons]
            assert counted["spikes"][sample].tolist() == [sum(n.spikes) for n in neurons]


@often
@given(nets(), some.data())
def test_a_run_of_a_and_b_is_a_run_of_a_then_b_from_its_state(net, data):
    program, x = program_of(net), np.array(net.samples)
    steps = x.shape[1] + 3
    cut = data.draw(some.integers(1, steps - 1))
    whole_run = run(program, x, steps)
    first = run(program, x[:, :cut], cut)
    rest = run(program, x[:, cut:], steps - cut, first.state)
    a, b = everything(first), everything(rest)
    joined = {key: np.concatenate([a[key], b[key]], axis=1) for key in a}
    assert_same(joined, everything(whole_run))
    assert rest.state.step == whole_run.state.step == steps
    assert_same(rest.state.history, whole_run.state.history)
    for name, variables in whole_run.state.variables.items():
        assert_same(rest.state.variables[name], variables)
        counters = first.counters[name]["active"] + rest.counters[name]["active"]
        np.testing.assert_array_equal(counters, whole_run.counters[name]["active"])


@often
@given(nets())
def test_dense_and_sparse_weights_give_the_same_bits(net):
    dense = everything(run(program_of(net), net.samples))
    assert_same(everything(run(program_of(net, sp.csr_array), net.samples)), dense)
    assert_same(everything(run(program_of(net, sp.csr_matrix), net.samples)), dense)


@often
@given(nets(), some.randoms())
def test_samples_together_equal_each_alone_in_any_order(net, random):
    program, x = program_of(net), np.array(net.samples)
    together = everything(run(program, x))
    order = list(range(len(x)))
    random.shuffle(order)
    shuffled = everything(run(program, x[order]))
    assert_same(shuffled, {key: array[order] for key, array in together.items()})
    for k in order:
        alone = everything(run(program, x[k : k + 1]))
        assert_same(alone, {key: array[k : k + 1] for key, array in together.items()})


# --- one network that is large enough to take every path of the sums -------------------------


def layer(size, reset="to_value", start_step=0, **registers):
    """Return neurons that share their registers; those not given are quiet."""
    quiet = {
        "decay_u": 1000,
        "decay_v": 300,
        "v_threshold": 500,
        "bias_mantissa": 0,
        "bias_exponent": 0,
        "v_reset": 0,
        "v_initial": 0,
        "v_min": 1 - EDGE,
        "refractory_steps": 1,
    }
    return Layer([quiet | registers] * size, reset, start_step)


def lively(rate, seed=0):
    """Return 40 inputs, two layers of 30 and 20, delays 1 to 5, recurrent, refractory."""
    rng = np.random.default_rng(seed)

    def matrix(post, pre):
        return (2 * rng.integers(-100, 128, (post, pre))).tolist()

    return Net(
        layers={"a": layer(30, refractory_steps=3), "b": layer(20, "subtract", start_step=2)},
        edges=[
            Edge("in", "a", matrix(30, 40)),
            Edge("a", "b", matrix(20, 30), 1, 5),
            Edge("b", "b", matrix(20, 20), -2, 2),
            Edge("b", "a", matrix(30, 20), -1, 3),
        ],
        samples=(rng.random((6, 25, 40)) < rate).astype(int).tolist(),
    )


@pytest.mark.parametrize("rate", [0.02, 0.5])  # below and above what a sparse product takes
def test_forms_batches_and_cuts_agree_on_a_lively_network(rate):
    net = lively(rate)
    program, x = program_of(net), np.array(net.samples)
    reference = run(program, x, 30)
    wanted = everything(reference)
    assert reference.spikes["a"].total > 100
    assert reference.spikes["b"].total > 100
    assert_same(everything(run(program_of(net, sp.csr_array), x, 30)), wanted)
    for k in range(len(x)):
        alone = everything(run(program, x[k : k + 1], 30))
        assert_same(alone, {key: array[k : k + 1] for key, array in wanted.items()})
    for cut in (1, 2, 4, 6, 29):
        first = run(program, x[:, :cut], cut)
        rest = everything(run(program, x[:, cut:], 30 - cut, first.state))
        assert_same(rest, {key: array[:, cut:] for key, array in wanted.items()})
    for name, events in reference.spikes.items():
        counted = reference.counters[name]["spikes"]
        np.testing.assert_array_equal(counted, events.dense().sum(axis=1))


def test_a_state_can_be_continued_twice():
    net = lively(0.3)
    program, x = program_of(net), np.array(net.samples)
    state = run(program, x[:, :10], 10).state
    once, twice = (everything(run(program, x[:, 10:], 15, state)) for _ in range(2))
    assert_same(once, twice)
    assert not state.variables["a"]["v"].flags.writeable
    assert not state.history["a"].flags.writeable


def test_no_input_is_silence():
    net = lively(0.0)
    traces = run(program_of(net), net.samples)
    for key, array in everything(traces).items():
        assert not array.any(), key
    for name in ("a", "b"):
        assert not traces.counters[name]["active"].any()
        assert not traces.counters[name]["spikes"].any()


def test_input_ends_with_its_data_and_the_run_with_its_steps():
    net = lively(0.5)
    program, x = program_of(net), np.array(net.samples)
    padded = np.concatenate([x, np.zeros_like(x)], axis=1)
    assert_same(everything(run(program, x, 50)), everything(run(program, padded)))
    cut = {key: array[:, :7] for key, array in everything(run(program, x)).items()}
    assert_same(everything(run(program, x, 7)), cut)


def test_the_output_has_time_to_answer():
    net = lively(0.5)
    program = replace(program_of(net), lags={"b": 6})
    traces = run(program, net.samples)
    assert (traces.steps, traces.model_steps) == (31, 25)
    assert traces.window("b").shape == (6, 25, 20)


# --- sums that a float32 does not hold -------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("total", [2**24 - 1, 2**24, 2**24 + 1, 2**24 + 3, 2**25 - 1])
def test_sums_over_a_large_fan_in_are_exact(total, form):
    """Up to 2**24 a float32 holds every whole number; all below that take other sums."""
    ones = total % 255
    row = [255] * (total // 255) + [1] * ones
    signs = [row, [-weight for weight in row], [*row[:-1], row[-1] - 1]]
    net = Net(
        layers={"a": layer(3, decay_u=4095, v_threshold=131071)},
        edges=[Edge("in", "a", signs)],
        samples=[[[1] * len(row), [0] * len(row)], [[0] * len(row)] * 2],
    )
    u = run(program_of(net, form), net.samples).probes["a.u"]
    wanted = [overflow(64 * each, "lava") for each in (total, -total, total - 1)]
    assert u[0, 1].tolist() == wanted
    assert not u[1].any()


def test_sums_of_aligned_weights_are_exact():
    """Where exponents act on each synapse, a few synapses are beyond 2**24 already."""
    row = [255] * 9 + [1]
    net = Net(
        layers={"a": layer(1, decay_u=4095, v_threshold=131071)},
        edges=[Edge("in", "a", [row], 7), Edge("in", "a", [[0] * 9 + [1]], 0)],
        samples=[[[1] * 10, [0] * 10]],
        arithmetic=BRIAN2_LOIHI,
    )
    u = run(program_of(net), net.samples).probes["a.u"]
    assert u[0, 1].tolist() == [(9 * 255 + 1) * 2**13 + 64]


@pytest.mark.parametrize("arithmetic", DATAPATHS, ids=lambda each: each.overflow)
def test_currents_that_leave_24_and_32_bits_are_as_specified(arithmetic):
    fan_in = 1400
    registers = layer(1).neurons[0]
    neurons = [registers | {"decay_u": decay} for decay in (4095, 4095, 0, 2000)]
    rows = [[255] * fan_in, [-255] * fan_in, [255] * fan_in, [-255] * fan_in]
    more_and_more = [[1] * each + [0] * (fan_in - each) for each in range(0, fan_in, 70)]
    net = Net({"a": Layer(neurons)}, [Edge("in", "a", rows, 7)], [more_and_more], arithmetic)
    wanted = specified(net, 0, 20)["a"]
    traces = run(program_of(net), net.samples)
    assert traces.probes["a.u"][0].T.tolist() == [neuron.us for neuron in wanted]
    assert traces.probes["a.v"][0].T.tolist() == [neuron.vs for neuron in wanted]
    assert traces.spikes["a"].total == sum(sum(neuron.spikes) for neuron in wanted)


def test_an_unlimited_current_is_recorded_beyond_int32():
    net = Net(
        layers={"a": layer(1, decay_u=4095, v_threshold=131071)},
        edges=[Edge("in", "a", [[255] * 2000], 7)],
        samples=[[[1] * 2000, [0] * 2000]],
        arithmetic=BRIAN2_LOIHI,
    )
    u = run(program_of(net), net.samples).probes["a.u"]
    assert u[0, 1].tolist() == [2000 * 255 * 2**13]


# --- wrong input -----------------------------------------------------------------------------


def test_an_input_that_is_missing_is_named():
    program = program_of(lively(0.5))
    with pytest.raises(DataError, match="no data for the input 'in'"):
        emulator.run(program, {"other": np.zeros((1, 5, 40))})


def test_an_input_of_the_wrong_size_is_told_the_right_one():
    program = program_of(lively(0.5))
    with pytest.raises(DataError, match=r"\(1, 5, 39\): it should be \(samples, steps, 40\)"):
        emulator.run(program, {"in": np.zeros((1, 5, 39))})


def test_two_spikes_in_one_step_of_an_input_are_refused():
    program = program_of(lively(0.5))
    with pytest.raises(DataError, match="holds 2 spikes in one step"):
        emulator.run(program, {"in": np.full((1, 5, 40), 2)})


def test_what_leaves_24_bits_is_counted_and_said():
    program = program_of(lively(0.5))
    quiet = emulator.run(program, {"in": np.zeros((1, 5, 40))})
    assert quiet.notes == ()
    weights = np.full((program.populations["a"].size, 40), 254, np.int32)
    loud = replace(
        program,
        synapses=(Synapses.of("loud", "in", "a", weights, 7, "mixed"), *program.synapses[1:]),
    )
    traces = emulator.run(loud, {"in": np.ones((1, 5, 40))})
    assert traces.extra["overflows"]["a"] > 0
    assert "left 24 bits" in traces.notes[0]
