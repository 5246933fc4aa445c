"""Every registered neuron kind keeps its promises; a new kind is tested when it is registered.

Some promises are every kind's; those about rules are the integrate-and-fire family's, whose float
step is compared with a slow one written here, from NIR's equations and the words of `Semantics`,
in fractions and one neuron at a time. Parameters lie on a binary grid, on which floats are exact,
so equal means equal.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import spikeport as sp
from spikeport.compiler.clocked import Membrane
from spikeport.compiler.kinds import NEURONS, STEPS, Neuron
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.program import LAVA
from spikeport.compiler.semantics import CHOICES, Semantics
from spikeport.models.neurons import membrane

Array = np.ndarray[Any, Any]
DT = 2.0**-10
LENGTH = 10  # steps
N = 3
GRADED = sp.chip("generic_graded")

#: Values that a parameter may have, on a binary grid; those that are not here are one.
GRID: dict[str, list[float]] = {
    "tau": [2 * DT, 4 * DT],
    "tau_mem": [2 * DT, 4 * DT],
    "tau_syn": [2 * DT, 4 * DT],
    "r": [1.0, 2.0, -0.5],
    "w_in": [1.0, 4.0],
    "v_leak": [0.0, 0.75, -0.5],
    "v_threshold": [0.5, 1.0, 0.75],
    "threshold": [0.5, 1.0, 0.75],
    "v_reset": [0.0, -0.5, 0.25],
}
AT_REST = {"v_leak": 0.0, "v_reset": 0.0, "tau": 4 * DT, "tau_mem": 4 * DT, "tau_syn": 2 * DT}
#: Kinds outside the family: parameters of a neuron that rests, v at its rest, and a lively weight.
OTHERS: dict[str, tuple[dict[str, float], float, float]] = {
    "Izhikevich": ({"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "v_threshold": 30.0}, -70.0, 16.0),
    "SigmaDelta": ({"v_threshold": 0.5, "bias": 0.0}, 0.0, 1.0),
}
FAMILY = {name: kind for name, kind in NEURONS.items() if name not in OTHERS}
every_kind = pytest.mark.parametrize("kind", NEURONS.values(), ids=NEURONS)
family = pytest.mark.parametrize("kind", FAMILY.values(), ids=FAMILY)
spiking_family = pytest.mark.parametrize(
    "kind",
    [kind for kind in FAMILY.values() if kind.spiking],
    ids=[name for name, kind in FAMILY.items() if kind.spiking],
)


def drawn(kind: Any, rng: np.random.Generator) -> Any:
    """Return N neurons of a kind with random parameters."""
    levels = {f.name: rng.choice(GRID.get(f.name, [1.0]), N) for f in fields(kind)}
    if kind.nir_type in ("IF", "I"):  # their gain is r dt
        levels["r"] = levels["r"] / DT / 2
    return kind(**levels)


def resting(kind: Any) -> Any:
    """Return N neurons that nothing moves but input."""
    levels = OTHERS[kind.nir_type][0] if kind.nir_type in OTHERS else AT_REST
    return kind(**{f.name: np.full(N, levels.get(f.name, 1.0)) for f in fields(kind)})


def at_rest(kind: Any) -> Semantics:
    """Return semantics under which v starts where it rests."""
    start = OTHERS[kind.nir_type][1] if kind.nir_type in OTHERS else None
    return Semantics(dt=DT, dialect="nir", initial_v=start)


def layer(neurons: Any) -> Network:
    """Return in -> fc -> n -> out, with weights that make it spike."""
    name = neurons.nir_type
    weight = OTHERS[name][2] if name in OTHERS else 1.0 / (DT if name in ("IF", "I") else 1.0)
    off_grid = 0.97  # so that nothing meets a threshold exactly
    matrix = off_grid * weight * np.random.default_rng(0).choice([-0.5, 1.0, 1.0, 0.5], (N, 4))
    nodes = {"in": Input((4,)), "fc": Linear(matrix), "n": neurons, "out": Output((N,))}
    edges = (("in", "fc"), ("fc", "n"), ("n", "out"))
    return Network(nodes, edges, at_rest(neurons))


def lively(length: int = 60) -> Array:
    return (np.random.default_rng(1).random((3, length, 4)) < 0.5).astype(np.uint8)


# --- what a kind states ----------------------------------------------------------------------


@every_kind
def test_a_kind_states_what_the_registry_promises(kind: Any):
    names = {field.name for field in fields(kind)}
    assert isinstance(resting(kind), Neuron)
    assert NEURONS[kind.nir_type] is kind
    assert set(kind.positive) <= names
    assert set(kind.absent) <= names - set(kind.positive)
    assert isinstance(kind.spiking, bool)
    if kind.nir_type in FAMILY:
        assert kind.spiking == bool({"v_threshold", "threshold"} & names)
    for name in names:
        assert f"{name}:" in kind.__doc__, "every parameter is explained"


@every_kind
def test_a_kinds_parameters_cannot_be_changed(kind: Any):
    for field in fields(kind):
        with pytest.raises(ValueError, match="read-only"):
            getattr(resting(kind), field.name)[0] = 1.0


@every_kind
def test_a_clocked_kind_has_one_number_per_neuron_and_a_state_per_neuron_and_sample(kind: Any):
    cell = resting(kind).clock(Semantics(dt=DT), DT)
    chip = sp.compile(layer(resting(kind)), GRADED).program.populations["n"].cell
    for each in (cell, chip):
        for field in fields(each):
            value = getattr(each, field.name)
            assert not isinstance(value, np.ndarray) or value.shape == (N,), field.name
        state = STEPS[type(each)].start(each, 2)
        assert {"u", "v"} <= state.keys()
        assert all(array.shape == (2, N) for array in state.values())
        assert each.spiking == kind.spiking
        assert all(column.shape == (N,) for column in chip.configuration)
    assert all(array.dtype == np.int64 for array in state.values())


@family
def test_the_family_keeps_u_v_and_what_is_left_of_a_spike(kind: Any):
    cell = resting(kind).clock(Semantics(dt=DT), DT)
    assert isinstance(cell, Membrane)
    chip = sp.compile(layer(resting(kind))).program.populations["n"].cell
    for each in (cell, chip):
        assert list(STEPS[type(each)].start(each, 2)) == ["u", "v", "refractory", "pending"]


# --- silence ---------------------------------------------------------------------------------


@every_kind
def test_a_neuron_at_rest_sends_nothing_and_stays_there(kind: Any):
    cell = resting(kind).clock(at_rest(kind), DT)
    steps = STEPS[type(cell)]
    state = steps.start(cell, 2)
    before = {name: array.copy() for name, array in state.items()}
    for _ in range(LENGTH):
        assert not steps.step(cell, state, np.zeros((2, N))).any()
    for name, array in state.items():
        assert np.allclose(array, before[name], rtol=0, atol=1e-9), name


@family
@pytest.mark.parametrize("integration", CHOICES["integration"])
@pytest.mark.parametrize("gain", CHOICES["input_gain"])
def test_silence_stays_silent(kind: Any, integration: str, gain: str):
    cell = resting(kind).clock(Semantics(dt=DT, integration=integration, input_gain=gain), DT)
    state = membrane.start(cell, samples=2)
    for _ in range(LENGTH):
        assert not membrane.step(cell, state, np.zeros((2, N))).any()
    assert not any(array.any() for array in state.values())


def chips_of(kind: Any) -> list[str]:
    return [name for name in ("loihi1", "generic_graded") if kind.nir_type in sp.chip(name).kinds]


@every_kind
def test_silence_stays_silent_on_every_chip_that_has_the_kind(kind: Any):
    assert "generic_graded" in chips_of(kind)
    for chip in chips_of(kind):
        image = sp.compile(layer(resting(kind)), chip)
        traces = sp.run(image, np.zeros((2, 60, 4)), probe=["n.u", "n.v"])
        assert traces.counters["n"]["spikes"].sum() == 0
        population = image.program.populations["n"]
        v = population.in_network_units(traces.probes["n.v"])
        if kind.nir_type in FAMILY:
            assert traces.counters["n"]["active"].sum() == 0
            assert not traces.probes["n.u"].any()
            assert not v.any()
        else:  # fixed point may move it a little
            assert np.abs(v - OTHERS[kind.nir_type][1]).max() < 0.01


@family
@given(start=some.lists(some.integers(-(2**23) + 1, 0), min_size=N, max_size=N))
@settings(max_examples=20, deadline=None)
def test_what_is_left_alone_on_chip_only_fades(kind: Any, start: list[int]):
    cell = sp.compile(layer(resting(kind))).program.populations["n"].cell
    zero = np.zeros((1, N), np.int64)
    state = {"u": zero, "v": np.array([start], np.int64), "refractory": zero, "pending": zero}
    for _ in range(LENGTH):
        before = state["v"]
        spikes, _ = membrane.step_integer(cell, LAVA, state, zero, zero)
        assert not spikes.any()
        assert (np.abs(state["v"]) <= np.abs(before)).all()
        assert (state["v"] <= 0).all()


# --- the float step, one neuron at a time ----------------------------------------------------


@dataclass
class Slow:
    """One neuron in fractions: NIR's equation under forward Euler, and the contract's words."""

    values: dict[str, Fraction]
    said: Semantics
    v: Fraction = Fraction(0)
    i: Fraction = Fraction(0)
    silent_steps: int = 0
    owed: int = 0

    def __post_init__(self) -> None:
        if "threshold" in self.values:  # a Threshold has no rule but its comparison
            self.said = Semantics(dt=DT, threshold=self.said.threshold)
            self.values = {"v_threshold": self.values["threshold"]}
        begin = self.values.get("v_reset", Fraction(0))
        self.v = begin if self.said.initial_v is None else Fraction(self.said.initial_v)

    def step(self, x: Fraction) -> int:
        """Return how many spikes it sends in answer to x."""
        before, moved = self.v, self.moved(self.current(x))
        held = self.silent_steps > 0
        if not held:
            self.v = moved
        if self.said.reset_when == "next_step":
            self.reset(self.owed)
        if self.said.v_min is not None:
            self.v = max(self.v, Fraction(self.said.v_min))
        self.silent_steps = max(self.silent_steps - 1, 0)
        judged = self.v
        if self.said.reset == "subtract_snntorch" and self.said.reset_when == "same_step":
            judged -= self.spikes(before) * self.values.get("v_threshold", 0)
        self.owed = 0 if held else self.spikes(judged)
        count = self.owed
        if self.said.reset_when == "same_step":
            self.reset(self.owed)
        if count:
            self.silent_steps = round(self.said.refractory / DT)
        return count

    def current(self, x: Fraction) -> Fraction:
        """Move the synaptic current; return what v sees of it."""
        if "tau_syn" not in self.values:
            return x
        lost = Fraction(DT) / self.values["tau_syn"]
        unit = self.said.input_gain in ("unit", "unit_current")
        added = x if unit else lost * self.values["w_in"] * x
        before = self.i
        decayed = before - lost * before
        match self.said.current_order:
            case "decay_add_v":
                self.i = decayed + added
                return self.i
            case "add_v_decay":
                seen = before + added
                self.i = seen - lost * seen
                return seen
            case "v_decay_add":
                self.i = decayed + added
                return before
            case _:
                self.i = (before + added) - lost * (before + added)
                return self.i

    def moved(self, seen: Fraction) -> Fraction:
        """Return v after the membrane's equation."""
        if self.values.keys() == {"v_threshold"}:
            return seen
        tau = self.values.get("tau", self.values.get("tau_mem"))
        unit = self.said.input_gain == "unit"
        if tau is None:
            return self.v + (seen if unit else Fraction(DT) * self.values["r"] * seen)
        lost = Fraction(DT) / tau
        leak = lost * (self.values["v_leak"] - self.v)
        return self.v + leak + (seen if unit else lost * self.values["r"] * seen)

    def spikes(self, v: Fraction) -> int:
        """Return how many spikes a v makes; none where there is no threshold."""
        if "v_threshold" not in self.values:
            return 0
        theta = self.values["v_threshold"]
        with_ties = self.said.threshold == "greater_equal"
        if self.said.spike == "binary":
            return int(v >= theta if with_ties else v > theta)
        # as many as there are multiples of the threshold below v
        whole = floor(v / theta)
        ties = not with_ties and whole * theta == v
        return max(whole - ties, 0)

    def reset(self, count: int) -> None:
        if count and self.said.reset == "to_value":
            self.v = self.values.get("v_reset", Fraction(0))
        if self.said.reset in ("subtract", "subtract_snntorch"):
            self.v -= count * self.values.get("v_threshold", 0)


