"""A generated task that needs memory: in which order did three bursts come."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.memory import check_free
from spikeport.models.data.dataset import Dataset, Split, timed

GROUPS = 3
SPLITS = {"train": 0, "test": 1}


def order(
    folder: Path | None = None,
    *,
    samples: int = 6000,
    seed: int = 0,
    channels: int = 24,
    burst: int = 6,
    gap: int = 24,
    jitter: int = 4,
    rate: float = 0.5,
    noise: float = 0.01,
) -> Dataset:
    """Make spikes (steps, channels) whose six classes are the orders of three bursts.

    The channels are three groups. In each sample each group bursts once: every channel of it
    spikes with probability `rate` in each of `burst` steps. Silence of `gap` steps, plus 0 ..
    `jitter`, comes before each burst and after the last; noise spikes come anywhere. The class is
    the order of the groups, the permutations of (0, 1, 2) in lexicographic order.

    No rate decoder can solve it: a burst's spikes are drawn without regard to when it comes, so
    that the counts of the channels, and any sum over time of what a network without memory makes
    of each step, have the same distribution in every class. What came before must be remembered
    over the gap; with time constants well below it, only recurrence does.

    Args:
        folder: none, for nothing is read.
        samples: of the train split; the test split has a third of them.
        seed: of all that is drawn; train and test draw from different streams of it.
        channels: a multiple of 3.
        burst, gap, jitter: in steps.
        rate, noise: spikes per channel and step, in a burst and anywhere.

    Raises:
        DataError: a folder, or numbers that make no task.
    """
    if folder is not None:
        raise DataError("order is generated", fix="leave the folder out")
    whole = {"samples": samples, "seed": seed + 1, "channels": channels, "burst": burst, "gap": gap}
    wrong = [name for name, value in whole.items() if value < 1]
    if wrong or channels % GROUPS or samples < 3 or jitter < 0:
        raise DataError(
            f"order: {', '.join(wrong) or 'the numbers'} cannot be",
            "at least 3 samples, channels in three equal groups, steps from 1, jitter from 0",
        )
    if not (0 < rate <= 1 and 0 <= noise < 1):
        raise DataError(f"order: rate {rate} and noise {noise} are probabilities of a spike")

    steps = GROUPS * (burst + gap + jitter) + gap
    # chance and what is drawn, float32, and two copies in bytes
    check_free(12 * samples * steps * channels, "order", "take fewer samples, channels or steps")

    def made(stream: int, count: int) -> Split:
        rng = np.random.default_rng([seed, stream])
        classes = np.array(list(permutations(range(GROUPS))))
        labels = rng.integers(0, len(classes), count)
        place = np.argsort(classes[labels], axis=1)  # of each group in the order
        silence = gap + rng.integers(0, jitter + 1, (count, GROUPS))
        starts = np.cumsum(silence, axis=1) + burst * np.arange(GROUPS)
        start = np.take_along_axis(starts, place, axis=1)  # of each group's burst
        since = np.arange(steps)[None, :, None] - start[:, None, :]
        chance = np.where((since >= 0) & (since < burst), rate, noise).astype(np.float32)
        chance = np.repeat(chance, channels // GROUPS, axis=2)
        spikes = rng.random((count, steps, channels), np.float32) < chance
        return timed(spikes.astype(np.uint8), labels)

    splits = {name: made(at, samples // (1, 3)[at]) for name, at in SPLITS.items()}
    return Dataset("order", splits, 6, f"generated, seed {seed}: the order of three bursts")
