"""Decay fields: how much of a state a chip forgets per step."""

from __future__ import annotations

import math

import numpy as np

from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array


def quantize_decay(lost: Array, name: str, variable: str, bits: int) -> Array:
    """Return the integer decay field that follows `lost` most closely.

    The chip computes  x <- x * (2**bits - field) >> bits  once per time step.

    Args:
        lost: share of the state that is lost per time step, shape (n,), in [0, 1].
        name: of the population, for messages.
        variable: `u` or `v`. v may keep everything (an integrator), u may not: the chip adds
            1 to its field.
        bits: width of the chip's decay fields.

    Returns:
        int32 array, shape (n,), in [0, 2**bits]. For u store one less.

    Raises:
        LoweringError: a state decays so slowly that the chip would never forget it, or grows.
    """
    unity = 1 << bits
    field = np.rint(lost * unity).astype(np.int64)
    if (field < 0).any() or (field > unity).any():
        worst = int(np.argmax(np.maximum(-lost, lost - 1)))
        raise LoweringError(
            f"{variable} of neuron {worst} of {name!r} keeps {1 - lost[worst]:g} of itself a step",
            "a chip's state can only decay, to nothing at most",
            f"use a dt shorter than every time constant; at this one dt/tau is {lost[worst]:g}",
        )
    slow = (field < 1) & ((lost > 0) | (variable == "u"))
    if slow.any():
        slowest = int(np.flatnonzero(slow)[np.argmin(lost[slow])])
        raise LoweringError(
            f"{variable} of neuron {slowest} of {name!r} loses {lost[slowest]:g} per time step",
            f"the smallest decay that {bits} bits hold is {1 / unity:g}",
            _longer(lost[slowest], bits),
        )
    return np.asarray(field, np.int32)


def _longer(lost: float, bits: int) -> str:
    """Say what helps; a thousandth more, because e^(-dt / tau) does not fall in proportion."""
    if lost <= 0:
        return "give it a time constant: no dt makes this one decay"
    times = 1.001 * 2.0 ** (-bits - 1) / lost
    return f"use a dt at least {math.ceil(10 * times) / 10:.1f} times longer"
