"""Chips with other limits than their own, and Programs written down edge by edge, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from spikeport.backends import find_chip
from spikeport.compiler.chip import Chip
from spikeport.compiler.figure import Figure
from spikeport.compiler.image import Image
from spikeport.compiler.place.place import place
from spikeport.compiler.program import LAVA, Arithmetic, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell

Array = np.ndarray[Any, Any]


def chip_like(
    name: str, tiles: tuple[int, int, int] | None = None, chips: int | None = None, **core: int
) -> Chip:
    """Return a chip of the library with other figures.

    Args:
        name: of the chip.
        tiles: columns, rows, cores per tile.
        chips: how many can be linked.
        core: figures of its cores; one that the chip does not publish is added.
    """
    chip = _from_library(name)
    topology: dict[str, Figure | None] = {}
    if tiles is not None:
        words = ("tiles_x", "tiles_y", "cores_per_tile")
        topology = {word: _figure(value) for word, value in zip(words, tiles, strict=True)}
    if chips is not None:
        topology["chips"] = _figure(chips)
    figures = {key: _figure(value) for key, value in core.items()}
    return chip.model_copy(
        update={
            "core": chip.core.model_copy(update=figures),
            "topology": chip.topology.model_copy(update=topology),
        }
    )


@cache
def _from_library(name: str) -> Chip:
    return find_chip(name)


def _figure(value: int) -> Figure:
    return Figure(value=value, unit="as before", source="chosen for a test", basis="estimate")


def program_of(
    sizes: Mapping[str, int | tuple[int, ...]],
    *edges: Synapses,
    arithmetic: Arithmetic = LAVA,
    kind: str = "LIF",
    registers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Program:
    """Return a Program; populations whose names begin with `in` are inputs.

    Args:
        sizes: population -> neurons, or the shape of a map.
        edges: from `edge`.
        arithmetic: the datapath.
        kind: of all neurons.
        registers: population -> fields of its cell; the rest are those of a neuron that passes on.
    """
    populations = {}
    for name, given in sizes.items():
        shape = given if isinstance(given, tuple) else (given,)
        size = int(np.prod(shape))
        held = (registers or {}).get(name, {})
        arrays = {
            key: np.resize(np.asarray(value, np.int32), size) if key != "reset" else value
            for key, value in held.items()
        }
        cell = None if name.startswith("in") else neutral_cell(size, **arrays)
        populations[name] = CellPopulation(
            "input" if cell is None else kind, shape, cell, np.ones(size)
        )
    last = list(sizes)[-1]
    return Program(
        1e-3, populations, edges, {"out": last}, dict.fromkeys(sizes, 0), arithmetic, name="net"
    )


def edge(
    pre: str, post: str, weights: Array, delay: int = 1, sign: str = "mixed", bits: int = 8
) -> Synapses:
    """Return a projection named after its ends (and its delay, where that is more than a step)."""
    name = f"{pre}-{post}" + (f"-{delay}" if delay > 1 else "")
    return Synapses.of(name, pre, post, np.asarray(weights, np.int32), 0, sign, bits, delay)


def on_four_cores() -> Image:
    """Return a net with a loop and a second, later way, on four cores of two small chips."""
    rng = np.random.default_rng(5)

    def weights(density: float) -> Array:
        drawn = 2 * (1 + rng.permutation(100).reshape(10, 10) % 60)
        return np.where(rng.random((10, 10)) < density, drawn, 0)

    net = program_of(
        {"in": 3, "a": 10, "b": 10},
        edge("in", "a", np.full((10, 3), 2)),
        edge("a", "b", weights(1.0)),
        edge("a", "b", weights(0.2), delay=3),
        edge("b", "a", weights(0.5)),
        registers={"a": {"decay_v": np.arange(10) // 4}, "b": {"v_threshold": [7, 8, 9]}},
    )
    return place(net, chip_like("loihi1", (1, 2, 1), chips=2, compartments=5), 2)
