"""Fold everything without state into one matrix per path between two populations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import (
    STATELESS,
    Conv2d,
    Convolution,
    Delay,
    Flatten,
    Network,
    Output,
    Scale,
    Shape,
    Weights,
    is_neuron,
)
from spikeport.compiler.passes.convolution import convolution_of
from spikeport.compiler.passes.operators import operator
from spikeport.compiler.passes.terms import Sum, Term, delayed, multiplied, total
from spikeport.compiler.passes.walk import Edges, inside_loops, sources_and_targets


def fold_linear(net: Network) -> Network:
    """Replace chains of stateless nodes by one `Weights` per pair of populations, path and delay.

    A chip has synapses between neurons and nothing else on the way.

        before: input -> conv -> lif -> sum pool -> flatten -> affine -> lif -> output
        after:  input -> weights -> lif -> weights -> lif -> output

    A Delay in a loop without neurons stays, as a population: it is what keeps the loop's value.
    An Output that shows anything but one population of neurons gets Weights of its own.

    Raises:
        GraphError: a loop has neither neurons nor a Delay, or a matrix would be too large.
    """
    kept = delays_in_loops(net.nodes, net.edges)
    sources, _ = sources_and_targets(net.nodes, net.edges)
    sums: dict[str, Sum] = {}
    for name in _in_order(net, kept):
        before = sources[name]
        arriving = total(math.prod(net.shapes[before[0]]), (_sent(net, n, sums) for n in before))
        sums[name] = _fold(net, name, arriving, net.shapes[before[0]])

    nodes = {name: node for name, node in net.nodes.items() if name not in sums}
    edges: list[tuple[str, str]] = []
    for source, target in net.edges:
        if target in sums:
            continue
        arriving = _sent(net, source, sums)
        alone = len(sources[target]) == 1 and isinstance(net.nodes[target], Output)
        shown = _shown(net, arriving) if alone else ""
        if shown:
            edges.append((shown, target))
        else:
            last = source if source in sums else f"{source}->{target}"
            edges += _weights(nodes, last, target, arriving)
    return replace(net, nodes=nodes, edges=tuple(edges))


def delays_in_loops(nodes: Mapping[str, Any], edges: Edges) -> set[str]:
    """Return the Delays on loops without neurons: those that become populations."""
    stateless = {name for name, node in nodes.items() if isinstance(node, STATELESS)}
    around = inside_loops(stateless, edges)
    return {name for name in around if isinstance(nodes[name], Delay)}


def _in_order(net: Network, kept: Set[str]) -> list[str]:
    """Return the stateless nodes so that each stands after those it reads."""
    before: dict[str, list[str]] = {
        name: [] for name in net.of_type(*STATELESS) if name not in kept
    }
    for source, target in net.edges:
        if source in before and target in before:
            before[target].append(source)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise GraphError(
            f"the nodes {', '.join(error.args[1][:-1])} form a loop without state",
            "such a loop has no first value",
            "put a neuron or a Delay into the loop",
        ) from None


def _sent(net: Network, name: str, sums: Mapping[str, Sum]) -> Sum:
    """Return what a node or a population sends; a Delay that is a population sends it later."""
    if name in sums:
        return sums[name]
    size = math.prod(net.shapes[name])
    now = Sum(size, {(name, 0.0): Term()})
    node = net.nodes[name]
    if not isinstance(node, Delay):
        return now
    later = delayed(now, _seconds(node, net.shapes[name], name), name)
    return replace(later, terms={key: replace(t, made_of=()) for key, t in later.terms.items()})


def _seconds(node: Delay, shape: Shape, name: str) -> Any:
    """Return the delay of each element."""
    if not (np.isfinite(node.delay) & (node.delay >= 0)).all():
        raise GraphError(
            f"node '{name}' (Delay): delay is {node.delay.min():g} to {node.delay.max():g} seconds",
            "nothing can act before it was sent, and everything must act some time",
            "give finite delays of at least 0",
        )
    return np.broadcast_to(node.delay, shape).ravel()


def _fold(net: Network, name: str, before: Sum, shape: Shape) -> Sum:
    """Return what one stateless node computes of what it gets, which has `shape`."""
    node = net.nodes[name]
    if isinstance(node, Delay):
        return delayed(before, _seconds(node, shape, name), name)
    if isinstance(node, Weights):
        after = multiplied(before, node.matrix, None, name, lambda term: None)
        late = {(pre, seconds + node.delay): term for (pre, seconds), term in after.terms.items()}
        biases = {seconds + node.delay: bias for seconds, bias in after.biases.items()}
        own = Sum(after.size, {}, dict(node.biases))
        return total(after.size, [Sum(after.size, late, biases), own])
    try:
        matrix, bias = operator(node, shape)
    except GraphError as error:
        kind = type(node).__name__
        raise GraphError(f"node '{name}' ({kind}): {error.what}", error.why, error.fix) from None
    return multiplied(before, matrix, bias, name, lambda term: _conv(node, term, shape))


def _conv(node: Any, term: Term, shape: Shape) -> Convolution | None:
    """Return the convolution that a term still is after `node`, if chips can do it as one."""
    if isinstance(node, Conv2d):
        alike = not any(node.more_behind)
        return convolution_of(node, shape) if term.matrix is None and alike else None
    if term.conv is None:
        return None
    if isinstance(node, Flatten):
        return term.conv
    if isinstance(node, Scale) and node.scale.size == 1:
        return replace(term.conv, kernel=term.conv.kernel * float(node.scale.ravel()[0]))
    return None


def _shown(net: Network, arriving: Sum) -> str:
    """Return the population that an Output shows as it is, "" where there is more to it."""
    (population, seconds), term = next(iter(arriving.terms.items()))
    plain = term.matrix is None and seconds == 0 and not arriving.biases
    alone = len(arriving.terms) == 1 and is_neuron(net.nodes[population])
    return population if plain and alone else ""


def _weights(nodes: dict[str, Any], last: str, target: str, arriving: Sum) -> list[tuple[str, str]]:
    """Add one Weights per origin; the biases go with the first that is not the target itself."""
    edges = []
    terms = arriving.terms
    populations = [population for population, _ in terms]
    biases = tuple((seconds, bias.copy()) for seconds, bias in arriving.biases.items())
    for (source, seconds), term in sorted(terms.items(), key=lambda item: item[0][0] == target):
        name = last if len(terms) == 1 else f"{last}:{source}"
        late = f"+{seconds:g}s" if populations.count(source) > 1 else ""
        name = _free(name + late, nodes)
        matrix = sp.identity(arriving.size, format="csr") if term.matrix is None else term.matrix
        nodes[name] = Weights(matrix, biases, term.made_of or (last,), term.conv, seconds)
        edges += [(source, name), (name, target)]
        biases = ()
    return edges


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "'"
    return name
