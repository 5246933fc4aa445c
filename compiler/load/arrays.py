"""The guard in front of .npz and .npy: plain numeric arrays of bounded size, or a refusal.

NumPy's own reader runs pickles when told to, believes any declared shape, and unpacks any zip.
Here the archive's directory and every .npy header are checked before a value is unpacked.
"""

from __future__ import annotations

import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.load import files
from spikeport.compiler.load.files import naming

LARGEST_DECLARED = 2 << 30  # bytes, all arrays that are read together
#: Above this many bytes an array must not be packed more than LARGEST_RATIO to one.
FREELY_DECLARED = 256 << 20
LARGEST_RATIO = 500
LARGEST_DIRECTORY = 4 << 20  # bytes; some 80 000 members
LONGEST_HEADER = 10_000  # characters, NumPy's own default
LONGEST_NAME = 200
MOST_DIMENSIONS = 32

BROKEN = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
Array = np.ndarray[Any, Any]


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, Array]:
    """Return the arrays of an .npz file; an .npy file is one array called `x`.

    Args:
        path: of the file.
        names: arrays to read, those of them that are there; None reads all. Others may be of
            any type.

    Raises:
        LoadError: not such a file, damaged, too large, or an array that is not plain numbers.
    """
    path = Path(path)
    head = files.first_bytes(path)
    with naming(path.name):
        try:
            if head.startswith(files.NPY):
                return _read_npy(path)
            if head.startswith(files.ZIP):
                return _read_npz(path, names)
        except BROKEN as error:
            raise _damaged("", error) from None
    raise LoadError(
        f"{path.name}: this is neither an .npz nor an .npy file",
        f"it looks like {files.looks_like(head)}",
        "save arrays with numpy.savez",
    )


def _damaged(place: str, error: BaseException) -> LoadError:
    why = " ".join(str(error).split())[:160] or type(error).__name__
    return LoadError(f"{place}truncated or damaged", why, "save it again with numpy.savez")


def _read_npy(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file, "x")
        size = _checked_size(shape, dtype, "x", LARGEST_DECLARED)
        held = path.stat().st_size - file.tell()
        if held != size:
            raise LoadError(f"the array needs {size} bytes, the file holds {held}")
        return {"x": _values(file, shape, fortran, dtype)}


def _read_npz(path: Path, names: Collection[str] | None) -> dict[str, Array]:
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        members = _members(archive)
        wanted = {name: info for name, info in members.items() if names is None or name in names}
        left = LARGEST_DECLARED
        for name, info in wanted.items():
            left -= _check_member(archive, name, info, left)
        return {name: _read_member(archive, name, info) for name, info in wanted.items()}


def _check_directory(path: Path) -> None:
    """Refuse a zip directory so large that merely listing it would take all memory."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 65_557))
        tail = file.read()
    plain = tail[-22:-18] == b"PK\x05\x06" and tail[-2:] == b"\0\0"
    at = len(tail) - 22 if plain else tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise LoadError("the archive is truncated", "its directory is missing", "save it again")
    directory = int(struct.unpack("<I", tail[at + 12 : at + 16])[0])
    if directory > LARGEST_DIRECTORY or tail[max(0, at - 20) :].startswith(b"PK\x06\x07"):
        raise LoadError(
            "the archive is too large",
            f"its directory has more than {LARGEST_DIRECTORY} bytes, or needs ZIP64",
            "save fewer arrays",
        )


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if (
            name == info.filename
            or not 0 < len(name) <= LONGEST_NAME
            or not name.isprintable()
            or set(name) & set("/\\<>&\"'`:")
            or name.strip(".") == ""
        ):
            raise LoadError(
                f"member '{info.filename[:60]}' is not an array",
                "members are called NAME.npy, with a name that is safe to print and no folders",
                "save arrays with numpy.savez",
            )
        if name in members:
            raise LoadError(f"duplicate array '{name}'", "it is unclear which is meant")
        members[name] = info
    return members


def _check_member(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo, left: int) -> int:
    """Return how many bytes an array declares, after checking that it may be read."""
    if info.flag_bits & 0x1:
        raise LoadError(f"array '{name}' is encrypted", fix="save it without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise LoadError(
            f"array '{name}' is compressed in an unknown way",
            fix="save it with numpy.savez or numpy.savez_compressed",
        )
    try:
        with archive.open(info) as file:
            shape, _, dtype = _header(file, name)
            size = _checked_size(shape, dtype, name, left)
            held = info.file_size - file.tell()
    except BROKEN as error:
        raise _damaged(f"array '{name}' is ", error) from None
    if held != size:
        raise LoadError(f"array '{name}' of shape {shape} needs {size} bytes, it holds {held}")
    if size > max(FREELY_DECLARED, LARGEST_RATIO * info.compress_size):
        raise LoadError(
            f"array '{name}' is packed too tightly to be believed",
            f"{info.compress_size} bytes unpack to {size}",
            "save it with numpy.savez, uncompressed",
        )
    return size


def _read_member(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Array:
    try:
        with archive.open(info) as file:
            return _values(file, *_header(file, name))
    except BROKEN as error:
        raise _damaged(f"array '{name}' is ", error) from None


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return (shape, fortran order, dtype), all checked."""
    npy: Any = np.lib.format  # typed in some versions of NumPy only
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise LoadError(f"array '{name}' has .npy version {version}", "1.0 and 2.0 are read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers written by Python 2 are read all the same
        shape, fortran, dtype = readers[version](file, max_header_size=LONGEST_HEADER)
    if dtype.hasobject:
        raise LoadError(
            f"array '{name}' holds Python objects (a pickle)",
            "reading a pickle runs whatever code it names",
            "save plain numbers: numpy.asarray(values, dtype=float)",
        )
    if dtype.kind not in "biuf" or dtype.subdtype is not None:
        raise LoadError(
            f"array '{name}' has the type {dtype.name[:40]}",
            "booleans, integers and floats are read",
            "convert it before saving",
        )
    if len(shape) > MOST_DIMENSIONS or any(
        isinstance(extent, bool) or extent < 0 for extent in shape
    ):
        raise LoadError(f"array '{name}' has an impossible shape")
    return shape, fortran, dtype


def _checked_size(shape: tuple[int, ...], dtype: np.dtype[Any], name: str, left: int) -> int:
    size = math.prod(shape) * dtype.itemsize
    if size > left:
        raise LoadError(
            f"array '{name}' is too large",
            f"its shape {shape} declares {size} bytes, the limit for a file is {LARGEST_DECLARED}",
            "save fewer samples, or a smaller type: spikes fit uint8",
        )
    return size


def _values(file: IO[bytes], shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]) -> Array:
    flat = np.empty(math.prod(shape), dtype)
    view = flat.view(np.uint8).data if flat.size else memoryview(b"")
    at = 0
    while at < len(view):
        block = file.read(min(1 << 24, len(view) - at))
        if not block:
            raise EOFError(f"ends after {at} of {len(view)} bytes")
        view[at : at + len(block)] = block
        at += len(block)
    if file.read(1):
        raise EOFError("there are more bytes than its shape says")
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
