"""SpikingJelly's layers. `step_mode` says whether a call is one step or all of them.

What its exporter loses and is kept here: soft reset (`v_reset=None`), v_reset, `decay_input`
through the gain, and that a neuron spikes at its threshold already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Delay
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif
from spikeport.modules.parts import Layer, Part, Seen, spikes_at, spread, values
from spikeport.modules.stateless import LAYERS as STATELESS


def _if(module: Any, seen: Seen) -> Part:
    theta, reset = _levels(module, seen)
    node = If(np.full(seen.shape, 1.0 / seen.dt), theta, reset)
    return Part({"": node}, semantics={**_semantics(module, seen), "input_gain": "unit"})


def _lif(module: Any, seen: Seen) -> Part:
    return _leaking(module, seen, float(module.tau))


def _parametric(module: Any, seen: Seen) -> Part:
    """Return the LIF whose 1 / tau is the sigmoid of the learned w."""
    return _leaking(module, seen, 1.0 + float(np.exp(-values(module.w))))


def _leaking(module: Any, seen: Seen, tau: float) -> Part:
    """Return v <- v - (v - v_reset) / tau + x, with x divided by tau under decay_input."""
    theta, reset = _levels(module, seen)
    r = 1.0 if module.decay_input else tau
    node = Lif(
        np.full(seen.shape, tau * seen.dt), np.full(seen.shape, r), reset, theta, reset.copy()
    )
    gain = "per_equation" if module.decay_input else "unit"
    return Part({"": node}, semantics={**_semantics(module, seen), "input_gain": gain})


def _levels(module: Any, seen: Seen) -> tuple[Array, Array]:
    reset = 0.0 if module.v_reset is None else module.v_reset
    theta = spread(module.v_threshold, seen, "v_threshold")
    return theta, spread(reset, seen, "v_reset")


def _semantics(module: Any, seen: Seen) -> dict[str, Any]:
    simple = type(module).__name__.startswith("Simple")  # these start at 0, others at v_reset
    start = {"initial_v": 0.0} if simple and module.v_reset else {}
    return {
        "integration": "euler",
        "reset": "subtract" if module.v_reset is None else "to_value",
        "reset_when": "same_step",
        "threshold": spikes_at(module.surrogate_function, seen),
        **start,
    }


def _delay(module: Any, seen: Seen) -> Part:
    return Part({"": Delay(np.full(seen.shape, module.delay_steps * seen.dt))})


def _leading(module: Any) -> int:
    return 2 if module.step_mode == "m" else 1


def _time(module: Any) -> int | None:
    return 0 if module.step_mode == "m" else None


LAYERS: Mapping[str, Layer] = {
    **{
        name: Layer(read, _leading, neuron=True, time=_time)
        for name, read in (
            ("IFNode", _if),
            ("SimpleIFNode", _if),
            ("LIFNode", _lif),
            ("SimpleLIFNode", _lif),
            ("ParametricLIFNode", _parametric),
        )
    },
    "Delay": Layer(_delay, _leading, time=_time),
    **STATELESS,
}
