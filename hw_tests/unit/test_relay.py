"""Delays beyond the chip's: chains of relay neurons, exact for spikes, counts and messages.

Weights are whole numbers and nothing decays, so integers lose nothing: the emulator's raster is
that of the float reference, at the stated lags.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.image import Image
from spikeport.compiler.network import Affine, Delay, Input, Linear, Network, Output
from spikeport.compiler.pipeline import for_chip, lower, to_clocked
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li

Array = np.ndarray[Any, Any]
DT = 2.0**-10
N = 3
LOIHI = sp.chip("loihi1")
GRADED = sp.chip("generic_graded")
LONG = (63, 124, 125, 200)


def integrator(theta: float) -> If:
    one = np.ones(N)
    return If(one / DT, theta * one, 0 * one)


def whole(seed: int, low: int = -1) -> Array:
    """Return weights of -1, 0 and 1: one mantissa, so nothing is rounded."""
    weights = np.random.default_rng(seed).integers(low, 2, (N, N)).astype(float)
    weights[0] = 1.0
    return weights


def waiting(*steps: int) -> Delay:
    return Delay(np.resize(steps, N) * DT)


def chain(*nodes: tuple[str, Any], said: tuple[str, ...] = ()) -> Network:
    """Return in -> the nodes in a row -> out."""
    row = {"in": Input((N,)), **dict(nodes), "out": Output((N,))}
    names = list(row)
    edges = tuple(pairwise(names))
    return Network(row, edges, apply_settings(Semantics(dt=DT, dialect="nir"), said))


def between(*steps: int, said: tuple[str, ...] = ()) -> Network:
    """Return two layers with a Delay on the way from one to the other."""
    return chain(
        ("fc", Linear(whole(0))), ("a", integrator(1.5)), ("late", waiting(*steps)),
        ("fc2", Linear(whole(1))), ("b", integrator(2.5)), said=said,
    )  # fmt: skip


def early(steps: int, most: int = 1) -> Array:
    """Return spikes (or counts) in the first 25 steps of `steps`."""
    rng = np.random.default_rng(3)
    x = np.zeros((2, steps, N), np.int64)
    x[:, :25] = rng.integers(0, most + 1, (2, 25, N))
    return x


def assert_same_raster(model: Any, image: Image, x: Array, kind: str = "spikes") -> Any:
    """Compare every count of every population but the relays; return the emulator's run."""
    ideal, chip = sp.run(model, x, kind=kind), sp.run(image, x, kind=kind)
    assert chip.model_steps == x.shape[1]
    for name, events in ideal.spikes.items():
        assert np.array_equal(chip.window(name), events.dense()), name
    assert all(each.delay_steps <= 62 for each in image.program.synapses)
    assert ideal.spikes["b"].total > 0
    return chip


def relays_of(image: Image) -> dict[str, int]:
    """Return the relay populations and how many neurons they have."""
    return {
        name: population.size
        for name, population in image.program.populations.items()
        if ".relay" in name
    }


# --- exact -----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", LONG)
def test_a_long_delay_between_two_populations_changes_no_spike(steps: int):
    net = between(steps)
    image = sp.compile(net)
    chip = assert_same_raster(net, image, early(steps + 40))
    assert len(relays_of(image)) == (steps - 2) // 62  # a is a step late, b is not
    assert {name: chip.lags[name] for name in ("a", "b")} == {"a": 1, "b": 0}
    assert chip.window("b")[:, :steps].sum() == 0


@pytest.mark.parametrize("steps", LONG)
def test_a_long_delay_of_an_input_changes_no_spike(steps: int):
    net = chain(("late", waiting(steps)), ("fc", Linear(whole(0))), ("b", integrator(1.5)))
    image = sp.compile(net)
    assert_same_raster(net, image, early(steps + 40))
    assert all(name.startswith("in.relay") for name in relays_of(image))
    assert image.program.lags["b"] == 0  # the delay is there to be used


@pytest.mark.parametrize("steps", LONG)
def test_a_long_delay_that_a_projection_has_changes_no_spike(steps: int):
    model = delayed(to_clocked(between(0)), "fc2", steps)
    image = lower(for_chip(model, LOIHI), LOIHI, {}, {})
    assert_same_raster(model, image, early(steps + 40))
    assert len(relays_of(image)) == (steps - 2) // 62


