"""The noun `Parity`: two runs compared cell by cell, and the first place where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Shape
from spikeport.compiler.traces import Traces


@dataclass(frozen=True)
class Difference:
    """One cell in which two runs differ.

    Attributes:
        population, neuron (index in its shape), sample, step, variable: where; the step is on
            the model's time axis, from 0.
        expected, got: both values.
    """

    population: str
    neuron: tuple[int, ...]
    sample: int
    step: int
    variable: str
    expected: float
    got: float

    def __str__(self) -> str:
        return (
            f"{self.variable} of {self.population}{list(self.neuron)} in step {self.step} of "
            f"sample {self.sample} is {self.got:g}, expected {self.expected:g}"
        )


@dataclass(frozen=True)
class PopulationParity:
    """What the comparison of one population gave.

    Attributes:
        cells, different: how many values were compared, and how many differ.
        lag: steps by which the second run answers later.
        first_difference: earliest step, then lowest sample and neuron; None where all agree.
        spikes_expected, spikes_got: totals.
        spikes_shared: how many of the expected spikes are there at their step.
    """

    cells: int
    different: int
    lag: int
    first_difference: Difference | None
    spikes_expected: int
    spikes_got: int
    spikes_shared: int


@dataclass(frozen=True)
class AnalogParity:
    """What the comparison of an analog population's v gave, in the network's units.

    Attributes:
        cells: how many values were compared.
        lag: steps by which the second run answers later.
        rms_expected: root mean square of what was expected.
        rms_difference, largest_difference: between the two.
    """

    cells: int
    lag: int
    rms_expected: float
    rms_difference: float
    largest_difference: float


@dataclass(frozen=True)
class Parity:
    """Two runs, compared at the lags that both state.

    Attributes:
        expected, got: names of the two sides.
        populations: per population.
        variables: what was compared.
        samples: how many samples.
        analog: populations whose output is v, where both runs recorded it.
    """

    expected: str
    got: str
    populations: Mapping[str, PopulationParity]
    variables: tuple[str, ...]
    samples: int
    analog: Mapping[str, AnalogParity] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """Values compared."""
        return sum(each.cells for each in self.populations.values())

    @property
    def different(self) -> int:
        """Values that differ."""
        return sum(each.different for each in self.populations.values())

    @property
    def first_difference(self) -> Difference | None:
        """The earliest difference of all populations (in steps, then in network order)."""
        found = [p.first_difference for p in self.populations.values() if p.first_difference]
        return min(found, key=lambda difference: difference.step, default=None)

    @property
    def repeated(self) -> float | None:
        """Share of the expected spikes that are there at their step; None without spikes."""
        expected = sum(each.spikes_expected for each in self.populations.values())
        shared = sum(each.spikes_shared for each in self.populations.values())
        return shared / expected if expected else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as `--json` prints them."""
        return {
            "cells": self.cells,
            "different": self.different,
            "spikes_repeated": self.repeated,
            "samples": self.samples,
            "variables": list(self.variables),
            "first_difference": difference_dict(self.first_difference, self.expected, self.got),
            "populations": {
                name: {
                    "cells": each.cells,
                    "different": each.different,
                    "lag": each.lag,
                    f"spikes_{self.expected}": each.spikes_expected,
                    f"spikes_{self.got}": each.spikes_got,
                    "spikes_shared": each.spikes_shared,
                    "first_difference": difference_dict(
                        each.first_difference, self.expected, self.got
                    ),
                }
                for name, each in self.populations.items()
            },
            "analog": {name: vars(each) for name, each in self.analog.items()},
        }


def difference_dict(
    difference: Difference | None, expected: str = "expected", got: str = "got"
) -> dict[str, Any] | None:
    """Return a Difference as plain values, under the names of the two sides."""
    if difference is None:
        return None
    plain = {
        "population": difference.population,
        "neuron": list(difference.neuron),
        "sample": difference.sample,
        "step": difference.step,
        "variable": difference.variable,
    }
    return plain | {expected: difference.expected, got: difference.got}


