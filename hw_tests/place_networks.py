"""Random Programs and small chips for them: what placement has to cut, share, delay and copy.

Each `draw_*` returns a Program and a chip whose cores are so small that most networks take several
and some do not fit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import scipy.sparse as sparse

import spikeport as sp
from hw_tests.generate.graphs import random_graph
from hw_tests.small_chips import chip_like, edge, program_of
from spikeport.backends import find_chip
from spikeport.compiler.chip import Chip
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.compiler.program import Program, Synapses
from spikeport.compiler.quantize.quantize import quantize

Array = np.ndarray[Any, Any]
Drawn = tuple[Program, Chip]


def draw_loihi1(rng: np.random.Generator) -> Drawn:
    """Return a network for small cores of lists; every third comes from a random NIR graph."""
    chip = _small_lists(rng, "loihi1")
    return (_from_nir(rng, "loihi1") if rng.random() < 0.33 else _for_lists(rng)), chip


def draw_graded(rng: np.random.Generator) -> Drawn:
    """Return the same for a chip with graded messages."""
    chip = _small_lists(rng, "generic_graded")
    return (_from_nir(rng, "generic_graded") if rng.random() < 0.33 else _for_lists(rng)), chip


def draw_truenorth(rng: np.random.Generator) -> Drawn:
    """Return integrators with few levels of weights, for small crossbars."""
    levels = [np.array(each) for each in ([1], [1, 2, 3], [-1, 1], [-2, -1, 1, 2], range(-8, 8))]

    allowed = levels[rng.integers(len(levels))] * int(rng.integers(1, 12))

    def weights(post: int, pre: int) -> Array:
        return rng.choice(allowed[allowed != 0], (post, pre))

    net = _random_net(rng, weights, longest=5, largest=24)
    if rng.random() < 0.05:  # levels that no four types make
        first = net.synapses[0]
        odd = np.where(first.rows.toarray() != 0, rng.integers(1, 100, first.mantissa.shape), 0)
        net = replace(net, synapses=(_with(first, odd), *net.synapses[1:]))
    side = int(rng.integers(2, 9))
    limits = {"neurons": int(rng.integers(8, 60)), "axons": int(rng.integers(30, 120))}
    return net, chip_like("truenorth", (side, side, 1), 3, **limits)


def draw_odin(rng: np.random.Generator) -> Drawn:
    """Return integrators that fire with either sign, for one core whose rows are its columns'."""
    net = _random_net(rng, lambda post, pre: rng.integers(-7, 8, (post, pre)), longest=1)
    size = int(rng.integers(40, 200))
    return net, chip_like("odin", neurons=size, axons=size)


def draw_xylo(rng: np.random.Generator) -> Drawn:
    """Return current-based neurons for a small core of inputs, hidden neurons and readouts."""
    sizes = {"in": int(rng.integers(1, 12))}
    hidden = [f"h{number}" for number in range(rng.integers(1, 4))]
    sizes |= {name: int(rng.integers(1, 14)) for name in hidden}
    sizes["o"] = int(rng.integers(1, 8))
    chain = ["in", *hidden, "o"]
    pairs = list(pairwise(chain))
    pairs += [(name, name) for name in hidden if rng.random() < 0.4]
    pairs += [(a, b) for a in chain for b in chain[1:] if rng.random() < 0.08]
    edges = [
        edge(pre, post, _thinned(rng, rng.integers(-127, 128, (sizes[post], sizes[pre]))),
             delay=_input_delay(rng) if pre == "in" else 1, sign="signed")
        for pre, post in dict.fromkeys(pairs)
    ]  # fmt: skip
    limits = {
        "inputs": int(rng.integers(6, 14)),
        "hidden": int(rng.integers(12, 40)),
        "outputs": int(rng.integers(4, 9)),
        "input_expansion": int(rng.integers(6, 24)),
        "output_expansion": int(rng.integers(6, 24)),
    }
    return program_of(sizes, *edges, kind="CubaLIF"), chip_like("xylo_audio3", **limits)


def _input_delay(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 0, 1]))


