"""From an Image on cores of lists to the tables that each of these cores would be loaded with.

Plain arrays, no object per neuron or synapse: some 11 bytes per synapse. The other fabrics need no
such step: their plan is the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.place.lists.memory import list_bits
from spikeport.compiler.program import Synapses

HOST = -1  # the "core" of what comes from outside: its slots are the inputs, it has out-axons only
WIDEST_SHORT_WEIGHT = 15  # bits


@dataclass(frozen=True, eq=False)
class CoreTables:
    """What one core holds. Populations and projections go by their numbers in the Program.

    In-axons of one sender follow each other, so an out-axon names the first and how many there are.

    Attributes:
        slot_population, slot_neuron: who is in each compartment, int32 (slots,).
        axon_population, axon_neuron: sender of each in-axon, int32 (axons,).
        axon_projection: whose synapses its list holds, int32 (axons,).
        axon_start, axon_length: its list, int64 and int32 (axons,).
        axon_dense: does the list store no indices, bool (axons,).
        target: compartment of each synapse, uint16 or int32 (synapses,).
        weight: its mantissa, int16 or int32 (synapses,).
        delay: its steps, uint8 or int32 (synapses,).
        out_slot: compartment that sends, int32 (out axons,).
        out_core: core that it sends to, int32 (out axons,).
        out_axon, out_count: the first in-axon there, and how many, int32 (out axons,).
    """

    slot_population: Array
    slot_neuron: Array
    axon_population: Array
    axon_neuron: Array
    axon_projection: Array
    axon_start: Array
    axon_length: Array
    axon_dense: Array
    target: Array
    weight: Array
    delay: Array
    out_slot: Array
    out_core: Array
    out_axon: Array
    out_count: Array

    def __post_init__(self) -> None:
        freeze_fields(self)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(getattr(self, each.name).nbytes for each in fields(self))


def tables(image: Image) -> Mapping[int, CoreTables]:
    """Return core number -> its tables; under `HOST` those of the inputs.

    Args:
        image: on cores of lists.

    Raises:
        TypeError: the image is on another fabric.
    """
    parts: dict[int, list[Slice]] = {use.core: [] for use in image.cores}
    for part in image.slices:
        parts[part.core].append(part)
    rows = {each.name: each.rows for each in image.program.synapses}
    found = {core: _core(image, held, rows) for core, held in parts.items()}
    found[HOST] = _host(image)
    return _with_out_axons(image, found)


def _core(image: Image, held: list[Slice], rows: Mapping[str, sp.csr_matrix]) -> CoreTables:
    """Return the tables of a core, still without out-axons."""
    numbers = {name: number for number, name in enumerate(image.program.populations)}
    lists = _CoreLists(image)
    slots = 0
    for part in held:
        for number, each in enumerate(image.program.synapses):
            if each.post == part.population:
                block = rows[each.name][part.neurons].tocsc()
                lists.add(number, each, numbers[each.pre], block, slots)
        slots += part.neurons.size
    sizes = [part.neurons.size for part in held]
    populations = [numbers[part.population] for part in held]
    neurons = np.concatenate([np.zeros(0, np.int64), *(part.neurons for part in held)])
    return lists.tables(np.repeat(np.array(populations, np.int32), sizes), neurons)


class _CoreLists:
    """The lists of one core, one block (slice, projection) after the other."""

    def __init__(self, image: Image) -> None:
        if not isinstance(image.chip.core, Lists):
            raise TypeError(f"{image.chip.name} is not built of lists: image.plan is its table")
        self.core = image.chip.core
        wide = max((each.weight_bits for each in image.program.synapses), default=0)
        self.weight = np.int16 if wide <= WIDEST_SHORT_WEIGHT else np.int32
        self.delay = np.uint8 if image.program.max_delay < 1 << 8 else np.int32
        self.axons: list[tuple[Array, ...]] = []
        self.synapses: list[tuple[Array, Array, Array]] = []
        self.used = 0

    def add(
        self, projection: int, each: Synapses, pre: int, block: sp.csc_matrix, first_slot: int
    ) -> None:
        """Add the lists of a block (neurons of a slice, senders), one per column that has any."""
        per_axon = np.diff(block.indptr)
        senders = np.flatnonzero(per_axon)
        length = per_axon[senders].astype(np.int32)
        delayed = each.delay_steps > 1
        only, targets = np.array([0, length.size]), np.array([block.shape[0]])
        dense = list_bits(length, only, targets, each.weight_bits, delayed, self.core)[1][0]
        self.axons.append(
            (
                np.full(senders.size, pre, np.int32),
                senders.astype(np.int32),
                np.full(senders.size, projection, np.int32),
                block.indptr[senders].astype(np.int64) + self.used,
                length,
                np.full(senders.size, dense),
            )
        )
        target = block.indices + first_slot
        weight = block.data.astype(self.weight)
        delay = np.full(target.size, each.delay_steps, self.delay)
        self.synapses.append((target, weight, delay))
        self.used += target.size

    def tables(self, populations: Array, neurons: Array) -> CoreTables:
        """Return them with these slots, in-axons by sender, and still without out-axons."""
        kinds = (np.int32, np.int32, np.int32, np.int64, np.int32, np.bool_)
        none = tuple(np.zeros(0, kind) for kind in kinds)
        axons = [np.concatenate(column) for column in zip(none, *self.axons, strict=True)]
        order = np.lexsort((axons[1], axons[0]))
        nothing = np.zeros(0, np.int32), np.zeros(0, self.weight), np.zeros(0, self.delay)
        rows = zip(nothing, *self.synapses, strict=True)
        target, weight, delay = (np.concatenate(column) for column in rows)
        narrow = np.uint16 if target.max(initial=0) < 1 << 16 else np.int32
        empty = np.zeros(0, np.int32)
        return CoreTables(
            slot_population=populations,
            slot_neuron=neurons.astype(np.int32),
            axon_population=axons[0][order],
            axon_neuron=axons[1][order],
            axon_projection=axons[2][order],
            axon_start=axons[3][order],
            axon_length=axons[4][order],
            axon_dense=axons[5][order],
            target=target.astype(narrow),
            weight=weight,
            delay=delay,
            out_slot=empty,
            out_core=empty,
            out_axon=empty,
            out_count=empty,
        )


def _host(image: Image) -> CoreTables:
    populations = image.program.populations
    inputs = [
        (number, populations[name].size)
        for number, name in enumerate(populations)
        if populations[name].cell is None
    ]
    numbers = np.array([number for number, _ in inputs], np.int32)
    neurons = np.concatenate([np.zeros(0, np.int64), *(np.arange(size) for _, size in inputs)])
    return _CoreLists(image).tables(np.repeat(numbers, [size for _, size in inputs]), neurons)


def _with_out_axons(image: Image, found: dict[int, CoreTables]) -> dict[int, CoreTables]:
    """Return the tables with an out-axon for every neuron and core that it sends to."""
    first_of = np.cumsum([0, *(each.size for each in image.program.populations.values())])
    numbers = {name: number for number, name in enumerate(image.program.populations)}
    slot_of = np.zeros(first_of[-1], np.int64)
    for held in found.values():
        slots = first_of[held.slot_population] + held.slot_neuron
        slot_of[slots] = np.arange(slots.size)
    columns: list[tuple[Array, ...]] = []
    for route in image.routes:
        senders = first_of[numbers[route.pre]] + route.neurons
        there = found[route.target_core]
        axons = first_of[there.axon_population] + there.axon_neuron
        first, end = (np.searchsorted(axons, senders, side) for side in ("left", "right"))
        target = np.full(senders.size, route.target_core)
        columns.append((route.source_cores, slot_of[senders], target, first, end - first))
    if not columns:
        return found
    source, *rest = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.lexsort((rest[1], rest[0], source))
    cores = np.array(sorted(found))
    cuts = np.searchsorted(source[order], cores[1:])
    parts = [np.split(column[order].astype(np.int32), cuts) for column in rest]
    names = ("out_slot", "out_core", "out_axon", "out_count")
    return {
        int(core): replace(found[int(core)], **dict(zip(names, part, strict=True)))
        for core, *part in zip(cores, *parts, strict=True)
    }
