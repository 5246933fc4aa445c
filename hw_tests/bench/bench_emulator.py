"""How fast the emulator is, as a ratio to Lava's, in one run on one machine.

    python hw_tests/bench/bench_emulator.py [--json]

A net of 784-128-10 current-based LIF neurons, 8-bit weights, 2 % of the inputs firing, with a
batch of 1 and of 64. A sample-step is one step of one sample. Lava runs where `spikeport doctor`
finds it (SPIKEPORT_LAVA_PYTHON); the seconds of its start, which are those of a run of one step,
are taken off and listed by themselves. That both give the same spikes is checked.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from spikeport.backends import emulator, lava
from spikeport.compiler.errors import MissingError
from spikeport.compiler.program import Cell, CellPopulation, Program, Synapses

SIZES = (784, 128, 10)
STEPS = {1: 2000, 64: 200}  # by batch: long enough that Lava's start does not decide
RATE = 0.02
SECONDS = 1.0  # repeat the emulator's run for as long


def network(seed: int = 1) -> Program:
    """Return the net, with weights that keep both layers firing."""
    rng = np.random.default_rng(seed)
    names = ["in", "hidden", "out"]
    populations = {"in": CellPopulation("input", SIZES[:1], None, np.ones(SIZES[0]))}
    synapses = []
    for pre, post, fan_in, size in zip(names, names[1:], SIZES, SIZES[1:], strict=False):
        matrix = 2 * rng.integers(-40, 48, (size, fan_in), dtype=np.int32)
        synapses.append(Synapses(post, pre, post, matrix, 0, "mixed"))
        populations[post] = CellPopulation("CubaLIF", (size,), cell(size), np.ones(size))
    return Program(1e-3, populations, tuple(synapses), {"out": "out"}, {"out": 0})


def cell(size: int) -> Cell:
    """Return neurons with time constants of some ten steps."""

    def same(value: int) -> np.ndarray:
        return np.full(size, value, np.int32)

    return Cell(
        decay_u=same(1024),
        decay_v=same(410),
        v_threshold=same(600),
        bias_mantissa=same(0),
        bias_exponent=same(0),
        v_reset=same(0),
        v_initial=same(0),
        v_min=same(1 - (1 << 23)),
        refractory_steps=same(1),
    )


def data(samples: int, steps: int, seed: int = 2) -> dict[str, np.ndarray]:
    """Return the spikes of the input."""
    rng = np.random.default_rng(seed)
    return {"in": (rng.random((samples, steps, SIZES[0])) < RATE).astype(np.uint8)}


def fastest(run: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of many runs."""
    run()
    took, began = [], time.perf_counter()
    while not took or time.perf_counter() - began < SECONDS:
        before = time.perf_counter()
        run()
        took.append(time.perf_counter() - before)
    return min(took)


def measure() -> dict[str, Any]:
    """Return sample-steps per second of the emulator and of Lava, by batch size."""
    program = network()
    rows = []
    for samples, steps in STEPS.items():
        x = data(samples, steps)
        ours = fastest(lambda x=x: emulator.run(program, x))
        row = {"batch": samples, "steps": steps, "emulator": samples * steps / ours}
        rows.append(row | against_lava(program, x, ours))
    return {"net": "-".join(map(str, SIZES)), "rows": rows}


def against_lava(program: Program, x: dict[str, np.ndarray], ours: float) -> dict[str, float]:
    """Return Lava's rate and the ratios to our seconds; nothing where there is no Lava."""
    try:
        start = lava.run(program, x, 1).seconds
        traces = lava.run(program, x)
    except MissingError:
        return {}
    for name, events in emulator.run(program, x).spikes.items():
        if (events.dense() != traces.spikes[name].dense()).any():
            raise SystemExit(f"spikes of {name!r} differ: the times compare nothing")
    return {
        "lava": traces.samples * traces.steps / (traces.seconds - start),
        "lava_start_s": start,
        "ratio": (traces.seconds - start) / ours,
    }


def table(found: dict[str, Any]) -> str:
    """Return the measurement as text."""
    columns = {
        "batch": "{}",
        "steps": "{}",
        "emulator": "{:,.0f}",
        "lava": "{:,.0f}",
        "lava_start_s": "{:.1f}",
        "ratio": "{:.0f}x",
    }
    rows = [list(columns)]
    for row in found["rows"]:
        rows.append([columns[name].format(row[name]) if name in row else "-" for name in columns])
    lines = ["  ".join(f"{text:>14}" for text in row) for row in rows]
    title = f"{found['net']}: emulator and lava in sample-steps/s"
    return "\n".join([title, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the emulator, and Lava where it is there.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    found = measure()
    print(json.dumps(found) if as_json else table(found))


if __name__ == "__main__":
    main()
