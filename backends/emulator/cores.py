"""What the engine needs to count the work of cores: where neurons live, and whom they reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.image import Image, Slice
from spikeport.compiler.kinds import Array

#: Counters per sample, step and core, in the engine's order.
COUNTERS = ("packets_in", "synaptic_ops", "spikes_out", "packets_out", "soma_updates")
LANES = 16  # rows of a table are whole multiples of it
OUTSIDE = -1
LARGEST_ENTRY = 65535
LIST_BYTES = 8  # of a message in a list
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
    found: dict[str, _Rows | _Lists] = {}
    for pre, number, neurons, synapses in _axons(image):
        place, core = places[pre], int(np.searchsorted(cores.numbers, number))
        rows = neurons if place is None else place[neurons]
        if pre not in found:
            found[pre] = _begun(image, pre, cores.numbers.size)
        table = found[pre]
        if isinstance(table, _Rows) and not table.takes(rows, synapses):
            table = found[pre] = table.as_lists()
        table.add(core, rows, synapses)
    return {name: table.fields() for name, table in found.items()}


def _axons(image: Image) -> Iterator[tuple[str, int, Array, Array]]:
    """Yield (population, core, its neurons that send there, synapses of each), core by core.

    Routes that are kept are taken; those that an Image would have to find again take more
    memory than the synapses, so they are counted here, a core at a time.
    """
    if isinstance(image.routes, tuple):
        for route in image.routes:
            yield route.pre, route.target_core, route.neurons, route.synapses
        return
    parts: dict[int, list[Slice]] = {}
    for part in image.slices:
        parts.setdefault(part.core, []).append(part)
    for core, slices in parts.items():
        senders: dict[str, list[Array]] = {}
        for part in slices:
            for each in image.program.into(part.population):
                senders.setdefault(each.pre, []).append(_senders(each.stored, part.neurons))
        for pre, numbers in senders.items():
            neurons, synapses = np.unique(np.concatenate(numbers), return_counts=True)
            if neurons.size:
                yield pre, core, neurons, synapses


def _senders(weights: Any, targets: Array) -> Array:
    """Return the source of every synapse of some targets of (post, pre) weights."""
    if isinstance(weights, np.ndarray):
        return np.nonzero(weights[targets])[1]
    first, end = weights.indptr[targets], weights.indptr[targets + 1]
    if (first[1:] == end[:-1]).all():  # neighbours: no copy
        return np.asarray(weights.indices[first[0] : end[-1]])
    return np.asarray(weights[targets].indices)


def _begun(image: Image, pre: str, cores: int) -> _Rows | _Lists:
    """Return an empty table, of rows where these take no more than lists might."""
    size = image.program.populations[pre].size
    synapses = sum(each.count for each in image.program.synapses if each.pre == pre)
    rows = 2 * size * -(-cores // LANES) * LANES
    if rows <= max(LIST_BYTES * min(synapses, size * cores), DENSE_BYTES):
        return _Rows(size, cores)
    return _Lists(size)


class _Lists:
    """The cores of each neuron, one after the other."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: list[Array] = []
        self.cores: list[Array] = []
        self.synapses: list[Array] = []

    def add(self, core: int, rows: Array, synapses: Array) -> None:
        self.rows.append(rows.astype(np.int32))
        self.cores.append(np.full(rows.size, core, np.int32))
        self.synapses.append(synapses.astype(np.int32))

    def fields(self) -> dict[str, Any]:
        rows = np.concatenate(self.rows)
        order = np.argsort(rows, kind="stable")
        fan_out = np.bincount(rows, minlength=self.size).astype(np.int32)
        return {
            "reach_first": np.concatenate([[0], np.cumsum(fan_out, dtype=np.int64)]),
            "reach_core": np.concatenate(self.cores)[order],
            "reach_synapses": np.concatenate(self.synapses)[order],
            "fan_out": fan_out,
        }


class _Rows:
    """A row of all cores for each neuron: synapses in 16 bits."""

    def __init__(self, size: int, cores: int) -> None:
        self.table = np.zeros((size, -(-cores // LANES) * LANES), np.uint16)

    def takes(self, rows: Array, synapses: Array) -> bool:
        """Do 16 bits hold them, and is each neuron there once (a splitter is sent to twice)."""
        once = np.bincount(rows, minlength=1).max(initial=0) <= 1
        return bool(once and synapses.max(initial=0) <= LARGEST_ENTRY)

    def add(self, core: int, rows: Array, synapses: Array) -> None:
        self.table[rows, core] = synapses

    def as_lists(self) -> _Lists:
        lists = _Lists(len(self.table))
        for core in np.flatnonzero(self.table.any(axis=0)):
            rows = np.flatnonzero(self.table[:, core])
            lists.add(int(core), rows, self.table[rows, core])
        return lists

    def fields(self) -> dict[str, Any]:
        return {"reach": self.table, "fan_out": (self.table != 0).sum(axis=1, dtype=np.int32)}
