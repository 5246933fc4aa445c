"""A run inside one call of the C engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.backends import _engine
from spikeport.backends.emulator.cores import COUNTERS
from spikeport.backends.emulator.job import Job, Outcome
from spikeport.backends.emulator.layout import INPUT, Layout
from spikeport.backends.emulator.memory import check_room, too_many_spikes
from spikeport.compiler import fixed
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.probe import VARIABLES, Probe
from spikeport.compiler.traces import Events

NOTHING = np.zeros(0, np.int32)


def run_native(job: Job, layout: Layout) -> Outcome:
    """Return what happens in a run; the same bits as `specification.run_numpy`."""
    samples, steps, depth = job.samples, job.steps, job.program.max_delay
    room = check_room(job, layout, job.max_memory)
    buffers = {name: _buffers(job, layout, name, depth) for name in layout.populations}
    probes = job.recorded()
    overflows = np.zeros(len(buffers), np.int64)
    cores: dict[str, Array] = {}
    if layout.cores.size:
        cores = {key: np.zeros((samples, steps, layout.cores.size), np.int32) for key in COUNTERS}
    found = _engine.run(
        layout.prepared,
        {
            "samples": samples,
            "steps": steps,
            "first": job.first,
            "threads": max(min(job.threads, samples), 1),
            "history_depth": depth,
            "populations": list(buffers.values()),
            "probes": [_probe(job, each, layout, probes) for each in job.probes],
            "overflows": overflows,
            "room": room,
            **cores,
        },
        lambda done: job.progress(done // samples, steps),
    )
    if found is None:
        raise too_many_spikes(job, room)
    job.progress(steps, steps)
    names = [name for name in buffers if "v" in buffers[name]]
    spilled = dict(zip(buffers, overflows.tolist(), strict=True))
    return Outcome(
        {
            name: _events(job, name, buffers[name], lists)
            for name, lists in zip(buffers, found, strict=True)
        },
        probes,
        {name: held["spikes"] for name, held in buffers.items()},
        {name: buffers[name]["active"] for name in names},
        {name: _variables(job, name, buffers[name]) for name in names},
        {name: held["history_after"] for name, held in buffers.items()},
        {name: spilled[name] for name in names},
        {"numbers": layout.cores, **cores} if cores else {},
    )


def _buffers(job: Job, layout: Layout, name: str, depth: int) -> dict[str, Any]:
    """Return what a run reads and writes of a population."""
    held = layout.populations[name]
    shape = (job.samples, held["size"])
    width = np.int32 if held["has_payload"] else np.uint8
    before = None
    if job.state is not None:
        before = np.ascontiguousarray(job.state.history[name], width)
    buffers: dict[str, Any] = {
        "history": before,
        "history_after": np.empty((depth, *shape), width),
        "spikes": np.empty(shape, np.int64),
    }
    if held["kind"] == INPUT:
        return buffers | _given(job, name)
    buffers["active"] = np.empty(shape, np.int64)
    buffers["offsets"] = np.empty(job.samples * job.steps + 1, np.int64)
    buffers["host"] = job.host.get(name)
    buffers["is_fresh"] = int(job.state is None)
    buffers["narrow"] = int(buffers["host"] is None and _in_24_bits(job, name))
    if job.state is None:
        buffers["u"], buffers["v"] = np.empty(shape, np.int64), np.empty(shape, np.int64)
        if held["waits"]:
            buffers["refractory"] = np.zeros(shape, np.int64)
            buffers["pending"] = np.zeros(shape, np.int64)
        return buffers
    kept = job.state.variables[name]
    return buffers | {key: values.astype(np.int64, order="C") for key, values in kept.items()}


def _given(job: Job, name: str) -> dict[str, Any]:
    """Return the events of an input; none of one whose values the host turns into biases."""
    given = job.inputs.get(name)
    if given is None:
        at = np.zeros((job.samples, job.steps + 1), np.int64)
        return {"given": NOTHING, "given_at": at}
    at = given.offsets
    if job.samples > 1:
        at = at[np.arange(job.samples)[:, None] * job.steps + np.arange(job.steps + 1)]
    return {"given": given.neuron, "given_count": given.count, "given_at": at}


def _in_24_bits(job: Job, name: str) -> bool:
    """Is a state one that the 32-bit neuron may go on from, and does nothing wait in it."""
    if job.state is None:
        return True
    limit = fixed.STATE_LIMIT
    kept = job.state.variables[name]
    return not any(kept[key].any() for key in ("refractory", "pending") if key in kept) and all(
        -limit <= kept[key].min(initial=0) and kept[key].max(initial=0) <= limit
        for key in VARIABLES
    )


def _events(job: Job, name: str, buffers: Mapping[str, Any], lists: tuple[Any, Any]) -> Events:
    if name in job.inputs:
        return job.inputs[name]
    shape = job.program.populations[name].shape
    neurons, counts = lists
    if neurons is None:  # an input of the host
        offsets = np.zeros(job.samples * job.steps + 1, np.int64)
        return Events(NOTHING, offsets, None, job.samples, job.steps, shape)
    offsets = buffers["offsets"]
    count = None if counts is None else np.frombuffer(counts, np.int32)
    if count is not None and (count == 1).all():
        count = None
    return Events(np.frombuffer(neurons, np.int32), offsets, count, job.samples, job.steps, shape)


def _variables(job: Job, name: str, buffers: Mapping[str, Any]) -> dict[str, Array]:
    kind = type(job.program.populations[name].cell)
    return {key: buffers[key] for key in STEPS[kind].variables}


def _probe(job: Job, each: Probe, layout: Layout, out: Mapping[str, Array]) -> dict[str, Any]:
    """Return a recording as the engine takes it: places, not neurons."""
    place = layout.populations[each.population]["place"]
    neurons = each.neurons
    if neurons is None:
        neurons = np.arange(job.program.populations[each.population].size, dtype=np.int32)
    return {
        "population": list(layout.populations).index(each.population),
        "variable": VARIABLES.index(each.variable),
        "size": neurons.size,
        "is_wide": int(out[each.key].itemsize == 8),
        "places": neurons if place is None else place[neurons],
        "out": out[each.key],
    }
