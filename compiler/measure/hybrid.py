"""Two networks of the same names, mixed part by part: what each difference does by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.dequantize import SAME
from spikeport.compiler.traces import Traces

Part = tuple[str, str]  # (cause, name of a projection or population)
#: Cause -> the fields of a `Membrane` that it stands for.
OF_CELLS: dict[str, tuple[str, ...]] = {
    "decay_u": ("keep_u",),
    "decay_v": ("keep_v",),
    "threshold": ("v_threshold", "threshold"),
    "bias": ("drive_v",),
    "reset": (
        "reset", "reset_when", "v_reset", "v_initial", "v_min", "refractory_steps", "spike",
    ),
}  # fmt: skip


def parts_of(retimed: Clocked, chip: Clocked) -> list[Part]:
    """Return every part in which two networks of the same names differ, in network order."""
    found: list[Part] = []
    theirs = {each.name: each for each in chip.projections}
    for name, pop in retimed.populations.items():
        for each in retimed.into(name):
            other = theirs[each.name]
            if not _same(each.matrix, other.matrix):
                found.append((_cause_of(each, retimed), each.name))
            if each.delay != other.delay:
                found.append(("delay", each.name))
        if pop.membrane is None:
            continue
        cell, chips = vars(pop.cell), vars(chip.populations[name].cell)
        for cause, fields in OF_CELLS.items():
            if not all(_same(cell[field], chips[field]) for field in fields):
                found.append((cause, name))
        other_start = chip.populations[name].start_step
        if (pop.start_step, retimed.lags[name]) != (other_start, chip.lags[name]):
            found.append(("lag", name))
    return found


def hybrid(base: Clocked, other: Clocked, parts: Iterable[Part]) -> Clocked:
    """Return `base` with the named parts as `other` has them.

    hybrid(retimed, chip, parts) puts parts in alone, hybrid(chip, retimed, parts) takes them out.
    """
    wanted = set(parts)
    theirs = {each.name: each for each in other.projections}
    projections = []
    for each in base.projections:
        donor = theirs[each.name]
        if (_cause_of(each, base), each.name) in wanted:
            each = replace(each, matrix=donor.matrix, conv=None)
        if ("delay", each.name) in wanted:
            each = replace(each, delay=donor.delay)
        projections.append(each)
    lags, populations = dict(base.lags), dict(base.populations)
    for name in base.neurons:
        pop, donor_pop = populations[name], other.populations[name]
        fields = [
            f for cause, all_of in OF_CELLS.items() if (cause, name) in wanted for f in all_of
        ]
        if fields:
            given: dict[str, Any] = {field: getattr(donor_pop.cell, field) for field in fields}
            pop = replace(pop, membrane=replace(pop.cell, **given))
        if ("lag", name) in wanted:
            pop = replace(pop, start_step=donor_pop.start_step)
            lags[name] = other.lags[name]
        populations[name] = pop
    return replace(base, projections=tuple(projections), populations=populations, lags=lags)


def touched(network: Clocked, part: Part) -> str:
    """Return the population that a part acts on first."""
    cause, name = part
    ends = {each.name: each.post for each in network.projections}
    of_projection = cause in ("weights", "delay") or (cause == "bias" and name in ends)
    return ends[name] if of_projection else name


def _cause_of(projection: Projection, network: Clocked) -> str:
    return "bias" if network.populations[projection.pre].kind == "constant" else "weights"


def _same(one: Any, other: Any) -> bool:
    """Are two values, arrays or matrices the same, but for rounding in floats."""
    if isinstance(one, str):
        return bool(one == other)
    if sp.issparse(one) or sp.issparse(other):
        apart = sp.csr_matrix(one) - sp.csr_matrix(other)
        largest = np.abs(one.data).max(initial=0.0)
        return bool(np.abs(apart.data).max(initial=0.0) <= SAME * largest)
    return bool(np.allclose(one, other, rtol=SAME, atol=0.0))


def downstream(network: Clocked, name: str) -> set[str]:
    """Return a population and everything that its spikes reach."""
    found = {name}
    while True:
        more = {each.post for each in network.projections if each.pre in found} - found
        if not more:
            return found
        found |= more


def cut(network: Clocked, kept: set[str]) -> Clocked:
    """Return some populations alone; those that send to them become inputs."""
    projections = tuple(each for each in network.projections if each.post in kept)
    senders = {each.pre for each in projections} - kept
    populations = {
        name: pop if name in kept or pop.membrane is None else Population("input", pop.shape)
        for name, pop in network.populations.items()
        if name in kept or name in senders
    }
    return replace(network, populations=populations, projections=projections)


def sent_by(network: Clocked, traces: Traces, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return what every population of a run sent, (samples, steps, n); v of analog ones."""
    sent = {}
    for name, pop in network.populations.items():
        if name in traces.spikes:
            sent[name] = traces.spikes[name].dense()
        elif pop.membrane is None:
            sent[name] = padded(inputs[name], traces.steps)
        elif f"{name}.v" in traces.probes:
            sent[name] = traces.probes[f"{name}.v"]
    return sent


def padded(x: Array, steps: int) -> Array:
    """Return an input (samples, input steps, n) with zeros after its end."""
    given = np.asarray(x)[:, :steps]
    rest = np.zeros((given.shape[0], steps - given.shape[1], given.shape[2]), given.dtype)
    return np.concatenate([given, rest], axis=1)
