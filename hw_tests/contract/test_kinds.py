"""Every registered neuron kind keeps its promises; a new kind is tested when it is registered.

The float step is compared with a slow one written here, from NIR's equations and the words of
`Semantics`, in fractions and one neuron at a time. Parameters lie on a binary grid, on which
floats are exact, so equal means equal.
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
from spikeport.compiler.kinds import NEURONS, Neuron
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.program import LAVA
from spikeport.compiler.semantics import CHOICES, Semantics
from spikeport.models.neurons import membrane

Array = np.ndarray[Any, Any]
DT = 2.0**-10
STEPS = 10
N = 3
every_kind = pytest.mark.parametrize("kind", NEURONS.values(), ids=NEURONS)

#: Values that a parameter may have, on a binary grid; those that are not here are one.
GRID: dict[str, list[float]] = {
    "tau": [2 * DT, 4 * DT],
    "tau_mem": [2 * DT, 4 * DT],
    "tau_syn": [2 * DT, 4 * DT],
    "r": [1.0, 2.0, -0.5],
    "w_in": [1.0, 4.0],
    "v_leak": [0.0, 0.75, -0.5],
    "v_threshold": [0.5, 1.0, 0.75],
    "v_reset": [0.0, -0.5, 0.25],
}
AT_REST = {"v_leak": 0.0, "v_reset": 0.0, "tau": 4 * DT, "tau_mem": 4 * DT, "tau_syn": 2 * DT}


def drawn(kind: Any, rng: np.random.Generator) -> Any:
    """Return N neurons of a kind with random parameters."""
    levels = {f.name: rng.choice(GRID.get(f.name, [1.0]), N) for f in fields(kind)}
    if kind.nir_type == "IF":  # its gain is r dt
        levels["r"] = levels["r"] / DT / 2
    return kind(**levels)


def resting(kind: Any) -> Any:
    return kind(**{f.name: np.full(N, AT_REST.get(f.name, 1.0)) for f in fields(kind)})


def layer(kind: Any) -> Network:
    nodes = {"in": Input((4,)), "fc": Linear(np.ones((N, 4))), "n": kind, "out": Output((N,))}
    edges = (("in", "fc"), ("fc", "n"), ("n", "out"))
    return Network(nodes, edges, Semantics(dt=DT, dialect="nir"))


# --- what a kind states ----------------------------------------------------------------------


@every_kind
def test_a_kind_states_what_the_registry_promises(kind: Any):
    names = {field.name for field in fields(kind)}
    assert isinstance(resting(kind), Neuron)
    assert NEURONS[kind.nir_type] is kind
    assert set(kind.positive) <= names
    assert set(kind.absent) <= names - set(kind.positive)
    assert isinstance(kind.spiking, bool)
    assert kind.spiking == ("v_threshold" in names)
    for name in names:
        assert f"{name}:" in kind.__doc__, "every parameter is explained"


@every_kind
def test_a_kinds_parameters_cannot_be_changed(kind: Any):
    for field in fields(kind):
        with pytest.raises(ValueError, match="read-only"):
            getattr(resting(kind), field.name)[0] = 1.0


@every_kind
def test_a_clocked_kind_has_one_number_per_neuron_and_the_states_that_running_keeps(kind: Any):
    cell = resting(kind).clock(Semantics(dt=DT), DT)
    assert isinstance(cell, Membrane)
    for field in fields(Membrane):
        value = getattr(cell, field.name)
        assert not isinstance(value, np.ndarray) or value.shape == (N,), field.name
    state = membrane.start(cell, samples=2)
    assert list(state) == ["u", "v", "refractory", "pending"]
    assert all(array.shape == (2, N) for array in state.values())
    chip = sp.compile(layer(resting(kind))).program.populations["n"].cell
    integers = membrane.start_integer(chip, samples=2)
    assert list(integers) == ["u", "v", "refractory"]
    assert all(array.shape == (2, N) for array in integers.values())


# --- silence ---------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("integration", CHOICES["integration"])
@pytest.mark.parametrize("gain", CHOICES["input_gain"])
def test_silence_stays_silent(kind: Any, integration: str, gain: str):
    cell = resting(kind).clock(Semantics(dt=DT, integration=integration, input_gain=gain), DT)
    state = membrane.start(cell, samples=2)
    for _ in range(STEPS):
        assert not membrane.step(cell, state, np.zeros((2, N))).any()
    assert not any(array.any() for array in state.values())


@every_kind
def test_silence_stays_silent_on_chip(kind: Any):
    image = sp.compile(layer(resting(kind)))
    traces = sp.run(image, np.zeros((2, STEPS, 4)), probe=["n.u", "n.v"])
    assert traces.counters["n"]["spikes"].sum() == 0
    assert traces.counters["n"]["active"].sum() == 0
    assert not traces.probes["n.u"].any()
    assert not traces.probes["n.v"].any()


@every_kind
@given(start=some.lists(some.integers(-(2**23) + 1, 0), min_size=N, max_size=N))
@settings(max_examples=20, deadline=None)
def test_what_is_left_alone_on_chip_only_fades(kind: Any, start: list[int]):
    cell = sp.compile(layer(resting(kind))).program.populations["n"].cell
    zero = np.zeros((1, N), np.int64)
    state = {"u": zero, "v": np.array([start], np.int64), "refractory": zero}
    for _ in range(STEPS):
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
        begin = self.values.get("v_reset", Fraction(0))
        self.v = begin if self.said.initial_v is None else Fraction(self.said.initial_v)

    def step(self, x: Fraction) -> int:
        """Return how many spikes it sends in answer to x."""
        moved = self.moved(self.current(x))
        held = self.silent_steps > 0
        if not held:
            self.v = moved
        if self.said.reset_when == "next_step":
            self.reset(self.owed)
        if self.said.v_min is not None:
            self.v = max(self.v, Fraction(self.said.v_min))
        self.silent_steps = max(self.silent_steps - 1, 0)
        self.owed = 0 if held or "v_threshold" not in self.values else self.spikes()
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
        tau = self.values.get("tau", self.values.get("tau_mem"))
        unit = self.said.input_gain == "unit"
        if tau is None:
            return self.v + (seen if unit else Fraction(DT) * self.values["r"] * seen)
        lost = Fraction(DT) / tau
        leak = lost * (self.values["v_leak"] - self.v)
        return self.v + leak + (seen if unit else lost * self.values["r"] * seen)

    def spikes(self) -> int:
        theta = self.values["v_threshold"]
        with_ties = self.said.threshold == "greater_equal"
        if self.said.spike == "binary":
            return int(self.v >= theta if with_ties else self.v > theta)
        # as many as there are multiples of the threshold below v
        whole = floor(self.v / theta)
        ties = not with_ties and whole * theta == self.v
        return max(whole - ties, 0)

    def reset(self, count: int) -> None:
        if count and self.said.reset == "to_value":
            self.v = self.values["v_reset"]
        if self.said.reset == "subtract":
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
        spikes = membrane.step(cell, state, row[None])[0].tolist()
        wanted = [each.step(Fraction(float(v))) for each, v in zip(slow, row, strict=True)]
        assert spikes == wanted, f"spikes of step {t} under {said}"
        assert state["v"][0].tolist() == [float(each.v) for each in slow], f"v of step {t}: {said}"
        total += sum(wanted)
    return total


@every_kind
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
        x = rng.integers(-4, 9, (STEPS, N)) / 2
        total += assert_equal_to_slow(drawn(kind, rng), said, x)
    assert (total > 100) == kind.spiking


@every_kind
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
    x = rng.integers(-4, 9, (STEPS, N)) / 4
    assert_equal_to_slow(drawn(kind, rng), Semantics(dt=DT, **rules), x)


@every_kind
def test_a_spike_that_is_reset_in_the_next_step_is_reset_in_a_refractory_one_too(kind: Any):
    if not kind.spiking:
        return
    said = Semantics(dt=DT, reset_when="next_step", refractory=2 * DT, initial_v=2.0)
    cell = resting(kind).clock(said, DT)
    state = membrane.start(cell, samples=1)
    silence = np.zeros((1, N))
    sent = [membrane.step(cell, state, silence).sum() for _ in range(6)]
    assert sent == [N, 0, 0, 0, 0, 0]
    assert not state["v"].any()


@every_kind
def test_samples_do_not_touch_each_other(kind: Any):
    rng = np.random.default_rng(1)
    neurons, x = drawn(kind, rng), rng.normal(size=(STEPS, 4, N))
    cell = neurons.clock(Semantics(dt=DT, refractory=DT), DT)
    together, alone = membrane.start(cell, 4), membrane.start(cell, 1)
    for row in x:
        many = membrane.step(cell, together, row)
        one = membrane.step(cell, alone, row[2:3])
        assert np.array_equal(many[2:3], one)
        assert np.array_equal(together["v"][2:3], alone["v"])
