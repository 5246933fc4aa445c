"""What a layer becomes: nodes, the edges between them, and the semantics of its neuron."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Shape

#: Stands for a decay of exactly one: 1 - 1 / FOREVER is 1 in float64.
FOREVER = 1e30


@dataclass(frozen=True, eq=False)
class Seen:
    """A layer as it was called.

    Attributes:
        name: path of the module in the network, for messages.
        kind: name of its class.
        shape, after: what goes in and what comes out, without batch and time.
        dt: seconds per step.
        like: the tensor that went in, from which more of its kind can be made.
    """

    name: str
    kind: str
    shape: Shape
    after: Shape
    dt: float
    like: Any

    def refuse(self, why: str, fix: str) -> GraphError:
        """Return the error that names this layer."""
        return GraphError(f"layer {self.name!r} ({self.kind}) cannot be read", why, fix)


@dataclass(frozen=True, eq=False)
class Part:
    """What a layer becomes.

    Attributes:
        nodes: what is put behind the layer's name -> node; "" is the layer itself.
        edges: between them.
        entry, exit: where input arrives and where output leaves. A layer without nodes hands on
            what it gets.
        semantics: fields in which a step of the neuron "" is described.
        notes: sentences on what was settled here.
    """

    nodes: Mapping[str, Any] = field(default_factory=dict)
    edges: tuple[tuple[str, str], ...] = ()
    entry: str = ""
    exit: str = ""
    semantics: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Layer:
    """How a class of layers is read.

    Attributes:
        read: (module, Seen) -> Part.
        leading: (module) -> axes before the layer's own shape: 1 is batch, 2 batch and time. A
            number below 0 counts the layer's own axes instead; None is as what comes in.
        neuron: has it state that is stepped.
        time: (module) -> where time is among the leading axes: their index, or (batch, time)
            extents of one axis that holds both; None where every call is one step.
        dt: (module) -> seconds per step, where the layer has its own.
        merges: does it add up several inputs.
    """

    read: Callable[[Any, Seen], Part]
    leading: Callable[[Any], int | None] = lambda module: None
    neuron: bool = False
    time: Callable[[Any], int | tuple[int, int] | None] = lambda module: None
    dt: Callable[[Any], float | None] = lambda module: None
    merges: bool = False


def values(tensor: Any) -> Array:
    """Return a tensor, or a number, as float64."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().double().numpy()
    return np.array(tensor, dtype=float)


def spread(tensor: Any, seen: Seen, what: str) -> Array:
    """Return a parameter for every neuron of the layer.

    Raises:
        GraphError: its shape does not fit.
    """
    array = values(tensor)
    try:
        return np.broadcast_to(array, seen.shape).copy()
    except ValueError:
        raise seen.refuse(
            f"{what} has shape {array.shape}, the layer {seen.shape}",
            f"give {what} one value, or one per neuron",
        ) from None


def single(tensor: Any, seen: Seen, what: str) -> float:
    """Return a parameter that must be the same for all neurons.

    Raises:
        GraphError: it differs.
    """
    array = values(tensor)
    if array.size == 0 or not (array == array.flat[0]).all():
        raise seen.refuse(
            f"{what} differs between its neurons, and is kept as one value here",
            f"use one {what} for the layer",
        )
    return float(array.flat[0])


def forgetting(keep: Array, dt: float) -> Array:
    """Return the time constants, seconds, that under forward Euler keep this share per step."""
    return dt / np.maximum(1.0 - keep, 1.0 / FOREVER)


def spikes_at(function: Callable[[Any], Any], seen: Seen) -> str:
    """Return `greater` or `greater_equal`: what the layer's own spike function does at zero.

    Raises:
        GraphError: it is not a step.
    """
    below, above = [-1.0, -1e-3], [1e-3, 1.0]
    got = values(function(seen.like.detach().new_tensor([*below, 0.0, *above]))).tolist()
    for answer, at_zero in (("greater", 0.0), ("greater_equal", 1.0)):
        if got == [0.0, 0.0, at_zero, 1.0, 1.0]:
            return answer
    raise seen.refuse(
        f"its spike function is not a step: it makes {got} of {[*below, 0.0, *above]}",
        "use a surrogate whose forward pass is a step from 0 to 1",
    )
