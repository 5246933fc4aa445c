"""What a deployment says of time: per step, per sample, per core, against a budget; or nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

import spikeport as sp
from hw_tests.unit.test_as_if import network, spikes
from spikeport.compiler.errors import ChipError

BARRIER = {"davies2018": 113e-9, "sanafe": 0.6e-6}


def deployed(column=None, chip="loihi1", x=None, **options):
    x = spikes() if x is None else x
    return sp.deploy(network(), chip, x, column=column, backends_wanted=["emulator"], **options)


@pytest.fixture(scope="module")
def result():
    return deployed("sanafe")


def test_the_parts_of_the_steps_and_their_barrier_are_the_time_of_a_sample(result):
    time = result["time"]
    assert (time["known"], time["column"], time["model"]) == (True, "sanafe", "detailed")
    steps = time["latency"]["steps"]
    assert steps == result["steps"] + result["latency_steps"]
    assert sum(time["parts"].values()) == pytest.approx(time["seconds_per_step"])
    assert time["latency"]["seconds"] == pytest.approx(steps * time["seconds_per_step"])
    assert time["throughput"]["samples_per_second"] == pytest.approx(1 / time["latency"]["seconds"])
    assert sum(row["seconds"] for row in time["steps"]) == pytest.approx(time["latency"]["seconds"])
    low, high = time["interval"]
    assert low < time["seconds_per_step"] < high
    assert time["worst_step"]["seconds"] == max(row["most"] for row in time["steps"])


def test_every_step_has_its_critical_core_and_what_it_waits_for(result):
    for row in result["time"]["steps"]:
        assert row["least"] <= row["seconds"] <= row["most"]
        assert row["bound"] in ("compute", "memory", "traffic")
        assert row["core"] in {core["core"] for core in result["cores"]}
        parts = sum(row[part] for part in ("compute", "memory", "traffic", "barrier"))
        assert parts == pytest.approx(row["seconds"])
    assert sum(result["time"]["bound"].values()) == pytest.approx(1)
    assert sum(core["critical_share"] for core in result["cores"]) == pytest.approx(1)
    (first, *_) = result["time"]["critical_cores"]
    assert first["populations"]["lif"] == 30


def test_columns_have_models_and_barriers_of_their_own(result):
    columns = result["time"]["columns"]
    assert {name: each["model"] for name, each in columns.items()} == {
        "davies2018": "simple", "sanafe": "detailed",
    }  # fmt: skip
    for name, seconds in BARRIER.items():
        other = deployed(name)["time"]
        assert other["parts"]["barrier"] == seconds
        assert other["seconds_per_step"] == columns[name]["seconds_per_step"]
        assert all(("Davies" in s) == (name == "davies2018") for s in other["sources"])


def test_energy_times_time_with_what_stands_still(result):
    energy, time = result["energy"], result["time"]
    seconds = time["latency"]["seconds"]
    assert energy["static_joules_per_sample"] == pytest.approx(0.1044 * seconds)
    total = energy["joules_per_sample"] + energy["static_joules_per_sample"]
    assert energy["total_joules_per_sample"] == pytest.approx(total)
    assert time["energy_delay"]["joule_seconds"] == pytest.approx(total * seconds)
    assert time["energy_delay"]["of"] == "dynamic and static"
    assert energy["host"]["joules_per_sample"] is None
    assert energy["host"]["operations"]["packets_per_sample"] == pytest.approx(
        spikes().sum() / len(spikes())
    )


def test_the_simple_model_can_be_asked_for(result):
    simple = deployed("sanafe", timing="simple")["time"]
    assert simple["model"] == "simple"
    assert simple["pressure"] is None
    assert simple["seconds_per_step"] <= result["time"]["seconds_per_step"]
    with pytest.raises(ChipError, match="no detailed model"):
        deployed("davies2018", timing="detailed")
    with pytest.raises(ChipError, match="no timing model 'exact'"):
        deployed(timing="exact")
    with pytest.raises(ChipError, match="loihi2 has no simple model of time"):
        deployed(chip="loihi2", timing="simple")


def test_a_step_budget_that_is_broken_names_its_core():
    """A time step of a microsecond: the barrier alone takes more than half of it."""
    fast = network().with_semantics(sp.Semantics(dt=1e-3, dialect="nir"))
    result = sp.deploy(
        fast, "loihi1", spikes(), dt=1e-6, column="sanafe", backends_wanted=["emulator"],
        settings=["tau=1e-5"],
    )  # fmt: skip
    budget = result["time"]["budget"]
    assert budget["seconds"] == 1e-6
    assert budget["source"] == "the time step of the network, in real time"
    assert not budget["keeps_up"]
    assert budget["over"] > 0.5
    assert [core["core"] for core in budget["cores"]] == [result["cores"][0]["core"]]
    slow = deployed("sanafe")["time"]["budget"]
    assert (slow["keeps_up"], slow["over"], slow["cores"]) == (True, 0.0, [])
    assert slow["times"] > 100


def test_a_chip_without_times_says_so_and_what_is_static_is_unknown_too():
    result = deployed(chip="loihi2")
    assert result["time"] == {
        "known": False,
        "why": "no time per event has been published for loihi2",
        "columns": {},
    }
    result = deployed(chip="generic_graded")
    assert result["time"]["why"] == "the column davies2018 states no times"
    assert result["energy"]["static_joules_per_sample"] is None
    assert result["energy"]["joules_per_sample"] > 0


def test_a_streamed_run_is_timed_per_sample():
    apart, stream = deployed("davies2018"), deployed("davies2018", stream=True)
    assert stream["time"]["latency"]["steps"] == pytest.approx(
        result_steps(stream) + stream["latency_steps"] / len(spikes())
    )
    assert stream["time"]["latency"]["seconds"] < apart["time"]["latency"]["seconds"]


def result_steps(result):
    return result["steps"]


def test_budgets_of_time_and_energy_delay_are_kept_or_broken(tmp_path):
    kept = deployed("sanafe", fail_on="time>1e-3,energy_total>1,energy_delay>1")
    assert kept["budget"]["passed"]
    broken = deployed("sanafe", fail_on="time>1e-9")
    (item,) = broken["budget"]["items"]
    assert (item["ok"], item["new"]) == (False, broken["time"]["latency"]["seconds"])
    with pytest.raises(ChipError, match="the budget limits the time"):
        deployed(chip="loihi2", fail_on="time>1")


def test_the_result_is_plain_json(result):
    assert json.loads(json.dumps(result["time"], allow_nan=False)) == result["time"]
    assert json.loads(json.dumps(result["energy"], allow_nan=False)) == result["energy"]
    names = [row["name"] for row in result["baselines"]["rows"]]
    assert {"cpu_i7_4960x", "horowitz_fp32"} <= set(names)


def test_silence_takes_a_look_at_every_neuron_and_the_barrier():
    quiet = deployed("davies2018", x=np.zeros_like(spikes()))["time"]
    compartments = 30
    assert quiet["seconds_per_step"] == pytest.approx(compartments * 5.3e-9 + 113e-9)
    assert quiet["bound"] == {"compute": 1.0, "memory": 0.0, "traffic": 0.0}
