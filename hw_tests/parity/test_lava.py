"""Our integers against running Lava 0.10: every u, v and spike of every neuron and step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeport.backends import emulator
from spikeport.compiler import fixed
from spikeport.compiler.errors import BackendError, DataError, LoweringError, OutputError
from spikeport.compiler.host import host_biases
from spikeport.compiler.network import Convolution
from spikeport.compiler.program import (
    BRIAN2_LOIHI,
    CellPopulation,
    HostCurrent,
    HostTarget,
    Program,
    Synapses,
)
from spikeport.models.neurons.membrane import start_integer, step_integer


def loop(program, inputs, steps, drive=None):
    """Step a Program with our arithmetic, written as plainly as can be."""
    samples = len(next(iter(inputs.values())))
    spikes = {
        name: np.zeros((samples, steps, each.size), np.int64)
        for name, each in program.populations.items()
    }
    for name, raster in inputs.items():
        if name not in program.host:
            given = raster[:, :steps]
            spikes[name][:, : given.shape[1]] = given
    cells = {name: program.populations[name].cell for name in program.neurons}
    state = {name: start_integer(cell, samples) for name, cell in cells.items()}
    probes = {
        f"{name}.{variable}": np.zeros(spikes[name].shape, np.int64)
        for name in cells
        for variable in ("u", "v")
    }
    for t in range(steps):
        for name, cell in cells.items():
            received = np.zeros(spikes[name][:, 0].shape, np.int64)
            for each in program.into(name):
                if t >= each.delay_steps:
                    sent = spikes[each.pre][:, t - each.delay_steps]
                    weight = each.mantissa.astype(np.int64)
                    received += fixed.shift((weight @ sent.T).T, each.exponent)
            bias = cell.bias_mantissa.astype(np.int64) << cell.bias_exponent
            if drive and name in drive:
                bias = bias + drive[name][:, t]
            if t >= cell.start_step:
                spikes[name][:, t], _ = step_integer(
                    cell, program.arithmetic, state[name], received, bias
                )
            probes[f"{name}.u"][:, t] = state[name]["u"]
            probes[f"{name}.v"][:, t] = state[name]["v"]
    return spikes, probes


def emulated(run):
    """Return what `loop` returns, of the emulator itself."""
    probe = [f"{name}.{variable}" for name in run.program.neurons for variable in ("u", "v")]
    traces = emulator.run(run.program, run.inputs, run.steps, probe=probe)
    silent = {name: np.zeros_like(traces.probes[f"{name}.v"]) for name in run.program.neurons}
    spikes = silent | {name: events.dense() for name, events in traces.spikes.items()}
    return spikes, traces.probes


def differences(traces, spikes, probes):
    """Return {what: (cells that differ, first of them)} of a Lava run against the loop."""
    found = {}
    sent = {name: events.dense() for name, events in traces.spikes.items()}
    pairs = [(name, sent.get(name, 0 * raster), raster) for name, raster in spikes.items()]
    pairs += [(key, traces.probes[key], values) for key, values in probes.items()]
    for name, ours, theirs in pairs:
        different = np.argwhere(ours != theirs)
        if len(different):
            found[name] = (len(different), different[0].tolist())
    return found


def two_layers(networks, seed=0, delay=3, **changes):
    """An input, two layers, one of them recurrent; `changes` go into the second layer's cell."""
    rng = np.random.default_rng(seed)
    lively = {"v_threshold": np.full(6, 300, np.int32), "bias_mantissa": np.full(6, 40, np.int32)}
    populations = {
        "in": networks.population("input", 4),
        "a": networks.population("CubaLIF", 5, networks.cell(rng, 5)),
        "b": networks.population("CubaLIF", 6, networks.cell(rng, 6, **(lively | changes))),
    }
    synapses = (
        Synapses.of("ab", "a", "b", networks.weights(rng, 6, 5, "mixed", 8, 1.0), 0, "mixed"),
        Synapses.of("in-a", "in", "a", networks.weights(rng, 5, 4, "mixed", 6, 1.0), 3, "mixed", 6),
        Synapses.of(
            "bb",
            "b",
            "b",
            networks.weights(rng, 6, 6, "inhibitory", 8, 1.0),
            -2,
            "inhibitory",
            8,
            delay,
        ),
        Synapses.of(
            "in-b", "in", "b", networks.weights(rng, 6, 4, "excitatory", 8, 1.0), 1, "excitatory"
        ),
    )
    program = Program(1e-3, populations, synapses, {"out": "b"}, {"a": 1, "b": 2})
    x = (rng.random((2, 30, 4)) < 0.4).astype(np.uint8)
    return program, {"in": x}


