"""How much memory a run takes, by a formula, before it is taken.

Everything but the spikes is known beforehand; a spike takes `EVENT` bytes while they are collected
(lists that double when they are full, and one copy), twice as many where it carries a value. What
is left of the allowed memory is what the engine may fill with spikes; it stops where that is full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from spikeport.backends.emulator.job import Job
from spikeport.compiler.errors import MemoryLimit
from spikeport.compiler.memory import allowed_memory, check_memory, in_words
from spikeport.compiler.traces import Events

if TYPE_CHECKING:
    from spikeport.backends.emulator.layout import Layout

EVENT = 16
#: Bytes of a synapse while it is laid out, sorted by source beside the Program.
LAID_OUT = 9
#: Bytes of a cell of a small run at most, every one of them with a spike.
ROUGHLY = 64
#: Runs that need less are not held against the machine's free memory.
SMALL = 64 << 20
STATES, COUNTERS, NARROW, WIDE = 8 * 4, 8 * 2, 8, 8 * 4 + 4
CORE_COUNTERS = 4 * 5
DENSE_STEPS = 8 * 12  # temporary arrays of one step in NumPy, per neuron


def parts(job: Job, layout: Layout | None) -> dict[str, int]:
    """Return the bytes that a run takes beside the Program and its inputs, by what they are for.

    Args:
        job: the run.
        layout: of the C engine; None where NumPy runs.
    """
    program, cells = job.program, job.samples * job.steps
    neurons = sum(program.populations[name].size for name in program.neurons)
    everyone = sum(pop.size for pop in program.populations.values())
    depth = program.max_delay
    sent = sum(
        pop.size * np.dtype(job.width(name)).itemsize for name, pop in program.populations.items()
    )
    found = {
        "state and counters": job.samples * neurons * (STATES + COUNTERS)
        + job.samples * (2 * depth * sent + 8 * everyone),
        "steps of samples": 8 * cells * 2 * len(program.populations),
        "inputs as events": sum(_bytes_of(events) for events in job.inputs.values()),
        "probes": cells * sum(_probed(job)) * np.dtype(job.probe_width).itemsize,
        "counters of cores": 0
        if job.image is None
        else cells * len(job.image.cores) * CORE_COUNTERS,
        "bias registers": cells * sum(program.populations[name].size for name in job.host) * 8,
    }
    if layout is None:
        weights = sum(12 * each.values.size for each in program.synapses)
        return found | {
            "weights as NumPy takes them": weights,
            "rasters": cells * sent
            + 9 * cells * max((pop.size for pop in program.populations.values()), default=0),
            "a step": job.samples * neurons * DENSE_STEPS,
        }
    rings = sum(
        held["size"] * 4 * (held["depth"] + 1) * (1 + held["has_payload"])
        for held in layout.populations.values()
    )
    threads = max(min(job.threads, job.samples), 1)
    return found | {
        "synapses as the engine takes them": layout.bytes,
        "work of threads": threads * (rings + neurons * (16 + NARROW + WIDE)),
    }


def _bytes_of(events: Events) -> int:
    arrays = (events.neuron, events.offsets, events.count)
    return sum(array.nbytes for array in arrays if array is not None)


def _probed(job: Job) -> list[int]:
    sizes = job.program.populations
    return [
        sizes[each.population].size if each.neurons is None else each.neurons.size
        for each in job.probes
    ]


def check_room(job: Job, layout: Layout | None, given: str | int | None) -> int:
    """Return how many bytes are left for spikes.

    Args:
        job: the run.
        layout: of the C engine; None where NumPy runs.
        given: what may be taken, as `allowed_memory` takes it.

    Raises:
        MemoryLimit: the run needs more, by which part.
    """
    if given is None and layout is not None and (little := _little(job, layout)):
        return little
    need = parts(job, layout)
    total = sum(need.values())
    most = total + job.samples * job.steps * EVENT * 2 * sum(
        job.program.populations[name].size for name in job.program.neurons
    )
    if given is None and most < SMALL:
        return most
    allowed = allowed_memory(given)
    what = f"a run of {_run(job)}{_largest(need)}"
    check_memory(total, allowed, what, "run fewer samples at once", enough=most)
    return allowed - total


def check_layout(job: Job) -> None:
    """Refuse a network whose synapses alone would not fit, before they are laid out.

    Raises:
        MemoryLimit: see `check_room`.
    """
    need = LAID_OUT * sum(each.values.size for each in job.program.synapses)
    if need < SMALL and job.max_memory is None:
        return
    what = f"laying out the synapses of {job.program.name} for the engine"
    check_memory(need, allowed_memory(job.max_memory), what, "run a smaller network")


def _little(job: Job, layout: Layout) -> int:
    """Return what a small run takes at most, without looking closely; 0 of one that is not."""
    if job.probes or job.host:
        return 0
    steps = job.steps + 2 * job.program.max_delay + 8
    most = job.samples * steps * (ROUGHLY * layout.neurons + CORE_COUNTERS * layout.cores.size)
    return most if most + layout.bytes < SMALL else 0


def too_many_spikes(job: Job, room: int) -> MemoryLimit:
    """Return the error of a run whose spikes have filled what was left."""
    return MemoryLimit(
        f"the spikes of a run of {_run(job)} do not fit",
        f"{in_words(room)} of the allowed memory were left for them, at {EVENT} bytes a spike",
        "run fewer samples or steps at once, or allow more: --max-memory (max_memory= in Python)",
    )


def _run(job: Job) -> str:
    samples = "1 sample" if job.samples == 1 else f"{job.samples} samples"
    return f"{samples} over {job.steps} steps"


def _largest(need: Mapping[str, int]) -> str:
    name = max(need, key=lambda key: need[key])
    return f" (most of it, {in_words(need[name])}, for {name})"
