"""Strings of variable length out of an HDF5 file, read without HDF5's own code for them.

HDF5 2.0 allocates whatever length a string states (up to 4 GiB), and walks a heap by the sizes
that the heap itself states, without end where one of them is zero; both were met by damaging
real NIR files at random. The two structures are small (HDF5 file format specification, III.E
and IV.B): a string is 4 bytes of length, 8 of heap address and 4 of index; a heap is "GCOL",
version 1, 3 unused bytes, its size, then objects of index (2 bytes), references (2), unused
(4), size (8), and data padded to 8 bytes. Index 0 is the free space at the end.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py

from spikeport.compiler.errors import LoadError

STRING = struct.Struct("<IQI")
HEADER = struct.Struct("<5s3xQ")
OBJECT = struct.Struct("<H6xQ")
SIGNATURE = b"GCOL\x01"
LONGEST_TEXT = 16 << 20  # bytes, all strings of one dataset together


class Heaps:
    """The heaps of one file, read when a string is in them; together no larger than the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._length = path.stat().st_size
        self._read = 0
        self._heaps: dict[int, dict[int, bytes]] = {}

    def bytes_at(self, address: int, count: int) -> bytes:
        """Return bytes of the file.

        Raises:
            LoadError: the file does not have them.
        """
        if address + count > self._length:
            raise _damaged(address)
        with self._path.open("rb") as file:
            file.seek(address)
            return file.read(count)

    def string(self, length: int, address: int, index: int) -> bytes:
        """Return one string, up to its first zero byte.

        Raises:
            LoadError: the heap is damaged, or does not hold the string.
        """
        if not length:
            return b""
        if address not in self._heaps:
            self._heaps[address] = self._heap(address)
        stored = self._heaps[address].get(index, b"")
        if len(stored) < length:
            raise _damaged(address)
        return stored[:length].partition(b"\0")[0]

    def _heap(self, address: int) -> dict[int, bytes]:
        signature, size = HEADER.unpack(self.bytes_at(address, HEADER.size))
        self._read += size
        if signature != SIGNATURE or self._read > self._length:
            raise _damaged(address)
        heap = self.bytes_at(address, size)
        objects: dict[int, bytes] = {}
        at = HEADER.size
        while at + OBJECT.size <= size:
            index, stored = OBJECT.unpack_from(heap, at)
            step = OBJECT.size + (stored + 7 & ~7) if index else stored
            if step < OBJECT.size or at + step > size:
                raise _damaged(address)
            if index:
                objects[index] = heap[at + OBJECT.size : at + OBJECT.size + stored]
            at += step
        return objects


def _damaged(address: int) -> LoadError:
    return LoadError(
        "cannot read the file as HDF5",
        f"it is truncated or damaged (the strings stored at byte {address})",
        "copy or write it again",
    )


def read_strings(dataset: Any, heaps: Heaps, place: str) -> list[bytes]:
    """Return the strings of a dataset in C order.

    Args:
        dataset: low-level dataset of strings of variable length.
        heaps: of its file.
        place: for messages.

    Raises:
        LoadError: damaged, stored in chunks, or too much text.
    """
    if dataset.get_create_plist().get_layout() != h5py.h5d.CONTIGUOUS:
        raise LoadError(
            f"{place} holds strings in chunks or beside its header",
            "only strings that are stored in one piece are read",
            "write the graph again with nir.write, which does not compress strings",
        )
    count = dataset.get_space().get_simple_extent_npoints()
    offset = dataset.get_offset()
    if offset is None:
        return [b""] * count
    stored = heaps.bytes_at(offset, count * STRING.size)
    strings = list(STRING.iter_unpack(stored))
    total = sum(length for length, _, _ in strings)
    if total > LONGEST_TEXT:
        raise LoadError(
            f"{place} holds too much text", f"{total} bytes, the limit is {LONGEST_TEXT}"
        )
    return [heaps.string(*string) for string in strings]
