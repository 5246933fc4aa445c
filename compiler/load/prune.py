"""Nodes that cannot matter are left out, and said to be; ports inside the graph are joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from spikeport.compiler.errors import LoadError
from spikeport.compiler.network import Input, Network, Output, is_neuron
from spikeport.compiler.passes.flatten_graphs import splice
from spikeport.compiler.passes.walk import first_arrivals, sources_and_targets


def join_ports(net: Network) -> Network:
    """Take out Inputs that something feeds and Outputs that feed something.

    Flattening by other tools leaves the Input and Output of a nested graph in the middle.
    """
    sources, targets = sources_and_targets(net.nodes, net.edges)
    inside = [name for name in net.of_type(Input) if sources[name]]
    inside += [name for name in net.of_type(Output) if targets[name]]
    if not inside:
        return net
    nodes, edges = splice(net.name, net.nodes, net.edges, set(inside))
    notes = tuple(
        f"'{name}' lies between other nodes, so it was joined through: what enters it goes to "
        "where it leads"
        for name in inside
    )
    return replace(net, nodes=nodes, edges=edges, repairs=net.repairs + notes)


def prune(net: Network) -> Network:
    """Leave out what no Input reaches and leads nowhere, and stateless nodes that lead nowhere.

    Raises:
        LoadError: an Output, or a node that leads to something, gets nothing.
    """
    sources, targets = sources_and_targets(net.nodes, net.edges)
    reached = _all(net.of_type(Input), targets)
    mattering = _all([*reached, *net.of_type(Output)], sources)
    listened = _all([*net.of_type(Output), *net.neurons], sources)
    kept = {
        name: node
        for name, node in net.nodes.items()
        if isinstance(node, (Input, Output))
        or (name in mattering and (is_neuron(node) or name in listened))
    }
    dropped = [name for name in net.nodes if name not in kept]
    _check_fed(kept, _all([*net.of_type(Input), *(set(kept) & set(net.neurons))], targets))
    notes = [f"ignored '{name}': it is not between an Input and an Output" for name in dropped]
    notes += [
        f"warning: nothing feeds the neurons '{name}'"
        for name, node in kept.items()
        if is_neuron(node) and name not in reached
    ]
    edges = tuple((a, b) for a, b in net.edges if a in kept and b in kept)
    return replace(net, nodes=kept, edges=edges, repairs=(*net.repairs, *notes))


def _all(starts: Iterable[str], targets: Mapping[str, list[str]]) -> set[str]:
    return {name for name, _ in first_arrivals(starts, targets)}


def _check_fed(kept: Mapping[str, object], fed: set[str]) -> None:
    starved = [name for name in kept if name not in fed]
    if starved:
        raise LoadError(
            f"nothing leads to node '{starved[0]}'",
            "no path from an Input or a neuron ends there",
            f"connect '{starved[0]}', or remove it",
        )
