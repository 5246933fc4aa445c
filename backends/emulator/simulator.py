"""Step a `Program` in integers, equal to Lava 0.10 bit for bit: in C, or in NumPy without it.

Both engines give the same bits, for any batch, number of threads and order of samples.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import spikeport.models.neurons  # noqa: F401 - registers the steps
from spikeport.backends.emulator.engines import chosen
from spikeport.backends.emulator.job import Job, Outcome
from spikeport.compiler.errors import DataError, counted
from spikeport.compiler.host import host_biases
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.probe import parse_probe
from spikeport.compiler.program import Program
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events, Traces


def run(
    noun: Program | Image,
    inputs: Mapping[str, Array | Events],
    steps: int | None = None,
    state: State | None = None,
    probe: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
    engine: str | None = None,
    threads: int | None = None,
    count_cores: bool = False,
    max_memory: str | int | None = None,
) -> Traces:
    """Run the integers and return what happened.

    Args:
        noun: a Program, or an Image (placement changes no value).
        inputs: input name -> (samples, steps, n): 0 or 1 for spikes, or Events; real values for
            inputs that the host turns into bias registers (the whole input from step 0, also
            when a State continues).
        steps: chip steps to take; by default the input's and the last population's lag.
        state: where to go on.
        probe: `NAME.v` (after reset) or `NAME.u` to record, `NAME.v[0,5,8:12]` of some neurons.
        progress: called with (steps done, steps in all).
        engine: `c` or `numpy`; by default C where it was built and knows the neurons.
        threads: how many samples run at once; by default as many as there are processors.
        count_cores: of an Image: count events of every step by core (`Traces.cores`).
        max_memory: what the run may take (`memory.parts`), a size as `2GiB`; by default most of
            what is free.

    Raises:
        DataError: an input is missing or has the wrong size, or there is nothing to probe.
        MissingError: the C engine was asked for and is not there.
        MemoryLimit: the run would take more than is allowed.
    """
    began = time.perf_counter()
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise DataError(f"{threads!r} threads", "samples run in one thread or more", "--threads 1")
    program = noun.program if isinstance(noun, Image) else noun
    _check_inputs(program, inputs)
    samples, given = _extent(inputs[program.inputs[0]])
    steps = given * program.slow + program.last_lag if steps is None else steps
    first = 0 if state is None else state.step
    if state is not None:
        _check_state(program, state, samples)
    arriving = {
        name: _events(inputs[name]).in_steps(program.slow, first, steps)
        for name in program.inputs
        if name not in program.host
    }
    job = Job(
        program=program,
        image=noun if count_cores and isinstance(noun, Image) else None,
        samples=samples,
        steps=steps,
        first=first,
        state=state,
        inputs=arriving,
        host=host_biases(program, _values(program, inputs), steps, first) if program.host else {},
        probes=tuple(parse_probe(key, _sizes(program)) for key in probe),
        threads=_threads() if threads is None else threads,
        progress=progress,
        max_memory=max_memory,
    )
    name, run_it = chosen(engine, job)
    return _traces(job, run_it(job), given, name, began)


def _traces(job: Job, found: Outcome, given: int, engine: str, began: float) -> Traces:
    program = job.program
    return Traces(
        source="emulator",
        dt=program.dt,
        samples=job.samples,
        steps=job.steps,
        model_steps=min(given, max(job.steps - program.last_lag, 0) // program.slow),
        spikes={
            name: events
            for name, events in found.events.items()
            if program.populations[name].sends_spikes
        },
        probes=found.probes,
        lags=dict(program.lags),
        counters={
            name: {"spikes": spikes}
            | ({"active": found.active[name]} if name in found.active else {})
            for name, spikes in found.spikes.items()
        },
        state=State(job.first + job.steps, found.variables, found.history),
        output=program.output,
        notes=tuple(
            _overflow_note(name, cells, program.arithmetic.state_bits)
            for name, cells in found.overflows.items()
            if cells
        ),
        extra={"overflows": found.overflows, "engine": engine},
        seconds=time.perf_counter() - began,
        slow=program.slow,
        units=program.units,
        cores=found.cores,
    )


def _extent(given: Array | Events) -> tuple[int, int]:
    if isinstance(given, Events):
        return given.samples, given.steps
    return given.shape[0], given.shape[1]


def _events(given: Array | Events) -> Events:
    if isinstance(given, Events):
        return given
    return Events.from_dense(given, given.shape[2:])


def _values(program: Program, inputs: Mapping[str, Array | Events]) -> dict[str, Array]:
    """Return the real values of the inputs that the host turns into biases."""
    given = {name: inputs[name] for name in program.host}
    return {name: x.dense() if isinstance(x, Events) else x for name, x in given.items()}


def _sizes(program: Program) -> dict[str, int]:
    return {name: program.populations[name].size for name in program.neurons}


def _threads() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_inputs(program: Program, inputs: Mapping[str, Array | Events]) -> None:
    for name in program.inputs:
        if name not in inputs:
            raise DataError(f"no data for the input {name!r}", fix=f"give it as x.{name}")
        size, given = program.populations[name].size, inputs[name]
        shape = (*_extent(given), given.size) if isinstance(given, Events) else given.shape
        if len(shape) != 3 or shape[2] != size:
            raise DataError(
                f"the data of {name!r} has the shape {shape}",
                f"it should be (samples, steps, {size})",
            )
        if isinstance(given, Events):
            _check_events(name, given)
        if name in program.host:
            continue
        most, (least, largest) = program.largest_message(name), _range(given)
        if least < (0 if most <= 1 else -most) or not _is_whole(given):
            raise DataError(
                f"the input {name!r} holds {least:g}, or a fraction",
                f"an axon of this chip carries whole numbers up to {most}, negative ones only as "
                "messages",
                "give real values as a current",
            )
        if largest > most:
            raise DataError(
                f"the input {name!r} holds {largest:g} spikes in one step",
                f"an axon of this chip carries {counted(most, 'spike')} per step at most",
                "send them over several steps, or give real values as a current",
            )
    if len({_extent(inputs[name])[0] for name in program.inputs}) > 1:
        raise DataError("the inputs hold different numbers of samples")


def _check_events(name: str, given: Events) -> None:
    """Refuse lists that are no events of their shape: the C engine goes where they point."""
    if given.is_sound:
        return
    raise DataError(
        f"the events of {name!r} are not those of {given.samples} samples of {given.steps} steps",
        f"neurons ascend in a step, from 0 to {given.size - 1}, and offsets say where steps begin",
        "make them with Events.from_dense, or sort them",
    )


def _range(given: Array | Events) -> tuple[Any, Any]:
    if isinstance(given, Events):
        return (
            (0, 1)
            if given.count is None
            else (given.count.min(initial=0), given.count.max(initial=0))
        )
    return given.min(initial=0), given.max(initial=0)


def _is_whole(given: Array | Events) -> bool:
    if isinstance(given, Events) or given.dtype.kind != "f":
        return True
    return bool((given == np.rint(given)).all())


def _check_state(program: Program, state: State, samples: int) -> None:
    """Refuse a State of another network, or of other samples."""
    depth = program.max_delay
    for name, pop in program.populations.items():
        history = state.history.get(name)
        kept = state.variables.get(name, {})
        wanted = () if pop.cell is None else STEPS[type(pop.cell)].variables
        fits = history is not None and history.shape == (depth, samples, pop.size)
        if fits and all(key in kept and kept[key].shape == (samples, pop.size) for key in wanted):
            continue
        raise DataError(
            f"the State does not hold {samples} samples of {name!r}",
            f"it should have {', '.join(wanted) or 'its spikes'} of {pop.size} neurons, and the "
            f"last {depth} steps",
            "continue with the network, and as many samples, that it came from",
        )


def _overflow_note(name: str, cells: int, bits: int) -> str:
    return (
        f"u or v of {name!r} left {bits} bits {cells} times and was wrapped or clipped: "
        "calibrate with data like this"
    )
