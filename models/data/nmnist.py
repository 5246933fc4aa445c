"""N-MNIST: digits seen by a moving event camera, one small .bin file each.

An event has 40 bits: x (8), y (8), polarity (1), microseconds (23), big-endian. y = 240 marks
that the clock wrapped: all later times are 2**13 us later (Orchard et al. 2015, Frontiers in
Neuroscience 9:437, and Read_Ndataset.m that comes with the data).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.load import files
from spikeport.models.data.dataset import Dataset
from spikeport.models.data.events import Binning, Events, check_events, recordings
from spikeport.models.data.folders import by_class, lacks, needed

FILES = "Train/0 .. Train/9 and Test/0 .. Test/9, with .bin files"
SIDE = 34
EVENT = 5  # bytes
LARGEST_FILE = 16 << 20  # bytes; the largest of N-MNIST has some 40 000
WRAPPED = 240
WRAP = 1 << 13


def nmnist(
    folder: Path | None = None,
    *,
    steps: int = 30,
    bin_width: float | None = 0.01,
    factor: int = 1,
    counts: bool = False,
) -> Dataset:
    """Open N-MNIST: spikes (steps, 2, 34, 34), three saccades in 0.3 s.

    Args:
        folder: with Train and Test.
        steps, bin_width, factor, counts: see Binning.

    Raises:
        DataError, LoadError: no such folder or files; what is wrong with a file when it is read.
    """
    folder = needed(folder, "nmnist", FILES)
    binning = Binning(SIDE, SIDE, steps, bin_width, factor, counts)
    splits = {}
    for name, inside in {"train": "Train", "test": "Test"}.items():
        if (folder / inside).is_dir():
            classes, paths, labels = by_class(folder / inside, (".bin",))
            if classes != list("0123456789"):
                raise LoadError(
                    f"nmnist: {inside} has the folders {', '.join(classes[:12]) or 'none'}",
                    f"it should have {FILES}",
                )
            splits[name] = recordings(paths, labels, read_nmnist, binning)
    if not splits:
        raise lacks(folder, "nmnist", FILES)
    return Dataset("nmnist", splits, 10, "N-MNIST (Orchard et al. 2015), CC BY-SA 4.0; its split")


def read_nmnist(path: Path) -> Events:
    """Return the events of one file.

    Raises:
        LoadError: truncated, too large, or a pixel outside of the sensor.
    """
    files.first_bytes(path)
    with files.naming(path.name):
        size = path.stat().st_size
        if size % EVENT or size > LARGEST_FILE:
            raise LoadError(
                f"the file has {size} bytes",
                f"an event has {EVENT}, and the limit is {LARGEST_FILE}",
                "it is truncated or no N-MNIST file: unpack it again",
            )
        raw = np.fromfile(path, np.uint8).reshape(-1, EVENT).astype(np.int64)
        x, y, high = raw[:, 0], raw[:, 1], raw[:, 2]
        wrapped = y == WRAPPED
        t = (high & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
        t += WRAP * np.cumsum(wrapped)
        event = ~wrapped
        found = Events(x[event], y[event], t[event], high[event] >> 7)
        return check_events(found, SIDE, SIDE)
