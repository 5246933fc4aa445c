"""Brian2's C++ standalone mode, with Loihi's rounding written into its equations by hand.

Two lines are reported: the simulation loop by the program's own clock, which tells wall time (it
stands for CPU time, of which the loop cannot have more than the process), and the whole process of
the compiled program, with its start and its files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from common import BEGAN, arguments, report

import brian2  # isort: skip
from workloads import DECAY_U, DECAY_V  # isort: skip

FLAGS = ["-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-march=native", "-std=c++17"]
STEP = f"""
I = sign(I) * floor(abs(I) * {4096 - DECAY_U} / 4096.0) + received
received = 0
v = sign(v) * floor(abs(v) * {4096 - DECAY_V} / 4096.0) + I
"""


def build(workload):
    """Return (network, spike monitors)."""
    brian2.defaultclock.dt = 1 * brian2.ms
    steps, neurons = workload.events()
    groups = [brian2.SpikeGeneratorGroup(workload.sizes[0], neurons, steps * brian2.ms)]
    monitors = []
    for size, threshold in zip(workload.sizes[1:], workload.thresholds[1:]):  # noqa: B905
        fires = f"v > {64 * threshold}"
        variables = "I : 1\nv : 1\nreceived : 1"
        group = brian2.NeuronGroup(size, variables, threshold=fires, reset="v = 0", method="exact")
        group.run_regularly(STEP, when="groups")
        groups.append(group)
        monitors.append(brian2.SpikeMonitor(group, record=False))
    network = brian2.Network(groups, monitors)
    for at, (pre, post, _, targets, weights) in enumerate(workload.connections):
        synapses = brian2.Synapses(
            groups[pre], groups[post], "w : 1", on_pre="received_post += w", name=f"synapses{at}"
        )
        synapses.connect(i=workload.sources(at), j=targets)
        synapses.w = weights * 64.0
        network.add(synapses)
    network.schedule = ["start", "synapses", "groups", "thresholds", "resets", "end"]
    return network, monitors


def run_program(folder):
    """Run the compiled program; return (CPU s, wall s, s of its loop, largest memory in bytes)."""
    began = time.perf_counter()
    process = subprocess.Popen(
        ["./main", "--results_dir", str(folder / "results") + "/"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the compiled program ended with code {process.returncode}")
    inner = float((folder / "results" / "last_run_info.txt").read_text().split()[0])
    return usage.ru_utime + usage.ru_stime, wall, inner, usage.ru_maxrss * 1024


def main():
    given = arguments()
    folder = Path(tempfile.mkdtemp(prefix="bench-brian2-"))
    try:
        brian2.set_device("cpp_standalone", directory=str(folder), build_on_run=False)
        brian2.prefs.codegen.cpp.extra_compile_args_gcc = FLAGS
        network, monitors = build(given.workload)
        network.run(given.workload.steps * brian2.ms)
        brian2.device.build(directory=str(folder), compile=True, run=False)
        brian2.device.run(str(folder), with_output=False)
        said = {"start_s": time.perf_counter() - BEGAN, "version": brian2.__version__}
        spikes = [int(monitor.num_spikes) for monitor in monitors]
        runs = [run_program(folder) for _ in range(given.repetitions)]
    finally:
        shutil.rmtree(folder)
    said["peak_bytes"] = min(peak for *_, peak in runs)
    loop = min((min(inner, cpu), inner) for cpu, _, inner, _ in runs)
    report(given, "C++, inner loop", loop, spikes, **said)
    report(given, "C++, process", min(runs)[:2], spikes, **said)


if __name__ == "__main__":
    main()
