"""Re-check an Image with code of its own; only the packed tables, which it reads back, are shared.

This file holds what is true on every chip: cores and chips exist, every neuron has one place, and
what a core is said to hold has the limits of the chip's description. Each fabric has a file of its
own that counts every resource again from the Program and compares every synapse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from spikeport.compiler.errors import FitError
from spikeport.compiler.fabric import Crossbar, Ensemble, Layers, Lists, Processor
from spikeport.compiler.image import CoreUse, Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.lists.tables import tables
from spikeport.compiler.place.verify.crossbar import wrong_on_crossbar
from spikeport.compiler.place.verify.ensemble import wrong_on_ensemble
from spikeport.compiler.place.verify.layers import wrong_on_layers
from spikeport.compiler.place.verify.lists import wrong_on_lists, wrong_routes_on_lists
from spikeport.compiler.place.verify.tables import wrong_tables

#: Up to so many synapses routes and tables of a chip with lists are read back every time.
ALWAYS_READ_BACK = 1_000_000


def verify(image: Image, full: bool = False) -> Image:
    """Return the image as it is.

    What every core holds is counted again always. What follows from it on chips with lists, the
    routes and the packed tables with every weight and delay, is not kept in an image and costs
    more to compare than to place: without `full` only up to `ALWAYS_READ_BACK` synapses.

    Args:
        image: on any chip.
        full: compare routes and tables of an image of any size.

    Raises:
        FitError: what is wrong with it; this is an error of the mapper, never of the user.
    """
    wrong = [*wrong_in_outline(image)] or [*CHECKS[type(image.chip.core)](image)]
    if not wrong and isinstance(image.chip.core, Lists):
        size = sum(each.count for each in image.program.synapses)
        if full or size <= ALWAYS_READ_BACK:
            wrong = [*wrong_routes_on_lists(image)] or [*wrong_tables(image, tables(image))]
    if wrong:
        raise FitError(f"the placement of {image.program.name} is wrong", tuple(wrong), "report it")
    return image


def wrong_in_outline(image: Image) -> Iterator[str]:
    """Yield what is wrong with chips, cores, slices and delays on any fabric."""
    if not 1 <= image.chips <= image.chip.most_chips:
        yield f"{image.chips} chips are used, {image.chip.most_chips} can be linked"
    yield from _wrong_cores(image)
    yield from _wrong_slices(image)
    yield from _wrong_delays(image)


def _wrong_cores(image: Image) -> Iterator[str]:
    numbers = [use.core for use in image.cores]
    if numbers != sorted(numbers):
        yield "the cores are not in the order of their numbers"
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        yield f"core {twice} is described twice"
    mesh = image.chip.topology
    per_chip = mesh.tiles_x.whole * mesh.tiles_y.whole * mesh.cores_per_tile.whole
    for use in image.cores:
        if not 0 <= use.core < per_chip * image.chips:
            yield f"core {use.core} does not exist: there are {per_chip * image.chips}"
            continue
        chip = use.core // per_chip
        if use.chip != chip:
            yield f"core {use.core} is on chip {chip}, not {use.chip}"
        column, y = divmod(use.core % per_chip // mesh.cores_per_tile.whole, mesh.tiles_y.whole)
        x = chip * mesh.tiles_x.whole + column
        if (use.tile_x, use.tile_y) != (x, y):
            yield f"core {use.core} is on tile ({x}, {y}), not ({use.tile_x}, {use.tile_y})"
        yield from _wrong_limits(image, use)


def _wrong_limits(image: Image, use: CoreUse) -> Iterator[str]:
    """Compare the limits that are told with those of the description, where that has one."""
    for name, (figure, told) in use.held.items():
        stated = getattr(image.chip.core, name, None)
        limit = getattr(stated, "value", None)
        if limit is not None and told != limit:
            yield f"core {use.core} is said to have {told} {name}, the chip has {limit}"
        if told is not None and figure > told:
            yield f"core {use.core} holds {figure} {name}, the limit is {told}"


def _wrong_slices(image: Image) -> Iterator[str]:
    cores = {use.core for use in image.cores}
    populations = image.program.populations
    times = {name: np.zeros(populations[name].size, np.int64) for name in image.program.neurons}
    for part in image.slices:
        if part.population not in times:
            yield f"core {part.core} holds {part.population!r}, which is no population of neurons"
            continue
        if part.core not in cores:
            yield f"core {part.core} holds {part.population!r} and does not exist"
        size = populations[part.population].size
        if part.neurons.size == 0:
            yield f"a slice of {part.population!r} on core {part.core} is empty"
        elif part.neurons.min() < 0 or part.neurons.max() >= size:
            yield f"core {part.core} holds a neuron of {part.population!r} beyond its {size}"
        else:
            if (np.diff(part.neurons) <= 0).any():
                yield f"a slice of {part.population!r} on core {part.core} is not in order"
            np.add.at(times[part.population], part.neurons, 1)
    for name, seen in times.items():
        yield from _not_once(name, seen)


def _not_once(name: str, seen: Array) -> Iterator[str]:
    missing, doubled = np.flatnonzero(seen == 0), np.flatnonzero(seen > 1)
    if missing.size:
        yield f"neuron {missing[0]} of {name!r} is on no core, and {missing.size - 1} more"
    if doubled.size:
        yield f"neuron {doubled[0]} of {name!r} is on two cores, and {doubled.size - 1} more"


def _wrong_delays(image: Image) -> Iterator[str]:
    allowed = image.chip.limits.delay_steps
    for each in image.program.synapses:
        least = image.chip.input_delay if each.pre in image.program.inputs else allowed.low
        if not least <= each.delay_steps <= max(allowed.high, least):
            yield f"{each.name!r} has a delay of {each.delay_steps}, the limit is {allowed.high}"


def wrong_on_processor(image: Image) -> Iterator[str]:
    """Yield what is wrong on a conventional processor: all is on core 0, nothing travels."""
    if [use.core for use in image.cores] != [0]:
        yield "a processor has the one core 0"
    if image.routes:
        yield "a processor has no routes"
    neurons = sum(image.program.populations[name].size for name in image.program.neurons)
    for use in image.cores:
        if use.used("compartments") != neurons:
            yield f"core {use.core} is said to hold {use.used('compartments')} of {neurons} neurons"
        synapses = sum(each.count for each in image.program.synapses)
        if use.synapses != synapses:
            yield f"core {use.core} is said to hold {use.synapses} of {synapses} synapses"


#: Type of a chip's cores -> what is wrong with an image on them.
CHECKS: Mapping[type, Callable[[Image], Iterator[str]]] = {
    Crossbar: wrong_on_crossbar,
    Ensemble: wrong_on_ensemble,
    Layers: wrong_on_layers,
    Lists: wrong_on_lists,
    Processor: wrong_on_processor,
}
