"""Lists of numbers of different lengths in an HDF5 file, read one list at a time.

HDF5's own code is asked for shapes, types and places only, never for a value: for lists of
variable length it trusts what the file states (see compiler/load/hdf5_strings.py). A list is
stored as 4 bytes of length (in elements), 8 of heap address and 4 of index; the heap is read
here, sizes checked, for no more than the list that was asked for.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load import files
from spikeport.compiler.load.hdf5_strings import HEADER, OBJECT, SIGNATURE

REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
LARGEST_HEAP = 64 << 20  # bytes
LARGEST_TABLE = 256 << 20  # bytes of references or labels
MOST_CHUNKS = 100_000
DEFLATE = h5py.h5z.FILTER_DEFLATE


class Lists:
    """A dataset of lists: `read(index)` returns one of them, `len` says how many there are."""

    def __init__(self, path: Path, references: Array, dtype: np.dtype[Any]) -> None:
        self._path, self._references, self._dtype = path, references, dtype

    def __len__(self) -> int:
        return len(self._references)

    def read(self, index: int) -> Array:
        """Return list number `index`, (n,).

        Raises:
            LoadError: the heap that should hold it is damaged.
        """
        reference = self._references[index]
        size = int(reference["length"]) * self._dtype.itemsize
        if not size:
            return np.zeros(0, self._dtype)
        with self._path.open("rb") as file:
            if reference["address"] > self._path.stat().st_size:
                raise _damaged(index)
            file.seek(int(reference["address"]))
            head = file.read(HEADER.size)
            signature, heap = HEADER.unpack(head) if len(head) == HEADER.size else (b"", 0)
            if signature != SIGNATURE or not size < heap <= LARGEST_HEAP:
                raise _damaged(index)
            stored = _found(file.read(heap - HEADER.size), int(reference["index"]))
        if len(stored) < size:
            raise _damaged(index)
        return np.frombuffer(stored[:size], self._dtype)


def _damaged(index: int) -> LoadError:
    return LoadError(
        f"list {index} is not where the file says",
        "it is truncated or damaged",
        "download it again",
    )


def _found(heap: bytes, wanted: int) -> bytes:
    """Return an object of a heap; nothing if it is not there or the heap is damaged."""
    at = 0
    while at + OBJECT.size <= len(heap):
        index, stored = OBJECT.unpack_from(heap, at)
        if not index:
            return b""  # 0 is the free space at the end
        if index == wanted:
            return heap[at + OBJECT.size : at + OBJECT.size + stored]
        at += OBJECT.size + (stored + 7 & ~7)
    return b""


def read_lists(path: Path, names: tuple[str, ...]) -> dict[str, Lists | Array]:
    """Open datasets of one dimension: lists stay in the file, plain numbers are read.

    Args:
        path: of the file.
        names: such as "spikes/times".

    Raises:
        LoadError: not HDF5, a dataset missing or reached by a link, virtual, outside of the
            file, of another type, or too large.
    """
    head = files.first_bytes(path)
    with files.naming(path.name):
        if not head.startswith(files.HDF5):
            raise LoadError(
                "this is not an HDF5 file",
                f"it looks like {files.looks_like(head)}",
                "gunzip it first" if head.startswith(b"\x1f\x8b") else "download it again",
            )
        try:
            with h5py.File(path, "r", locking=False) as file:
                if file.id.get_create_plist().get_sizes() != (8, 8):
                    raise LoadError("the file's addresses do not have 8 bytes")
                return {name: _opened(path, file.id, name) for name in names}
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, zlib.error) as error:
            why = " ".join(str(error).split())[:160]
            raise LoadError("cannot read the file as HDF5", why, "download it again") from None


def _opened(path: Path, group: Any, name: str) -> Lists | Array:
    *groups, last = name.encode().split(b"/")
    for each in groups:
        group = h5py.h5g.open(group, _own(group, each, name))
    dataset = h5py.h5d.open(group, _own(group, last, name))
    plist = dataset.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
        raise LoadError(f"/{name} has its values in another file", fix="download it again")
    shape: tuple[int, ...] = dataset.get_space().shape or ()
    kind = dataset.get_type()
    inner = kind.get_super() if isinstance(kind, h5py.h5t.TypeVlenID) else kind
    if len(shape) != 1 or inner.get_class() not in NUMBERS or inner.get_size() > 8:
        raise LoadError(
            f"/{name} is of another kind", "expected is one dimension of numbers or lists of them"
        )
    stored = REFERENCE if inner is not kind else np.dtype(inner.dtype)
    if shape[0] * stored.itemsize > LARGEST_TABLE:
        raise LoadError(f"/{name} is too large: {shape[0]} entries")
    values = np.frombuffer(_raw(path, dataset, plist, stored.itemsize, name), stored)
    return Lists(path, values, np.dtype(inner.dtype)) if inner is not kind else values


def _own(group: Any, name: bytes, whole: str) -> bytes:
    """Return the name of what a group holds itself; links lead out of the file or in circles."""
    names: list[bytes] = []
    group.links.iterate(names.append)
    if name not in names:
        there = ", ".join(each.decode("ascii", "replace") for each in names[:8])
        raise LoadError(
            f"there is no /{whole}", f"beside it are {there or 'none'}", "download it again"
        )
    if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
        raise LoadError(f"/{whole} is a link", "no link is followed", "copy the values instead")
    return name


def _raw(path: Path, dataset: Any, plist: Any, width: int, name: str) -> bytes:
    """Return the bytes of a dataset of one dimension as they are stored, unpacked."""
    size = dataset.get_space().shape[0] * width
    if plist.get_layout() == h5py.h5d.CONTIGUOUS:
        offset = dataset.get_offset()
        if offset is None or offset + size > path.stat().st_size:
            raise LoadError(f"/{name} was never written, or is cut off", fix="download it again")
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    filters = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    if plist.get_layout() != h5py.h5d.CHUNKED or filters not in ([], [DEFLATE]):
        raise LoadError(
            f"/{name} is stored in another way",
            "read is what lies in one piece or in chunks, plain or gzip",
            "write it again with h5py, without filters",
        )
    return _from_chunks(dataset, plist.get_chunk()[0], width, bool(filters), size, name)


def _from_chunks(
    dataset: Any, entries: int, width: int, packed: bool, size: int, name: str
) -> bytes:
    found: list[Any] = []
    chunk = entries * width
    if math.ceil(size / chunk) > MOST_CHUNKS:
        raise LoadError(f"/{name} is stored in too many chunks", f"the limit is {MOST_CHUNKS}")
    dataset.chunk_iter(found.append)
    parts: list[bytes] = []
    found.sort(key=lambda each: int(each.chunk_offset[0]))
    for each in found:
        if each.size > chunk + (1 << 16):
            raise LoadError(f"/{name} has a chunk larger than it declares")
        mask, stored = dataset.read_direct_chunk(each.chunk_offset)
        packed_here = packed and not mask
        parts.append(zlib.decompressobj().decompress(stored, chunk) if packed_here else stored)
    offsets = [int(each.chunk_offset[0]) * width for each in found]
    whole_chunks = all(len(part) == chunk for part in parts)
    if offsets != list(range(0, size, chunk)) or not whole_chunks:
        raise LoadError(f"/{name} has chunks missing or damaged", fix="download it again")
    return b"".join(parts)[:size]
