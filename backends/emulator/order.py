"""The order in which the engine keeps the neurons of a population.

Those of one core lie together, so that what a core does is counted by the stretch; maps go by
position with the channels innermost, so that the targets of a convolution are neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Program


def place_order(program: Program, name: str, home: Mapping[str, Array]) -> Array | None:
    """Return the neuron at each place, int32 (n,); None where neurons stay as they are numbered.

    Args:
        program: what runs.
        name: of a population.
        home: population -> core of each neuron; empty where there are no cores.
    """
    population = program.populations[name]
    if population.cell is None or program.arithmetic.weight_exp_at == "event":
        return None  # events that saturate one by one come in the neurons' own order
    order = np.arange(population.size, dtype=np.int32)
    if len(population.shape) == 3:
        order = np.ascontiguousarray(order.reshape(population.shape).transpose(1, 2, 0)).ravel()
    if name in home:
        _, first, core = np.unique(home[name][order], return_index=True, return_inverse=True)
        order = order[np.argsort(first[core], kind="stable")]  # cores as they come: often no change
    return None if (np.diff(order) == 1).all() else order


def inverse(order: Array | None) -> Array | None:
    """Return the place of each neuron, int32 (n,)."""
    if order is None:
        return None
    place = np.empty_like(order)
    place[order] = np.arange(order.size, dtype=order.dtype)
    return place
