"""The bytes of a saved image: a short preamble, a JSON header, arrays one behind the other.

    "spikeport image\\n", format (uint32), CRC-32 of all that follows (uint32), length (uint64)
    header: {"arrays": [[type, shape], ...], "noun": a tree of plain values}
    each array, from the next multiple of 64 bytes on; the file ends with the last one

Numbers are little-endian. Sizes follow from the header alone and have to make up the file, so
nothing is allocated that is not there. Arrays are read into place; the file is not mapped, because
a mapped file can change after it was checked.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from spikeport.compiler.errors import LoadError, OutputError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load import files

FORMAT = 1
PREAMBLE = struct.Struct("<16sIIQ")
ALIGNED = 64  # bytes
LARGEST_HEADER = 16 << 20  # bytes; Python's objects for it take some twenty times as much
LARGEST_READ = 1 << 26  # bytes in one call, so that Ctrl-C is heard
MOST_DIMENSIONS = 4
TYPES = ("i1", "i2", "i4", "i8", "f8")
SUFFIX = ".image"
AGAIN = "compile the network again: spikeport compile NET.nir --chip CHIP --out FILE.image"


def write_bytes(file: IO[bytes], tree: Any, arrays: Sequence[Array]) -> None:
    """Write a tree of plain values and the arrays that it numbers.

    Raises:
        OutputError: more parts than are read back, or arrays of another type.
    """
    table = [[each.dtype.str.lstrip("<>|="), list(each.shape)] for each in arrays]
    unknown = {kind for kind, _ in table} - set(TYPES)
    if unknown:
        raise OutputError(f"an array of the image has the type {min(unknown)}", ", ".join(TYPES))
    plain = {"arrays": table, "noun": tree}
    header = json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()
    header += b" " * (-(PREAMBLE.size + len(header)) % ALIGNED)
    if len(header) > LARGEST_HEADER:
        raise OutputError(
            "the image has too many parts for one file",
            f"their description has {len(header)} bytes, {LARGEST_HEADER} are read back",
            "save the network, and compile it where it runs",
        )
    file.write(bytes(PREAMBLE.size))
    check, at = _put(file, header, 0, 0)
    for each in arrays:
        check, at = _put(file, bytes(_padding(at)), check, at)
        little = np.ascontiguousarray(each, each.dtype.newbyteorder("<"))
        check, at = _put(file, little.reshape(-1).view(np.uint8).data, check, at)
    file.seek(0)
    file.write(PREAMBLE.pack(files.IMAGE, FORMAT, check, len(header)))


def _padding(at: int) -> int:
    """Return how many bytes there are between byte `at` behind the preamble and an array."""
    return -(PREAMBLE.size + at) % ALIGNED


def _put(file: IO[bytes], data: bytes | memoryview, check: int, at: int) -> tuple[int, int]:
    file.write(data)
    return zlib.crc32(data, check), at + len(data)


def is_image(path: Path) -> bool:
    """Is a file called a saved image, or does it begin as one."""
    if path.suffix == SUFFIX:
        return True
    try:
        return files.first_bytes(path).startswith(files.IMAGE)
    except LoadError:
        return False


def read_bytes(path: Path) -> tuple[Any, list[Array]]:
    """Return the tree and the arrays of a saved image; the arrays cannot be written to.

    Raises:
        LoadError: not such a file, of another format, damaged, or not the size that it declares.
    """
    head = files.first_bytes(path)
    with files.naming(path.name):
        if not head.startswith(files.IMAGE):
            what = f"it looks like {files.looks_like(head)}"
            raise LoadError("this is not a saved image", what, AGAIN)
        try:
            with path.open("rb") as file:
                return _read(file, os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise LoadError("cannot read the file", error.strerror or "") from None


def _read(file: IO[bytes], size: int) -> tuple[Any, list[Array]]:
    if size < PREAMBLE.size:
        raise LoadError("the file is truncated", f"it has {size} bytes", AGAIN)
    _, version, wanted, length = PREAMBLE.unpack(file.read(PREAMBLE.size))
    if version != FORMAT:
        raise LoadError(f"this image has format {version}", f"this spikeport reads {FORMAT}", AGAIN)
    if length > min(LARGEST_HEADER, size - PREAMBLE.size):
        raise damaged(f"it declares a header of {length} bytes, and has {size} in all")
    header = _filled(file, np.empty(length, np.uint8)).tobytes()
    table, tree = _parsed(header)
    end = length
    for dtype, shape in table:
        end += _padding(end) + math.prod(shape) * dtype.itemsize
    if PREAMBLE.size + end != size:
        raise damaged(f"its arrays end at byte {PREAMBLE.size + end}, it has {size}")
    check, at, arrays = zlib.crc32(header), length, []
    for dtype, shape in table:
        for part in (np.empty(_padding(at), np.uint8), np.empty(shape, dtype)):
            data = _filled(file, part).reshape(-1).view(np.uint8).data
            check, at = zlib.crc32(data, check), at + len(data)
        arrays.append(part.astype(dtype.newbyteorder("="), copy=False))
        arrays[-1].flags.writeable = False
    if check != wanted:
        raise damaged("its content does not have its checksum")
    return tree, arrays


def damaged(why: str) -> LoadError:
    """Return the error of a file that is no image that spikeport wrote."""
    return LoadError("the image is truncated or damaged", why, AGAIN)


def _filled(file: IO[bytes], array: Array) -> Array:
    """Return an array filled with the next bytes."""
    data = array.reshape(-1).view(np.uint8).data
    at = 0
    while at < len(data):
        got = file.readinto(data[at : at + LARGEST_READ])  # type: ignore[attr-defined]
        if not got:
            raise damaged(f"it ends {len(data) - at} bytes too early")
        at += got
    return array


def _parsed(header: bytes) -> tuple[list[tuple[np.dtype[Any], tuple[int, ...]]], Any]:
    """Return (type and shape of each array, tree)."""
    try:
        plain = json.loads(header, object_pairs_hook=_once, parse_constant=_no_number)
        return [_entry(*each) for each in plain["arrays"]], plain["noun"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = " ".join(str(error).split())[:160]
        raise damaged(f"its header cannot be read ({type(error).__name__}: {why})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _entry(kind: str, shape: list[int]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if kind not in TYPES:
        raise ValueError(f"an array has the type {kind!r}, known are {', '.join(TYPES)}")
    whole = all(type(extent) is int and extent >= 0 for extent in shape)
    if not whole or len(shape) > MOST_DIMENSIONS or math.prod(n or 1 for n in shape) >> 40:
        raise ValueError(f"an array has the shape {str(shape)[:60]}")
    return np.dtype(f"<{kind}"), tuple(shape)
