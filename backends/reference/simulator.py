"""Step a `Clocked` network in float64, all samples at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

import spikeport.models.neurons  # noqa: F401 - registers the steps
from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events, Traces, spread

FEW_SPIKES = 0.1  # below this share of active cells a sparse product wins


def run(
    clocked: Clocked,
    inputs: Mapping[str, Array],
    steps: int | None = None,
    state: State | None = None,
    probe: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
    watch: Callable[[str, Mapping[str, Array], Array], None] = lambda name, variables, sent: None,
) -> Traces:
    """Run the network and return what happened.

    Args:
        clocked: under any delays; populations in topological order.
        inputs: input name -> (samples, steps, n), spikes, counts or real values; zeros follow
            where `steps` is longer.
        steps: how many steps to take; by default until every population has answered.
        state: where to go on; by default the initial state.
        probe: `NAME.v` or `NAME.u` to record (v after reset, u as v saw it).
        progress: called with (steps done, steps in all).
        watch: called with a population, its variables and what it sends after each of its steps.
    """
    began = time.perf_counter()
    samples, given = _extent(inputs)
    steps = given * clocked.slow + clocked.last_lag if steps is None else steps
    depth = max((p.delay for p in clocked.projections), default=0)
    variables, history, first = _start(clocked, samples, depth, state)
    rasters = {
        name: np.zeros((samples, steps, pop.size), float if _sends_values(pop) else np.int32)
        for name, pop in clocked.populations.items()
    }
    for name in clocked.inputs:
        spread(inputs[name], rasters[name], clocked.slow, first)
    probes = {key: np.zeros((samples, steps, _size(clocked, key))) for key in probe}
    incoming = {name: [(p, _runnable(p)) for p in clocked.into(name)] for name in clocked.neurons}
    for name, pop in clocked.populations.items():
        if pop.kind == "constant":
            rasters[name][:] = 1

    for t in range(steps):
        for name in clocked.neurons:
            pop = clocked.populations[name]
            since = first + t - pop.start_step
            if since < 0 or since % clocked.slow:
                continue
            received = np.zeros((samples, pop.size))
            for projection, apply in incoming[name]:
                received += apply(_sent(rasters, history, projection, t))
            sent = STEPS[type(pop.cell)].step(pop.cell, variables[name], received)
            rasters[name][:, t] = sent
            watch(name, variables[name], sent)
        for key in probe:
            name, _, variable = key.rpartition(".")
            probes[key][:, t] = variables[name][variable]
        progress(t + 1, steps)

    spikes = {
        name: Events.from_dense(raster, clocked.populations[name].shape)
        for name, raster in rasters.items()
        if _has_events(clocked.populations[name], raster)
    }
    return Traces(
        source="reference",
        dt=clocked.dt,
        samples=samples,
        steps=steps,
        model_steps=min(given, max(steps - clocked.last_lag, 0) // clocked.slow),
        spikes=spikes,
        probes=probes,
        lags=dict(clocked.lags),
        counters={
            name: {"spikes": rasters[name].sum(axis=1, dtype=np.int64)}
            for name in clocked.neurons
            if name in spikes
        },
        state=State(
            first + steps,
            variables,
            {name: _last(history[name], raster, depth) for name, raster in rasters.items()},
        ),
        output=clocked.output,
        seconds=time.perf_counter() - began,
        slow=clocked.slow,
    )


def _extent(inputs: Mapping[str, Array]) -> tuple[int, int]:
    first = next(iter(inputs.values()))
    return first.shape[0], first.shape[1]


def _size(clocked: Clocked, key: str) -> int:
    return clocked.populations[key.rpartition(".")[0]].size


def _sends_values(population: Population) -> bool:
    """Does it send real values: an input may, an analog neuron sends its v."""
    return population.membrane is None or not population.cell.spiking


def _has_events(population: Population, raster: Array) -> bool:
    """Does it send spikes; an analog population and a real-valued input do not."""
    if population.membrane is not None:
        return population.cell.spiking
    return bool(np.all(raster == np.rint(raster)))


def _start(
    clocked: Clocked, samples: int, depth: int, state: State | None
) -> tuple[dict[str, dict[str, Array]], dict[str, Array], int]:
    """Return fresh (variables, history, first step), from a State where there is one."""
    if state is None:
        cells = {name: clocked.populations[name].cell for name in clocked.neurons}
        variables = {name: STEPS[type(cell)].start(cell, samples) for name, cell in cells.items()}
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
        return _sparse(sp.csr_matrix(matrix))
    weight = np.ascontiguousarray(matrix.T, dtype=float)
    return lambda sent: np.asarray(sent @ weight)


def _sparse(rows: Any) -> Callable[[Array], Array]:
    """Return the product with a sparse matrix; both ways add in the order of the columns.

    So which of them is taken, and how many samples there are, changes no bit.
    """
    columns = sp.csr_matrix(rows.T)

    def apply(sent: Array) -> Array:
        if np.count_nonzero(sent) < FEW_SPIKES * sent.size:
            return np.asarray((sp.csr_matrix(sent) @ columns).toarray())
        return np.asarray((rows @ sent.T).T)

    return apply


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
    joined: Array = np.concatenate([history, recent])
    return joined[len(joined) - depth :].copy()
