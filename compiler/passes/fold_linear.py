"""Fold everything without state into one matrix per path between two populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import (
    STATELESS,
    Affine,
    Conv2d,
    Convolution,
    Flatten,
    Linear,
    Network,
    Output,
    Scale,
    Shape,
    SumPool2d,
    Weights,
    is_neuron,
)
from spikeport.compiler.passes.convolution import conv_matrix, pool_matrix
from spikeport.compiler.passes.geometry import output_shape

DENSE_ABOVE = 0.25  # share of non-zeros from which a product is kept as a dense array


@dataclass(frozen=True, eq=False)
class Term:
    """What a stateless node computes from one population: matrix @ source (None is identity)."""

    matrix: Any
    made_of: tuple[str, ...]
    conv: Convolution | None = None


def fold_linear(net: Network) -> Network:
    """Replace chains of stateless nodes by one `Weights` per pair of populations and path.

    A chip has synapses between neurons and nothing else on the way.

        before: input -> conv -> lif -> sum pool -> flatten -> affine -> lif -> output
        after:  input -> weights -> lif -> weights -> lif -> output

    Raises:
        GraphError: an Output is fed by something that is not one population of neurons.
    """
    terms: dict[str, dict[str, Term]] = {}
    biases: dict[str, Array] = {}
    for name in _stateless_in_order(net):
        terms[name], biases[name] = _fold(net, name, terms, biases)

    kept = {name: node for name, node in net.nodes.items() if not isinstance(node, STATELESS)}
    nodes = dict(kept)
    edges: list[tuple[str, str]] = []
    for source, target in net.edges:
        if target not in kept:
            continue
        if isinstance(kept[target], Output):
            _check_alone(net, target)
            edges.append((_population_behind(net, source, terms, target), target))
        elif source in kept:
            size = int(np.prod(net.shapes[source], dtype=np.int64))
            name = _free(f"{source}->{target}", nodes)
            nodes[name] = Weights(sp.identity(size, format="csr"), np.zeros(size), (name,))
            edges += [(source, name), (name, target)]
        else:
            edges += _weights(nodes, source, target, terms[source], biases[source])
    return replace(net, nodes=nodes, edges=tuple(edges))


def _weights(
    nodes: dict[str, Any], last: str, target: str, terms: Mapping[str, Term], bias: Array
) -> list[tuple[str, str]]:
    """Add one Weights per source; the bias goes with the first that is not the target itself."""
    edges = []
    for source, term in sorted(terms.items(), key=lambda item: item[0] == target):
        name = _free(last if len(terms) == 1 else f"{last}:{source}", nodes)
        matrix = sp.identity(bias.size, format="csr") if term.matrix is None else term.matrix
        nodes[name] = Weights(matrix, bias.copy(), term.made_of or (last,), term.conv)
        edges += [(source, name), (name, target)]
        bias = np.zeros_like(bias)
    return edges


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "'"
    return name


def _stateless_in_order(net: Network) -> list[str]:
    """Return the stateless nodes so that each stands after those it reads."""
    before: dict[str, list[str]] = {name: [] for name in net.of_type(*STATELESS)}
    for source, target in net.edges:
        if source in before and target in before:
            before[target].append(source)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise GraphError(
            f"the nodes {', '.join(error.args[1][:-1])} form a loop without state",
            "such a loop has no first value",
            "put a neuron into the loop",
        ) from None


def _fold(
    net: Network, name: str, terms: Mapping[str, Mapping[str, Term]], biases: Mapping[str, Array]
) -> tuple[dict[str, Term], Array]:
    """Return the terms and the bias of one stateless node."""
    sources = net.into(name)
    shape = net.shapes[sources[0]]
    joined: dict[str, Term] = {}
    bias = np.zeros(int(np.prod(shape, dtype=np.int64)))
    for source in sources:
        bias = bias + biases.get(source, 0.0)
        for population, term in terms.get(source, {source: Term(None, ())}).items():
            joined[population] = _add(joined.get(population), term, bias.size)
    node = net.nodes[name]
    matrix, offset = _operator(node, shape)
    bias = bias if matrix is None else np.asarray(matrix @ bias).ravel()
    folded = {
        population: Term(
            _product(matrix, term.matrix),
            (*term.made_of, name),
            _conv(node, term, shape, net, name),
        )
        for population, term in joined.items()
    }
    return folded, bias + offset


def _operator(node: Any, shape: Shape) -> tuple[Any, Array | float]:
    """Return (matrix or None for identity, bias) of a stateless node on inputs of `shape`."""
    if isinstance(node, Affine):
        return node.weight, node.bias
    if isinstance(node, Linear):
        return node.weight, 0.0
    if isinstance(node, Weights):
        return node.matrix, node.bias
    if isinstance(node, Scale):
        scale = np.broadcast_to(node.scale, shape).ravel()
        return sp.diags(scale, format="csr"), 0.0
    if isinstance(node, SumPool2d):
        return pool_matrix(node, shape), 0.0
    if isinstance(node, Conv2d):
        geometry = convolution_of(node, shape)
        places = geometry.output_shape[1] * geometry.output_shape[2]
        return conv_matrix(geometry), np.repeat(node.bias, places)
    if isinstance(node, Flatten):
        return None, 0.0
    raise GraphError(f"no rule folds a {type(node).__name__}")


def convolution_of(node: Conv2d, shape: Shape) -> Convolution:
    """Return the geometry of a Conv2d on inputs of shape (channels, height, width)."""
    channels, height, width = shape
    outputs, rows, columns = output_shape(node, shape)
    return Convolution(
        np.array(node.weight),
        node.stride,
        node.padding,
        node.dilation,
        node.groups,
        (channels, height, width),
        (outputs, rows, columns),
    )


def _conv(node: Any, term: Term, shape: Shape, net: Network, name: str) -> Convolution | None:
    """Return the convolution that a term still is after `node`, if it is one."""
    if isinstance(node, Conv2d):
        return convolution_of(node, shape) if term.matrix is None else None
    if term.conv is None:
        return None
    if isinstance(node, Flatten):
        return term.conv
    if isinstance(node, Scale) and node.scale.size == 1:
        return replace(term.conv, kernel=term.conv.kernel * float(node.scale.ravel()[0]))
    return None


def _product(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    product = left @ right
    if sp.issparse(product) and product.nnz > DENSE_ABOVE * np.prod(product.shape):
        return product.toarray()
    return product


def _add(first: Term | None, second: Term, size: int) -> Term:
    if first is None:
        return second
    one, two = (
        sp.identity(size, format="csr") if t.matrix is None else t.matrix for t in (first, second)
    )
    total = one + two
    return Term(
        np.asarray(total) if not sp.issparse(total) else total, first.made_of + second.made_of
    )


def _check_alone(net: Network, output: str) -> None:
    sources = net.into(output)
    if len(sources) > 1:
        raise GraphError(
            f"the output {output!r} is fed by {', '.join(map(repr, sources[:6]))}",
            "an output shows one population",
            "give each of them an Output of its own",
        )


def _population_behind(
    net: Network, source: str, terms: Mapping[str, Mapping[str, Term]], output: str
) -> str:
    """Return the population that an Output shows; only a Flatten may stand between them."""
    behind = terms.get(source, {source: Term(None, ())})
    population, term = next(iter(behind.items()))
    if len(behind) > 1 or term.matrix is not None or not is_neuron(net.nodes[population]):
        raise GraphError(
            f"the output {output!r} is fed by {source!r}, which is not a neuron",
            "a chip can only report what neurons do",
            f"put a neuron (LIF, or LI for an analog readout) between {source!r} and {output!r}",
        )
    return population