def delayed(model: Clocked, made_of: str, steps: int) -> Clocked:
    found = [each for each in model.projections if made_of in each.name]
    assert len(found) == 1
    return replace(
        model,
        projections=tuple(
            replace(each, delay=steps) if each is found[0] else each for each in model.projections
        ),
    )


def test_a_loop_through_a_long_delay_changes_no_spike():
    nodes = {
        "in": Input((N,)), "fc": Linear(whole(0)), "b": integrator(1.5), "late": waiting(90),
        "back": Linear(whole(1, 0)), "out": Output((N,)),
    }  # fmt: skip
    edges = (
        ("in", "fc"), ("fc", "b"), ("b", "late"), ("late", "back"), ("back", "b"), ("b", "out"),
    )  # fmt: skip
    net = Network(nodes, edges, Semantics(dt=DT, dialect="nir"))
    image = sp.compile(net)
    chip = assert_same_raster(net, image, early(220))
    assert relays_of(image) == {"b.relay1": N}
    assert chip.window("b")[:, 182:].sum() > 0, "the loop goes round twice"


@pytest.mark.parametrize("most", [1, 5])
def test_relays_of_counts_repeat_every_count(most: int):
    net = between(70, said=("spike=count", "reset=subtract"))
    x = early(140, most)
    image = sp.compile(net, GRADED, calibration=x[:1] // most, kind="counts")
    chip = assert_same_raster(net, image, x, kind="counts")
    assert chip.window("a").max() > 1
    assert relays_of(image)


def test_relays_of_an_input_repeat_its_counts():
    net = chain(("late", waiting(130)), ("fc", Linear(whole(0))), ("b", integrator(1.5)))
    image = sp.compile(net, GRADED)
    assert_same_raster(net, image, early(170, 7), kind="counts")
    assert len(relays_of(image)) == 2


def shorter(steps: int) -> Any:
    """Return generic_graded with delays of at most so many steps."""
    limits = GRADED.limits
    delays = limits.delay_steps.model_copy(update={"high": steps})
    return GRADED.model_copy(update={"limits": limits.model_copy(update={"delay_steps": delays})})


def test_relays_of_messages_repeat_every_bit():
    """A chip that can wait 62 steps and one that waits 7 at most differ in nothing."""
    one = np.ones(N)
    net = chain(
        ("fc", Linear(whole(0) / 7)), ("a", Li(5 * DT * one, one * 3, one * 0.1)),
        ("late", waiting(40)), ("fc2", Linear(whole(1) / 3)), ("b", integrator(1.5)),
    )  # fmt: skip
    x = early(90)
    runs = {}
    for steps in (62, 7):
        image = sp.compile(net, shorter(steps), calibration=x)
        runs[steps] = sp.run(image, x, probe=["a.v", "b.v", "b.u"])
        assert len(relays_of(image)) == (0 if steps == 62 else 5)
    for key, values in runs[62].probes.items():
        assert np.array_equal(runs[7].probes[key], values), key
    assert runs[7].spikes["b"].total > 10


def test_a_bias_that_acts_late_comes_from_relays_of_the_constant():
    bias = np.array([1.0, 0.0, 1.0])
    net = chain(
        ("fc", Affine(np.zeros((N, N)), bias)), ("late", waiting(100)), ("b", integrator(1.5))
    )
    image = sp.compile(net)
    chip = assert_same_raster(net, image, early(140))
    assert relays_of(image) == {"bias.relay1": 1}
    assert not chip.window("b")[:, :100].any()


def test_a_chip_that_is_slow_relays_in_the_steps_in_which_the_source_moves():
    net = between(70)
    x = early(110)
    image = sp.compile(net, GRADED, calibration=x, slow=2)
    chip = sp.run(image, x)
    assert image.program.lags["a"] % 2, "else every relay would hear its source anyway"
    assert np.array_equal(chip.window("b"), sp.run(net, x).spikes["b"].dense())
    assert chip.spikes["b"].total > 0


def test_a_run_in_two_pieces_goes_on_with_what_the_relays_hold():
    net = between(150)
    image, x = sp.compile(net), early(200)
    whole_run = sp.run(image, x, steps=202)
    first = sp.run(image, x[:, :80], steps=80)
    rest = sp.run(image, x[:, 80:], steps=122, state=first.state)
    assert np.array_equal(rest.spikes["b"].dense(), whole_run.spikes["b"].dense()[:, 80:])
    assert rest.spikes["b"].total > 0


# --- as few as will do -----------------------------------------------------------------------


def test_one_chain_serves_delays_of_every_length_and_ends_with_the_longest():
    net = between(64, 130, 200)
    image = sp.compile(net)
    assert_same_raster(net, image, early(240))
    assert relays_of(image) == {"a.relay1": 3, "a.relay2": 2, "a.relay3": 1}


def test_a_neuron_that_nobody_hears_late_has_no_relay():
    weights = whole(1)
    weights[:, 1] = 0
    net = chain(
        ("fc", Linear(whole(0))), ("a", integrator(1.5)), ("late", waiting(99)),
        ("fc2", Linear(weights)), ("b", integrator(2.5)),
    )  # fmt: skip
    image = sp.compile(net)
    assert_same_raster(net, image, early(140))
    assert relays_of(image) == {"a.relay1": 2}


def test_two_targets_of_one_source_share_its_relays():
    nodes = {
        "in": Input((N,)), "fc": Linear(whole(0)), "a": integrator(1.5), "late": waiting(80),
        "later": waiting(140), "fc2": Linear(whole(1)), "fc3": Linear(whole(2)),
        "b": integrator(2.5), "c": integrator(2.5), "out": Output((N,)), "out2": Output((N,)),
    }  # fmt: skip
    edges = (
        ("in", "fc"), ("fc", "a"), ("a", "late"), ("late", "fc2"), ("fc2", "b"), ("b", "out"),
        ("a", "later"), ("later", "fc3"), ("fc3", "c"), ("c", "out2"),
    )  # fmt: skip
    net = Network(nodes, edges, Semantics(dt=DT, dialect="nir"))
    image = sp.compile(net)
    assert_same_raster(net, image, early(200))
    assert relays_of(image) == {"a.relay1": 3, "a.relay2": 3}


def test_a_current_that_the_host_writes_late_needs_no_relay():
    net = chain(("late", waiting(100)), ("fc", Linear(whole(0))), ("b", integrator(1.5)))
    x = np.random.default_rng(0).uniform(0, 1, (2, 160, N))
    image = sp.compile(net, calibration=x, kind="current")
    assert relays_of(image) == {}
    assert [each.lag for each in image.program.host["in"].targets["b"]] == [100]
    ideal, chip = sp.run(net, x, kind="current"), sp.run(image, x)
    parity = sp.compare(ideal, chip)
    # whole weights, but the host rounds a drive to 12 bits: a tie may fall the other way
    assert parity.different <= 2
    assert ideal.spikes["b"].total > 50


def test_a_name_that_is_taken_is_not_used_twice():
    net = between(70)
    nodes = {("a.relay1" if name == "b" else name): node for name, node in net.nodes.items()}
    edges = tuple(tuple("a.relay1" if end == "b" else end for end in edge) for edge in net.edges)
    image = sp.compile(replace(net, nodes=nodes, edges=edges))
    assert relays_of(image) == {"a.relay1": N, "a.relay1'": N}


# --- what it costs ---------------------------------------------------------------------------


def test_relays_are_placed_and_costed_as_all_neurons_are():
    image = verify(sp.compile(between(126)))
    assert {part.population for part in image.slices} == {"a", "a.relay1", "a.relay2", "b"}
    x = early(170)
    traces = sp.run(image, x)
    sent = traces.spikes["a"].total
    events = {
        (entry.population, entry.kind): entry.events_per_sample
        for entry in sp.cost(image, traces).ledger
    }
    for name in ("a.relay1", "a.relay2"):
        assert traces.counters[name]["spikes"].sum() == sent
        assert events[name, "packet"] == sent / 2
        assert events[name, "soma_access"] == N * traces.steps
    assert events["a.relay1", "synaptic_op"] == sent / 2


def test_the_note_says_how_many_relays_there_are_and_why():
    image = sp.compile(between(126))
    assert (
        "relays: 6 neurons for what 'a' sends later than the chip's 62 steps, along 1 projection"
    ) in image.program.notes
    assert sp.compile(between(63)).program.notes == ()
