"""A checkpoint: all that a training needs to go on as if it had never stopped, in one .npz.

Arrays and one text of JSON, nothing pickled. It appears whole or not at all, so that a kill at
any moment leaves the one before.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler.errors import CheckpointError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.whole_file import whole_file
from spikeport.compiler.network import Network
from spikeport.models.training.recipe import TrainingRecipe, decisive

NAME = "checkpoint.npz"
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a training has reached.

    Attributes:
        epoch, batch: the next batch that is due.
        moved: learned parameter -> coordinates (see `parameters.py`).
        leaves: of the optimiser's state, in jax's order.
        tally: sums over the batches of this epoch, plain values.
        history: a row for each epoch that is done.
        warnings: that were given.
        seconds: that were spent.
        anchor: coordinates from which the integers of a chip were made; empty before.
    """

    epoch: int
    batch: int
    moved: Mapping[str, Array]
    leaves: tuple[Array, ...]
    tally: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    anchor: Mapping[str, Array] = field(default_factory=dict)


def network_digest(net: Network, initial: Mapping[str, Array]) -> str:
    """Return the SHA-256 of a network: its edges, what its steps mean, and its parameters."""
    said = hashlib.sha256(repr((sorted(net.edges), net.semantics.to_dict())).encode())
    for name in sorted(initial):
        array = np.ascontiguousarray(initial[name], np.float64)
        said.update(f"{name} {array.shape}".encode())
        said.update(array.tobytes())
    return said.hexdigest()


def write_checkpoint(path: Path, held: Checkpoint, recipe: TrainingRecipe, network: str) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: of the file; one that is there is replaced.
        held: what was reached.
        recipe: that is followed.
        network: digest of the initial network.

    Raises:
        OutputError: it cannot be written.
    """
    about = {
        "format": FORMAT,
        "recipe": recipe.plain(),
        "recipe_sha256": recipe.digest,
        "network_sha256": network,
        "names": list(held.moved),
        "leaves": len(held.leaves),
        "anchored": bool(held.anchor),
        **{
            name: getattr(held, name)
            for name in ("epoch", "batch", "tally", "history", "warnings", "seconds")
        },
    }
    arrays = {f"p{i}": np.asarray(each) for i, each in enumerate(held.moved.values())}
    arrays |= {f"a{i}": np.asarray(each) for i, each in enumerate(held.anchor.values())}
    arrays |= {f"o{i}": np.asarray(each) for i, each in enumerate(held.leaves)}
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]


def read_checkpoint(path: Path, recipe: TrainingRecipe, network: str) -> Checkpoint:
    """Return a checkpoint of this very training.

    Args:
        path: of the file.
        recipe: that is to be followed; the checkpoint must be of the same.
        network: digest of the initial network, as `network_digest` gives it.

    Raises:
        CheckpointError: it is none, or of another recipe (the field is named) or network.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = json.loads(str(file["about"][()]))
            moved = {name: file[f"p{i}"] for i, name in enumerate(about["names"])}
            anchor = {n: file[f"a{i}"] for i, n in enumerate(moved) if about["anchored"]}
            leaves = tuple(file[f"o{i}"] for i in range(about["leaves"]))
        _check_same(about, recipe, network, path.name)
        return Checkpoint(
            int(about["epoch"]), int(about["batch"]), moved, leaves, dict(about["tally"]),
            tuple(about["history"]), tuple(about["warnings"]), float(about["seconds"]), anchor,
        )  # fmt: skip
    except FileNotFoundError:
        why = "it is not there"
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        why = " ".join(str(error).split())[:160] or type(error).__name__
    raise CheckpointError(
        f"{path.name} is not a checkpoint", why, "start anew, without --resume"
    ) from None


def _check_same(about: Mapping[str, Any], recipe: TrainingRecipe, network: str, name: str) -> None:
    if about["format"] != FORMAT:
        raise CheckpointError(
            f"{name} was written by another version of spikeport",
            f"its format is {about['format']!r}, this one is {FORMAT}",
            "go on with the version that wrote it, or start anew with --force",
        )
    if about["recipe_sha256"] != recipe.digest:
        key, was, now = _difference(decisive(about["recipe"]), decisive(recipe.plain()))
        raise CheckpointError(
            f"{name} is a checkpoint of another recipe",
            f"{key} was {was!r} and is {now!r}",
            f"set {key} to {was!r} again, or start anew with --force",
        )
    if about["network_sha256"] != network:
        raise CheckpointError(
            f"{name} is a checkpoint of another network",
            f"its network was {str(about['network_sha256'])[:12]}, this one is {network[:12]}",
            "put the network back as it was, or start anew with --force",
        )


def _difference(was: Any, now: Any, key: str = "") -> tuple[str, Any, Any]:
    """Return the first place where two plain values differ, and both values there."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in {**now, **was}:
            if was.get(name) != now.get(name):
                return _difference(was.get(name), now.get(name), f"{key}.{name}".lstrip("."))
    return key or "something", was, now
