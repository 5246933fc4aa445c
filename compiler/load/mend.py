"""Changes to the raw tree of a NIR file, as values: what is mended, where, and why.

`read_tree` returns plain nested dicts; a `Change` says which entries of them get another value.
Nothing is changed in place, so a list of changes is the whole difference between two files, and
`differences` can prove it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from spikeport.compiler.errors import printable
from spikeport.compiler.load.extension import EXTENSION
from spikeport.compiler.load.hdf5 import Parts, Tree

Severity = Literal["error", "warning", "note"]
Edge = tuple[str, str]


class _Absent:
    """What an edit sets where it removes something."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True, eq=False)
class Edit:
    """One entry of the tree and its new value; ABSENT removes it."""

    path: Parts
    value: Any


@dataclass(frozen=True, eq=False)
class Change:
    """One mend.

    Attributes:
        name: of the kind of mend, as in the documentation: `reconnect`, `drop-batch` ...
        node: that it is about, "" for the graph.
        what: is wrong in the file as it is.
        done: what the change makes of it.
        why: this reading and no other.
        guess: is there another reading; such changes are made only when asked for.
        severity: `error` where spikeport refuses the file without the change, `warning` where
            other readers may, `note` where it only says what every reader assumes.
        edits: the entries of the tree that change.
    """

    name: str
    node: str
    what: str
    done: str
    why: str
    edits: tuple[Edit, ...]
    guess: bool = False
    severity: Severity = "warning"


@dataclass(frozen=True, eq=False)
class Place:
    """One graph in the file: the outermost, or a nested one.

    Attributes:
        prefix: its name and a dot, "" for the outermost.
        parts: path of its group.
        graph: the group as a dict.
    """

    prefix: str
    parts: Parts
    graph: Mapping[str, Any]

    @cached_property
    def nodes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return name -> node, of those that are groups."""
        found = self.graph.get("nodes")
        if not isinstance(found, Mapping):
            return {}
        return {name: node for name, node in found.items() if isinstance(node, Mapping)}

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Return the edges; () where they are not pairs of names."""
        found = self.graph.get("edges")
        pairs = found if isinstance(found, list) else []
        if not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(end, str) for end in pair)
            for pair in pairs
        ):
            return ()
        return tuple((source, target) for source, target in pairs)

    def at(self, node: str, field: str) -> Parts:
        """Return the path of a node's field."""
        return (*self.parts, "nodes", node, field)

    def with_edges(self, edges: Iterable[Edge]) -> Edit:
        """Return the edit that gives this graph other edges."""
        listed: Any = [list(edge) for edge in edges]
        return Edit((*self.parts, "edges"), listed or np.empty((0, 2)))


def places(tree: Mapping[str, Any]) -> Iterator[Place]:
    """Yield every graph of the file, outer ones first."""
    root = tree.get("node")
    waiting = [Place("", ("node",), root)] if isinstance(root, Mapping) else []
    while waiting:
        place = waiting.pop(0)
        yield place
        for name, node in place.nodes.items():
            if node.get("type") == "NIRGraph":
                parts = (*place.parts, "nodes", name)
                waiting.append(Place(f"{place.prefix}{name}.", parts, node))


def type_of(node: Mapping[str, Any]) -> str:
    """Return the type of a node, `extension NAME` where it only stands for something else.

    >>> type_of({"type": "LIF", "metadata": {"spikeport.ext": "izhikevich"}})
    'extension izhikevich'
    """
    metadata = node.get("metadata")
    if isinstance(metadata, Mapping) and EXTENSION in metadata:
        return f"extension {printable(metadata[EXTENSION])[:40]}"
    return printable(node.get("type"))[:40]


def apply(tree: Mapping[str, Any], changes: Iterable[Change]) -> Tree:
    """Return a tree with the changes made, in order; the given one stays as it is."""
    mended = dict(tree)
    for change in changes:
        for edit in change.edits:
            mended = _set(mended, edit.path, edit.value)
    return mended


def _set(tree: Mapping[str, Any], path: Parts, value: Any) -> Tree:
    """Return a copy of the dicts on the way to `path`, with its new value."""
    changed = dict(tree)
    first, rest = path[0], path[1:]
    if rest:
        below = tree.get(first)
        changed[first] = _set(below if isinstance(below, Mapping) else {}, rest, value)
    elif value is ABSENT:
        changed.pop(first, None)
    else:
        changed[first] = value
    return changed


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[Parts]:
    """Return the paths of all values that are only in one tree, or not bit for bit the same."""
    old, new = dict(_leaves(before, ())), dict(_leaves(after, ()))
    return {
        path
        for path in old.keys() | new.keys()
        if path not in old or path not in new or not _same(old[path], new[path])
    }


def _leaves(tree: Mapping[str, Any], parts: Parts) -> Iterator[tuple[Parts, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*parts, name))
        else:
            yield (*parts, name), value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        # Bytes, not values: NaN in somebody's metadata equals itself.
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    return type(one) is type(other) and bool(one == other)


def unclaimed(
    before: Mapping[str, Any], after: Mapping[str, Any], changes: Iterable[Change]
) -> tuple[set[Parts], set[Parts]]:
    """Return the paths that differ without a change for them, and the edits that did nothing.

    Both are empty where the list of changes is true and complete.
    """
    differ = differences(before, after)
    edited = {edit.path for change in changes for edit in change.edits}
    surprising = {path for path in differ if edited.isdisjoint(_above(path))}
    return surprising, edited - {part for path in differ for part in _above(path)}


def _above(path: Parts) -> list[Parts]:
    """Return a path and those of all groups that it is in."""
    return [path[:length] for length in range(1, len(path) + 1)]
