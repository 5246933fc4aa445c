"""Events that tests make, and how they are binned one by one."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.compiler.errors import LoadError
from spikeport.models.data.events import Binning, Events


def made(
    seed: int = 4, count: int = 200, width: int = 34, height: int = 34, last: int = 300_000
) -> Events:
    """Return random events in the order of time, the first at 0."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, last, count))
    x, y = rng.integers(0, width, count), rng.integers(0, height, count)
    return Events(x, y, t - t[0], rng.integers(0, 2, count))


def by_hand(events: Events, binning: Binning, width_us: int) -> np.ndarray:
    """Return counts, one event after the other."""
    counts = np.zeros(binning.shape, int)
    for x, y, t, p in zip(events.x, events.y, events.t, events.p, strict=True):
        if t // width_us < binning.steps:
            counts[t // width_us, p, y // binning.factor, x // binning.factor] += 1
    return counts


def message(data, index: int = 0, split: str = "train") -> str:
    with pytest.raises(LoadError) as caught:
        data.split(split).read(np.array([index]))
    return str(caught.value)
