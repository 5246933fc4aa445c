"""The global heaps of an HDF5 file, where its strings are: refused where HDF5 would hang.

HDF5 2.0 walks a heap by the sizes that the heap itself states, and never ends where one of
them is zero or wraps around (found by damaging real NIR files at random). The layout is in the
HDF5 file format specification, III.E: "GCOL", version 1, 3 unused bytes, size of the
collection; then objects, each with index (2 bytes), references (2), unused (4), size (8), and
its data padded to 8 bytes. Index 0 is the free space at the end, its size counts its header.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from spikeport.compiler.errors import LoadError

SIGNATURE = b"GCOL\x01"
HEADER = struct.Struct("<5s3xQ")
OBJECT = struct.Struct("<H6xQ")
BLOCK = 16 << 20
LARGEST_HEAP = 64 << 20  # bytes; HDF5 makes them 4 kB, more only for a longer string


def check_heaps(path: Path) -> None:
    """Walk every global heap of a file, as HDF5 would, and refuse those without an end.

    Raises:
        LoadError: a heap is damaged.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        for start in _starts(file, length):
            file.seek(start)
            _, size = HEADER.unpack(file.read(HEADER.size).ljust(HEADER.size, b"\0"))
            if size > min(LARGEST_HEAP, length - start):
                raise _damaged(start)
            file.seek(start)
            _check_heap(file.read(size), start)


def _starts(file: BinaryIO, length: int) -> list[int]:
    starts = []
    for begin in range(0, length, BLOCK):
        file.seek(begin)
        block = file.read(BLOCK + len(SIGNATURE) - 1)
        at = block.find(SIGNATURE)
        while at >= 0:
            starts.append(begin + at)
            at = block.find(SIGNATURE, at + 1)
    return starts


def _check_heap(heap: bytes, start: int) -> None:
    at = HEADER.size
    while at + OBJECT.size <= len(heap):
        index, size = OBJECT.unpack_from(heap, at)
        step = OBJECT.size + (size + 7 & ~7) if index else size
        if step < OBJECT.size or at + step > len(heap):
            raise _damaged(start)
        at += step


def _damaged(start: int) -> LoadError:
    return LoadError(
        "cannot read the file as HDF5",
        f"the strings stored at byte {start} are damaged",
        "copy or write it again",
    )
