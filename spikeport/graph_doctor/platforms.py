"""Who can run a graph: spikeport's own backends by their rules, others by what they claim.

Claims are in `platforms.yaml`, each row with its source. They were not checked by us, and
reading every type of a graph is not yet running it right: see `--dialect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from ruamel.yaml import YAML

from spikeport.compiler.errors import printable
from spikeport.compiler.load.mend import places, type_of
from spikeport.compiler.load.mend_fields import FIELDS

TABLE = Path(__file__).with_name("platforms.yaml")
PORTS = ("Input", "Output", "NIRGraph")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Strict):
    """Where claims were read."""

    title: str
    where: str = Field(min_length=4)
    commit: str = Field(min_length=40, max_length=40)
    seen: str = Field(pattern=r"^\d{4}-\d\d$")
    note: str


class Row(_Strict):
    """What one platform says that it reads."""

    name: str
    runs_on: str
    reads: tuple[str, ...]
    source: tuple[str, ...] = Field(min_length=1)
    only: Mapping[str, Mapping[str, float]] = {}
    uniform: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known_types(self) -> Row:
        unknown = {*self.reads, *self.only, *self.uniform} - set(FIELDS)
        if unknown:
            raise ValueError(f"{min(unknown)} is no NIR type")
        return self


class Table(_Strict):
    """All claims and their sources."""

    sources: Mapping[str, Source]
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _named_sources(self) -> Table:
        unknown = {name for row in self.rows for name in row.source} - set(self.sources)
        if unknown:
            raise ValueError(f"source {min(unknown)} is not described")
        return self


@cache
def table() -> Table:
    """Return the shipped table."""
    return Table.model_validate(YAML(typ="safe").load(TABLE.read_text(encoding="utf-8")))


def other_platforms(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each platform whether it claims to read all of a graph.

    Returns:
        Rows of {name, runs_on, claims (bool), missing (types), because (values that it refuses),
        source (texts)}.
    """
    nodes = [
        (place.prefix + name, node) for place in places(tree) for name, node in place.nodes.items()
    ]
    types = {type_of(node) for _, node in nodes} - set(PORTS)
    rows = []
    for row in table().rows:
        missing = sorted(types - set(row.reads))
        because = _refused_values(row, nodes)
        rows.append(
            {
                "name": row.name,
                "runs_on": row.runs_on,
                "claims": not missing and not because,
                "missing": missing,
                "because": because,
                "source": [_cited(table().sources[name]) for name in row.source],
            }
        )
    return rows


def _cited(source: Source) -> str:
    return f"{source.where}@{source.commit[:7]}, seen {source.seen}"


def _refused_values(row: Row, nodes: list[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return the first node for each rule about values that the platform's reader has."""
    found: dict[tuple[str, str], str] = {}
    for name, node in nodes:
        kind = type_of(node)
        for field, value in row.only.get(kind, {}).items():
            values = node.get(field)
            if _numbers(values) and (values != value).any():
                text = f"'{printable(name)}': {field} is not {value:g}"
                found.setdefault((kind, field), text)
        for field in FIELDS.get(kind, ()) if kind in row.uniform else ():
            values = node.get(field)
            if _numbers(values) and (values != values.ravel()[0]).any():
                text = f"'{printable(name)}': {field} differs from neuron to neuron"
                found.setdefault((kind, "uniform"), text)
    return list(found.values())


def _numbers(value: Any) -> TypeGuard[np.ndarray[Any, Any]]:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.size > 0
