"""Events of a camera or an ear, (x, y, t, p), and how they become steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError, LoadError
from spikeport.compiler.kinds import Array
from spikeport.models.data.dataset import Split

MOST_EVENTS = 1 << 24  # of one recording; a gesture of 6 s has less than 2**20
LARGEST_SAMPLE = 1 << 28  # values of one binned sample, one byte each
LARGEST_EXTENT = 1 << 15
LATEST = 1 << 50  # microseconds, 35 years; keeps t * steps within int64
LONGEST_STEPS = 1 << 13


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one recording, each (n,) int64: column, row, microseconds from its start, 0 or 1.

    p is 1 where it became brighter, 0 where darker.
    """

    x: Array
    y: Array
    t: Array
    p: Array


@dataclass(frozen=True)
class Binning:
    """How events become steps.

    Attributes:
        height, width: of the sensor, in pixels.
        steps: of a sample.
        bin_width: of a step [s], whole microseconds; what comes after the last step is left out.
            None divides each recording, from its start to its last event, into equal steps.
        factor: so many pixels in each direction become one.
        counts: keep how many events (up to 255), not only whether there was one.
    """

    height: int
    width: int
    steps: int
    bin_width: float | None = None
    factor: int = 1
    counts: bool = False

    def __post_init__(self) -> None:
        limits = {
            "height": LARGEST_EXTENT,
            "width": LARGEST_EXTENT,
            "steps": LONGEST_STEPS,
            "factor": LARGEST_EXTENT,
        }
        for name, most in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise DataError(f"{name} is {value!r}", fix=f"give a whole number, 1 .. {most}")
        width = self.bin_width
        if width is not None and not 1e-6 <= width <= 1e6:
            raise DataError(f"bin_width is {width!r}", fix="give seconds, 1e-6 (1 us) or more")
        if math.prod(self.shape) > LARGEST_SAMPLE:
            raise DataError(
                f"a sample of shape {self.shape} is too large",
                f"the limit is {LARGEST_SAMPLE} values",
                "use fewer steps or a larger factor",
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of one sample: (steps, 2, height, width), the pixels after sub-sampling."""
        rows, columns = -(-self.height // self.factor), -(-self.width // self.factor)
        return self.steps, 2, rows, columns


def bin_events(events: Events, binning: Binning) -> Array:
    """Return events as spikes or counts.

    An event at t is in step t // width, or t * steps // (last + 1) where no width is given, in
    channel p, row y // factor and column x // factor. The order of the events does not matter.

    Args:
        events: within the sensor, from time 0.
        binning: how.

    Returns:
        uint8 (steps, 2, h, w): 0 and 1, or counts up to 255.

    >>> click = Events(*np.array([[3, 3, 0], [0, 0, 1], [0, 999, 1000], [1, 1, 0]]))
    >>> binned = bin_events(click, Binning(2, 4, steps=2, bin_width=1e-3, counts=True))
    >>> binned.shape, int(binned[0, 1, 0, 3]), int(binned[1, 0, 1, 0])
    ((2, 2, 2, 4), 2, 1)
    """
    steps, _, rows, columns = binning.shape
    if binning.bin_width is None:
        last = int(events.t.max()) if len(events.t) else 0
        step = events.t * steps // (last + 1)
    else:
        step = events.t // round(binning.bin_width * 1e6)
    kept = step < steps
    row, column = events.y[kept] // binning.factor, events.x[kept] // binning.factor
    flat = ((step[kept] * 2 + events.p[kept]) * rows + row) * columns + column
    if binning.counts:
        place, count = np.unique(flat, return_counts=True)
        sent = np.minimum(count, 255).astype(np.uint8)
    else:
        place, sent = flat, np.ones(1, np.uint8)
    binned = np.zeros(math.prod(binning.shape), np.uint8)
    binned[place] = sent
    return binned.reshape(binning.shape)


def check_events(events: Events, height: int, width: int) -> Events:
    """Return events that lie within the sensor and in time.

    Raises:
        LoadError: too many, unequal lengths, a place outside, a time that cannot be, or a
            polarity other than 0 and 1.
    """
    lengths = {len(events.x), len(events.y), len(events.t), len(events.p)}
    if len(lengths) != 1:
        raise LoadError(f"x, y, t and p have different lengths: {sorted(lengths)}")
    if len(events.x) > MOST_EVENTS:
        raise LoadError(
            f"the recording has {len(events.x)} events",
            f"the limit is {MOST_EVENTS}",
            "cut it into samples first",
        )
    _within("x", events.x, width, f"the sensor is {width} pixels wide")
    _within("y", events.y, height, f"the sensor is {height} pixels high")
    _within("t", events.t, LATEST, "times are microseconds from the start of the recording")
    _within("p", events.p, 2, "a polarity is 0 or 1")
    return events


def _within(name: str, values: Array, end: int, why: str) -> None:
    wrong = np.flatnonzero((values < 0) | (values >= end))
    if len(wrong):
        raise LoadError(
            f"event {wrong[0]} has {name} = {values[wrong[0]]}",
            why,
            "check the sensor's size, the unit of time and the order of the columns",
        )


def recordings(
    items: Sequence[Any], labels: Array, read: Callable[[Any], Events], binning: Binning
) -> Split:
    """Return a split of recordings that are read and binned one by one when asked for.

    Args:
        items: what `read` takes, one per sample, such as paths.
        labels: (samples,).
        read: returns the checked events of one.
        binning: how they become steps.
    """

    def read_some(at: Array) -> Array:
        found = np.empty((len(at), *binning.shape), np.uint8)
        for row, index in zip(found, at, strict=True):
            row[:] = bin_events(read(items[int(index)]), binning)
        return found

    return Split(binning.shape, True, labels, read_some)
