"""Random integer networks, and what Lava 0.10 made of them: writes and reads lava_random.npz.

    python hw_tests/golden/record_lava.py        (needs Lava: see `spikeport doctor`)

The emulator is tested with the recording where Lava is absent. For network K the file holds
`K/spec` (JSON: populations, synapses, outputs, lags, steps), `K/cell/I` (the integer parameters
of population I, one row per name in CELL), `K/mantissa/J` (weights of projection J), and for
each population I `K/spikes/I` (samples, steps, n) and, where it has a cell, `K/u/I`, `K/v/I`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.program import Cell, CellPopulation, Program, Synapses

HERE = Path(__file__).parent
V_LIMIT = (1 << 23) - 1
CELL = (
    "decay_u",
    "decay_v",
    "v_threshold",
    "bias_mantissa",
    "bias_exponent",
    "v_reset",
    "v_initial",
    "v_min",
    "refractory_steps",
)
MODES = ("mixed", "excitatory", "inhibitory")


@dataclass(frozen=True)
class Run:
    """A network, its input, and (from a recording) what Lava answered."""

    program: Program
    inputs: dict[str, np.ndarray]
    steps: int
    u: dict[str, np.ndarray] | None = None
    v: dict[str, np.ndarray] | None = None
    spikes: dict[str, np.ndarray] | None = None


def cell(rng: np.random.Generator, size: int, **changes: Any) -> Cell:
    """Return integer parameters drawn from the chip's ranges, edges included."""

    def draw(low: int, high: int, *edges: int) -> np.ndarray:
        values = rng.integers(low, high + 1, size)
        if edges:
            values = np.where(rng.random(size) < 0.2, rng.choice(edges, size), values)
        return values.astype(np.int32)

    strong = rng.random() < 0.2
    drawn = {
        "decay_u": draw(0, 4095, 0, 4095),
        "decay_v": draw(0, 4096, 0, 4096),
        "v_threshold": draw(0, 131071, 0, 131071) if strong else draw(0, 2000),
        "bias_mantissa": draw(-4095, 4095) if strong else draw(-60, 100, 0),
        "bias_exponent": draw(0, 7),
        "v_reset": np.zeros(size, np.int32),
        "v_initial": draw(-100_000, 100_000, 0),
        "v_min": np.full(size, -V_LIMIT, np.int32),
        "refractory_steps": np.ones(size, np.int32),
    }
    return Cell(**(drawn | changes))


def weights(
    rng: np.random.Generator, post: int, pre: int, mode: str, bits: int, density: float
) -> np.ndarray:
    """Return mantissas of a sign mode, truncated to `bits`."""
    low, high = fixed.weight_range(mode)
    drawn = rng.integers(low, high + 1, (post, pre)) * (rng.random((post, pre)) < density)
    return fixed.truncate_weights(drawn, mode, bits, "floor").astype(np.int32)


def population(kind: str, size: int, parameters: Cell | None = None) -> CellPopulation:
    """Return a population of `size` neurons in a row."""
    return CellPopulation(kind, (size,), parameters, np.ones(size))


def batches(seed: int, networks: int, in_batch: int) -> Iterator[list[Run]]:
    """Yield lists of random networks; those of a list share four weight formats.

    Lava takes one process per weight format. Four lists have every exponent between them.
    """
    rng = np.random.default_rng(seed)
    exponents = np.tile(rng.permutation(np.arange(-7, 8)), 9)
    for number, first in enumerate(range(0, networks, in_batch)):
        formats = [
            (int(exponents[at]), MODES[at % 3], int(rng.integers(1, 9)))
            for at in range(4 * number, 4 * number + 4)
        ]
        yield [network(rng, formats) for _ in range(min(in_batch, networks - first))]


