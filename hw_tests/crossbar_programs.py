"""Networks for crossbar chips: random ones of IF neurons, and Programs written down by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sparse

from spikeport.compiler.check import check
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Membrane, Population, Projection
from spikeport.compiler.image import Image
from spikeport.compiler.passes.retime_for import retime_for
from spikeport.compiler.pipeline import NORMAL_FORM
from spikeport.compiler.place.place import place
from spikeport.compiler.program import Cell, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.arithmetic import arithmetic_of
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.compiler.quantize.quantize import quantize


def changed(chip: Chip, cores: int | None = None, **core: int) -> Chip:
    """Return a chip with other limits of a core, and a row of so many tiles."""
    limits = {k: getattr(chip.core, k).model_copy(update={"value": v}) for k, v in core.items()}
    update: dict[str, Any] = {"core": chip.core.model_copy(update=limits)}
    if cores is not None:
        extents = {"tiles_x": cores, "tiles_y": 1}
        mesh = {
            name: getattr(chip.topology, name).model_copy(update={"value": value})
            for name, value in extents.items()
        }
        update["topology"] = chip.topology.model_copy(update=mesh)
    return chip.model_copy(update=update)


def integrators(size: int, rng: np.random.Generator) -> Membrane:
    """Return IF neurons that differ."""
    zeros, ones = np.zeros(size), np.ones(size)
    subtract = rng.random() < 0.4
    return Membrane(
        has_current=False, keep_u=zeros, gain_u=ones, keep_v=ones,
        gain_v=rng.choice([0.5, 1.0], size), drive_v=zeros,
        v_threshold=rng.uniform(0.4, 1.5, size), v_reset=zeros,
        v_initial=rng.choice([0.0, 0.25], size),
        v_min=np.full(size, rng.choice([-np.inf, -2.0])),
        refractory_steps=np.zeros(size, np.int64), reset="subtract" if subtract else "to_value",
        reset_when="same_step", spike="binary",
        threshold=rng.choice(["greater", "greater_equal"]), current_order="decay_add_v",
        v_offset=zeros,
    )  # fmt: skip


def random_network(seed: int) -> Clocked:
    """Return layers of IF neurons, with biases, delays, loops and layers that are skipped."""
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(2, 14)) for _ in range(int(rng.integers(2, 5)))]
    names = ["in", "a", "b", "c"][: len(sizes)]
    populations = {"bias": Population("constant", (1,)), "in": Population("input", (sizes[0],))}
    populations |= {
        name: Population("IF", (size,), integrators(size, rng))
        for name, size in zip(names[1:], sizes[1:], strict=True)
    }
    edges = []

    def connect(pre: str, post: str, delay: int, density: float = 0.7) -> None:
        shape = (populations[post].size, populations[pre].size)
        matrix = rng.normal(0.15, 0.5, shape) * (rng.random(shape) < density)
        matrix = np.abs(matrix) if rng.random() < 0.2 else matrix
        stored: Any = sparse.csr_matrix(matrix) if rng.random() < 0.5 else matrix
        edges.append(Projection(f"{pre}-{post}-{len(edges)}", pre, post, stored, delay, delay > 0))

    for number, (pre, post) in enumerate(pairwise(names)):
        connect(pre, post, int(rng.choice([0, 0, 3, 20])))
        if rng.random() < 0.3:
            connect(pre, post, int(rng.choice([0, 1])))  # a second path between the same two
        if rng.random() < 0.5:
            connect(post, post, int(rng.integers(2, 6)))
        if rng.random() < 0.5:
            connect("bias", post, 0, 1.0)
        if number and rng.random() < 0.5:
            connect(post, names[number], int(rng.integers(4, 9)))  # back to the layer before
            connect("in", post, int(rng.choice([0, 1])))
    return Clocked(
        1e-3, populations, tuple(edges), {"out": names[-1]}, dict.fromkeys(populations, 0)
    )


def normal(network: Clocked) -> Clocked:
    """Return it in the form that chips take."""
    for step in NORMAL_FORM:
        network = step(network)
    return network


def on(network: Clocked, chip: Chip) -> Image:
    """Return it on the chip, with every check of the nouns in between."""
    retimed = retime_for(normal(network), chip)
    program = check(quantize(retimed, chip, {}, {}), after="quantize")
    return check(place(program, chip), after="place")


def cell(size: int, chip: Chip, rng: np.random.Generator) -> Cell:
    """Return IF neurons as the chip's integers."""
    threshold = rng.integers(5, 40, size).astype(np.int32)
    forgets = np.full(size, (1 << int(chip.limits.decay_bits.value)) - 1, np.int32)
    return neutral_cell(
        size, decay_u=forgets, v_threshold=threshold, threshold="greater_equal",
        v_min=np.zeros(size, np.int32),
    )  # fmt: skip


def program(
    chip: Chip, sizes: dict[str, int], *edges: tuple[str, str, Any], seed: int = 0
) -> Program:
    """Return a Program: `in` is the input, the others are IF neurons, the last is read out."""
    rng = np.random.default_rng(seed)
    populations = {
        name: CellPopulation("input", (size,), None, np.ones(size))
        if name == "in"
        else CellPopulation("IF", (size,), cell(size, chip, rng), np.ones(size))
        for name, size in sizes.items()
    }
    synapses = tuple(
        Synapses.of(f"{pre}-{post}-{k}", pre, post, matrix.astype(np.int32), 0, "signed", 8)
        for k, (pre, post, matrix) in enumerate(edges)
    )
    last = list(sizes)[-1]
    lags = dict.fromkeys(sizes, 0)
    return Program(1e-3, populations, synapses, {"out": last}, lags, arithmetic_of(chip))


def random_program(chip: Chip, seed: int, most: int) -> Program:
    """Return a recurrent network of small integers."""
    rng = np.random.default_rng(seed)
    sizes = {name: int(rng.integers(1, most)) for name in ("in", "a", "b")}

    def matrix(pre: str, post: str) -> Any:
        shape = (sizes[post], sizes[pre])
        return rng.integers(-3, 4, shape) * (rng.random(shape) < 0.6)  # two paths may add up

    pairs = [("in", "a"), ("in", "a"), ("a", "b"), ("b", "b"), ("b", "a")]
    kept = [pairs[0], *(pair for pair in pairs[1:] if rng.random() < 0.6)]
    return program(chip, sizes, *((*pair, matrix(*pair)) for pair in kept), seed=seed)
