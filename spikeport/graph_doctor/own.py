"""Whether spikeport's own backends run a graph: tried, not looked up, where it is small enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport import backends, verbs
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import SpikeportError, printable
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import preset

#: Neurons and synapses up to which a graph is compiled to see whether that works.
MOST_NEURONS = 20_000
MOST_SYNAPSES = 5_000_000


def own_platforms(
    net: Network | None, dialect: str = "nir", dt: float | None = None
) -> list[dict[str, Any]]:
    """Return for the float backends and for each chip whether a graph runs, and why not.

    Args:
        net: the mended graph, None where it is no network.
        dialect: preset that is tried where the file carries no semantics.
        dt: seconds per step, where the file carries none.

    Returns:
        Rows of {name, runs_on, runs (bool, or None where it was not tried), because (texts)}.
    """
    chips = [backends.find_chip(name) for name in backends.chip_names()]
    floats = {"name": "spikeport, floats", "runs_on": "reference, brian2"}
    rows = [floats] + [
        {"name": f"spikeport, {chip.name}", "runs_on": "emulator, lava"} for chip in chips
    ]
    if net is None:
        why = ["it is not a network as it is: see the errors"]
        return [row | {"runs": False, "because": why} for row in rows]
    if not _small(net):
        why = [f"more than {MOST_NEURONS} neurons or {MOST_SYNAPSES} synapses: not tried"]
        return [
            row | {"runs": None, "because": why if chip is None else _kinds(net, chip) or why}
            for row, chip in zip(rows, [None, *chips], strict=True)
        ]
    said = _said(net, dialect, dt)
    found = [_on_floats(said), *(_on_chip(said, chip) for chip in chips)]
    return [
        row | {"runs": not because, "because": because}
        for row, because in zip(rows, found, strict=True)
    ]


def _small(net: Network) -> bool:
    neurons = sum(math.prod(net.shapes[name]) for name in net.neurons)
    synapses = 0
    for name, node in net.nodes.items():
        weight = getattr(node, "weight", None)
        if isinstance(weight, np.ndarray):
            outputs = math.prod(net.shapes[name])
            synapses += outputs * math.prod(weight.shape[1:])
    return neurons <= MOST_NEURONS and synapses <= MOST_SYNAPSES


def _kinds(net: Network, chip: Chip) -> list[str]:
    found = {str(type(net.nodes[name]).nir_type) for name in net.neurons}
    return [f"{kind} is no kind of {chip.name}" for kind in sorted(found - set(chip.kinds))]


def _on_floats(net: Network) -> list[str]:
    try:
        to_clocked(net)
    except SpikeportError as error:
        return [_short(error)]
    return []


def _on_chip(net: Network, chip: Chip) -> list[str]:
    try:
        verdict: Mapping[str, Any] = verbs.check(net, chip)
    except SpikeportError as error:
        return [_short(error)]
    return [printable(text.splitlines()[0])[:200] for text in verdict["violations"][:5]]


def _said(net: Network, dialect: str, dt: float | None) -> Network:
    """Return the network with a dialect and a dt, the file's own where it has them."""
    if not net.semantics.dialect:
        net = net.with_semantics(preset(dialect))
        net = net.with_semantics(replace(net.semantics, dt=dt or net.semantics.dt))
    if net.semantics.dt is not None:
        return net
    taus = [
        float(getattr(node, name).min())
        for node in net.nodes.values()
        for name in getattr(node, "positive", ())
    ]
    return net.with_semantics(replace(net.semantics, dt=min(taus, default=1e-3)))


def _short(error: SpikeportError) -> str:
    return f"{error.what}: {error.why}"[:240] if error.why else error.what[:240]
