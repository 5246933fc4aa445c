"""Read a chip description: YAML without tags, anchors or aliases, validated strictly.

It can neither run code nor grow; an unknown key is an error, a number is never text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError

LARGEST_FILE = 1 << 17  # bytes; ours are below 20 kB
DEEPEST = 12  # the schema has five levels, and the reader's time grows with the square


def read_chip(path: Path) -> Chip:
    """Read and check a chip description.

    Raises:
        ChipError: not a file, too large, tags or aliases in it, or not our schema.
    """
    if path.exists() and not path.is_file():
        raise ChipError(f"cannot read the chip {path.name}", "it is not a file", "check the path")
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ChipError(
            f"cannot read the chip {path.name}", error.strerror or "", "check the path"
        ) from None
    if len(raw) > LARGEST_FILE:
        raise ChipError(
            f"{path.name} is too large for a chip description",
            f"more than {LARGEST_FILE} bytes",
            "start from a copy of loihi1.yaml",
        )
    try:
        text = raw.decode("utf8")
        content = _plain_yaml(text)
        return Chip.model_validate(_tuples(content))
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    except (YAMLError, ValueError, RecursionError) as error:
        why = _reason(error)
    raise ChipError(
        f"{path.name} is not a chip description", why, "compare it with loihi1.yaml"
    ) from None


def _plain_yaml(text: str) -> Any:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        tag = getattr(event, "tag", None)
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise ValueError("YAML anchors and aliases are not allowed: write the value out")
        if tag is not None and str(tag):
            raise ValueError(f"the YAML tag {tag} is not allowed: plain values only")
    return YAML(typ="safe", pure=True).load(text)


def _tuples(value: Any) -> Any:
    """Lists become tuples: strict validation does not convert."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return f"{where or 'the file'}: {first['msg']}{more}"[:300]
    if isinstance(error, YAMLError):
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        return f"YAML: {where}{' '.join(problem.split())}".replace("<", "").replace(">", "")[:200]
    return str(error)[:300] or type(error).__name__
