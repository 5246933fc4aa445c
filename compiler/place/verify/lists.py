"""Verify an Image on cores of lists: count every resource again, and compare it with what is told.

The memory formula is written out from its description in `fabric.Lists`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Lists
from spikeport.compiler.figure import Figure
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.verify.counts import synapses_in_slices
from spikeport.compiler.place.verify.routes import packets_out, wrong_routes
from spikeport.compiler.program import Synapses

ALWAYS = ("compartments", "in_axons", "out_axons")  # told even where no limit is published


def wrong_on_lists(image: Image) -> Iterator[str]:
    """Yield what is wrong with routes, and with what the cores hold; the slices are right."""
    counts = synapses_in_slices(image)
    targets = np.array([part.neurons.size for part in image.slices], np.int64)
    priced = [
        _priced(image, each, table, targets)
        for each, table in zip(image.program.synapses, counts, strict=True)
    ]
    wrong = [*wrong_routes(image, counts, [indexed for _, indexed in priced])]
    yield from wrong
    if not wrong:
        yield from _wrong_uses(image, _held(image, counts, sum(bits for bits, _ in priced)))


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


def _held(image: Image, counts: Sequence[sp.csr_array], bits: Array | int) -> dict[str, Array]:
    """Return resource -> what each core holds, by the core's number."""
    cores = 1 + max(use.core for use in image.cores)
    core_of = np.array([part.core for part in image.slices], np.int64)

    def per_core(per_slice: Array | int) -> Array:
        each = np.broadcast_to(per_slice, core_of.shape)
        return np.bincount(core_of, each, cores).astype(np.int64)

    axons = synapses = np.zeros(core_of.size, np.int64)
    for table in counts:
        axons = axons + np.bincount(table.indices, minlength=core_of.size)
        synapses = synapses + np.bincount(table.indices, table.data, core_of.size)
    compartment_codes, threshold_codes = _codes(image)
    return {
        "compartments": per_core(np.array([part.neurons.size for part in image.slices])),
        "in_axons": per_core(axons),
        "out_axons": packets_out(image.routes, cores),
        "synaptic_memory_bits": per_core(bits),
        "compartment_configs": _different(image, compartment_codes, cores),
        "threshold_configs": _different(image, threshold_codes, cores),
        "synapses": per_core(synapses),
    }


def _priced(image: Image, each: Synapses, table: sp.csr_array, sizes: Array) -> tuple[Array, Array]:
    """Return the bits of a projection's lists in each slice, and whether these store indices.

    All lists of a slice are stored in the cheaper way, without indices where both cost the same.
    """
    core = image.chip.core
    if not isinstance(core, Lists):
        raise TypeError(f"{image.chip.name} is not built of lists")
    used, place = np.unique(table.indices, return_inverse=True)  # few of many slices
    targets = sizes[used]
    longest = int(table.data.max(initial=0))
    lists = np.bincount(
        place.astype(np.int64) * (longest + 1) + table.data,
        minlength=used.size * (longest + 1),
    ).reshape(used.size, longest + 1)
    where, length = np.nonzero(lists)
    number = lists[where, length]
    stored = _or(core.synapse_bits, each.weight_bits)
    if each.delay_steps > 1:
        stored += _or(core.delay_bits, 0)
    index = np.array([_index_bits(count, core) for count in targets.tolist()], np.int64)
    with_index = np.bincount(
        where, number * _list_bits(length, stored + index[where], core), used.size
    )
    without = np.bincount(where, number * _list_bits(targets[where], stored, core), used.size)
    bits, indexed = np.zeros(sizes.size, np.int64), np.zeros(sizes.size, bool)
    if core.synaptic_memory_bits is not None:
        bits[used] = np.minimum(with_index, without)
    indexed[used] = with_index < without
    return bits, indexed


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
