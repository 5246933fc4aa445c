"""The packets of a run in the order in which cores send them, each with its times, by hand."""

from __future__ import annotations

import numpy as np
import pytest

import spikeport as sp
from hw_tests.unit.test_energy import LOIHI, X, in_order, layer, lonely, scattered, six_neurons
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.measure.messages import messages_of
from spikeport.compiler.measure.work import cores_of, work_of
from spikeport.compiler.place.place import place
from spikeport.compiler.place.routes import Routes
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.verbs import run

assert lonely  # a fixture
NS = 1e-9
LOOK, BUSY, SPIKE, OUT, IN, READ, READ_INDEXED = 6.0, 3.7, 30.0, 5.1, 16.0, 3.8, 4.7


def packets_of(image, x, steps=None, counted=True):
    traces = run(image, x, steps, count_cores=counted)
    cores = cores_of(image)
    (work,) = work_of(image, traces, cores)
    return messages_of(traces, cores, work, image.chip.costs["sanafe"].time), work


def row(messages, number):
    """Return (source, target, wait, serve) of the packets of a row, times in ns."""
    some = slice(*messages.offsets[number : number + 2])
    times = zip(messages.wait[some] / NS, messages.serve[some] / NS, strict=True)
    ends = zip(messages.source[some].tolist(), messages.target[some].tolist(), strict=True)
    return [(*pair, *each) for pair, each in zip(ends, times, strict=True)]


def close(found, expected):
    assert [each[:2] for each in found] == [each[:2] for each in expected]
    assert np.array([each[2:] for each in found]) == pytest.approx(
        np.array([each[2:] for each in expected])
    )


def test_what_the_host_sends_waits_for_nothing_and_comes_first(lonely):
    """Step 1 of sample 0: an input spike to four cores, and four spikes of a to the core of b."""
    messages, _ = packets_of(in_order(place(six_neurons(), lonely)), X)
    from_host = [(-1, core, 0.0, IN + READ) for core in range(4)]
    of_a = [(core, 5, LOOK + BUSY + SPIKE + OUT, IN + READ) for core in range(4)]
    close(row(messages, 0), from_host)
    close(row(messages, 1), from_host + of_a)
    assert messages.rest[1] / NS == pytest.approx([0, 0, 0, 0, LOOK, LOOK])


def test_a_core_looks_at_its_neurons_in_turn_and_sends_in_between():
    """All on one core: a[0] to a[3] spike, a[4] and b do not, and b is idle in that step."""
    messages, work = packets_of(in_order(place(six_neurons(), LOIHI)), X)
    each = LOOK + BUSY + SPIKE + OUT
    close(row(messages, 1), [(-1, 0, 0.0, IN + 4 * READ)] + 4 * [(0, 0, each, IN + READ)])
    assert work.updates[1] == 4
    assert messages.rest[1] / NS == pytest.approx([2 * LOOK])


def fan(weights, listeners=2) -> Program:
    """in -> a -> b: which a spike is said by the input; b listens on `listeners` neurons."""
    size = len(weights)
    populations = {
        "in": CellPopulation("input", (size,), None, np.ones(size)),
        "a": layer(size, 5),
        "b": layer(listeners, 1000),
    }
    synapses = (
        Synapses.of("in-a", "in", "a", np.diag(weights).astype(np.int32), 0, "mixed"),
        Synapses.of("a-b", "a", "b", np.full((listeners, size), 2, np.int32), 0, "mixed"),
    )
    return Program(1e-3, populations, synapses, {"out": "b"}, {"in": 0, "a": 1, "b": 2})


def test_neurons_between_two_packets_take_their_time():
    """Of eight neurons the third and the sixth spike; two others are busy, evenly said to be."""
    program = fan([2, 2, 10, 2, 2, 10, 2, 2])
    x = np.zeros((1, 1, 8), np.uint8)
    x[0, 0, [0, 2, 4, 5]] = 1  # 0 and 4 get 2, which is below the threshold of 5
    messages, work = packets_of(place(program, LOIHI), x, 3)
    assert (work.spikes[1], work.updates[1]) == (2, 4)
    share = 2 / 8  # two updates over the eight neurons of the core that do not spike
    before = 2 * (LOOK + share * BUSY) + LOOK + BUSY + SPIKE + OUT
    serve = IN + 2 * READ
    close(row(messages, 1), [(0, 0, before, serve), (0, 0, before, serve)])
    assert messages.rest[1] / NS == pytest.approx([4 * LOOK + 4 * share * BUSY])


