"""Sums of events that saturate one by one: on Xylo the order of events can matter.

A sum that stays inside the register whatever the order is taken as a sum; only where a partial
sum could leave it are the events of that neuron walked through, inputs first, each population by
neuron number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Program, Synapses


class OneByOne:
    """Adds what arrives at one population to its u, event by event.

    Args:
        program: what runs.
        post: name of the population.
        runnable: (synapses, program) -> function from what is sent (samples, pre) to sums
            (samples, post).
    """

    def __init__(
        self,
        program: Program,
        post: str,
        runnable: Callable[[Synapses, Program], Callable[[Array], Array]],
    ) -> None:
        order = [*program.inputs, *program.neurons]
        self.limit = program.arithmetic.largest_state
        self.synapses = sorted(program.into(post), key=lambda each: order.index(each.pre))
        self._sums = [runnable(each, program) for each in self.synapses]
        self._sizes = [runnable(_sized(each), program) for each in self.synapses]
        self._columns = [_columns(each) for each in self.synapses]
        self._largest = [_largest(each) for each in self.synapses]

    def __call__(self, register: Array, sent: Sequence[Array]) -> tuple[Array, int]:
        """Return by how much the events of a step change a register.

        Args:
            register: before the step, (samples, post).
            sent: what arrives by each of `synapses`, (samples, pre).

        Returns:
            int64, (samples, post), and in how many cells an event was clipped to some effect.
        """
        total, size = np.zeros_like(register), np.zeros_like(register)
        for add, spikes in zip(self._sums, sent, strict=True):
            total += add(spikes)
        furthest = int(np.abs(register).max(initial=0))
        for largest, spikes in zip(self._largest, sent, strict=True):
            furthest += largest * int(spikes.sum(axis=1, dtype=np.int64).max(initial=0))
        if furthest <= self.limit:
            return total, 0
        for measure, spikes in zip(self._sizes, sent, strict=True):
            size += measure(spikes)
        rise, fall = (size + total) // 2, (size - total) // 2
        tight = (register + rise > self.limit) | (register - fall < -self.limit - 1)
        samples, neurons = tight.nonzero()
        if not samples.size:
            return total, 0
        before = register[samples, neurons]
        change = self._walk(before, samples, neurons, sent) - before
        clipped = np.count_nonzero(change != total[samples, neurons])
        total[samples, neurons] = change
        return total, int(clipped)

    def _walk(self, value: Array, samples: Array, neurons: Array, sent: Sequence[Array]) -> Array:
        """Return the register after all events, for some cells, each (cells,)."""
        for columns, spikes in zip(self._columns, sent, strict=True):
            for pre in np.flatnonzero(spikes[samples].any(axis=0)):
                # Equal events in a row: saturating once is saturating each time.
                change = columns(int(pre))[neurons] * spikes[samples, pre].astype(np.int64)
                value = np.clip(value + change, -self.limit - 1, self.limit)
        return value


def _largest(synapses: Synapses) -> int:
    """Return the most that one event changes the register by."""
    stored = synapses.mantissa
    values = stored.data if sp.issparse(stored) else stored
    return max(int(values.max(initial=0)), -int(values.min(initial=0))) << synapses.exponent


def _sized(synapses: Synapses) -> Synapses:
    return synapses.with_mantissa(abs(synapses.mantissa).astype(np.int32))


def _columns(synapses: Synapses) -> Callable[[int], Array]:
    """Return the function from a source's number to its shifted weights, int64, (post,)."""
    if not sp.issparse(synapses.mantissa):
        shifted = synapses.mantissa.astype(np.int64) << synapses.exponent
        return lambda pre: shifted[:, pre]
    stored = sp.csc_matrix(synapses.mantissa).astype(np.int64)
    return lambda pre: stored[:, [pre]].toarray()[:, 0] << synapses.exponent
