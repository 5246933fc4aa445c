"""Which module computes with an array: NumPy, or jax.numpy where a network is trained.

A step of a neuron is written once, in functions that both have (the Python array API standard);
what runs it decides what it is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace(*arrays: Any) -> Any:
    """Return the module of the first array that is not NumPy's, else NumPy.

    >>> namespace(np.zeros(3), 1.0) is np
    True
    """
    for array in arrays:
        if not isinstance(array, np.ndarray | np.generic | float | int):
            return array.__array_namespace__()
    return np


def is_known(array: Any) -> bool:
    """Can values be looked at: not where a derivative or a compiled step is being traced."""
    return isinstance(array, np.ndarray | np.generic | float | int)