def test_packets_of_one_neuron_leave_one_after_the_other_by_the_number_of_their_core(lonely):
    """One neuron on core 0 and three listeners on the cores 1 to 3."""
    messages, _ = packets_of(in_order(place(fan([10], 3), lonely)), np.ones((1, 1, 1)), 3)
    first = LOOK + BUSY + SPIKE + OUT
    serve = IN + READ
    expected = [(0, 1, first, serve), (0, 2, OUT, serve), (0, 3, OUT, serve)]
    close(row(messages, 1), expected)


def test_a_neuron_has_sent_all_its_packets_before_the_next_one_sends():
    """Two neurons on core 0, and a listener on each of the cores 1 and 2."""
    program = fan([10, 10], 2)
    slices = (
        Slice("a", np.arange(2), 0),
        Slice("b", np.arange(1), 1),
        Slice("b", np.array([1]), 2),
    )
    uses = tuple(CoreUse(n, 0, *LOIHI.tile(n), 0, {}) for n in range(3))
    image = Image(program, LOIHI, slices, Routes(program, slices), uses)
    messages, _ = packets_of(image, np.ones((1, 1, 2)), 3)
    first, serve = LOOK + BUSY + SPIKE + OUT, IN + READ
    both = [(0, 1, first, serve), (0, 2, OUT, serve)]
    close(row(messages, 1), both + both)


def test_lists_with_indices_take_longer_to_read():
    messages, work = packets_of(place(scattered(), LOIHI), {"x.few": X, "x.all": X})
    found = row(messages, 1)  # one spike of each
    assert sorted(each[3] for each in found) == pytest.approx(
        [IN + 20 * READ_INDEXED, IN + 200 * READ]
    )
    assert (work.sparse[1], work.dense[1]) == (20, 200)
    times = LOIHI.costs["sanafe"].time
    lazy = {kind: f for kind, f in times.figures.items() if not kind.startswith("soma")}
    column = LOIHI.costs["sanafe"].model_copy(
        update={"time": times.model_copy(update={"figures": lazy})}
    )
    chip = LOIHI.model_copy(update={"costs": {"sanafe": column}})
    image = place(scattered(), LOIHI)
    traces = run(image, {"x.few": X, "x.all": X}, count_cores=True)
    simple = sp.cost(image, traces, chip, "sanafe", timing="simple").time
    serve = 2 * IN + 20 * READ_INDEXED + 200 * READ
    assert simple.seconds[0, 1] / NS == pytest.approx(serve + 600)


def test_updates_that_nobody_counted_are_a_spike_each_and_the_rest_evenly():
    """A neuron of a is busy in one step without a spike for each with one; there are 3 + 3."""
    image = place(six_neurons(), LOIHI)
    _, work = packets_of(image, X, counted=False)
    exact = packets_of(image, X)[1]
    traces = run(image, X)
    active = sum(int(traces.counters[n]["active"][0].sum()) for n in ("a", "b"))
    spikes = sum(int(traces.counters[n]["spikes"][0].sum()) for n in ("a", "b"))
    even = (active - spikes) / 6
    assert work.updates[:6, 0] == pytest.approx(work.spikes[:6, 0] + even)
    assert work.updates[:6].sum() == pytest.approx(exact.updates[:6].sum())
    assert work.updates[6:].sum() == pytest.approx(exact.updates[6:].sum())


def test_cores_that_another_placement_counted_are_not_taken_for_these(lonely):
    """The same number of cores with the same numbers, but b and a[0] have changed places."""
    image = in_order(place(six_neurons(), lonely))
    traces = run(image, X, count_cores=True)
    swapped = {0: 5, 5: 0}
    slices = tuple(
        type(part)(part.population, part.neurons, swapped.get(part.core, part.core))
        for part in image.slices
    )
    other = type(image)(image.program, image.chip, slices, image.routes, image.cores)
    found = sp.cost(other, traces, column="sanafe", timing="simple").time
    assert any("spread evenly" in note for note in found.notes)
    assert not sp.cost(image, traces, column="sanafe", timing="simple").time.notes
