"""Xylo's neuron in the emulator: registers, states that go on, events that saturate."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hw_tests.xylo_networks import as_program, draw
from spikeport.backends import emulator
from spikeport.compiler.errors import DataError, LoweringError
from spikeport.compiler.quantize.xylo.cell import XyloCell


@pytest.mark.parametrize(
    ("field", "value"),
    [("dash_syn", 16), ("v_threshold", 0), ("v_threshold", 32768), ("bias", -32769)],
)
def test_a_register_that_the_chip_cannot_hold_is_refused(field: str, value: int):
    given = dict.fromkeys(("dash_syn", "dash_mem", "v_threshold", "bias"), np.ones(2, np.int32))
    with pytest.raises(LoweringError, match=f"{field} of a Xylo neuron is outside"):
        XyloCell(**{**given, field: np.array([1, value], np.int32)})
    with pytest.raises(LoweringError, match=f"{field} of a Program is int64, not int32"):
        XyloCell(**{**given, field: np.array([1, 1])})


@pytest.mark.parametrize("seed", range(4))
def test_a_run_goes_on_from_a_state_as_if_it_had_not_stopped(seed: int):
    program, inputs = as_program(draw(seed))
    names = [f"{name}.{key}" for name in program.neurons for key in "uv"]
    whole = emulator.run(program, inputs, probe=names)
    first = emulator.run(program, {"in": inputs["in"][:, :17]}, probe=names)
    second = emulator.run(program, {"in": inputs["in"][:, 17:]}, state=first.state, probe=names)
    for name in names:
        joined = np.concatenate([first.probes[name], second.probes[name]], axis=1)
        assert np.array_equal(joined, whole.probes[name])


def test_samples_do_not_see_each_other():
    program, inputs = as_program(draw(2))
    other = np.flip(inputs["in"], axis=1)
    both = emulator.run(program, {"in": np.concatenate([inputs["in"], other])}, probe=["out.v"])
    alone = emulator.run(program, {"in": other}, probe=["out.v"])
    assert np.array_equal(both.probes["out.v"][1:], alone.probes["out.v"])


def test_clipped_events_are_counted_and_told():
    network = draw(1) | {"shift_in": np.array(8)}
    program, inputs = as_program(network)
    traces = emulator.run(program, inputs)
    assert any(re.search(r"left 16 bits \d+ times", note) for note in traces.notes)


def test_more_spikes_in_a_channel_than_the_chip_takes_are_refused():
    program, inputs = as_program(draw(0))
    with pytest.raises(DataError, match="carries 15 spikes per step at most"):
        emulator.run(program, {"in": np.full_like(inputs["in"], 16)})
