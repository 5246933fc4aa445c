"""The detailed model of a mesh by hand, and the C engine against its specification."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from spikeport.backends.emulator.engines import is_built
from spikeport.backends.emulator.mesh import mesh_time as fast
from spikeport.compiler.measure.mesh_time import HOST, Mesh, Messages, mesh_time

NS = 1e-9
#: SANA-FE's column in ns: a first packet, the next one of the same neuron, a packet with a synapse.
FIRST, NEXT, TAKEN = 6.0 + 3.7 + 30.0 + 5.1, 5.1, 16.0 + 3.8
X_HOP, Y_HOP = 4.1, 6.5


def sent(*rows, cores=4, rest=None):
    """Return Messages from rows of (source, target, wait, serve) in ns."""
    every = [packet for row in rows for packet in row]
    columns = np.array(every, float).reshape(-1, 4).T
    return Messages(
        np.cumsum([0, *map(len, rows)]),
        columns[0].astype(np.int32),
        columns[1].astype(np.int32),
        columns[2] * NS,
        columns[3] * NS,
        np.zeros((len(rows), cores)) if rest is None else np.array(rest) * NS,
        cores,
    )


def mesh(*tiles, buffer=16):
    """Return a Mesh whose cores are on these tiles."""
    x, y = np.array(tiles).T
    return Mesh(x, y, X_HOP * NS, Y_HOP * NS, buffer)


HERE = mesh((0, 0), (0, 0), (0, 0), (0, 0))


@pytest.fixture(params=["specification", "engine"])
def timed(request):
    """Either implementation."""
    if request.param == "engine" and not is_built():
        pytest.skip("the C engine is not built")
    return mesh_time if request.param == "specification" else fast


def parts(found):
    """Return (compute, traffic, memory) of each row in ns."""
    return np.array([found.compute, found.traffic, found.memory]).T / NS


@pytest.mark.parametrize(
    ("tile", "hops", "step"),
    [
        ((0, 1), Y_HOP, 1071.1),
        ((1, 0), X_HOP, 1068.7),
        ((7, 3), 7 * X_HOP + 3 * Y_HOP, 1112.8),
    ],
)
def test_a_spike_to_another_tile_takes_what_hardware_md_works_out(timed, tile, hops, step):
    found = timed(sent([(0, 1, FIRST, TAKEN)], cores=2), mesh((0, 0), tile))
    assert found.seconds / NS + 1000 == pytest.approx([step])
    assert parts(found) == pytest.approx(np.array([[FIRST, hops, TAKEN]]))
    assert found.core.tolist() == [1]


def test_eight_synapses_on_the_same_core_take_what_hardware_md_works_out(timed):
    found = timed(sent([(0, 0, FIRST, 16 + 8 * 3.8)], cores=1), mesh((0, 0)))
    assert found.seconds / NS + 600 == pytest.approx([691.2])


def test_a_core_takes_packets_one_after_the_other(timed):
    found = timed(sent([(0, 2, FIRST, TAKEN), (1, 2, FIRST, TAKEN)]), HERE)
    assert parts(found) == pytest.approx(np.array([[FIRST, 0, 2 * TAKEN]]))
    assert found.core.tolist() == [2]


def test_packets_of_one_core_leave_one_after_the_other(timed):
    found = timed(sent([(0, 1, FIRST, TAKEN), (0, 2, NEXT, TAKEN), (0, 3, NEXT, TAKEN)]), HERE)
    assert parts(found) == pytest.approx(np.array([[FIRST + 2 * NEXT, 0, TAKEN]]))
    assert found.core.tolist() == [3]


def test_at_the_same_time_the_core_with_the_lower_number_goes_first(timed):
    """Core 0 has two hops to go and is a quarter on the second, which core 1 takes as well."""
    packets = [(0, 2, 10, 1000), (1, 2, 10, 20)]
    found = timed(sent(packets), mesh((0, 0), (1, 0), (2, 0), (3, 0)))
    assert parts(found) == pytest.approx(np.array([[10, 125, 10 + 8.2 + 1020 - 135]]))


def test_a_full_buffer_holds_a_packet_back_and_all_behind_it(timed):
    """One place for packets, and a target that the host keeps busy till 1000 ns.

    Five packets, 10 ns apart; each counts half at the port of its core until it is taken, and
    serving takes 20 ns on the mean. The fourth meets 1.5 for 1 place: half a service too much, it
    leaves at 50 instead of 40. The fifth meets 2 and leaves at 60 + 20. Its travel is 2 services.
    """
    packets = [(HOST, 1, 0, 1000), *[(0, 1, 10, 20)] * 5]
    found = timed(sent(packets, cores=2), mesh((2, 3), (2, 3), buffer=1))
    assert found.seconds / NS == pytest.approx([1000 + 5 * 20])
    assert parts(found) == pytest.approx(np.array([[50, 10 + 20 + 40, 1100 - 120]]))
    assert found.blocked.tolist() == [2]
    assert found.routes == {(2, 3, 2, 3): 2}


def test_crowding_is_met_along_x_first_and_then_along_y(timed):
    """A packet of two hops from (0, 0) to (1, 1) is a quarter on the link from (1, 0) upwards.

    Who takes that link meets 1/4 of a service of 1000 ns over 2 places; who comes to (1, 1) along
    x meets nothing.
    """
    places = mesh((0, 0), (1, 1), (1, 0), (0, 1))
    ahead = (0, 1, 10, 1000)
    crossed = timed(sent([ahead, (2, 1, 15, 20)]), places)
    assert parts(crossed)[0, 1] == pytest.approx(1000 / 4 / 2)
    clear = timed(sent([ahead, (3, 1, 15, 20)]), places)
    assert parts(clear)[0, 1] == pytest.approx(X_HOP)


def test_what_was_taken_is_no_longer_in_the_way(timed):
    """The packet ahead is taken after 10 + 10.6 ns; who leaves later meets nobody."""
    places = mesh((0, 0), (1, 1), (1, 0), (0, 1))
    found = timed(sent([(0, 1, 10, 1000), (2, 1, 20.7, 20)]), places)
    assert parts(found)[0, 1] == pytest.approx(Y_HOP)


def test_a_packet_of_the_host_is_there_at_once_and_takes_no_way(timed):
    found = timed(sent([(HOST, 1, 0, TAKEN), (HOST, 1, 0, 50)]), mesh(*[(5, 2)] * 4))
    assert parts(found) == pytest.approx(np.array([[0, 0, TAKEN + 50]]))
    assert found.core.tolist() == [1]


def test_a_core_that_sends_nothing_still_looks_at_its_neurons(timed):
    found = timed(sent([(0, 1, 10, 20)], rest=[[0, 0, 0, 77]]), HERE)
    assert parts(found) == pytest.approx(np.array([[77, 0, 0]]))
    assert found.core.tolist() == [3]


def test_neurons_behind_the_last_packet_count_without_its_travel(timed):
    found = timed(sent([(0, 1, 10, 20)], rest=[[500, 0, 0, 0]]), mesh(*[(0, 0), (7, 0)] * 2))
    assert parts(found) == pytest.approx(np.array([[510, 0, 0]]))
    assert found.core.tolist() == [0]


def test_nothing_takes_no_time(timed):
    found = timed(sent([], [(0, 1, 10, 20)], []), HERE)
    assert found.seconds / NS == pytest.approx([0, 30, 0])
    assert found.core.tolist() == [-1, 1, -1]
    assert timed(sent(), HERE).seconds.size == 0


def test_rows_know_nothing_of_each_other(timed):
    crowd = [(HOST, 1, 0, 1000), *[(0, 1, 10, 20)] * 5]
    tight = replace(HERE, buffer=1)
    alone, both = timed(sent(crowd), tight), timed(sent(crowd, crowd, [(0, 1, 1, 1)]), tight)
    assert both.seconds[:2].tolist() == [alone.seconds[0]] * 2
    assert both.blocked.tolist() == [2, 2, 0]
    assert both.seconds[2] / NS == pytest.approx(2)


def drawn(seed):
    """Return random messages, from a few to many, on a random mesh."""
    rng = np.random.default_rng(seed)
    cores, most = int(rng.integers(1, 20)), int(rng.choice([3, 40, 600]))
    sizes = rng.integers(0, most, 4)
    source = np.concatenate([np.sort(rng.integers(-1, cores, size)) for size in sizes])
    wait = rng.choice([5.1, 44.8, 100.0], source.size) * (source >= 0) * NS
    messages = Messages(
        np.concatenate([[0], np.cumsum(sizes)]),
        source.astype(np.int32),
        rng.integers(0, cores, source.size).astype(np.int32),
        wait,
        rng.choice([19.8, 84.4, 150.0], source.size) * NS,
        rng.random((4, cores)) * 1e-6,
        cores,
    )
    x, y = rng.integers(0, 5, cores), rng.integers(0, 4, cores)
    return messages, Mesh(x, y, X_HOP * NS, Y_HOP * NS, int(rng.choice([1, 2, 16])))


def test_parts_add_up_to_the_time_of_a_step():
    for seed in range(20):
        found = mesh_time(*drawn(seed))
        assert found.compute + found.traffic + found.memory == pytest.approx(found.seconds)
        assert min(found.compute.min(), found.traffic.min(), found.memory.min()) > -1e-15


@pytest.mark.skipif(not is_built(), reason="the C engine is not built")
def test_the_engine_gives_the_bits_of_the_specification(monkeypatch):
    monkeypatch.delenv("SPIKEPORT_ENGINE", raising=False)
    blocked = 0
    for seed in range(60):
        one, other = mesh_time(*drawn(seed)), fast(*drawn(seed))
        for name in ("seconds", "compute", "traffic", "memory", "core", "blocked"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), (seed, name)
        assert one.routes == other.routes
        blocked += int(one.blocked.sum())
    assert blocked > 1000


def test_without_the_engine_the_specification_runs(monkeypatch):
    monkeypatch.setenv("SPIKEPORT_ENGINE", "numpy")
    monkeypatch.setitem(sys.modules, "spikeport.backends._engine", None)
    messages, places = drawn(3)
    assert np.array_equal(fast(messages, places).seconds, mesh_time(messages, places).seconds)


GOOD = sent([(0, 1, 1, 1), (2, 3, 1, 1)], [(1, 1, 1, 1)])
WRONG = {
    "a target that is not there": replace(GOOD, target=np.array([1, 4, 1])),
    "a target before the first": replace(GOOD, target=np.array([1, -1, 1])),
    "a source that is not there": replace(GOOD, source=np.array([0, 4, 1])),
    "a source before the host": replace(GOOD, source=np.array([-2, 2, 1])),
    "sources out of order": replace(GOOD, source=np.array([2, 0, 1])),
    "offsets that fall": replace(GOOD, offsets=np.array([0, 3, 2, 3])),
    "offsets beyond the packets": replace(GOOD, offsets=np.array([0, 1 << 40, 3])),
    "offsets that end early": replace(GOOD, offsets=np.array([0, 2, 2])),
    "too few waits": replace(GOOD, wait=np.zeros(2)),
    "too few services": replace(GOOD, serve=np.zeros(2)),
    "too few rests": replace(GOOD, rest=np.zeros((1, 4))),
}


@pytest.mark.skipif(not is_built(), reason="the C engine is not built")
@pytest.mark.parametrize("what", WRONG)
def test_the_engine_refuses_packets_that_make_no_sense(what, monkeypatch):
    monkeypatch.delenv("SPIKEPORT_ENGINE", raising=False)
    fast(GOOD, HERE)
    with pytest.raises(ValueError, match=r"packet|offsets|holds"):
        fast(WRONG[what], HERE)


@pytest.mark.skipif(not is_built(), reason="the C engine is not built")
def test_the_engine_refuses_a_mesh_that_makes_no_sense(monkeypatch):
    monkeypatch.delenv("SPIKEPORT_ENGINE", raising=False)
    for wrong in (
        replace(HERE, x=np.array([0, 0, 0])),
        replace(HERE, y=np.array([0, 0, 0, -1])),
        replace(HERE, x=np.array([0, 0, 0, 1 << 25])),
        replace(HERE, buffer=0),
    ):
        with pytest.raises(ValueError, match=r"core|mesh|holds"):
            fast(GOOD, wrong)