def network(rng: np.random.Generator, formats: list[tuple[int, str, int]]) -> Run:
    """Return a feed-forward or recurrent network with one sample to three of input."""
    sizes = {f"in{k}": int(rng.integers(1, 9)) for k in range(rng.integers(1, 3))}
    populations = {name: population("input", size) for name, size in sizes.items()}
    for k in range(rng.integers(1, 4)):
        size = int(rng.integers(1, 9))
        populations[f"lif{k}"] = population("CubaLIF", size, cell(rng, size))
    if rng.random() < 0.3:
        size = int(rng.integers(1, 4))
        last = cell(rng, size, reset="none", spiking=False)
        populations["readout"] = population("CubaLI", size, last)
    if rng.random() < 0.3:
        always = {"bias_mantissa": np.ones(1, np.int32), "v_threshold": np.zeros(1, np.int32)}
        populations["constant"] = population("constant", 1, cell(rng, 1, **always))
    program = connected(rng, populations, formats)
    samples, steps = int(rng.integers(1, 4)), int(rng.integers(8, 25))
    rate = rng.random()
    return Run(
        program,
        {
            name: (rng.random((samples, steps, size)) < rate).astype(np.uint8)
            for name, size in sizes.items()
        },
        steps,
    )


def connected(
    rng: np.random.Generator,
    populations: dict[str, CellPopulation],
    formats: list[tuple[int, str, int]],
) -> Program:
    """Return a Program: a chain of the populations, plus some other projections and loops."""
    names = list(populations)
    neurons = [name for name in names if populations[name].cell is not None]
    senders = [
        name
        for name in names
        if (parameters := populations[name].cell) is None or parameters.spiking
    ]
    pairs = [(senders[max(names.index(post) - 1, 0) % len(senders)], post) for post in neurons]
    pairs += [
        (str(rng.choice(senders)), str(rng.choice(neurons))) for _ in range(rng.integers(0, 4))
    ]
    synapses = []
    for number, (pre, post) in enumerate(pairs):
        if populations[post].kind == "constant":
            continue
        exponent, mode, bits = formats[rng.integers(len(formats))]
        shape = populations[post].size, populations[pre].size
        matrix = weights(rng, *shape, mode, bits, rng.choice([0.3, 1.0]))
        delay = int(rng.choice([1, 1, 1, 2, 3, 5]))
        synapses.append(Synapses.of(f"w{number}", pre, post, matrix, exponent, mode, bits, delay))
    return Program(1e-3, populations, tuple(synapses), {"out": neurons[0]}, {neurons[0]: 1})


def overflowing(seed: int) -> Run:
    """Return a network whose sums leave u's 24 bits by several periods, and int32."""
    rng = np.random.default_rng(seed)
    few = {"decay_u": np.array([4095, 4095, 100, 0, 2048], np.int32)}
    sources, size = 1200, 5
    populations = {
        "in0": population("input", sources),
        "lif0": population("CubaLIF", size, cell(rng, size, **few)),
        "lif1": population("CubaLIF", size, cell(rng, size, **few)),
    }
    kinds = [("w0", "lif0", "excitatory"), ("w1", "lif1", "inhibitory"), ("w2", "lif1", "mixed")]
    synapses = []
    for name, post, mode in kinds:
        low, high = fixed.weight_range(mode)
        extreme = np.full((size, sources), low if mode == "inhibitory" else high)
        matrix = fixed.truncate_weights(extreme, mode, 8, "floor").astype(np.int32)
        synapses.append(Synapses.of(name, "in0", post, matrix, 7, mode))
    program = Program(1e-3, populations, tuple(synapses), {"out": "lif0"}, {"lif0": 1})
    # from silence to all at once: every multiple of the period, and 2**31, is crossed
    share = np.linspace(0, 1, 40)[None, :, None]
    inputs = {"in0": (rng.random((2, 40, sources)) < share).astype(np.uint8)}
    return Run(program, inputs, 40)


def edges() -> Run:
    """Return neurons that are driven to +-2**23, +-(2**23 - 1) and the threshold exactly."""
    size = 8
    start = [V_LIMIT, -V_LIMIT, V_LIMIT - 1, 64 * 131071, 64 * 131071 - 1, 64, 63, 0]
    bias = [1, -1, 1, 1, 1, 1, 1, 1]
    plain = {
        "decay_u": np.zeros(size, np.int32),
        "decay_v": np.zeros(size, np.int32),
        "v_threshold": np.array([131071] * 5 + [1] * 3, np.int32),
        "bias_mantissa": np.array(bias, np.int32),
        "bias_exponent": np.zeros(size, np.int32),
        "v_initial": np.array(start, np.int32),
    }
    # 2**23 = 128 << 7 << 6 sixteen times over: u lands on the edge, then one quantum off it
    sources = 17
    matrix = np.full((size, sources), 64, np.int32)
    matrix[1::2] = -64
    matrix[:, 16] = np.array([2, -2, 4, -4, 6, -6, 8, -8])
    populations = {
        "in0": population("input", sources),
        "lif0": population("CubaLIF", size, cell(np.random.default_rng(0), size, **plain)),
    }
    synapses = (Synapses.of("w0", "in0", "lif0", matrix, 7, "mixed"),)
    program = Program(1e-3, populations, synapses, {"out": "lif0"}, {"lif0": 1})
    spikes = np.zeros((1, 12, sources), np.uint8)
    spikes[0, 2, :16] = spikes[0, 5] = spikes[0, 8, :8] = spikes[0, 9, 16] = 1
    return Run(program, {"in0": spikes}, 12)


