"""SynSense Xylo's neuron in integers: two states that decay by a shift, and counted spikes.

Xylo Audio 2, Audio 3 and IMU share it. What it does beyond the data sheets (order, saturation,
roundings) was found by comparison with xylosim 0.1.3, core v2; hw_tests/parity/test_xylosim.py
holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import STEPS, Array, Steps
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.program import Arithmetic

LOWEST, LARGEST = -(1 << 15), (1 << 15) - 1  # of i, v and what is added to v
HIDDEN_SPIKES = 31  # that a hidden neuron sends per step at most
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


def loss(state: Array, dash: Array) -> Array:
    """Return what a state loses in a step: state >> dash, but at least 1 of what is above 0.

    Args:
        state: any shape, int64.
        dash: broadcastable to it.

    >>> loss(np.array([16, 3, 0, -3]), np.array([2, 2, 2, 2])).tolist()
    [4, 1, 0, -1]
    """
    shifted = np.right_shift(state, dash)
    return np.asarray(np.where((shifted == 0) & (state > 0), 1, shifted), np.int64)


def in_16_bits(value: Array) -> Array:
    """Return `value` clipped to -32768 .. 32767."""
    return np.asarray(np.clip(value, LOWEST, LARGEST), np.int64)


def start(cell: XyloCell, samples: int) -> dict[str, Array]:
    """Return the state before the first step: zeros, int64, (samples, n)."""
    shape = (samples, cell.v_threshold.size)
    return {"u": np.zeros(shape, np.int64), "v": np.zeros(shape, np.int64)}


def step(
    cell: XyloCell, arithmetic: Arithmetic, state: dict[str, Array], received: Array, bias: Array
) -> tuple[Array, int]:
    """Take one step in place.

    Args:
        cell: integer parameters.
        arithmetic: not read: the chip has one datapath.
        state: u and v, int64, (samples, n); changed.
        received: what the events of this step change u by in the end, (samples, n).
        bias: registers, broadcastable to it.

    Returns:
        Spikes, int64, (samples, n), and in how many cells u or v left 16 bits.
    """
    arrived = state["u"] + received
    full = in_16_bits(arrived)
    u = full - loss(full, cell.dash_syn)
    before = state["v"]
    # The loss is negated in 16 bits, and the opposite of -32768 is -32768 there.
    lost = -loss(before, cell.dash_mem)
    lost = np.where(lost > LARGEST, LOWEST, lost)
    seen = u + lost
    moved = in_16_bits(seen) + bias
    total = before + in_16_bits(moved)
    v = in_16_bits(total)
    left = (full != arrived) | (seen != in_16_bits(seen)) | (moved != in_16_bits(moved))
    spikes = np.clip(v // cell.v_threshold, 0, cell.most_spikes)
    state["u"], state["v"] = u, v - spikes * cell.v_threshold
    return spikes, int(np.count_nonzero(left | (total != v)))


STEPS[XyloCell] = Steps(start, step)
