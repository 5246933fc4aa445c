"""The first look at a file: is it a file at all, how large is it, and what does it look like.

Nothing is parsed here. A path can name a folder, a pipe or a device that never ends, so the
kind is asked for before the first byte is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spikeport.compiler.errors import LoadError, SpikeportError, printable

LARGEST_FILE = 4 << 30  # bytes
HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
NPY = b"\x93NUMPY"
IMAGE = b"spikeport image\n"


def first_bytes(path: Path, count: int = 512) -> bytes:
    """Return the first bytes of a regular file.

    Raises:
        LoadError: nothing there, not readable, not a regular file, empty, or too large.
    """
    name = path.name
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LoadError(f"{name}: there is no such file", fix="check the path") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "the path is not usable"
        raise LoadError(f"{name}: cannot open the file", why, "check path and rights") from None
    try:
        found = os.fstat(descriptor)
        _check_kind(name, found)
        return os.read(descriptor, count)
    except OSError as error:
        raise LoadError(f"{name}: cannot read the file", error.strerror or "") from None
    finally:
        os.close(descriptor)


def _check_kind(name: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise LoadError(f"{name}: this is a folder", fix="name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise LoadError(
            f"{name}: this is not a regular file",
            "pipes and devices may never end",
            "copy its content to a file",
        )
    if found.st_size == 0:
        raise LoadError(f"{name}: the file is empty", fix="write or download it again")
    if found.st_size > LARGEST_FILE:
        raise LoadError(
            f"{name}: the file is too large",
            f"it has {found.st_size} bytes, the limit is {LARGEST_FILE}",
        )


def looks_like(head: bytes) -> str:
    """Say in a few words what a file is that begins with `head`.

    >>> looks_like(b"PK\\x03\\x04" + bytes(26) + b"archive/data.pkl")
    'a PyTorch pickle (torch.save)'
    """
    if head.startswith(HDF5):
        return "an HDF5 file"
    if head.startswith(ZIP):
        return "a PyTorch pickle (torch.save)" if b"data.pkl" in head else "a zip or .npz archive"
    if head.startswith(NPY):
        return "a NumPy array (.npy)"
    if head.startswith(IMAGE):
        return "a saved image, which spikeport run takes"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle"
    if head.startswith(b"\x1f\x8b"):
        return "a gzip archive"
    if head.isascii() and not set(head) & set(range(9)):
        return "a text file"
    return "something unknown"


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Put the file's name before errors that do not begin with it."""
    try:
        yield
    except SpikeportError as error:
        if error.what.startswith(printable(file)):
            raise
        raise LoadError(f"{file}: {error.what}", error.why, error.fix) from None