def draw_speck(rng: np.random.Generator) -> Drawn:
    """Return a chain of convolutions with one or two dense ends for Speck, which has no steps.

    Every other one has small maps and so many channels that its kernels may be too large.
    """
    wide = rng.random() < 0.5
    most, extents = (200, (2, 5)) if wide else (7, (4, 13))
    shape = (int(rng.integers(1, 3)), *(int(n) for n in rng.integers(*extents, 2)))
    sizes: dict[str, tuple[int, ...]] = {"in": shape}
    edges: list[Synapses] = []
    last, before = "in", shape
    for number in range(rng.integers(1, 5)):
        name, channels = f"c{number}", int(rng.integers(1, most))
        kernel, stride = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2]))
        padding, pooling = int(rng.integers(0, 2)), int(rng.choice([1, 1, 2]))
        matrix, after = _convolution(rng, before, channels, kernel, stride, padding, pooling)
        if min(after) < 1:
            break
        sizes[name] = after
        edges.append(edge(last, name, matrix, 0, "signed"))
        if rng.random() < 0.3:
            bias = np.repeat(rng.integers(1, 9, channels), after[1] * after[2])[:, None]
            sizes.setdefault("one", (1,))
            edges.append(edge("one", name, bias, 0, "signed"))
        last, before = name, after
    for name in ("d", "e")[: rng.integers(1, 3)]:
        sizes[name] = (int(rng.integers(1, 2 * most)),)
        dense = rng.integers(-127, 128, (sizes[name][0], int(np.prod(before))))
        edges.append(edge(last, name, dense, 0, "signed"))
    net = program_of(sizes, *edges, kind="IF")
    if "one" in net.populations:
        held = {**net.populations, "one": replace(net.populations["one"], kind="constant")}
        net = replace(net, populations=held)
    return net, find_chip("speck2f")


DRAW: Mapping[str, Callable[[np.random.Generator], Drawn]] = {
    "loihi1": draw_loihi1,
    "generic_graded": draw_graded,
    "truenorth": draw_truenorth,
    "xylo_audio3": draw_xylo,
    "odin": draw_odin,
    "speck2f": draw_speck,
}


# --- networks ----------------------------------------------------------------------------------


def _for_lists(rng: np.random.Generator) -> Program:
    def weights(post: int, pre: int) -> Array:
        return 2 * rng.integers(-127, 128, (post, pre))

    net = _random_net(rng, weights, longest=9)
    kinds = int(rng.integers(1, 5))
    populations = {}
    for name, population in net.populations.items():
        cell = population.cell
        if cell is not None:
            ends = {"decay_u": kinds, "refractory_steps": 3, "v_threshold": kinds + 1}
            cell = replace(
                cell,
                **{
                    key: rng.integers(1, rng.integers(2, end + 2), population.size).astype(np.int32)
                    for key, end in ends.items()
                },
            )
        populations[name] = replace(population, cell=cell)
    return replace(net, populations=populations)


def _random_net(
    rng: np.random.Generator,
    weights: Callable[[int, int], Array],
    longest: int,
    largest: int = 40,
) -> Program:
    """Return some populations with forward edges, loops, doubled edges, maps and long delays."""
    sizes: dict[str, int | tuple[int, ...]] = {}
    for number in range(rng.choice([1, 1, 2])):
        sizes[f"in{number}"] = int(rng.integers(1, largest))
    for number in range(rng.integers(1, 5)):
        flat = int(rng.integers(1, largest))
        maps = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(1, 5, 2)))
        sizes[f"n{number}"] = maps if rng.random() < 0.3 else flat
    names = list(sizes)
    neurons = [name for name in names if not name.startswith("in")]
    edges: dict[str, Synapses] = {}
    for post in neurons:
        before = names[: names.index(post)]
        pairs = [(str(rng.choice(before)), post)]
        pairs += [(str(rng.choice(names)), post) for _ in range(rng.choice([0, 0, 1, 2]))]
        for pre, _ in pairs:
            extent = (int(np.prod(sizes[post])), int(np.prod(sizes[pre])))
            delay = int(rng.choice([1, 1, rng.integers(1, longest + 1)]))
            made = edge(pre, post, _thinned(rng, weights(*extent)), delay)
            edges[made.name] = _stored(rng, made)
    return program_of(sizes, *edges.values(), kind="IF")


