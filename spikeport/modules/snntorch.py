"""snnTorch's layers. Each call is one step; a step is v <- beta v + input, compared strictly.

What its exporter loses and is kept here: scalar beta and threshold (spread over the layer), the
kind of reset, `reset_delay`, and a beta of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Scale
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif
from spikeport.modules.parts import Layer, Part, Seen, forgetting, spikes_at, spread, values
from spikeport.modules.stateless import affine, conv2d


def _leaky(module: Any, seen: Seen) -> Part:
    """Return v <- beta v + x: zero with delay empties v before x arrives, which is same-step."""
    return Part({"": _lif(module, seen)}, semantics=_semantics(module, seen, at_once=True))


def _synaptic(module: Any, seen: Seen) -> Part:
    return Part({"": _cuba(module, seen)}, semantics=_semantics(module, seen, at_once=False))


def _rleaky(module: Any, seen: Seen) -> Part:
    semantics = _semantics(module, seen, at_once=False)
    return _with_loop(module, seen, _lif(module, seen), semantics)


def _rsynaptic(module: Any, seen: Seen) -> Part:
    """As RLeaky; its reset_delay=False never reaches the state that it keeps (snnTorch 1.0.0)."""
    semantics = _semantics(module, seen, at_once=False, delayed=True)
    part = _with_loop(module, seen, _cuba(module, seen), semantics)
    if module.reset_delay:
        return part
    note = f"{seen.name}: snnTorch's RSynaptic resets a step later, whatever reset_delay says"
    return Part(part.nodes, part.edges, semantics=semantics, notes=(note,))


def _lif(module: Any, seen: Seen) -> If | Lif:
    theta = spread(module.threshold, seen, "threshold")
    zeros = np.zeros(seen.shape)
    beta = np.clip(spread(module.beta, seen, "beta"), 0.0, 1.0)
    if (beta == 1.0).all():
        return If(np.full(seen.shape, 1.0 / seen.dt), theta, zeros)
    tau = forgetting(beta, seen.dt)
    return Lif(tau, tau / seen.dt, zeros, theta, zeros.copy())


def _cuba(module: Any, seen: Seen) -> CubaLif:
    def tau(name: str) -> Array:
        keep = np.clip(spread(getattr(module, name), seen, name), 0.0, 1.0)
        return forgetting(keep, seen.dt)

    tau_mem, tau_syn, zeros = tau("beta"), tau("alpha"), np.zeros(seen.shape)
    theta = spread(module.threshold, seen, "threshold")
    return CubaLif(
        tau_mem, tau_syn, tau_mem / seen.dt, zeros, theta, zeros.copy(), tau_syn / seen.dt
    )


def _semantics(
    module: Any, seen: Seen, at_once: bool, delayed: bool | None = None
) -> dict[str, Any]:
    """Return how a step is taken.

    Args:
        module: the layer.
        seen: how it was called.
        at_once: does a delayed reset to zero act before the input arrives (only in Leaky).
        delayed: in place of what `reset_delay` says.
    """
    _check_plain(module, seen)
    delayed = bool(getattr(module, "reset_delay", True)) if delayed is None else delayed
    kind = {"subtract": "subtract", "zero": "to_value", "none": "none"}[module.reset_mechanism]
    if kind == "subtract" and not delayed:
        kind = "subtract_snntorch"
    late = delayed and kind != "none" and not (at_once and kind == "to_value")
    return {
        "integration": "euler",
        "input_gain": "unit",
        "reset": kind,
        "reset_when": "next_step" if late else "same_step",
        "threshold": spikes_at(module.spike_grad, seen),
    }


def _check_plain(module: Any, seen: Seen) -> None:
    if getattr(module, "inhibition", False):
        raise seen.refuse("only its strongest neuron spikes", "train with inhibition=False")
    if getattr(module, "state_quant", False):
        raise seen.refuse(
            "its state is quantized while it runs", "use state_quant=False: the chip quantizes"
        )
    if not (values(getattr(module, "graded_spikes_factor", 1.0)) == 1.0).all():
        raise seen.refuse(
            "its spikes are scaled", "put graded_spikes_factor into the weights that follow"
        )


def _with_loop(module: Any, seen: Seen, node: Any, semantics: Mapping[str, Any]) -> Part:
    return Part(
        {"": node, "_rec": _recurrent(module.recurrent, seen)},
        (("", "_rec"), ("_rec", "")),
        semantics=semantics,
    )


def _recurrent(inner: Any, seen: Seen) -> Any:
    """Return the weights by which the layer's last spikes come back."""
    if hasattr(inner, "V"):
        return Scale(spread(inner.V, seen, "V"))
    if len(seen.shape) == 1:
        return affine(inner.weight, inner.bias)
    if len(seen.shape) == 3:
        return conv2d(inner, seen).nodes[""]
    raise seen.refuse(f"its shape is {seen.shape}", "flatten what enters it")


LAYERS: Mapping[str, Layer] = {
    name: Layer(read, lambda module: 1, neuron=True)
    for name, read in (
        ("Leaky", _leaky),
        ("Synaptic", _synaptic),
        ("RLeaky", _rleaky),
        ("RSynaptic", _rsynaptic),
    )
}
