"""What every simulator's script shares: its workload, its clocks, and its answer, one JSON line.

A script is called as  SCRIPT FOLDER WORKLOAD STEPS REPETITIONS VARIANT  in its simulator's own
environment, and knows nothing of spikeport. Python 3.8 and NumPy are enough for this file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

BEGAN = time.perf_counter()  # before a script imports its simulator
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import workloads  # noqa: E402


class Arguments:
    """The command line: a shortened workload, how often to run it, and in which variant."""

    def __init__(self, argv):
        folder, name, steps, repetitions, self.variant = argv[1:6]
        self.workload = workloads.read(folder, name).shortened(int(steps))
        self.repetitions = int(repetitions)


def arguments():
    """Return what the command line says."""
    return Arguments(sys.argv)


def cpu_of_this_process():
    """Return user and system seconds of all its threads."""
    return time.process_time()


def cpu_of_all_processes():
    """Return user and system seconds of this process and of those that it started and that live.

    By /proc: children count in the clocks of their parent when they have ended, not before.
    """
    parents, seconds = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            parents[int(entry.name)] = int(fields[1])
            ticks = int(fields[11]) + int(fields[12])
            seconds[int(entry.name)] = ticks / os.sysconf("SC_CLK_TCK")
    mine = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in mine} - mine
        mine, grown = mine | more, bool(more)
    return sum(seconds.get(pid, 0.0) for pid in mine)


def measure(given, build, run, count, cpu=cpu_of_this_process, **said):
    """Build and run so often, and report the run with the least CPU time.

    Args:
        given: what `arguments` returned.
        build: from a workload to a model that is ready.
        run: from the model to nothing; this alone is timed.
        count: from the model to the spikes of every population but the input.
        cpu: a clock.
        said: more that is reported: `version`.
    """
    taken, start_s = [], None
    for _ in range(given.repetitions):
        model = build(given.workload)
        start_s = time.perf_counter() - BEGAN if start_s is None else start_s
        wall, used = time.perf_counter(), cpu()
        run(model)
        taken.append((cpu() - used, time.perf_counter() - wall))
        spikes = [int(total) for total in count(model)]
    report(given, given.variant, min(taken), spikes, start_s=start_s, **said)


def report(given, variant, taken, spikes, **said):
    """Print the line that the caller looks for.

    Args:
        given: what `arguments` returned.
        variant: name of the way in which it was run.
        taken: (CPU seconds, wall seconds).
        spikes: of every population but the input, or one number where that is all there is.
        said: more fields of the line.
    """
    line = {"variant": variant, "cpu_s": taken[0], "wall_s": taken[1], "spikes": spikes}
    print("RESULT " + json.dumps({**line, "steps": given.workload.steps, **said}), flush=True)