# --- equal to Lava ---------------------------------------------------------------------------


def test_500_random_networks_equal_lava_in_every_u_v_and_spike(lava, networks):
    cells = spikes = 0
    for batch in networks.batches(seed=1, networks=500, in_batch=125):
        jobs = [lava.Job(run.program, run.inputs, run.steps) for run in batch]
        for run, traces in zip(batch, lava.run_many(jobs), strict=True):
            ours = loop(run.program, run.inputs, run.steps)
            assert differences(traces, *ours) == {}
            assert differences(traces, *emulated(run)) == {}
            cells += sum(values.size for values in traces.probes.values())
            spikes += sum(traces.spikes[name].total for name in traces.spikes)
    assert cells > 200_000
    assert spikes > 10_000


def test_sums_that_wrap_clip_and_overflow_int32_equal_lava(lava, networks):
    runs = [networks.edges(), networks.overflowing(seed=3)]
    jobs = [lava.Job(run.program, run.inputs, run.steps) for run in runs]
    for run, traces in zip(runs, lava.run_many(jobs), strict=True):
        assert differences(traces, *loop(run.program, run.inputs, run.steps)) == {}
        assert differences(traces, *emulated(run)) == {}
    edges, far = (loop(run.program, run.inputs, run.steps)[1] for run in runs)
    assert edges["lif0.u"].max() == 1 << 23  # 2**23 itself is legal in Lava's u
    assert far["lif0.u"].max() > 1 << 24  # one period is taken off, not all of them
    assert far["lif0.u"].min() < -(1 << 24)  # int32 overflowed to the other side


def test_input_counts_are_graded_spikes(lava, networks):
    program, inputs = two_layers(networks)
    counts = {"in": inputs["in"] * np.arange(1, 31)[:, None]}
    once = replace(program, synapses=program.synapses[1:2])
    jobs = [lava.Job(each, counts, 30) for each in (program, once)]
    for job, traces in zip(jobs, lava.run_many(jobs), strict=True):
        assert differences(traces, *loop(job.program, counts, 30)) == {}


def test_the_recording_of_lava_equals_our_integers(networks):
    for run in networks.load():
        for spikes, probes in (loop(run.program, run.inputs, run.steps), emulated(run)):
            for name in run.program.neurons:
                np.testing.assert_array_equal(spikes[name], run.spikes[name])
                np.testing.assert_array_equal(probes[f"{name}.u"], run.u[name])
                np.testing.assert_array_equal(probes[f"{name}.v"], run.v[name])


def test_only_the_recorder_is_ours_when_lava_has_everything(lava, networks):
    program, inputs = two_layers(networks)
    traces = lava.run(program, inputs)
    assert traces.extra["processes"] == {
        "RingBuffer": 1,
        "LIF": 1,
        "Sparse": 3,
        "DelaySparse": 1,
        "Recorder": 1,
    }
    assert traces.extra["own_processes"] == ["Recorder"]
    assert traces.extra["lava_version"].startswith("0.10")
    assert traces.notes == ()
    assert (traces.steps, traces.model_steps) == (32, 30)


# --- what Lava lacks: a process of ours on top of its step -----------------------------------


def full(size, value):
    return np.full(size, value, np.int32)


OWN = {
    "reset subtract": {"reset": "subtract"},
    "reset none": {"reset": "none"},
    "v_reset is not 0": {"v_reset": full(6, -777)},
    "refractory steps": {"refractory_steps": np.array([1, 2, 3, 4, 5, 63], np.int32)},
    "v_min": {"v_min": full(6, -500), "bias_mantissa": full(6, -40)},
    "start step": {"start_step": 7, "v_initial": full(6, 5000)},
}


