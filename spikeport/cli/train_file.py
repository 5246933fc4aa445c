"""The command `spikeport train`: its options, its progress bar, and what it prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikeport.cli.options import AsJson
from spikeport.cli.output import emit, say

if TYPE_CHECKING:
    from spikeport.models.training.loop import Standing


def train(
    recipe: Annotated[
        Path | None, typer.Argument(help="recipe (.yaml), or the name of a shipped one",
                                    show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="folder for net.nir, card.json, card.md, log.jsonl and "
                     "checkpoint.npz; new or empty"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE",
                     help="instead of what the recipe says, such as seed=3, network=NET.nir, "
                     "data.folder=DIR; can be given again"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on from the checkpoint in --out, bit for bit")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="replace the training that is in --out")
    ] = False,
    checkpoint_every: Annotated[
        float,
        typer.Option("--checkpoint-every", min=0, metavar="SECONDS",
                     help="between two checkpoints within an epoch; each epoch ends with one"),
    ] = 60.0,
    list_: Annotated[bool, typer.Option("--list", help="list the shipped recipes")] = False,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Train a network as a recipe says; write it as NIR with its semantics, and a card.

    Surrogate gradients through the steps of the reference simulator, on jax (pip install
    "spikeport[train]"). Ctrl-C writes a checkpoint and ends with exit code 130.
    """
    from spikeport.compiler.errors import DataError

    if list_:
        names = sorted(shipped())
        emit(names) if json else print("\n".join(names))
        return
    if recipe is None or out is None:
        missing = "RECIPE.yaml" if recipe is None else "--out"
        raise DataError(f"{missing} is missing", "", "spikeport train RECIPE.yaml --out DIR")
    from spikeport import training

    with training_bar() as show:
        done = training.train(
            shipped().get(str(recipe), recipe), out, settings=settings or (), resume=resume,
            force=force, checkpoint_every=checkpoint_every, progress=show,
            say=lambda text: say(f"warning: {text}"),
        )  # fmt: skip
    emit(done.card) if json else print_trained(done.card, out)


def shipped() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    from importlib.resources import files

    folder = Path(str(files("spikeport.models.networks"))) / "recipes"
    return {path.stem: path for path in folder.glob("*.yaml")}


@contextmanager
def training_bar() -> Iterator[Callable[[Standing], None]]:
    """Yield what draws the steps of an epoch with loss and accuracy; nothing off a terminal."""
    if not sys.stderr.isatty():
        yield lambda standing: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("compiling", total=None)

        def show(now: Standing) -> None:
            words = (
                f"epoch {now.epoch + 1}/{now.epochs}  loss {now.loss:.4f}  "
                f"accuracy {now.accuracy:.2%}"
            )
            whole = now.epochs * now.batches
            done = now.epoch * now.batches + now.batch
            bars.update(task, description=words, completed=done, total=whole)

        yield show


def print_trained(card: Mapping[str, Any], out: Path) -> None:
    """Print what came out, and where it is."""
    from spikeport.compiler.errors import counted

    seconds = card["seconds"]
    print(
        f"{card['network']} on {card['data']['name']}: test accuracy {card['accuracy']['test']:.2%}"
        f" after {counted(card['epochs'], 'epoch')}, {seconds['all']:.1f} s "
        f"({seconds['compile']:.1f} s compiling)"
    )
    print(f"wrote net.nir, card.json, card.md, log.jsonl and checkpoint.npz to {out}")
