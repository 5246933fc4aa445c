"""Count, from the Program and its slices alone, where every synapse is. For the verifier."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.image import Image
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
