"""The noun `Traces`: what happened in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Shape, freeze_fields
from spikeport.compiler.state import State


@dataclass(frozen=True, eq=False)
class Events:
    """Spikes as events, ordered by sample, step, neuron.

    Attributes:
        sample, step, neuron: int32 arrays of one length.
        count: spikes in that cell, int32 (1 for binary populations).
        samples, steps: extents; `shape` is the population's.
    """

    sample: Array
    step: Array
    neuron: Array
    count: Array
    samples: int
    steps: int
    shape: Shape

    def __post_init__(self) -> None:
        freeze_fields(self)

    @classmethod
    def from_dense(cls, raster: Array, shape: Shape) -> Events:
        """Return the events of a raster of shape (samples, steps, n)."""
        sample, step, neuron = (index.astype(np.int32) for index in np.nonzero(raster))
        count = raster[sample, step, neuron].astype(np.int32)
        return cls(sample, step, neuron, count, raster.shape[0], raster.shape[1], shape)

    def dense(self) -> Array:
        """Return counts, int32, shape (samples, steps, n)."""
        size = int(np.prod(self.shape, dtype=np.int64))
        raster = np.zeros((self.samples, self.steps, size), np.int32)
        raster[self.sample, self.step, self.neuron] = self.count
        return raster

    @property
    def total(self) -> int:
        """Number of spikes."""
        return int(self.count.sum(dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Traces:
    """Spikes, probes, counters and the State after a run.

    Attributes:
        source: which backend, for messages (`reference`, `emulator`, `lava`).
        dt: seconds per step.
        samples, steps: extents of the run; `steps` are the target's own steps.
        model_steps: steps of the input that the run answers; the window of population p is
            [lags[p], lags[p] + model_steps) if `slow` is 1.
        spikes: population -> Events, inputs included.
        probes: `NAME.v` or `NAME.u` -> (samples, steps, n), after reset.
        lags: population -> steps by which it is late against the reference.
        counters: population -> counter -> (samples, n) int64: `spikes`, and on chips
            `active` (steps in which the soma had something to do).
        state: starts the next run.
        output: name of the population that is decoded.
        slow: steps of the target per model step; a window takes every so many'th.
        units: population -> (scale, offset), each (n,): v of the network is v / scale + offset;
            empty where v is in the network's units already.
        notes: sentences for the report.
    """

    source: str
    dt: float
    samples: int
    steps: int
    model_steps: int
    spikes: Mapping[str, Events]
    probes: Mapping[str, Array]
    lags: Mapping[str, int]
    counters: Mapping[str, Mapping[str, Array]]
    state: State
    output: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)
    slow: int = 1
    units: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)

    def window(self, name: str) -> Array:
        """Return the spikes of `name` on the model's time axis, (samples, model_steps, n).

        Raises:
            DataError: the run was too short for this population's lag.
        """
        first = self.lags.get(name, 0)
        after = first + self.model_steps * self.slow
        raster = self.spikes[name].dense()[:, first : after : self.slow]
        if raster.shape[1] < self.model_steps:
            raise DataError(
                f"the run of {self.steps} steps ends before {name!r} has answered",
                f"its window is {first} to {after}",
                f"run {after} steps",
            )
        return raster

    def v_window(self, name: str) -> Array:
        """Return the probed v of `name` on the model's time axis, in the network's own units."""
        v = self.probe_window(f"{name}.v")
        if name not in self.units:
            return v
        scale, offset = self.units[name]
        return np.asarray(v / scale + offset)

    def probe_window(self, key: str) -> Array:
        """Return a probe on the model's time axis, (samples, model_steps, n)."""
        first = self.lags.get(key.rpartition(".")[0], 0)
        return self.probes[key][:, first : first + self.model_steps * self.slow : self.slow]


def spread(given: Array, raster: Array, slow: int, first: int) -> None:
    """Write an input into a raster, one of its steps every `slow` steps of the target.

    Args:
        given: (samples, input steps, n).
        raster: (samples, steps, n), zeros; changed.
        slow: steps of the target per input step.
        first: number of the raster's first step.
    """
    places = np.arange(-first % slow, raster.shape[1], slow)[: given.shape[1]]
    raster[:, places] = given[:, : places.size]
