"""Read YAML without tags, anchors or aliases: it can neither run code nor grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from spikeport.compiler.errors import SpikeportError

LARGEST_FILE = 1 << 17  # bytes; ours are below 20 kB
DEEPEST = 12  # our schemas have five levels, and the reader's time grows with the square


def read_plain_yaml(path: Path, noun: str, wrong: type[SpikeportError], advice: str) -> Any:
    """Return the content of a YAML file; lists are tuples, as strict validation wants them.

    Args:
        path: of the file.
        noun: what it should be, as `a chip description`.
        wrong: the error that is raised.
        advice: what to do about a file that is something else.

    Raises:
        SpikeportError: of the type `wrong`: not a file, too large, not UTF-8, not plain YAML.
    """
    if path.exists() and not path.is_file():
        raise wrong(f"cannot read {noun}: {path.name}", "it is not a file", "check the path")
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise wrong(
            f"cannot read {noun}: {path.name}", error.strerror or "", "check the path"
        ) from None
    if len(raw) > LARGEST_FILE:
        raise wrong(f"{path.name} is too large for {noun}", f"more than {LARGEST_FILE} bytes",
                    advice)  # fmt: skip
    try:
        return plain_yaml(raw.decode("utf8"))
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    except ValueError as error:
        why = str(error)
    raise wrong(f"{path.name} is not {noun}", why, advice) from None


def plain_yaml(text: str) -> Any:
    """Return what YAML text says; lists are tuples.

    Raises:
        ValueError: why it is not plain YAML.
    """
    try:
        return _tuples(_plain(text))
    except YAMLError as error:
        why = _reason(error)
    except (ValueError, RecursionError) as error:
        why = str(error)[:300] or type(error).__name__
    raise ValueError(why)


def _plain(text: str) -> Any:
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
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _reason(error: YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}: "
    return f"YAML: {where}{' '.join(problem.split())}".replace("<", "").replace(">", "")[:200]
