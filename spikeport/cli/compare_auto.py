"""`spikeport compare --dialect auto`: find the setting that a recording was made under."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikeport import verbs
from spikeport.cli.recorded import (
    Recording,
    are_spikes,
    fitted,
    input_origin,
    keys_of,
    node_dict,
    spiking_shapes,
    transposed,
)
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.arrays import read_arrays
from spikeport.compiler.network import Network
from spikeport.data import Data, read_data
from spikeport.dialect import Answer, find_dialect

Said = tuple[str | None, float | None, Iterable[str]]


def compare_auto(
    graph: Path, x: Path, recording: Recording, said: Said, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return what `compare --dialect auto --json` prints; see `compare_file`.

    With `recording.node` each array of the file is searched for itself, as that node's spikes
    recorded by another tool.
    """
    dialect, dt, settings = said
    texts = tuple(settings)
    if dialect not in (None, "auto"):
        raise DataError(
            f"--recordings does not go with --dialect {dialect}",
            "every recording has a setting of its own, which is searched",
            "--dialect auto, and --dt or --set for what is known",
        )
    if recording.late:
        raise DataError("--late does not go with --dialect auto", "it is searched", "leave it out")
    net = verbs.load(graph, None, dt, texts)
    for repair in net.repairs:
        say(repair)
    names = [contract.split_setting(text)[:2] for text in texts]
    fixed = tuple(name for node, name in names if not node and name in contract.FIELD_NAMES)
    data = read_data(x, net, "current")
    arrays = read_arrays(recording.path)
    shapes = {name: (data.samples, data.steps, *s) for name, s in spiking_shapes(net).items()}
    if recording.node is not None:
        return _each_tool(graph, x, recording, (net, data, fixed), arrays, shapes)
    keys = keys_of(recording, list(shapes), arrays)
    recorded = {
        name: fitted(arrays[key], shapes[name], key, recording.path.name)
        for name, key in keys.items()
    }
    began = time.perf_counter()
    answer = find_dialect(net, data, recorded, fixed)
    options = ["--prefix", recording.prefix] if recording.prefix else []
    for text in recording.mapping:
        options += ["--map", text]
    return {
        "semantics": answer.network.semantics.to_dict(),
        "assumed": list(answer.network.semantics.assumed),
        "nodes": {name: node_dict(each) for name, each in answer.parity.items()},
        "not_compared": [name for name in shapes if name not in keys],
        "agrees": answer.exact,
        "auto": found_dict(answer, _command(graph, x, recording.path, options, answer))
        | {"seconds": round(time.perf_counter() - began, 2)},
    }


def _upright(array: Array, shape: tuple[int, ...]) -> Array:
    return np.swapaxes(array, -1, -2) if transposed(array, shape) else array


def _command(graph: Path, x: Path, expect: Path, options: list[str], answer: Answer) -> str:
    files = [str(graph), "--input", str(x), "--expect", str(expect)]
    return shlex.join(["spikeport", "compare", *files, *options, *answer.flags])


def found_dict(answer: Answer, command: str | None) -> dict[str, Any]:
    """Return what the finder found as plain values, with the command that does it again."""
    found = answer.found
    return {
        "exact": answer.exact,
        "cells": answer.cells,
        "different": answer.different,
        "flags": list(answer.flags),
        "command": command,
        "late": found.saying.late,
        "supplied": answer.lost,
        "silent": answer.silent,
        "ties": {name: list(values) for name, values in found.ties.items()},
        "other_tools": [" ".join(other.flags) for other in found.others],
        "tried": found.tried,
    }


def _each_tool(
    graph: Path,
    x: Path,
    recording: Recording,
    known: tuple[Network, Data, tuple[str, ...]],
    arrays: Mapping[str, Array],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, Any]:
    """Search every array of a file as a recording of one node."""
    net, data, fixed = known
    node = str(recording.node)
    if node not in shapes:
        raise DataError(
            f"{node!r} is no spiking node", f"those are {', '.join(list(shapes)[:8])}",
            f"--recordings {next(iter(shapes))}",
        )  # fmt: skip
    shape = shapes[node]
    origin = input_origin(recording, arrays, read_arrays(x))
    skipped = {key: "no whole numbers" for key, each in arrays.items() if not are_spikes(each)}
    rows: dict[str, Any] = {}
    for key, array in arrays.items():
        if key in skipped:
            continue
        turned = transposed(array, shape)
        raster = fitted(_upright(array, shape), shape, key, recording.path.name)
        answer = find_dialect(net, data, {node: raster}, fixed)
        turn = ["--map", f"{node}={key}"]
        command = _command(graph, x, recording.path, turn, answer)  # which turns nothing
        row = node_dict(answer.parity[node])
        rows[key] = row | {
            "transposed": turned,
            "auto": found_dict(answer, None if turned else command),
        }
    judged = [origin] if origin is not None else list(rows)
    return {
        "node": node,
        "recordings": rows,
        "skipped": skipped,
        "input_from": origin,
        "note": None if origin is None else _note(x, origin),
        "agrees": all(rows[key]["different"] == 0 for key in judged if key in rows),
    }


def _note(x: Path, origin: str) -> str:
    return (
        f"{x.name} was inferred from the recording of {origin}, not recorded itself: it makes the "
        f"network answer as {origin} did, so that only {origin}'s 0 is expected. Where another "
        f"tool differs, its own input may have differed."
    )
