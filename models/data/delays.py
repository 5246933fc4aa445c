"""A generated task of delays: which channels spike how long after which."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.memory import check_free
from spikeport.models.data.dataset import Dataset, Split, timed

SPLITS = {"train": 0, "test": 1}
PATTERNS = 2  # the stream that draws what the classes are


def delays(
    folder: Path | None = None,
    *,
    samples: int = 3000,
    seed: int = 0,
    classes: int = 4,
    channels: int = 4,
    spacing: int = 12,
    jitter: int = 1,
    shift: int = 12,
) -> Dataset:
    """Make spikes (steps, channels) whose classes differ in relative delays alone.

    Every channel spikes once. In class c channel k spikes spacing * order[c][k] steps after the
    first, plus or minus `jitter`; the orders are permutations drawn from the seed. The whole
    moves by 0 .. `shift` steps, so that one channel's time tells little.

    Counts are 1 everywhere and all channels together spike at the same times in every class:
    only the pairing of channels and times tells. A neuron that adds delays which undo a class's
    pattern sees all spikes of it within 2 * jitter + 1 steps and few of the others' at once;
    without delays, and with time constants below the spacing, no two channels meet.

    Args:
        folder: none, for nothing is read.
        samples: of the train split; the test split has a third of them.
        seed: of all that is drawn; train and test draw from different streams of it.
        classes: each with a permutation of its own.
        channels: input neurons.
        spacing, jitter, shift: in steps.

    Returns:
        A sample has enough steps for a delay of spacing * (channels - 1) on every spike.

    Raises:
        DataError: a folder, or numbers that make no task.
    """
    if folder is not None:
        raise DataError("delays is generated", fix="leave the folder out")
    few = samples < 3 or classes < 2 or channels < 3 or spacing < 1 or seed < 0
    if few or min(jitter, shift) < 0 or classes > channels:
        raise DataError(
            "delays: the numbers make no task",
            "at least 3 samples, 2 classes and 3 channels, no more classes than channels, "
            "spacing from 1, seed, jitter and shift from 0",
        )
    longest = spacing * (channels - 1)
    steps = shift + 2 * jitter + 2 * longest + spacing
    orders = _orders(np.random.default_rng([seed, PATTERNS]), classes, channels)

    check_free(2 * samples * steps * channels, "delays", "take fewer samples, channels or steps")

    def made(stream: int, count: int) -> Split:
        rng = np.random.default_rng([seed, stream])
        labels = rng.integers(0, classes, count)
        at = spacing * orders[labels] + rng.integers(0, shift + 1, (count, 1))
        at = at + rng.integers(0, 2 * jitter + 1, at.shape)
        spikes = np.zeros((count, steps, channels), np.uint8)
        np.put_along_axis(spikes, at[:, None], 1, axis=1)
        return timed(spikes, labels)

    splits = {name: made(at, samples // (1, 3)[at]) for name, at in SPLITS.items()}
    return Dataset("delays", splits, classes, f"generated, seed {seed}: relative delays")


def _orders(rng: np.random.Generator, classes: int, channels: int) -> np.ndarray:
    """Return permutations (classes, channels) in which no channel has a place twice."""
    square = (np.arange(channels) + np.arange(channels)[:, None]) % channels
    columns, symbols = rng.permutation(channels), rng.permutation(channels)
    return np.asarray(symbols[square[rng.permutation(channels)[:classes]][:, columns]])
