"""Verify an Image on cores of lists: count every resource again, and compare it with what is told.

The memory formula is written out from its description in `fabric.Lists`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spikeport.compiler.fabric import Lists
from spikeport.compiler.figure import Figure
from spikeport.compiler.image import Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.verify.counts import (
    FROM_HOST,
    axons_in,
    cores_of,
    synapses_in_slices,
)
from spikeport.compiler.place.verify.routes import wrong_routes
from spikeport.compiler.program import Synapses

TOGETHER = 32  # cores whose lists are counted at once
ALWAYS = ("compartments", "in_axons", "out_axons")  # told even where no limit is published


def wrong_on_lists(image: Image) -> Iterator[str]:
    """Yield what is wrong with what the cores hold; the slices are right."""
    yield from _wrong_uses(image, _held(image))


def wrong_routes_on_lists(image: Image) -> Iterator[str]:
    """Yield what is wrong with the routes; the slices are right."""
    counts = synapses_in_slices(image)
    sizes = np.array([part.neurons.size for part in image.slices], np.int64)
    indexed = [
        _priced(image, each, table.indices, table.data, sizes)[1]
        for each, table in zip(image.program.synapses, counts, strict=True)
    ]
    yield from wrong_routes(image, counts, indexed)


def _wrong_uses(image: Image, held: dict[str, Array]) -> Iterator[str]:
    for use in image.cores:
        for name, figures in held.items():
            figure = int(figures[use.core])
            limit = getattr(image.chip.core, name, None)
            if limit is not None and figure > limit.value:
                yield f"core {use.core} holds {figure} {name}, the limit is {limit.value}"
            told = use.synapses if name == "synapses" else use.used(name)
            if name in use.held or name == "synapses":
                if told != figure:
                    yield f"core {use.core} holds {figure} {name}, its description says {told}"
            elif limit is not None or name in ALWAYS:
                yield f"core {use.core} does not say how many {name} it holds"


def _held(image: Image) -> dict[str, Array]:
    """Return resource -> what each core holds, by the core's number."""
    cores, home = 1 + max(use.core for use in image.cores), cores_of(image)
    compartment_codes, threshold_codes = _codes(image)
    held = {
        "compartments": np.zeros(cores, np.int64),
        "in_axons": np.zeros(cores, np.int64),
        "out_axons": np.zeros(cores, np.int64),
        "synaptic_memory_bits": np.zeros(cores, np.int64),
        "compartment_configs": _different(image, compartment_codes, cores),
        "threshold_configs": _different(image, threshold_codes, cores),
        "synapses": np.zeros(cores, np.int64),
    }
    by_core: dict[int, list[Slice]] = {}
    for part in image.slices:
        by_core.setdefault(part.core, []).append(part)
    numbers = list(by_core)
    for first in range(0, len(numbers), TOGETHER):
        parts = [part for core in numbers[first : first + TOGETHER] for part in by_core[core]]
        _add_lists(image, parts, home, held)
    return held


def _add_lists(
    image: Image, parts: Sequence[Slice], home: dict[str, Array], held: dict[str, Array]
) -> None:
    """Add what these slices, all of their cores, hold and make others send."""
    core_of = np.array([part.core for part in parts])
    sizes = np.array([part.neurons.size for part in parts])
    np.add.at(held["compartments"], core_of, sizes)
    reached: dict[str, list[Array]] = {}
    for each in image.program.synapses:
        place, sender, synapses = axons_in(each, parts)
        bits, _ = _priced(image, each, place, synapses, sizes)
        np.add.at(held["in_axons"], core_of, np.bincount(place, minlength=sizes.size))
        counted = np.bincount(place, synapses, sizes.size).astype(np.int64)
        np.add.at(held["synapses"], core_of, counted)
        np.add.at(held["synaptic_memory_bits"], core_of, bits)
        width = home[each.pre].size
        reached.setdefault(each.pre, []).append(core_of[place] * width + sender)
    for pre, keys in reached.items():
        once = len(keys) == 1 and np.unique(core_of).size == core_of.size
        sender = (keys[0] if once else np.unique(np.concatenate(keys))) % home[pre].size
        source = home[pre][sender]
        np.add.at(held["out_axons"], *_counted(source[source != FROM_HOST]))


def _counted(numbers: Array) -> tuple[Array, Array]:
    counts = np.bincount(numbers)
    return np.arange(counts.size), counts


