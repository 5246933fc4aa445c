"""Settings on top of a recipe, as `--set KEY=VALUE` says them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spikeport.compiler.errors import RecipeError
from spikeport.compiler.load.plain_yaml import plain_yaml

#: Keys that may name a file or a folder, which lies beside whoever says it, not beside the recipe.
PATHS = ("network", "network.name", "data.folder", "quantize.chip")


def changed(content: Any, settings: Iterable[str], here: Path) -> Any:
    """Return plain values of a recipe with settings, later ones win.

    Args:
        content: as YAML gives it.
        settings: `KEY=VALUE` or `KEY.KEY=VALUE`; the value as YAML writes it, null for none.
        here: folder that paths in settings are relative to.

    Raises:
        RecipeError: a setting that is none.

    >>> changed({"data": "digits", "seed": 1}, ["seed=2", "data.folder=null"], Path())
    {'data': {'name': 'digits', 'folder': None}, 'seed': 2}
    """
    for text in settings:
        key, equals, said = text.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts) or not isinstance(content, Mapping):
            raise RecipeError(
                f"cannot read the setting {text!r}", "it has the form KEY=VALUE or KEY.KEY=VALUE",
                "--set seed=3",
            )  # fmt: skip
        try:
            value = plain_yaml(said)
        except ValueError as error:
            raise RecipeError(f"cannot read the setting {text!r}", str(error)) from None
        if ".".join(parts) in PATHS and isinstance(value, str) and (here / value).exists():
            value = str((here / value).resolve())
        content = _with(content, parts, value)
    return content


def _with(content: Any, parts: list[str], value: Any) -> dict[str, Any]:
    """Return a mapping with one value changed; a name alone is a part with nothing but a name."""
    held = dict(content) if isinstance(content, Mapping) else {"name": content} if content else {}
    first, *rest = parts
    return {**held, first: _with(held.get(first), rest, value) if rest else value}
