"""Examine a NIR file: everything that is wrong with it, and the changes that would mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import spikeport.models.neurons  # noqa: F401 - registers the neuron kinds
from spikeport.compiler.errors import LoadError, SpikeportError
from spikeport.compiler.load.edges import check_names
from spikeport.compiler.load.files import naming
from spikeport.compiler.load.hdf5 import Tree, read_tree
from spikeport.compiler.load.mend import Change, Edit, apply, places, type_of
from spikeport.compiler.load.mend_edges import mend_duplicates, mend_missing_ends, mend_ports
from spikeport.compiler.load.mend_fields import mend_fields
from spikeport.compiler.load.mend_layout import mend_layout
from spikeport.compiler.load.mend_ports import mend_port_shapes
from spikeport.compiler.load.mend_settle import mend_settled
from spikeport.compiler.load.nir import network_of
from spikeport.compiler.load.nodes import read_node
from spikeport.compiler.load.values import Fields
from spikeport.compiler.network import Network
from spikeport.graph_doctor.finding import Finding, from_change, from_error, in_order

#: Before shapes are looked at, in this order: each sees what the ones before it made.
FIRST: tuple[Callable[[Mapping[str, Any]], list[Change]], ...] = (
    mend_missing_ends,  # everything after follows edges
    mend_duplicates,
    mend_ports,
    mend_fields,  # a node must be whole to be read
    mend_port_shapes,  # reads the nodes
)
LARGEST_MENDED = 1 << 25  # elements of all arrays of the file, once it is mended


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found in one file.

    Attributes:
        path: of the file.
        tree: the file, as it is.
        mended: the file with all changes made, guesses too.
        changes: that were made, in order.
        net: the network of the mended file, None where it is no network even so.
        findings: the worst first.
    """

    path: Path
    tree: Tree
    mended: Tree
    changes: tuple[Change, ...]
    net: Network | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings for which spikeport refuses the graph."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def guesses(self) -> tuple[Change, ...]:
        """Return the changes that have another reading."""
        return tuple(change for change in self.changes if change.guess)

    @property
    def by_hand(self) -> tuple[Finding, ...]:
        """Return the findings that no change answers."""
        return tuple(each for each in self.errors if each.repair == "by hand")


def diagnose(path: Path) -> Diagnosis:
    """Return what is wrong with a NIR file and what would mend it; nothing is written.

    Raises:
        LoadError: the file is not HDF5, is damaged or hostile, holds no graph, or has names that
            cannot be printed.
    """
    tree = read_tree(path, lambda _: True)
    with naming(path.name):
        _check_graph(path.name, tree)
    changes: list[Change] = []
    mended = tree
    for stage in FIRST:
        found = stage(mended)
        changes += found
        mended = apply(mended, found)
    net, error = _network(path.name, mended)
    if error is not None:
        found = mend_layout(mended)
        changes += found
        mended = apply(mended, found)
        net, error = _network(path.name, mended)
    findings, unread = _unread_nodes(mended)
    if net is not None:
        found, too_large = _settled(mended, net)
        changes += found
        mended = apply(mended, found)
        findings += too_large
        if found:
            net, error = _network(path.name, mended)
    if error is not None:
        refused = from_error(error, file=path.name)
        findings += [refused] if refused.what not in unread else []
    if changes:
        changes += _version(tree)
        mended = apply(mended, changes[-1:])
    findings += [from_change(change) for change in changes if change.name != "version"]
    findings += _notes(net)
    return Diagnosis(path, tree, mended, tuple(changes), net, in_order(findings))


def _check_graph(file: str, tree: Mapping[str, Any]) -> None:
    root = tree.get("node")
    if not isinstance(root, Mapping) or root.get("type") != "NIRGraph":
        network_of(file, tree)  # says in which way it is none
        raise LoadError("the file holds no graph")
    for place in places(tree):
        check_names(list(place.nodes))


def _unread_nodes(tree: Mapping[str, Any]) -> tuple[list[Finding], set[str]]:
    """Return a finding for each node that cannot be read by itself, and what they say."""
    findings: list[Finding] = []
    said: set[str] = set()
    for place in places(tree):
        for name, node in place.nodes.items():
            kind = node.get("type")
            if not isinstance(kind, str) or kind == "NIRGraph" or type_of(node) != kind:
                continue  # the loader itself says what is wrong with those
            try:
                read_node(Fields(place.prefix + name, kind, node))
            except SpikeportError as error:
                findings.append(from_error(error, place.prefix + name))
                said.add(error.what)
    return findings, said


def _network(file: str, tree: Mapping[str, Any]) -> tuple[Network | None, SpikeportError | None]:
    try:
        return network_of(file, tree), None
    except SpikeportError as error:
        return None, error


def _settled(tree: Mapping[str, Any], net: Network) -> tuple[list[Change], list[Finding]]:
    """Return what the loader would mend anyway, unless that makes the file too large."""
    found = mend_settled(tree, net)
    size = sum(_size(node) for place in places(apply(tree, found)) for node in place.nodes.values())
    if size <= LARGEST_MENDED:
        return found, []
    kept = [change for change in found if change.name != "broadcast"]
    note = Finding(
        "warning",
        "broadcast",
        "",
        "single values of parameters stand for whole populations",
        f"written out, the file would have {size} numbers; the limit is {LARGEST_MENDED}",
        "spikeport reads it as it is",
    )
    return kept, [note]


def _size(node: Mapping[str, Any]) -> int:
    return sum(value.size for value in node.values() if isinstance(value, np.ndarray))


def _version(tree: Mapping[str, Any]) -> list[Change]:
    """Return the change to the version whose fields a mended file has."""
    said, now = tree.get("version"), metadata.version("nir")
    if said == now:
        return []
    return [
        Change(
            "version",
            "",
            f"written by nir {said[:20]}" if isinstance(said, str) else "no version of nir",
            f"the version is {now}",
            "the mended file has the fields of this version",
            (Edit(("version",), now),),
            severity="note",
        )
    ]


def _notes(net: Network | None) -> list[Finding]:
    """Return what the loader has to say about the mended graph."""
    found = []
    for text in net.repairs if net else ():
        doubt = text.startswith("warning: ")
        found.append(
            Finding("warning" if doubt else "note", "reading", "", text.removeprefix("warning: "))
        )
    return found
