"""One run of a module, watched: which layer was called with which tensors, in which order.

Every tensor that a layer hands out is replaced by one of equal values at which the gradient
starts anew, so that PyTorch's own record of operations says what was done to it on the way to
the next layer. The module is left as it was: its mode and its states are put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from spikeport.compiler.errors import GraphError
from spikeport.modules.registry import is_layer, layer_of, tool_of

REPEATS = 20  # steps of a module whose call is one step


@dataclass(eq=False)
class Call:
    """One call of a layer: `inputs` are the tensors that came in, `output` what it handed out."""

    name: str
    module: Any
    number: int
    inputs: tuple[Any, ...]
    output: Any = None


@dataclass(eq=False)
class Trace:
    """What was seen.

    Attributes:
        calls: in order.
        made: identity of a leaf tensor -> the Call, or the name of the input, that it is of.
        states: identity of an operation -> the Call whose state it made.
        counts: layer -> its calls so far.
        samples: names of the inputs.
        kept: everything whose identity is used, so that none is given to another.
    """

    calls: list[Call] = field(default_factory=list)
    made: dict[int, Any] = field(default_factory=dict)
    states: dict[int, Call] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)

    def leaf(self, tensor: Any, of: Any) -> Any:
        """Return a leaf of equal values that is known to be of `of`.

        Hand on a clone of it: that may be changed in place, and its record says so.
        """
        fresh = tensor.detach().clone().requires_grad_(True)
        self.made[id(fresh)] = of
        self.kept.append(fresh)
        return fresh

    def handed(self, leaf: Any) -> Any:
        """Return a clone of a leaf, known to be of the same."""
        clone = leaf.clone()
        self.made[id(clone)] = self.made[id(leaf)]
        self.kept.append(clone)
        return clone

    def of(self, name: str) -> list[Call]:
        """Return the calls of one layer."""
        return [call for call in self.calls if call.name == name]


def watch(module: Any, sample: Any) -> Trace:
    """Run the module on the sample and return what was seen.

    A module whose call is one time step is run for several, with the same sample.

    Args:
        module: as its user calls it.
        sample: a tensor, or a tuple of what the module is called with.

    Raises:
        GraphError: the module does not run, or nothing in it spikes.
    """
    if not hasattr(module, "named_modules"):
        raise GraphError(
            f"a {type(module).__name__} is not a PyTorch module", "", "give the network itself"
        )
    trace = Trace()
    given = sample if isinstance(sample, tuple) else (sample,)
    arguments = tuple(_input(trace, module, given, at) for at in range(len(given)))
    with _as_it_was(module), _hooked(module, trace):
        answer = _run(module, arguments)
        takes_state = "state" in signature(module.forward).parameters
        if _is_one_step(trace) and (takes_state or len(arguments) == 1):
            for _ in range(REPEATS - 1):
                more = (answer[1],) if takes_state else ()
                answer = _run(module, (*arguments[:1], *more))
    if not any(_is_neuron(call) for call in trace.calls):
        raise GraphError(
            "no spiking layer was called",
            f"called were {', '.join(dict.fromkeys(tool_of(c.module)[1] for c in trace.calls))}",
            "give the network of snnTorch, Norse, sinabs or SpikingJelly layers",
        )
    return trace


def _is_neuron(call: Call) -> bool:
    layer = layer_of(call.module)
    return layer is not None and layer.neuron


def _run(module: Any, arguments: tuple[Any, ...]) -> Any:
    try:
        return module(*arguments)
    except GraphError:
        raise
    except Exception as error:
        raise GraphError(
            "the module cannot be run on the sample",
            f"{type(error).__name__}: {error}",
            "give the sample as you call the module: from_module(net, x) calls net(x)",
        ) from error


def _input(trace: Trace, module: Any, given: tuple[Any, ...], at: int) -> Any:
    """Return one argument, floats as the module's parameters are, known to be an input."""
    value = given[at]
    if not hasattr(value, "detach"):
        return value
    like = next(iter(module.parameters()), value)
    names = [name for name in signature(module.forward).parameters if name != "self"]
    name = "input" if len(given) == 1 or at >= len(names) else names[at]
    name = f"{name}_{at}" if name in trace.samples else name
    trace.samples.append(name)
    return trace.handed(trace.leaf(value.to(like.dtype), name))


