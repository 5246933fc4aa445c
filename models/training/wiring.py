"""Which nodes lie between two populations: the trainer's view of what the compiler folds away.

The compiler multiplies everything between two populations into one matrix; a trainer needs the
nodes themselves, whose weights, kernels, biases and delays it learns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import STATELESS, Network
from spikeport.compiler.passes.fold_linear import delays_in_loops
from spikeport.compiler.passes.wires import WIRES


@dataclass(frozen=True)
class Route:
    """A way from one population to another.

    Attributes:
        pre, post: populations.
        nodes: stateless nodes on the way, in order.
        lag: steps that it takes beside its Delay nodes.
    """

    pre: str
    post: str
    nodes: tuple[str, ...]
    lag: int


@dataclass(frozen=True)
class BiasRoute:
    """What a node adds in every step, and the nodes that follow it on the way to a population."""

    node: str
    post: str
    nodes: tuple[str, ...]
    lag: int


def routes_of(net: Network, clocked: Clocked) -> tuple[list[Route], list[BiasRoute]]:
    """Return all ways between populations, and from biases to populations.

    Args:
        net: flat, with shapes, not folded.
        clocked: the same under its clock.

    Raises:
        GraphError: a loop of nodes without state keeps a value in a Delay.
    """
    kept = delays_in_loops(net.nodes, net.edges)
    if kept:
        raise GraphError(
            f"{', '.join(sorted(kept))} hold a value in a loop without neurons",
            "the trainer knows loops of neurons only",
            "put a neuron into the loop",
        )
    semantics, routes, biases = net.semantics, [], []
    back = {(p.pre, p.post) for p in clocked.projections if p.recurrent}
    for post in clocked.neurons:
        wire = clocked.populations[post].kind in WIRES
        ways = list(_ways(net, post, clocked))
        for pre, nodes in ways:
            lag = semantics.recurrent_lag if (pre, post) in back else semantics.feedforward_lag
            routes.append(Route(pre, post, nodes, 0 if wire else lag))
        late = {(tuple(nodes[k + 1 :]), node) for _, nodes in ways for k, node in enumerate(nodes)}
        for rest, node in sorted(late, key=lambda found: (found[1], found[0])):
            heard = [(pre, post) in back for pre, nodes in ways if node in nodes]
            said = semantics.at(post)
            prompt = said.bias_at_start and (said.recurrent_bias_at_start or not all(heard))
            biases.append(BiasRoute(node, post, rest, int(not wire and not prompt)))
    return routes, biases


def _ways(net: Network, post: str, clocked: Clocked) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (population, nodes) for every way into `post`."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(each, ()) for each in net.into(post)]
    while waiting:
        name, behind = waiting.pop(0)
        if name in clocked.populations:
            yield name, behind
        elif isinstance(net.nodes[name], STATELESS):
            waiting += [(each, (name, *behind)) for each in net.into(name)]
