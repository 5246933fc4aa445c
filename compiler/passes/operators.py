"""What a stateless node does to its input, as a matrix and a bias."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    Linear,
    Scale,
    Shape,
    SumPool2d,
)
from spikeport.compiler.passes.convolution import (
    MOST_SYNAPSES,
    conv_matrix,
    convolution_of,
    pool_matrix,
)


def operator(node: Any, shape: Shape) -> tuple[Any, Array | None]:
    """Return (matrix, bias) of a node on inputs of `shape`, numbered in C order.

    None stands for the identity, and for no bias. A matrix is a dense or a CSR array.

    Raises:
        GraphError: the matrix would be too large, or nobody knows such a node.
    """
    match node:
        case Flatten():
            return None, None
        case Linear():
            return _on_last_dimension(node.weight, shape), None
        case Affine():
            times = math.prod(shape[:-1])
            return _on_last_dimension(node.weight, shape), np.tile(node.bias, times)
        case Scale():
            return sp.diags(np.broadcast_to(node.scale, shape).ravel(), format="csr"), None
        case SumPool2d() | AvgPool2d():
            return pool_matrix(node, shape), None
        case Conv1d() | Conv2d():
            geometry = convolution_of(node, shape)
            places = geometry.output_shape[1] * geometry.output_shape[2]
            return conv_matrix(geometry), np.repeat(node.bias, places)
    raise GraphError(f"no rule folds a {type(node).__name__}")


def _on_last_dimension(weight: Array, shape: Shape) -> Any:
    times = math.prod(shape[:-1])
    if times == 1:
        return weight
    if times * weight.size > MOST_SYNAPSES:
        raise GraphError(
            f"its matrix has {times * weight.size} entries",
            f"it acts on each of the {times} rows of {shape}; the limit is {MOST_SYNAPSES}",
            "put a Flatten or a pool before it",
        )
    return sp.kron(sp.identity(times), weight, format="csr")