def _thinned(rng: np.random.Generator, matrix: Array) -> Array:
    """Return the matrix with some share of it 0: at random, near the diagonal, or in whole rows."""
    post, pre = matrix.shape
    match rng.choice(4, p=[0.4, 0.2, 0.2, 0.2]):
        case 0:
            kept = rng.random((post, pre)) < rng.choice([0.03, 0.1, 0.3, 0.7])
        case 1:
            near = np.arange(pre) * post / pre - np.arange(post)[:, None]
            kept = np.abs(near) < rng.integers(1, 6)
        case 2:
            kept = np.broadcast_to(rng.random((post, 1)) < 0.5, (post, pre))
        case _:
            kept = np.ones((post, pre), bool)
    return np.where(kept, matrix, 0)


def _stored(rng: np.random.Generator, made: Synapses) -> Synapses:
    """Return the projection dense, as CSR, or as CSR with zeros that are stored."""
    way = rng.choice(3)
    if way == 0:
        return made
    dense = made.mantissa
    rows = sparse.csr_array(dense)
    if way == 2 and rows.nnz < dense.size:
        at = np.argwhere(dense == 0)[0]
        cells = sparse.coo_array(dense)
        where = (np.append(cells.row, at[0]), np.append(cells.col, at[1]))
        rows = sparse.csr_array((np.append(cells.data, 0), where), dense.shape)
    return made.with_mantissa(rows.astype(np.int32))


def _with(each: Synapses, dense: Array) -> Synapses:
    return each.with_mantissa(np.asarray(dense, np.int32))


def _convolution(
    rng: np.random.Generator,
    before: tuple[int, ...],
    channels: int,
    kernel: int,
    stride: int,
    padding: int,
    pooling: int,
) -> tuple[Array, tuple[int, int, int]]:
    """Return the matrix of a sum pool and a convolution with random weights, and its maps."""
    inputs, height, width = before[0], before[1] // pooling, before[2] // pooling
    rows, columns = ((n + 2 * padding - kernel) // stride + 1 for n in (height, width))
    after = (channels, rows, columns)
    if min(after) < 1:
        return np.zeros((0, 0)), after
    taps = rng.integers(-127, 128, (channels, inputs, kernel, kernel))
    matrix = np.zeros((*after, *before), np.int64)
    for y, x, i, j in np.ndindex(rows, columns, kernel, kernel):
        top, left = y * stride - padding + i, x * stride - padding + j
        if 0 <= top < height and 0 <= left < width:
            down = slice(top * pooling, (top + 1) * pooling)
            right = slice(left * pooling, (left + 1) * pooling)
            matrix[:, y, x, :, down, right] += taps[:, :, i, j, None, None]
    return matrix.reshape(int(np.prod(after)), int(np.prod(before))), after


def _from_nir(rng: np.random.Generator, chip: str) -> Program:
    """Return a random NIR graph as it comes out of the quantizer."""
    drawn = random_graph(rng, "loihi1")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.nir"
        nir.write(path, drawn.graph)
        net = sp.load(path, dialect="nir", settings=drawn.settings)
    target = find_chip(chip)
    return quantize(for_chip(to_clocked(net), target), target, {}, {})


# --- chips -------------------------------------------------------------------------------------


def _small_lists(rng: np.random.Generator, name: str) -> Chip:
    """Return cores so small that any limit may be the one that is met."""
    side = int(rng.integers(2, 7))
    limits = {
        "compartments": int(rng.integers(3, 30)),
        "in_axons": int(rng.integers(12, 120)),
        "out_axons": int(rng.integers(6, 120)),
        "synaptic_memory_bits": 64 * int(rng.integers(8, 300)),
        "compartment_configs": int(rng.integers(1, 6)),
        "threshold_configs": int(rng.integers(1, 4)),
    }
    roomy = rng.random() < 0.3
    limits = {key: value for key, value in limits.items() if not roomy or rng.random() < 0.4}
    return chip_like(name, (side, side, int(rng.integers(1, 3))), 6, **limits)
