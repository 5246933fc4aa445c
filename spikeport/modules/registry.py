"""Which layers are known: the first class of a tool among a module's ancestors decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.compiler.errors import GraphError
from spikeport.modules import norse, sinabs, snntorch, spikingjelly, stateless
from spikeport.modules.parts import Layer

TOOLS: Mapping[str, Mapping[str, Layer]] = {
    "snntorch": snntorch.LAYERS,
    "norse": norse.LAYERS,
    "sinabs": sinabs.LAYERS,
    "spikingjelly": spikingjelly.LAYERS,
}
#: Classes of the tools that only call what is in them.
CONTAINERS = (
    "SequentialState", "Network", "Repeat", "SeqToANNContainer", "MultiStepContainer",
    "StepModeContainer", "TLastMultiStepContainer",
)  # fmt: skip


def tool_of(module: Any) -> tuple[str, str]:
    """Return (package, class name) of the first ancestor that a tool or PyTorch defines."""
    for ancestor in type(module).__mro__:
        package = ancestor.__module__.split(".")[0]
        if package in TOOLS:
            return package, ancestor.__name__
        if ancestor.__module__.startswith("torch.nn.modules") and ancestor.__name__ != "Module":
            return "torch", ancestor.__name__
    return "", type(module).__name__


def layer_of(module: Any) -> Layer | None:
    """Return how a module is read; None where nobody knows it."""
    package, name = tool_of(module)
    return (TOOLS.get(package) or stateless.LAYERS).get(name) if package else None


def is_layer(module: Any) -> bool:
    """Is the module one thing, known or not; else it is a container of other modules."""
    if layer_of(module) is not None:
        return True
    package, name = tool_of(module)
    if package in TOOLS and name not in CONTAINERS:
        inside = ".model." in type(module).__module__ or "Sequential" in _names(module)
        return not inside
    return not any(True for _ in module.children())


def _names(module: Any) -> set[str]:
    return {ancestor.__name__ for ancestor in type(module).__mro__}


def refusal(name: str, module: Any) -> GraphError:
    """Return the error for a layer that nobody knows."""
    package, kind = tool_of(module)
    why, fix = stateless.KNOWN_REFUSALS.get(
        kind,
        (
            "it is none of the layers that spikeport knows",
            f"known are {', '.join(sorted(known(package)))}",
        ),
    )
    return GraphError(f"layer {name!r} ({type(module).__name__}) cannot be read", why, fix)


def known(package: str) -> set[str]:
    """Return the names of the layers that are read of a tool, and PyTorch's."""
    return {*TOOLS.get(package, {}), *stateless.LAYERS}
