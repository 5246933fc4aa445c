"""What a data set is: named splits whose samples are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.compiler.errors import DataError, counted, nearest
from spikeport.compiler.kinds import Array


@dataclass(frozen=True, eq=False)
class Split:
    """Samples with labels; `read` fetches those asked for and nothing else.

    Attributes:
        shape: of one sample: (*n,) of still values in [0, 1]; (steps, *n) where `timed`.
        timed: are the samples spikes or counts over time, which need no encoder.
        labels: int64 (samples,), not writeable.
        read: from indices (k,) to (k, *shape): float32 values, uint8 spikes or counts if timed.
    """

    shape: tuple[int, ...]
    timed: bool
    labels: Array
    read: Callable[[Array], Array]

    def __post_init__(self) -> None:
        labels = np.array(self.labels, np.int64)
        labels.flags.writeable = False
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set.

    Attributes:
        name: as in the library.
        splits: "train", "test", and what else there is.
        classes: labels are 0 .. classes - 1.
        source: where it is from, its licence, and how it is split.

    Raises:
        DataError: a split without samples, or a label that is no class.
    """

    name: str
    splits: Mapping[str, Split]
    classes: int
    source: str

    def __post_init__(self) -> None:
        for which, split in self.splits.items():
            if not len(split):
                raise DataError(f"{self.name}: the split {which!r} has no samples")
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= self.classes:
                wrong = low if low < 0 else high
                raise DataError(
                    f"{self.name}: the split {which!r} has the label {wrong}",
                    f"with {counted(self.classes, 'class')} labels are 0 .. {self.classes - 1}",
                    "number the classes from 0",
                )

    def split(self, name: str) -> Split:
        """Return a split by name.

        Raises:
            DataError: there is no such split; the message names those there are.
        """
        if name not in self.splits:
            there = ", ".join(sorted(self.splits))
            raise DataError(
                f"{self.name} has no split {name!r}",
                f"its splits are: {there or 'none'}",
                "add its files to the folder, or ask for one that is there",
            )
        return self.splits[name]


def unknown(what: str, name: str, known: Collection[str]) -> DataError:
    """Return the error for a name that is not known, with those that are and the nearest."""
    if not known:
        return DataError(what, "it has none", "leave it out")
    return DataError(
        what, f"there are: {', '.join(known)}", f"did you mean {nearest(name, known)!r}?"
    )


def still(values: Array, labels: Array) -> Split:
    """Return a split of values (samples, *n) that are in memory, in [0, 1] already."""
    kept = np.asarray(values, np.float32)
    return Split(kept.shape[1:], False, labels, lambda at: np.asarray(kept[at]))


def pixels(images: Callable[[], Array], labels: Array) -> Split:
    """Return a split of 8-bit pictures as values / 255.

    Args:
        images: returns uint8 (samples, *n): an array, or a map of a file made anew for each
            reading, so that what was read does not stay in memory.
        labels: (samples,).
    """

    def read(at: Array) -> Array:
        return np.asarray(images()[at], np.float32) / np.float32(255)

    return Split(images().shape[1:], False, labels, read)


def timed(values: Array, labels: Array) -> Split:
    """Return a split of spikes or counts uint8 (samples, steps, *n) that are in memory."""
    return Split(values.shape[1:], True, labels, lambda at: np.asarray(values[at]))
