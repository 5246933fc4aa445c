"""`spikeport.train`: from a recipe to a network, its card, and the folder that holds both."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeport import __version__
from spikeport.compiler.errors import Interrupted, OutputError, SpikeportError
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.write_nir import write_network
from spikeport.compiler.network import Input, Network
from spikeport.files import check_folder, write_text
from spikeport.models.training.change_recipe import changed
from spikeport.models.training.checkpoint import (
    NAME,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from spikeport.models.training.prepare import Prepared, prepare
from spikeport.models.training.read_recipe import checked_recipe, recipe_in
from spikeport.models.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from spikeport.models.training.integers import Compile
    from spikeport.models.training.loop import Standing

FILES = {"network": "net.nir", "card": "card.json", "page": "card.md", "log": "log.jsonl",
         "checkpoint": NAME}  # fmt: skip
#: Seconds between two checkpoints within an epoch.
EVERY = 60.0


@dataclass(frozen=True, eq=False)
class Training:
    """What `train` returns.

    Attributes:
        network: with what was learned and its semantics.
        card: plain values, as card.json holds them.
        history: a row for each epoch, as log.jsonl holds them.
    """

    network: Network
    card: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]


def train(
    recipe: str | Path | Mapping[str, Any] | TrainingRecipe,
    out: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    resume: bool = False,
    force: bool = False,
    checkpoint_every: float = EVERY,
    beside: str | Path | None = None,
    progress: Callable[[Standing], None] = lambda standing: None,
    say: Callable[[str], None] = lambda text: None,
) -> Training:
    """Train a network as a recipe says; see docs/training.md.

    Args:
        recipe: path of a YAML file, the same as a mapping, or a recipe that was read.
        out: folder for net.nir, card.json, card.md, log.jsonl and checkpoint.npz; None keeps
            nothing.
        settings: `KEY=VALUE` on top of a recipe, such as `seed=3`, see `change_recipe.py`.
        resume: go on from the checkpoint in `out`.
        force: replace the training in `out`.
        checkpoint_every: seconds between two checkpoints within an epoch; each epoch ends with one.
        beside: folder that paths in the recipe are relative to; by default the recipe's own, or
            the working directory.
        progress: called after each step.
        say: called with each warning.

    Raises:
        RecipeError: the recipe says something that cannot be followed.
        OutputError: `out` holds something, or cannot be written.
        CheckpointError: there is no checkpoint to go on from, or it is of another training.
        TrainingError: the loss is no number any more, or the output stays silent.
        Interrupted: Ctrl-C; a checkpoint was written (KeyboardInterrupt without `out`).
        MissingError: jax or optax is not installed.
    """
    path = Path(recipe) if isinstance(recipe, str | Path) else None
    content: Any = recipe
    if isinstance(recipe, TrainingRecipe):
        content = recipe.plain()
    elif path is not None:
        content = recipe_in(path)
    name = path.name if path is not None else "the recipe"
    asked = checked_recipe(changed(content, settings, Path.cwd()), name)
    folder = None if out is None else _check_out(Path(out), resume, force)
    base = Path(beside) if beside is not None else path.parent if path is not None else Path()
    given = prepare(asked, base, _compiler(asked, base))
    start = read_checkpoint(folder / NAME, asked, given.digest) if folder and resume else None
    return _trained(given, folder, start, checkpoint_every, progress, say)


def _trained(
    given: Prepared,
    folder: Path | None,
    start: Checkpoint | None,
    every: float,
    progress: Callable[[Standing], None],
    say: Callable[[str], None],
) -> Training:
    from spikeport.models.training.card import as_markdown, card
    from spikeport.models.training.loop import run_training

    def keep(held: Checkpoint) -> None:
        if folder is None:
            return
        write_checkpoint(folder / NAME, held, given.recipe, given.digest)
        write_text(folder / FILES["log"], "".join(json.dumps(row) + "\n" for row in held.history))

    if folder is not None:
        _clear(folder, start is not None)
    try:
        trained = run_training(given, start, keep, every, progress, say)
    except Interrupted:
        if folder is None:
            raise KeyboardInterrupt from None  # nothing was kept
        raise
    except SpikeportError:
        if folder is not None:
            with suppress(OSError):  # it holds something
                folder.rmdir()
        raise
    plain = card(given, trained, __version__)
    if folder is not None:
        write_network(trained.network, folder / FILES["network"])
        write_text(folder / FILES["page"], as_markdown(plain))
        write_text(folder / FILES["card"], json.dumps(plain, indent=1, allow_nan=False) + "\n")
    return Training(trained.network, plain, trained.last.history)


def _compiler(recipe: TrainingRecipe, beside: Path) -> Compile | None:
    """Return what quantizes a network as a recipe wants it; None where it does not.

    Raises:
        ChipError: there is no such chip.
        LoweringError: no such way of holding weights.
    """
    part = recipe.quantize
    if part is None:
        return None
    from spikeport import backends
    from spikeport.recipe_words import recipe_of
    from spikeport.verbs import compile as compile_network

    own = beside / part.chip
    chip = backends.find_chip(str(own) if own.is_file() else part.chip)
    how = recipe_of([part.weights] if part.weights else None)

    def compiled(net: Network, samples: Array) -> Image:
        shape = net.nodes[net.of_type(Input)[0]].shape
        x = samples.reshape(*samples.shape[:2], *shape)
        kind = "current" if x.dtype.kind == "f" else "counts" if x.max() > 1 else "spikes"
        return compile_network(net, chip, calibration=x, kind=kind, recipe=how)

    return compiled


def _check_out(folder: Path, resume: bool, force: bool) -> Path:
    """Return the folder if a training may be put there.

    Raises:
        OutputError: it holds another training, or something else, or cannot be written.
    """
    if resume and force:
        raise OutputError("--resume and --force exclude each other", "the one goes on, the other "
                          "begins anew", "leave out one")  # fmt: skip
    try:
        held = set(os.listdir(folder)) if folder.is_dir() else set()
    except OSError as error:
        raise _unwritable(folder, error) from None
    ours = {name for name in held if not name.endswith(".part")} <= set(FILES.values())
    if resume or not held or (force and ours):
        return folder if held else check_folder(folder)
    if ours:
        raise OutputError(
            f"the folder {folder} holds a training",
            "nothing is overwritten unasked",
            "--resume goes on with it, --force replaces it, or choose another --out",
        )
    return check_folder(folder)


def _clear(folder: Path, resumed: bool) -> None:
    """Make the folder, and remove what an older training left in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in () if resumed else FILES.values():
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder} cannot be used", error.strerror or "", "choose another --out")
