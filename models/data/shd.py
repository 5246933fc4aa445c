"""Spiking Heidelberg Digits and Spiking Speech Commands: spoken words as spikes of 700 channels.

An .h5 file a split: spikes/times (lists of seconds), spikes/units (lists of channels), labels
(Cramer et al. 2020, IEEE TNNLS, https://zenkelab.org/resources).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import DataError, LoadError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.files import naming
from spikeport.models.data.dataset import Dataset, Split
from spikeport.models.data.events import LATEST, Binning, Events, check_events, recordings
from spikeport.models.data.folders import first_there, lacks, needed

FILES = "shd_train.h5 and shd_test.h5, or ssc_train.h5, ssc_valid.h5 and ssc_test.h5"
SPLITS = ("train", "valid", "test")
CHANNELS = 700
CLASSES = {"shd": 20, "ssc": 35}
NAMES = ("spikes/times", "spikes/units", "labels")


def shd(
    folder: Path | None = None,
    *,
    steps: int = 100,
    bin_width: float | None = 0.014,
    factor: int = 5,
    counts: bool = False,
) -> Dataset:
    """Open SHD or SSC: spikes (steps, 700 / factor), one word a sample, read when asked for.

    Args:
        folder: with the unpacked .h5 files of one of the two.
        steps, bin_width, factor, counts: see Binning; 100 steps of 14 ms hold every word.

    Raises:
        DataError, LoadError: no such folder or files, or what is wrong with one.
    """
    folder = needed(folder, "shd", FILES)
    binning = Binning(1, CHANNELS, steps, bin_width, factor, counts)
    found = {
        which: {
            name: path
            for name in SPLITS
            if (path := first_there(folder, [f"{which}_{name}.h5"])) is not None
        }
        for which in CLASSES
    }
    if all(found.values()):
        raise DataError(
            f"shd: the folder {folder.name!r} has both SHD and SSC", fix="give each its own"
        )
    which = next((each for each in found if found[each]), "")
    if not which:
        raise lacks(folder, "shd", FILES)
    splits = {name: _split(path, binning) for name, path in found[which].items()}
    source = f"{which.upper()} (Cramer et al. 2020), CC BY 4.0; its split"
    return Dataset("shd", splits, CLASSES[which], source)


def _split(path: Path, binning: Binning) -> Split:
    from spikeport.models.data.hdf5_lists import Lists, read_lists

    tables = read_lists(path, NAMES)
    times, units, labels = (tables[name] for name in NAMES)
    if not isinstance(times, Lists) or not isinstance(units, Lists) or isinstance(labels, Lists):
        raise LoadError(f"{path.name}: times and units are lists, labels are not: it is no SHD")
    if not len(times) == len(units) == len(labels):
        raise LoadError(
            f"{path.name}: {len(times)} times, {len(units)} units, {len(labels)} labels",
            "each sample has one of each",
            "download it again",
        )
    if labels.dtype.kind not in "iu":
        raise LoadError(f"{path.name}: labels are {labels.dtype}, classes are whole numbers")

    def read(index: int) -> Events:
        with naming(path.name):
            return _events(times.read(index), units.read(index))

    both = recordings(range(len(labels)), labels, read, binning)
    shape = (binning.steps, both.shape[-1])
    # Channels have no polarity: all events are of polarity 0 in the one row.
    return replace(both, shape=shape, read=lambda at: np.asarray(both.read(at)[:, :, 0, 0]))


def _events(times: Array, units: Array) -> Events:
    seconds = times.astype(np.float64)
    if not (np.abs(seconds) < LATEST * 1e-6).all():
        raise LoadError("a time is not finite", "times are seconds", "download it again")
    if units.dtype.kind not in "iu":
        raise LoadError(f"units are {units.dtype}, channels are whole numbers")
    x, none = units.astype(np.int64), np.zeros(len(units), np.int64)
    return check_events(Events(x, none, np.rint(seconds * 1e6).astype(np.int64), none), 1, CHANNELS)