def test_what_lava_lacks_runs_in_a_process_of_ours_and_is_named(lava, networks):
    cases = [two_layers(networks, seed, **change) for seed, change in enumerate(OWN.values())]
    jobs = [lava.Job(program, inputs, 30) for program, inputs in cases]
    for reason, job, traces in zip(OWN, jobs, lava.run_many(jobs), strict=True):
        assert differences(traces, *loop(job.program, job.inputs, 30)) == {}, reason
        assert traces.spikes["b"].total > 0, reason
        assert len(traces.notes) == 1
        assert f"'b' needs ({reason})" in traces.notes[0]
        assert "SpikeportLif" in traces.extra["own_processes"]


def hosted(networks, static):
    """A layer whose drive the host computes from a real-valued input, from step 2 on."""
    rng = np.random.default_rng(4)
    size = 6
    target = HostTarget(
        matrix=rng.normal(size=(size, 3)),
        offset=np.zeros(size),
        gain=full(size, 900).astype(float),
        keep=np.zeros(size),
        exponent=2,
        lag=0 if static else 2,
        register=4095,
    )
    cell = networks.cell(rng, size, bias_mantissa=full(size, 0), v_threshold=full(size, 100))
    populations = {
        "pixels": networks.population("input", 3),
        "b": networks.population("LIF", size, cell),
    }
    host = {"pixels": HostCurrent("pixels", static, {"b": (target,)})}
    program = Program(1e-3, populations, (), {"out": "b"}, {"b": 0}, host=host)
    x = rng.normal(size=(3, 20, 3))
    return program, {"pixels": np.repeat(x[:, :1], 20, axis=1) if static else x}


def test_static_host_currents_are_bias_registers_and_others_need_a_process_of_ours(lava, networks):
    cases = [hosted(networks, static) for static in (True, False)]
    traces = lava.run_many([lava.Job(program, inputs, 20) for program, inputs in cases])
    for (program, inputs), each in zip(cases, traces, strict=True):
        drive = host_biases(program, inputs, 20)
        assert differences(each, *loop(program, inputs, 20, drive)) == {}
        assert each.spikes["b"].total > 0
    assert traces[0].notes == ()
    assert "host drive that changes" in traces[1].notes[0]


# --- state -----------------------------------------------------------------------------------


def pieces(x, first, last):
    """Return the steps first .. last of every input."""
    return {name: raster[:, first:last] for name, raster in x.items()}


def test_a_run_of_a_and_b_is_a_run_of_a_then_b_from_its_state(lava, networks):
    cases = [two_layers(networks), *(two_layers(networks, 9, **OWN[name]) for name in OWN)]
    cuts = (1, 12)
    begun = [lava.Job(program, x, steps) for steps in (25, *cuts) for program, x in cases]
    answers = lava.run_many(begun)
    whole, first = answers[: len(cases)] * len(cuts), answers[len(cases) :]
    jobs = begun[len(cases) :]
    rest = [
        lava.Job(job.program, pieces(job.inputs, job.steps, 25), 25 - job.steps, traces.state)
        for job, traces in zip(jobs, first, strict=True)
    ]
    for one, a, b in zip(whole, first, lava.run_many(rest), strict=True):
        for key in one.probes:
            joined = np.concatenate([a.probes[key], b.probes[key]], axis=1)
            np.testing.assert_array_equal(one.probes[key], joined)
        for name in one.spikes:
            joined = np.concatenate([each.spikes[name].dense() for each in (a, b)], axis=1)
            np.testing.assert_array_equal(one.spikes[name].dense(), joined)
            np.testing.assert_array_equal(one.state.history[name], b.state.history[name])
        assert one.state.step == b.state.step == 25
        for name, variables in one.state.variables.items():
            for variable, values in variables.items():
                np.testing.assert_array_equal(values, b.state.variables[name][variable])


