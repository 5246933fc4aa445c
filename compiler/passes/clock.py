"""Put a network under a clock: the only place where dt and dialect are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import CONSTANT, Clocked, Population, Projection
from spikeport.compiler.errors import GraphError, SemanticsError
from spikeport.compiler.network import Delay, Input, Network, Output, Weights
from spikeport.compiler.passes.delays import Wait, delay_steps, rounding_note
from spikeport.compiler.passes.walk import loop_numbers
from spikeport.compiler.passes.wires import WIRES, is_identity, readout, relay
from spikeport.compiler.semantics import Semantics, require_dt

Pair = tuple[str, str]  # source and target population


@dataclass(frozen=True, eq=False)
class _Path:
    """One Weights node with the populations at its ends."""

    weights: Weights
    pre: str
    post: str

    @property
    def pair(self) -> Pair:
        return self.pre, self.post


def clock(net: Network) -> Clocked:
    """Return the network per time step, under its own semantics.

    Biases become projections from a population that is one in every step. A delay in seconds
    becomes one in steps, on top of the lag between populations. An Output that does not show one
    population of neurons becomes a population of its own, and so does a Delay that closes a loop:
    both are wires, no lag leads into them.

    Args:
        net: folded (`fold_linear`), with shapes and semantics.

    Raises:
        SemanticsError: dt is missing, or an override names a node that is not a neuron.
        GraphError: a loop has no delay, or a delay is impossible.
    """
    dt = require_dt(net.semantics)
    _check_overrides(net, net.semantics)
    paths = _paths(net)
    populations = _populations(net, paths, dt)
    projections = _projections(net.semantics, populations, paths, dt)
    if any(each.pre not in populations for each in projections):
        constant = constant_name(populations)
        populations = {constant: Population("constant", (1,)), **populations}
    outputs = {
        name: name if name in populations else net.into(name)[0] for name in net.of_type(Output)
    }
    clocked = Clocked(
        dt=dt,
        populations=populations,
        projections=projections,
        outputs=outputs,
        lags=dict.fromkeys(populations, 0),
        repairs=net.repairs,
        notes=rounding_note(_waits(paths), dt),
        name=net.name,
        trained=net.trained,
    )
    return in_order(clocked)


def _paths(net: Network) -> list[_Path]:
    source = {target: name for name, target in net.edges if isinstance(net.nodes[target], Weights)}
    return [
        _Path(net.nodes[name], source[name], target)
        for name, target in net.edges
        if isinstance(net.nodes[name], Weights)
    ]


def _populations(net: Network, paths: list[_Path], dt: float) -> dict[str, Population]:
    populations: dict[str, Population] = {}
    for name, node in net.nodes.items():
        if isinstance(node, Input):
            populations[name] = Population("input", net.shapes[name])
        elif isinstance(node, Delay):
            populations[name] = readout(net.shapes[name], "Delay")
        elif not isinstance(node, (Weights, Output)):
            populations[name] = _population(node, net.shapes[name], net.semantics.at(name), dt)
    for name in net.of_type(Output):
        arriving = [path for path in paths if path.post == name]
        if arriving:
            relays = _relays(arriving, populations)
            populations[name] = (relay if relays else readout)(net.shapes[name])
    return populations


def _relays(arriving: list[_Path], populations: Mapping[str, Population]) -> bool:
    """Does an Output get the spikes of one population of neurons and nothing else."""
    pre = populations[arriving[0].pre]
    spikes = pre.membrane is not None and pre.signal == "binary"
    alone = len({path.pre for path in arriving}) == 1
    biased = any(path.weights.biases for path in arriving)
    return spikes and alone and not biased and is_identity([p.weights.matrix for p in arriving])


def _projections(
    semantics: Semantics, populations: Mapping[str, Population], paths: list[_Path], dt: float
) -> tuple[Projection, ...]:
    """Return a projection for every path, then one from the constant for every bias."""
    loops = _recurrent(populations, list(dict.fromkeys(path.pair for path in paths)))
    constant = constant_name(populations)
    taken: set[str] = set()
    projections: list[Projection] = []
    biases: list[Projection] = []
    for path, delay in _in_steps(paths, dt):
        recurrent = path.pair in loops
        wire = populations[path.post].kind in WIRES
        lag = semantics.recurrent_lag if recurrent else semantics.feedforward_lag
        delay += 0 if wire else lag
        weights = path.weights
        label = _label("+".join(weights.made_of), path, delay, taken)
        projections.append(
            Projection(label, *path.pair, weights.matrix, delay, recurrent, weights.conv)
        )
        said = semantics.at(path.post)
        prompt = said.bias_at_start and (said.recurrent_bias_at_start or not recurrent)
        late = not wire and not prompt
        for steps, bias in _biases_in_steps(weights, dt):
            name = _label(f"{label}.bias", path, steps, taken)
            biases.append(Projection(name, constant, path.post, bias[:, None], int(late) + steps))
    return (*projections, *biases)


def _in_steps(paths: list[_Path], dt: float) -> Iterator[tuple[_Path, int]]:
    """Yield every path with its delay; what differs only in seconds becomes one."""
    alike: dict[tuple[Any, ...], list[_Path]] = {}
    for path in paths:
        steps = delay_steps(_wait(path, path.weights.delay), dt)
        alike.setdefault((*path.pair, path.weights.made_of, steps), []).append(path)
    for (*_, steps), group in alike.items():
        yield _joined(group), steps


def _joined(group: list[_Path]) -> _Path:
    if len(group) == 1:
        return group[0]
    matrix = sum((path.weights.matrix for path in group[1:]), group[0].weights.matrix)
    matrix = matrix if sp.issparse(matrix) else np.asarray(matrix)
    biases = tuple(bias for path in group for bias in path.weights.biases)
    return replace(group[0], weights=Weights(matrix, biases, group[0].weights.made_of))


def _biases_in_steps(weights: Weights, dt: float) -> list[tuple[int, Any]]:
    found: dict[int, Any] = {}
    for seconds, bias in weights.biases:
        steps = delay_steps(Wait(seconds, 0, "+".join(weights.made_of)), dt)
        found[steps] = found[steps] + bias if steps in found else bias
    return [(steps, bias) for steps, bias in found.items() if bias.any()]


def _wait(path: _Path, seconds: float) -> Wait:
    matrix = path.weights.matrix
    synapses = matrix.nnz if sp.issparse(matrix) else np.count_nonzero(matrix)
    return Wait(seconds, int(synapses), f"{path.pre} -> {'+'.join(path.weights.made_of)}")


def _waits(paths: list[_Path]) -> Iterator[Wait]:
    for path in paths:
        yield _wait(path, path.weights.delay)
        for seconds, bias in path.weights.biases:
            yield Wait(seconds, int(np.count_nonzero(bias)), "+".join(path.weights.made_of))


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
        around = error.args[1][:-1]
        kinds = {clocked.populations[name].kind for name in around}
        fix = "use --set recurrent_lag=1, or say which layer is late with feedforward_lag"
        if kinds <= set(WIRES):
            fix = f"use a --dt of which the delay is at least half, or lengthen {around[0]}"
        raise GraphError(
            f"{', '.join(around)} act on each other within one step",
            "every loop needs a delay somewhere",
            fix,
        ) from None
    return replace(clocked, populations={name: clocked.populations[name] for name in order})


def _label(label: str, path: _Path, delay: int, taken: set[str]) -> str:
    """Return a name that no other projection has."""
    ends = f"{path.pre} -> {path.post}"
    for name in (label, f"{label} ({ends})", f"{label} ({ends}, {delay})"):
        if name not in taken:
            break
    while name in taken:
        name += "'"
    taken.add(name)
    return name


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
    signal = getattr(cell, "spike", "binary") if node.spiking else "analog"
    return Population(node.nir_type, shape, cell, signal)


def _recurrent(populations: Mapping[str, Population], pairs: list[Pair]) -> set[Pair]:
    """Return the pairs that close a loop.

    A way back to a population through which every way from the inputs to its source runs
    closes a loop for certain. Where loops remain (two populations that both have inputs and
    act on each other), every one that does not lead away from the inputs does.
    """
    inside = _inside_loops(populations, pairs)
    back = {pair for pair in inside if pair[0] not in _depths(populations, pairs, pair[1])}
    depth = _depths(populations, pairs)
    rest = _inside_loops(populations, [pair for pair in pairs if pair not in back])
    return back | {pair for pair in rest if depth[pair[1]] <= depth[pair[0]]}


def _depths(
    populations: Mapping[str, Population], pairs: list[Pair], without: str = ""
) -> dict[str, int]:
    """Return the number of hops from the nearest input, for what inputs reach around `without`."""
    followers: dict[str, list[str]] = {name: [] for name in populations}
    for pre, post in pairs:
        followers[pre].append(post)
    depth = {name: 0 for name, pop in populations.items() if pop.kind == "input"}
    front = list(depth)
    for name in front:  # grows while it is walked
        for follower in followers[name]:
            if follower not in depth and follower != without:
                depth[follower] = depth[name] + 1
                front.append(follower)
    return depth


def _inside_loops(populations: Collection[str], pairs: list[Pair]) -> list[Pair]:
    """Return the pairs that lie on a loop: both ends in one strongly connected component."""
    parts = loop_numbers(populations, tuple(pairs))
    return [(pre, post) for pre, post in pairs if parts[pre] == parts[post]]
