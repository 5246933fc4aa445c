"""Brian2 monitors, and what they saw as Traces and State: blocks of neurons become samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikeport.backends.brian2.groups import END, Placed, Stage
from spikeport.compiler.clocked import Population
from spikeport.compiler.kinds import Array

Probed = dict[str, tuple[Any, str]]


def sent_monitor(stage: Stage, placed: Placed) -> Any:
    """Return a monitor of what a population with state sends: its spikes, or its values."""
    spiking = placed.lowered is not None and placed.lowered.threshold
    if not spiking:
        return values_monitor(stage, placed, ["sent"])
    return stage.brian2.SpikeMonitor(
        placed.group,
        variables=["sent"] if placed.sends_values else None,
        when=placed.slot("message"),
        order=1,
        name=f"{placed.group.name}_spikes",
    )


def values_monitor(stage: Stage, placed: Placed, variables: list[str]) -> Any:
    """Return a monitor of variables at the end of each step."""
    return stage.brian2.StateMonitor(
        placed.group,
        variables,
        record=True,
        clock=stage.clock,
        when=END,
        name=f"{placed.group.name}_{'_'.join(variables)}_seen",
    )


def probe_monitors(stage: Stage, placed: Mapping[str, Placed], keys: Sequence[str]) -> Probed:
    """Return key -> (monitor, variable) for probes `NAME.v`; one monitor per population."""
    wanted: dict[str, dict[str, str]] = {}
    for key in keys:
        name, _, variable = key.rpartition(".")
        lowered = placed[name].lowered
        wanted.setdefault(name, {})[key] = variable if lowered is None else lowered.kept[variable]
    found: Probed = {}
    for name, variables in wanted.items():
        monitor = values_monitor(stage, placed[name], list(dict.fromkeys(variables.values())))
        found |= {key: (monitor, variable) for key, variable in variables.items()}
    return {key: found[key] for key in keys}


def raster(stage: Stage, placed: Placed, monitor: Any) -> Array:
    """Return what a population sent, (samples, steps, n): int32, or float64 where it is analog."""
    if placed.lowered is None or not placed.lowered.threshold:
        return recorded(stage, monitor, "sent")
    found = np.zeros((stage.samples, stage.steps, placed.size), np.int32)
    sample, neuron = np.divmod(np.asarray(monitor.i), placed.size)
    step = np.rint(np.asarray(monitor.t_) / stage.clocked.dt).astype(int)
    found[sample, step, neuron] = np.asarray(monitor.sent) if placed.sends_values else 1
    return found


def recorded(stage: Stage, monitor: Any, variable: str) -> Array:
    """Return what a monitor of values saw, (samples, steps, n)."""
    seen = np.asarray(getattr(monitor, variable), float)
    blocks = seen.reshape(stage.samples, -1, seen.shape[1])
    return np.ascontiguousarray(np.moveaxis(blocks, 2, 1))


def restore(placed: Mapping[str, Placed], variables: Mapping[str, Mapping[str, Array]]) -> None:
    """Set the groups to the variables of a State."""
    for name, kept in variables.items():
        lowered = placed[name].lowered
        for key, variable in ({} if lowered is None else lowered.kept).items():
            setattr(placed[name].group, variable, kept[key].ravel())


def kept(stage: Stage, placed: Placed) -> dict[str, Array]:
    """Return the variables of a population as a State has them, (samples, n)."""
    names = {} if placed.lowered is None else placed.lowered.kept
    found = {}
    for key, variable in names.items():
        values = np.array(getattr(placed.group, variable)).reshape(stage.samples, placed.size)
        found[key] = values.astype(np.int64 if values.dtype.kind == "i" else float)
    return found


def has_events(population: Population, sent: Array) -> bool:
    """Does it send spikes; an analog population and a real-valued input do not."""
    if population.membrane is not None:
        return bool(population.cell.spiking)
    return bool(np.all(sent == np.rint(sent)))