def test_a_delay_line_takes_over_where_delay_sparse_is_slow(lava, networks):
    rng = np.random.default_rng(8)
    size = 700
    populations = {
        "in": networks.population("input", size),
        "a": networks.population("LIF", size, networks.cell(rng, size)),
    }
    matrix = networks.weights(rng, size, size, "mixed", 8, 0.9)
    synapses = (Synapses.of("w", "in", "a", matrix, -1, "mixed", 8, 6),)
    program = Program(1e-3, populations, synapses, {"out": "a"}, {"a": 0})
    x = {"in": (rng.random((1, 14, size)) < 0.1).astype(np.uint8)}
    whole, first = lava.run_many([lava.Job(program, x, 14), lava.Job(program, x, 5)])
    assert differences(whole, *loop(program, x, 14)) == {}
    assert "SpikeDelay" in whole.extra["own_processes"]
    rest = lava.run(program, pieces(x, 5, 14), 9, first.state)
    np.testing.assert_array_equal(rest.probes["a.v"], whole.probes["a.v"][:, 5:])


# --- convolution -----------------------------------------------------------------------------


def convolution(rng, shape, out, kernel, stride, padding, dilation, groups):
    """Return an integer Convolution and its matrix, written out entry by entry."""
    channels, height, width = shape
    weight = 2 * rng.integers(-128, 128, (out, channels // groups, *kernel))
    weight = weight.astype(np.int32)
    reach = [dilation[k] * (kernel[k] - 1) + 1 for k in range(2)]
    rows = (height + 2 * padding[0] - reach[0]) // stride[0] + 1
    columns = (width + 2 * padding[1] - reach[1]) // stride[1] + 1
    matrix = np.zeros((out, rows, columns, channels, height, width), np.int32)
    for o, i, y, x, r, c in np.ndindex(*weight.shape, rows, columns):
        down = r * stride[0] + y * dilation[0] - padding[0]
        right = c * stride[1] + x * dilation[1] - padding[1]
        channel = o // (out // groups) * (channels // groups) + i
        if 0 <= down < height and 0 <= right < width:
            matrix[o, r, c, channel, down, right] += weight[o, i, y, x]
    result = (out, rows, columns)
    geometry = Convolution(weight, stride, padding, dilation, groups, shape, result)
    return geometry, matrix.reshape(np.prod(result), np.prod(shape)), result


def test_a_convolution_runs_in_lavas_conv_and_equals_sparse(lava, networks):
    rng = np.random.default_rng(6)
    shape = (2, 6, 7)
    one, first, middle = convolution(rng, shape, 4, (3, 2), (1, 2), (1, 0), (1, 2), 1)
    two, second, last = convolution(rng, middle, 2, (2, 3), (2, 1), (0, 1), (1, 1), 2)

    def grid(kind, shape, lively=True):
        size = int(np.prod(shape))
        cell = None if kind == "input" else networks.cell(rng, size)
        return CellPopulation(kind, shape, cell, np.ones(size))

    populations = {
        "in": grid("input", shape),
        "a": grid("IF", middle),
        "b": grid("IF", last),
        "c": grid("LIF", (5,)),
    }
    dense = networks.weights(rng, 5, int(np.prod(last)), "mixed", 8, 1.0)
    synapses = (
        Synapses.of("one", "in", "a", first, 1, "mixed", conv=one),
        Synapses.of("two", "a", "b", second, 0, "mixed", conv=two),
        Synapses.of("three", "b", "c", dense, 0, "mixed"),
        Synapses.of("back", "c", "b", np.ascontiguousarray(dense.T), -1, "mixed", 8, 2),
    )
    program = Program(1e-3, populations, synapses, {"out": "c"}, {"c": 3})
    x = {"in": (rng.random((3, 15, *shape)) < 0.3).astype(np.uint8)}
    flat = {"in": x["in"].reshape(3, 15, -1)}

    begun = lava.run(program, x, 6)
    assert begun.extra["projections"] == {
        "one": "Conv",
        "two": "Conv",
        "three": "Sparse",
        "back": "DelaySparse",
    }
    rest = lava.run(program, pieces(x, 6, 15), 12, begun.state)
    plain = replace(program, synapses=tuple(replace(each, conv=None) for each in synapses))
    as_sparse = lava.run(plain, x, 18)
    assert as_sparse.extra["projections"]["one"] == "Sparse"
    assert as_sparse.spikes["b"].total > 0
    assert differences(as_sparse, *loop(program, flat, 18)) == {}
    for key, values in as_sparse.probes.items():
        joined = np.concatenate([begun.probes[key], rest.probes[key]], axis=1)
        np.testing.assert_array_equal(values, joined)


# --- the bundle, and what goes wrong ---------------------------------------------------------


def test_an_exported_bundle_runs_without_spikeport(lava, networks, tmp_path):
    from spikeport.backends.lava.environment import find_python

    program, inputs = two_layers(networks)
    folder = lava.export(program, tmp_path / "bundle")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "arrays.npz",
        "network.json",
        "run_lava.py",
    ]
    np.savez(tmp_path / "input.npz", **{"0/spikes/in": inputs["in"]})
    subprocess.run(
        [find_python(), folder / "run_lava.py", "--input", "input.npz", "--out", "out.npz"],
        cwd=tmp_path,
        env={"PATH": os.defpath},
        check=True,
        timeout=60,
    )
    spikes, probes = loop(program, inputs, 32)
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["0/spikes/b"], spikes["b"])
        np.testing.assert_array_equal(out["0/v/b"], probes["b.v"])
        assert json.loads(str(out["summary"]))["processes"]["LIF"] == 1


