"""How long a step takes, by hand: each core's events in turn, the slowest one, the barrier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import spikeport as sp
from hw_tests.unit.test_energy import LOIHI, X, in_order, layer, lonely, six_neurons
from spikeport import backends
from spikeport.compiler.errors import ChipError
from spikeport.compiler.measure import work
from spikeport.compiler.measure.timing import BOUNDS
from spikeport.compiler.place.place import place
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.verbs import run

assert lonely  # a fixture
NS = 1e-9
#: SANA-FE's column: what one event takes, in ns.
LOOK, BUSY, SPIKE, OUT, IN, READ = 6.0, 3.7, 30.0, 5.1, 16.0, 3.8


def timed(chip, column="sanafe", timing="simple", **options):
    image = in_order(place(six_neurons(), chip))
    return sp.cost(
        image, run(image, X, count_cores=True), column=column, timing=timing, **options
    ).time


def test_the_slowest_core_ends_a_step(lonely):
    """Six cores of one neuron each. Sample 0 gets spikes in steps 0, 1 and 3.

    Step 0: an input spike reaches four cores, each reads one synapse. No soma has anything to do.
    Step 1: the same, and four neurons of a spike and send one packet each to the core of b, which
    takes all four, one after the other.
    """
    time = timed(lonely)
    first = IN + READ
    second = max(LOOK + BUSY + SPIKE + OUT, 4 * (IN + READ))
    barrier = 1400  # six tiles: the entry of four holds
    assert time.seconds[0, :2] / NS == pytest.approx([first + barrier, second + barrier])
    assert time.parts["memory"][0, :2] / NS == pytest.approx([first, second])
    assert time.parts["compute"][0, :2].tolist() == [0, 0]
    assert time.core[0, :2].tolist() == [0, 5]
    assert [BOUNDS[at] for at in time.bound[0, :2]] == ["memory", "memory"]


def test_a_core_without_packets_looks_at_its_neurons(lonely):
    """The second sample is over after step 4: one access per core, and the barrier."""
    time = timed(lonely)
    assert time.seconds[1, 5] / NS == pytest.approx(LOOK + 1400)
    assert BOUNDS[time.bound[1, 5]] == "compute"


def test_on_one_core_everything_is_in_turn():
    """Step 1 of sample 0: six neurons, five of them busy with spikes of a, which send one each."""
    time = timed(LOIHI)
    sending = 6 * LOOK + 4 * (BUSY + SPIKE + OUT)
    serving = (IN + 4 * READ) + 4 * (IN + READ)
    assert time.seconds[0, 1] / NS == pytest.approx(max(sending, serving) + 600)


def test_cores_of_one_tile_have_the_barrier_of_one_tile():
    """Two cores of the first tile: 600 ns; with one of the next tile 1000 ns."""
    image = in_order(place(six_neurons(), LOIHI))
    traces = run(image, X, count_cores=True)

    def with_core(number):
        x, y = LOIHI.tile(number)
        more = replace(image.cores[0], core=number, tile_x=x, tile_y=y)
        placed = replace(image, cores=(*image.cores, more))
        return sp.cost(placed, traces, column="sanafe", timing="simple").time

    assert with_core(1).barrier[0] / NS == pytest.approx(600)
    assert with_core(4).barrier[0] / NS == pytest.approx(1000)


def test_the_other_column_has_times_of_its_own(lonely):
    """Davies: 5.3 ns a look, 2.1 a packet, 3.5 a synapse; 113 to 465 ns over 1 to 32 tiles."""
    time = timed(lonely, "davies2018")
    barrier = 113 + (465 - 113) * 5 / 31
    assert time.seconds[0, 1] / NS == pytest.approx(4 * 3.5 + barrier)
    assert time.seconds[1, 5] / NS == pytest.approx(5.3 + barrier)
    assert any("packet in and spike out" in note for note in time.notes)


def test_the_interval_widens_events_and_leaves_the_barrier(lonely):
    time = timed(lonely)
    work = float((time.seconds - time.barrier[0]).sum(axis=1).mean())
    low, high = time.interval_per_run
    barriers = 6 * 1400 * NS
    assert low == pytest.approx(work * 0.75 + barriers)
    assert high == pytest.approx(work * 1.25 + barriers)


def test_the_time_of_a_placement_follows_without_a_second_run(lonely):
    """A run that counted the cores of another placement, or none: the same packets."""
    near, far = place(six_neurons(), LOIHI), in_order(place(six_neurons(), lonely))
    exact = sp.cost(far, run(far, X, count_cores=True), column="sanafe", timing="simple").time
    for traces in (run(near, X, count_cores=True), run(near, X)):
        time = sp.cost(far, traces, column="sanafe", timing="simple").time
        assert any("spread evenly" in note for note in time.notes)
        assert time.parts["memory"] == pytest.approx(exact.parts["memory"], abs=1e-15)
        assert time.seconds == pytest.approx(exact.seconds, abs=4 * NS)
    assert not exact.notes


def test_cost_takes_a_chip_of_equal_arithmetic_and_places_the_program_there(lonely):
    image = place(six_neurons(), LOIHI)
    traces = run(image, X, count_cores=True)
    moved = sp.cost(image, traces, lonely, "sanafe", timing="simple")
    again = sp.cost(place(six_neurons(), lonely), traces, column="sanafe", timing="simple")
    assert moved.joules_per_sample == again.joules_per_sample
    assert moved.joules_per_sample != sp.cost(image, traces, column="sanafe").joules_per_sample
    with pytest.raises(ChipError, match="says nothing about what odin costs"):
        sp.cost(image, traces, "odin")


@pytest.mark.parametrize(
    ("chips", "expected"),
    [(1, (113, 113, 113)), (256, (14300,) * 3), (512, (15250,) * 3)],
)
def test_a_barrier_over_linked_chips_is_what_was_measured(chips, expected):
    image = replace(place(six_neurons(), LOIHI), chips=chips)
    time = sp.cost(image, run(place(six_neurons(), LOIHI), X), column="davies2018").time
    assert np.array(time.barrier) / NS == pytest.approx(expected)


def test_the_interval_of_a_run_has_that_of_its_barrier():
    image = replace(place(six_neurons(), LOIHI), chips=32)
    time = sp.cost(image, run(place(six_neurons(), LOIHI), X), column="davies2018").time
    work = float((time.seconds - time.barrier[0]).sum(axis=1).mean())
    low, high = time.interval_per_run
    assert (low, high) == (
        pytest.approx(work * 0.5 + 6 * 465 * NS), pytest.approx(work * 1.5 + 6 * 14300 * NS)
    )  # fmt: skip


def test_static_energy_and_resets_are_of_every_linked_chip():
    traces = run(place(six_neurons(), LOIHI), X)
    one, two = (
        sp.cost(replace(place(six_neurons(), LOIHI), chips=n), traces, column="davies2018")
        for n in (1, 2)
    )
    assert two.by("kind")["state_reset"] == 2 * one.by("kind")["state_reset"]
    assert two.static_joules_per_sample == pytest.approx(
        2 * 0.1044 * two.time.seconds.sum(axis=1).mean()
    )
    assert one.by("chip").keys() == {-1, 0}


def test_fewer_linked_chips_lie_between_one_and_what_was_measured():
    image = replace(place(six_neurons(), LOIHI), chips=32)
    time = sp.cost(image, run(place(six_neurons(), LOIHI), X), column="davies2018").time
    middle, low, high = (seconds / NS for seconds in time.barrier)
    assert (low, high) == (pytest.approx(465), pytest.approx(14300))
    assert middle == pytest.approx(465 + (14300 - 465) * 31 / 255)


def test_more_chips_than_were_measured_have_no_time():
    image = replace(place(six_neurons(), LOIHI), chips=1000)
    cost = sp.cost(image, run(place(six_neurons(), LOIHI), X), column="davies2018")
    assert cost.time is None
    assert cost.time_unknown == "the barrier of more than 768 linked chips is not published"
    assert cost.static_joules_per_sample is None


def test_static_energy_is_power_times_time():
    image = place(six_neurons(), LOIHI)
    cost = sp.cost(image, run(image, X, count_cores=True), column="davies2018")
    seconds = cost.time.seconds.sum(axis=1).mean()
    assert cost.static_joules_per_sample == pytest.approx(0.1044 * seconds)
    low, high = cost.time.interval_per_run
    assert cost.static_interval == pytest.approx((0.1044 * 0.8 * low, 0.1044 * 1.2 * high))
    assert cost.total_joules_per_sample == pytest.approx(cost.joules_per_sample + 0.1044 * seconds)
    product, _, of = cost.energy_delay
    assert product == pytest.approx(cost.total_joules_per_sample * seconds)
    assert of == "dynamic and static"


def test_a_step_over_the_budget_names_the_cores(lonely):
    time = timed(lonely, budget=1450 * NS)
    slow = {int(n): share for n, share in zip(time.numbers, time.over, strict=True) if share}
    assert slow.keys() == {5}
    assert slow[5] == pytest.approx(4 / 12), "b takes four packets in three steps and in one"
    assert time.worst[5] / NS == pytest.approx(4 * (IN + READ) + 1400)


def gates(size: int) -> Program:
    """`size` neurons that each hear one input spike by itself, on a chip of integrate-and-fire."""
    wires = np.eye(size, dtype=np.int32)
    populations = {"in": CellPopulation("input", (size,), None, np.ones(size)), "n": layer(size, 5)}
    synapses = (Synapses.of("in-n", "in", "n", wires * 6, 0, "mixed"),)
    return Program(1e-3, populations, synapses, {"out": "n"}, {"in": 0, "n": 1})


def test_a_tick_is_a_tick():
    chip = backends.find_chip("truenorth")
    image = place(gates(3), chip)
    cost = sp.cost(image, run(place(gates(3), LOIHI), np.ones((1, 4, 3), np.uint8)))
    assert cost.time.seconds.tolist() == [[1e-3] * 5]
    assert cost.static_joules_per_sample == pytest.approx(5 * 1e-3 * 0.06443)


def test_a_clocked_core_takes_513_cycles_for_a_spike_whatever_is_connected():
    """Three input spikes a step enter the crossbar; nobody listens to n, and nothing leaks."""
    chip = backends.find_chip("odin")
    image = place(gates(3), chip)
    traces = run(place(gates(3), LOIHI), np.ones((1, 4, 3), np.uint8))
    cost = sp.cost(image, traces)
    assert cost.time.seconds[0] * 75e6 == pytest.approx([3 * 513] * 4 + [0])
    assert cost.by("kind") == {"crossbar_op": pytest.approx(4 * 3 * 256 * 8.43e-12)}


def test_models_of_time_that_a_column_cannot_have_are_refused():
    image = place(six_neurons(), LOIHI)
    traces = run(image, X)
    with pytest.raises(ChipError, match="no timing model 'cycle'"):
        sp.cost(image, traces, timing="cycle")
    with pytest.raises(ChipError, match="it states no buffers of the mesh"):
        sp.cost(image, traces, column="davies2018", timing="detailed")


def test_a_chip_without_times_has_none():
    cost = sp.cost(
        place(six_neurons(), backends.find_chip("generic_graded")),
        run(place(six_neurons(), backends.find_chip("generic_graded")), X),
    )
    assert (cost.time, cost.seconds_per_sample, cost.total_joules_per_sample) == (None,) * 3
    assert cost.time_unknown == "the column davies2018 states no times"


@pytest.mark.parametrize("timing", ["simple", "detailed"])
def test_rows_that_are_looked_at_apart_give_what_they_give_together(timing, lonely, monkeypatch):
    together = timed(lonely, timing=timing)
    for name, size in (("CELLS", 7), ("PACKETS", 5), ("PACKETS", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(work, name, size)
            apart = timed(lonely, timing=timing)
        assert apart.seconds.tolist() == together.seconds.tolist()
        assert apart.core.tolist() == together.core.tolist()
        assert apart.busy == pytest.approx(together.busy)
