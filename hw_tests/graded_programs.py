"""Random integer networks for a chip with graded messages: every way to reset, spike and send.

Values are drawn from what the registers hold, ends included; networks are small, recurrent, and
lively enough for every rule to matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.program import GRADED, Cell, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.compiler.semantics import CHOICES

Array = np.ndarray[Any, Any]
TOP = (1 << 31) - 1
MESSAGE_BITS = 16
ANALOG = ({"message_shift": 9}, {"message_shift": 20}, {"message_shift": 1}, {"message_bits": 0})


@dataclass(frozen=True, eq=False)
class Run:
    """A network, its input and how many steps to take."""

    program: Program
    inputs: dict[str, Array]
    steps: int


def spiking_rules() -> Iterator[dict[str, Any]]:
    """Yield every combination of the rules by which a neuron spikes and is reset."""
    names = ("reset", "reset_when", "spike", "threshold")
    for values in itertools.product(*(CHOICES[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def analog_rules() -> Iterator[dict[str, Any]]:
    """Yield neurons that send v in messages of several widths, and one that sends nothing."""
    for given in ANALOG:
        yield {"reset": "none", "spiking": False, **given}


def random_cell(rng: np.random.Generator, size: int, rules: dict[str, Any]) -> Cell:
    """Return registers for `rules`; one cell in five is wild, with registers at their ends."""

    def draw(low: int, high: int, *ends: int) -> Array:
        values = rng.integers(low, high + 1, size)
        if ends:
            values = np.where(rng.random(size) < 0.2, rng.choice(ends, size), values)
        return values.astype(np.int32)

    wild = rng.random() < 0.2
    counts = rules.get("spike") == "count"
    sends = counts or not rules.get("spiking", True)
    registers = {
        "decay_u": draw(0, 4095, 0, 4095),
        "decay_v": draw(0, 4096, 0, 4096),
        "v_threshold": draw(1 << 20, 1 << 25) if wild else draw(60 if counts else 0, 900),
        "bias_mantissa": draw(-4095, 4095) if wild else draw(-20, 250, 0),
        "bias_exponent": draw(0, 7),
        "v_reset": draw(-20_000, 20_000, 0),
        "v_initial": draw(-TOP, TOP, TOP, -TOP) if wild else draw(-50_000, 50_000, 0),
        "v_min": rng.choice([-TOP, -TOP, -500, 100], size).astype(np.int32),
        "refractory_steps": rng.choice([1, 1, 2, 4], size).astype(np.int32),
    }
    bits = {"message_bits": MESSAGE_BITS if sends else 0}
    return Cell(**registers, **(bits | rules))


def random_run(
    rng: np.random.Generator, first: dict[str, Any], second: dict[str, Any], **whole: Any
) -> Run:
    """Return in -> a -> b with a loop around each and back; `whole` are fields of the Program."""
    sizes = {"in": 3, "a": int(rng.integers(1, 5)), "b": int(rng.integers(1, 5))}
    cells = {"in": None, "a": random_cell(rng, sizes["a"], first)}
    cells["b"] = random_cell(rng, sizes["b"], second)
    populations = {
        name: CellPopulation("input" if cell is None else "CubaLIF", (sizes[name],), cell,
                             np.ones(sizes[name]))
        for name, cell in cells.items()
    }  # fmt: skip
    synapses = []
    for pre, post in (("in", "a"), ("a", "b"), ("a", "a"), ("b", "a"), ("in", "b")):
        weight = 2 * rng.integers(-70, 128, (sizes[post], sizes[pre]))
        sender = cells[pre]
        analog = sender is not None and not sender.spiking
        exponent = int(rng.choice([-12, -8] if analog else [-2, 0]))
        delay = int(rng.choice([1, 3])) * whole.get("slow", 1)
        synapses.append(
            Synapses.of(f"{pre}-{post}", pre, post, weight.astype(np.int32), exponent, "mixed",
                     delay_steps=delay)
        )  # fmt: skip
    program = Program(
        1e-3, populations, tuple(synapses), {"out": "b"}, {"a": 0, "b": 0}, GRADED,
        message_bits=MESSAGE_BITS, **whole,
    )  # fmt: skip
    x = rng.integers(0, 3, (2, 16, 3))
    x[rng.random(x.shape) < 0.02] = (1 << (MESSAGE_BITS - 1)) - 1
    return Run(program, {"in": x}, 16 * whole.get("slow", 1))


def ties(rules: dict[str, Any]) -> Run:
    """Return three neurons that nothing moves: v is once, twice the threshold, and just beside."""
    theta = np.full(3, 50, np.int32)
    v = np.array([3200, 6400, 3201], np.int32)
    bits = MESSAGE_BITS if rules["spike"] == "count" else 0
    cell = neutral_cell(3, v_threshold=theta, v_initial=v, message_bits=bits, **rules)
    populations = {
        "in": CellPopulation("input", (1,), None, np.ones(1)),
        "a": CellPopulation("IF", (3,), cell, np.ones(3)),
    }
    silent = Synapses.of("in-a", "in", "a", np.zeros((3, 1), np.int32), 0, "mixed")
    program = Program(
        1e-3, populations, (silent,), {"out": "a"}, {}, GRADED, message_bits=MESSAGE_BITS
    )
    return Run(program, {"in": np.zeros((1, 4, 1), np.int64)}, 4)
