"""Run every case on every backend and say how the results compare.

The partner of each backend is one that shares no step with it: Brian2's equations for the float
reference, the slow un-retimed integers for the emulator, and Lava's processes are compared with
the emulator, bit for bit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nir
import numpy as np

import spikeport as sp
from hw_tests.contract.conformance.case import Case
from hw_tests.contract.conformance.neurons import neuron_cases
from hw_tests.contract.conformance.stateless import stateless_cases
from hw_tests.contract.conformance.structures import structure_cases
from hw_tests.unretimed import Both, run_both
from spikeport.backends import find_chip, reference
from spikeport.calibration import calibrate
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import SpikeportError
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.traces import Traces
from spikeport.data import Data

Array = np.ndarray[Any, Any]
CHIPS = ("loihi1", "generic_graded")
RELATIVE = 1e-12  # of the largest value: the reference multiplies matrices, Brian2 adds in turn


@dataclass(frozen=True)
class Finding:
    """What came of one case on one backend.

    Attributes:
        primitive, variant: of the case.
        backend: its name.
        chip: "" for floats.
        status: `exact`, `float-equal`, `refused`, or `different` (an error of ours).
        note: the refusal's words, where the first difference is, or why a process of ours ran.
    """

    primitive: str
    variant: str
    backend: str
    chip: str
    status: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Placed:
    """A case on a chip, run on the emulator."""

    case: Case
    chip: str
    both: Both
    inputs: dict[str, Array]


def all_cases() -> list[Case]:
    """Return every case, in the order of the page."""
    return [*neuron_cases(), *stateless_cases(), *structure_cases()]


def clocked_of(case: Case) -> tuple[Clocked, dict[str, Array]]:
    """Return the network of a case, read from a file, and its inputs, (samples, steps, n)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.nir"
        nir.write(path, case.graph)
        net = sp.load(path, dialect="nir", settings=case.settings)
    return to_clocked(net), {name: x.reshape(*x.shape[:2], -1) for name, x in case.inputs.items()}


def floats(case: Case, brian2: Any) -> Iterator[Finding]:
    """Compare the reference with Brian2: every spike, u and v."""
    clocked, inputs = clocked_of(case)
    keys = [f"{name}.{variable}" for name in clocked.neurons for variable in "uv"]
    expected = reference.run(clocked, inputs, probe=keys)
    try:
        wrong = _float_difference(expected, brian2.run(clocked, inputs, probe=keys))
    except SpikeportError as error:
        yield Finding(case.primitive, case.variant, "brian2", "", "refused", words(error))
        return
    status = "different" if wrong else "float-equal"
    for backend in ("reference", "brian2"):
        yield Finding(case.primitive, case.variant, backend, "", status, wrong)


def integers(case: Case) -> tuple[list[Finding], list[Placed]]:
    """Compare the emulator with the un-retimed integers, on each chip that takes the case.

    What a chip refuses is a finding of Lava too; what it takes is returned, for `lava`.
    """
    clocked, inputs = clocked_of(case)
    peaks = calibrate(clocked, Data(inputs, None, "spikes"))
    findings: list[Finding] = []
    placed: list[Placed] = []
    for chip in map(_chip, CHIPS):
        name = (case.primitive, case.variant)
        try:
            both = run_both(clocked, chip, inputs, peaks)
        except SpikeportError as error:
            for backend in ("emulator", "lava"):
                findings.append(Finding(*name, backend, chip.name, "refused", words(error)))
            continue
        wrong = "; ".join(both.different) or _silent(both)
        status = "different" if wrong else "exact"
        findings.append(Finding(*name, "emulator", chip.name, status, wrong))
        placed.append(Placed(case, chip.name, both, inputs))
    return findings, placed


@cache
def _chip(name: str) -> Chip:
    return find_chip(name)


def lava(placed: Iterable[Placed]) -> Iterator[Finding]:
    """Compare Lava with the emulator: every spike, u and v; all that Lava takes in one run."""
    from spikeport.backends.lava.bundle import write_bundle
    from spikeport.backends.lava.runner import Job, run_many

    taken: list[Placed] = []
    for each in placed:
        try:
            with tempfile.TemporaryDirectory() as folder:
                write_bundle([each.both.program], Path(folder) / "bundle")
            taken.append(each)
        except SpikeportError as error:
            yield _lava_finding(each, "refused", words(error))
    jobs = [Job(e.both.program, e.inputs, e.both.traces.steps) for e in taken]
    for each, traces in zip(taken, run_many(jobs), strict=True):
        wrong = _bit_difference(each.both.traces, traces)
        note = wrong or "; ".join(traces.notes)  # of populations that a process of ours ran
        yield _lava_finding(each, "different" if wrong else "exact", note)


def words(error: SpikeportError) -> str:
    """Return a refusal's first line, without the names of one case."""
    return str(error).splitlines()[0]


def _lava_finding(placed: Placed, status: str, note: str) -> Finding:
    case = placed.case
    return Finding(case.primitive, case.variant, "lava", placed.chip, status, note)


def _silent(both: Both) -> str:
    """A case in which a population never spikes tests nothing."""
    idle = [name for name, count in both.spikes.items() if not count]
    return f"the case is too quiet: {', '.join(idle)} never spiked" if idle else ""


def _float_difference(expected: Traces, got: Traces) -> str:
    for name, events in expected.spikes.items():
        if not np.array_equal(events.dense(), got.spikes[name].dense()):
            return f"spikes of {name!r} differ"
    for key, values in expected.probes.items():
        largest = np.abs(values).max(initial=0.0)
        if not np.all(np.abs(values - got.probes[key]) <= RELATIVE * largest):
            return f"{key} differs by {np.abs(values - got.probes[key]).max():g} of {largest:g}"
    return ""


def _bit_difference(expected: Traces, got: Traces) -> str:
    for name, events in expected.spikes.items():
        if not np.array_equal(events.dense(), got.spikes[name].dense()):
            return f"spikes of {name!r} differ"
    for key, values in expected.probes.items():
        if not np.array_equal(values, got.probes[key]):
            at = tuple(int(k) for k in np.argwhere(values != got.probes[key])[0])
            return f"{key} differs first in sample, step, neuron {at}"
    return ""
