"""Programs stepped with registers that have no ends: what u and v would have to hold.

Rules of neurons (thresholds, resets, pauses) are those of `step_integer`; sums, decays and what
is recorded are taken here, in 64 bits, and nothing wraps. The state can be copied from one
sample to another, so a search can look ahead and go on from the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.kinds import STEPS
from spikeport.compiler.program import Cell, Program

Array = np.ndarray[Any, Any]
WIDE = 48  # bits of u and v


def widened(program: Program) -> Program:
    """Return the program with registers that nothing overflows; v_min acts as before."""
    if program.arithmetic.overflow == "unlimited":
        return program
    return replace(
        program, arithmetic=replace(program.arithmetic, overflow="saturate", state_bits=WIDE)
    )


class Walk:
    """One run, step by step, of several samples.

    Attributes:
        state: population -> variable -> (samples, n).
        seen: population -> least and most so far of u, and of v on the way, each (n,).
    """

    def __init__(self, program: Program, samples: int) -> None:
        self.program = program
        self.wide = widened(program).arithmetic
        cells = {name: program.populations[name].cell for name in program.neurons}
        self.state = {name: STEPS[type(x)].start(x, samples) for name, x in cells.items()}
        sizes = {name: pop.size for name, pop in program.populations.items()}
        none = {name: np.zeros((samples, size), np.int64) for name, size in sizes.items()}
        self.past = [none] * max(program.max_delay, 1)
        self.seen = {
            name: [np.zeros(sizes[name], np.int64) for _ in range(4)]
            for name, cell in cells.items()
            if isinstance(cell, Cell)
        }
        self.weights = [self._weight(each) for each in program.synapses]
        self.t = 0

    def _weight(self, synapses: Any) -> Array:
        weight = synapses.rows.toarray().astype(np.int64)
        if self.wide.weight_exp_at == "synapse":
            how = self.wide.weight_truncation
            weight = fixed.effective_weights(weight, synapses.exponent, how)
        return weight.T.astype(float)

    def step(self, sent: Mapping[str, Array], drive: Mapping[str, Array]) -> dict[str, Array]:
        """Take a step; inputs send `sent`, the host writes `drive`; return what all sent."""
        now = {name: np.zeros_like(x) for name, x in self.past[-1].items()} | dict(sent)
        for name in self.program.neurons:
            cell: Any = self.program.populations[name].cell
            since = self.t - cell.start_step
            if since < 0 or since % self.program.slow:
                continue
            received = self._received(name, now)
            bias = drive.get(name, 0)
            known = isinstance(cell, Cell)
            if known:
                bias = bias + (cell.bias_mantissa.astype(np.int64) << cell.bias_exponent)
                self._look(name, cell, received, bias)
            how = self.wide if known else self.program.arithmetic
            now[name] = STEPS[type(cell)].step(cell, how, self.state[name], received, bias)[0]
            if known:
                self._note(name, 2, self.state[name]["v"])
        self.past = [*self.past[1:], now]
        self.t += 1
        return now

    def _received(self, name: str, now: Mapping[str, Array]) -> Array:
        total = np.zeros_like(self.past[-1][name])
        for each, weight in zip(self.program.synapses, self.weights, strict=True):
            if each.post == name:
                before = self.past[-each.delay_steps] if each.delay_steps else now
                arrived = before[each.pre]
                if arrived.any():
                    part = np.rint(arrived @ weight).astype(np.int64)
                    by_sum = self.wide.weight_exp_at == "sum"
                    total = total + (fixed.shift(part, each.exponent) if by_sum else part)
        return total

    def _look(self, name: str, cell: Cell, received: Array, bias: Any) -> None:
        """Note what u and v become in this step before anything is done to them."""
        unity, was = 1 << self.wide.decay_bits, self.state[name]
        up = self.wide.weight_shift if self.wide.weight_exp_at == "sum" else 0

        def kept(x: Array, loss: Array) -> Array:
            return np.sign(x) * (np.abs(x) * (unity - loss.astype(np.int64)) // unity)

        u = kept(was["u"], cell.decay_u + 1) + received * (1 << up)
        self._note(name, 0, u)
        self._note(name, 2, kept(was["v"], cell.decay_v) + u + bias)

    def _note(self, name: str, at: int, values: Array) -> None:
        ends = self.seen[name]
        ends[at] = np.minimum(ends[at], values.min(axis=0))
        ends[at + 1] = np.maximum(ends[at + 1], values.max(axis=0))

    def take(self, samples: Array) -> None:
        """Go on with these samples of the present ones, in this order."""
        self.past = [{name: x[samples] for name, x in some.items()} for some in self.past]
        self.state = {
            name: {key: x[samples] for key, x in local.items()}
            for name, local in self.state.items()
        }
