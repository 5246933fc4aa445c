"""One neuron stepped again: in floats under any mixture of parameters, and in the chip's integers.

Before the step in which two worlds first differ the neuron spiked alike in both, so in floats
its spikes are given and only v is asked for. v depends on each parameter by itself then: no
spike that comes or goes on the way hides one behind another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Clocked, Membrane
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.measure.dequantize import effective, without_floor
from spikeport.compiler.program import Arithmetic, Cell, Program, Synapses


@dataclass(frozen=True, eq=False)
class Variant:
    """One neuron and everything that reaches it.

    Attributes:
        cell: its parameters, arrays of shape (1,).
        received: sum of what arrives in each step, (steps,).
        added: to v in each step, by the host, (steps,).
        start: first step in which it moves; `at`: the step that is asked for.
    """

    cell: Membrane
    received: Array
    added: Array
    start: int
    at: int


@dataclass(frozen=True)
class Outcome:
    """v before a reset in the step that was asked for, its threshold, and the spikes sent."""

    v: float
    threshold: float
    spikes: int

    @property
    def margin(self) -> float:
        """How far v is above the threshold."""
        return self.v - self.threshold


def in_floats(variants: Sequence[Variant], spiked: Array) -> list[Outcome]:
    """Step all variants at once, each of them with the same spikes.

    Args:
        variants: of one neuron.
        spiked: what it sent in each step, (steps,).
    """
    cells = [each.cell for each in variants]

    def of(field: str) -> Array:
        each = [np.atleast_1d(getattr(cell, field)) for cell in cells]
        return np.asarray(np.concatenate(each), float)

    keep_u, keep_v, gain_u, gain_v = map(of, ("keep_u", "keep_v", "gain_u", "gain_v"))
    theta, level, floor, drive = map(of, ("v_threshold", "v_reset", "v_min", "drive_v"))
    keep_u = np.where([cell.has_current for cell in cells], keep_u, 0.0)
    to_value = np.array([cell.reset == "to_value" for cell in cells])
    subtracted = np.where([cell.reset.startswith("subtract") for cell in cells], theta, 0.0)
    late = np.array([cell.reset_when == "next_step" for cell in cells])
    pauses, start = of("refractory_steps"), np.array([each.start for each in variants])
    at = np.array([each.at for each in variants])
    received, added = (
        np.stack([getattr(each, name) for each in variants]) for name in ("received", "added")
    )

    def reset(v: Array, spikes: float, which: Array) -> Array:
        down = np.where(to_value, level, v - spikes * subtracted)
        return np.where(which, down, v) if spikes else v

    u, v, held = np.zeros(len(cells)), of("v_initial"), np.zeros(len(cells))
    asked, before, paused = v.copy(), v.copy(), held > 0
    for t in range(int(at.max()) + 1):
        moves = t >= start
        u = np.where(moves, keep_u * u + gain_u * received[:, t], u)
        moved = keep_v * v + gain_v * u + drive + added[:, t]
        last = v
        v = np.where(moves & (held == 0), moved, v)
        v = reset(v, float(spiked[t - 1]) if t else 0.0, late & moves)
        v = np.where(moves, np.maximum(v, floor), v)
        asked, before = np.where(at == t, v, asked), np.where(at == t, last, before)
        paused = np.where(at == t, held > 0, paused)
        held = np.maximum(held - 1, 0)
        v = reset(v, float(spiked[t]), ~late & moves)
        held = np.where(moves, pauses, held) if spiked[t] else held
    return [
        _judged(cell, *values)
        for cell, *values in zip(
            cells, asked.tolist(), before.tolist(), theta.tolist(), paused.tolist(), strict=True
        )
    ]


def _judged(cell: Membrane, v: float, before: float, theta: float, held: bool) -> Outcome:
    """Return what a neuron sends for a v; see `models.neurons.membrane`."""
    if cell.reset == "subtract_snntorch" and cell.reset_when == "same_step":
        v -= theta * (before > theta)
    if held or not cell.spiking:
        return Outcome(v, theta, 0)
    if cell.spike == "count":
        count = int(np.floor(v / theta))
        count -= cell.threshold == "greater" and count * theta == v
        return Outcome(v, theta, max(count, 0))
    above = v >= theta if cell.threshold == "greater_equal" else v > theta
    return Outcome(v, theta, int(above))


def variant(
    network: Clocked,
    name: str,
    sent: Mapping[str, Array],
    steps: int,
    at: int,
    written: Array | None,
    by_host: frozenset[str],
) -> Variant:
    """Return the neuron of a network that was cut to it.

    Args:
        network: with one row of weights per projection.
        name: of its population.
        sent: what every source sends, (steps, n).
        steps: how many there are.
        at: the step that is asked for.
        written: by the host to v in each step, in the place of the projections `by_host`.
        by_host: their names.
    """
    received = np.zeros(steps)
    for each in network.into(name):
        if written is None or each.name not in by_host:
            arriving = np.asarray(sent[each.pre][:steps] @ np.asarray(each.matrix)[0])
            received[each.delay :] += arriving[: max(steps - each.delay, 0)]
    population = network.populations[name]
    added = np.zeros(steps) if written is None else written
    return Variant(population.cell, received, added, population.start_step, at)


def alone(network: Clocked, name: str, neuron: int) -> Clocked:
    """Return a network cut to one neuron and its sources, each projection a row (1, pre)."""
    population = network.populations[name]
    one: dict[str, Any] = {
        key: value[neuron : neuron + 1].copy()
        for key, value in vars(population.cell).items()
        if isinstance(value, np.ndarray)
    }
    small = replace(population, shape=(1,), membrane=replace(population.cell, **one))
    projections = tuple(
        replace(each, matrix=_row(each.matrix, neuron)[None], conv=None)
        for each in network.into(name)
    )
    senders = {each.pre for each in projections} - {name}
    populations = {
        other: replace(pop, membrane=None)
        for other, pop in network.populations.items()
        if other in senders
    }
    return replace(network, populations={**populations, name: small}, projections=projections)


def in_integers(
    program: Program,
    name: str,
    neuron: int,
    sent: Mapping[str, Array],
    written: Array,
    at: int,
    arithmetic: Arithmetic,
) -> tuple[float, float]:
    """Step a neuron of the chip alone, with its own step.

    Args:
        program: its integers.
        name, neuron: which.
        sent: messages of every source, int64, (steps, n).
        written: by the host to v in each step, int64, (steps,).
        at: the step that is asked for.
        arithmetic: the program's, or a wider one.

    Returns:
        v before a reset in that step, and the largest |u| until then.
    """
    population = program.populations[name]
    if population.cell is None:
        raise TypeError(f"{name!r} has no state on the chip")
    cell = _one(population.cell, neuron)
    if arithmetic != program.arithmetic:
        cell = without_floor(cell, program.arithmetic)
    steps = STEPS[Cell]
    state = steps.start(cell, 1)
    received = np.zeros(at + 1, np.int64)
    for each in program.into(name):
        arriving = _arriving(each, program, neuron, sent[each.pre])[: at + 1]
        received[each.delay_steps :] += arriving[: max(at + 1 - each.delay_steps, 0)]
    register = int(cell.bias_mantissa[0]) << int(cell.bias_exponent[0])
    unity, most = 1 << arithmetic.decay_bits, arithmetic.largest_state
    asked, largest = float(cell.v_initial[0]), 0
    for t in range(cell.start_step, at + 1):
        before, held = state["v"].copy(), bool(state["refractory"][0, 0])
        bias = np.full((1, 1), register + int(written[t]))
        steps.step(cell, arithmetic, state, np.full((1, 1), received[t]), bias)
        largest = max(largest, abs(int(state["u"][0, 0])))
        left = fixed.decay(before, unity - cell.decay_v.astype(np.int64), arithmetic.decay_bits)
        moved = int((left + state["u"] + bias)[0, 0])
        asked = float(before[0, 0] if held else max(min(moved, most), -most))
    return asked, float(largest)


def _one(cell: Cell, neuron: int) -> Cell:
    """Return the registers of one neuron."""
    one: dict[str, Any] = {
        key: value[neuron : neuron + 1].copy()
        for key, value in vars(cell).items()
        if isinstance(value, np.ndarray)
    }
    return replace(cell, **one)


def _arriving(synapses: Synapses, program: Program, neuron: int, sent: Array) -> Array:
    """Return what synapses bring a neuron of each step's messages, in units of its step."""
    by_synapse = program.arithmetic.weight_exp_at == "synapse"
    whole = effective(synapses, program.arithmetic) if by_synapse else synapses.mantissa
    row = np.rint(_row(whole, neuron)).astype(np.int64)
    total = np.asarray(sent.astype(np.int64) @ row)
    if program.largest_message(synapses.pre) > 1:
        total = fixed.wrap_int32(total)
    return total if by_synapse else fixed.shift(total, synapses.exponent)


def _row(matrix: Any, neuron: int) -> Array:
    if sp.issparse(matrix):
        return np.asarray(sp.csr_matrix(matrix)[neuron].toarray()).ravel().astype(float)
    return np.asarray(matrix[neuron], float)
