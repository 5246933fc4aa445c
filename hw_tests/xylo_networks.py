"""Random integer networks for Xylo, as xylosim takes them and as a `Program`.

Values are drawn from what the registers hold, ends included: thresholds so small that a neuron
sends all 31 spikes, weights so large that the current saturates between two events of a step.
"""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.image import Image
from spikeport.compiler.program import XYLO, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.xylo.cell import HIDDEN_SPIKES, OUTPUT_SPIKES, XyloCell

Array = np.ndarray[Any, Any]
SCRIPT = Path(__file__).with_name("xylosim_oracle.py")
STEPS = 40
THRESHOLDS = ((1, 20), (1, 400), (300, 5000), (1000, 32768))
ANSWERS = ("u", "v", "spikes")


def draw(seed: int) -> dict[str, Array]:
    """Return a network and its input, see xylosim_oracle.py."""
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs = (int(rng.integers(1, top)) for top in (17, 25, 9))
    quiet = rng.random() < 0.5
    low, high = THRESHOLDS[seed % 4]
    biases = rng.choice([0, 6, 128, 2000])

    def weights(pre: int, post: int, share: float) -> Array:
        drawn = rng.integers(-128, 128, (pre, post)) // int(rng.choice([1, 1, 16]))
        drawn = drawn - int(rng.choice([0, 0, 40])) * (drawn > -80)
        return (drawn * (rng.random((pre, post)) < share)).astype(np.int16)

    def shift() -> int:
        return int(rng.integers(0, 4 if quiet else 9))

    def registers(size: int, end: str) -> dict[str, Array]:
        return {
            "dash_syn" + end: rng.integers(0, 16, size).astype(np.int16),
            "dash_mem" + end: rng.integers(0, 16, size).astype(np.int16),
            "v_threshold" + end: rng.integers(low, high, size).astype(np.int16),
            "bias" + end: rng.integers(-biases, biases + 1, size).astype(np.int16),
        }

    busy = rng.random((STEPS, inputs)) < rng.choice([0.03, 0.2, 0.6])
    return {
        "w_in": weights(inputs, hidden, 0.7),
        "w_rec": weights(hidden, hidden, float(rng.choice([0.0, 0.05, 0.4]))),
        "w_out": weights(hidden, outputs, 0.7),
        "shift_in": np.array(shift()),
        "shift_rec": np.array(shift()),
        "shift_out": np.array(shift()),
        **registers(hidden, ""),
        **registers(outputs, "_out"),
        "input": (rng.integers(1, 16, (STEPS, inputs)) * busy).astype(np.uint8),
    }


