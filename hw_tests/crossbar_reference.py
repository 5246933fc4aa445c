"""The crossbars of an Image, stepped neuron by neuron in Python's integers.

All that is read of the Image is its plan (axons, types, crossings, weights per type, targets,
delays) and the registers of the neurons that stand in the columns; the program's matrices, slices
and routes are not. A spike travels from a column to an axon, where it makes every crossing add the
weight that its column has for the axon's type.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.image import Image
from spikeport.compiler.place.crossbar.plan import EVERYWHERE, OUT, SPLITTER, CrossbarCore

Array = np.ndarray[Any, Any]
Axon = tuple[int, int]  # core, axon


def run_crossbars(image: Image, inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
    """Return what every population sends, (steps, n), after checking that copies agree.

    Args:
        image: on a chip of crossbars, of a program without currents or decay.
        inputs: input -> spikes (steps given, n).
        steps: to take.
    """
    plan, program = image.plan, image.program
    sent = {name: np.zeros((steps, pop.size), int) for name, pop in program.populations.items()}
    for name, given in inputs.items():
        sent[name][: len(given)] = given[:steps]
    told = {name: np.full(raster.shape, -1) for name, raster in sent.items()}
    columns = [_Column(image, core, at) for core in plan.cores for at in range(core.columns)]
    readers = _readers(image)
    arriving: dict[int, set[Axon]] = defaultdict(set)
    for t in range(steps):
        for core in plan.cores:
            for at in range(core.axons):
                name = plan.populations[core.axon_population[at]]
                then = t - int(core.axon_delay[at])
                if name in inputs and then >= 0 and sent[name][then, core.axon_neuron[at]]:
                    arriving[t].add((core.core, at))
        for column in columns:
            spike = column.step(arriving[t])
            for delay, axon in column.targets(readers) if spike else ():
                arriving[t + delay].add(axon)
            if not column.splitter:
                said = told[column.name][t]
                assert said[column.neuron] in (-1, spike), f"a copy of {column.name} differs"
                said[column.neuron] = spike
    return {name: told[name] for name in program.neurons}


def leaving(image: Image) -> set[tuple[str, int]]:
    """Return (population, neuron) of every column that the host reads."""
    names = image.plan.populations
    return {
        (names[core.column_population[at]], int(core.column_neuron[at]))
        for core in image.plan.cores
        for at in np.flatnonzero(core.target_core == OUT)
    }


def _readers(image: Image) -> dict[tuple[int, int], list[tuple[int, Axon]]]:
    """Return (population, neuron) -> (delay, axon) of every axon that names it."""
    found: dict[tuple[int, int], list[tuple[int, Axon]]] = defaultdict(list)
    for core in image.plan.cores:
        for at in range(core.axons):
            who = int(core.axon_population[at]), int(core.axon_neuron[at])
            found[who].append((int(core.axon_delay[at]), (core.core, at)))
    return found


class _Column:
    """One neuron of the chip."""

    def __init__(self, image: Image, core: CrossbarCore, at: int) -> None:
        self.population, self.neuron = int(core.column_population[at]), int(core.column_neuron[at])
        self.name = image.plan.populations[self.population]
        self.splitter = core.column_kind[at] == SPLITTER
        self.top = (1 << (image.chip.limits.state_bits.value - 1)) - 1
        self.weights = {}
        dense = core.crossings[:, [at]].toarray()[:, 0]
        for axon in np.flatnonzero(dense):
            typed = core.type_weights.shape[1] > 0
            weight = core.type_weights[at][core.axon_type[axon]] if typed else dense[axon]
            self.weights[core.core, int(axon)] = int(weight)
        self.core, self.axon = int(core.target_core[at]), int(core.target_axon[at])
        self.delay = int(core.target_delay[at])
        if self.splitter:
            self.v, self.theta, self.leak, self.reset, self.bottom = 0, 1, 0, 0, 0
            self.how, self.equal = "to_value", True
            return
        cell: Any = image.program.populations[self.name].cell
        self.v, self.theta = int(cell.v_initial[self.neuron]), int(cell.v_threshold[self.neuron])
        self.leak = int(cell.bias_mantissa[self.neuron]) << int(cell.bias_exponent[self.neuron])
        self.reset, self.bottom = int(cell.v_reset[self.neuron]), int(cell.v_min[self.neuron])
        self.how, self.equal = cell.reset, cell.threshold == "greater_equal"
        self.theta <<= image.program.arithmetic.weight_shift

    def step(self, arrived: set[Axon]) -> bool:
        total = sum(weight for axon, weight in self.weights.items() if axon in arrived)
        v = min(max(self.v + self.leak + total, -self.top), self.top)
        self.v = max(v, self.bottom) if not self.splitter else v
        spike = self.v >= self.theta if self.equal else self.v > self.theta
        if spike and self.how == "to_value":
            self.v = self.reset
        if spike and self.how == "subtract":
            self.v -= self.theta
        return bool(spike)

    def targets(self, readers: Mapping[tuple[int, int], Any]) -> list[tuple[int, Axon]]:
        if self.core == EVERYWHERE:
            return list(readers.get((self.population, self.neuron), ()))
        return [(self.delay, (self.core, self.axon))] if self.core >= 0 else []
