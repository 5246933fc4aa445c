"""Our emulator on the workloads; reports as the other simulators' scripts do.

    python -m hw_tests.bench.ours FOLDER WORKLOAD STEPS REPETITIONS VARIANT

`C, cores counted` runs an Image, with the counts of every core and step, `C` the bare Program,
`C, 2 threads` the Image again, and `numpy` the specification. One run warms up; of the runs that
follow, the one with the least CPU time counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sparse

from hw_tests.bench.jobs import BARE, COUNTED, NUMPY, TWO_THREADS
from hw_tests.bench.peers.common import arguments, report
from hw_tests.bench.workloads import DECAY_U, DECAY_V, Workload
from spikeport import backends
from spikeport.backends import emulator
from spikeport.compiler.chip import Chip
from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import Image
from spikeport.compiler.place.place import place
from spikeport.compiler.program import Cell, CellPopulation, Program, Synapses
from spikeport.compiler.traces import Events, Traces

SECONDS = 1.0  # a run is repeated for so long, or as often as REPETITIONS says
ENGINES: dict[str, dict[str, Any]] = {
    COUNTED: {"engine": "c", "threads": 1, "count_cores": True},
    BARE: {"engine": "c", "threads": 1},
    TWO_THREADS: {"engine": "c", "threads": 2, "count_cores": True},
    NUMPY: {"engine": "numpy"},
}


#: Populations that are maps of channels, as a graph would say.
MAPS = {
    ("w3", 0): (2, 34, 34),
    ("w3", 1): (16, 16, 16),
    ("w3", 2): (16, 16, 16),
    ("w3", 3): (8, 8, 8),
}


def program_of(workload: Workload) -> Program:
    """Return the network in our integers."""
    names = [f"p{number}" for number in range(len(workload.sizes))]
    populations = {}
    for at, (size, threshold) in enumerate(zip(workload.sizes, workload.thresholds, strict=True)):
        kind, cell = ("CubaLIF", cell_of(size, threshold)) if threshold else ("input", None)
        shape = MAPS.get((workload.name, at), (size,))
        populations[names[at]] = CellPopulation(kind, shape, cell, np.ones(1))
    synapses = []
    for pre, post, pointers, targets, weights in workload.connections:
        shape = workload.sizes[post], workload.sizes[pre]
        if len(targets) == shape[0] * shape[1]:
            matrix: Any = weights.reshape(shape[1], shape[0]).T
        else:
            matrix = sparse.csc_array((weights, targets, pointers.astype(np.int32)), shape=shape)
        ends = names[pre], names[post]
        synapses.append(Synapses.of("-".join(ends), *ends, matrix, 0, "mixed"))
    outputs, lags = {"out": names[-1]}, dict.fromkeys(names, 0)
    return Program(1e-3, populations, tuple(synapses), outputs, lags, name=workload.name)


def cell_of(size: int, threshold: int) -> Cell:
    """Return neurons with the decays of all workloads; ours adds one to u's."""

    def same(value: int) -> np.ndarray:
        return np.full(size, value, np.int32)

    return Cell(
        decay_u=same(DECAY_U - 1),
        decay_v=same(DECAY_V),
        v_threshold=same(threshold),
        bias_mantissa=same(0),
        bias_exponent=same(0),
        v_reset=same(0),
        v_initial=same(0),
        v_min=same(1 - (1 << 23)),
        refractory_steps=same(1),
    )


def roomy_chip() -> Chip:
    """Return Loihi 1 with no limit on a core but 1024 neurons: the large networks need that."""
    loihi = backends.find_chip("loihi1")
    core = Lists(fabric="lists", compartments=loihi.core.compartments)
    return loihi.model_copy(update={"name": "loihi1_roomy", "core": core})


def image_of(program: Program) -> Image:
    """Return the network on as few such chips as hold its neurons."""
    chip = roomy_chip()
    cores = sum(-(-program.populations[name].size // 1024) for name in program.neurons)
    return place(program, chip, -(-cores // chip.cores))


def inputs_of(workload: Workload) -> dict[str, Events]:
    """Return the input spikes, as events."""
    offsets = np.append(workload.input_at[:, :-1].ravel(), workload.input_at[-1, -1])
    first, end = offsets[0], offsets[-1]
    neurons = workload.input_neurons[first:end].astype(np.int32)
    shape = (workload.sizes[0],)
    samples, steps = workload.samples, workload.steps
    return {"p0": Events(neurons, offsets - first, None, samples, steps, shape)}


def spikes_by_step(traces: Traces, population: str) -> np.ndarray:
    """Return the spikes of a population in every step, of all samples."""
    each = np.diff(traces.spikes[population].offsets)
    return each.reshape(traces.samples, traces.steps).sum(0)


def fastest(run: Callable[[], Traces], repetitions: int) -> tuple[float, float]:
    """Return (CPU seconds, wall seconds) of the cheapest of many runs."""
    taken, began = [], time.perf_counter()
    while len(taken) < repetitions or time.perf_counter() - began < SECONDS:
        wall, used = time.perf_counter(), time.process_time()
        run()
        taken.append((time.process_time() - used, time.perf_counter() - wall))
    return min(taken)


def synaptic_events(workload: Workload, traces: Traces) -> int:
    """Return how many synapses were passed by all spikes of a run."""
    total = 0
    for pre, _, pointers, _, _ in workload.connections:
        fan_out = np.diff(pointers)
        total += int(fan_out[traces.spikes[f"p{pre}"].neuron].sum())
    return total


def main() -> None:
    """Build, run and report."""
    given = arguments()
    workload = given.workload
    began, used = time.perf_counter(), time.process_time()
    program = program_of(workload)
    counted = "count_cores" in ENGINES[given.variant]
    noun = image_of(program) if counted else program
    built, cpu = time.perf_counter() - began, time.process_time() - used
    inputs, options = inputs_of(workload), ENGINES[given.variant]

    def run() -> Traces:
        return emulator.run(noun, inputs, workload.steps, **options)

    began, used = time.perf_counter(), time.process_time()
    traces = run()
    first, cpu = time.perf_counter() - began, cpu + time.process_time() - used
    by_step = [spikes_by_step(traces, name) for name in program.neurons]
    taken = fastest(run, given.repetitions)
    stored = sum(bytes_of(each.stored) for each in program.synapses)
    said: dict[str, Any] = {
        "start_s": built + max(first - taken[1], 0.0),
        "build_cpu_s": cpu - taken[0],
        "events": synaptic_events(workload, traces),
        "synapses": workload.synapses,
        "bytes_per_synapse": stored / workload.synapses,
    }
    if given.variant == NUMPY:
        said["by_step"] = [each.tolist() for each in by_step]
    report(given, given.variant, taken, [int(each.sum()) for each in by_step], **said)


def bytes_of(stored: Any) -> int:
    """Return the memory of an array or CSR array."""
    if sparse.issparse(stored):
        return int(stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes)
    return int(stored.nbytes)


if __name__ == "__main__":
    main()
