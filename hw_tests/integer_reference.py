"""The integers of a network without retiming: slow, one neuron at a time, in Python's integers.

A chip delivers a spike one step later at the earliest; retiming makes a network fit that. Here a
spike may act in the step in which it is sent, so a Program quantized from the network *before*
retiming runs as the float reference does: in topological order. The retimed Program on the
emulator has to do the same in integers, each population `lag` steps later. Nothing of the
emulator is used here: not its steps, not its products, not its rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.program import Arithmetic, Cell, Program, Synapses

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Ran:
    """What happened: population -> (samples, steps, n), int64.

    Attributes:
        sent: spikes, counts, or the message of an analog population.
        u, v: after the step (v after its reset); populations with state only.
    """

    sent: dict[str, Array]
    u: dict[str, Array]
    v: dict[str, Array]


def run_integers(program: Program, inputs: Mapping[str, Array], steps: int) -> Ran:
    """Run a Program whose delays may be 0.

    Args:
        program: from `quantize` of a network that was not retimed.
        inputs: input population -> (samples, steps, n); zeros follow.
        steps: to take.
    """
    samples = len(next(iter(inputs.values())))
    sizes = {name: pop.size for name, pop in program.populations.items()}
    sent = {name: np.zeros((samples, steps, size), np.int64) for name, size in sizes.items()}
    u = {name: np.zeros((samples, steps, sizes[name]), np.int64) for name in program.neurons}
    v = {name: np.zeros((samples, steps, sizes[name]), np.int64) for name in program.neurons}
    for name, given in inputs.items():
        sent[name][:, : given.shape[1]] = given[:, :steps]
    paths = {name: [_Path(each, program) for each in program.into(name)] for name in u}
    for sample in range(samples):
        cells = {name: _cells(program, name) for name in program.neurons}
        for t in range(steps):
            for name in in_order(program):
                received = sum(
                    (each.deliver(sent[each.pre][sample], t) for each in paths[name]),
                    np.zeros(sizes[name], np.int64),
                )
                for k, neuron in enumerate(cells[name]):
                    sent[name][sample, t, k] = neuron.step(int(received[k]))
                    u[name][sample, t, k], v[name][sample, t, k] = neuron.u, neuron.v
    return Ran(sent, u, v)


def in_order(program: Program) -> list[str]:
    """Return the populations with state, each behind those that reach it within the step."""
    before = {
        name: [each.pre for each in program.into(name) if each.delay_steps == 0]
        for name in program.neurons
    }
    return [name for name in TopologicalSorter(before).static_order() if name in before]


class _Path:
    """One projection: weighs what was sent `delay_steps` ago."""

    def __init__(self, synapses: Synapses, program: Program) -> None:
        stored = synapses.mantissa
        dense = stored.toarray() if sp.issparse(stored) else stored
        self.weight = dense.astype(np.int64)
        self.pre, self.delay, self.exponent = synapses.pre, synapses.delay_steps, synapses.exponent
        self.graded = program.largest_message(synapses.pre) > 1

    def deliver(self, sent: Array, t: int) -> Array:
        """Return what arrives in step t, in weight units; `sent` is (steps, n)."""
        if t < self.delay:
            return np.zeros(len(self.weight), np.int64)
        total = self.weight @ sent[t - self.delay]
        if self.graded:  # such sums are taken in 32 bits
            total = np.array([_int32(int(each)) for each in total], np.int64)
        return np.array([_times_power(int(each), self.exponent) for each in total], np.int64)


class _Neuron:
    """One compartment; hardware.md section 2, and `Semantics` for what a graded chip adds."""

    def __init__(self, cell: Cell, arithmetic: Arithmetic, k: int) -> None:
        if arithmetic.overflow not in ("lava", "saturate") or arithmetic.weight_exp_at != "sum":
            raise NotImplementedError(f"{arithmetic}")
        self.cell = cell
        self.wide = arithmetic.state_bits == 32
        self.top = 2 ** (arithmetic.state_bits - 1) - 1
        self.keep_u = 4096 - (int(cell.decay_u[k]) + 1)
        self.keep_v = 4096 - int(cell.decay_v[k])
        self.bias = int(cell.bias_mantissa[k]) * 2 ** int(cell.bias_exponent[k])
        self.theta = int(cell.v_threshold[k]) * 64
        self.v_reset, self.v_min = int(cell.v_reset[k]), int(cell.v_min[k])
        self.pause = int(cell.refractory_steps[k]) - 1
        self.u, self.v = 0, int(cell.v_initial[k])
        self.waits, self.owed = 0, 0

    def step(self, received: int) -> int:
        """Take one step; return what is sent."""
        before, held = self.v, self.waits > 0
        self.u = self._current(_decayed(self.u, self.keep_u) + received * 64)
        if not held:
            self.v = self._voltage(_decayed(self.v, self.keep_v) + self.u + self.bias)
        if self.cell.reset_when == "next_step":
            self._reset(self.owed)
        self.v = max(self.v, self.v_min)
        self.waits = max(self.waits - 1, 0)
        if not self.cell.spiking:
            return self._message()
        spikes = 0 if held else self._spikes(self._judged(before))
        if self.cell.reset_when == "next_step":
            self.owed = spikes
        else:
            self._reset(spikes)
        if spikes and self.pause:
            self.waits = self.pause
        return spikes

    def _current(self, total: int) -> int:
        """Return u in its bits: Lava's wrap of one period, or the end of a wide register."""
        if self.wide:
            return max(-self.top, min(total, self.top))
        total = _int32(total)
        if total > 2**23:
            return total - 2**24
        return total + 2**24 if total <= -(2**23) else total

    def _voltage(self, total: int) -> int:
        """Return v in its bits: it stops at their end."""
        total = total if self.wide else _int32(total)
        return max(-self.top, min(total, self.top))

    def _judged(self, before: int) -> int:
        """Return what is held against the threshold."""
        late = self.cell.reset_when == "next_step"
        if self.cell.reset != "subtract_snntorch" or late:
            return self.v
        return self.v - self._spikes(before) * self.theta

    def _spikes(self, v: int) -> int:
        ties = self.cell.threshold == "greater_equal"
        if self.cell.spike == "binary":
            return int(v >= self.theta if ties else v > self.theta)
        most, count = 2 ** (self.cell.message_bits - 1) - 1, 0
        while count < most and (count + 1) * self.theta < v + ties:
            count += 1
        return count

    def _reset(self, spikes: int) -> None:
        if spikes and self.cell.reset == "to_value":
            self.v = self.v_reset
        if self.cell.reset in ("subtract", "subtract_snntorch"):
            self.v -= spikes * self.theta

    def _message(self) -> int:
        """Return v in the bits of a message, the lost ones rounded half up."""
        if not self.cell.message_bits:
            return 0
        step = 2**self.cell.message_shift
        most = 2 ** (self.cell.message_bits - 1) - 1
        return max(-most, min((2 * self.v + step) // (2 * step), most))


def _cells(program: Program, name: str) -> list[_Neuron]:
    pop = program.populations[name]
    assert pop.cell is not None
    return [_Neuron(pop.cell, program.arithmetic, k) for k in range(pop.size)]


def _decayed(state: int, keep: int) -> int:
    """Return state * keep / 4096, rounded toward zero."""
    return state * keep // 4096 if state >= 0 else -(-state * keep // 4096)


def _times_power(value: int, exponent: int) -> int:
    """Return value * 2**exponent, rounded down."""
    return value * 2**exponent if exponent >= 0 else value // 2**-exponent


def _int32(value: int) -> int:
    """Return value as a 32-bit register holds it."""
    return (value + 2**31) % 2**32 - 2**31
