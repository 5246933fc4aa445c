"""Swap neurons between slices of one population so that fewer packets are sent.

A spike is one packet for each core that holds a target, so a neuron should be where others read
the same sources. In each round every neuron names the slice where it would cost least, and pairs
that want to change places do (as in Kabiljo et al. 2017, Social Hash Partitioner, whose softened
count is used too: a list of c synapses costs 1 - SOFT**c of a packet). Sizes of slices stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array

ROUNDS = 40
SOFT = 0.25  # 0 would count packets alone, and stop at the first order that no one swap improves
NOISE = 0.4  # packets, in the first round; none in the last
ACCEPTED = 0.6  # share of the pairs that swap in a round: all of them would swing to and fro
WORK = 500_000_000  # synapses times slices times rounds: about 1 s
CELLS = 20_000_000  # neurons times slices of one table


def refine(
    order: Array,
    bounds: Sequence[int],
    matrices: Sequence[sp.csr_matrix],
    own: Sequence[sp.csr_matrix] = (),
    seed: int = 0,
) -> Array:
    """Return an order whose slices at the same bounds receive as many packets or fewer.

    Where there are too many synapses and slices for three rounds the order stays.

    Args:
        order: from `neuron_order`, (n,).
        bounds: places where slices begin and end: 0, ..., n.
        matrices: weights from other populations, each (n, their size); stored zeros count.
        own: weights from the population to itself, each (n, n); no packet is sent inside a slice.
        seed: of the swaps.
    """
    slices = len(bounds) - 1
    synapses = sum(each.nnz for each in (*matrices, *own))
    wide = max([order.size, *(each.shape[1] for each in matrices)])
    rounds = min(ROUNDS, WORK // max(synapses * slices, 1))
    if slices < 2 or not synapses or rounds < 3 or wide * slices > CELLS:
        return order
    inputs, links = [_ones(each) for each in matrices], [_ones(each) for each in own]
    linked = sum(links[1:], start=links[0]).sign() if links else None
    part = np.empty(order.size, np.int64)
    part[order] = np.repeat(np.arange(slices), np.diff(bounds))
    rng = np.random.default_rng(seed)
    best, found = np.inf, part
    for done in np.arange(rounds + 1) / rounds:
        costs, packets = _costs(part, slices, inputs, linked)
        if packets < best:
            best, found = packets, part.copy()
        part = _swapped(part, costs, NOISE * (1 - done), rng)
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    return np.asarray(np.lexsort((place, found)))


def _ones(matrix: sp.csr_matrix) -> sp.csr_matrix:
    return sp.csr_matrix(
        (np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr), matrix.shape
    )


def _costs(
    part: Array, slices: int, inputs: Sequence[sp.csr_matrix], links: sp.csr_matrix | None
) -> tuple[Array, int]:
    """Return softened packets that each neuron would cost in each slice, and packets now."""
    count, packets = np.arange(part.size), 0
    member = np.zeros((part.size, slices), np.float32)
    member[count, part] = 1
    costs = np.zeros_like(member)
    for each in inputs:
        listed = each.T @ member
        packets += int(np.count_nonzero(listed))
        costs += each @ np.power(np.float32(SOFT), listed)
    if links is not None:
        listed = links.T @ member
        packets += int(np.count_nonzero(listed) - np.count_nonzero(listed[count, part]))
        soft = np.power(np.float32(SOFT), listed)
        sent = 1 - soft
        soft[count, part] = 0
        costs += links @ soft
    costs[count, part] /= SOFT  # without the neuron itself its lists are one shorter
    return costs - sent if links is not None else costs, packets


def _swapped(part: Array, costs: Array, noise: float, rng: np.random.Generator) -> Array:
    """Return the slices after neurons that want each other's slice have changed places."""
    count, slices = costs.shape
    everyone = np.arange(count)
    gains = costs[everyone, part][:, None] - costs
    gains += noise * rng.gumbel(size=gains.shape).astype(np.float32)
    gains[everyone, part] = -np.inf
    wanted = gains.argmax(axis=1)
    gain = gains[everyone, wanted]
    back = part > wanted
    pair = np.minimum(part, wanted) * slices + np.maximum(part, wanted)
    order = np.lexsort((-gain, back, pair))
    group = 2 * pair[order] + back[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    rank = everyone - np.repeat(starts, np.diff(starts, append=count))
    key = pair[order] * count + rank
    out, home = order[~back[order]], order[back[order]]
    _, one, other = np.intersect1d(
        key[~back[order]], key[back[order]], assume_unique=True, return_indices=True
    )
    one, other = out[one], home[other]
    agreed = (gain[one] + gain[other] > 0) & (rng.random(one.size) < ACCEPTED)
    one, other = one[agreed], other[agreed]
    after = part.copy()
    after[one], after[other] = part[other], part[one]
    return after