def _is_one_step(trace: Trace) -> bool:
    """Is one call of the module one time step: each of its neurons was called once, for one."""
    neurons = [call for call in trace.calls if _is_neuron(call)]
    return all(call.number == 0 and time_of(call) is None for call in neurons)


def time_of(call: Call) -> int | tuple[int, int] | None:
    """Return where a neuron layer has its time axis; see `Layer.time`."""
    layer = layer_of(call.module)
    return None if layer is None else layer.time(call.module)


@contextmanager
def _as_it_was(module: Any) -> Iterator[None]:
    """Set the module to eval mode and fresh states, and put everything back afterwards."""
    inside = list(module.modules())
    before = [
        (each, dict(vars(each)), {key: dict(vars(each)[key]) for key in _tables(each)})
        for each in inside
    ]
    try:
        for each in inside:
            vars(each)["training"] = False
            _forget(each)
        yield
    finally:
        for each, attributes, tables in before:
            for key, table in tables.items():
                attributes[key].clear()
                attributes[key].update(table)
            vars(each).clear()
            vars(each).update(attributes)


def _tables(module: Any) -> list[str]:
    """Return the dictionaries in which a module keeps tensors that a step replaces."""
    return [key for key in ("_buffers", "_memories") if key in vars(module)]


def _forget(module: Any) -> None:
    """Empty the states of a layer; the tools fill them anew at the next call."""
    package, _ = tool_of(module)
    memories = vars(module).get("_memories_rv", {})
    if package == "spikingjelly":
        vars(module).get("_memories", {}).update(memories)
    names = {"snntorch": ("mem", "syn", "spk"), "sinabs": ("v_mem", "i_syn")}.get(package, ())
    buffers = vars(module)["_buffers"]
    for name in names:
        if buffers.get(name) is not None:
            buffers[name] = buffers[name].detach().new_zeros(0)


@contextmanager
def _hooked(module: Any, trace: Trace) -> Iterator[None]:
    """Record every call of a layer that is not inside another layer."""
    inside: list[Any] = []

    def enter(layer: Any, arguments: Any) -> None:
        inside.append(layer)

    def leave(layer: Any, arguments: Any, keywords: Any, answer: Any) -> Any:
        inside.pop()
        if inside:
            return None
        return _record(trace, names[id(layer)], layer, (*arguments, *keywords.values()), answer)

    named = [(name, each) for name, each in module.named_modules() if is_layer(each)]
    names = {id(each): name or tool_of(each)[1].lower() for name, each in named}
    handles = [
        handle
        for _, each in named
        for handle in (
            each.register_forward_pre_hook(enter),
            each.register_forward_hook(leave, with_kwargs=True),
        )
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _record(trace: Trace, name: str, module: Any, arguments: tuple[Any, ...], answer: Any) -> Any:
    """Note one call and return its answer with a known tensor in front."""
    given = [each for each in arguments if hasattr(each, "grad_fn")]
    layer = layer_of(module)
    inputs = given if layer is not None and layer.merges else given[:1]
    call = Call(name, module, trace.counts.get(name, 0), tuple(inputs))
    trace.counts[name] = call.number + 1
    trace.calls.append(call)
    trace.kept += inputs
    first, *rest = answer if isinstance(answer, tuple) else (answer,)
    if not hasattr(first, "detach"):
        return answer
    call.output = trace.leaf(first, call)
    for state in _tensors(rest):
        trace.kept += [state, state.grad_fn]
        for known in (state, state.grad_fn):
            if known is not None:
                trace.states[id(known)] = call
    handed = trace.handed(call.output)
    return (handed, *rest) if isinstance(answer, tuple) else handed


def _tensors(values: Any) -> Iterator[Any]:
    """Yield the tensors in nested tuples."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from _tensors(value)
        elif hasattr(value, "grad_fn"):
            yield value
