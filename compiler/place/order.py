"""(H2 writes this file; a stand-in so that place() runs.)"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array


def neuron_order(
    matrices: Sequence[sp.csr_matrix], shape: tuple[int, ...], own: Sequence[sp.csr_matrix] = ()
) -> Array:
    """Return the neurons so that those which read the same inputs are neighbours."""
    numbers = np.arange(int(np.prod(shape)))
    if len(shape) == 3:
        return np.ascontiguousarray(numbers.reshape(shape).transpose(1, 2, 0)).ravel()
    return numbers
