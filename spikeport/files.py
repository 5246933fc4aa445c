"""What is written: files and folders that appear whole or not at all, and never over another."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import OutputError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.whole_file import whole_file


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


def write_text(path: Path, text: str) -> None:
    """Put UTF-8 text at `path` in one stroke: a reader sees the old file or the new one."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz that appears whole or not at all."""
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def check_folder(folder: Path) -> Path:
    """Return the folder if a report may be put there.

    Raises:
        OutputError: it is a file or beneath one, holds something, or cannot be written.
    """
    try:
        return _check_folder(folder)
    except OSError as error:
        raise OutputError(
            f"{folder.name[:80]} cannot be a folder", error.strerror or "", "choose another --out"
        ) from None


def _check_folder(folder: Path) -> Path:
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file", "the report is a folder", "choose another --out")
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(
            f"the folder {folder} is in use",
            "it is not empty and nothing is ever overwritten",
            f"choose another --out, or empty it first: rm -r {folder}",
        )
    with suppress(FileNotFoundError, NotADirectoryError):
        os.stat(folder)  # a name that no folder can have is refused here
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise OutputError(f"{nearest} is a file", "no folder can be in it", "choose another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"{nearest} cannot be written to", "no rights", "choose another --out")
    return folder


def check_report_folder(folder: Path) -> Path:
    """As `check_folder`, but the folder may also hold a part of a report, and nothing else.

    `spikeport.report(...).save` writes such a part, and `deploy` completes it.
    """
    return folder if _is_part(folder) else check_folder(folder)


def _is_part(folder: Path) -> bool:
    """Does the folder hold a part of a report, and nothing else."""
    from spikeport.pages import FILES

    try:
        if {path.name for path in folder.iterdir()} != set(FILES.values()):
            return False
        return json.loads((folder / FILES["report_json"]).read_text("utf8"))["complete"] is False
    except (OSError, ValueError, KeyError, TypeError):
        return False
