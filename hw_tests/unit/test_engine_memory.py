"""A run takes no more memory than its formula says, and is refused before it would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from hw_tests.bench.ours import cell_of
from spikeport.backends import emulator
from spikeport.backends.emulator import memory, native
from spikeport.backends.emulator.engines import is_built
from spikeport.backends.emulator.layout import layout_of
from spikeport.compiler.errors import MemoryLimit
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.traces import Events

needs_c = pytest.mark.skipif(not is_built(), reason="the C engine was not built")


def one_to_one(size: int) -> Program:
    """Return `size` neurons, each of which fires when its input does."""
    weight = sp.identity(size, np.int32, format="csr") * np.int32(200)
    return Program(
        1e-3,
        {
            "in": CellPopulation("input", (size,), None, np.ones(1)),
            "a": CellPopulation("CubaLIF", (size,), cell_of(size, 100), np.ones(1)),
        },
        (Synapses.of("in-a", "in", "a", weight, 0, "mixed"),),
        {"a": "a"},
        {"a": 0},
    )


def noise(size: int, samples: int, steps: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {"in": (rng.random((samples, steps, size)) < 0.1).astype(np.uint8)}


def peak() -> int:
    """Return the most memory that this process has held (getrusage begins with its parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measured(size: int, samples: int, steps: int, probe: list[str]) -> dict[str, int]:
    """Return what a run takes at its peak, what the formula says, and how many spikes it has."""
    net = one_to_one(size)
    every_tenth = np.arange(0, size, 10, dtype=np.int32)
    neurons = np.tile(every_tenth, samples * steps)
    offsets = np.arange(samples * steps + 1) * every_tenth.size
    events = Events(neurons, offsets, None, samples, steps, (size,))
    layout_of(net)  # before it is measured
    said: dict[str, int] = {}
    asked = memory.check_room

    def check_room(job: Any, layout: Any, given: Any) -> int:
        said.update(memory.parts(job, layout))
        return asked(job, layout, given)

    native.check_room = check_room  # looks on, changes nothing
    before = peak()
    traces = emulator.run(net, {"in": events}, probe=probe, threads=1, max_memory="8GiB")
    took = peak() - before
    for beforehand in ("synapses as the engine takes them", "inputs as events"):
        said.pop(beforehand)
    spikes = traces.spikes["a"].neuron.size
    return {"took": took, "formula": sum(said.values()), "spikes": spikes}


@needs_c
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize(
    ("size", "samples", "steps", "probe"),
    [(400_000, 2, 3, []), (4_000, 4, 4_000, []), (20_000, 1, 2_000, ["a.v[0:10000]"])],
    ids=["many neurons", "many steps", "probes"],
)
def test_a_run_takes_what_the_formula_says(size, samples, steps, probe):
    call = f"measured({size}, {samples}, {steps}, {probe})"
    code = f"from hw_tests.unit.test_engine_memory import *; print(json.dumps({call}))"
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    most = found["formula"] + memory.EVENT * found["spikes"]
    assert found["took"] <= most + (2 << 20)  # what the interpreter itself takes meanwhile
    assert found["took"] >= most / 4  # the formula is no wild guess


@pytest.mark.parametrize("engine", ["c", "numpy"])
def test_a_run_that_needs_more_is_refused_with_the_figure(engine):
    if engine == "c" and not is_built():
        pytest.skip("the C engine was not built")
    with pytest.raises(MemoryLimit, match="a run of 3 samples over 50 steps") as caught:
        emulator.run(one_to_one(1000), noise(1000, 3, 50), engine=engine, max_memory="20kB")
    assert "(most of it, " in str(caught.value)
    enough = str(caught.value).partition("--max-memory ")[2].split()[0]
    emulator.run(one_to_one(1000), noise(1000, 3, 50), engine=engine, max_memory=enough)


@needs_c
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_ends_when_its_spikes_fill_what_is_left(threads):
    net, x = one_to_one(1000), noise(1000, 4, 400)
    with pytest.raises(MemoryLimit, match="the spikes of a run of 4 samples over 400 steps do not"):
        emulator.run(net, x, engine="c", threads=threads, max_memory="1300kB")
    assert emulator.run(net, x, engine="c", threads=threads).spikes["a"].total > 100_000
