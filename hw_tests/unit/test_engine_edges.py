"""Edges of the C engine's widths, which random networks seldom meet, against the NumPy step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw_tests.bench.ours import cell_of
from spikeport.backends import emulator
from spikeport.backends.emulator.engines import is_built
from spikeport.compiler.errors import DataError, LoweringError
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.traces import Events

pytestmark = pytest.mark.skipif(not is_built(), reason="the C engine was not built")


def layer(weight: np.ndarray, exponent: int = 0, **changes: np.ndarray) -> Program:
    """Return inputs and the neurons that they drive."""
    post, pre = weight.shape
    cell = replace(cell_of(post, 100_000), **changes)
    return Program(
        1e-3,
        {
            "in": CellPopulation("input", (pre,), None, np.ones(1)),
            "out": CellPopulation("CubaLIF", (post,), cell, np.ones(1)),
        },
        (Synapses.of("w", "in", "out", weight.astype(np.int32), exponent, "mixed"),),
        {"out": "out"},
        {"out": 0},
    )


def both(net: Program, x: np.ndarray) -> list[np.ndarray]:
    """Return u of both engines, (steps, n), equal in everything else."""
    c, numpy = (
        emulator.run(net, {"in": x}, probe=["out.u", "out.v"], engine=name)
        for name in ("c", "numpy")
    )
    assert (c.probes["out.v"] == numpy.probes["out.v"]).all()
    assert c.extra["overflows"] == numpy.extra["overflows"]
    return [traces.probes["out.u"][0] for traces in (c, numpy)]


@pytest.mark.parametrize("sources", [255, 256, 257, 300, 512, 513])
@pytest.mark.parametrize("weight", [255, -255, 127, -128, 254, -256])
def test_more_spikes_than_a_16_bit_sum_holds_add_up(sources, weight):
    net = layer(np.full((70, sources), weight))
    c, numpy = both(net, np.ones((1, 4, sources), np.uint8))
    assert (c == numpy).all()
    if abs(64 * weight * sources) < 1 << 23:
        assert numpy[1, 0] == 64 * weight * sources


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("beside", [-2, 0, 2])
def test_u_at_the_very_edge_of_24_bits_wraps_as_lavas(sign, beside):
    # 2**23 is 64 times 2**17: four weights of 256, shifted by 7, and a little beside.
    weight = (
        np.array([[sign * -256] * 4 + [beside]] * 3) * -1
        if sign > 0
        else np.array([[-256] * 4 + [beside]] * 3)
    )
    net = layer(np.clip(weight, -256, 256), 7, decay_u=np.full(3, 4095, np.int32))
    c, numpy = both(net, np.ones((1, 5, 5), np.uint8))
    assert (c == numpy).all()
    assert np.abs(numpy).max() >= (1 << 23) - 2 * 64 * 128


@pytest.mark.parametrize("shape", [(5, 3), (2, 3), (3, 4)])
def test_weights_of_another_shape_are_refused(shape):
    net = layer(np.ones((3, 3)))
    other = replace(net, synapses=(net.synapses[0].with_mantissa(np.ones(shape, np.int32)),))
    with pytest.raises(LoweringError, match="'out' and 'in' have 3 and 3 neurons"):
        emulator.run(other, {"in": np.ones((1, 2, 3), np.uint8)}, engine="c")


def test_a_negative_delay_is_refused():
    net = layer(np.ones((3, 3)))
    early = replace(net, synapses=(replace(net.synapses[0], delay_steps=-1000),))
    with pytest.raises(LoweringError, match="-1000 steps late"):
        emulator.run(early, {"in": np.ones((1, 2, 3), np.uint8)}, engine="c")


def test_events_cannot_be_changed_through_the_array_they_came_from():
    base = np.zeros(4, np.int32)
    events = Events(base[:1], np.array([0, 1]), None, 1, 1, (3,))
    assert events.is_sound
    base[:] = 10**9
    assert events.neuron.tolist() == [0]


@pytest.mark.parametrize(
    ("x", "message"),
    [(-1, "holds -1"), (0.5, "or a fraction")],
)
def test_inputs_that_no_axon_carries_are_refused(x, message):
    net = layer(np.ones((3, 3)))
    with pytest.raises(DataError, match=message):
        emulator.run(net, {"in": np.full((1, 2, 3), x)}, engine="numpy")


@pytest.mark.parametrize("engine", ["c", "numpy"])
def test_a_state_of_other_samples_is_refused(engine):
    net, x = layer(np.ones((3, 3))), np.ones((3, 2, 3), np.uint8)
    state = emulator.run(net, {"in": x}, engine=engine).state
    with pytest.raises(DataError, match="does not hold 1 samples"):
        emulator.run(net, {"in": x[:1]}, state=state, engine=engine)
