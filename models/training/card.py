"""The card of a training: what was trained, on what, how, and what came out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeport.models.training.loop import Trained
from spikeport.models.training.prepare import Prepared

HERE = Path(__file__).resolve().parents[1]


def card(given: Prepared, trained: Trained, version: str) -> dict[str, Any]:
    """Return plain values.

    Args:
        given: the training.
        trained: what came out.
        version: of spikeport.
    """
    import jax

    recipe, last = given.recipe, trained.last
    row: Mapping[str, Any] = last.history[-1]
    return {
        "spikeport": version,
        "commit": commit(),
        "network": recipe.network.name,
        "parameters": {name: list(each.shape) for name, each in last.moved.items()},
        "data": {
            "name": given.data.name,
            "source": given.data.source,
            "classes": given.data.classes,
            **{which: len(given.data.split(which)) for which in ("train", "test")},
        },
        "accuracy": {"test": row["test_accuracy"], "train": row["train_accuracy"]},
        "loss": row["loss"],
        "activity": row["activity"],
        "epochs": len(last.history),
        "seed": recipe.seed,
        "recipe": recipe.plain(),
        "recipe_sha256": recipe.digest,
        "network_sha256": given.digest,
        "seconds": {
            "all": round(last.seconds, 3),
            "compile": round(trained.compile_seconds, 3),
            "feeding": round(trained.feeding_seconds, 3),
            "testing": round(trained.testing_seconds, 3),
        },
        "step_bytes": trained.step_bytes,
        "device": f"{jax.devices()[0].platform}, jax {jax.__version__}",
        "warnings": list(last.warnings),
    }


def commit() -> str | None:
    """Return the commit of the checkout that spikeport runs from, None where it is installed.

    `+` at its end says that files differ from it.
    """
    try:
        if _git("ls-files", "--error-unmatch", "__init__.py") is None:
            return None  # a package inside somebody else's checkout
        found = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return None if found is None else found + ("+" if changed else "")


def _git(*words: str) -> str | None:
    told = subprocess.run(
        ["git", *words], cwd=HERE, capture_output=True, text=True, timeout=10, check=False
    )
    return told.stdout.strip() if told.returncode == 0 else None


def as_markdown(plain: Mapping[str, Any]) -> str:
    """Return the card as a page."""
    data, accuracy, seconds = plain["data"], plain["accuracy"], plain["seconds"]
    rows = {
        "data": f"{data['name']}, {data['train']} to learn from, {data['test']} to test",
        "source": data["source"],
        "accuracy": f"test {accuracy['test']:.2%}, train {accuracy['train']:.2%}",
        "loss": f"{plain['loss']:.5g}",
        "spikes per step": ", ".join(f"{k} {v:.3g}" for k, v in plain["activity"].items()),
        "epochs": plain["epochs"],
        "seed": plain["seed"],
        "spikeport": f"{plain['spikeport']}, commit {plain['commit'] or 'unknown'}",
        "device": plain["device"],
        "time": f"{seconds['all']:.1f} s, {seconds['compile']:.1f} s of them compiling",
    }
    lines = [f"# {plain['network']}", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {' '.join(str(value).split())} |" for key, value in rows.items()]
    if plain["warnings"]:
        lines += ["", "Warnings:", "", *(f"* {each}" for each in plain["warnings"])]
    return "\n".join([*lines, "", "## Recipe", "", "```yaml", *_yaml(plain["recipe"]), "```", ""])


def _yaml(recipe: Mapping[str, Any]) -> list[str]:
    from io import StringIO

    from ruamel.yaml import YAML

    text = StringIO()
    writer = YAML()
    writer.dump(_without_nothing(recipe), text)
    return text.getvalue().rstrip().splitlines()


def _without_nothing(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _without_nothing(each) for key, each in value.items() if each is not None}
        return {key: each for key, each in kept.items() if each != {}}
    return [_without_nothing(each) for each in value] if isinstance(value, list | tuple) else value
