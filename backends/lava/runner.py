"""Runs Programs in Lava's own interpreter under a watchdog: Programs and inputs in, Traces out.

Many jobs and samples share one Lava run. The bundle that runs is the one that `export` writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.backends.lava.bundle import write_bundle
from spikeport.backends.lava.environment import find_python
from spikeport.compiler.errors import BackendError, DataError
from spikeport.compiler.host import host_biases
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Program
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events, Traces, spread

DEADLINE_S = 600.0
GRACE_S = 2.0  # between asking the process group to end and killing it
STDERR_CHARS = 2000  # of a failed run that are shown
VARIABLES = ("u", "v", "refractory", "pending")


@dataclass(frozen=True, eq=False)
class Job:
    """One run of one Program.

    Attributes:
        program: what runs.
        inputs: input population -> (samples, input steps, *shape): spike counts, or real values
            where the Program has a host for them (those from step 0 of the first run on).
        steps: steps to take; inputs are zero after their end.
        state: where to start from.
    """

    program: Program
    inputs: Mapping[str, Array]
    steps: int
    state: State | None = None

    @property
    def samples(self) -> int:
        """Number of samples of the inputs."""
        return next((len(array) for array in self.inputs.values()), 1)

    @property
    def first_step(self) -> int:
        """Steps taken before this run."""
        return self.state.step if self.state else 0


def run(
    noun: Image | Program,
    inputs: Mapping[str, Array],
    steps: int | None = None,
    state: State | None = None,
    deadline_s: float = DEADLINE_S,
    probe: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Traces:
    """Run one network in Lava; the arithmetic of every step is Lava's.

    Args:
        noun: what to run.
        inputs: input population -> (samples, steps, *shape).
        steps: default: the inputs' length and the lag of the output.
        state: where to start from, of an earlier run here or on the emulator.
        deadline_s: seconds after which the run is killed.
        probe: as for the other backends; Lava records u and v of every neuron anyway.
        progress: called with (steps done, steps in all) when the run has ended.

    Raises:
        MissingError: no interpreter with Lava was found.
        BackendError: Lava failed, or did not answer in time.
    """
    program = noun.program if isinstance(noun, Image) else noun
    if steps is None:
        longest = max((array.shape[1] for array in inputs.values()), default=0)
        steps = longest * program.slow + program.last_lag
    traces = run_many([Job(program, inputs, steps, state)], deadline_s)[0]
    progress(steps, steps)
    return traces


def run_many(jobs: Sequence[Job], deadline_s: float = DEADLINE_S) -> list[Traces]:
    """Run all jobs as one Lava network and return their Traces; see `run`."""
    if not jobs:
        return []
    given = [_job_arrays(number, job) for number, job in enumerate(jobs)]
    python = find_python()
    with tempfile.TemporaryDirectory(prefix="spikeport-lava-") as scratch:
        folder = Path(scratch)
        write_bundle([job.program for job in jobs], folder / "bundle")
        arrays = {key: array for each in given for key, array in each.items()}
        np.savez(folder / "input.npz", **arrays)  # type: ignore[arg-type]
        began = time.monotonic()
        _execute(python, folder, deadline_s)
        seconds = time.monotonic() - began
        with np.load(folder / "traces.npz") as result:
            summary = json.loads(str(result["summary"]))
            return [
                _traces(number, job, result, summary, seconds) for number, job in enumerate(jobs)
            ]


def _job_arrays(number: int, job: Job) -> dict[str, Array]:
    """Return what the bundle reads for one job, by the keys of its README."""
    program, arrays = job.program, {}
    arrays["samples"], arrays["steps"] = np.array(job.samples), np.array(job.steps)
    arrays["first_step"] = np.array(job.first_step)
    if job.steps < 1:
        raise DataError(f"{job.steps} steps cannot be run", "", "run at least one")
    for name in program.inputs:
        raster = _raster(job, name)
        if name not in program.host:
            spikes = np.zeros((job.samples, job.steps, raster.shape[2]), np.int32)
            spread(raster, spikes, program.slow, job.first_step)
            arrays[f"spikes/{name}"] = spikes
    flat = {name: _raster(job, name) for name in program.host}
    for name, bias in host_biases(program, flat, job.steps, job.first_step).items():
        arrays[f"bias/{name}"] = bias
    if job.state is not None:
        for name, variables in job.state.variables.items():
            for variable in set(variables) & set(VARIABLES):
                arrays[f"state/{variable}/{name}"] = variables[variable]
        for name, spikes in job.state.history.items():
            arrays[f"history/{name}"] = np.asarray(spikes, np.int32)
    return {f"{number}/{key}": array for key, array in arrays.items()}


def _raster(job: Job, name: str) -> Array:
    size = job.program.populations[name].size
    if name not in job.inputs:
        raise DataError(
            f"no input for {name!r}",
            f"{job.program.name!r} reads {', '.join(job.program.inputs)}",
            f"give an array for {name!r}",
        )
    array = np.asarray(job.inputs[name])
    if array.ndim < 2 or int(np.prod(array.shape[2:])) != size or len(array) != job.samples:
        raise DataError(
            f"the input {name!r} has shape {array.shape}",
            f"{name!r} has {size} neurons and there are {job.samples} samples",
            "give (samples, steps, *shape)",
        )
    return array.reshape(*array.shape[:2], size)


def _execute(python: Path, folder: Path, deadline_s: float) -> None:
    """Run the bundle in a process group of its own; leave nothing of it behind."""
    arguments = ["--input", "input.npz", "--out", "traces.npz", "--work", "."]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with open(folder / "stderr", "wb") as stderr:
        process = subprocess.Popen(
            [str(python), "-B", "-s", "bundle/run_lava.py", *arguments],
            cwd=folder,
            env={**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            code = process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise BackendError(
                f"Lava did not finish within {deadline_s:g} s",
                f"it was {_progress(folder)}",
                "run fewer steps or samples at once, or allow more time",
            ) from None
        finally:
            _end_group(process)
    if code != 0:
        raise BackendError(
            f"Lava ended with code {code}, {_progress(folder)}",
            _tail(folder / "stderr"),
            "see which process failed; `spikeport doctor` checks the installation",
        )


def _progress(folder: Path) -> str:
    """Return where the run was last: its recorder leaves word before everything it waits for."""
    path = folder / "progress"
    word = path.read_text(errors="replace").strip() if path.exists() else ""
    return word or "before the first step"


def _tail(path: Path) -> str:
    """Return the end of a file, its lines joined by " | "."""
    with open(path, "rb") as file:
        file.seek(max(os.path.getsize(path) - STDERR_CHARS, 0))
        lines = file.read().decode(errors="replace").splitlines()
    return " | ".join(line.strip() for line in lines if line.strip())


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End every process of the run: first by request, so that shared memory is given back."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGCONT)  # a stopped process takes no request
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _traces(
    number: int, job: Job, result: Mapping[str, Any], summary: dict[str, Any], seconds: float
) -> Traces:
    program = job.program
    rasters = {name: result[f"{number}/spikes/{name}"] for name in program.populations}
    probes = {
        f"{name}.{variable}": result[f"{number}/{variable}/{name}"]
        for name in program.neurons
        for variable in ("u", "v")
    }
    reasons = {
        key.partition("/")[2]: why
        for key, why in summary["own_reasons"].items()
        if key.partition("/")[0] == str(number)
    }
    asked = max((array.shape[1] for array in job.inputs.values()), default=job.steps)
    lag = program.last_lag
    return Traces(
        source="lava",
        dt=program.dt,
        samples=job.samples,
        steps=job.steps,
        model_steps=max(min(asked, (job.steps - lag) // program.slow), 0),
        spikes={
            name: Events.from_dense(raster, program.populations[name].shape)
            for name, raster in rasters.items()
            if program.populations[name].sends_spikes
        },
        probes=probes,
        lags=dict(program.lags),
        counters={
            name: {"spikes": np.count_nonzero(raster, axis=1).astype(np.int64)}
            for name, raster in rasters.items()
        },
        state=_state(number, job, rasters, result),
        output=program.output,
        notes=tuple(_note(name, why) for name, why in reasons.items()),
        seconds=seconds,
        slow=program.slow,
        units=program.units,
        extra={
            "lava_version": summary["lava_version"],
            "processes": summary["processes"],
            "own_processes": summary["own_processes"],
            "projections": {name: how for at, name, how in summary["projections"] if at == number},
        },
    )


def _note(name: str, why: Sequence[str]) -> str:
    return (
        f"Lava's own LIF does not have what {name!r} needs ({', '.join(why)}): it ran in a "
        "process of ours"
    )


def _state(number: int, job: Job, rasters: Mapping[str, Array], result: Mapping[str, Any]) -> State:
    variables = {}
    for name in job.program.neurons:
        last = {v: result[f"{number}/{v}/{name}"][:, -1].astype(np.int64) for v in ("u", "v")}
        for variable in ("refractory", "pending"):
            key = f"{number}/{variable}/{name}"
            last[variable] = np.zeros_like(last["u"])
            if key in result:
                last[variable] = result[key][:, -1].astype(np.int64)
        variables[name] = last
    kept = job.program.max_delay
    history = {}
    for name, raster in rasters.items():
        past = np.zeros((kept, *raster[:, 0].shape), np.int32)
        if job.state is not None and name in job.state.history:
            known = job.state.history[name][-kept:]
            past[kept - len(known) :] = known
        history[name] = np.concatenate([past, raster.transpose(1, 0, 2)])[-kept:]
    return State(job.first_step + job.steps, variables, history)