def save(path: Path, runs: list[Run]) -> None:
    """Write networks, inputs and answers."""
    arrays: dict[str, np.ndarray] = {}
    for key, run in enumerate(runs):
        program = run.program
        spec = {
            "populations": [
                [name, each.kind, each.size, bool(each.cell and each.cell.spiking)]
                for name, each in program.populations.items()
            ],
            "synapses": [
                [s.name, s.pre, s.post, s.exponent, s.sign_mode, s.weight_bits, s.delay_steps]
                for s in program.synapses
            ],
            "outputs": dict(program.outputs),
            "lags": dict(program.lags),
            "steps": run.steps,
        }
        arrays[f"{key}/spec"] = np.array(json.dumps(spec))
        for at, each in enumerate(program.synapses):
            arrays[f"{key}/mantissa/{at}"] = each.mantissa.astype(np.int16)
        for at, (name, each) in enumerate(program.populations.items()):
            arrays[f"{key}/spikes/{at}"] = run.spikes[name].astype(np.uint8)
            if each.cell is not None:
                arrays[f"{key}/cell/{at}"] = np.stack([getattr(each.cell, row) for row in CELL])
                arrays[f"{key}/u/{at}"], arrays[f"{key}/v/{at}"] = run.u[name], run.v[name]
    np.savez_compressed(path, **arrays)


def load(path: Path = HERE / "lava_random.npz") -> list[Run]:
    """Return the recorded networks with what Lava answered."""
    with np.load(path) as file:
        arrays = dict(file)
    return [_load(arrays, key) for key in range(sum(name.endswith("/spec") for name in arrays))]


def _load(arrays: dict[str, np.ndarray], key: int) -> Run:
    spec = json.loads(str(arrays[f"{key}/spec"]))
    populations, u, v, spikes = {}, {}, {}, {}
    for at, (name, kind, size, spiking) in enumerate(spec["populations"]):
        spikes[name] = arrays[f"{key}/spikes/{at}"]
        parameters = None
        if kind != "input":
            rows = dict(zip(CELL, arrays[f"{key}/cell/{at}"].copy(), strict=True))
            reset = "to_value" if spiking else "none"
            parameters = Cell(**rows, reset=reset, spiking=spiking)
            u[name], v[name] = arrays[f"{key}/u/{at}"], arrays[f"{key}/v/{at}"]
        populations[name] = population(kind, size, parameters)
    synapses = tuple(
        Synapses.of(name, pre, post, arrays[f"{key}/mantissa/{at}"].astype(np.int32), *rest)
        for at, (name, pre, post, *rest) in enumerate(spec["synapses"])
    )
    program = Program(1e-3, populations, synapses, spec["outputs"], spec["lags"])
    inputs = {name: spikes[name] for name in program.inputs}
    return Run(program, inputs, spec["steps"], u, v, spikes)


def record() -> None:
    """Run 40 networks in Lava and write lava_random.npz."""
    from spikeport.backends import lava

    runs = [run for batch in batches(seed=2, networks=38, in_batch=19) for run in batch]
    runs += [edges(), overflowing(seed=3)]
    jobs = [lava.Job(run.program, run.inputs, run.steps) for run in runs]
    answers = []
    for run, traces in zip(runs, lava.run_many(jobs), strict=True):
        u, v = (
            {name: traces.probes[f"{name}.{variable}"] for name in run.program.neurons}
            for variable in ("u", "v")
        )
        spikes = {name: events.dense() for name, events in traces.spikes.items()}
        answers.append(Run(run.program, run.inputs, run.steps, u, v, spikes))
    save(HERE / "lava_random.npz", answers)


if __name__ == "__main__":
    record()
