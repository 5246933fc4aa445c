"""Write the mended file, read it back in every way, and compare it with the list of changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeport.compiler.errors import LoadError, OutputError, printable
from spikeport.compiler.load.hdf5 import Parts, read_tree
from spikeport.compiler.load.mend import Change, differences, unclaimed
from spikeport.compiler.load.mend_write import publish, taken, write_tree
from spikeport.compiler.load.nir import read_network
from spikeport.graph_doctor.diagnose import Diagnosis


def check_free(path: Path) -> None:
    """Refuse a name that something has already, and a folder that is not there.

    Raises:
        OutputError: which of the two.
    """
    if os.path.lexists(path):
        raise taken(path)
    if not path.parent.is_dir():
        raise OutputError(
            f"the folder {path.parent} does not exist",
            f"{path.name} would be written there",
            f"mkdir -p {path.parent}, or choose another --fix",
        )


def fix(diagnosis: Diagnosis, path: Path, guess: bool) -> dict[str, Any]:
    """Write the mended file, where all that is wrong with it can be mended.

    Args:
        diagnosis: of the file that is to be mended.
        path: of the file to write; nothing may be there.
        guess: make changes that have another reading, too.

    Returns:
        `written` (path or None), `why_not`, `changes` (all that were made, or would be),
        `nir` (how nir reads the file), `values_changed` (how many values of the file differ, each
        of them by a listed change).

    Raises:
        OutputError: something is there, or the file cannot be written.
        LoadError: the mended file does not read as it should; nothing is left of it.
    """
    check_free(path)
    plain: dict[str, Any] = {
        "written": None,
        "why_not": _why_not(diagnosis, guess),
        "changes": [_plain(change) for change in diagnosis.changes],
        "nir": None,
        "values_changed": 0,
    }
    if plain["why_not"]:
        return plain
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write_tree(diagnosis.mended, part)
        changed = _verify(diagnosis, part)
        plain["nir"] = how_nir_reads(part)
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)
    return plain | {"written": str(path), "values_changed": len(changed)}


def _why_not(diagnosis: Diagnosis, guess: bool) -> str:
    if diagnosis.by_hand:
        return "something has to be mended by hand first"
    if not diagnosis.changes:
        return "there is nothing to mend"
    if diagnosis.guesses and not guess:
        return "some changes are guesses: look at them, and add --guess to make them"
    return ""


def _verify(diagnosis: Diagnosis, part: Path) -> set[Parts]:
    """Return the paths whose values differ, after checking that each was announced.

    Raises:
        LoadError: the file that was written is not the one that was meant.
    """
    written = read_tree(part, lambda _: True)
    lost = differences(diagnosis.mended, written)
    surprising, idle = unclaimed(diagnosis.tree, written, diagnosis.changes)
    for paths, word in (
        (lost, "was not written as it was meant"),
        (surprising, "would change without being listed"),
        (idle, "is listed as changed and is as it was"),
    ):
        if paths:
            raise LoadError(
                f"{diagnosis.path.name}: the mended file is not what was announced",
                f"/{'/'.join(min(paths))} {word}",
                "report it; nothing was written",
            )
    read_network(part)
    return differences(diagnosis.tree, written)


def how_nir_reads(path: Path) -> str:
    """Return how the nir package reads a file that we wrote or checked: `yes`, or why not."""
    import nir

    try:
        nir.read(path)
    except Exception as strict:  # whatever nir raises is its answer
        try:
            nir.read(path, type_check=False)
        except Exception as error:
            return f"no: {_first_line(error)}"
        return f"only with type_check=False: {_first_line(strict)}"
    return "yes"


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return printable(text)[:160]


def _plain(change: Change) -> Mapping[str, Any]:
    return {
        "name": change.name,
        "node": printable(change.node),
        "was": printable(change.what),
        "is": printable(change.done),
        "why": printable(change.why),
        "guess": change.guess,
        "paths": [printable("/" + "/".join(edit.path)) for edit in change.edits],
    }
