"""Advice for graphs whose shapes do not fit, from mistakes that exporters are known to make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spikeport.compiler.errors import GraphError
from spikeport.compiler.load.repair import repair_shapes
from spikeport.compiler.network import AvgPool2d, Network, Shape, SumPool2d


def with_advice(error: GraphError, net: Network, stated: Mapping[str, Shape]) -> GraphError:
    """Return `error`, with the pools to correct as its fix if that makes the shapes fit.

    An early sinabs exporter wrote stride 1 for pools whose stride is their kernel's size. The
    values would still be a guess, so the file is refused, with the guess said aloud.
    """
    pools = {
        name: replace(node, stride=node.kernel_size)
        for name, node in net.nodes.items()
        if isinstance(node, (SumPool2d, AvgPool2d)) and node.stride != node.kernel_size
    }
    if not pools or not _fits(replace(net, nodes={**net.nodes, **pools}), stated):
        return error
    steps = [f"stride {p.stride} in {type(p).__name__} '{name}'" for name, p in pools.items()]
    return GraphError(
        error.what,
        error.why,
        f"everything fits with {' and '.join(steps[:6])}: if that is meant, write it to the file",
    )


def _fits(net: Network, stated: Mapping[str, Shape]) -> bool:
    try:
        repair_shapes(net, stated)
    except GraphError:
        return False
    return True
