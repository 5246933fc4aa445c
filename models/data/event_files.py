"""Recordings (x, y, t, p) in .npz, .npy or .csv files, a folder for each class."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import DataError, LoadError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load import files
from spikeport.compiler.load.arrays import read_arrays
from spikeport.models.data.dataset import Dataset, Split
from spikeport.models.data.events import (
    LATEST,
    Binning,
    Events,
    check_events,
    recordings,
)
from spikeport.models.data.folders import by_class, lacks, needed

FILES = "train/CLASS and test/CLASS, with .npz, .npy or .csv files of x, y, t, p"
SPLITS = ("train", "valid", "test")
COLUMNS = ("x", "y", "t", "p")
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}  # microseconds
LARGEST_CSV = 64 << 20  # bytes; some 4 million events


def events(
    folder: Path | None = None,
    *,
    height: int,
    width: int,
    steps: int,
    bin_width: float | None = None,
    unit: str = "us",
    factor: int = 1,
    counts: bool = False,
) -> Dataset:
    """Open a folder of event files: spikes (steps, 2, height, width).

    A file is one sample, its folder the class; classes are numbered in the order of their names.

    Args:
        folder: with train, test and, where there is one, valid.
        height, width: of the sensor, in pixels.
        steps, bin_width, factor, counts: see Binning.
        unit: of the times in the files: us, ms or s.

    Raises:
        DataError, LoadError: no such folder or files; what is wrong with a file when it is read.
    """
    folder = needed(folder, "events", FILES)
    binning = Binning(height, width, steps, bin_width, factor, counts)
    read = partial(read_events, height=height, width=width, unit=unit)
    if unit not in UNITS:
        raise DataError(f"events: there is no unit {unit!r}", f"there are {', '.join(UNITS)}")
    splits: dict[str, Split] = {}
    classes: list[str] = []
    for name in SPLITS:
        if (folder / name).is_dir():
            found, paths, labels = by_class(folder / name, (".npz", ".npy", ".csv"))
            if splits and found != classes:
                raise LoadError(
                    f"events: {name} has the classes {', '.join(found[:12]) or 'none'}",
                    f"others have {', '.join(classes[:12]) or 'none'}",
                    "give each split a folder for every class",
                )
            classes, splits[name] = found, recordings(paths, labels, read, binning)
    if not splits:
        raise lacks(folder, "events", FILES)
    return Dataset("events", splits, len(classes), f"event files of the folder {folder.name}")


def read_events(path: Path, *, height: int, width: int, unit: str = "us") -> Events:
    """Return the events of one file; time begins at the first of them.

    An .npz has arrays x, y, t, p; an .npy is (n, 4) in that order; a .csv too, unless its first
    line names the columns. A polarity is 0 or 1, or -1 and 1.

    Raises:
        LoadError: not such a file, damaged, too large, or events that cannot be.
    """
    head = files.first_bytes(path)
    with files.naming(path.name):
        if head.startswith(files.ZIP):
            columns = read_arrays(path, COLUMNS)
        elif head.startswith(files.NPY):
            columns = _columns(read_arrays(path)["x"], COLUMNS)
        else:
            columns = _read_csv(path)
        missing = [name for name in COLUMNS if name not in columns]
        if missing:
            raise LoadError(
                f"there is no {' and no '.join(missing)}",
                f"it has {', '.join(sorted(columns)[:8]) or 'nothing'}",
                "save the arrays x, y, t and p",
            )
        lengths = {name: np.shape(columns[name]) for name in COLUMNS}
        if len(set(lengths.values())) != 1 or len(lengths["x"]) != 1:
            raise LoadError(f"x, y, t and p are not lists of one length: {lengths}")
        x, y, p = (_whole(name, columns[name]) for name in "xyp")
        t = _microseconds(columns["t"], UNITS[unit])
        return check_events(Events(x, y, t, np.where(p == -1, 0, p)), height, width)


def _microseconds(times: Array, scale: float) -> Array:
    if not np.isfinite(times).all():
        raise LoadError("a time is not finite")
    if not len(times):
        return np.zeros(0, np.int64)
    if np.abs(times.astype(np.float64)).max() * scale >= LATEST:
        raise LoadError(
            "a time is too large", "times are below 35 years", "check the unit: us, ms or s"
        )
    backwards = np.flatnonzero(times[1:] < times[:-1])
    if len(backwards):
        at = int(backwards[0]) + 1
        raise LoadError(
            f"time goes back at event {at}, from {times[at - 1]} to {times[at]}",
            "a clock that wrapped or columns in another order look like this",
            "sort the events by t, or name the columns",
        )
    if times.dtype.kind in "biu":
        since = times.astype(np.int64) - int(times[0])
        return since * int(scale)
    return np.rint((times.astype(np.float64) - float(times[0])) * scale).astype(np.int64)


def _whole(name: str, values: Array) -> Array:
    """Return numbers as int64; what is not whole or beyond any sensor is refused."""
    if values.dtype.kind == "u":
        values = np.minimum(values.astype(np.uint64), np.uint64(1 << 62))
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    wrong = np.flatnonzero(~(np.abs(values) < 1 << 31) | (np.rint(values) != values))
    if len(wrong):
        raise LoadError(f"event {wrong[0]} has {name} = {values[wrong[0]]}", "it is not whole")
    return values.astype(np.int64)


def _columns(table: Array, names: tuple[str, ...]) -> dict[str, Array]:
    if table.ndim != 2 or table.shape[1] != len(names):
        raise LoadError(
            f"the shape is {table.shape}",
            f"one event is a row of {', '.join(names)}",
            "write four numbers for each event",
        )
    return dict(zip(names, table.T, strict=True))


def _read_csv(path: Path) -> dict[str, Array]:
    size = path.stat().st_size
    if size > LARGEST_CSV:
        raise LoadError(
            f"the file has {size} bytes", f"the limit is {LARGEST_CSV}", "save it as .npz"
        )
    with path.open("rb") as file:
        first = file.readline(4096).decode("ascii", "replace").strip()
    named = any(letter in first.lower() for letter in "xyp")
    names = tuple(each.strip().lower() for each in first.split(",")) if named else COLUMNS
    if len(set(names)) != len(names):
        raise LoadError(f"the first line names a column twice: {first[:60]}")
    try:
        with path.open(encoding="ascii") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without rows
            table = np.loadtxt(file, comments=None, delimiter=",", skiprows=int(named), ndmin=2)
    except (ValueError, OSError) as error:
        why = " ".join(str(error).split())[:160]
        raise LoadError(
            "this is no table of numbers", why, "write rows of x,y,t,p, with commas between"
        ) from None
    return _columns(table if table.size else np.zeros((0, len(names))), names)
