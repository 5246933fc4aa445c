"""Neuron parameters supplied by hand: `--set w_in=10`, `--set lif1.r=25`.

Exporters lose parameters (norse and rockpool write no w_in, sinabs always writes r = 1). A number
given here is put into all neurons of the network that have the parameter, or into one node's,
and is listed in `Semantics.parameters`, so that every report shows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from spikeport.compiler.errors import SemanticsError
from spikeport.compiler.network import Graph, Network, is_neuron
from spikeport.compiler.semantics import FIELD_NAMES, apply_settings, split_setting


def say(net: Network, settings: Iterable[str]) -> Network:
    """Return the network under settings of semantics and of neuron parameters, in order.

    Args:
        net: as loaded; nested graphs are searched as well.
        settings: `FIELD=VALUE`, `NODE.FIELD=VALUE`, `PARAMETER=VALUE`, `NODE.PARAMETER=VALUE`.

    Raises:
        SemanticsError: malformed text, a name that is neither, a value that cannot be.
    """
    neurons = dict(_neurons(net.nodes))
    known = sorted({name for node in neurons.values() for name in parameter_names(node)})
    semantics = net.semantics
    given: dict[str, float] = {}
    for text in settings:
        node, name, value = split_setting(text)
        if name in FIELD_NAMES:
            semantics = apply_settings(semantics, [text])
            continue
        target = f"{node}.{name}" if node else name
        given[target] = _parameter(neurons, known, node, name, value)
    if not given:
        return net.with_semantics(semantics)
    listed = replace(semantics, parameters={**semantics.parameters, **given})
    return replace(net, nodes=_applied(net.nodes, given), semantics=listed)


def parameter_names(node: Any) -> list[str]:
    """Return the parameters of a neuron that are arrays of numbers."""
    return [f.name for f in fields(node) if isinstance(getattr(node, f.name), np.ndarray)]


def with_parameters(node: Any, values: Mapping[str, float]) -> Any:
    """Return a neuron in which these parameters, where it has them, have these values."""
    arrays = {
        name: np.full_like(getattr(node, name), value, dtype=float)
        for name, value in values.items()
        if isinstance(getattr(node, name, None), np.ndarray)
    }
    return replace(node, **arrays) if arrays else node


def _parameter(
    neurons: Mapping[str, Any], known: list[str], node: str, name: str, value: str
) -> float:
    """Return the number that a parameter is set to."""
    if node and node not in neurons and any(name in parameter_names(n) for n in neurons.values()):
        raise SemanticsError(
            f"{name} is set for {node!r}, but there is no such neuron",
            f"neurons here are {', '.join(list(neurons)[:8])}",
            f"--set {next(iter(neurons), 'NODE')}.{name}={value}",
        )
    having = [neurons[node]] if node in neurons else list(neurons.values())
    if not any(name in parameter_names(each) for each in having):
        where = f" of {node!r}" if node else ""
        raise SemanticsError(
            f"unknown semantics field {name!r}, and no neuron parameter{where}",
            f"known are {', '.join(FIELD_NAMES)}; the neurons here have "
            f"{', '.join(sorted(parameter_names(having[0])) if node else known) or 'none'}",
            "check the spelling",
        )
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    positive = any(name in type(each).positive for each in having)
    if not math.isfinite(number) or (positive and number <= 0):
        raise SemanticsError(
            f"{name}={value} is not a usable number",
            f"{name} is a finite number{' above 0' if positive else ''}",
            f"--set {name}=0.01",
        )
    return number


def _neurons(nodes: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield every neuron under the name that it has once nested graphs are opened."""
    for name, node in nodes.items():
        if isinstance(node, Graph):
            yield from _neurons(node.nodes, f"{prefix}{name}.")
        elif is_neuron(node):
            yield prefix + name, node


def _applied(
    nodes: Mapping[str, Any], given: Mapping[str, float], prefix: str = ""
) -> dict[str, Any]:
    applied: dict[str, Any] = {}
    for name, node in nodes.items():
        if isinstance(node, Graph):
            inner = _applied(node.nodes, given, f"{prefix}{name}.")
            applied[name] = replace(node, nodes=inner)
        else:
            own = of_node(given, prefix + name)
            applied[name] = with_parameters(node, own) if is_neuron(node) else node
    return applied


def of_node(given: Mapping[str, float], name: str) -> dict[str, float]:
    """Return what is given for one node: its own values, then those for all neurons.

    >>> of_node({"lif.r": 2.0, "r": 1.0, "w_in": 3.0}, "lif")
    {'r': 2.0, 'w_in': 3.0}
    """
    own: dict[str, float] = {}
    for target, value in sorted(given.items(), key=lambda item: "." in item[0]):
        node, _, parameter = target.rpartition(".")
        if node in ("", name):
            own[parameter] = value
    return own
