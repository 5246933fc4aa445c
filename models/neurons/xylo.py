"""SynSense Xylo's neuron in integers: two states that decay by a shift, and counted spikes.

Xylo Audio 2, Audio 3 and IMU share it. What it does beyond the data sheets (order, saturation,
roundings) was found by comparison with xylosim 0.1.3, core v2; hw_tests/parity/test_xylosim.py
holds the two together.
"""

from __future__ import annotations

import numpy as np

from spikeport.compiler.kinds import STEPS, Array, Steps
from spikeport.compiler.program import Arithmetic
from spikeport.compiler.quantize.xylo.cell import LARGEST, LOWEST, XyloCell


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
        received: what the events of this step change u by, clipped one by one, (samples, n).
        bias: registers, broadcastable to it.

    Returns:
        Spikes, int64, (samples, n), and in how many cells v left 16 bits.
    """
    arrived = state["u"] + received
    u = arrived - loss(arrived, cell.dash_syn)
    before = state["v"]
    # The loss is negated in 16 bits, and the opposite of -32768 is -32768 there.
    lost = -loss(before, cell.dash_mem)
    lost = np.where(lost > LARGEST, LOWEST, lost)
    seen = u + lost
    moved = in_16_bits(seen) + bias
    total = before + in_16_bits(moved)
    v = in_16_bits(total)
    left = (seen != in_16_bits(seen)) | (moved != in_16_bits(moved)) | (total != v)
    spikes = np.clip(v // cell.v_threshold, 0, cell.most_spikes)
    state["u"], state["v"] = u, v - spikes * cell.v_threshold
    return spikes, int(np.count_nonzero(left))


STEPS[XyloCell] = Steps(start, step)
