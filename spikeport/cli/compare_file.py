"""`spikeport compare`: the reference against spikes that another tool recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from spikeport import verbs
from spikeport.cli.recorded import Recording, fitted, keys_of, node_dict
from spikeport.cli.typed import typed
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import counted
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.arrays import read_arrays
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.data import read_data
from spikeport.dialect import compared

__all__ = ["Recording", "compare_file"]

Contract = tuple[str | None, float | None, Iterable[str]]


def compare_file(
    graph: Path, x: Path, recording: Recording, said: Contract, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return what `compare --json` prints.

    Args:
        graph: NIR file.
        x: .npz of inputs.
        recording: where the recorded spikes or counts are.
        said: dialect (a preset, or `auto`), dt, settings.
        say: called with sentences.

    Raises:
        SpikeportError: see its message; a missing mapped key, or no array at all, among them.
    """
    if recording.node is not None or said[0] == "auto":
        from spikeport.cli.compare_auto import compare_auto

        return compare_auto(graph, x, recording, said, say)
    net = verbs.load(graph, *said)
    for repair in net.repairs:
        say(repair)
    contract.require_said(net.semantics, typed())
    contract.require_dt(net.semantics, typed())
    data = read_data(x, net, "current")  # the reference takes whatever the tool was given
    arrays = read_arrays(recording.path)
    flat = flatten_graphs(net)
    spiking = [name for name in flat.neurons if type(flat.nodes[name]).spiking]
    keys = keys_of(recording, spiking, arrays)
    traces = verbs.run(net, data)
    nodes = {}
    for name, key in keys.items():
        ours = traces.window(name)
        shape = traces.spikes[name].shape
        theirs = fitted(arrays[key], (*ours.shape[:2], *shape), key, recording.path.name)
        parity = compared(name, shape, theirs, ours, recording.late)
        hint = _hint(theirs, ours) if parity.different and not recording.late else None
        nodes[name] = node_dict(parity, hint)
    return {
        "semantics": net.semantics.to_dict(),
        "assumed": list(net.semantics.assumed),
        "nodes": nodes,
        "not_compared": [name for name in spiking if name not in keys],
        "agrees": not any(node["different"] for node in nodes.values()),
    }


def _hint(expected: Array, got: Array) -> str | None:
    """Say at which lag the recording would agree better, if at one."""
    steps = expected.shape[1]
    now = int(np.count_nonzero(expected != got))
    for lag in range(1, min(8, steps)):
        later = int(np.count_nonzero(expected[:, lag:] != got[:, :-lag]))
        if later * 2 < now:
            return (
                f"the recording is {counted(lag, 'step')} late: {later} cells differ at that lag "
                f"(--late {lag}, or --set feedforward_lag=1 for tools in which each layer is a "
                f"step late; --dialect auto searches)"
            )
    return None
