"""sinabs' layers. Each call holds all steps; v <- alpha v + input, alpha = exp(-1 / tau).

What its exporter loses and is kept here: `norm_input`, how many spikes a step may have, the kind
of reset, `min_v_mem`, and synaptic time constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.models.neurons.cuba_li import CubaLi
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif
from spikeport.modules.parts import FOREVER, Layer, Part, Seen, single, spread, values
from spikeport.modules.stateless import LAYERS as STATELESS
from spikeport.modules.stateless import SKIP, affine


def _neuron(module: Any, seen: Seen) -> Part:
    """Return the integrator that the attributes describe: with a current, leaking, spiking."""
    keep = spread(module.alpha_mem_calculated, seen, "alpha_mem")
    tau, ones, zeros = _tau(keep, seen.dt), np.ones(seen.shape), np.zeros(seen.shape)
    normed = bool(module.norm_input)
    r = ones if normed else np.minimum(1.0 / np.maximum(1.0 - keep, 1.0 / FOREVER), FOREVER)
    current = module.alpha_syn_calculated
    semantics: dict[str, Any] = {"integration": "exact", **_clamp(module, seen)}
    semantics["input_gain"] = "per_equation" if normed else "unit"
    node: Any
    if module.spike_fn is not None:
        semantics |= _spikes(module, seen) | _reset(module, seen)
    if current is not None:
        keep_syn = spread(current, seen, "alpha_syn")
        w_in = 1.0 / np.maximum(1.0 - keep_syn, 1.0 / FOREVER)
        semantics |= {"current_order": "add_decay_v"}
        semantics["input_gain"] = "unit_current" if normed else "unit"
        tau_syn = _tau(keep_syn, seen.dt)
    if module.spike_fn is None:
        node = Li(tau, r, zeros) if current is None else CubaLi(tau, tau_syn, r, zeros, w_in)
        return Part({"": node}, semantics=semantics)
    theta, reset = spread(module.spike_threshold, seen, "spike_threshold"), zeros.copy()
    if current is not None:
        node = CubaLif(tau, tau_syn, r, zeros, theta, reset, w_in)
    elif (keep == 1.0).all():
        node = If(ones / seen.dt, theta, reset)
    else:
        node = Lif(tau, r, zeros, theta, reset)
    return Part({"": node}, semantics=semantics)


def _tau(keep: Array, dt: float) -> Array:
    """Return the time constants whose exact decay per step is `keep`."""
    with np.errstate(divide="ignore"):
        return np.asarray(dt / np.maximum(-np.log(np.maximum(keep, 1e-300)), 1.0 / FOREVER))


def _spikes(module: Any, seen: Seen) -> dict[str, Any]:
    function = module.spike_fn
    name = getattr(function, "__name__", type(function).__name__)
    if name == "MaxSpike":
        most = function.max_num_spikes_per_bin
        name = {None: "MultiSpike", 1: "SingleSpike"}.get(most, f"MaxSpike({most})")
    if name not in ("MultiSpike", "SingleSpike"):
        raise seen.refuse(f"its spike_fn is {name}", "use SingleSpike or MultiSpike")
    kind = "count" if name == "MultiSpike" else "binary"
    return {"spike": kind, "threshold": "greater_equal"}


def _reset(module: Any, seen: Seen) -> dict[str, Any]:
    function = module.reset_fn
    name = type(function).__name__
    if name == "MembraneSubtract":
        taken = function.subtract_value
        if taken is not None and not (values(taken) == values(module.spike_threshold)).all():
            raise seen.refuse(
                "it subtracts another value than its threshold", "use MembraneSubtract()"
            )
        return {"reset": "subtract", "reset_when": "same_step"}
    if name == "MembraneReset" and function.reset_value == 0.0:
        return {"reset": "to_value", "reset_when": "same_step"}
    why = f"its reset_fn is {name}"
    if name == "MembraneReset":
        why = "sinabs adds reset_value to every neuron in every step, also to silent ones"
    raise seen.refuse(why, "use MembraneSubtract() or MembraneReset()")


def _clamp(module: Any, seen: Seen) -> dict[str, Any]:
    if module.min_v_mem is None:
        return {"v_min": None}
    lowest = single(module.min_v_mem, seen, "min_v_mem")
    if lowest > 0.0:
        raise seen.refuse("min_v_mem is above the reset level", "use a min_v_mem of at most 0")
    return {"v_min": lowest}


def _recurrent(module: Any, seen: Seen) -> Part:
    """Return the neurons and nn.Linear around them; its bias is silent in the first step."""
    part = _neuron(module, seen)
    around = module.rec_connect
    if type(around).__name__ != "Linear" or len(seen.shape) != 1:
        raise seen.refuse(
            f"its rec_connect is a {type(around).__name__} on {seen.shape}",
            "use nn.Linear on a flattened layer",
        )
    return Part(
        {**part.nodes, "_rec": affine(around.weight, around.bias)},
        (("", "_rec"), ("_rec", "")),
        semantics={**part.semantics, "recurrent_bias_at_start": False},
    )


def _merge(module: Any, seen: Seen) -> Part:
    if seen.shape != seen.after:
        raise seen.refuse("its inputs differ in shape", "bring them to one shape first")
    return Part()


def _joined(module: Any) -> tuple[int, int]:
    return int(module.batch_size), int(module.num_timesteps)


_IN_TIME = Layer(_neuron, lambda module: 2, neuron=True, time=lambda module: 1)
_SQUEEZED = Layer(_neuron, lambda module: 1, neuron=True, time=_joined)
LAYERS: Mapping[str, Layer] = {
    **dict.fromkeys(("LIF", "IAF", "ExpLeak"), _IN_TIME),
    **dict.fromkeys(("LIFSqueeze", "IAFSqueeze", "ExpLeakSqueeze"), _SQUEEZED),
    **dict.fromkeys(
        ("LIFRecurrent", "IAFRecurrent"),
        Layer(_recurrent, lambda module: 2, neuron=True, time=lambda module: 1),
    ),
    "SumPool2d": STATELESS["LPPool2d"],
    "Merge": Layer(_merge, merges=True),
    "FlattenTime": Layer(SKIP.read, lambda module: 2),
    "UnflattenTime": Layer(SKIP.read, lambda module: 1),
}
