"""One event more, and exactly its term moves: every kind, in energy and in time.

Each test changes a network, its inputs or its place by one thing that makes one more event of a
kind (and of as few others as can be), and compares the ledgers entry by entry.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import spikeport as sp
from hw_tests.unit.test_energy import LOIHI, in_order, layer, lonely
from spikeport import backends
from spikeport.compiler.cost_column import EVENTS
from spikeport.compiler.measure.energy import price, total
from spikeport.compiler.place.place import place
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.verbs import run

assert lonely  # a fixture
STEPS = 4
#: One spike of one input in the first of four steps.
ONE = np.array([[[1], [0], [0], [0]]], np.uint8)


def chain(weight=10, threshold=5, listens=(10,), names=("in", "a", "b"), bias=0) -> Program:
    """in -> a (one neuron) -> b, of which each neuron has one of these weights from a."""
    post = layer(len(listens), 100)
    if bias:
        marked = np.zeros(len(listens), np.int32)
        marked[-1] = bias
        post = replace(post, cell=replace(post.cell, bias_mantissa=marked))
    populations = {
        names[0]: CellPopulation("input", (1,), None, np.ones(1)),
        names[1]: layer(1, threshold),
        names[2]: post,
    }
    first = np.array([[weight]], np.int32)
    second = np.array(listens, np.int32)[:, None]
    synapses = (
        Synapses.of("in-a", "in", "a", first, 0, "mixed"),
        Synapses.of("a-b", "a", "b", second, 0, "mixed"),
    )
    return Program(1e-3, populations, synapses, {"out": "b"}, {"in": 0, "a": 1, "b": 2})


def counts(program, chip=LOIHI, x=ONE, column=None, pieces=1, steps=STEPS + 2):
    """Return kind -> events of the one sample."""
    image = in_order(place(program, chip))
    cost = sp.cost(
        image, run(image, x, steps, count_cores=True), column=column, pieces=pieces,
        timing="simple" if column in ("sanafe", "davies2018") else None,
    )  # fmt: skip
    found: dict[str, float] = {}
    for entry in cost.ledger:
        found[entry.kind] = found.get(entry.kind, 0.0) + entry.events_per_sample
    return found, cost


def moved(before, after, **expected):
    """Compare two ledgers: these kinds moved by so many events, no other, and the joules too."""
    (old, cheap), (new, dear) = before, after
    kinds = old.keys() | new.keys()
    difference = {kind: new.get(kind, 0.0) - old.get(kind, 0.0) for kind in kinds}
    assert {kind: n for kind, n in difference.items() if n} == expected
    figures = {e.kind: e.joules_per_event for e in (*cheap.ledger, *dear.ledger)}
    joules = sum(figures[kind] * n for kind, n in expected.items())
    assert dear.joules_per_sample - cheap.joules_per_sample == pytest.approx(joules, rel=1e-9)


def of(program, **options):
    return counts(program, column="sanafe", **options)


def test_soma_access_one_neuron_that_never_hears_anything():
    moved(of(chain()), of(chain(listens=(10, 0))), soma_access=STEPS + 2)


def test_soma_access_one_step_more():
    moved(of(chain()), of(chain(), steps=STEPS + 3), soma_access=2)


def test_soma_update_a_bias_keeps_one_neuron_busy():
    """It never spikes: 1 is far below 100. It is busy in every step instead of in none."""
    moved(of(chain(listens=(10, 0))), of(chain(listens=(10, 0), bias=1)), soma_update=STEPS + 2)


def test_spike_out_of_a_neuron_that_nobody_hears():
    """b spikes once where its threshold is below its input."""
    quiet, loud = chain(), chain()
    sensitive = layer(1, 5)
    loud = replace(loud, populations={**loud.populations, "b": sensitive})
    moved(of(quiet), of(loud), spike_out=1)


def test_synaptic_op_one_more_synapse_between_neurons_that_are_there():
    """b[1] hears a now: one synapse, and it has something to do in two steps."""
    moved(of(chain(listens=(10, 0))), of(chain(listens=(10, 10))), synaptic_op=1, soma_update=2)


def test_synaptic_op_sparse_where_the_list_stores_its_indices():
    few = [0] * 200
    few[::10] = [10] * 20
    more = list(few)
    more[1] = 10
    moved(of(chain(listens=tuple(few))), of(chain(listens=tuple(more))), synaptic_op_sparse=1,
          soma_update=2)  # fmt: skip


def test_packets_one_more_core_that_listens(lonely):
    """Every neuron has a core: b[0] on (0, 1), b[1] on (0, 2), two rows from a."""
    moved(
        of(chain(listens=(10, 0)), chip=lonely), of(chain(listens=(10, 10)), chip=lonely),
        packet=1, packet_in=1, synaptic_op=1, soma_update=2, hop_north_south=2,
    )  # fmt: skip


def test_hops_a_core_farther_away(lonely):
    """b alone, on the tiles (0, 1) and then (1, 0), (1, 1): five tiles stand in a column."""
    image = in_order(place(chain(), lonely))
    traces = run(image, ONE, STEPS + 2, count_cores=True)

    def at(core: int):
        slices = tuple(
            replace(part, core=core) if part.population == "b" else part for part in image.slices
        )
        routes = tuple(
            replace(route, target_core=core) if route.pre == "a" else route
            for route in image.routes
        )
        x, y = lonely.tile(core)
        cores = (image.cores[0], replace(image.cores[1], core=core, tile_x=x, tile_y=y))
        there = replace(image, slices=slices, routes=routes, cores=cores)
        cost = sp.cost(there, traces, column="sanafe", pieces=1, timing="simple")
        found: dict[str, float] = {}
        for entry in cost.ledger:
            found[entry.kind] = found.get(entry.kind, 0.0) + entry.events_per_sample
        return found, cost

    moved(at(1), at(2), hop_north_south=1)
    moved(at(1), at(6), hop_east_west=1)
    moved(at(1), at(5), hop_east_west=1, hop_north_south=-1)


def test_state_reset_once_for_each_sample_and_chip():
    moved(of(chain()), of(chain(), pieces=None), state_reset=1)


def test_crossbar_op_one_spike_more_reads_one_row_of_odin():
    odin = backends.find_chip("odin")
    two = ONE.copy()
    two[0, 1] = 1
    one = Program(
        1e-3,
        {"in": CellPopulation("input", (1,), None, np.ones(1)), "b": layer(1, 100)},
        (Synapses.of("in-b", "in", "b", np.array([[6]], np.int32), 0, "mixed"),),
        {"out": "b"}, {"in": 0, "b": 1},
    )  # fmt: skip
    image = place(one, odin)

    def found(x):
        cost = sp.cost(image, run(place(one, LOIHI), x, STEPS + 2), pieces=1)
        return {entry.kind: entry.events_per_sample for entry in cost.ledger}, cost

    moved(found(ONE), found(two), crossbar_op=256)
    times = [found(x)[1].time.seconds.sum() * 75e6 for x in (ONE, two)]
    assert times == pytest.approx([513, 1026])


def test_leak_step_every_step_of_a_core_that_leaks():
    odin = backends.find_chip("odin")
    still, leaking = (chain(6, 5, (6,), bias=bias) for bias in (0, -1))
    seconds = [
        sp.cost(place(program, odin), run(place(program, LOIHI), ONE, STEPS + 2)).time.seconds
        for program in (still, leaking)
    ]
    assert (seconds[1] - seconds[0]) * 75e6 == pytest.approx(np.full((1, STEPS + 2), 512))


def test_dense_synaptic_op_one_weight_more_on_a_processor():
    cpu = backends.find_chip("cpu_i7_4960x")
    moved(
        counts(chain(listens=(10, 0)), cpu, column="degnan2016"),
        counts(chain(listens=(10, 10)), cpu, column="degnan2016"),
        dense_synaptic_op=STEPS + 2,
    )


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("name", [n for n in backends.chip_names() if backends.find_chip(n).costs])
def test_one_event_more_of_a_kind_costs_exactly_its_figure(name, kind):
    """In every column of every chip; a kind without a figure costs nothing and is not listed."""
    for column in backends.find_chip(name).costs.values():
        counted = {("p", each, 0): 1000.0 for each in EVENTS}
        old = price(column, counted)
        new = price(column, counted | {("p", kind, 0): 1001.0})
        priced = (
            "synaptic_op" if kind == "synaptic_op_sparse" and kind not in column.figures else kind
        )
        if priced not in column.figures:
            assert old == new
            continue
        figure = float(column.figures[priced].value)
        low, high = column.plus_minus(column.figures[priced])
        (before, ends), (after, wider) = total(old), total(new)
        assert after - before == pytest.approx(figure, rel=1e-6, abs=1e-30)
        assert wider[0] - ends[0] == pytest.approx(figure * (1 + low), rel=1e-6, abs=1e-30)
        assert wider[1] - ends[1] == pytest.approx(figure * (1 + high), rel=1e-6, abs=1e-30)


#: Growth of the six steps of a -> four neurons, in events on the path that ends each step. On one
#: core sending is always slower; with a core each, the first step ends when its packet is taken.
TOGETHER = {
    "soma_access": [5, 5, 5, 5, 5, 5],
    "soma_update": [0, 1, 5, 4, 0, 0],
    "spike_out": [0, 1, 0, 0, 0, 0],
    "packet": [0, 1, 0, 0, 0, 0],
    "packet_in": [0, 0, 0, 0, 0, 0],
    "synaptic_op": [0, 0, 0, 0, 0, 0],
}
APART = {
    "soma_access": [0, 1, 1, 1, 1, 1],
    "soma_update": [0, 1, 1, 1, 0, 0],
    "spike_out": [0, 1, 0, 0, 0, 0],
    "packet": [0, 4, 0, 0, 0, 0],
    "packet_in": [1, 0, 0, 0, 0, 0],
    "synaptic_op": [1, 0, 0, 0, 0, 0],
}


@pytest.mark.parametrize("kind", TOGETHER)
@pytest.mark.parametrize("apart", [False, True])
def test_a_slower_kind_of_event_slows_the_steps_that_wait_for_it(kind, apart, lonely):
    """A nanosecond more per event: each step grows by the events of that kind on its path."""
    where = lonely if apart else LOIHI
    times = where.costs["sanafe"].time
    figure = times.figures[kind]
    dearer = figure.model_copy(update={"value": float(figure.value) + 1e-9})
    slower = times.model_copy(update={"figures": {**times.figures, kind: dearer}})
    held = where.costs["sanafe"].model_copy(update={"time": slower})
    chip = where.model_copy(update={"costs": {**where.costs, "sanafe": held}})
    image = place(chain(listens=(10,) * 4), where)
    traces = run(image, ONE, STEPS + 2, count_cores=True)
    old, new = (
        sp.cost(image, traces, each, "sanafe", timing="simple").time for each in (where, chip)
    )
    expected = (APART if apart else TOGETHER)[kind]
    assert (new.seconds - old.seconds)[0] / 1e-9 == pytest.approx(expected, abs=1e-6)