def assert_equal_to_slow(neurons: Any, said: Semantics, x: Array) -> int:
    """Run both on x (steps, N); return the number of spikes."""
    cell = neurons.clock(said, DT)
    state = membrane.start(cell, samples=1)
    names = [field.name for field in fields(neurons)]
    slow = [
        Slow({name: Fraction(float(getattr(neurons, name)[k])) for name in names}, said)
        for k in range(N)
    ]
    total = 0
    for t, row in enumerate(x):
        sent = membrane.step(cell, state, row[None])[0].tolist()
        wanted = [each.step(Fraction(float(v))) for each, v in zip(slow, row, strict=True)]
        levels = [float(each.v) for each in slow]
        assert sent == (wanted if cell.spiking else levels), f"sent in step {t} under {said}"
        assert state["v"][0].tolist() == levels, f"v of step {t}: {said}"
        total += sum(wanted)
    return total


@family
@pytest.mark.parametrize("reset", CHOICES["reset"])
@pytest.mark.parametrize("reset_when", CHOICES["reset_when"])
@pytest.mark.parametrize("spike", CHOICES["spike"])
def test_the_float_step_is_the_equation_for_every_combination_of_rules(
    kind: Any, reset: str, reset_when: str, spike: str
):
    rng = np.random.default_rng(0)
    total = 0
    for threshold, order, refractory, v_min in itertools.product(
        CHOICES["threshold"], CHOICES["current_order"], (0.0, 2 * DT), (None, -0.25)
    ):
        said = Semantics(
            dt=DT, reset=reset, reset_when=reset_when, spike=spike, threshold=threshold,
            current_order=order, refractory=refractory, v_min=v_min,
        )  # fmt: skip
        x = rng.integers(-4, 9, (LENGTH, N)) / 2
        total += assert_equal_to_slow(drawn(kind, rng), said, x)
    assert (total > 100) == kind.spiking


