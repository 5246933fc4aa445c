"""Which integers a chip computes with, and which weights it can hold."""

from __future__ import annotations

from dataclasses import dataclass

from spikeport.compiler import fixed
from spikeport.compiler.chip import Chip
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import BRIAN2_LOIHI, GRADED, LAVA, NENGO_LOIHI, Arithmetic

LOIHI = {
    "lava": LAVA,
    "nengo_loihi": NENGO_LOIHI,
    "brian2_loihi": BRIAN2_LOIHI,
    "graded": GRADED,
}


def arithmetic_of(chip: Chip) -> Arithmetic:
    """Return a chip's datapath: Loihi's, by name, or one with the widths of its registers.

    The latter aligns nothing: weights add to u as they are, and states saturate.
    """
    if chip.arithmetic in LOIHI:
        return LOIHI[chip.arithmetic]
    limits = chip.limits
    return Arithmetic(
        "saturate",
        state_bits=limits.state_bits.whole,
        weight_shift=0,
        decay_bits=limits.decay_bits.whole,
    )


@dataclass(frozen=True)
class Grid:
    """The weights that a projection can hold: multiples of `step` from `low` to `high`.

    Attributes:
        mode: sign mode, see `Synapses`.
        bits: of a weight.
    """

    mode: str
    bits: int
    low: int
    high: int
    step: int = 1


def grid_of(values: Array, chip: Chip) -> Grid:
    """Return the grid for weights: Loihi has a format for each sign, others one with a sign.

    >>> import numpy as np
    >>> from spikeport import chip
    >>> grid_of(np.array([-1.0, 1.0]), chip("loihi1"))
    Grid(mode='mixed', bits=8, low=-256, high=254, step=2)
    """
    bits = chip.limits.weight_bits.whole
    if chip.arithmetic not in LOIHI:
        low, high = fixed.weight_range("signed", bits)
        return Grid("signed", bits, low, high)
    mode = fixed.sign_mode_of(values)
    step = 1 << (8 - bits + (mode == "mixed"))
    low, high = fixed.weight_range(mode)
    return Grid(mode, bits, low // step * step, high // step * step, step)
