"""`spikeport chips new`: a commented copy of a chip description; and its JSON Schema."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from spikeport import backends
from spikeport.compiler import cost_column, fabric
from spikeport.compiler.chip import Chip, Limits, Topology
from spikeport.compiler.errors import ChipError, OutputError
from spikeport.compiler.figure import Strict
from spikeport.compiler.load.chip import read_chip
from spikeport.files import check_file

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SCHEMA = "chip.schema.json"
HEAD = """\
# {name}: a description of a chip, begun as a copy of {source}.
#
# Every figure has a value, a unit, a source and a basis: measured, simulated, fitted, estimate, or
# how it is known: code, quoted, page, run, derived; unverified ones are shown and enter no total.
# A limit of `core` that is left out is not checked, and reports say so. Without `costs`, reports
# say that the energy is unknown. Unknown keys are refused.
#
# An editor completes and checks it with the schema:  spikeport chips schema > {schema}
# yaml-language-server: $schema={schema}
#
# Try it:  spikeport check NET.nir --chip {file}
"""


def write_new_chip(name: str | None, source: str, out: Path | None) -> dict[str, Any]:
    """Write a commented copy of a chip under a new name; returns what `--json` prints.

    Raises:
        ChipError: no name, a name that is none or is taken, an unknown source.
        OutputError: something is there already; nothing is ever overwritten.
    """
    if name is None:
        raise ChipError("the new chip has no name", "", "spikeport chips new NAME --from loihi1")
    if not NAME.fullmatch(name):
        raise ChipError(
            f"{name!r} is no name for a chip",
            "it has small letters, digits and underscores, and starts with a letter",
            "spikeport chips new my_chip",
        )
    if name in ("all", "new", "schema"):
        raise ChipError(f"{name!r} is a word of the commands", "", "choose another name")
    if name in backends.chip_names():
        raise ChipError(f"the chip {name!r} is shipped already", "", "choose another name")
    path = check_file(Path(f"{name}.yaml") if out is None else out)
    if path.suffix not in (".yaml", ".yml"):
        raise OutputError(f"{path} is no YAML file by its name", "", f"--out {name}.yaml")
    chip = backends.find_chip(source)
    text = commented(_text_of(source), chip, name, path.name)
    path.write_text(text, encoding="utf-8")
    return {
        "name": read_chip(path).name,
        "from": chip.name,
        "out": str(path),
        "next": f"edit it, then spikeport check NET.nir --chip {path}",
    }


def _text_of(source: str) -> str:
    shipped = backends.CHIPS / f"{source}.yaml"
    path = shipped if source in backends.chip_names() else Path(source)
    return path.read_text(encoding="utf-8")


def commented(text: str, chip: Chip, name: str, file: str) -> str:
    """Return the YAML of a chip under another name, with what each field means above it.

    A copy claims no test of its own: `oracle-equal` becomes `estimate`.
    """
    lines = [HEAD.format(name=name, source=chip.name, schema=SCHEMA, file=file).rstrip()]
    words = {"": field_words(Chip), "topology": field_words(Topology),
             "limits": field_words(Limits), "core": field_words(type(chip.core))}  # fmt: skip
    part = ""
    body = text.splitlines()
    while body and (body[0].startswith("#") or not body[0].strip()):
        body.pop(0)
    for line in body:
        key = re.match(r"( *)(\w+):", line)
        if key is None or len(key[1]) > 2:
            lines.append(line)
            continue
        if not key[1]:
            part = key[2]
        said = words[""].get(key[2]) if not key[1] else words.get(part, {}).get(key[2])
        comment = [f"{key[1]}# {each}" for each in _wrapped(said or "")]
        if lines[-len(comment) :] != comment:  # a copy of a copy has it already
            lines += comment
        if line.startswith("name:"):
            line = f"name: {name}"
        elif line.startswith("title:"):
            line = f"title: {json.dumps(f'{name} (from {chip.title})')}"
        elif line.startswith("level:") and chip.level == "oracle-equal":
            line = "level: estimate"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int = 96) -> list[str]:
    return textwrap.wrap(text[:1].upper() + text[1:], width)


def field_words(model: type[BaseModel]) -> dict[str, str]:
    """Return field -> its sentence in the `Attributes` of a model's docstring.

    >>> field_words(Topology)
    {}
    >>> field_words(Limits)["state_bits"]
    'of u and v, sign included.'
    """
    doc = inspect.cleandoc(model.__doc__ or "")
    _, _, attributes = doc.partition("Attributes:\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {4}\w)", attributes):
        names, colon, said = entry.strip().partition(":")
        if colon:
            for each in names.split(","):
                found[each.strip()] = " ".join(said.split())
    return found


def chip_schema() -> dict[str, Any]:
    """Return the JSON Schema of a chip description, with the words of the docstrings."""
    schema = Chip.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "a chip that spikeport places networks on"
    schema["description"] = (Chip.__doc__ or "").splitlines()[0]
    models = {
        name: model
        for module in (fabric, cost_column, inspect.getmodule(Chip), inspect.getmodule(Strict))
        for name, model in vars(module).items()
        if isinstance(model, type) and issubclass(model, BaseModel)
    }
    for name, part in ({"Chip": schema} | schema.get("$defs", {})).items():
        if name not in models:
            continue
        part["description"] = (models[name].__doc__ or "").strip().splitlines()[0]
        for field, said in field_words(models[name]).items():
            if field in part.get("properties", {}):
                part["properties"][field]["description"] = said
    return schema
