"""How many bits of synaptic memory a core needs, by the chip's formula.

The fan-out list of one in-axon is cut into groups of up to 64 synapses; a group costs its
synapses' bits and an overhead, rounded up to whole words (nengo-loihi,
SynapseConfig.bits_per_axon).
"""

from __future__ import annotations

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.kinds import Array


def axon_bits(synapses: Array, bits_per_synapse: int, chip: Chip) -> Array:
    """Return the bits of fan-out lists.

    Args:
        synapses: length of each list, int, any shape.
        bits_per_synapse: weight, delay and index bits of one synapse.
        chip: group size, overhead and word length.
    """
    group = int(chip.limits.synapses_per_group.value)
    full, rest = np.divmod(synapses, group)
    last = np.where(rest > 0, _group_bits(rest, bits_per_synapse, chip), 0)
    return np.asarray(full * _group_bits(np.int64(group), bits_per_synapse, chip) + last)


def _group_bits(synapses: Array | np.int64, bits_per_synapse: int, chip: Chip) -> Array:
    word = int(chip.limits.synaptic_memory_word_bits.value)
    bits = synapses * bits_per_synapse + int(chip.limits.group_overhead_bits.value)
    return np.asarray(-(-bits // word) * word)


def index_bits(targets: int, chip: Chip) -> int:
    """Return the width of a stored target index for a list over `targets` compartments."""
    needed = max(targets - 1, 1).bit_length()
    return next((bits for bits in chip.limits.index_bits if bits >= needed), 12)


def list_bits(
    synapses: Array, targets: int, weight_bits: int, delayed: bool, chip: Chip
) -> tuple[int, bool]:
    """Return (bits, dense) of one projection's lists on a core, in its cheaper format.

    Args:
        synapses: non-zero weights of each axon that reaches the core.
        targets: compartments that the lists run over.
        weight_bits: per weight.
        delayed: are delays longer than one step stored.
        chip: the formula.
    """
    delay = int(chip.limits.delay_bits.value) if delayed else 0
    sparse = axon_bits(synapses, weight_bits + delay + index_bits(targets, chip), chip).sum()
    dense = axon_bits(np.full(synapses.shape, targets), weight_bits + delay, chip).sum()
    return int(min(sparse, dense)), bool(dense <= sparse)
