"""A recipe as the options of a command, and back: what is printed can be pasted."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from spikeport.compiler.quantize.recipe import Recipe, Wish, parse_wish


def recipe_of(
    weights: Iterable[str] | None = None, correct: bool = False, **given: str | None
) -> Recipe | None:
    """Return the recipe that options ask for; None where there are none.

    Args:
        weights: `[PROJECTION=]HOW`, later ones win.
        correct: see `Recipe`.
        given: its other fields, None where they are not said.

    Raises:
        LoweringError: no such way of holding weights, or no such choice.
    """
    held: dict[str, Wish] = {}
    for each in weights or ():
        name, _, how = each.rpartition("=")
        held[name] = parse_wish(how)
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if correct:
        said["correct"] = True
    return Recipe(held, **said) if held or said else None


def options_of(recipe: Recipe | None) -> str:
    """Return the options that ask for a recipe, as a shell takes them.

    >>> options_of(Recipe({"": parse_wish("4"), "fc 1": parse_wish("8+8")}, rounding="output"))
    "--weights 4 --weights 'fc 1=8+8' --rounding output"
    """
    if recipe is None:
        return ""
    words = [
        word
        for name, wish in sorted(recipe.weights.items())
        if name or wish != Wish()
        for word in ("--weights", f"{name}={wish}" if name else str(wish))
    ]
    for each in fields(recipe):
        value = getattr(recipe, each.name)
        if each.name != "weights" and value != each.default:
            words += [f"--{each.name}"] if value is True else [f"--{each.name}", str(value)]
    return shlex.join(words)


def in_short(recipe: Recipe, names: Iterable[str]) -> Recipe:
    """Return the same recipe for these projections with the commonest wish said once.

    >>> four, eight = parse_wish("4"), parse_wish("8")
    >>> options_of(in_short(Recipe({"a": four, "b": eight, "c": four}), "abc"))
    '--weights 4 --weights b=8'
    """
    held = {name: recipe.wish(name) for name in names}
    if not held:
        return recipe
    common = Counter(held.values()).most_common(1)[0][0]
    others = {name: wish for name, wish in held.items() if wish != common}
    return replace(recipe, weights={"": common, **others})
