"""How the calls of layers are spread over time steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.compiler.errors import GraphError
from spikeport.modules.registry import layer_of
from spikeport.modules.trace import Call, Trace

EVERY = -1  # stands for the step of a layer that is called once, for all steps


@dataclass(frozen=True, eq=False)
class Steps:
    """The time steps of a trace.

    Attributes:
        total: how many steps every neuron took.
        chosen: the step that is read. The first one differs where a layer gets its own last
            output, so it is the second one where there are two.
        per_step: layer -> its calls in one step, 0 for a layer that is called once for all.
    """

    total: int
    chosen: int
    per_step: Mapping[str, int]

    def place(self, call: Call) -> tuple[int, int]:
        """Return (step, which call of this layer within the step)."""
        each = self.per_step[call.name]
        return (EVERY, 0) if each == 0 else divmod(call.number, each)

    def is_read(self, call: Call) -> bool:
        """Is it one of the calls that stand for all."""
        return self.place(call)[0] in (EVERY, self.chosen)


def count_steps(trace: Trace) -> Steps:
    """Return the steps of a trace.

    Raises:
        GraphError: neurons are called differently often, or others do not fit into their steps.
    """
    counts: dict[str, int] = {}
    modules: dict[str, Any] = {}
    for call in trace.calls:
        counts[call.name] = counts.get(call.name, 0) + 1
        modules[call.name] = call.module
    stepped = {name: counts[name] for name, module in modules.items() if is_neuron(module)}
    total = min(stepped.values())
    uneven = [name for name, count in stepped.items() if count != total]
    if uneven:
        raise GraphError(
            f"layer {uneven[0]!r} is called {stepped[uneven[0]]} times, another one {total} times",
            "a layer has one state, and takes one step per call",
            "make a layer of its own for each place where it is used",
        )
    for name, count in counts.items():
        if count % total and count != 1 and layer_of(modules[name]) is not None:
            raise GraphError(
                f"layer {name!r} is called {count} times in {total} steps",
                "it is not used alike in every step",
                "call it once per step",
            )
    per_step = {
        name: 0 if count == 1 < total else max(1, count // total) for name, count in counts.items()
    }
    return Steps(total, min(1, total - 1), per_step)


def is_neuron(module: Any) -> bool:
    """Is a module a layer with state that is stepped."""
    layer = layer_of(module)
    return layer is not None and layer.neuron
