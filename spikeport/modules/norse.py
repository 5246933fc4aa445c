"""Norse's layers. They have dt and time constants of their own and step by forward Euler.

What its 1.1.0 exporter breaks and is right here: it writes tau * dt, and for LIFCell neither the
gain of the current nor v_reset; readouts behind a current (LI) it does not write at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.models.neurons.cuba_li import CubaLi
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif
from spikeport.modules.parts import Layer, Part, Seen, single, spread, values
from spikeport.modules.stateless import LAYERS as STATELESS
from spikeport.modules.stateless import affine

METHODS = ("super", "heaviside", "triangle", "tanh", "circ", "heavi_erfc", "adjoint")
CURRENT = {"current_order": "add_v_decay", "input_gain": "unit_current"}


def _lif_box(module: Any, seen: Seen) -> Part:
    p = module.p
    node = Lif(
        _tau(p.tau_mem_inv, seen, "tau_mem_inv"),
        np.ones(seen.shape),
        spread(p.v_leak, seen, "v_leak"),
        spread(p.v_th, seen, "v_th"),
        spread(p.v_reset, seen, "v_reset"),
    )
    return Part({"": node}, semantics=_semantics(p, seen) | _start(p, seen))


def _lif(module: Any, seen: Seen) -> Part:
    p = module.p
    tau_syn = _tau(p.tau_syn_inv, seen, "tau_syn_inv")
    node = CubaLif(
        _tau(p.tau_mem_inv, seen, "tau_mem_inv"),
        tau_syn,
        np.ones(seen.shape),
        spread(p.v_leak, seen, "v_leak"),
        spread(p.v_th, seen, "v_th"),
        spread(p.v_reset, seen, "v_reset"),
        tau_syn / seen.dt,
    )
    return Part({"": node}, semantics=_semantics(p, seen) | CURRENT | _start(p, seen))


def _lif_recurrent(module: Any, seen: Seen) -> Part:
    """Return the weights before it, the neurons, and the weights around them."""
    inner = Seen(seen.name, seen.kind, seen.after, seen.after, seen.dt, seen.like)
    part = _lif(module, inner)
    around = {
        "_in": affine(module.input_weights, None),
        "_rec": affine(module.recurrent_weights, None),
    }
    return Part(
        {"_in": around["_in"], **part.nodes, "_rec": around["_rec"]},
        (("_in", ""), ("", "_rec"), ("_rec", "")),
        entry="_in",
        semantics=part.semantics,
    )


def _li_box(module: Any, seen: Seen) -> Part:
    p = module.p
    tau = _tau(p.tau_mem_inv, seen, "tau_mem_inv")
    node = Li(tau, np.ones(seen.shape), spread(p.v_leak, seen, "v_leak"))
    return Part({"": node}, semantics={"integration": "euler", **_start(p, seen)})


def _li(module: Any, seen: Seen) -> Part:
    p = module.p
    tau_syn = _tau(p.tau_syn_inv, seen, "tau_syn_inv")
    node = CubaLi(
        _tau(p.tau_mem_inv, seen, "tau_mem_inv"),
        tau_syn,
        np.ones(seen.shape),
        spread(p.v_leak, seen, "v_leak"),
        tau_syn / seen.dt,
    )
    return Part({"": node}, semantics={"integration": "euler", **CURRENT, **_start(p, seen)})


def _iaf(module: Any, seen: Seen) -> Part:
    p = module.p
    theta, reset = spread(p.v_th, seen, "v_th"), spread(p.v_reset, seen, "v_reset")
    node = If(np.full(seen.shape, 1.0 / seen.dt), theta, reset)
    return Part({"": node}, semantics=_semantics(p, seen) | {"input_gain": "unit"})


def _tau(inverse: Any, seen: Seen, what: str) -> Array:
    """Return seconds from an inverse time constant.

    Raises:
        GraphError: it is not above zero.
    """
    rate = spread(inverse, seen, what)
    if not (rate > 0).all():
        raise seen.refuse(f"{what} is not above 0", "use IAFCell for neurons that do not leak")
    return 1.0 / rate


def _semantics(p: Any, seen: Seen) -> dict[str, Any]:
    if getattr(p, "method", "super") not in METHODS:
        raise seen.refuse(f"its spikes follow the method {p.method!r}", "use method='super'")
    reset = getattr(p, "reset_method", None)
    known = {None: "to_value", "reset_value": "to_value", "reset_subtract": "subtract"}
    name = getattr(reset, "__name__", None)
    if name not in known:
        raise seen.refuse(f"its reset is {reset!r}", "use norse's reset_value or reset_subtract")
    return {
        "integration": "euler",
        "reset": known[name],
        "reset_when": "same_step",
        "threshold": "greater",
    }


def _start(p: Any, seen: Seen) -> dict[str, Any]:
    """Return the first v, which is v_leak in Norse, where it is not v_reset."""
    leak = spread(p.v_leak, seen, "v_leak")
    reset = spread(getattr(p, "v_reset", 0.0), seen, "v_reset")
    return {} if np.array_equal(leak, reset) else {"initial_v": single(leak, seen, "v_leak")}


def _layers(read: Callable[[Any, Seen], Part], cell: str, in_time: str) -> list[tuple[str, Layer]]:
    def dt(module: Any) -> float:
        return float(values(module.dt))

    return [
        (cell, Layer(read, lambda module: 1, neuron=True, dt=dt)),
        (in_time, Layer(read, lambda module: 2, neuron=True, time=lambda module: 0, dt=dt)),
    ]


def _lift(module: Any, seen: Seen) -> Part:
    """Return what a Lift repeats over time."""
    inner = STATELESS.get(type(module.lifted_module).__name__)
    if inner is None:
        raise seen.refuse(
            f"it lifts a {type(module.lifted_module).__name__}", "use norse's own layers in time"
        )
    return inner.read(module.lifted_module, seen)


LAYERS: Mapping[str, Layer] = dict(
    [
        ("Lift", Layer(_lift, lambda module: 2)),
        *_layers(_lif_box, "LIFBoxCell", "LIFBox"),
        *_layers(_lif, "LIFCell", "LIF"),
        *_layers(_lif_recurrent, "LIFRecurrentCell", "LIFRecurrent"),
        *_layers(_li_box, "LIBoxCell", "LIBox"),
        *_layers(_li, "LICell", "LI"),
        *_layers(_iaf, "IAFCell", "IAF"),
    ]
)
