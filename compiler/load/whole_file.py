"""A file that appears whole or not at all: temporary file, fsync, rename."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spikeport.compiler.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it takes the place of `path` when all went well.

    Raises:
        OutputError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path.name}: cannot write the file",
            error.strerror or str(error),
            "choose a folder that exists and can be written",
        ) from None
    finally:
        part.unlink(missing_ok=True)
