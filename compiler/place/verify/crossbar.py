"""Verify an Image on crossbars: rows, columns and weights of every core.

Where its wires lead, and so what every neuron reads, is checked in `wires.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.crossbar.plan import COPY, ITSELF, SPLITTER, CrossbarCore
from spikeport.compiler.place.verify.wires import wrong_wires


def wrong_on_crossbar(image: Image) -> Iterator[str]:
    """Yield what is wrong; the slices are right."""
    for step in (_wrong_outline, _wrong_cores, wrong_wires):
        wrong = [*step(image)]
        yield from wrong
        if wrong:
            return


def _core(image: Image) -> Crossbar:
    if not isinstance(image.chip.core, Crossbar):
        raise TypeError(f"{image.chip.name} is not built of crossbars")
    return image.chip.core


def _wrong_outline(image: Image) -> Iterator[str]:
    """The plan has the cores, and on each the neurons, that the Image has."""
    plan = image.plan
    if tuple(plan.populations) != tuple(image.program.populations):
        yield "the plan numbers other populations than the program's"
        return
    if [each.core for each in plan.cores] != [use.core for use in image.cores]:
        yield "the plan has other cores than the image"
        return
    sizes = [each.size for each in image.program.populations.values()]
    first = np.cumsum([0, *sizes])
    held: dict[int, list[Array]] = {each.core: [np.zeros(0, np.int64)] for each in plan.cores}
    for part in image.slices:
        number = plan.populations.index(part.population)
        held[part.core].append(first[number] + part.neurons)
    for each in plan.cores:
        if not _whole(each):
            yield f"rows, columns and crossings of core {each.core} do not fit each other"
        elif _unknown(each, np.array(sizes)):
            yield f"core {each.core} names a neuron that does not exist"
        else:
            own = each.column_kind == ITSELF
            found = np.sort(first[each.column_population[own]] + each.column_neuron[own])
            if not np.array_equal(found, np.sort(np.concatenate(held[each.core]))):
                yield f"core {each.core} has other neurons in its columns than in its slices"


def _whole(each: CrossbarCore) -> bool:
    rows, columns = each.axon_neuron.size, each.column_neuron.size
    return (
        each.crossings.shape == (rows, columns)
        and rows == each.axon_population.size == each.axon_type.size == each.axon_delay.size
        and columns == each.column_population.size == each.column_kind.size
        and columns == each.target_core.size == each.target_axon.size == each.target_delay.size
        and columns == each.type_weights.shape[0]
    )


def _unknown(each: CrossbarCore, sizes: Array) -> bool:
    for population, neuron in (
        (each.axon_population, each.axon_neuron),
        (each.column_population, each.column_neuron),
    ):
        if ((population < 0) | (population >= sizes.size)).any():
            return True
        if ((neuron < 0) | (neuron >= sizes[population])).any():
            return True
    return False


def _wrong_cores(image: Image) -> Iterator[str]:
    """Each core keeps its limits, and holds what it is said to hold."""
    core = _core(image)
    for each, use in zip(image.plan.cores, image.cores, strict=True):
        rows, columns = each.axon_neuron.size, each.column_neuron.size
        for what, figure, limit in (
            ("neurons", columns, core.neurons),
            ("axons", rows, core.axons),
        ):
            if figure > limit.value:
                yield f"core {each.core} holds {figure} {what}, the limit is {limit.value}"
        counted = {
            "compartments": (columns, int(core.neurons.value)),
            "axons": (rows, int(core.axons.value)),
            "copies": (int((each.column_kind == COPY).sum()), None),
            "splitters": (int((each.column_kind == SPLITTER).sum()), None),
        }
        for name, pair in counted.items():
            if use.held.get(name) != pair:
                yield f"core {each.core} holds {pair} {name}, it is told {use.held.get(name)}"
        synapses = int(np.count_nonzero(each.crossings.data))
        if use.synapses != synapses:
            yield f"core {each.core} has {synapses} crossings, its description says {use.synapses}"
        yield from _wrong_weights(core, each)
        if core.own_row:
            yield from _wrong_rows(image, each)


def _wrong_weights(core: Crossbar, each: CrossbarCore) -> Iterator[str]:
    """Types and weights are such as the chip has."""
    types = 0 if core.axon_types is None else int(core.axon_types.value)
    if each.type_weights.shape[1] != types:
        yield f"core {each.core} has {each.type_weights.shape[1]} weights a neuron, not {types}"
        return
    if ((each.axon_type < 0) | (each.axon_type >= max(types, 1 + core.signed_rows))).any():
        yield f"an axon of core {each.core} has a type that the chip has not"
        return
    if types and core.type_weight_bits is not None:
        half = 1 << (int(core.type_weight_bits.value) - 1)
        if ((each.type_weights < -half) | (each.type_weights >= half)).any():
            yield f"a weight of core {each.core} is outside {-half} to {half - 1}"
    crossed = sp.coo_array(each.crossings)
    if types and not np.isin(crossed.data, (0, 1)).all():
        yield f"a crossing of core {each.core} is no bit"
    if not types and core.signed_rows:
        negative = each.axon_type[crossed.row] == 1
        if ((crossed.data > 0) & negative | (crossed.data < 0) & ~negative).any():
            yield f"a row of core {each.core} has a weight of the other sign"


def _wrong_rows(image: Image, each: CrossbarCore) -> Iterator[str]:
    """A neuron's spikes enter by the row of its column, whatever that row is used for."""
    from_host = np.array([name in image.program.inputs for name in image.plan.populations])
    rows = np.arange(each.axon_neuron.size)
    shared = rows < each.column_neuron.size
    for row in rows[from_host[each.axon_population] & shared][:1]:
        yield f"row {row} of core {each.core} takes an input, and the spikes of its own column"
    inside = rows[~from_host[each.axon_population]]
    for row in inside[inside >= each.column_neuron.size][:1]:
        yield f"row {row} of core {each.core} takes a neuron's spikes and has no column"
    inside = inside[inside < each.column_neuron.size]
    other = (each.axon_neuron[inside] != each.column_neuron[inside]) | (
        each.axon_population[inside] != each.column_population[inside]
    )
    for row in inside[other][:1]:
        yield f"row {row} of core {each.core} is not that of its own column's neuron"
