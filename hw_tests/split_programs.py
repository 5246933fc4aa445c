"""Programs whose projections are split: several synapses with other exponents between one pair.

A weight that 8 bits cannot hold is the sum of a coarse part and of what is left of it, shifted by
an exponent each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse

from spikeport.compiler.program import CellPopulation, Program, Synapses

Array = np.ndarray[Any, Any]
LARGEST = 254  # of an even mantissa of 8 bits with its sign


def split(
    name: str, pre: str, post: str, weights: Array, exponents: Sequence[int], delay: int, form: Any
) -> list[Synapses]:
    """Return a projection in parts, the coarsest first; without a last exponent below 0, exactly.

    Args:
        name: of the projection; parts after the first have a number.
        pre, post: populations.
        weights: (post, pre), in units of the weight of exponent 0.
        exponents: of the parts, descending.
        delay: of all parts, in steps.
        form: what a dense int32 matrix is made into.
    """
    parts, left = [], np.asarray(weights, float)
    for number, exponent in enumerate(exponents, 1):
        even = 2 * np.rint(np.ldexp(left, -exponent) / 2)
        mantissa = np.clip(even, -LARGEST, LARGEST)
        left = left - np.ldexp(mantissa, exponent)
        made = form(mantissa.astype(np.int32))
        part = f"{name} part {number}"
        held = Synapses.of(part, pre, post, made, exponent, "mixed", 8, delay)
        parts.append(_part_of(held, name))
    return parts


def _part_of(synapses: Synapses, name: str) -> Synapses:
    fields = vars(synapses) | {"part_of": name}
    return Synapses(**fields)


def split_program(
    networks: Any, rng: np.random.Generator, exponents: Sequence[int]
) -> tuple[Program, dict[str, Array]]:
    """Return input and bias neuron -> a -> b, which hears itself, all projections split; spikes.

    Args:
        networks: the module of random cells, hw_tests/golden/record_lava.py.
        rng: what is drawn from.
        exponents: of the parts of every projection.
    """
    sizes = {"in": 6, "bias": 1, "a": 7, "b": 5}
    one = {"bias_mantissa": np.ones(1, np.int32), "v_threshold": np.zeros(1, np.int32)}
    still = {"decay_u": np.full(1, 4095, np.int32), "v_initial": np.zeros(1, np.int32)}
    lively = {name: rng.integers(500, 3000, size).astype(np.int32) for name, size in sizes.items()}
    cells = {
        "in": None,
        "bias": networks.cell(rng, 1, **one, **still, bias_exponent=np.zeros(1, np.int32)),
        "a": networks.cell(rng, 7, v_threshold=lively["a"]),
        "b": networks.cell(rng, 5, v_threshold=lively["b"]),
    }
    kinds = {"in": "input", "bias": "constant"}
    populations = {
        name: CellPopulation(kinds.get(name, "CubaLIF"), (size,), cells[name], np.ones(size))
        for name, size in sizes.items()
    }
    forms = (np.asarray, sparse.csr_array)
    synapses: list[Synapses] = []
    for pre, post in (("in", "a"), ("bias", "a"), ("a", "b"), ("b", "b"), ("bias", "b")):
        weights = rng.integers(-9000, 15000, (sizes[post], sizes[pre])) // 2 * 2
        weights = weights * (rng.random(weights.shape) < rng.choice([0.3, 1.0]))
        delay = int(rng.choice([1, 1, 2, 3]))
        form = forms[int(rng.integers(2))]
        synapses += split(f"{pre}-{post}", pre, post, weights, exponents, delay, form)
    lags = {"a": 1, "b": 2}
    program = Program(1e-3, populations, tuple(synapses), {"out": "b"}, lags, name="split")
    x = (rng.random((2, 30, sizes["in"])) < rng.choice([0.1, 0.4])).astype(np.uint8)
    return program, {"in": x}
