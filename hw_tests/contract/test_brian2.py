"""Brian2 and the reference agree in every spike, in v and u, and in what a run leaves behind.

Networks are drawn as `Clocked`, so that every rule and every delay can be met. Weights are normal
deviates: nobody meets a threshold by rounding. v and u may differ in the last bits, because the
reference multiplies matrices and Brian2 adds synapse by synapse; 1e-12 of the largest value that
a population reaches allows for a few thousand such additions.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

import spikeport as sp
import spikeport.models.neurons  # registers every kind
from spikeport.backends import reference
from spikeport.compiler.clocked import Clocked, Membrane, Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import NEURONS
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import CHOICES, Semantics
from spikeport.compiler.traces import Traces
from spikeport.data import read_data

Array = np.ndarray[Any, Any]
DT = 1e-3
N = 3
#: Parameter -> its range; what is not here is drawn from (0.5, 1.5).
RANGE = {
    "tau": (2 * DT, 9 * DT), "tau_mem": (2 * DT, 9 * DT), "tau_syn": (2 * DT, 9 * DT),
    "v_leak": (-0.1, 0.1), "v_reset": (-0.1, 0.1), "v_threshold": (0.2, 0.6),
}  # fmt: skip


def drawn(kind: str, size: int, rng: np.random.Generator, **rules: Any) -> Population:
    """Return a population of a kind with random parameters under some rules."""
    neuron: Any = NEURONS[kind]
    values = {f.name: rng.uniform(*RANGE.get(f.name, (0.5, 1.5)), size) for f in fields(neuron)}
    said = Semantics(dt=DT, **({"input_gain": "unit"} if kind in ("IF", "I") else {}), **rules)
    cell = neuron(**values).clock(said, DT)
    signal = getattr(cell, "spike", "binary") if cell.spiking else "analog"
    return Population(kind, (size,), cell, signal)


#: Kinds whose step is a Membrane's, and so may have any rules.
FAMILY = [
    kind
    for kind in NEURONS
    if isinstance(drawn(kind, 1, np.random.default_rng(0)).membrane, Membrane)
]


def network(populations: Mapping[str, Population], paths: list[Projection]) -> Clocked:
    neurons = [name for name, each in populations.items() if each.membrane is not None]
    outputs = {"out": neurons[-1]}
    return Clocked(DT, populations, tuple(paths), outputs, dict.fromkeys(populations, 0))


def probes(clocked: Clocked) -> list[str]:
    return [f"{name}.{variable}" for name in clocked.neurons for variable in "uv"]


def close(expected: Array, got: Array) -> bool:
    largest = np.abs(expected).max(initial=0)
    return expected.shape == got.shape and bool(np.all(np.abs(expected - got) <= 1e-12 * largest))


def assert_equal(expected: Traces, got: Traces) -> None:
    assert got.source == "brian2"
    for name in ("samples", "steps", "model_steps", "dt", "output", "lags"):
        assert getattr(got, name) == getattr(expected, name), name
    assert list(got.spikes) == list(expected.spikes)
    for name, events in expected.spikes.items():
        assert np.array_equal(got.spikes[name].dense(), events.dense()), f"spikes of {name}"
        assert got.spikes[name].shape == events.shape
    for key, values in expected.probes.items():
        assert close(values, got.probes[key]), key
    assert list(got.counters) == list(expected.counters)
    for name, counters in expected.counters.items():
        assert np.array_equal(got.counters[name]["spikes"], counters["spikes"])
    assert got.state.step == expected.state.step
    for name, values in expected.state.history.items():
        assert close(values, got.state.history[name]), f"history of {name}"
    assert list(got.state.variables) == list(expected.state.variables)
    for name, variables in expected.state.variables.items():
        assert list(got.state.variables[name]) == list(variables)
        for key, values in variables.items():
            assert got.state.variables[name][key].dtype == values.dtype
            assert close(values, got.state.variables[name][key]), f"{key} of {name}"


def compared(brian2: Any, clocked: Clocked, inputs: Mapping[str, Array], **more: Any) -> Traces:
    """Run both, compare everything, return the reference's Traces."""
    expected = reference.run(clocked, inputs, probe=probes(clocked), **more)
    assert_equal(expected, brian2.run(clocked, inputs, probe=probes(clocked), **more))
    return expected


# --- every rule ------------------------------------------------------------------------------

#: Rules that are not products below: drawn for each population.
REST = list(itertools.product(CHOICES["current_order"], (0.0, 2 * DT), (None, -0.05), (None, 0.15)))


def beside_each_other(kinds: list[str], rules: list[dict[str, Any]], seed: int) -> Clocked:
    """Return one population per kind and rules, all fed by one input."""
    rng = np.random.default_rng(seed)
    populations = {"in": Population("input", (4,))}
    paths = []
    for k, (kind, said) in enumerate(itertools.product(kinds, rules)):
        names = ("current_order", "refractory", "v_min", "initial_v")
        rest = dict(zip(names, REST[int(rng.integers(len(REST)))], strict=True))
        populations[f"{k}"] = drawn(kind, N, rng, **(rest | said))
        paths.append(Projection(f"w{k}", "in", f"{k}", rng.uniform(0.2, 1.2, (N, 4)), 0))
    return network(populations, paths)