def _priced(
    image: Image, each: Synapses, place: Array, lengths: Array, sizes: Array
) -> tuple[Array, Array]:
    """Return the bits of a projection's lists in each slice, and whether these store indices.

    All lists of a slice are stored in the cheaper way, without indices where both cost the same.

    Args:
        image: for its chip.
        each: the projection.
        place, lengths: of each list, the number of its slice and its synapses.
        sizes: neurons of each slice.
    """
    core = image.chip.core
    if not isinstance(core, Lists):
        raise TypeError(f"{image.chip.name} is not built of lists")
    longest = int(lengths.max(initial=0)) + 1
    lists = np.bincount(place * longest + lengths, minlength=sizes.size * longest)
    where, length = np.nonzero(lists.reshape(sizes.size, longest))
    number = lists[where * longest + length]
    stored = _or(core.synapse_bits, each.weight_bits)
    if each.delay_steps > 1:
        stored += _or(core.delay_bits, 0)
    index = np.array([_index_bits(count, core) for count in sizes.tolist()], np.int64)
    with_index = np.bincount(
        where, number * _list_bits(length, stored + index[where], core), sizes.size
    )
    without = np.bincount(where, number * _list_bits(sizes[where], stored, core), sizes.size)
    bits = np.minimum(with_index, without).astype(np.int64)
    published = core.synaptic_memory_bits is not None
    return bits if published else np.zeros_like(bits), with_index < without


def _list_bits(synapses: Array, bits: Array | int, core: Lists) -> Array:
    """Return the bits of lists: whole groups, and a group of what is left, in whole words."""
    group, word = _or(core.synapses_per_group, 1), _or(core.word_bits, 1)
    overhead = _or(core.group_overhead_bits, 0)
    whole_words = (group * bits + overhead + word - 1) // word
    left = synapses % group
    last_words = np.where(left == 0, 0, (left * bits + overhead + word - 1) // word)
    return np.asarray(((synapses // group) * whole_words + last_words) * word)


def _index_bits(targets: int, core: Lists) -> int:
    """Return the narrowest known width that counts 0 .. targets - 1."""
    width = 1
    while 1 << width < targets:
        width += 1
    wide_enough = [known for known in core.index_bits if known >= width]
    return min(wide_enough, default=width)


def _or(figure: Figure | None, otherwise: int) -> int:
    return int(figure.value) if figure is not None else otherwise


def _codes(image: Image) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return a number for each different configuration and threshold, population -> (n,)."""
    cells = {name: image.program.populations[name].cell for name in image.program.neurons}
    widest = max((len(cell.configuration) for cell in cells.values() if cell), default=0)
    columns: list[list[Array]] = [[] for _ in range(widest)]
    thresholds: list[Array] = []
    sizes: list[int] = []
    for cell in cells.values():
        if cell is None:
            continue
        thresholds.append(cell.v_threshold)
        sizes.append(cell.v_threshold.size)
        nothing = np.zeros(cell.v_threshold.size, np.int32)
        for number, column in enumerate(columns):
            told = cell.configuration
            column.append(told[number] if number < len(told) else nothing)
    codes = _numbered([np.concatenate(column) for column in columns])
    marks = _numbered([np.concatenate(thresholds)])
    cuts = np.cumsum(sizes)[:-1]
    names = list(cells)
    return (
        dict(zip(names, np.split(codes, cuts), strict=True)),
        dict(zip(names, np.split(marks, cuts), strict=True)),
    )


def _numbered(columns: Sequence[Array]) -> Array:
    """Return a number for each different row of a table, given by its columns."""
    codes = np.zeros(columns[0].size, np.int64)
    for column in columns:
        if (column == column[:1]).all():
            continue
        values = np.unique(column, return_inverse=True)[1].ravel()
        together = codes * (int(values.max(initial=0)) + 1) + values
        codes = np.unique(together, return_inverse=True)[1].ravel()
    return codes


def _different(image: Image, codes: dict[str, Array], cores: int) -> Array:
    """Return how many different codes the neurons of each core have."""
    most = 1 + max((int(each.max(initial=0)) for each in codes.values()), default=0)
    keys = [part.core * most + np.unique(codes[part.population][part.neurons])
            for part in image.slices]  # fmt: skip
    return np.bincount(np.unique(np.concatenate(keys)) // most, minlength=cores)
