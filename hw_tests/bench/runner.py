"""Runs a job in a process of its own and returns rows: times, memory, and whether it is exact."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hw_tests.bench.jobs import BENCH, OURS, ROOT, SAVED, Job, command, interpreter

LIMIT_S = 300.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TAIL = 300  # characters of a failed job's complaint that are shown
#: What else is kept of a reported line.
KEPT = (
    "start_s", "version", "build_cpu_s", "events", "synapses", "bytes_per_synapse", "by_step",
)  # fmt: skip

Row = dict[str, Any]


class Ended:
    """A process that has ended: its lines, its seconds, and its largest memory in bytes."""

    def __init__(self, arguments: Sequence[str], threads: int = 1, limit_s: float = LIMIT_S):
        """Run it. What it leaves behind in its process group is ended with it."""
        environment = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
        if threads == 1:
            environment |= ONE_THREAD
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
            began = time.perf_counter()
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=complaints,
                cwd=ROOT, env=environment, start_new_session=True,
            )  # fmt: skip
            watchdog = threading.Timer(limit_s, _end_group, (process.pid,))
            watchdog.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            finally:  # also where this process is asked to end
                watchdog.cancel()
                _end_group(process.pid)
            self.wall_s = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0), complaints.seek(0)
            self.lines = out.read().decode(errors="replace").splitlines()
            self.complaint = complaints.read().decode(errors="replace").strip()[-TAIL:]
        self.code, self.peak_bytes = process.returncode, usage.ru_maxrss * 1024
        self.cpu_s = usage.ru_utime + usage.ru_stime
        if self.wall_s >= limit_s:
            self.complaint = f"it did not end within {limit_s:g} s"

    @property
    def results(self) -> list[Row]:
        """What it reported."""
        marked = [line[7:] for line in self.lines if line.startswith("RESULT ")]
        return [json.loads(line) for line in marked]


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def run_job(job: Job, data: Path, length: int, reference: Sequence[Sequence[int]]) -> list[Row]:
    """Return the rows of a job, one with an `error` where it failed, none without its Python.

    Args:
        job: what to run.
        data: folder of the workloads.
        length: steps of the whole workload.
        reference: spikes of every step, for every population but the input; empty where unknown.
    """
    python = interpreter(job.peer)
    if python is None:
        return []
    said = {"workload": job.workload, "peer": job.peer}
    ended = Ended(command(job, python, data), threads=2 if job.variant.startswith("2") else 1)
    if ended.code or not ended.results:
        return [said | {"variant": job.variant, "error": ended.complaint or f"code {ended.code}"}]
    return [said | row_of(each, ended.peak_bytes, length, reference) for each in ended.results]


def prepare(name: str, data: Path) -> int:
    """Make a workload where it is not there yet, in another process; return its steps.

    This process stays small: what a process starts inherits its largest memory.
    """
    ended = Ended([sys.executable, str(BENCH / "workloads.py"), str(data), name], 2)
    if ended.code:
        raise SystemExit(f"the workload {name} could not be made: {ended.complaint}")
    return int(ended.results[0]["steps"])


def run_saved(name: str, data: Path, repetitions: int, reference: Sequence[Sequence[int]]) -> Row:
    """Return the row of a whole process that loads a saved image, runs it and prints the result."""
    said = {"workload": name, "peer": OURS, "variant": SAVED}
    ended = Ended([sys.executable, "-m", "hw_tests.bench.save_workload", str(data), name], 2)
    script = [sys.executable, str(BENCH / "run_saved.py"), str(data), name]
    runs = [Ended(script) for _ in range(repetitions if not ended.code else 0)]
    if ended.code or not runs[0].results:
        return said | {"error": [ended, *runs][-1].complaint}
    fastest = min(runs, key=lambda each: each.wall_s)
    taken = {"variant": SAVED, "cpu_s": fastest.cpu_s, "wall_s": fastest.wall_s}
    result = fastest.results[0] | taken
    row = row_of(result, fastest.peak_bytes, result["steps"], reference)
    return said | row


def row_of(
    result: Mapping[str, Any], peak_bytes: int, length: int, reference: Sequence[Sequence[int]]
) -> Row:
    """Return what is kept of a reported line, the times as of the whole workload."""
    times = length / result["steps"]
    expected = [sum(each[: result["steps"]]) for each in reference]
    row = {
        "variant": result["variant"],
        "cpu_s": result["cpu_s"] * times,
        "wall_s": result["wall_s"] * times,
        "peak_bytes": result.get("peak_bytes", peak_bytes),
        "exact": result["spikes"] == expected if expected else None,
        "spikes_of_reference": sum(result["spikes"]) / sum(expected) if expected else None,
        "steps": result["steps"],
        "extrapolated": times != 1,
    }
    return row | {key: result[key] for key in KEPT if key in result}
