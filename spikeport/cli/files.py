"""Files that commands write: whole or not at all, and never over another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import OutputError
from spikeport.compiler.kinds import Array


def check_file(path: Path) -> Path:
    """Return the path if a file may be put there.

    Raises:
        OutputError: something is there already, or the folder is not.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        why = error.strerror or ""
        raise OutputError(f"cannot write {path.name[:80]}", why, "choose another --out") from None
    else:
        raise OutputError(f"{path} exists", "nothing is ever overwritten", "choose another --out")
    if path.parent.exists() and not path.parent.is_dir():
        raise OutputError(
            f"{path.parent} is a file", "no file can be in it", "choose another --out"
        )
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist", fix=f"mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"{path.parent} cannot be written to", "no rights", "choose another --out"
        )
    return path


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz: a temporary file beside it, synced, then renamed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise
