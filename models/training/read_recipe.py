"""Read a training recipe: a YAML file or a mapping, checked strictly, its mistakes named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from spikeport.compiler.errors import RecipeError, nearest
from spikeport.compiler.load.plain_yaml import read_plain_yaml
from spikeport.models.training.recipe import TrainingRecipe

ADVICE = "compare it with the recipe in docs/training.md"


def read_recipe(path: Path) -> TrainingRecipe:
    """Return the recipe in a YAML file.

    Raises:
        RecipeError: it cannot be read, or says something that cannot be followed.
    """
    return checked_recipe(recipe_in(path), path.name)


def recipe_in(path: Path) -> Any:
    """Return the plain values in a YAML file, not checked yet.

    Raises:
        RecipeError: it cannot be read, or is no plain YAML.
    """
    return read_plain_yaml(path, "a training recipe", RecipeError, ADVICE)


def checked_recipe(content: Any, name: str = "the recipe") -> TrainingRecipe:
    """Return the recipe that plain values say.

    Raises:
        RecipeError: the first mistake, with the nearest name where a name is unknown.
    """
    if not isinstance(content, Mapping):
        raise RecipeError(f"{name} is not a training recipe", "it is no list of KEY: VALUE", ADVICE)
    try:
        return TrainingRecipe.model_validate(_tuples(content))
    except ValidationError as error:
        raise _mistake(name, error) from None


def _tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(each) for each in value) if isinstance(value, list | tuple) else value


def _mistake(name: str, error: ValidationError) -> RecipeError:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    key = ".".join(part for part in where if not _is_tag(part, where)) or "the recipe"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        known = list(_model_at(where[:-1]).model_fields)
        return RecipeError(
            f"{name}: unknown key {key!r}{more}",
            f"known are {', '.join(known)}",
            f"write {nearest(where[-1], known)!r}, or leave it out",
        )
    if kind in ("literal_error", "union_tag_invalid"):
        known = re.findall(r"'([^']*)'", context.get("expected_tags", context.get("expected", "")))
        said = context.get("tag", first["input"])
        return RecipeError(
            f"{name}: {key} cannot be {said!r}{more}",
            f"known are {', '.join(known)}",
            f"write {nearest(str(said), known)!r}",
        )
    if kind == "missing":
        return RecipeError(f"{name}: {key!r} is missing{more}", "it has no default", ADVICE)
    why = str(first["msg"]).removeprefix("Value error, ")
    return RecipeError(f"{name}: {key}: {why}{more}", f"it is {first['input']!r}"[:200], ADVICE)


def _is_tag(part: str, where: list[str]) -> bool:
    """Is this part of a place the name of a variant, which nobody wrote as a key."""
    at = where.index(part)
    return at > 0 and part not in _model_at(where[:at]).model_fields and at < len(where) - 1


def _model_at(where: list[str]) -> type[BaseModel]:
    """Return the part of the recipe that a place leads to."""
    model: type[BaseModel] = TrainingRecipe
    for part in where:
        if part in model.model_fields:
            choices = list(_models(model.model_fields[part].annotation))
            model = choices[0] if choices else model
        else:
            model = _variant(part, choices, model)
    return model


def _variant(name: str, choices: list[type[BaseModel]], otherwise: type[BaseModel]) -> Any:
    for each in choices:
        field = each.model_fields.get("name")
        if field is not None and name in get_args(field.annotation):
            return each
    return otherwise


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)
