"""Count, from the Program and its slices alone, where every synapse is. For the verifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.image import Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Synapses

FROM_HOST = -1  # where an input is


def cells_of(each: Synapses) -> tuple[Array, Array, Array]:
    """Return (post neuron, pre neuron, weight) of all weights that are not zero."""
    if sp.issparse(each.mantissa):
        matrix = sp.coo_array(each.mantissa)
        post, pre, weight = matrix.row, matrix.col, matrix.data
    else:
        post, pre = np.nonzero(each.mantissa)
        return post, pre, each.mantissa[post, pre]
    used = weight != 0
    return (post, pre, weight) if used.all() else (post[used], pre[used], weight[used])


def cores_of(image: Image) -> dict[str, Array]:
    """Return the core of every neuron, population -> (n,); `FROM_HOST` for inputs."""
    sizes = {name: each.size for name, each in image.program.populations.items()}
    cores = {name: np.full(size, FROM_HOST, np.int64) for name, size in sizes.items()}
    for part in image.slices:
        cores[part.population][part.neurons] = part.core
    return cores


def slices_of(image: Image) -> dict[str, Array]:
    """Return the number of the slice that holds each neuron, population -> int32 (n,)."""
    sizes = {name: each.size for name, each in image.program.populations.items()}
    numbers = {name: np.full(size, -1, np.int32) for name, size in sizes.items()}
    for number, part in enumerate(image.slices):
        numbers[part.population][part.neurons] = number
    return numbers


def synapses_in_slices(image: Image) -> list[sp.csr_array]:
    """Return, per projection, how many synapses each sender has in each slice, (pre, slices)."""
    numbers = slices_of(image)
    found = []
    for each in image.program.synapses:
        post, pre, _ = cells_of(each)
        shape = (image.program.populations[each.pre].size, len(image.slices))
        ones = np.ones(post.size, np.int32)
        found.append(sp.coo_array((ones, (pre, numbers[each.post][post])), shape).tocsr())
    return found


def axons_in(each: Synapses, parts: Sequence[Slice]) -> tuple[Array, Array, Array]:
    """Return (number of the slice, sender, synapses) of all lists of a projection in slices.

    One slice's lists follow the other's, senders ascending in each.
    """
    chosen = [number for number, part in enumerate(parts) if part.population == each.post]
    if not chosen:
        return (np.zeros(0, np.int64),) * 3
    neurons = [parts[number].neurons for number in chosen]
    sizes = np.array([held.size for held in neurons])
    rows, width = each.stored[np.concatenate(neurons)], each.stored.shape[1]
    if not sp.issparse(rows):
        counts = np.add.reduceat(rows != 0, np.cumsum(sizes) - sizes, axis=0, dtype=np.int64)
        place, sender = np.nonzero(counts)
        return np.array(chosen)[place], sender, counts[place, sender]
    kind = np.int32 if len(chosen) * width < 1 << 31 else np.int64
    offset = np.repeat((np.arange(len(chosen)) * width).astype(kind), sizes)
    keys = np.repeat(offset, np.diff(rows.indptr)) + rows.indices
    keys = np.sort(keys if rows.data.all() else keys[rows.data != 0])
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    synapses, keys = np.diff(first, append=keys.size), keys[first]
    cuts = np.searchsorted(keys, np.arange(len(chosen) + 1) * width)
    place = np.repeat(np.arange(len(chosen)), np.diff(cuts))
    return np.array(chosen)[place], keys - place * width, synapses