@family
@given(
    seed=some.integers(0, 2**32),
    rules=some.fixed_dictionaries(
        {
            name: some.sampled_from(CHOICES[name])
            for name in (
                "input_gain",
                "reset",
                "reset_when",
                "spike",
                "threshold",
                "current_order",
            )
        }
        | {
            "refractory": some.sampled_from([0.0, DT, 3 * DT]),
            "v_min": some.sampled_from([None, 0.0, -1.0]),
            "initial_v": some.sampled_from([None, 0.5, 2.0, -3.0]),
        }
    ),
)
@settings(max_examples=60, deadline=None)
def test_the_float_step_is_the_equation_for_random_gains_and_starts(
    kind: Any, seed: int, rules: dict[str, Any]
):
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 9, (LENGTH, N)) / 4
    assert_equal_to_slow(drawn(kind, rng), Semantics(dt=DT, **rules), x)


@spiking_family
def test_a_spike_that_is_reset_in_the_next_step_is_reset_in_a_refractory_one_too(kind: Any):
    if kind.nir_type == "Threshold":
        pytest.skip("a threshold has no refractory time and no v of its own")
    said = Semantics(dt=DT, reset_when="next_step", refractory=2 * DT, initial_v=2.0)
    cell = resting(kind).clock(said, DT)
    state = membrane.start(cell, samples=1)
    silence = np.zeros((1, N))
    sent = [membrane.step(cell, state, silence).sum() for _ in range(6)]
    assert sent == [N, 0, 0, 0, 0, 0]
    assert not state["v"].any()


