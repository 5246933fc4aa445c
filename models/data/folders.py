"""The folder of a data set: which files it should have, and which it has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spikeport.compiler.errors import DataError, LoadError
from spikeport.compiler.kinds import Array


def needed(folder: Path | None, name: str, files: str) -> Path:
    """Return the folder, which must be there.

    Args:
        folder: as given; None if it was not.
        name: of the data set.
        files: what it should hold, for the message.

    Raises:
        DataError: none given, or it is no folder.
    """
    if folder is None:
        raise DataError(
            f"the data set {name!r} needs a folder",
            f"its files are not part of spikeport: {files}",
            f"open_data({name!r}, 'FOLDER')",
        )
    if not folder.is_dir():
        raise DataError(
            f"{name}: there is no folder {folder.name!r}",
            f"it should hold {files}",
            "check the path; docs/data.md says where to get the files",
        )
    return folder


def lacks(folder: Path, name: str, files: str) -> DataError:
    """Return the error for a folder that has no split at all."""
    return DataError(
        f"{name}: the folder {folder.name!r} has none of its files",
        f"it should hold {files}",
        "check the path; docs/data.md says where to get the files",
    )


def first_there(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the first of these files that is in the folder."""
    return next((folder / name for name in names if (folder / name).exists()), None)


def by_class(folder: Path, endings: tuple[str, ...]) -> tuple[list[str], list[Path], Array]:
    """Return the classes, files and labels of a folder with one folder for each class.

    Classes and files come in the order of their names, folders called by numbers in the order
    of those. Hidden files are left out.

    Args:
        folder: of one split.
        endings: of the files, such as (".bin",).

    Returns:
        names of the classes, paths (samples,), int64 labels (samples,).

    Raises:
        LoadError: a class without files, or a folder that cannot be listed.
    """
    names = [each for each in _listed(folder) if (folder / each).is_dir()]
    names.sort(key=lambda each: (0, int(each), "") if each.isdecimal() else (1, 0, each))
    paths: list[Path] = []
    counts: list[int] = []
    for each in names:
        found = [file for file in _listed(folder / each) if file.lower().endswith(endings)]
        if not found:
            raise LoadError(
                f"{folder.name}/{each}: a class without recordings",
                f"files end in {' or '.join(endings)}",
                "add its files or remove the folder",
            )
        paths += [folder / each / file for file in found]
        counts.append(len(found))
    return names, paths, np.repeat(np.arange(len(names)), counts)


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(each for each in os.listdir(folder) if not each.startswith("."))
    except OSError as error:
        raise LoadError(f"{folder.name}: cannot list the folder", error.strerror or "") from None
