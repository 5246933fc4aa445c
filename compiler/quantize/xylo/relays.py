"""Xylo neurons that only pass on: relays of late spikes, and the neuron that always spikes.

A synaptic current that decays by one bit keeps half of what came. A relay takes that half back
with a synapse from itself, one step later:

    u <- (u + 2k s) / 2 = k s,    v <- u,    spikes s = v / k,    and then  u <- (u - k s + ...) / 2

so it repeats up to 31 spikes exactly, and is at rest again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Synapses
from spikeport.compiler.quantize.xylo.cell import XyloCell
from spikeport.compiler.quantize.xylo.scale import RECURRENT

KINDS = ("Relay",)
#: How many bits the shifts of two matrices may be apart, so that a relay's weights fit 8 bits.
SHIFTS_APART = 5


def relay(
    name: str,
    pop: Population,
    incoming: Sequence[Projection],
    shifts: Mapping[str, int],
    matrix_of: Callable[[Projection], str],
) -> tuple[XyloCell, list[Synapses]]:
    """Return the neurons of a relay, what ends in them, and what they send to themselves.

    Args:
        name: of the population.
        pop: in floats.
        incoming: its projections, which pick neurons.
        shifts: of each matrix of the chip.
        matrix_of: projection -> the matrix that holds it.

    Raises:
        LoweringError: it does something else than to repeat.
    """
    matrices = [sp.csr_matrix(each.matrix) for each in incoming]
    total = sum(np.asarray(abs(each).sum(axis=1)).ravel() for each in matrices)
    ones = all((each.data == 1.0).all() for each in matrices)
    if not pop.cell.spiking or not ones or np.any(total > 1):
        raise LoweringError(
            f"{name!r} adds up what it hears, and passes it on in the same step",
            "a relay on this chip repeats one neuron's spikes",
            "connect what follows it directly to what comes before",
        )
    exponent = max(shifts[RECURRENT], *(shifts[matrix_of(each)] - 1 for each in incoming), 0)
    made = []
    for each, matrix in zip(incoming, matrices, strict=True):
        shift = shifts[matrix_of(each)]
        made.append(
            _synapses(
                each.name, each.pre, name, matrix * 2 ** (exponent + 1 - shift), shift, each.delay
            )
        )
    back = -(2 ** (exponent - shifts[RECURRENT])) * sp.identity(pop.size, format="csr")
    made.append(_synapses(f"{name}.back", name, name, back, shifts[RECURRENT], 1))
    return quiet_cell(pop.size, v_threshold=1 << exponent), made


def bias_neuron() -> XyloCell:
    """Return the neuron that spikes in every step."""
    return quiet_cell(1, bias=1)


def quiet_cell(size: int, v_threshold: int = 1, bias: int = 0) -> XyloCell:
    """Return neurons whose v is their current, which loses half of itself per step."""

    def same(value: int) -> Array:
        return np.full(size, value, np.int32)

    return XyloCell(same(1), same(0), same(v_threshold), same(bias))


def _synapses(
    name: str, pre: str, post: str, matrix: sp.csr_matrix, shift: int, delay: int
) -> Synapses:
    whole = matrix.astype(np.int32)
    return Synapses.of(name, pre, post, whole, shift, "signed", 8, delay)