def test_a_threshold_ignores_every_rule_but_its_comparison():
    kind = NEURONS["Threshold"](np.array([0.5, 1.0, 1.0]))
    rules = {
        "reset": "none", "reset_when": "next_step", "spike": "count", "integration": "exact",
        "input_gain": "unit", "refractory": 3 * DT, "v_min": -0.1, "initial_v": 5.0,
        "current_order": "v_decay_add",
    }  # fmt: skip
    x = np.array([[1.0, 1.0, 2.5], [0.5, 3.0, -9.0], [0.6, 1.0, 2.5]])
    for threshold, wanted in (
        ("greater", [[1, 0, 1], [0, 1, 0], [1, 0, 1]]),
        ("greater_equal", [[1, 1, 1], [1, 1, 0], [1, 1, 1]]),
    ):
        cell = kind.clock(Semantics(dt=DT, threshold=threshold, **rules), DT)
        state = membrane.start(cell, samples=1)
        sent = [membrane.step(cell, state, row[None])[0].tolist() for row in x]
        assert sent == wanted


# --- every kind, float and integer -----------------------------------------------------------


@every_kind
def test_samples_do_not_touch_each_other(kind: Any):
    rng = np.random.default_rng(1)
    cell = resting(kind).clock(at_rest(kind), DT)
    steps, size = STEPS[type(cell)], 20.0 if kind.nir_type in OTHERS else 1.0
    together, alone = steps.start(cell, 4), steps.start(cell, 1)
    for row in size * rng.normal(size=(LENGTH, 4, N)):
        many = steps.step(cell, together, row)
        one = steps.step(cell, alone, row[2:3])
        assert np.array_equal(many[2:3], one)
        for name in alone:
            assert np.array_equal(together[name][2:3], alone[name]), name


