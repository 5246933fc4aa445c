"""Pictures in IDX files, the format of MNIST and Fashion-MNIST, plain or .gz.

Big-endian: two zero bytes, the type (8 is uint8), the number of dimensions, the dimensions as
uint32, then the values (LeCun, http://yann.lecun.com/exdb/mnist, "the IDX file format").
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load import files
from spikeport.models.data.dataset import Dataset, Split, pixels
from spikeport.models.data.folders import first_there, lacks, needed

FILES = "train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k (.gz too)"
PREFIXES = {"train": "train", "test": "t10k"}
GZIP = b"\x1f\x8b"
LARGEST_UNPACKED = 1 << 30  # bytes of a .gz file; a plain one is never read whole
UINT8 = 8


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


def idx(folder: Path | None = None) -> Dataset:
    """Open MNIST, Fashion-MNIST or others of their format in a folder.

    Pictures are still values (height, width), pixel / 255. Those of plain files are read when
    asked for; a .gz file is unpacked into memory, up to 1 GiB.

    Raises:
        DataError, LoadError: no such folder or files, or what is wrong with one.
    """
    folder = needed(folder, "idx", FILES)
    splits = {name: found for name in PREFIXES if (found := idx_split(folder, name)) is not None}
    if not splits:
        raise lacks(folder, "idx", FILES)
    classes = 1 + max(int(split.labels.max(initial=0)) for split in splits.values())
    return Dataset("idx", splits, classes, f"IDX files of the folder {folder.name}, as split there")


def idx_split(folder: Path, name: str) -> Split | None:
    """Return one split of the folder, None if it has no pictures of it.

    Raises:
        LoadError: labels missing, or a file that is damaged or does not match the other.
    """
    prefix = PREFIXES[name]
    found = first_there(folder, _names(f"{prefix}-images", 3))
    if found is None:
        return None
    told = first_there(folder, _names(f"{prefix}-labels", 1))
    if told is None:
        raise LoadError(
            f"{found.name}: its labels are missing",
            f"there is no {prefix}-labels-idx1-ubyte beside it",
            "put both files into the folder",
        )
    images, labels = read_idx(found), np.array(read_idx(told)())
    if labels.ndim != 1:
        raise LoadError(f"{told.name}: {labels.ndim} dimensions, labels have one")
    shape = images().shape
    if len(shape) < 2 or shape[0] != len(labels):
        raise LoadError(
            f"{found.name}: shape {shape} does not go with {len(labels)} labels",
            "pictures are (samples, height, width), with one label each",
            "take both files from the same place",
        )
    return pixels(images, labels)


def read_idx(path: Path) -> Callable[[], Array]:
    """Return a function that opens the values of a file, checked here.

    Raises:
        LoadError: not an IDX file of uint8, damaged, or too large.
    """
    packed = files.first_bytes(path).startswith(GZIP)
    with files.naming(path.name):
        try:
            with gzip.open(path) if packed else path.open("rb") as file:
                shape = _header(file)
                start, size = 4 + 4 * len(shape), math.prod(shape)
                held = path.stat().st_size - start
                if packed:
                    values = _unpacked(file, size)
                    held = len(values)
        except (OSError, EOFError, zlib.error) as error:
            why = " ".join(str(error).split())[:160]
            raise LoadError("cannot unpack the file", why, "download it again") from None
        if held != size:
            raise LoadError(
                f"the shape {shape} needs {size} bytes, the file holds {held}",
                "it is truncated, or something was added",
                "download it again",
            )
    if packed:
        array = np.frombuffer(values, np.uint8).reshape(shape)
        return lambda: array
    return lambda: np.memmap(path, np.uint8, "r", start, shape)


def _names(stem: str, dimensions: int) -> list[str]:
    ending = f"idx{dimensions}-ubyte"
    return [f"{stem}{dot}{ending}{gz}" for gz in ("", ".gz") for dot in "-."]


def _header(file: _Bytes) -> tuple[int, ...]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise LoadError(
            "this is not an IDX file",
            f"it looks like {files.looks_like(head)}",
            "download it again",
        )
    kind, dimensions = head[2], head[3]
    if kind != UINT8 or not 1 <= dimensions <= 4:
        raise LoadError(
            f"IDX type {kind} with {dimensions} dimensions",
            "read are bytes (type 8) of 1 to 4 dimensions",
            "use the files of MNIST as they were published",
        )
    raw = file.read(4 * dimensions)
    if len(raw) < 4 * dimensions:
        raise LoadError("the file ends within its header", fix="download it again")
    shape = struct.unpack(f">{dimensions}I", raw)
    if not math.prod(shape):
        raise LoadError(f"the shape {shape} has no values", fix="download it again")
    return shape


def _unpacked(file: _Bytes, size: int) -> bytes:
    if size > LARGEST_UNPACKED:
        raise LoadError(
            f"the file unpacks to {size} bytes",
            f"the limit is {LARGEST_UNPACKED}, for a .gz file is kept in memory",
            "gunzip it: plain files are read sample by sample",
        )
    return file.read(size + 1)
