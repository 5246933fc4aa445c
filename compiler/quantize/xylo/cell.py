"""The integer parameters of SynSense Xylo's neurons; `models/neurons/xylo.py` steps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import freeze_fields

LOWEST, LARGEST = -(1 << 15), (1 << 15) - 1  # of u, v and what is added to v
INPUT_SPIKES = 15  # that a channel carries per step at most
HIDDEN_SPIKES = 31  # that a hidden neuron sends
OUTPUT_SPIKES = 1  # that a readout neuron sends
LARGEST_DASH = 15


@dataclass(frozen=True, eq=False)
class XyloCell:
    """Integer parameters of Xylo neurons; arrays int32 of shape (n,).

    Per step, u being the synaptic current, everything clipped to 16 bits:

        u <- u + (weight << shift)                for every event that arrives, one by one
        u <- u - loss(u, dash_syn)
        v <- v + ((u - loss(v, dash_mem)) + bias)
        while v >= v_threshold and fewer than most_spikes: spike, v -= v_threshold

    with loss(x, d) = x >> d, but 1 where that is 0 and x is above 0.

    Attributes:
        dash_syn, dash_mem: 0 .. 15; a state keeps 1 - 2**-dash of itself, and nothing at 0.
        v_threshold: 1 .. 32767.
        bias: added to v every step.
        most_spikes: per step: 31 of hidden neurons, 1 of readouts.
        start_step: before this step nothing moves; always 0, as the chip cannot wait.
    """

    dash_syn: Array
    dash_mem: Array
    v_threshold: Array
    bias: Array
    most_spikes: int = HIDDEN_SPIKES
    start_step: int = 0

    reset: ClassVar[str] = "subtract"
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        ranges = {
            "dash_syn": (0, LARGEST_DASH),
            "dash_mem": (0, LARGEST_DASH),
            "v_threshold": (1, LARGEST),
            "bias": (LOWEST, LARGEST),
        }
        for name, (low, high) in ranges.items():
            values = getattr(self, name)
            if values.dtype != np.int32:
                raise LoweringError(f"{name} of a Program is {values.dtype}, not int32")
            if values.min(initial=high) < low or values.max(initial=low) > high:
                raise LoweringError(f"{name} of a Xylo neuron is outside {low} to {high}")
        freeze_fields(self)

    @property
    def largest_message(self) -> int:
        """Most spikes of one step."""
        return self.most_spikes

    @property
    def bias_mantissa(self) -> Array:
        """The bias register as it adds to v, (n,)."""
        return self.bias

    @property
    def bias_exponent(self) -> Array:
        """Zeros: the register is not shifted, (n,)."""
        return np.zeros(self.bias.size, np.int32)

    @property
    def configuration(self) -> tuple[Array, ...]:
        """What neurons could share, each (n,); on Xylo every neuron has registers of its own."""
        return self.dash_syn, self.dash_mem
