"""The noun `Traces`: what happened in a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Shape
from spikeport.compiler.state import State

BLOCK = 1 << 22  # cells of a raster that are turned into events at once
NOTHING = np.zeros(0, np.int32)


@dataclass(frozen=True, eq=False)
class Events:
    """Spikes as events: for each step of each sample the neurons that spiked, ascending.

    Attributes:
        neuron: their numbers, int32, (events,).
        offsets: where the events of a step begin: those of sample s and step t are the places
            offsets[s * steps + t] to offsets[s * steps + t + 1], int64, (samples * steps + 1,).
        count: spikes of each event, or the value that was sent, int32; None: one each.
        samples, steps: extents; `shape` is the population's.
    """

    neuron: Array
    offsets: Array
    count: Array | None
    samples: int
    steps: int
    shape: Shape

    def __post_init__(self) -> None:
        for name in ("neuron", "offsets", "count"):
            array = getattr(self, name)
            if array is None:
                continue
            if isinstance(array.base, np.ndarray) and array.base.flags.writeable:
                array = array.copy()  # nobody can change it behind our back
                object.__setattr__(self, name, array)
            array.flags.writeable = False

    @classmethod
    def from_dense(cls, raster: Array, shape: Shape) -> Events:
        """Return the events of a raster of shape (samples, steps, n)."""
        samples, steps, size = raster.shape
        rows = raster.reshape(samples * steps, size)
        valued = raster.dtype != bool and (raster.max(initial=0) > 1 or raster.min(initial=0) < 0)
        neurons, counts = [NOTHING], [NOTHING]
        offsets = np.zeros(samples * steps + 1, np.int64)
        together = max(BLOCK // max(size, 1), 1)
        for first in range(0, len(rows), together):  # in blocks: places take 8 bytes each
            some = rows[first : first + together]
            some = some.astype(np.int32) if some.dtype.kind == "f" else some
            fired = some != 0
            places = np.flatnonzero(fired)
            offsets[first + 1 : first + 1 + len(some)] = np.count_nonzero(fired, axis=1)
            neurons.append((places % max(size, 1)).astype(np.int32))
            if valued:
                counts.append(some.reshape(-1)[places].astype(np.int32))
        count = np.concatenate(counts) if valued else None
        return cls(np.concatenate(neurons), np.cumsum(offsets), count, samples, steps, shape)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def row(self) -> Array:
        """Sample times steps plus step of each event, int64, (events,)."""
        return np.repeat(np.arange(self.samples * self.steps), np.diff(self.offsets))

    @property
    def sample(self) -> Array:
        """Sample of each event, (events,)."""
        return self.row // max(self.steps, 1)

    @property
    def step(self) -> Array:
        """Step of each event, (events,)."""
        return self.row % max(self.steps, 1)

    @cached_property
    def is_sound(self) -> bool:
        """Are these lists events of their shape: looked at once, as the arrays cannot change."""
        neuron, offsets, rows = self.neuron, self.offsets, self.samples * self.steps
        if neuron.dtype != np.int32 or offsets.dtype != np.int64 or offsets.shape != (rows + 1,):
            return False
        if not (neuron.flags.c_contiguous and offsets.flags.c_contiguous):
            return False
        if self.count is not None:
            if self.count.shape != neuron.shape or self.count.dtype != np.int32:
                return False
            if not (self.count.flags.c_contiguous and self.count.all()):
                return False
        if offsets[0] != 0 or offsets[-1] != neuron.size or (np.diff(offsets) < 0).any():
            return False
        later = np.diff(neuron, prepend=-1) > 0
        later[offsets[:-1][offsets[:-1] < neuron.size]] = True  # each step begins anew
        inside = neuron.min(initial=0) >= 0 and neuron.max(initial=0) < max(self.size, 1)
        return bool(later.all() and inside)

    def of_sample(self, sample: int) -> Events:
        """Return the events of one sample."""
        first = self.offsets[sample * self.steps : (sample + 1) * self.steps + 1]
        some = slice(first[0], first[-1])
        count = None if self.count is None else self.count[some]
        return Events(self.neuron[some], first - first[0], count, 1, self.steps, self.shape)

    def dense(self, dtype: Any = np.int32) -> Array:
        """Return counts, shape (samples, steps, n)."""
        raster = np.zeros((self.samples * self.steps, self.size), dtype)
        raster[self.row, self.neuron] = 1 if self.count is None else self.count
        return raster.reshape(self.samples, self.steps, self.size)

    @property
    def total(self) -> int:
        """Number of spikes."""
        if self.count is None:
            return int(self.neuron.size)
        return int(self.count.sum(dtype=np.int64))

    def in_steps(self, slow: int, first: int, steps: int) -> Events:
        """Return an input as a target takes it, one of its steps every `slow` of the target's.

        Args:
            slow: steps of the target per step of these events.
            first: number of the target's first step.
            steps: how many steps the target takes.
        """
        if slow == 1 and steps == self.steps:
            return self
        begun = np.clip(-(-(np.arange(steps + 1) - (-first % slow)) // slow), 0, self.steps)
        rows = np.arange(self.samples)[:, None] * self.steps + begun
        at = self.offsets[rows]
        if (at[1:, 0] == at[:-1, -1]).all():  # none is left out between two samples
            some = slice(int(at[0, 0]), int(at[-1, -1])) if at.size else slice(0)
            neuron, count = self.neuron[some], None if self.count is None else self.count[some]
        else:
            used = np.concatenate([np.arange(row[0], row[-1]) for row in at])
            neuron, count = self.neuron[used], None if self.count is None else self.count[used]
        sizes = np.diff(at, axis=1).ravel()
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Events(neuron, offsets, count, self.samples, steps, self.shape)


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
        cores: where it was asked for: `numbers` of the cores (cores,), and for each step what
            its events cause there, int32 (samples, steps, cores): `packets_in`, `synaptic_ops`,
            `spikes_out`, `packets_out`, `soma_updates`.
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
    cores: Mapping[str, Array] = field(default_factory=dict)

    def window(self, name: str, dtype: Any = np.int32) -> Array:
        """Return the spikes of `name` on the model's time axis, (samples, model_steps, n).

        Raises:
            DataError: the run was too short for this population's lag.
        """
        return self.spikes[name].dense(dtype)[:, self._steps_of(name)]

    def total(self, name: str) -> int:
        """Return how many spikes `window` holds, without making it."""
        events, steps = self.spikes[name], np.arange(self.steps)[self._steps_of(name)]
        rows = (np.arange(self.samples)[:, None] * self.steps + steps).ravel()
        sums = events.offsets
        if events.count is not None:
            sums = np.append(0, np.cumsum(events.count, dtype=np.int64))[sums]
        return int((sums[rows + 1] - sums[rows]).sum())

    def _steps_of(self, name: str) -> slice:
        first = self.lags.get(name, 0)
        after = first + self.model_steps * self.slow
        if len(range(self.steps)[first : after : self.slow]) < self.model_steps:
            raise DataError(
                f"the run of {self.steps} steps ends before {name!r} has answered",
                f"its window is {first} to {after}",
                f"run {after} steps",
            )
        return slice(first, after, self.slow)

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
