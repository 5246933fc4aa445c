"""How v becomes spikes: the one place where a step is not smooth.

The steps of neuron kinds take a `Spiking`. `EXACT` is what every run uses; the trainer has others
with the same values, whose derivatives are not zero (models/training/surrogate.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.namespace import namespace


@dataclass(frozen=True)
class Spiking:
    """Functions of arrays that broadcast against each other.

    Attributes:
        above: (v, theta, condition) -> 1 where v > theta (`greater`) or v >= theta
            (`greater_equal`), else 0.
        multiples: (v, theta, condition) -> how many thresholds v is worth, 0 at least.
        stopped: value -> the same value, through which no derivative goes: a reset follows from
            spikes, it is not a way to make them.
    """

    above: Callable[[Array, Array, str], Array]
    multiples: Callable[[Array, Array, str], Array]
    stopped: Callable[[Array], Array]


def above(v: Array, theta: Array, condition: str) -> Array:
    """Return 1 where v is above (or at) theta, int64.

    >>> above(np.array([0.5, 1.0, 2.0]), np.array(1.0), "greater").tolist()
    [0, 0, 1]
    """
    spikes = v >= theta if condition == "greater_equal" else v > theta
    return np.asarray(spikes, np.int64)


def whole_multiples(v: Array, theta: Array, condition: str) -> Array:
    """Return floor(v / theta), 0 at least, without the last where v is exactly a multiple.

    >>> whole_multiples(np.array([-1.0, 2.0, 2.5]), np.array(1.0), "greater").tolist()
    [0.0, 1.0, 2.0]
    """
    xp = namespace(v)
    with np.errstate(invalid="ignore"):
        count: Array = xp.floor(v / theta)
    if condition == "greater":
        count = xp.where(count * theta == v, count - 1, count)
    positive: Array = xp.maximum(count, 0)
    return positive


EXACT = Spiking(
    above,
    lambda v, theta, condition: np.asarray(whole_multiples(v, theta, condition), np.int64),
    lambda value: value,
)