def compare(expected: Traces, got: Traces, names: Sequence[str] | None = None) -> Parity:
    """Compare the spikes of two runs on the model's time axis, aligned by the lags they state.

    Analog populations are compared by v, where both runs probed it: how far apart, not whether.

    Args:
        expected, got: runs of the same inputs; the second may hold fewer samples.
        names: populations; by default those that both have.

    Raises:
        DataError: nothing to compare.
    """
    samples = min(expected.samples, got.samples)
    steps = min(expected.model_steps, got.model_steps)
    known = names or list(expected.state.variables)
    both = [name for name in known if name in expected.spikes and name in got.spikes]
    analog = {
        name: _compare_analog(name, expected, got, samples, steps)
        for name in known
        if name not in both and all(f"{name}.v" in run.probes for run in (expected, got))
    }
    populations = {}
    for name in both:
        wanted, found = (run.window(name)[:samples, :steps] for run in (expected, got))
        lag = got.lags.get(name, 0) - expected.lags.get(name, 0)
        shape = got.spikes[name].shape
        populations[name] = compare_arrays(name, shape, "spikes", wanted, found, lag)
    if not (populations or analog) or samples * steps == 0:
        raise DataError(
            "there is nothing to compare",
            "the two runs share no spiking population, no probed analog one, or no step",
            'probe the v of analog populations in both: sp.run(..., probe=["NAME.v"])',
        )
    return Parity(expected.source, got.source, populations, ("spikes",), samples, analog)


def _compare_analog(
    name: str, expected: Traces, got: Traces, samples: int, steps: int
) -> AnalogParity:
    wanted, found = (run.v_window(name)[:samples, :steps] for run in (expected, got))
    apart = np.abs(found - wanted)
    return AnalogParity(
        cells=wanted.size,
        lag=got.lags.get(name, 0) - expected.lags.get(name, 0),
        rms_expected=float(np.sqrt(np.mean(wanted**2))) if wanted.size else 0.0,
        rms_difference=float(np.sqrt(np.mean(apart**2))) if wanted.size else 0.0,
        largest_difference=float(apart.max(initial=0.0)),
    )


def compare_bits(expected: Traces, got: Traces) -> Parity:
    """Compare every spike, u and v of two integer runs, step by step, without any lag.

    Raises:
        DataError: the runs differ in extent, or a probe is missing.
    """
    extents = [(run.samples, run.steps) for run in (expected, got)]
    if extents[0] != extents[1]:
        raise DataError(
            "the two runs differ in extent",
            f"{expected.source} has (samples, steps) {extents[0]}, {got.source} {extents[1]}",
            "run both on the same samples for the same steps",
        )
    populations = {}
    for name in expected.state.variables:
        spiking = name in expected.spikes
        shape = expected.spikes[name].shape if spiking else None
        parts = []
        for variable in ("spikes", "u", "v") if spiking else ("u", "v"):
            pair = [_values(run, name, variable) for run in (expected, got)]
            at = shape if shape is not None else pair[0].shape[2:]
            parts.append(compare_arrays(name, at, variable, pair[0], pair[1], 0))
        populations[name] = _joined(parts)
    if not populations:
        raise DataError("there is nothing to compare", "the first run has no population")
    return Parity(expected.source, got.source, populations, ("spikes", "u", "v"), got.samples)


def _values(run: Traces, name: str, variable: str) -> Array:
    if variable == "spikes" and name in run.spikes:
        return run.spikes[name].dense()
    key = f"{name}.{variable}"
    if key not in run.probes:
        raise DataError(
            f"the run of {run.source} has no {key}", "every bit is compared",
            f'run it with probe=["{key}", ...], for u and v of every population',
        )  # fmt: skip
    return run.probes[key]


def _joined(parts: list[PopulationParity]) -> PopulationParity:
    """Return the comparison of several variables of one population as one."""
    first = [part.first_difference for part in parts if part.first_difference]
    return PopulationParity(
        sum(part.cells for part in parts),
        sum(part.different for part in parts),
        0,
        min(first, key=lambda difference: difference.step, default=None),
        parts[0].spikes_expected,
        parts[0].spikes_got,
        parts[0].spikes_shared,
    )


def compare_arrays(
    name: str, shape: Shape, variable: str, expected: Array, got: Array, lag: int
) -> PopulationParity:
    """Compare two arrays of shape (samples, steps, n), value by value."""
    wrong = expected != got
    different = int(np.count_nonzero(wrong))
    first = None
    if different:
        step, sample, neuron = np.argwhere(np.moveaxis(wrong, 1, 0))[0]
        index = tuple(int(i) for i in np.unravel_index(neuron, shape)) if shape else ()
        pair = [float(array[sample, step, neuron]) for array in (expected, got)]
        first = Difference(name, index, int(sample), int(step), variable, *pair)
    both = (expected, got, np.minimum(expected, got))
    totals = [int(array.sum()) if variable == "spikes" else 0 for array in both]
    return PopulationParity(wrong.size, different, lag, first, *totals)
