"""How many bits of synaptic memory a core needs, by the chip's formula.

The fan-out list of one in-axon is cut into groups of up to 64 synapses; a group costs its
synapses' bits and an overhead, rounded up to whole words (nengo-loihi,
SynapseConfig.bits_per_axon).
"""

from __future__ import annotations

import numpy as np

from spikeport.compiler.fabric import Lists
from spikeport.compiler.figure import Figure
from spikeport.compiler.kinds import Array


def axon_bits(synapses: Array | np.int64, bits_per_synapse: int, core: Lists) -> Array:
    """Return the bits of fan-out lists.

    Args:
        synapses: length of each list, int, any shape.
        bits_per_synapse: weight, delay and index bits of one synapse.
        core: group size, overhead and word length.
    """
    group = _whole(core.synapses_per_group, 1)
    full, rest = np.divmod(synapses, group)
    last = np.where(rest > 0, _group_bits(rest, bits_per_synapse, core), 0)
    return np.asarray(full * _group_bits(np.int64(group), bits_per_synapse, core) + last)


def _group_bits(synapses: Array | np.int64, bits_per_synapse: int, core: Lists) -> Array:
    word = _whole(core.word_bits, 1)
    bits = synapses * bits_per_synapse + _whole(core.group_overhead_bits, 0)
    return np.asarray(-(-bits // word) * word)


def index_bits(targets: int, core: Lists) -> int:
    """Return the width of a stored target index for a list over `targets` compartments."""
    needed = max(targets - 1, 1).bit_length()
    return next((bits for bits in core.index_bits if bits >= needed), needed)


def list_bits(
    synapses: Array, targets: int, weight_bits: int, delayed: bool, core: Lists
) -> tuple[int, bool]:
    """Return (bits, dense) of one projection's lists on a core, in its cheaper format.

    Args:
        synapses: how many synapses each in-axon has there; lists of no synapse cost nothing.
        targets: compartments that the lists run over.
        weight_bits: per weight.
        delayed: are delays longer than one step stored.
        core: the formula.
    """
    lengths = np.bincount(synapses)  # lists of equal length cost the same: count, then price
    lengths[:1] = 0
    some = np.flatnonzero(lengths)
    delay = _whole(core.delay_bits, 0) if delayed else 0
    bits = _whole(core.synapse_bits, weight_bits) + delay
    sparse = int((axon_bits(some, bits + index_bits(targets, core), core) * lengths[some]).sum())
    dense = int(axon_bits(np.int64(targets), bits, core)) * int(lengths.sum())
    return min(sparse, dense), dense <= sparse


def _whole(figure: Figure | None, absent: int) -> int:
    return absent if figure is None else figure.whole
