"""Where a tensor came from: which layer made it, and by which operations outside any layer.

PyTorch records operations for the gradient; the record is walked back from a tensor to the
layers' own tensors. Views and copies are passed, additions join, anything else is refused by
its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeport.compiler.errors import GraphError
from spikeport.modules.trace import Call, Trace

#: Operations that change no value, as PyTorch names their gradients.
SAME = (
    "View", "Alias", "Clone", "Copy", "CopySlices", "ToCopy", "UnsafeView", "Reshape",
    "ReshapeAlias", "Squeeze", "Unsqueeze", "Flatten", "Unflatten", "Expand", "Select", "Unbind",
    "Slice", "Split", "Chunk", "Contiguous", "Detach", "AsStrided",
)  # fmt: skip
#: The same for axes; only fit for an input, whose axes before its own are batch and time.
MOVES = ("Permute", "Transpose", "T", "MovedimInt", "Movedim")
#: Operation -> what to use instead.
INSTEAD = {
    "MaxPool2DWithIndices": "use nn.AvgPool2d: a maximum is not a sum of synapses",
    "AvgPool2D": "use the module nn.AvgPool2d in place of the function",
    "Convolution": "use nn.Conv2d in place of the function",
    "Addmm": "use nn.Linear in place of the function",
    "Mm": "use nn.Linear in place of the product",
    "Relu": "put a spiking layer in its place",
    "Cat": "chips add up; give each part weights of its own and add the results",
    "Mul": "put the factor into the weights",
    "Div": "put the factor into the weights",
    "Sub": "add the output of weights that are negative",
    "Stack": "hand on one step at a time",
}


@dataclass(frozen=True, eq=False)
class Origin:
    """One source of a tensor: a Call, or the name of an input."""

    of: Call | str


def origins(trace: Trace, tensor: Any, reader: str) -> list[Origin]:
    """Return what a tensor is the sum of.

    Args:
        trace: what was seen.
        tensor: what a layer was given.
        reader: name of that layer, for messages.

    Raises:
        GraphError: an operation outside any layer that is not a view or a sum.
    """
    if id(tensor) in trace.states:
        raise _reads_state(trace.states[id(tensor)], reader)
    if tensor.grad_fn is not None:
        return _walk(trace, tensor.grad_fn, reader)
    known = trace.made.get(id(tensor)) or _by_storage(trace, tensor)
    if known is None:
        raise GraphError(
            f"layer {reader!r} is given a tensor that no layer made",
            "no record leads from it to the sample: it was made, or encoded, inside forward",
            "encode before the network is called, or make it in a module",
        )
    return [Origin(known)]


def _walk(trace: Trace, function: Any, reader: str) -> list[Origin]:
    trace.kept.append(function)
    if id(function) in trace.states:
        raise _reads_state(trace.states[id(function)], reader)
    if hasattr(function, "variable"):
        known = trace.made.get(id(function.variable))
        if known is None:
            raise GraphError(
                f"layer {reader!r} is given a parameter that is in no layer",
                f"its shape is {tuple(function.variable.shape)}",
                "keep it in a module, such as the bias of nn.Linear",
            )
        return [Origin(known)]
    name = function.name().rstrip("0123456789").removesuffix("Backward")
    before = [each for each, _ in function.next_functions]
    if name == "Add" and None not in before and function._saved_alpha == 1:
        return [found for each in before for found in _walk(trace, each, reader)]
    if name in SAME and before and before[0] is not None:
        return _walk(trace, before[0], reader)
    if name in MOVES:
        found = _walk(trace, before[0], reader)
        if all(isinstance(each.of, str) for each in found):
            return found
    raise GraphError(
        f"layer {reader!r} is given the result of an operation outside any layer ({name})",
        "only sums of two layers, views and time steps are followed there",
        INSTEAD.get(name, "use a module for it, or leave it out"),
    )


def _reads_state(call: Call, reader: str) -> GraphError:
    return GraphError(
        f"layer {reader!r} reads the state of {call.name!r}",
        "between layers of a chip only spikes travel",
        f"give it the spikes of {call.name!r}, the first thing that it returns",
    )


def _by_storage(trace: Trace, tensor: Any) -> Call | str | None:
    """Return what made the tensor whose memory this one shows, where no record was kept."""
    place = tensor.untyped_storage().data_ptr()
    for kept in trace.kept:
        known = trace.made.get(id(kept))
        if known is not None and kept.untyped_storage().data_ptr() == place:
            return known  # type: ignore[no-any-return]
    return None