SOMA = [kind for kind in FAMILY if NEURONS[kind].__dict__["spiking"] and kind != "Threshold"]


@pytest.mark.parametrize("kind", SOMA)
@pytest.mark.parametrize("reset_when", CHOICES["reset_when"])
@pytest.mark.parametrize("spike", CHOICES["spike"])
def test_every_rule_of_every_kind_is_the_references(brian2, kind, reset_when, spike):
    rules = [
        {"reset": reset, "reset_when": reset_when, "spike": spike, "threshold": threshold}
        for reset, threshold in itertools.product(CHOICES["reset"], CHOICES["threshold"])
    ]
    x = np.random.default_rng(1).integers(0, 2, (2, 25, 4)).astype(float)
    found = compared(brian2, beside_each_other([kind], rules, 1), {"in": x})
    assert len(found.counters) == 8
    assert all(each["spikes"].sum() > 10 for each in found.counters.values())


def test_kinds_with_fewer_rules_are_the_references_too(brian2):
    rules = [{"current_order": order} for order in CHOICES["current_order"]]
    ties = [{"threshold": threshold} for threshold in CHOICES["threshold"]]
    x = np.random.default_rng(1).integers(-1, 3, (2, 25, 4)).astype(float)
    for kinds, said in ((["CubaLI"], rules), ([k for k in FAMILY if k not in SOMA], ties)):
        found = compared(brian2, beside_each_other(kinds, said, 2), {"in": x})
        assert all(np.abs(values).max() > 0.1 for values in found.probes.values())


@pytest.mark.parametrize("spike", CHOICES["spike"])
@pytest.mark.parametrize("reset", CHOICES["reset"])
def test_a_neuron_that_meets_its_threshold_exactly_decides_alike(brian2, spike, reset):
    rng = np.random.default_rng(2)
    grid = rng.integers(-1, 3, (4, 4)) / 4
    levels = {"v_threshold": np.array([0.5, 1.0, 0.25, 0.75])}
    levels |= {"v_reset": np.zeros(4), "v_initial": np.zeros(4)}
    populations = {"in": Population("input", (4,))}
    for threshold in CHOICES["threshold"]:
        population = drawn("IF", 4, rng, threshold=threshold, spike=spike, reset=reset)
        populations[threshold] = replace(population, membrane=replace(population.cell, **levels))
    paths = [Projection(name, "in", name, grid, 0) for name in CHOICES["threshold"]]
    x = rng.integers(0, 2, (3, 30, 4)).astype(float)
    found = compared(brian2, network(populations, paths), {"in": x})
    rasters = [found.spikes[name].dense() for name in CHOICES["threshold"]]
    assert not np.array_equal(*rasters), "a threshold is met exactly"


# --- every signal, every delay ---------------------------------------------------------------


def tangle(seed: int, size: int = 4) -> Clocked:
    """Return four populations of random kinds, with skips, loops and delays of 0 to 5 steps."""
    rng = np.random.default_rng(seed)
    populations = {
        "bias": Population("constant", (1,)),
        "spikes": Population("input", (size,)),
        "values": Population("input", (2, 2)),
    }
    for k in range(4):
        kind = str(rng.choice(FAMILY))
        populations[f"n{k}"] = drawn(
            kind, size, rng, reset=str(rng.choice(CHOICES["reset"])),
            spike=str(rng.choice(CHOICES["spike"])), refractory=float(rng.choice([0, DT])),
            current_order=str(rng.choice(CHOICES["current_order"])),
        )  # fmt: skip
    names = list(populations)
    paths = []
    for post, pre in itertools.product(names[3:], names):
        ahead = names.index(pre) < names.index(post)
        if rng.random() < (0.5 if ahead else 0.3):
            pres, posts = populations[pre].size, populations[post].size
            weight: Any = rng.normal(0.02, 0.1 if ahead else 0.03, (posts, pres))
            weight = sparse.random_array(
                (posts, pres), density=0.4, rng=rng, format="csr"
            ) if rng.random() < 0.3 else weight  # fmt: skip
            delay = int(rng.integers(0 if ahead else 1, 6))
            paths.append(Projection(f"w{len(paths)}", pre, post, weight, delay, not ahead))
    return network(populations, paths)


def drive(seed: int, steps: int = 30) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "spikes": rng.integers(0, 2, (3, steps, 4)).astype(float),
        "values": rng.normal(0.5, 1, (3, steps, 4)) if seed % 2 else
        rng.integers(0, 4, (3, steps, 4)).astype(float),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_a_tangle_of_kinds_signals_and_delays_is_the_references(brian2, seed):
    found = compared(brian2, tangle(seed), drive(seed), steps=33)
    assert sum(events.total for events in found.spikes.values()) > 100


