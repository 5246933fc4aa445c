"""The noun `Crossbars`: what every row and column of every crossbar is, `Image.plan` of such chips.

A column is a neuron of the chip: one of the program, a copy of one, or a splitter that repeats what
one sends. A row (an axon) takes the spikes of one source, with one delay. Everything that the chip
would be configured with stands here, so that it can be stepped and checked by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.network import freeze_fields

ITSELF, COPY, SPLITTER = 0, 1, 2  # what a column is
OUT, NOWHERE, EVERYWHERE = -1, -2, -3  # where a column sends instead of to an axon


@dataclass(frozen=True, eq=False)
class CrossbarCore:
    """The rows and columns of one core.

    Attributes:
        core: number.
        axon_population, axon_neuron: whose spikes come in by each axon; int64, (axons,).
        axon_type: axon type; where rows have a sign 0 is excitatory and 1 inhibitory; else 0.
        axon_delay: steps from the packet's step to that of its effect, (axons,): an input's whole
            delay, for neurons that of the column which sends the packet.
        column_population, column_neuron: which neuron each column is, copies or repeats.
        column_kind: `ITSELF`, `COPY` or `SPLITTER`; (columns,).
        crossings: CSR int32 (axons, columns): 1 where a neuron has a weight for each axon type, the
            weight itself elsewhere.
        type_weights: weight for each axon type, int64 (columns, types); 0 types where crossings
            hold weights.
        target_core, target_axon: where each column sends; the core is `OUT` for a column that is
            read by the host, `NOWHERE`, or `EVERYWHERE` on chips where a neuron reaches every axon
            that names it.
        target_delay: steps from its spike to the effect, (columns,).
    """

    core: int
    axon_population: Array
    axon_neuron: Array
    axon_type: Array
    axon_delay: Array
    column_population: Array
    column_neuron: Array
    column_kind: Array
    crossings: Any
    type_weights: Array
    target_core: Array
    target_axon: Array
    target_delay: Array

    def __post_init__(self) -> None:
        freeze_fields(self)

    @property
    def axons(self) -> int:
        """Rows that are used."""
        return int(self.axon_neuron.size)

    @property
    def columns(self) -> int:
        """Columns that are used."""
        return int(self.column_neuron.size)

    def counted(self, kind: int) -> int:
        """Return how many columns are of a kind."""
        return int(np.count_nonzero(self.column_kind == kind))

    def on(self, where: Array) -> CrossbarCore:
        """Return it with core i moved to core `where[i]`."""
        target, inside = self.target_core.copy(), self.target_core >= 0
        target[inside] = where[target[inside]]
        return replace(self, core=int(where[self.core]), target_core=target)


@dataclass(frozen=True, eq=False)
class Crossbars:
    """All crossbars of an Image.

    Attributes:
        populations: names; the numbers in `CrossbarCore` count in it.
        cores: by core number.
    """

    populations: tuple[str, ...]
    cores: tuple[CrossbarCore, ...]
