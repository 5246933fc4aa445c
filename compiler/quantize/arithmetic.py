"""Which integers a chip computes with, and which weights it can hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


def grid_of(values: Array, chip: Chip, bits: int = 0) -> Grid:
    """Return the grid for weights: Loihi has a format for each sign, others one with a sign.

    Args:
        values: the weights, or the smallest and the largest of them.
        chip: whose formats they are.
        bits: of a weight; 0: as many as the chip has.

    >>> import numpy as np
    >>> from spikeport import chip
    >>> grid_of(np.array([-1.0, 1.0]), chip("loihi1"))
    Grid(mode='mixed', bits=8, low=-256, high=254, step=2)
    """
    bits = bits or chip.limits.weight_bits.whole
    if chip.arithmetic not in LOIHI:
        low, high = fixed.weight_range("signed", bits)
        return Grid("signed", bits, low, high)
    mode = fixed.sign_mode_of(values)
    step = 1 << (8 - bits + (mode == "mixed"))
    low, high = fixed.weight_range(mode)
    low = low // step * step if mode == "mixed" else -(-low // step * step)
    return Grid(mode, bits, low, high // step * step, step)


def full_of(grid: Grid) -> int:
    """Return the largest magnitude that a grid holds in its shorter direction."""
    return min(size for size in (grid.high, -grid.low) if size > 0)


def exponent_of(largest: float, grid: Grid, lowest: int = 0) -> int:
    """Return the smallest exponent, `lowest` at least, with which a grid holds a weight."""
    if largest <= 0:
        return max(lowest, 0)
    return max(lowest, int(np.ceil(np.log2(largest / full_of(grid)) - 1e-9)))
