"""The steps in NumPy, all samples at once: the specification that the C engine is held to.

It runs where no compiler was found, and kinds of neurons that the engine does not know. Synaptic
sums are taken in whichever form is exact and fastest: a float32 or float64 matrix product while
every partial sum is a whole number that the type holds, a sparse product else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from spikeport.backends.emulator.cores import COUNTERS, cores_of
from spikeport.backends.emulator.job import Job, Outcome
from spikeport.backends.emulator.memory import EVENT, check_room, too_many_spikes
from spikeport.backends.emulator.one_by_one import OneByOne
from spikeport.backends.emulator.parameters import registers
from spikeport.compiler import fixed
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.program import GRADED, Arithmetic, Program, Synapses
from spikeport.compiler.rows import with_data
from spikeport.compiler.traces import Events

FEW_SPIKES = 0.1  # below this share of active cells a sparse product wins


def run_numpy(job: Job) -> Outcome:
    """Return what happens in a run, step by step."""
    program, steps = job.program, job.steps
    room = check_room(job, None, job.max_memory)
    variables, history = _start(job)
    rasters = {
        name: job.inputs[name].dense(job.width(name))
        if name in job.inputs
        else np.zeros((job.samples, steps, pop.size), job.width(name))
        for name, pop in program.populations.items()
    }
    probes = job.recorded()
    biases = {name: registers(program.populations[name].cell) for name in program.neurons}
    incoming = {name: _incoming(program, name) for name in program.neurons}
    active = {
        name: np.zeros((job.samples, program.populations[name].size), np.int64)
        for name in program.neurons
    }
    overflows = dict.fromkeys(program.neurons, 0)
    cores = _Cores(job)
    for t in range(steps):
        for name in program.neurons:
            cell: Any = program.populations[name].cell
            since = job.first + t - cell.start_step
            if since < 0 or since % program.slow:
                continue
            local = variables[name]
            arriving, add = incoming[name]
            sent = [_sent(rasters, history, each, t) for each in arriving]
            total, clipped = add(local["u"], sent)
            received = _as_received(total, program.arithmetic)
            bias = biases[name] if name not in job.host else biases[name] + job.host[name][:, t]
            busy = (local["v"] != 0) | (local["u"] != 0) | (received != 0) | (bias != 0)
            active[name] += busy
            cores.updated(name, t, busy)
            rasters[name][:, t], left = STEPS[type(cell)].step(
                cell, program.arithmetic, local, received, bias
            )
            overflows[name] += left + clipped
        for each in job.probes:
            probes[each.key][:, t] = each.of(variables[each.population][each.variable])
        job.progress(t + 1, steps)
    if EVENT * sum(np.count_nonzero(rasters[name]) for name in program.neurons) > room:
        raise too_many_spikes(job, room)
    events = {
        name: job.inputs.get(name) or Events.from_dense(raster, program.populations[name].shape)
        for name, raster in rasters.items()
    }
    spikes = {name: np.count_nonzero(r, axis=1).astype(np.int64) for name, r in rasters.items()}
    last = {name: _last(history[name], raster) for name, raster in rasters.items()}
    counted = cores.counted(rasters)
    return Outcome(events, probes, spikes, active, variables, last, overflows, counted)


def _start(job: Job) -> tuple[dict[str, dict[str, Array]], Mapping[str, Array]]:
    """Return fresh (variables, history), from a State where there is one."""
    program, samples = job.program, job.samples
    if job.state is not None:
        kept = job.state.variables.items()
        copies = {name: {key: x.copy() for key, x in local.items()} for name, local in kept}
        return copies, job.state.history
    cells = {name: program.populations[name].cell for name in program.neurons}
    variables = {name: STEPS[type(cell)].start(cell, samples) for name, cell in cells.items()}
    history: dict[str, Array] = {
        name: np.zeros((program.max_delay, samples, pop.size), job.width(name))
        for name, pop in program.populations.items()
    }
    return variables, history


def _last(history: Array, raster: Array) -> Array:
    """Return the spikes of the last steps, (depth, samples, n), newest last."""
    depth = history.shape[0]
    recent = np.moveaxis(raster[:, max(raster.shape[1] - depth, 0) :], 1, 0)
    joined: Array = np.concatenate([history, recent])
    return joined[len(joined) - depth :].copy()


class _Cores:
    """Counts what each step causes on each core, where that is asked for."""

    def __init__(self, job: Job) -> None:
        self.image = job.image
        if self.image is None:
            return
        self.places = cores_of(self.image)
        shape = (job.samples, job.steps, self.places.numbers.size)
        self.counters = {name: np.zeros(shape, np.int32) for name in COUNTERS}

    def updated(self, name: str, t: int, busy: Array) -> None:
        """Count somas that had something to do, (samples, n) bool."""
        if self.image is not None and name in self.places.home:
            self._to_home("soma_updates", name, busy[:, None], slice(t, t + 1))

    def counted(self, rasters: Mapping[str, Array]) -> dict[str, Array]:
        """Return the counters of a run, with the packets of its spikes."""
        if self.image is None:
            return {}
        fan_out = {name: np.zeros(r.shape[2], np.int64) for name, r in rasters.items()}
        for route in self.image.routes:
            sent = rasters[route.pre][:, :, route.neurons] != 0
            at = np.searchsorted(self.places.numbers, route.target_core)
            self.counters["packets_in"][:, :, at] += sent.sum(axis=2, dtype=np.int32)
            self.counters["synaptic_ops"][:, :, at] += (sent @ route.synapses).astype(np.int32)
            np.add.at(fan_out[route.pre], route.neurons, 1)
        for name in self.places.home:
            sent = rasters[name] != 0
            self._to_home("spikes_out", name, sent, slice(None))
            self._to_home("packets_out", name, sent * fan_out[name], slice(None))
        return {"numbers": self.places.numbers, **self.counters}

    def _to_home(self, counter: str, name: str, values: Array, steps: slice) -> None:
        home = self.places.home[name]
        for core in np.unique(home):
            here = values[:, :, home == core].sum(axis=2)
            self.counters[counter][:, steps, core] += here.astype(np.int32)


def _incoming(
    program: Program, name: str
) -> tuple[list[Synapses], Callable[[Array, Sequence[Array]], tuple[Array, int]]]:
    """Return what ends in a population, and how it adds up.

    The latter is a function from u before the step and what is sent to (what is added, how many
    cells overflowed).
    """
    if program.arithmetic.weight_exp_at == "event":
        adder = OneByOne(program, name, _runnable)
        return adder.synapses, adder
    synapses = program.into(name)
    applied = [_runnable(each, program) for each in synapses]

    def add(before: Array, sent: Sequence[Array]) -> tuple[Array, int]:
        received = np.zeros(before.shape, np.int64)
        for apply, spikes in zip(applied, sent, strict=True):
            received += apply(spikes)
        return received, 0

    return synapses, add


def _runnable(synapses: Synapses, program: Program) -> Callable[[Array], Array]:
    """Return the exact function from what was sent (samples, pre) to sums (samples, post), int64.

    Sums of graded messages wrap at 32 bits, as Lava's do.
    """
    mantissa, exponent = synapses.mantissa, synapses.exponent
    most = program.largest_message(synapses.pre)
    in_bits = fixed.wrap_int32 if most > 1 else np.asarray
    if program.arithmetic.weight_exp_at == "synapse":
        mantissa, exponent = _effective(synapses, program.arithmetic), 0
    if isinstance(mantissa, np.ndarray):
        largest = np.abs(mantissa.astype(np.int64)).sum(axis=1).max(initial=0) * most
        if largest < 1 << 53:
            exact: Any = np.float32 if largest < 1 << 24 else np.float64
            weight: Array = np.ascontiguousarray(mantissa.T, dtype=exact)
            return lambda sent: fixed.shift(
                in_bits(np.rint(sent.astype(exact) @ weight).astype(np.int64)), exponent
            )
    import scipy.sparse as sp

    rows = sp.csr_matrix(mantissa).astype(np.int64)
    columns = sp.csr_matrix(rows.T)

    def apply(sent: Array) -> Array:
        if np.count_nonzero(sent) < FEW_SPIKES * sent.size:
            total = (sp.csr_matrix(sent.astype(np.int64)) @ columns).toarray()
        else:
            total = np.asarray((rows @ sent.T.astype(np.int64)).T)
        return fixed.shift(in_bits(total), exponent)

    return apply


def _as_received(total: Array, arithmetic: Arithmetic) -> Array:
    """Return what a population receives in all; graded messages arrive in 32 bits, as Lava's do."""
    return fixed.wrap_int32(total) if arithmetic == GRADED else total


def _effective(synapses: Synapses, arithmetic: Arithmetic) -> Any:
    """Return aligned weights, shifted and clipped one by one (brian2_loihi, nengo-loihi)."""
    stored, rounding = synapses.mantissa, arithmetic.weight_truncation
    if isinstance(stored, np.ndarray):
        return fixed.effective_weights(stored, synapses.exponent, rounding)
    return with_data(stored, fixed.effective_weights(stored.data, synapses.exponent, rounding))


def _sent(
    rasters: Mapping[str, Array], history: Mapping[str, Array], synapses: Synapses, t: int
) -> Array:
    """Return the spikes that a projection delivers in step t, (samples, pre)."""
    at = t - synapses.delay_steps
    return rasters[synapses.pre][:, at] if at >= 0 else history[synapses.pre][at]
