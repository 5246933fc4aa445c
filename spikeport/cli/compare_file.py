"""`spikeport compare`: the reference against spikes that another tool recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikeport import verbs
from spikeport.cli.typed import typed
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import DataError, counted
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.arrays import read_arrays
from spikeport.compiler.measure.parity import compare_arrays, difference_dict
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.traces import Traces
from spikeport.data import read_data

Contract = tuple[str | None, float | None, Iterable[str]]


def compare_file(
    graph: Path,
    x: Path,
    expect: Path,
    prefix: str,
    mapping: Iterable[str],
    said: Contract,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Return what `compare --json` prints.

    Args:
        graph: NIR file.
        x: .npz of inputs.
        expect: .npz of recorded spikes or counts.
        prefix: of the keys of nodes that are not mapped.
        mapping: `NODE=KEY` texts.
        said: dialect, dt, settings.
        say: called with sentences.

    Raises:
        SpikeportError: see its message; a missing mapped key, or no array at all, among them.
    """
    net = verbs.load(graph, *said)
    for repair in net.repairs:
        say(repair)
    contract.require_said(net.semantics, typed())
    contract.require_dt(net.semantics, typed())
    data = read_data(x, net, "current")  # the reference takes whatever the tool was given
    recorded = read_arrays(expect)
    flat = flatten_graphs(net)
    spiking = [name for name in flat.neurons if type(flat.nodes[name]).spiking]
    keys = _keys(_pairs(mapping, spiking), spiking, prefix, recorded, expect.name)
    traces = verbs.run(net, data)
    nodes = {
        name: _one(traces, name, recorded[key], key, expect.name) for name, key in keys.items()
    }
    return {
        "semantics": net.semantics.to_dict(),
        "assumed": list(net.semantics.assumed),
        "nodes": nodes,
        "not_compared": [name for name in spiking if name not in keys],
    }


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


def _keys(
    mapped: Mapping[str, str],
    spiking: list[str],
    prefix: str,
    recorded: Mapping[str, Array],
    where: str,
) -> dict[str, str]:
    """Return node -> key of the array to compare it with."""
    for node, key in mapped.items():
        if key not in recorded:
            raise DataError(
                f"{where} has no array {key!r} for {node!r}",
                f"it has {', '.join(list(recorded)[:12]) or 'nothing'}",
                "check --map",
            )
    keys = dict(mapped)
    for name in spiking:
        if name not in keys and prefix + name in recorded:
            keys[name] = prefix + name
    if not keys:
        raise DataError(
            f"nothing in {where} belongs to a spiking node",
            f"nodes are {', '.join(spiking[:8])}; arrays are {', '.join(list(recorded)[:12])}",
            "name them with --map NODE=KEY or --prefix PREFIX",
        )
    return keys


def _one(traces: Traces, name: str, array: Array, key: str, where: str) -> dict[str, Any]:
    shape = traces.spikes[name].shape
    ours = traces.window(name)
    theirs = _fitted(array, (ours.shape[0], ours.shape[1], *shape), key, where)
    parity = compare_arrays(name, shape, "spikes", theirs.reshape(ours.shape), ours, 0)
    return {
        "cells": parity.cells,
        "different": parity.different,
        "lag": traces.lags.get(name, 0),
        "spikes_expected": parity.spikes_expected,
        "spikes_reference": parity.spikes_got,
        "first_difference": difference_dict(parity.first_difference, "expected", "reference"),
        "hint": _hint(theirs.reshape(ours.shape), ours) if parity.different else None,
    }


def _fitted(array: Array, shape: tuple[int, ...], key: str, where: str) -> Array:
    """Return recorded counts in the shape of ours; a sample or a trailing 1 may be missing."""
    if array.dtype.kind not in "biuf" or not (array == np.rint(array)).all():
        raise DataError(
            f"{key!r} in {where} does not hold whole numbers ({array.dtype})",
            "spikes are compared: 0 and 1, or counts",
            "name the array of spikes with --map NODE=KEY",
        )
    tries = (array.shape, (1, *array.shape), (*array.shape, 1), (1, *array.shape, 1))
    flat = (shape[0], shape[1], int(np.prod(shape[2:])))
    if not any(each in (shape, flat) for each in tries):
        raise DataError(
            f"{key!r} in {where} has the shape {array.shape}",
            f"the node gives (samples, steps, ...) = {shape}",
            "record the same samples and steps as the input has",
        )
    return array.astype(np.int64)


def _hint(expected: Array, got: Array) -> str | None:
    """Say at which lag the recording would agree better, if at one."""
    steps = expected.shape[1]
    now = int(np.count_nonzero(expected != got))
    for lag in range(1, min(8, steps)):
        later = int(np.count_nonzero(expected[:, lag:] != got[:, :-lag]))
        if later * 2 < now:
            return (
                f"the recording is {counted(lag, 'step')} late: {later} cells differ at that lag "
                f"(--set feedforward_lag=1 for tools in which each layer is a step late)"
            )
    return None
