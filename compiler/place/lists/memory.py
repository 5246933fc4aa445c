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
    lengths: Array,
    starts: Array,
    targets: Array,
    weight_bits: int,
    delayed: bool,
    core: Lists,
) -> tuple[Array, Array]:
    """Return (bits, dense) of one projection's lists in each slice, in its cheaper format.

    Args:
        lengths: synapses of each in-axon, slice by slice, none 0, int (n,).
        starts: where the in-axons of each slice begin, and the end, (slices + 1,).
        targets: compartments of each slice, (slices,).
        weight_bits: per weight.
        delayed: are delays longer than one step stored.
        core: the formula.
    """
    delay = _whole(core.delay_bits, 0) if delayed else 0
    bits = _whole(core.synapse_bits, weight_bits) + delay
    dense = axon_bits(targets, bits, core) * np.diff(starts)
    sparse = np.zeros_like(dense)
    longest = np.arange(int(lengths.max(initial=0)) + 1)
    widths = np.array([index_bits(count, core) for count in targets.tolist()], np.int64)
    some = starts[:-1] < starts[1:]
    for width in np.unique(widths[some]).tolist():
        each = axon_bits(longest, bits + width, core)[lengths]  # lists of equal length cost alike
        sums = np.add.reduceat(each, starts[:-1][some])
        sparse[some] = np.where(widths[some] == width, sums, sparse[some])
    return np.minimum(sparse, dense), dense <= sparse


def _whole(figure: Figure | None, absent: int) -> int:
    return absent if figure is None else figure.whole
