"""Recordings in an .npz: which array belongs to which node, and in which shape it lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.parity import PopulationParity, difference_dict
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.infer_shapes import infer_shapes

#: Name of an array of an input file that holds the recording which the input was made from.
PUBLISHED = "published_"


@dataclass(frozen=True)
class Recording:
    """Where recorded spikes are, as the command line says it.

    Attributes:
        path: .npz file.
        prefix: of the keys of nodes that are not mapped.
        mapping: `NODE=KEY` texts.
        node: every array is a recording of this node by another tool; or None.
        input_from: key of the recording that the input was made from; or None.
        late: steps by which the recording answers later than the model.
    """

    path: Path
    prefix: str = ""
    mapping: tuple[str, ...] = ()
    node: str | None = None
    input_from: str | None = None
    late: int = 0


def keys_of(
    recording: Recording, spiking: list[str], arrays: Mapping[str, Array]
) -> dict[str, str]:
    """Return node -> key of the array that it is compared with.

    Raises:
        DataError: a malformed mapping, a key that is missing, or nothing that belongs to a node.
    """
    where = recording.path.name
    mapped = _pairs(recording.mapping, spiking)
    for node, key in mapped.items():
        if key not in arrays:
            raise DataError(
                f"{where} has no array {key!r} for {node!r}",
                f"it has {', '.join(list(arrays)[:12]) or 'nothing'}",
                "check --map",
            )
    keys = dict(mapped)
    for name in spiking:
        if name not in keys and recording.prefix + name in arrays:
            keys[name] = recording.prefix + name
    if not keys:
        raise DataError(
            f"nothing in {where} belongs to a spiking node",
            f"nodes are {', '.join(spiking[:8])}; arrays are {', '.join(list(arrays)[:12])}",
            "name them with --map NODE=KEY or --prefix PREFIX",
        )
    return keys


def _pairs(mapping: Iterable[str], neurons: list[str]) -> dict[str, str]:
    pairs = {}
    for text in mapping:
        node, equals, key = text.partition("=")
        if not equals or not key or node not in neurons:
            raise DataError(
                f"cannot use --map {text!r}",
                "it has the form NODE=KEY, NODE of " + ", ".join(neurons[:8]),
                f"--map {neurons[0] if neurons else 'NODE'}=KEY",
            )
        pairs[node] = key
    return pairs


def are_spikes(array: Array) -> bool:
    """Does an array hold whole numbers from 0."""
    if array.dtype.kind not in "biuf" or not array.size:
        return False
    return bool(((array == np.rint(array)) & (array >= 0)).all())


def fitted(array: Array, shape: tuple[int, ...], key: str, where: str) -> Array:
    """Return recorded counts, int64, in the shape of ours; a sample or a trailing 1 may lack.

    Args:
        array: as recorded.
        shape: (samples, steps, *shape of the node).
        key, where: names for messages.

    Raises:
        DataError: not whole numbers from 0, or another shape.
    """
    if array.size and not are_spikes(array):
        raise DataError(
            f"{key!r} in {where} does not hold whole numbers from 0 ({array.dtype})",
            "spikes are compared: 0 and 1, or counts",
            "name the array of spikes with --map NODE=KEY",
        )
    if not _fits(array.shape, shape):
        raise DataError(
            f"{key!r} in {where} has the shape {array.shape}",
            f"the node gives (samples, steps, ...) = {shape}",
            "it lies as (neurons, steps): swap its last two axes"
            if transposed(array, shape)
            else "record the same samples and steps as the input has",
        )
    return array.astype(np.int64).reshape(shape[0], shape[1], -1)


def transposed(array: Array, shape: tuple[int, ...]) -> bool:
    """Does an array lie as (neurons, steps), with or without samples before it."""
    if array.ndim not in (2, 3) or _fits(array.shape, shape):
        return False
    return _fits(np.swapaxes(array, -1, -2).shape, shape)


def _fits(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    tries = (given, (1, *given), (*given, 1), (1, *given, 1))
    flat = (shape[0], shape[1], int(np.prod(shape[2:])))
    return any(each in (shape, flat) for each in tries)


def input_origin(
    recording: Recording, arrays: Mapping[str, Array], beside_input: Mapping[str, Array]
) -> str | None:
    """Return the key of the recording that the input was made from, where somebody says so.

    `--input-from KEY` says it, or an array `published_KEY` (and what follows it) of the input
    file that equals the recording KEY cell by cell.

    Raises:
        DataError: --input-from names no array.
    """
    said = recording.input_from
    if said is not None:
        if said not in arrays:
            raise DataError(
                f"{recording.path.name} has no array {said!r}",
                f"it has {', '.join(list(arrays)[:12]) or 'nothing'}",
                "check --input-from",
            )
        return said
    for name, array in beside_input.items():
        for key, recorded in arrays.items():
            mine = name == PUBLISHED + key or name.startswith(f"{PUBLISHED}{key}_")
            if mine and np.array_equal(array, recorded):
                return key
    return None


def node_dict(parity: PopulationParity, hint: str | None = None) -> dict[str, Any]:
    """Return the comparison of one node as plain values."""
    return {
        "cells": parity.cells,
        "different": parity.different,
        "lag": parity.lag,
        "spikes_expected": parity.spikes_expected,
        "spikes_reference": parity.spikes_got,
        "first_difference": difference_dict(parity.first_difference, "expected", "reference"),
        "hint": hint,
    }


def spiking_shapes(net: Any) -> dict[str, tuple[int, ...]]:
    """Return spiking node -> its shape, of a network as it is loaded.

    Raises:
        DataError: no node spikes.
    """
    shaped = infer_shapes(flatten_graphs(net))
    found = {
        name: tuple(shaped.shapes[name])
        for name in shaped.neurons
        if type(shaped.nodes[name]).spiking
    }
    if not found:
        raise DataError(f"{net.name} has no spiking node", "spikes are compared")
    return found
