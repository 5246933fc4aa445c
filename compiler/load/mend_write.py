"""Write a raw tree as an HDF5 file, as `nir.write` lays it out: atomically, never over a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeport.compiler.errors import OutputError

#: Above this many bytes nothing is compressed: readers distrust what unpacks a thousandfold.
COMPRESSED = 32 << 20


def write_tree(tree: Mapping[str, Any], path: Path) -> None:
    """Write a tree of dicts, strings and arrays to a new file, which may be left unfinished.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with h5py.File(path, "x") as file:
            _write(file, tree, compressed=_bytes(tree) < COMPRESSED)
            file.flush()
        with path.open("rb") as written:
            os.fsync(written.fileno())
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(
            f"{path.name}: cannot write the file",
            getattr(error, "strerror", None) or " ".join(str(error).split())[:160],
            "choose a folder that exists and can be written",
        ) from None


def _bytes(tree: Mapping[str, Any]) -> int:
    return sum(
        _bytes(value)
        if isinstance(value, Mapping)
        else value.size * value.itemsize
        if isinstance(value, np.ndarray)
        else 0
        for value in tree.values()
    )


def _write(group: Any, tree: Mapping[str, Any], compressed: bool) -> None:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            _write(group.create_group(name), value, compressed)
        elif value is None:
            group.create_dataset(name, data=h5py.Empty("f4"))
        elif isinstance(value, np.ndarray):
            packing = "gzip" if compressed and value.size > 1 and value.ndim else None
            group.create_dataset(name, data=np.ascontiguousarray(value) if value.ndim else value,
                                 compression=packing)  # fmt: skip
        else:
            texts = np.array(value, object)
            if not texts.size:
                texts = texts.reshape(0, 2)  # a graph without edges
            group.create_dataset(name, data=texts, dtype=h5py.string_dtype())


def publish(part: Path, path: Path) -> None:
    """Give a finished file its name, unless something has that name by now.

    Raises:
        OutputError: something is there, or the folder cannot be written.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise taken(path) from None
    except OSError as error:  # a file system without hard links
        if path.exists():
            raise taken(path) from None
        try:
            part.replace(path)
        except OSError:
            raise OutputError(
                f"{path.name}: cannot write the file",
                error.strerror or str(error),
                "choose a folder that exists and can be written",
            ) from None
    finally:
        part.unlink(missing_ok=True)


def taken(path: Path) -> OutputError:
    """Return the error for a name that is taken."""
    return OutputError(
        f"{path.name} exists already",
        "nothing is overwritten",
        "choose another name, or remove it first",
    )