@pytest.mark.parametrize("delay", [0, 1, 2, 5])
def test_a_spike_and_a_number_arrive_after_their_delay(brian2, delay):
    """One pulse, one path: forward from the input, and around a loop."""
    flat = np.ones(1)
    bare = replace(
        drawn("IF", 1, np.random.default_rng(0)).cell,
        v_threshold=flat / 2, v_reset=0 * flat, v_initial=0 * flat, keep_v=0 * flat,
    )  # fmt: skip
    analog = replace(bare, spiking=False, reset="none")
    populations = {
        "in": Population("input", (1,)),
        "s": Population("IF", (1,), bare),
        "a": Population("I", (1,), analog, "analog"),
    }
    one = np.ones((1, 1))
    paths = [
        Projection("in-s", "in", "s", one, delay), Projection("in-a", "in", "a", one, delay),
        Projection("s-s", "s", "s", one, 7), Projection("a-a", "a", "a", one / 2, 7),
        Projection("a-s", "a", "s", one, 3), Projection("s-a", "s", "a", one, 4),
    ]  # fmt: skip
    pulse = np.zeros((1, 14, 1))
    pulse[0, 0] = 1
    clocked = network(populations, paths)
    for x in (pulse, 2 * pulse):
        found = compared(brian2, clocked, {"in": x})
        assert np.flatnonzero(found.probes["a.v"])[0] == delay
        assert found.spikes["s"].step[0] == delay


def test_a_population_rests_until_its_start_step(brian2):
    clocked = tangle(0)
    starts = dict(zip(clocked.neurons, (0, 3, 3, 11), strict=True))
    populations = {
        name: replace(each, start_step=starts.get(name, 0))
        for name, each in clocked.populations.items()
    }
    late = replace(clocked, populations=populations)
    found = compared(brian2, late, drive(0))
    assert not found.probes["n3.u"][:, :10].any()
    begun = reference.run(late, drive(0), steps=5)
    compared(brian2, late, drive(0), state=begun.state)


# --- running is continuing -------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "split"), [(0, 1), (3, 4), (3, 17)])
def test_two_halves_equal_the_whole_to_the_last_bit(brian2, seed, split):
    clocked, x = tangle(seed), drive(seed)
    begin = {name: values[:, :split] for name, values in x.items()}
    end = {name: values[:, split:] for name, values in x.items()}
    whole = brian2.run(clocked, x, probe=probes(clocked))
    first = brian2.run(clocked, begin, probe=probes(clocked))
    rest = brian2.run(clocked, end, state=first.state, probe=probes(clocked))
    for name, events in whole.spikes.items():
        if name in first.spikes:
            halves = [first.spikes[name].dense(), rest.spikes[name].dense()]
            assert np.array_equal(np.concatenate(halves, axis=1), events.dense()), name
    for key, values in whole.probes.items():
        joined = np.concatenate([first.probes[key], rest.probes[key]], axis=1)
        assert np.array_equal(joined, values), key
    assert rest.state.step == whole.state.step
    for name, values in whole.state.history.items():
        assert np.array_equal(rest.state.history[name], values), name
    for name, variables in whole.state.variables.items():
        for key, values in variables.items():
            assert np.array_equal(rest.state.variables[name][key], values), (name, key)


def test_brian2_goes_on_from_the_references_state(brian2):
    clocked, x = tangle(3), drive(3)
    begun = reference.run(clocked, x, steps=13)
    compared(brian2, clocked, drive(4), state=begun.state)


def test_samples_do_not_touch_each_other(brian2):
    clocked, x = tangle(5), drive(5)
    together = brian2.run(clocked, x)
    alone = brian2.run(clocked, {name: values[1:2] for name, values in x.items()})
    for name, events in alone.spikes.items():
        assert np.array_equal(together.spikes[name].dense()[1:2], events.dense())


# --- graphs of other tools -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "dialect", "dt"),
    [
        ("nirpaper_lif", "nir", 1e-4),
        ("snntorch_ff_cuba_zero", "snntorch", 1e-4),
        ("snntorch_rec_rleaky_zero", "snntorch", 1e-4),
        ("rockpool_ff_cuba", "rockpool", 1e-3),
    ],
)
def test_graphs_of_other_tools_spike_alike(brian2, cases, case, dialect, dt):
    net = sp.load(cases / case / "graph.nir", dialect=dialect, dt=dt)
    data = read_data(cases / case / "input.npz", net)
    few = {name: values[:4] for name, values in data.inputs.items()}
    found = compared(brian2, to_clocked(net), few)
    assert sum(found.counters[name]["spikes"].sum() for name in found.counters) > 3


# --- what it does not know -------------------------------------------------------------------


@dataclass(frozen=True)
class Unheard(Membrane):
    """A type of cell that nobody has written a lowering for."""


def test_a_kind_without_a_lowering_is_refused_by_name(brian2):
    clocked = tangle(0)
    known = clocked.populations["n1"]
    cell = Unheard(**vars(known.cell))
    odd = replace(known, kind="unheard", membrane=cell)
    odd_net = replace(clocked, populations={**clocked.populations, "n1": odd})
    with pytest.raises(LoweringError, match="'n1' is of the kind unheard") as caught:
        brian2.run(odd_net, drive(0))
    assert "--backend reference" in caught.value.fix
