"""The benchmark itself: the same networks everywhere, ratios, targets, tables; no times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from hw_tests.bench import workloads
from hw_tests.bench.bench import chosen
from hw_tests.bench.jobs import BENCH, COUNTED, NUMPY, OURS, SAVED, TWO_THREADS, command, jobs
from hw_tests.bench.ours import ENGINES, inputs_of, program_of
from hw_tests.bench.page import BEGIN, END, measurements, scaling, verdicts, write
from hw_tests.bench.runner import row_of
from hw_tests.bench.targets import fastest_loihi_like, ours, with_ratios

DIGESTS = {
    "w1": "99a5e1ae6f116b15",
    "w1b64": "68883cfb858c69ba",
    "w2_1k": "1e5d185bc4f9696e",
    "w3": "600824a9395abe2a",
}
THEIRS = {"pointers": "ptr", "targets": "idx", "weights": "w"}


def row(workload, peer, variant, cpu, **more):
    """Return a row as a run gives it."""
    found = {"cpu_s": cpu, "wall_s": cpu, "peak_bytes": 200_000_000, "exact": True}
    found |= {"spikes_of_reference": 1.0, "extrapolated": False, "steps": 100}
    return {"workload": workload, "peer": peer, "variant": variant} | found | more


# --- networks --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIGESTS)
def test_a_workload_is_the_same_on_every_machine(name):
    assert workloads.MADE[name](name).digest() == DIGESTS[name]


def test_the_workloads_are_those_that_the_peers_were_first_measured_on(shared, tmp_path):
    names = ["w1", "w2_1k", "w3"]
    script = [sys.executable, str(shared / "bench" / "workloads.py"), *names]
    subprocess.run(script, env={**os.environ, "BENCH_DATA": str(tmp_path)}, check=True)
    for name in names:
        mine, theirs = workloads.MADE[name](name), np.load(tmp_path / f"{name}.npz")
        assert mine.sizes == theirs["sizes"].tolist()
        assert mine.thresholds == theirs["vth"].tolist()
        np.testing.assert_array_equal(mine.input_at, theirs["in_ptr"])
        np.testing.assert_array_equal(mine.input_neurons, theirs["in_idx"])
        for at, key in enumerate(mine.connections):
            assert key[:2] == (theirs["pre"][at], theirs["post"][at])
            for mine_key, their_key in THEIRS.items():
                array = mine.arrays()[f"{mine_key}{at}"]
                np.testing.assert_array_equal(array, theirs[f"{their_key}{at}"])


def test_a_workload_comes_back_from_its_file(tmp_path):
    assert workloads.ensure(tmp_path, "w3") == 300
    assert workloads.read(tmp_path, "w3").digest() == DIGESTS["w3"]
    assert [path.name for path in tmp_path.iterdir()] == ["w3.npz"]


def test_targets_of_a_growing_network_are_different_and_ascending():
    network = workloads.scaled("scale", 2000)
    for pre, _, pointers, targets, _ in network.connections:
        rows = targets.reshape(network.sizes[pre], -1)
        assert (np.diff(rows, axis=1) > 0).all()
        assert pointers[-1] == targets.size
    assert np.unique(network.connections[1][3]).size > 1990  # all over the network


def test_a_shortened_workload_keeps_the_first_steps_of_every_sample():
    whole = workloads.dense("w", 3)
    short = whole.shortened(7)
    assert (short.samples, short.steps) == (3, 7)
    for sample in range(3):
        np.testing.assert_array_equal(short.raster(sample), whole.raster(sample)[:7])


def test_our_program_and_its_events_say_what_the_workload_says():
    workload = workloads.dense("w", 3)
    given = inputs_of(workload)["p0"].dense()
    np.testing.assert_array_equal(given, [workload.raster(sample) for sample in range(3)])
    for at, each in enumerate(program_of(workload).synapses):
        np.testing.assert_array_equal(each.mantissa, workload.matrix(at).T)
    sparse = workloads.recurrent("w", 1000, 10)
    for at, each in enumerate(program_of(sparse).synapses):
        np.testing.assert_array_equal(each.mantissa.toarray(), sparse.matrix(at).T)


# --- jobs ------------------------------------------------------------------------------------


def test_every_job_has_a_script_a_workload_and_a_known_variant(tmp_path):
    for job in jobs():
        line = command(job, BENCH / "python", tmp_path)
        assert job.workload in workloads.MADE
        if job.peer == OURS:
            assert job.variant in ENGINES
        else:
            assert os.path.exists(line[1])


def test_one_peer_is_measured_beside_ours_and_one_workload_with_all():
    by_peer = chosen("torch", quick=True)
    assert {job.peer for job in by_peer} == {OURS, "torch"}
    assert {job.workload for job in by_peer} == {"w1", "w1b64", "w2_1k", "w3"}
    assert {job.workload for job in chosen("w2_1k", quick=False)} == {"w2_1k"}


# --- rows, ratios and targets ----------------------------------------------------------------


def test_a_short_run_is_multiplied_up_and_compared_with_the_first_steps():
    result = {"variant": "sparse", "cpu_s": 2.0, "wall_s": 1.0, "steps": 20, "spikes": [40]}
    reference = [[2] * 100]
    found = row_of(result, 5, 100, reference)
    assert (found["cpu_s"], found["wall_s"]) == (10.0, 5.0)
    assert (found["exact"], found["extrapolated"], found["peak_bytes"]) == (True, True, 5)
    assert not row_of(result | {"spikes": [41]}, 5, 100, reference)["exact"]
    assert row_of(result, 5, 100, [])["exact"] is None


def test_ratios_are_to_our_run_with_cores_counted():
    rows = [
        row("w1", OURS, NUMPY, 9.0),
        row("w1", OURS, COUNTED, 2.0),
        row("w1", OURS, SAVED, 1.0),
        row("w1", "lava", "dense", 300.0),
        {"workload": "w1", "peer": "nest", "variant": "1 thread", "error": "it ended"},
        row("w3", "lava", "sparse", 1.0),
    ]
    assert [each["ratio"] for each in with_ratios(rows)] == [4.5, 1.0, None, 150.0, None, None]


def test_the_fastest_loihi_like_peer_is_no_float_simulator():
    rows = [row("w1", "torch", "1 thread", 1.0), row("w1", "lava", "dense", 9.0)]
    rows.append(row("w1", "sanafe", "simple", 7.0))
    assert fastest_loihi_like(rows, "w1")["peer"] == "sanafe"
    assert ours(rows, "w1") is None


def test_targets_are_met_or_missed_by_a_share():
    rows = with_ratios(
        [
            row("w1b64", OURS, COUNTED, 1.0, wall_s=1.0),
            row("w1b64", OURS, TWO_THREADS, 1.0, wall_s=0.8),
            row("w1b64", "torch", "1 thread", 15.0),
            row("w2_100k", OURS, SAVED, 1.0, peak_bytes=400_000_000),
        ]
    )
    lines = [[cell.strip() for cell in line.split("|")] for line in verdicts(rows).splitlines()]
    said = {(line[1], line[2]): line[3:6] for line in lines}
    torch = said["w1b64", "plain torch, batch 64, one thread"]
    assert torch == ["at least 12 x", "15 x", "met"]
    threads = said["w1b64", "two threads beside one, wall time"]
    assert threads == ["at least 1.8 x", "1.25 x", "missed by 31 %"]
    memory = said["w2_100k", "memory: process, saved image, run"]
    assert memory == ["at most 250 MB", "400 MB", "missed by 38 %"]
    assert said["w2_100k", "the fastest Loihi-like peer"][1:] == ["-", "not measured"]


def test_tables_tell_what_is_not_exact_short_or_failed():
    rows = [
        row("w1", OURS, COUNTED, 0.0005),
        row("w1", "nest", "1 thread", 2.0, exact=False, spikes_of_reference=1.01, start_s=0.5),
        row("w1", "lava", "sparse", 30.0, extrapolated=True),
        {
            "workload": "w1",
            "peer": "torch",
            "variant": "1 thread",
            "error": "called\nno | module here",
        },
    ]
    text = measurements(with_ratios(rows))
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert cells[0][3:] == ["500 us", "500 us", "200 MB", "exact", "1x", "-"]
    assert cells[1][3:] == ["2 s", "2 s", "200 MB", "x 1.0100", "4,000x", "500 ms"]
    assert cells[2][3:5] == ["30 s*", "30 s*"]
    assert cells[3][3] == "failed: no / module here"
    assert {len(each) for each in cells} == {9}


def test_docs_are_written_between_two_comments_again_and_again(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    scale = {"events": 1000, "synapses": 50, "bytes_per_synapse": 2.0, "build_cpu_s": 1.0}
    rows = with_ratios(
        [
            row("w1", OURS, COUNTED, 1.0),
            row("w1", "lava", "dense", 50.0),
            row("scale_10k", OURS, COUNTED, 1.0, **scale),
            row("scale_1m", OURS, COUNTED, 2.0, **scale),
        ]
    )
    for _ in range(2):
        write(rows, [measurements(rows), scaling(rows)], tmp_path)
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith("after\n")
        assert "old" not in text
        assert text.count("| lava") == text.count("| 1,000,000") == 1
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert [each["ratio"] for each in kept] == [1.0, 50.0, 1.0, 1.0]
    assert list(kept[0])[:3] == ["workload", "peer", "variant"]
    names = ("bench.svg", "scaling.svg")
    bars, curve = (ElementTree.parse(tmp_path / each).getroot() for each in names)
    shapes = "{http://www.w3.org/2000/svg}"
    assert len(bars.findall(f"{shapes}rect")) == 2  # the ground and one bar
    assert len(curve.findall(f"{shapes}circle")) == 2
