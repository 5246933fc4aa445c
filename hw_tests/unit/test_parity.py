"""Two runs compared cell by cell at their lags, and classes decoded from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.errors import DataError
from spikeport.compiler.measure.decode import DECODERS, accuracy, predictions
from spikeport.compiler.measure.parity import Difference, compare, compare_bits
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events, Traces

#: (samples, steps, neurons) of two populations, on the model's time axis.
A = np.zeros((2, 6, 4), np.uint8)
A[0, 1, 2] = A[0, 4, 0] = A[1, 0, 3] = 1
B = np.zeros((2, 6, 2), np.uint8)
B[1, 5, 1] = 1


def late(raster: np.ndarray, lag: int, longest: int = 3) -> np.ndarray:
    """Return the raster `lag` steps later, in a run of 6 + `longest` steps."""
    return np.pad(raster, ((0, 0), (lag, longest - lag), (0, 0)))


def traces(source: str, lags: dict[str, int], probes: Any = None, **rasters: Any) -> Traces:
    """Return a run in which each raster is late by its lag."""
    longest = max(lags.values())
    spikes = {
        name: Events.from_dense(late(raster, lags[name], longest), raster.shape[2:])
        for name, raster in rasters.items()
    }
    samples, steps = next(iter(rasters.values())).shape[:2]
    return Traces(
        source, 1e-3, samples, steps + longest, steps, spikes, probes or {}, lags, {},
        State(steps + longest, {name: {} for name in rasters}, {}), list(rasters)[-1],
    )  # fmt: skip


NONE, LATE = {"a": 0, "b": 0}, {"a": 1, "b": 3}


def with_cell(raster, cell, value=1):
    changed = raster.copy()
    changed[cell] = value
    return changed


def test_rasters_that_are_late_by_their_lags_are_equal():
    parity = compare(traces("reference", NONE, a=A, b=B), traces("emulator", LATE, a=A, b=B))
    assert (parity.cells, parity.different, parity.first_difference) == (2 * 6 * 6, 0, None)
    assert {name: each.lag for name, each in parity.populations.items()} == {"a": 1, "b": 3}
    totals = [(each.spikes_expected, each.spikes_got) for each in parity.populations.values()]
    assert totals == [(3, 3), (1, 1)]


def test_a_raster_at_another_lag_than_stated_is_different():
    early = traces("emulator", {"a": 2, "b": 3}, a=A, b=B)
    wrong = Traces(**(vars(early) | {"lags": LATE}))
    assert compare(traces("reference", NONE, a=A, b=B), wrong).different == 6


def test_differences_are_counted_per_population_and_the_earliest_step_is_first():
    got_a = with_cell(with_cell(A, (0, 4, 1)), (1, 3, 2))
    got_b = with_cell(B, (1, 2, 0))
    parity = compare(
        traces("reference", NONE, a=A, b=B), traces("emulator", LATE, a=got_a, b=got_b)
    )
    assert parity.different == 3
    assert [each.different for each in parity.populations.values()] == [2, 1]
    in_a = parity.populations["a"].first_difference
    assert in_a == Difference("a", (2,), 1, 3, "spikes", 0.0, 1.0)
    assert parity.first_difference == Difference("b", (0,), 1, 2, "spikes", 0.0, 1.0)
    assert str(in_a) == "spikes of a[2] in step 3 of sample 1 is 1, expected 0"


def test_in_one_step_the_lowest_sample_and_neuron_come_first():
    got = with_cell(with_cell(with_cell(A, (1, 2, 0)), (0, 2, 3)), (0, 2, 1))
    parity = compare(traces("reference", {"a": 0}, a=A), traces("emulator", {"a": 0}, a=got))
    assert parity.first_difference == Difference("a", (1,), 0, 2, "spikes", 0.0, 1.0)


def test_a_lost_and_a_new_spike_are_two_differences_though_the_totals_agree():
    got = with_cell(with_cell(A, (0, 1, 2), 0), (0, 2, 2))
    parity = compare(traces("reference", {"a": 0}, a=A), traces("emulator", {"a": 1}, a=got))
    each = parity.populations["a"]
    assert (each.different, each.spikes_expected, each.spikes_got) == (2, 3, 3)
    assert (each.first_difference.expected, each.first_difference.got) == (1.0, 0.0)


def test_neurons_of_a_map_are_named_by_their_place_in_it():
    one = traces("reference", {"a": 0}, a=A)
    events = Events.from_dense(with_cell(A, (0, 0, 3)), (2, 1, 2))
    other = Traces(**(vars(one) | {"source": "emulator", "spikes": {"a": events}}))
    assert compare(one, other).first_difference.neuron == (1, 0, 1)


def test_fewer_samples_in_the_second_run_are_enough():
    parity = compare(traces("emulator", NONE, a=A, b=B), traces("lava", NONE, a=A[:1], b=B[:1]))
    assert (parity.samples, parity.cells, parity.different) == (1, 36, 0)


def test_runs_without_a_common_population_cannot_be_compared():
    with pytest.raises(DataError, match="there is nothing to compare: the two runs share no"):
        compare(traces("reference", {"a": 0}, a=A), traces("emulator", {"b": 0}, b=B))


def test_a_run_that_ends_before_the_answer_says_how_long_it_must_be():
    one = traces("emulator", {"a": 2}, a=A)
    short = Traces(**(vars(one) | {"lags": {"a": 4}}))
    with pytest.raises(DataError, match="run 10 steps"):
        compare(traces("reference", {"a": 0}, a=A), short)


def test_the_plain_form_is_what_json_prints():
    parity = compare(
        traces("reference", {"a": 0}, a=A), traces("emulator", {"a": 1}, a=with_cell(A, (1, 5, 0)))
    )
    first = {
        "population": "a", "neuron": [0], "sample": 1, "step": 5, "variable": "spikes",
        "reference": 0.0, "emulator": 1.0,
    }  # fmt: skip
    assert parity.to_dict() == {
        "cells": 48,
        "different": 1,
        "spikes_repeated": 1.0,
        "analog": {},
        "samples": 2,
        "variables": ["spikes"],
        "first_difference": first,
        "populations": {
            "a": {
                "cells": 48, "different": 1, "lag": 1, "spikes_reference": 3,
                "spikes_emulator": 4, "spikes_shared": 3, "first_difference": first,
            }
        },
    }  # fmt: skip


# --- every bit ---------------------------------------------------------------------------------


def bits(source: str, u: np.ndarray, v: np.ndarray) -> Traces:
    return traces(source, {"a": 0}, {"a.u": u, "a.v": v}, a=A)


U = np.arange(48, dtype=np.int32).reshape(A.shape)


def test_one_changed_u_is_seen():
    parity = compare_bits(bits("emulator", U, U), bits("lava", with_cell(U, (1, 3, 2), 99), U))
    assert (parity.cells, parity.different, parity.variables) == (144, 1, ("spikes", "u", "v"))
    assert parity.first_difference == Difference("a", (2,), 1, 3, "u", 38.0, 99.0)


def test_the_earliest_of_all_variables_is_first():
    late_u, early_v = with_cell(U, (0, 4, 0), -1), with_cell(U, (1, 2, 0), -1)
    parity = compare_bits(bits("emulator", U, U), bits("lava", late_u, early_v))
    assert parity.different == 2
    assert (parity.first_difference.variable, parity.first_difference.step) == ("v", 2)


@pytest.mark.parametrize("side", ["emulator", "lava"])
def test_bits_that_were_not_recorded_are_never_taken_for_equal(side):
    runs = {name: bits(name, U, U) for name in ("emulator", "lava")}
    runs[side] = Traces(**(vars(runs[side]) | {"probes": {"a.v": U}}))
    with pytest.raises(DataError, match=rf"the run of {side} has no a\.u"):
        compare_bits(*runs.values())


def test_bits_of_runs_of_different_length_are_not_compared():
    short = traces("lava", {"a": 0}, {"a.u": U[:, :5], "a.v": U[:, :5]}, a=A[:, :5])
    with pytest.raises(DataError, match="the two runs differ in extent"):
        compare_bits(bits("emulator", U, U), short)


def test_a_readout_that_never_spikes_is_compared_by_u_and_v():
    one, other = (
        Traces(**(vars(bits(name, U, v)) | {"spikes": {}}))
        for name, v in (("emulator", U), ("lava", with_cell(U, (0, 0, 1), 7)))
    )
    parity = compare_bits(one, other)
    assert (parity.cells, parity.different) == (96, 1)
    assert parity.first_difference == Difference("a", (1,), 0, 0, "v", 1.0, 7.0)


def test_the_verb_compares_spikes_or_bits():
    one, other = bits("emulator", U, U), bits("lava", with_cell(U, (0, 0, 0), 5), U)
    assert sp.compare(one, other).different == 0
    assert sp.compare(one, other, bits=True).different == 1


# --- decoders ----------------------------------------------------------------------------------


def spiking(raster: list[list[int]]) -> Traces:
    """Return a run of one sample, two steps late; rows are neurons."""
    return traces("emulator", {"a": 2}, a=np.array(raster, np.uint8).T[None])


@pytest.mark.parametrize(
    ("decode", "raster", "chosen"),
    [
        ("count", [[0, 1, 0], [1, 0, 1], [0, 0, 0]], 1),
        ("count", [[0, 0, 0], [1, 0, 1], [1, 1, 0]], 1),  # a tie: the lowest index
        ("count", [[0, 0, 0], [0, 0, 0], [0, 0, 0]], 0),
        ("count", [[0, 1, 1], [3, 0, 0], [0, 0, 1]], 1),  # several spikes in one step
        ("ttfs", [[0, 0, 1], [0, 1, 0], [0, 1, 1]], 1),
        ("ttfs", [[0, 0, 0], [0, 0, 0], [0, 0, 1]], 2),  # silence is later than any spike
        ("ttfs", [[0, 1, 1], [1, 0, 0], [0, 1, 1]], 1),
        ("ttfs", [[0, 0, 0], [0, 0, 0], [0, 0, 0]], 0),
    ],
)
def test_a_class_is_decoded_from_spikes(decode, raster, chosen):
    assert predictions(spiking(raster), decode).tolist() == [chosen]


@pytest.mark.parametrize(
    ("decode", "chosen"), [("mem_last", 2), ("mem_max", 0), ("mem_mean", 1), ("count", None)]
)
def test_a_class_is_decoded_from_v_inside_the_window(decode, chosen):
    v = np.array([[9.0, 0.0, 0.0], [5.0, 5.0, 5.0], [0.0, 0.0, 6.0]]).T[None]
    outside = np.full((1, 2, 3), 100.0)
    run = traces("emulator", {"a": 2}, a=np.zeros((1, 3, 3), np.uint8))
    run = Traces(
        **(vars(run) | {"spikes": {}, "probes": {"a.v": np.concatenate([outside, v], axis=1)}})
    )
    if chosen is not None:
        assert predictions(run, decode).tolist() == [chosen]
        return
    with pytest.raises(DataError) as caught:
        predictions(run, decode)
    assert str(caught.value) == (
        "the decoder 'count' reads spikes: the output 'a' does not spike\n  fix: --decode mem_last"
    )


def test_an_unknown_decoder_lists_the_known_ones():
    with pytest.raises(DataError, match=f"known are {', '.join(DECODERS)}"):
        predictions(spiking([[0]]), "vote")


def test_accuracy_is_the_share_of_samples_and_none_without_labels():
    raster = np.zeros((4, 3, 2), np.uint8)
    raster[:, 0, 1] = 1
    run = traces("emulator", {"a": 0}, a=raster)
    assert accuracy(run, np.array([1, 1, 0, 1]), "count") == 0.75
    assert accuracy(run, np.array([1, 1, 0, 1, 0, 0]), "count") == 0.75  # only the first ran
    assert accuracy(run, None, "count") is None
