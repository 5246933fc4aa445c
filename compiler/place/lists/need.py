"""What slices of a population ask of cores of lists, counted for many slices in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Lists
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.counts import lists_in, marks
from spikeport.compiler.place.lists.memory import list_bits
from spikeport.compiler.program import CellPopulation, Program, Synapses

NOT_PUBLISHED = 1 << 62  # no figure is above it
#: Resource of a core -> (its words after a number, what to do where one neuron breaks it).
RESOURCES = {
    "compartments": ("compartments", "use fewer neurons"),
    "in_axons": ("in-axons", "keep at most {limit} inputs of a neuron"),
    "out_axons": ("out-axons", "let a neuron reach at most {limit} cores"),
    "synaptic_memory_bits": ("bits of synaptic memory", "keep at most {inputs} inputs of a neuron"),
    "compartment_configs": ("compartment configurations", "let neurons share time constants"),
    "threshold_configs": ("threshold configurations", "let neurons share thresholds"),
}
CODES = ("compartment_configs", "threshold_configs")  # tables, that slices of one core share


@dataclass(frozen=True, eq=False)
class Ordered:
    """A population in the order in which it is cut.

    Attributes:
        name, population: who.
        order: neuron at each place of the order, int64 (n,).
        incoming: projections that end in it, with ones where synapses are, (n, pre).
        inputs: synapses of each neuron, over all projections, (n,).
        codes: per table of `CODES`, the number of each neuron's entry, (n,).
        entries: per table, what these numbers stand for.
        grain: slices of whole multiples of it are tried too (channels of a map).
    """

    name: str
    population: CellPopulation
    order: Array
    incoming: tuple[tuple[Synapses, Any], ...]
    inputs: Array
    codes: Mapping[str, Array]
    entries: Mapping[str, list[tuple[str | int, ...]]] = field(repr=False)
    grain: int = 1

    def taken_in(self, places: Array) -> Ordered:
        """Return the same with its places taken in another order, (n,)."""
        return replace(self, order=self.order[places])

    def lists(self, bounds: Sequence[int]) -> list[sp.csr_array]:
        """Return per projection the synapses of each sender in each slice, (slices, pre)."""
        return [lists_in(ones, self.order, bounds) for _, ones in self.incoming]

    def tables(self, first: int, end: int) -> dict[str, frozenset[tuple[str | int, ...]]]:
        """Return the entries that neurons at places first .. end need in a core's tables."""
        held = self.order[first:end]
        return {
            name: frozenset(entries)
            if len(entries) == 1
            else frozenset(entries[code] for code in np.unique(self.codes[name][held]).tolist())
            for name, entries in self.entries.items()
        }


def ordered(program: Program, name: str, core: Lists, order: Array) -> Ordered:
    """Return a population with its neurons in an order, (n,)."""
    population = program.populations[name]
    largest = min(core.compartments.whole, population.size)
    incoming = tuple((each, marks(each.stored, largest)) for each in program.into(name))
    codes: dict[str, Array] = {}
    entries: dict[str, list[tuple[str | int, ...]]] = {}
    cell = population.cell
    if cell is not None:
        columns = {CODES[0]: cell.configuration, CODES[1]: (cell.v_threshold,)}
        for table in limits_of(core).keys() & columns.keys():
            codes[table], rows = _numbered(columns[table])
            kind = (type(cell).__name__,) if table == CODES[0] else ()
            entries[table] = [(*kind, *row) for row in rows]
    grain = population.shape[0] if len(population.shape) == 3 else 1
    inputs = sum((inputs_of(ones) for _, ones in incoming), start=np.zeros_like(order))
    return Ordered(name, population, order, incoming, inputs, codes, entries, grain)


def needs_of(
    each: Ordered, core: Lists, bounds: Sequence[int], lists: Sequence[sp.csr_array] | None = None
) -> dict[str, Array]:
    """Return resource -> what each slice asks of a core, int64 (slices,).

    Out-axons are 0: they depend on how everything else is cut.

    Args:
        each: the population.
        core: what is asked of.
        bounds: places of the order where slices begin and end.
        lists: what `each.lists` gives for them, where it is known.
    """
    targets, held = np.diff(bounds), each.order[bounds[0] : bounds[-1]]
    in_axons, bits = np.zeros((2, targets.size), np.int64)
    counted = each.lists(bounds) if lists is None else lists
    for (synapses, _), found in zip(each.incoming, counted, strict=True):
        in_axons += np.diff(found.indptr)
        if core.synaptic_memory_bits is not None:
            delayed, width = synapses.delay_steps > 1, synapses.weight_bits
            bits += list_bits(found.data, found.indptr, targets, width, delayed, core)[0]
    return {
        "compartments": targets,
        "in_axons": in_axons,
        "out_axons": np.zeros_like(targets),
        "synaptic_memory_bits": bits,
        **{name: _different(codes[held], targets) for name, codes in each.codes.items()},
        "synapses": np.add.reduceat(each.inputs[held], np.asarray(bounds[:-1]) - bounds[0]),
    }


def load_of(need: Mapping[str, Any], limits: Mapping[str, int]) -> Any:
    """Return the largest share of a core's limits that needs take; what is above 1 does not fit."""
    shares = [np.asarray(need[name]) / limit for name, limit in limits.items()]
    return np.max(shares, axis=0)


def limits_of(core: Lists) -> dict[str, int]:
    """Return the limits that are published, by resource."""
    figures = ((name, getattr(core, name)) for name in RESOURCES)
    return {name: figure.whole for name, figure in figures if figure is not None}


def inputs_of(ones: Any) -> Array:
    """Return how many synapses each neuron receives, int64 (n,)."""
    if sp.issparse(ones):
        return np.asarray(np.diff(ones.indptr), np.int64)
    return np.asarray(np.count_nonzero(ones, axis=1), np.int64)


def _different(codes: Array, sizes: Array) -> Array:
    """Return how many different codes each slice of so many neurons has."""
    base = int(codes.max(initial=0)) + 1
    if base == 1:
        return np.ones_like(sizes)
    keys = np.unique(np.repeat(np.arange(sizes.size), sizes) * base + codes)
    return np.bincount(keys // base, minlength=sizes.size)


def _numbered(columns: Sequence[Array]) -> tuple[Array, list[tuple[int, ...]]]:
    """Return a number for each different row of a table given by its columns, and the rows."""
    if all((column == column[:1]).all() for column in columns):
        return np.zeros(columns[0].size, np.int64), [tuple(int(c[0]) for c in columns)]
    rows, codes = np.unique(np.stack(columns), axis=1, return_inverse=True)
    return codes.ravel(), [tuple(row) for row in rows.T.tolist()]
