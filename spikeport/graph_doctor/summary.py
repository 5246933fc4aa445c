"""What a graph is: nodes, shapes, sizes, and what the file says of its time step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.errors import printable
from spikeport.compiler.load.mend import places, type_of
from spikeport.compiler.network import Input, Network, Output

#: What NIR does not carry and tools do differently -> what was found to be lost with it.
LACKING = {
    "dt": "the length of a time step",
    "reset": "what a spike does to v: set or subtract, in this step or the next",
    "integration": "Euler or exact",
    "threshold": "> or >=",
    "initial_v": "v before the first step",
}


def summary(tree: Mapping[str, Any], net: Network | None) -> dict[str, Any]:
    """Return what is in a file, of the graph as read where it can be read.

    Returns:
        `types` {type: how many}, `nested` graphs, `edges`, `inputs` and `outputs` {name: shape},
        `neurons` and `weights` in all, `loops` (is there a recurrent edge), `semantics` (those
        that the file carries, or None) and `lacking` {field: meaning}.
    """
    found = list(places(tree))
    nodes = [node for place in found for node in place.nodes.values()]
    types = Counter(map(type_of, nodes))
    types.pop("NIRGraph", None)
    said = net.semantics.to_dict() if net is not None and net.semantics.dialect else None
    weights = sum(
        node["weight"].size for node in nodes if isinstance(node.get("weight"), np.ndarray)
    )
    return {
        "types": dict(sorted(types.items())),
        "nested": len(found) - 1,
        "edges": sum(len(place.edges) for place in found),
        "inputs": _ports(net, Input),
        "outputs": _ports(net, Output),
        "neurons": None
        if net is None
        else sum(math.prod(net.shapes[name]) for name in net.neurons),
        "weights": int(weights),
        "loops": None if net is None else has_loop(net),
        "semantics": said,
        "lacking": {} if said else LACKING,
    }


def _ports(net: Network | None, kind: type) -> dict[str, list[int]]:
    if net is None:
        return {}
    return {printable(name): list(net.shapes[name]) for name in net.of_type(kind)}


def has_loop(net: Network) -> bool:
    """Does any path lead back to where it began."""
    waiting = dict.fromkeys(net.nodes, 0)
    targets: dict[str, list[str]] = {name: [] for name in net.nodes}
    for source, target in net.edges:
        waiting[target] += 1
        targets[source].append(target)
    ready = [name for name, count in waiting.items() if not count]
    done = 0
    while ready:
        done += 1
        for target in targets[ready.pop()]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return done < len(net.nodes)