def test_a_bundle_is_not_written_over_something_else(lava, networks, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    program, _ = two_layers(networks)
    with pytest.raises(OutputError, match="is in use"):
        lava.export(program, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_another_datapath_than_lavas_is_refused(lava, networks):
    program, inputs = two_layers(networks)
    with pytest.raises(LoweringError, match="cannot run in Lava"):
        lava.run(replace(program, arithmetic=BRIAN2_LOIHI), inputs)


def test_weights_that_lava_would_truncate_are_refused(lava, networks, tmp_path):
    program, _ = two_layers(networks)
    odd = program.synapses[0].with_mantissa(np.ones((6, 5), np.int32))
    with pytest.raises(LoweringError, match="Lava would change weights of 'ab'"):
        lava.export(replace(program, synapses=(odd,)), tmp_path / "bundle")


def test_an_input_of_the_wrong_shape_is_refused(lava, networks):
    program, _ = two_layers(networks)
    with pytest.raises(DataError, match="'in' has 4 neurons"):
        lava.run(program, {"in": np.zeros((2, 9, 5), np.uint8)})


def group_of_lava():
    """Return (leader, members) of the Lava run that this test process started, or (0, [])."""
    table = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_text()
            parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[1:3]
        except OSError:
            continue
        table[int(entry.name)] = (int(parent), int(group), command)
    for pid, (parent, _, command) in table.items():
        if parent == os.getpid() and "run_lava.py" in command:
            return pid, [other for other, (_, group, _) in table.items() if group == pid]
    return 0, []


def disturb(number, sent):
    """Send a signal to one OS process of the Lava run, once it steps."""
    for _ in range(600):
        leader, members = group_of_lava()
        progress = Path(f"/proc/{leader}/cwd/progress")
        if leader and progress.exists() and "step" in progress.read_text():
            os.kill(max(members), number)
            sent.append(members)
            return
        time.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize(
    ("number", "deadline_s", "message"),
    [
        (signal.SIGKILL, 60, r"Lava ended with code 1, .*: .*process '.*' died"),
        (signal.SIGSTOP, 6, r"did not finish within 6 s: it was (in|after) step \d+, "),
    ],
)
def test_a_process_that_dies_or_hangs_ends_the_run_in_time(
    lava, networks, number, deadline_s, message
):
    program, inputs = two_layers(networks)
    members: list[list[int]] = []
    thread = threading.Thread(target=disturb, args=(number, members))
    thread.start()
    began = time.monotonic()
    with pytest.raises(BackendError, match=message):
        lava.run_many([lava.Job(program, inputs, 200_000)], deadline_s)
    assert time.monotonic() - began < deadline_s + 5
    thread.join()
    assert [pid for pid in members[0] if Path(f"/proc/{pid}/cwd").exists()] == []
