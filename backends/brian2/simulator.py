"""Run a `Clocked` network in Brian2, all samples in one Brian2 network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from spikeport.backends.brian2 import environment, recording
from spikeport.backends.brian2.groups import Placed, Stage, place_all, schedule
from spikeport.backends.brian2.synapses import connect_all
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events, Traces

REPORT_S = 0.2
NOTE = (
    "an independent float64 simulation of the same per-step equations: independent in code "
    "(Brian2's code generation, synapses, delays, thresholds), not in the time discretisation"
)
Progress = Callable[[int, int], None]


def run(
    clocked: Clocked,
    inputs: Mapping[str, Array],
    steps: int | None = None,
    state: State | None = None,
    probe: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Traces:
    """Run the network and return what happened, in the layout of the reference's Traces.

    Args:
        clocked: under any delays; populations in topological order.
        inputs: input name -> (samples, steps, n), spikes, counts or real values; zeros follow
            where `steps` is longer.
        steps: how many steps to take; by default until every population has answered.
        state: where to go on; by default the initial state. A State of the reference will do.
        probe: `NAME.v` or `NAME.u` to record after each step.
        progress: called with (steps done, steps in all), several times a second.

    Raises:
        MissingError: Brian2 is not installed.
        LoweringError: a kind of neuron that Brian2 is not told how to step.
        BackendError: Brian2 is set to a device that only writes code, or could not compile.
        DataError: the environment variable for the target names none.
    """
    began = time.perf_counter()
    _check_pace(clocked)
    brian2 = environment.load()
    samples, given = next(iter(inputs.values())).shape[:2]
    steps = given + clocked.last_lag if steps is None else steps
    first = 0 if state is None else state.step
    driven = {name: _padded(inputs[name], steps) for name in clocked.inputs}
    with environment.settled(brian2):
        stage = Stage(
            brian2=brian2,
            clock=brian2.Clock(dt=clocked.dt * brian2.second, name="steps"),
            clocked=clocked,
            samples=samples,
            steps=steps,
            history={} if state is None else dict(state.history),
        )
        placed = place_all(stage, driven)
        recording.restore(placed, {} if state is None else state.variables)
        monitors = {name: recording.sent_monitor(stage, placed[name]) for name in clocked.neurons}
        probes = recording.probe_monitors(stage, placed, probe)
        network = brian2.Network()
        network.schedule = schedule(len(placed))
        network.add(
            [each.group for each in placed.values()],
            connect_all(stage, placed),
            list(monitors.values()),
            [monitor for monitor, _ in probes.values()],
        )
        for since, until in _stretches(clocked, first, steps):
            _awaken(clocked, placed, first + since)
            network.run(
                (until - since) * stage.dt,
                report=_reporter(since, until, steps, progress),
                report_period=REPORT_S * brian2.second,
                namespace={},
            )
            environment.check_compiled(network)
        sent = _sent(stage, placed, monitors, driven)
        probed = {key: recording.recorded(stage, *seen) for key, seen in probes.items()}
        variables = {name: recording.kept(stage, placed[name]) for name in clocked.neurons}
    progress(steps, steps)
    populations = clocked.populations
    spiking = {name: a for name, a in sent.items() if recording.has_events(populations[name], a)}
    return Traces(
        source="brian2",
        dt=clocked.dt,
        samples=samples,
        steps=steps,
        model_steps=min(given, max(steps - clocked.last_lag, 0)),
        spikes={name: Events.from_dense(a, populations[name].shape) for name, a in spiking.items()},
        probes=probed,
        lags=dict(clocked.lags),
        counters={
            name: {"spikes": spiking[name].sum(axis=1, dtype=np.int64)}
            for name in clocked.neurons
            if name in spiking
        },
        state=State(first + steps, variables, _history(stage, sent)),
        output=clocked.output,
        notes=(f"Brian2 {brian2.__version__}: {NOTE}",),
        seconds=time.perf_counter() - began,
    )


def _padded(values: Array, steps: int) -> Array:
    """Return (samples, steps, n): what is given, cut or followed by zeros."""
    padded = np.zeros((values.shape[0], steps, values.shape[2]))
    length = min(steps, values.shape[1])
    padded[:, :length] = values[:, :length]
    return padded


def _stretches(clocked: Clocked, first: int, steps: int) -> list[tuple[int, int]]:
    """Return the stretches of a run, (from, until), between which populations start to move."""
    starts = {population.start_step - first for population in clocked.populations.values()}
    inside = {start for start in starts if 0 < start < steps}
    return list(pairwise(sorted({0, steps} | inside)))


def _awaken(clocked: Clocked, placed: Mapping[str, Placed], step: int) -> None:
    """Let those populations move whose first step is not later than `step`."""
    for name, each in placed.items():
        for moving in each.moving:
            moving.active = step >= clocked.populations[name].start_step


def _reporter(since: int, until: int, steps: int, progress: Progress) -> Callable[..., None]:
    """Return what Brian2 calls with (elapsed, share done, start, duration)."""

    def report(elapsed: Any, done: float, start: Any, duration: Any) -> None:
        progress(since + round(done * (until - since)), steps)

    return report


def _sent(
    stage: Stage,
    placed: Mapping[str, Placed],
    monitors: Mapping[str, Any],
    driven: Mapping[str, Array],
) -> dict[str, Array]:
    """Return what every population sent, (samples, steps, n)."""
    sent = {}
    for name, population in stage.clocked.populations.items():
        if name in monitors:
            sent[name] = recording.raster(stage, placed[name], monitors[name])
        elif name in driven:
            sent[name] = driven[name]
        else:
            sent[name] = np.ones((stage.samples, stage.steps, population.size))
    return sent


def _history(stage: Stage, sent: Mapping[str, Array]) -> dict[str, Array]:
    """Return what every population sent in the last D steps, (D, samples, n), newest last."""
    depth = max((p.delay for p in stage.clocked.projections), default=0)
    found = {}
    for name, raster in sent.items():
        nothing = np.zeros((depth, stage.samples, raster.shape[2]))
        joined = np.concatenate([stage.history.get(name, nothing), np.moveaxis(raster, 1, 0)])
        found[name] = joined[len(joined) - depth :].copy()
    return found


def _check_pace(clocked: Clocked) -> None:
    if clocked.slow > 1:
        raise LoweringError(
            f"the network takes {clocked.slow} steps per step of its own (--slow)",
            "in Brian2 every population moves in every step",
            "run it without --slow, or on the reference",
        )