@every_kind
@pytest.mark.parametrize("backend", ["reference", "emulator"])
def test_running_is_continuing(kind: Any, backend: str):
    net, x, probe = layer(resting(kind)), lively(), ["n.v", "n.u"]
    noun: Any = net if backend == "reference" else sp.compile(net, GRADED, calibration=x)
    whole = sp.run(noun, x, steps=60, probe=probe)
    first = sp.run(noun, x[:, :23], steps=23, probe=probe)
    rest = sp.run(noun, x[:, 23:], steps=37, state=first.state, probe=probe)
    for key in probe:
        assert np.array_equal(rest.probes[key], whole.probes[key][:, 23:]), key
    for name, variables in whole.state.variables.items():
        for key, value in variables.items():
            assert np.array_equal(rest.state.variables[name][key], value), key


@every_kind
def test_a_kind_is_quantized_and_does_on_the_emulator_what_it_does_in_floats(kind: Any):
    net, x = layer(resting(kind)), lively()
    ideal = sp.run(net, x, probe=["n.v"])
    for chip in chips_of(kind):
        image = sp.compile(net, chip, calibration=x)
        traces = sp.run(image, x, probe=["n.v"])
        assert traces.notes == ()
        if kind.spiking:
            assert ideal.spikes["n"].total > 15
            assert sp.compare(ideal, traces).repeated > 0.95, chip
            continue
        v = image.program.populations["n"].in_network_units(traces.probe_window("n.v"))
        wanted = ideal.probes["n.v"]
        assert np.abs(v - wanted).max() < 0.01 * np.abs(wanted).max(), chip


@every_kind
def test_samples_together_equal_each_alone_on_the_emulator(kind: Any):
    x = lively(30)
    image = sp.compile(layer(resting(kind)), GRADED, calibration=x)
    together = sp.run(image, x, probe=["n.v"])
    for sample in range(3):
        alone = sp.run(image, x[sample : sample + 1], probe=["n.v"])
        assert np.array_equal(alone.probes["n.v"][0], together.probes["n.v"][sample])
