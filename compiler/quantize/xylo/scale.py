"""How large Xylo's integers are: one shift per matrix, one scale per neuron.

A neuron's weights, threshold and bias may be multiplied by any number together: it spikes all the
same. So each neuron gets the largest scale that its weights, its threshold and its states leave
it, at given shifts; and those shifts are taken at which rounded weights and decaying states lose
least.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.kinds import Array
from spikeport.compiler.quantize.xylo.cell import LARGEST

#: Matrices of the chip; each has one left shift for all its weights.
INPUT, RECURRENT, OUTPUT = "input", "recurrent", "output"
#: Largest weights that are tried, beside the largest of all: few bits round evenly shared weights
#: exactly.
FRACTIONS = (1.0, 126 / 127, 124 / 127, 120 / 127, 112 / 127, 96 / 127, 64 / 127)
#: Units that the rounding of a state counts for per step, against errors of weights. A decay
#: rounds half a unit away at most; with a quarter of that, random networks lost fewest spikes.
ROUNDED = 1 / 8
SAMPLED = 20_000  # weights of a projection that are looked at to choose


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a population wants of the scale, in floats.

    Attributes:
        matrices: of each projection that ends there: which of the chip's matrices, weights as
            they add to u, (n, pre), and must they be even.
        v_threshold: (n,).
        bounds: largest scale that states and registers allow, (n,).
        steps: for how many steps v remembers what rounding takes from the current, (n,).
    """

    matrices: tuple[tuple[str, Any, bool], ...]
    v_threshold: Array
    bounds: Array
    steps: Array


def choose_scales(
    wanted: Mapping[str, Wanted],
    chip: Chip,
    allow: Callable[[Mapping[str, int]], bool] = lambda shifts: True,
) -> tuple[dict[str, int], dict[str, Array]]:
    """Return the shift of each matrix, and the scale of each population's neurons, (n,).

    Args:
        wanted: of the populations that share matrices.
        chip: its weights and shifts.
        allow: may the matrices be shifted so.
    """
    used = sorted({each[0] for every in wanted.values() for each in every.matrices})
    allowed = range(chip.limits.weight_exponent.low, chip.limits.weight_exponent.high + 1)
    top = (1 << (chip.limits.weight_bits.whole - 1)) - 1
    small = {name: [_rows(m) for m in each.matrices] for name, each in wanted.items()}
    best: tuple[float, dict[str, int], dict[str, Array]] | None = None
    for chosen in itertools.product(allowed, repeat=len(used)):
        shifts = dict(zip(used, chosen, strict=True))
        if not allow(shifts):
            continue
        scales, lost = {}, 0.0
        for name, each in wanted.items():
            scales[name], worst = _scale(each, small[name], shifts, top)
            lost += worst
        if best is None or lost < best[0]:
            best = lost, shifts, scales
    return ({}, {}) if best is None else best[1:]


def _rows(projection: tuple[str, Any, bool]) -> tuple[str, int, Array, Array]:
    """Return (matrix, bits that stay 0, largest weight of each neuron, some of them (n, few))."""
    which, matrix, even = projection
    size = abs(matrix).max(axis=1)
    largest = size.toarray().ravel() if sp.issparse(size) else np.asarray(size).ravel()
    step = max(1, matrix.shape[0] * matrix.shape[1] // SAMPLED)
    some = matrix[:, ::step]
    return which, int(even), largest, some.toarray() if sp.issparse(some) else np.asarray(some)


def _scale(
    wanted: Wanted,
    matrices: Sequence[tuple[str, int, Array, Array]],
    shifts: Mapping[str, int],
    top: int,
) -> tuple[Array, float]:
    """Return the scale of each neuron at these shifts, and what is lost at it, relative."""
    most = wanted.bounds.copy()
    for which, zeros, largest, _ in matrices:
        room = (top >> zeros) * 2.0 ** (shifts[which] + zeros)
        most = np.minimum(most, np.divide(room, largest, out=most.copy(), where=largest > 0))
    best = most
    least = np.full(most.size, np.inf)
    for fraction in FRACTIONS:
        scale = on_threshold(most * fraction, wanted.v_threshold)
        error = (ROUNDED * wanted.steps / (scale * wanted.v_threshold)) ** 2
        for which, zeros, largest, weights in matrices:
            step = (2.0 ** (shifts[which] + zeros) / scale)[:, None]
            wrong = np.rint(weights / step) * step - weights
            size = np.maximum((weights**2).sum(axis=1), 1e-300)
            error = error + np.where(largest > 0, (wrong**2).sum(axis=1) / size, 0.0)
        better = error < least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best, float(least.mean())


def on_threshold(scale: Array, v_threshold: Array) -> Array:
    """Return scales a little smaller, at which the threshold is a whole number."""
    whole = np.clip(np.floor(scale * v_threshold + 1e-9), 1, LARGEST)
    return np.asarray(whole / v_threshold)