def as_program(network: dict[str, Array]) -> tuple[Program, dict[str, Array]]:
    """Return the Program of a network, its neurons in several populations, and its input."""
    inputs, hidden = network["w_in"].shape
    cuts = sorted({0, hidden // 3, hidden})
    parts = {f"hidden{low}": slice(low, high) for low, high in itertools.pairwise(cuts)}
    cells = {name: _cell(network, part, "", HIDDEN_SPIKES) for name, part in parts.items()}
    cells["out"] = _cell(network, slice(None), "_out", OUTPUT_SPIKES)
    populations = {"in": CellPopulation("input", (inputs,), None, np.ones(1))}
    for name, cell in cells.items():
        size = cell.v_threshold.size
        populations[name] = CellPopulation("CubaLIF", (size,), cell, np.ones(size))
    synapses = []
    for post, rows in parts.items():  # the last population first: order is the emulator's matter
        for pre, columns in reversed(parts.items()):
            block = network["w_rec"][columns, rows]
            synapses.append(_synapses(pre, post, block, network["shift_rec"], 1))
        synapses.append(_synapses("in", post, network["w_in"][:, rows], network["shift_in"], 0))
    for pre, columns in parts.items():
        block = network["w_out"][columns]
        synapses.append(_synapses(pre, "out", block, network["shift_out"], 1))
    program = Program(
        dt=1e-3,
        populations=populations,
        synapses=tuple(synapses),
        outputs={"output": "out"},
        lags=dict.fromkeys(populations, 0),
        arithmetic=XYLO,
        message_bits=5,
    )
    return program, {"in": network["input"][None].astype(np.int64)}


def _cell(network: dict[str, Array], part: slice, end: str, most: int) -> XyloCell:
    names = ("dash_syn", "dash_mem", "v_threshold", "bias")
    return XyloCell(
        *(network[name + end][part].astype(np.int32) for name in names), most_spikes=most
    )


def _synapses(pre: str, post: str, block: Array, shift: Array, delay: int) -> Synapses:
    mantissa = block.T.astype(np.int32)
    return Synapses.of(f"{pre}->{post}", pre, post, mantissa, int(shift), "signed", 8, delay)


def of_image(image: Image, x: Array, steps: int) -> dict[str, Array]:
    """Return a placed network and one sample (steps, n) as xylosim takes them, by its numbers."""
    program, plan = image.program, image.plan
    sizes = {name: pop.size for name, pop in program.populations.items()}
    hidden = sum(sizes[name] for name in plan.hidden)
    outputs = sum(sizes[name] for name in plan.readouts)
    channels = sum(sizes[name] for name, _ in plan.channels)
    readouts = {name: np.arange(at, at + sizes[name]) for name, at in plan.readouts.items()}
    shape = {"in": (channels, hidden), "rec": (hidden, hidden), "out": (hidden, outputs)}
    network: dict[str, Array] = {f"w_{end}": np.zeros(at, np.int16) for end, at in shape.items()}
    network |= {f"shift_{end}": np.array(0) for end in shape}
    for each in program.synapses:
        end = "in" if each.pre in program.inputs else "out" if each.post in readouts else "rec"
        first = plan.channels.get((each.pre, each.delay_steps), 0)
        pre = first + np.arange(sizes[each.pre]) if end == "in" else plan.hidden[each.pre]
        post = readouts[each.post] if end == "out" else plan.hidden[each.post]
        weights = sp.csr_matrix(each.mantissa).toarray().T
        network[f"w_{end}"][np.ix_(pre, post)] += weights.astype(np.int16)
        network[f"shift_{end}"] = np.array(each.exponent)
    for end, numbers, size in (("", plan.hidden, hidden), ("_out", readouts, outputs)):
        for field in ("dash_syn", "dash_mem", "v_threshold", "bias"):
            network[field + end] = np.zeros(size, np.int16)
            for name, where in numbers.items():
                network[field + end][where] = getattr(program.populations[name].cell, field)
    network["input"] = np.zeros((steps, channels), np.uint8)
    for (name, delay), first in plan.channels.items():
        late = x[: steps - delay]
        network["input"][delay : delay + len(late), first : first + sizes[name]] = late
    return network


def emulated(network: dict[str, Array]) -> dict[str, Array]:
    """Return what the emulator answers, under the names of xylosim_oracle.py."""
    from spikeport.backends import emulator

    program, inputs = as_program(network)
    names = program.neurons
    probe = [f"{name}.{variable}" for name in names for variable in ("u", "v")]
    traces = emulator.run(program, inputs, probe=probe)
    found = {
        "spikes": [traces.spikes[name].dense()[0] for name in names],
        **{each: [traces.probes[f"{name}.{each}"][0] for name in names] for each in ("u", "v")},
    }
    answer = {key: np.concatenate(parts[:-1], axis=1) for key, parts in found.items()}
    return answer | {f"{key}_out": parts[-1] for key, parts in found.items()}


def differences(network: dict[str, Array], answer: dict[str, Array]) -> list[str]:
    """Return where the emulator answers something else than xylosim, a line for each variable."""
    ours = emulated(network)
    lines = []
    for name in (*ANSWERS, *(f"{each}_out" for each in ANSWERS)):
        if ours[name].shape != answer[name].shape:
            lines.append(f"{name}: {ours[name].shape} against {answer[name].shape}")
            continue
        where = np.argwhere(ours[name] != answer[name])
        if where.size:
            first = tuple(where[0])
            lines.append(
                f"{name}: {len(where)} cells, first {first}: {ours[name][first]} here, "
                f"{answer[name][first]} in xylosim"
            )
    return lines


def ask(python: str, networks: list[dict[str, Array]], folder: Path) -> list[dict[str, Array]]:
    """Return what xylosim answers, run by the interpreter `python` on files in a folder."""
    asked, answered = folder / "asked.npz", folder / "answered.npz"
    write(asked, networks)
    subprocess.run([python, str(SCRIPT), str(asked), str(answered)], check=True, timeout=300)
    return read(answered)


def read(path: Path) -> list[dict[str, Array]]:
    """Return the networks or answers of a file, in the order of their numbers."""
    with np.load(path) as file:
        arrays = dict(file)
    numbers = dict.fromkeys(int(name.partition("/")[0]) for name in arrays)
    return [
        {name.partition("/")[2]: arrays[name] for name in arrays if name.startswith(f"{each}/")}
        for each in sorted(numbers)
    ]


def write(path: Path, networks: list[dict[str, Array]]) -> None:
    """Write networks to a file."""
    named = {f"{k}/{name}": each[name] for k, each in enumerate(networks) for name in each}
    np.savez_compressed(path, **named)
