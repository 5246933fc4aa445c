"""`from_module`: a live network of snnTorch, Norse, sinabs or SpikingJelly as a Network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import spikeport.models.neurons  # noqa: F401 - registers the neuron kinds
from spikeport.compiler.errors import SemanticsError
from spikeport.compiler.network import Network
from spikeport.compiler.semantics import Semantics, parse_field
from spikeport.modules.build import Graph, build
from spikeport.modules.proof import prove as compare
from spikeport.modules.registry import TOOLS, layer_of, tool_of
from spikeport.modules.steps import count_steps
from spikeport.modules.trace import Trace, watch

DT = 1e-4  # seconds, where a tool counts in steps


def from_module(
    module: Any, sample: Any, *, dt: float | None = None, name: str = "", prove: bool = True
) -> Network:
    """Return a live PyTorch network as a Network, its semantics taken from its layers.

    The module is called once with the sample (a network whose call is one time step, 20 times),
    in eval mode and from fresh states; which tensor went from which layer to which is watched.
    Then the module is as it was before. `repairs` of the Network says what was found.

    Args:
        module: torch.nn.Module with layers of snnTorch, Norse, sinabs or SpikingJelly.
        sample: what the module is called with: a tensor, or a tuple of arguments. It should
            look like data and make the network spike.
        dt: seconds per step, for tools that count in steps (by default 1e-4, listed as assumed).
        name: of the network, for reports; by default that of the module's class.
        prove: run the Network on the sample too and compare every spike.

    Raises:
        GraphError: a layer or an operation that no chip has, named, with what to use instead; or
            the Network does not do what the module does.
        SemanticsError: layers have different dt, or another one than was given.
    """
    trace = watch(module, sample)
    given = _dt(trace, dt)
    graph = build(trace, count_steps(trace), given or DT)
    network = Network(
        nodes={name: graph.nodes[name] for name in (*graph.entries, *graph.nodes)},
        edges=tuple(graph.edges),
        semantics=_semantics(graph, _dialect(trace), given),
        name=name or type(module).__name__,
    )
    notes = list(dict.fromkeys(graph.notes))
    if prove:
        notes.append(compare(network, graph))
    return replace(network, repairs=tuple(notes))


def _dt(trace: Trace, wanted: float | None) -> float | None:
    """Return dt, as the layers have it or as it was given; None where nobody says it."""
    found: dict[float, str] = {}
    for call in trace.calls:
        layer = layer_of(call.module)
        own = None if layer is None else layer.dt(call.module)
        if own is not None:
            found.setdefault(own, call.name)
    stated = dict(found)
    if wanted is not None:
        stated.setdefault(parse_field("dt", wanted), "the argument dt")
    if len(stated) > 1:
        shown = ", ".join(f"{dt:g} s in {where}" for dt, where in stated.items())
        raise SemanticsError(
            f"the layers do not agree on the time step: {shown}",
            "a network has one",
            "build all layers with the same dt" if len(found) > 1 else "leave dt= out",
        )
    return next(iter(stated), None)


def _dialect(trace: Trace) -> str:
    packages = (tool_of(call.module)[0] for call in trace.calls)
    return "+".join(dict.fromkeys(each for each in packages if each in TOOLS))


def _semantics(graph: Graph, dialect: str, dt: float | None) -> Semantics:
    """Return the fields most neurons share as the default, the others as overrides."""
    default = Semantics(
        dt=DT if dt is None else dt, dialect=dialect, assumed=("dt",) if dt is None else ()
    )
    stated: dict[str, Mapping[str, Any]] = dict(graph.semantics)
    fields = dict.fromkeys(name for each in stated.values() for name in each)
    common: dict[str, Any] = {}
    for name in fields:
        counts = Counter(each.get(name, getattr(default, name)) for each in stated.values())
        common[name] = counts.most_common(1)[0][0]
    overrides = {
        neuron: {
            name: each.get(name, getattr(default, name))
            for name in fields
            if each.get(name, getattr(default, name)) != common[name]
        }
        for neuron, each in stated.items()
    }
    nodes = {neuron: over for neuron, over in overrides.items() if over}
    return replace(default, **common, nodes=nodes)
