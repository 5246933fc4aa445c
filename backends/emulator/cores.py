"""What the engine needs to count the work of cores: where neurons live, and whom they reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array

#: Counters per sample, step and core, in the engine's order.
COUNTERS = ("packets_in", "synaptic_ops", "spikes_out", "packets_out", "soma_updates")
LANES = 32  # rows of a table are whole multiples of it
OUTSIDE = -1
LARGEST_ENTRY = 65535
DENSE_BYTES = 1 << 20  # tables up to this size are rows even where most entries are 0


@dataclass(frozen=True, eq=False)
class Cores:
    """The cores of an Image.

    Attributes:
        numbers: of the cores that are used, ascending.
        home: population -> index into `numbers` of each neuron's core.
    """

    numbers: Array
    home: Mapping[str, Array]


def cores_of(image: Image) -> Cores:
    """Return the cores of an Image."""
    numbers = np.array([use.core for use in image.cores], np.int64)
    home: dict[str, Array] = {}
    for part in image.slices:
        size = image.program.populations[part.population].size
        where = home.setdefault(part.population, np.full(size, OUTSIDE, np.int32))
        where[part.neurons] = np.searchsorted(numbers, part.core)
    return Cores(numbers, {name: where for name, where in home.items() if (where >= 0).all()})


def stretches(home: Array, order: Array | None) -> dict[str, Any]:
    """Return where the stretches of places on one core end, and on which core they are."""
    at = home if order is None else home[order]
    ends = np.append(np.flatnonzero(np.diff(at)) + 1, at.size)
    return {
        "segment_end": ends.astype(np.int32),
        "segment_core": np.ascontiguousarray(at[ends - 1], np.int32),
    }


def reaches(
    image: Image, cores: Cores, places: Mapping[str, Array | None]
) -> dict[str, dict[str, Any]]:
    """Return, for every population that sends, the synapses that each neuron has on each core.

    Args:
        image: where everything is.
        cores: of `cores_of`.
        places: population -> place of each neuron, or None.

    Returns:
        Population -> `reach`, a table of uint16 rows, or lists where most of it would be zeros;
        and `fan_out`, how many cores a neuron sends to.
    """
    found: dict[str, list[tuple[int, Array, Array]]] = {}
    for route in image.routes:
        place = places[route.pre]
        rows = route.neurons if place is None else place[route.neurons]
        column = int(np.searchsorted(cores.numbers, route.target_core))
        found.setdefault(route.pre, []).append((column, rows, np.asarray(route.synapses)))
    return {
        name: _table(image.program.populations[name].size, cores.numbers.size, entries)
        for name, entries in found.items()
    }


def _table(size: int, cores: int, entries: list[tuple[int, Array, Array]]) -> dict[str, Any]:
    fan_out, once = np.zeros(size, np.int32), True
    for _, rows, _ in entries:
        times = np.bincount(rows, minlength=size)
        fan_out += times
        once &= int(times.max(initial=0)) <= 1  # a splitter's source is sent there twice
    padded = -(-cores // LANES) * LANES
    messages = int(fan_out.sum(dtype=np.int64))
    largest = max(int(synapses.max(initial=0)) for _, _, synapses in entries)
    if once and largest <= LARGEST_ENTRY and 2 * size * padded <= max(8 * messages, DENSE_BYTES):
        table = np.zeros((size, padded), np.uint16)
        for column, rows, synapses in entries:
            table[rows, column] = synapses
        return {"reach": table, "fan_out": fan_out}
    order = np.argsort(np.concatenate([rows for _, rows, _ in entries]), kind="stable")
    columns = np.repeat([column for column, _, _ in entries], [r.size for _, r, _ in entries])
    synapses = np.concatenate([each for _, _, each in entries])
    return {
        "reach_first": np.concatenate([[0], np.cumsum(fan_out, dtype=np.int64)]),
        "reach_core": columns[order].astype(np.int32),
        "reach_synapses": synapses[order].astype(np.int32),
        "fan_out": fan_out,
    }
