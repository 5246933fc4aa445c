"""How far a state can go, step by step, in one direction: u, and v between its reset and its clamp.

v is bounded twice from either side, and the closer bound holds: as a state that forgets in the
same way, and by what ends it: from above the reset, from below the clamp `v_min`. Where nothing
does (an integrator that loses nothing and has no floor) v moves by at most so much in a step.
A step that a neuron is held in changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Arithmetic, Cell

FOREVER = 1 << 62


@dataclass(frozen=True, eq=False)
class Way:
    """A bound of a state from one side: it starts at `start` and moves by `push` in a step.

    Both count in the direction of the bound, (n,) int64. A state that loses `loss` of every
    `unity` goes no further than where it loses what it gains.
    """

    start: Array
    push: Array
    loss: Array
    unity: int
    endless: int

    @property
    def end(self) -> Array:
        """The furthest that it ever goes, `endless` where it goes on."""
        push = np.maximum(self.push, 0)
        meets = (push - 1) * self.unity // np.maximum(self.loss, 1) + 1
        meets = np.where(self.loss > 0, meets, np.where(push > 0, self.endless, 0))
        return np.asarray(np.clip(meets, self.start, self.endless))

    def after(self, steps: int | None) -> Array:
        """Return how far it goes in some steps; None: in any number."""
        if steps is None:
            return self.end
        steps = min(max(steps, 0), self.endless)
        push = np.clip(self.push, 0, self.endless // max(steps, 1) + 1)
        return np.asarray(np.minimum(self.end, self.start + steps * push))

    def steps_within(self, room: Array) -> Array:
        """Return after how many steps it may first pass `room`; -1: it starts beyond."""
        some = (room - self.start) // np.maximum(self.push, 1)
        some = np.where(self.start > room, -1, some)
        return np.asarray(np.where(self.end <= room, FOREVER, some))


@dataclass(frozen=True, eq=False)
class Side:
    """v from one side: it keeps to each of `ways`, and a step begins with `push`.

    Attributes:
        ways: bounds of v after a step.
        push: what a step adds before v is clipped, judged and reset.
        beyond: what v is between a reset and the clamp.
        room: what the register, and what is sent of it, holds.
    """

    ways: list[Way]
    push: Array
    beyond: Array
    room: Array

    def reached(self, steps: int | None) -> Array:
        """Return how far v goes in some steps, after them and on the way."""
        before = np.minimum.reduce([way.after(steps and steps - 1) for way in self.ways])
        after = np.minimum.reduce([way.after(steps) for way in self.ways])
        moved = _decayed(before, self.ways[0]) + self.push
        far = np.maximum.reduce([after, moved, self.beyond])
        return np.asarray(np.minimum(far, self.ways[0].endless))

    @property
    def steps(self) -> Array:
        """For how many steps v keeps to its room."""
        room = self.room - np.maximum(self.push, 0)
        some = np.maximum.reduce([way.steps_within(room) for way in self.ways]) + 1
        some = np.where(self.beyond > self.room, 0, np.minimum(some, FOREVER))
        return np.asarray(np.where(self.reached(None) <= self.room, FOREVER, some))


def _decayed(v: Array, way: Way) -> Array:
    return fixed.decay(v, way.unity - way.loss, way.unity.bit_length() - 1)


@dataclass(frozen=True, eq=False)
class Rules:
    """What ends the way of v: its reset from above, its clamp from below."""

    cell: Cell
    arithmetic: Arithmetic
    unity: int
    endless: int

    def above(self, rise: Array, room: Array) -> Side:
        """Return how v goes up by at most `rise` in a step."""
        cell, late = self.cell, self.cell.reset_when == "next_step"
        base = np.maximum.reduce([self._start(1), self._clamp(1), 0 * rise])
        free = self._way(base, rise)
        if not cell.spiking or cell.reset == "none":
            return Side([free], rise, 0 * rise, room)
        theta = threshold_of(cell, self.arithmetic)
        judged = np.maximum(theta - (cell.threshold == "greater_equal"), base)
        if cell.reset == "to_value":
            ends = np.maximum(base, _decayed(judged, free) + rise) if late else judged
            return Side([free, self._way(ends, 0 * rise)], rise, 0 * rise, room)
        taken, start = self._taken(), judged
        if late:  # what is left of counts lost nothing yet, and then the step adds
            left = judged if cell.spike == "count" else _decayed(judged, free)
            start = np.maximum(base, left + rise)
        elif cell.reset == "subtract_snntorch":  # above the threshold before: judged at twice that
            start = np.minimum(judged + taken, self.endless)
        ended = (theta > 0) & ~(late & (cell.refractory_steps > 1))  # held, it is not judged
        start = np.where(ended, start, self.endless)
        raised = self._way(np.where(theta < 0, self.endless, base), rise)
        return Side([raised, self._way(start, rise - taken)], rise, 0 * rise, room)

    def below(self, fall: Array, room: Array, high: Array) -> Side:
        """Return how v goes down by at most `fall` in a step; `high` is the most it ever is."""
        cell = self.cell
        base = np.maximum(self._start(-1), 0 * fall)
        beyond = 0 * fall
        if cell.spiking and cell.reset.startswith("subtract") and cell.reset_when == "next_step":
            # judged before it decays: what was above the threshold may then be less than it
            most = np.minimum(high, self._taken())
            beyond = np.maximum(fall + most - _decayed(most, self._way(base, fall)), 0)
        free = self._way(np.maximum(base, beyond), fall)
        floor = self._way(np.maximum(base, self._clamp(-1)), 0 * fall)
        return Side([free, floor], fall, beyond, room)

    def _taken(self) -> Array:
        """Return the most that a reset by subtraction takes off."""
        times = self.cell.largest_message if self.cell.spike == "count" else 1
        return np.asarray(
            np.minimum(times * threshold_of(self.cell, self.arithmetic), self.endless)
        )

    def _start(self, sign: int) -> Array:
        """Return the levels that v is set to: the first, and that of a reset."""
        levels = self.cell.v_initial.astype(np.int64)
        if self.cell.spiking and self.cell.reset == "to_value":
            back = self.cell.v_reset.astype(np.int64)
            return np.asarray(np.maximum(sign * levels, sign * back))
        return np.asarray(sign * levels)

    def _clamp(self, sign: int) -> Array:
        """Return the level that v is lifted to: none where it is no higher than the register's."""
        level = self.cell.v_min.astype(np.int64)
        acts = level > -self.arithmetic.largest_state
        if self.arithmetic.overflow == "unlimited":
            acts = np.zeros_like(acts)
        return np.asarray(sign * np.where(acts, level, -self.endless))

    def _way(self, start: Array, push: Array) -> Way:
        loss = self.cell.decay_v.astype(np.int64)
        return Way(start, push, loss, self.unity, self.endless)


def threshold_of(cell: Cell, arithmetic: Arithmetic) -> Array:
    """Return thresholds as v is held against them, (n,) int64."""
    return np.asarray(cell.v_threshold.astype(np.int64) << arithmetic.weight_shift)
