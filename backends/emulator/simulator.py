"""Step a `Program` in integers, all samples at once; equal to Lava 0.10 bit for bit.

Synaptic sums are taken in whichever form is exact and fastest: a float32 or float64 matrix
product while every partial sum is a whole number that the type holds, a sparse product else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

import spikeport.models.neurons  # noqa: F401 - registers the steps
from spikeport.backends.emulator.one_by_one import OneByOne
from spikeport.compiler import fixed
from spikeport.compiler.errors import DataError, counted
from spikeport.compiler.host import host_biases
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.program import GRADED, Arithmetic, Program, Synapses
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events, Traces, spread

FEW_SPIKES = 0.1  # below this share of active cells a sparse product wins


def run(
    noun: Program | Image,
    inputs: Mapping[str, Array],
    steps: int | None = None,
    state: State | None = None,
    probe: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Traces:
    """Run the integers and return what happened.

    Args:
        noun: a Program, or an Image (placement changes no value).
        inputs: input name -> (samples, steps, n): 0 or 1 for spikes; real values for inputs
            that the host turns into bias registers (the whole input from step 0, also when a
            State continues).
        steps: chip steps to take; by default the input's and the last population's lag.
        state: where to go on.
        probe: `NAME.v` (after reset) or `NAME.u` to record.
        progress: called with (steps done, steps in all).

    Raises:
        DataError: an input is missing or has the wrong size.
    """
    began = time.perf_counter()
    program = noun.program if isinstance(noun, Image) else noun
    _check_inputs(program, inputs)
    first_input = next(iter(inputs.values()))
    samples, given = first_input.shape[:2]
    steps = given * program.slow + program.last_lag if steps is None else steps
    depth = program.max_delay
    variables, history, first = _start(program, samples, depth, state)
    rasters = {
        name: np.zeros((samples, steps, pop.size), _width(program, name))
        for name, pop in program.populations.items()
    }
    for name in program.inputs:
        if name not in program.host:
            spread(inputs[name], rasters[name], program.slow, first)
    width = np.int64 if program.arithmetic.overflow == "unlimited" else np.int32
    probes = {key: np.zeros((samples, steps, _size(program, key)), width) for key in probe}
    registers = {name: _register(program, name) for name in program.neurons}
    host = host_biases(program, inputs, steps, first) if program.host else {}
    by_event = program.arithmetic.weight_exp_at == "event"
    incoming = {name: _incoming(program, name, by_event) for name in program.neurons}
    active = {
        name: np.zeros((samples, program.populations[name].size), np.int64)
        for name in program.neurons
    }

    overflows = dict.fromkeys(program.neurons, 0)

    for t in range(steps):
        for name in program.neurons:
            cell = program.populations[name].cell
            since = first + t - (0 if cell is None else cell.start_step)
            if cell is None or since < 0 or since % program.slow:
                continue
            local = variables[name]
            arriving, add = incoming[name]
            sent = [_sent(rasters, history, each, t) for each in arriving]
            total, clipped = add(local["u"], sent)
            received = _as_received(total, program.arithmetic)
            bias = registers[name] if name not in host else registers[name] + host[name][:, t]
            busy = (local["v"] != 0) | (local["u"] != 0) | (received != 0) | (bias != 0)
            active[name] += busy
            rasters[name][:, t], left = STEPS[type(cell)].step(
                cell, program.arithmetic, local, received, bias
            )
            overflows[name] += left + clipped
        for key in probe:
            name, _, variable = key.rpartition(".")
            probes[key][:, t] = variables[name][variable]
        progress(t + 1, steps)

    return Traces(
        source="emulator",
        dt=program.dt,
        samples=samples,
        steps=steps,
        model_steps=min(given, max(steps - program.last_lag, 0) // program.slow),
        spikes={
            name: Events.from_dense(raster, program.populations[name].shape)
            for name, raster in rasters.items()
            if program.populations[name].sends_spikes
        },
        probes=probes,
        lags=dict(program.lags),
        counters={
            name: {
                "spikes": np.count_nonzero(rasters[name], axis=1).astype(np.int64),
                **({"active": active[name]} if name in active else {}),
            }
            for name in program.populations
        },
        state=State(
            first + steps,
            variables,
            {name: _last(history[name], raster, depth) for name, raster in rasters.items()},
        ),
        output=program.output,
        notes=tuple(
            _overflow_note(name, cells, program.arithmetic.state_bits)
            for name, cells in overflows.items()
            if cells
        ),
        extra={"overflows": overflows},
        seconds=time.perf_counter() - began,
        slow=program.slow,
        units=program.units,
    )


def _check_inputs(program: Program, inputs: Mapping[str, Array]) -> None:
    for name in program.inputs:
        if name not in inputs:
            raise DataError(f"no data for the input {name!r}", fix=f"give it as x.{name}")
        size = program.populations[name].size
        if inputs[name].ndim != 3 or inputs[name].shape[2] != size:
            raise DataError(
                f"the data of {name!r} has the shape {inputs[name].shape}",
                f"it should be (samples, steps, {size})",
            )
        most = program.largest_message(name)
        if name not in program.host and inputs[name].max(initial=0) > most:
            raise DataError(
                f"the input {name!r} holds {inputs[name].max():g} spikes in one step",
                f"an axon of this chip carries {counted(most, 'spike')} per step at most",
                "send them over several steps, or give real values as a current",
            )
    if len({inputs[name].shape[0] for name in program.inputs}) > 1:
        raise DataError("the inputs hold different numbers of samples")


def _width(program: Program, name: str) -> type:
    """Return the type of a raster: a byte holds a spike, a message needs more."""
    return np.uint8 if program.largest_message(name) <= 1 else np.int32


def _overflow_note(name: str, cells: int, bits: int) -> str:
    return (
        f"u or v of {name!r} left {bits} bits {cells} times and was wrapped or clipped: "
        "calibrate with data like this"
    )


def _size(program: Program, key: str) -> int:
    return program.populations[key.rpartition(".")[0]].size


def _register(program: Program, name: str) -> Array:
    """Return the bias registers of a population as they add to v, int64, (n,)."""
    cell = program.populations[name].cell
    if cell is None:
        return np.zeros(0, np.int64)
    return cell.bias_mantissa.astype(np.int64) << cell.bias_exponent.astype(np.int64)


def _start(
    program: Program, samples: int, depth: int, state: State | None
) -> tuple[dict[str, dict[str, Array]], dict[str, Array], int]:
    """Return fresh (variables, history, first step), from a State where there is one."""
    if state is not None:
        copies = {
            name: {key: array.copy() for key, array in kept.items()}
            for name, kept in state.variables.items()
        }
        return copies, dict(state.history), state.step
    variables = {}
    for name in program.neurons:
        cell = program.populations[name].cell
        if cell is not None:
            variables[name] = STEPS[type(cell)].start(cell, samples)
    history: dict[str, Array] = {
        name: np.zeros((depth, samples, pop.size), _width(program, name))
        for name, pop in program.populations.items()
    }
    return variables, history, 0


def _incoming(
    program: Program, name: str, by_event: bool
) -> tuple[list[Synapses], Callable[[Array, Sequence[Array]], tuple[Array, int]]]:
    """Return what ends in a population, and how it adds up.

    The latter is a function from u before the step and what is sent to (what is added, how many
    cells overflowed).
    """
    if by_event:
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
    if not sp.issparse(mantissa):
        largest = np.abs(mantissa.astype(np.int64)).sum(axis=1).max(initial=0) * most
        exact: Any = np.float32 if largest < 1 << 24 else np.float64
        weight: Array = np.ascontiguousarray(mantissa.T, dtype=exact)
        return lambda sent: fixed.shift(
            in_bits(np.rint(sent.astype(exact) @ weight).astype(np.int64)), exponent
        )
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


def _effective(synapses: Synapses, arithmetic: Arithmetic) -> Array:
    """Return aligned weights, shifted and clipped one by one (brian2_loihi, nengo-loihi)."""
    stored = synapses.mantissa
    dense: Array = stored.toarray() if sp.issparse(stored) else stored
    return fixed.effective_weights(dense, synapses.exponent, arithmetic.weight_truncation)


def _sent(
    rasters: Mapping[str, Array], history: Mapping[str, Array], synapses: Synapses, t: int
) -> Array:
    """Return the spikes that a projection delivers in step t, (samples, pre)."""
    at = t - synapses.delay_steps
    return rasters[synapses.pre][:, at] if at >= 0 else history[synapses.pre][at]


def _last(history: Array, raster: Array, depth: int) -> Array:
    """Return the spikes of the last `depth` steps, (depth, samples, n), newest last."""
    joined: Array = np.concatenate([history, np.moveaxis(raster, 1, 0)])
    return joined[len(joined) - depth :].copy()
