"""Put a network under a clock: the only place where dt and dialect are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from spikeport.compiler.clocked import CONSTANT, Clocked, Population, Projection
from spikeport.compiler.errors import GraphError, SemanticsError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Input, Network, Output, Weights
from spikeport.compiler.semantics import Semantics, require_dt

Path = tuple[str, str, str]  # weights node, source population, target population


def clock(net: Network) -> Clocked:
    """Return the network per time step, under its own semantics.

    Biases become projections from a population that is one in every step.

    Args:
        net: folded (`fold_linear`), with shapes and semantics.

    Raises:
        SemanticsError: dt is missing, or an override names a node that is not a neuron.
        GraphError: a loop has no delay.
    """
    semantics = net.semantics
    dt = require_dt(semantics)
    _check_overrides(net, semantics)
    populations: dict[str, Population] = {}
    for name, node in net.nodes.items():
        if isinstance(node, Input):
            populations[name] = Population("input", net.shapes[name])
        elif not isinstance(node, (Weights, Output)):
            populations[name] = _population(node, net.shapes[name], semantics.at(name), dt)

    paths = _paths(net)
    loops = _recurrent(populations, paths)
    constant = constant_name(populations)
    projections: list[Projection] = []
    biases: list[Projection] = []
    for name, pre, post in paths:
        weights = net.nodes[name]
        recurrent = (name, pre, post) in loops
        delay = semantics.recurrent_lag if recurrent else semantics.feedforward_lag
        label = _label("+".join(weights.made_of), pre, post, projections)
        projections.append(
            Projection(label, pre, post, weights.matrix, delay, recurrent, weights.conv)
        )
        if weights.bias.any():
            late = recurrent and not semantics.at(post).recurrent_bias_at_start
            column = weights.bias[:, None].copy()
            biases.append(Projection(f"{label}.bias", constant, post, column, int(late)))
    if biases:
        populations = {constant: Population("constant", (1,)), **populations}
    outputs = {name: net.into(name)[0] for name in net.of_type(Output)}
    clocked = Clocked(
        dt=dt,
        populations=populations,
        projections=(*projections, *biases),
        outputs=outputs,
        lags=dict.fromkeys(populations, 0),
        repairs=net.repairs,
        name=net.name,
    )
    return in_order(clocked)


def constant_name(populations: Mapping[str, Population]) -> str:
    """Return the name of the constant population, or one for it that is not taken."""
    name = CONSTANT
    while name in populations and populations[name].kind != "constant":
        name += "_"
    return name


def in_order(clocked: Clocked) -> Clocked:
    """Return the same with populations sorted so that what acts in the same step comes first.

    Raises:
        GraphError: a loop of projections without delay.
    """
    before: dict[str, list[str]] = {name: [] for name in clocked.populations}
    for projection in clocked.projections:
        if projection.delay == 0:
            before[projection.post].append(projection.pre)
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise GraphError(
            f"{', '.join(error.args[1][:-1])} act on each other within one step",
            "every loop needs a delay somewhere",
            "use --set recurrent_lag=1, or say which layer is late with feedforward_lag",
        ) from None
    return replace(clocked, populations={name: clocked.populations[name] for name in order})


def _label(label: str, pre: str, post: str, taken: list[Projection]) -> str:
    """Return a name that no other projection has."""
    return f"{label} ({pre} -> {post})" if any(p.name == label for p in taken) else label


def _check_overrides(net: Network, semantics: Semantics) -> None:
    for name in semantics.nodes:
        if name not in net.neurons:
            raise SemanticsError(
                f"the semantics of {name!r} are set, but there is no such neuron",
                f"neurons here are {', '.join(net.neurons[:8])}",
                "check the name in --set NODE.FIELD=VALUE",
            )


def _population(node: Any, shape: tuple[int, ...], semantics: Semantics, dt: float) -> Population:
    cell = node.clock(semantics, dt)
    signal = semantics.spike if node.spiking else "analog"
    return Population(node.nir_type, shape, cell, signal)


def _paths(net: Network) -> list[Path]:
    source = {target: name for name, target in net.edges if isinstance(net.nodes[target], Weights)}
    return [
        (name, source[name], target)
        for name, target in net.edges
        if isinstance(net.nodes[name], Weights)
    ]


def _recurrent(populations: Mapping[str, Population], paths: list[Path]) -> set[Path]:
    """Return the paths that close a loop.

    A path back to a population through which every way from the inputs to its source runs
    closes a loop for certain. Where loops remain (two populations that both have inputs and
    act on each other), every path that does not lead away from the inputs does.
    """
    inside = _inside_loops(populations, paths)
    back = {path for path in inside if path[1] not in _depths(populations, paths, path[2])}
    depth = _depths(populations, paths)
    rest = _inside_loops(populations, [path for path in paths if path not in back])
    return back | {path for path in rest if depth[path[2]] <= depth[path[1]]}


def _depths(
    populations: Mapping[str, Population], paths: list[Path], without: str = ""
) -> dict[str, int]:
    """Return the number of hops from the nearest input, for what inputs reach around `without`."""
    followers: dict[str, list[str]] = {name: [] for name in populations}
    for _, pre, post in paths:
        followers[pre].append(post)
    depth = {name: 0 for name, pop in populations.items() if pop.kind == "input"}
    front = list(depth)
    for name in front:  # grows while it is walked
        for follower in followers[name]:
            if follower not in depth and follower != without:
                depth[follower] = depth[name] + 1
                front.append(follower)
    return depth


def _inside_loops(populations: Mapping[str, Population], paths: list[Path]) -> list[Path]:
    """Return the paths that lie on a loop: both ends in one strongly connected component."""
    number = {name: index for index, name in enumerate(populations)}
    pre: Array = np.array([number[p] for _, p, _ in paths], int)
    post: Array = np.array([number[q] for _, _, q in paths], int)
    graph = sp.coo_matrix((np.ones(pre.size), (pre, post)), shape=(len(number),) * 2)
    _, labels = connected_components(graph, connection="strong")
    return [path for path, i, j in zip(paths, pre, post, strict=True) if labels[i] == labels[j]]
