"""Run a network un-retimed in integers and retimed on the emulator: are they the same, later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hw_tests.integer_reference import run_integers
from spikeport.backends.emulator import simulator as emulator
from spikeport.compiler import pipeline
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.image import Image
from spikeport.compiler.program import Program
from spikeport.compiler.quantize.peak import Peaks
from spikeport.compiler.quantize.quantize import quantize
from spikeport.compiler.traces import Traces

Array = np.ndarray[Any, Any]


@dataclass
class Both:
    """What came of the two runs.

    Attributes:
        image: the retimed network on cores.
        traces: the emulator's, with u and v of every population.
        different: sentences, one per population and variable in which they differ.
        spikes: population -> how many it sent in the un-retimed network.
        overflows: cells in which u or v left its bits.
    """

    image: Image
    traces: Traces
    different: list[str] = field(default_factory=list)
    spikes: dict[str, int] = field(default_factory=dict)
    overflows: int = 0

    @property
    def program(self) -> Program:
        """The retimed integers."""
        return self.image.program


def run_both(
    clocked: Clocked, chip: Chip, inputs: Mapping[str, Array], peaks: Mapping[str, Peaks]
) -> Both:
    """Return how the emulator's run of the retimed network differs from the un-retimed integers.

    Every population of the un-retimed network is compared, at the lag that the Program states:
    what it sends, u, v, and that it was silent before.

    Args:
        clocked: under the reference's delays.
        chip: target.
        inputs: (samples, steps, n).
        peaks: from a calibration, or {}.
    """
    steps = next(iter(inputs.values())).shape[1]
    plain = clocked
    for step in pipeline.NORMAL_FORM:
        plain = step(plain)
    expected = run_integers(quantize(plain, chip, peaks, {}), inputs, steps)
    image = pipeline.lower(pipeline.for_chip(clocked, chip), chip, peaks, {})
    program = image.program
    names = [name for name in clocked.populations if name in program.neurons]
    keys = [f"{name}.{variable}" for name in program.neurons for variable in "uv"]
    got = emulator.run(image, inputs, steps + program.last_lag, probe=keys)
    both = Both(image, got, overflows=sum(got.extra["overflows"].values()))
    for name in names:
        lag = program.lags[name]
        window = slice(lag, lag + steps)
        pairs = {
            "u": (expected.u[name], got.probes[f"{name}.u"][:, window]),
            "v": (expected.v[name], got.probes[f"{name}.v"][:, window]),
        }
        if name in got.spikes:
            raster = got.spikes[name].dense()
            pairs["spikes"] = (expected.sent[name], raster[:, window])
            pairs["silence"] = (np.zeros_like(raster[:, :lag]), raster[:, :lag])
            both.spikes[name] = int(expected.sent[name].sum())
        both.different += [_sentence(name, what, *pair) for what, pair in pairs.items()]
    both.different = [sentence for sentence in both.different if sentence]
    return both


def _sentence(name: str, what: str, expected: Array, got: Array) -> str:
    if np.array_equal(expected, got):
        return ""
    at = tuple(int(k) for k in np.argwhere(expected != got)[0])
    return (
        f"{what} of {name!r} in sample, step, neuron {at} is {got[at]}, not {expected[at]} "
        f"({np.count_nonzero(expected != got)} of {got.size} differ)"
    )
