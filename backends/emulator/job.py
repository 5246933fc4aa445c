"""What both engines are given, and what both give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.probe import Probe
from spikeport.compiler.program import Program
from spikeport.compiler.state import State
from spikeport.compiler.traces import Events


@dataclass(frozen=True, eq=False)
class Job:
    """One run.

    Attributes:
        program: what runs.
        image: its cores, where they are counted; else None.
        samples, steps, first: extents, and the number of the first step.
        state: where it goes on; None at the very beginning.
        inputs: what inputs send, in steps of the chip.
        host: population -> bias registers that the host writes, int64 (samples, steps, n).
        probes: what is recorded.
        threads: how many samples run at once.
        progress: called with (steps done, steps in all).
        max_memory: what may be taken, a size; None: most of what is free.
    """

    program: Program
    image: Image | None
    samples: int
    steps: int
    first: int
    state: State | None
    inputs: Mapping[str, Events]
    host: Mapping[str, Array]
    probes: tuple[Probe, ...]
    threads: int
    progress: Callable[[int, int], None]
    max_memory: str | int | None

    def width(self, name: str) -> type:
        """Return the type of what a population sends: a byte for spikes, more for messages."""
        return np.int32 if carries_values(self.program, name) else np.uint8

    @property
    def probe_width(self) -> type:
        """Type of recorded u and v."""
        return np.int64 if self.program.arithmetic.overflow == "unlimited" else np.int32

    def recorded(self) -> dict[str, Array]:
        """Return arrays for what is probed, (samples, steps, k)."""
        shape = (self.samples, self.steps)
        sizes = {
            each.key: self.program.populations[each.population].size
            if each.neurons is None
            else each.neurons.size
            for each in self.probes
        }
        return {key: np.zeros((*shape, size), self.probe_width) for key, size in sizes.items()}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What happened; see `Traces` for the shapes.

    Attributes:
        events: population -> what it sent.
        probes: key -> recording.
        spikes, active: population -> counters (samples, n).
        variables: population -> variable -> (samples, n) after the last step.
        history: population -> what was sent in the last steps, (depth, samples, n).
        overflows: population -> how many cells left their bits.
        cores: per core and step, where they were asked for.
    """

    events: Mapping[str, Events]
    probes: Mapping[str, Array]
    spikes: Mapping[str, Array]
    active: Mapping[str, Array]
    variables: Mapping[str, Mapping[str, Array]]
    history: Mapping[str, Array]
    overflows: Mapping[str, int]
    cores: Mapping[str, Array]


def carries_values(program: Program, name: str) -> bool:
    """Can a population send something other than one spike."""
    cell: Any = program.populations[name].cell
    return program.largest_message(name) > 1 or getattr(cell, "message_bits", 0) > 0
