"""Step a `Clocked` network in float64, all samples at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.kinds import Array
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events, Traces
from spikeport.models.neurons import membrane


def run(
    clocked: Clocked,
    inputs: Mapping[str, Array],
    steps: int | None = None,
    state: State | None = None,
    probe: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Traces:
    """Run the network and return what happened.

    Args:
        clocked: under any delays; populations in topological order.
        inputs: input name -> (samples, steps, n), spikes, counts or real values; zeros follow
            where `steps` is longer.
        steps: how many steps to take; by default until the output has answered.
        state: where to go on; by default the initial state.
        probe: `NAME.v` or `NAME.u` to record (v after reset, u as v saw it).
        progress: called with (steps done, steps in all).
    """
    began = time.perf_counter()
    samples, given = _extent(inputs)
    steps = given + clocked.lags[clocked.output] if steps is None else steps
    depth = max((p.delay for p in clocked.projections), default=0)
    variables, history, first = _start(clocked, samples, depth, state)
    rasters = {
        name: np.zeros((samples, steps, pop.size), float if pop.kind == "input" else np.int32)
        for name, pop in clocked.populations.items()
    }
    for name in clocked.inputs:
        length = min(steps, inputs[name].shape[1])
        rasters[name][:, :length] = inputs[name][:, :length]
    probes = {key: np.zeros((samples, steps, _size(clocked, key))) for key in probe}
    incoming = {name: [(p, _runnable(p)) for p in clocked.into(name)] for name in clocked.neurons}
    for name, pop in clocked.populations.items():
        if pop.kind == "constant":
            rasters[name][:] = 1

    for t in range(steps):
        for name in clocked.neurons:
            pop = clocked.populations[name]
            if first + t < pop.start_step:
                continue
            received = np.zeros((samples, pop.size))
            for projection, apply in incoming[name]:
                received += apply(_sent(rasters, history, projection, t))
            rasters[name][:, t] = membrane.step(pop.cell, variables[name], received)
        for key in probe:
            name, _, variable = key.rpartition(".")
            probes[key][:, t] = variables[name][variable]
        progress(t + 1, steps)

    spikes = {
        name: Events.from_dense(raster, clocked.populations[name].shape)
        for name, raster in rasters.items()
        if name not in clocked.inputs or _whole(raster)
    }
    return Traces(
        source="reference",
        dt=clocked.dt,
        samples=samples,
        steps=steps,
        model_steps=min(given, max(steps - clocked.lags[clocked.output], 0)),
        spikes=spikes,
        probes=probes,
        lags=dict(clocked.lags),
        counters={
            name: {"spikes": rasters[name].sum(axis=1, dtype=np.int64)} for name in clocked.neurons
        },
        state=State(
            first + steps,
            variables,
            {name: _last(history[name], raster, depth) for name, raster in rasters.items()},
        ),
        output=clocked.output,
        seconds=time.perf_counter() - began,
    )


def _extent(inputs: Mapping[str, Array]) -> tuple[int, int]:
    first = next(iter(inputs.values()))
    return first.shape[0], first.shape[1]


def _size(clocked: Clocked, key: str) -> int:
    return clocked.populations[key.rpartition(".")[0]].size


def _whole(raster: Array) -> bool:
    """Are the values counts; a real-valued input has no events."""
    return bool(np.all(raster == np.rint(raster)))


def _start(
    clocked: Clocked, samples: int, depth: int, state: State | None
) -> tuple[dict[str, dict[str, Array]], dict[str, Array], int]:
    """Return fresh (variables, history, first step), from a State where there is one."""
    if state is None:
        variables = {
            name: membrane.start(clocked.populations[name].cell, samples)
            for name in clocked.neurons
        }
        history = {
            name: np.zeros((depth, samples, pop.size)) for name, pop in clocked.populations.items()
        }
        return variables, history, 0
    copies = {
        name: {key: array.copy() for key, array in kept.items()}
        for name, kept in state.variables.items()
    }
    return copies, dict(state.history), state.step


def _runnable(projection: Projection) -> Callable[[Array], Array]:
    """Return the function from sent spikes (samples, pre) to what arrives (samples, post)."""
    matrix = projection.matrix
    if sp.issparse(matrix):
        columns = sp.csr_matrix(matrix)
        return lambda sent: np.asarray((columns @ sent.T).T)
    weight = np.ascontiguousarray(matrix.T, dtype=float)
    return lambda sent: np.asarray(sent @ weight)


def _sent(
    rasters: Mapping[str, Array], history: Mapping[str, Array], projection: Projection, t: int
) -> Array:
    """Return the spikes that a projection delivers in step t, (samples, pre)."""
    at = t - projection.delay
    if at >= 0:
        return np.asarray(rasters[projection.pre][:, at], float)
    return np.asarray(history[projection.pre][at], float)


def _last(history: Array, raster: Array, depth: int) -> Array:
    """Return the spikes of the last `depth` steps, (depth, samples, n), newest last."""
    recent = np.moveaxis(raster, 1, 0)
    joined = np.concatenate([history, recent])
    return joined[len(joined) - depth :].copy()
