"""Re-check an Image with code that shares nothing with the mapper.

Every neuron is on exactly one core, every synapse is reached by exactly one axon from the core
of its sender, no core is over a limit, every core exists. What a core holds is counted again
from its slices; only the bits of its memory are taken from the mapper's account.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import FitError
from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array


def verify(image: Image) -> Image:
    """Return the image as it is.

    Raises:
        FitError: what is wrong with it; this is an error of the mapper, never of the user.
    """
    wrong = _neurons_once(image) or [*_synapses_once(image), *_limits(image)]
    if wrong:
        raise FitError(f"the placement of {image.program.name} is wrong", tuple(wrong), "report it")
    return image


def _neurons_once(image: Image) -> list[str]:
    cores = {use.core for use in image.cores}
    wrong = [
        f"core {part.core} holds {part.population!r} and does not exist"
        for part in image.slices
        if part.core not in cores
    ]
    wrong += [
        f"{route.pre!r} sends to core {route.target_core}, which does not exist"
        for route in image.routes
        if route.target_core not in cores
    ]
    for name in image.program.neurons:
        held = [part.neurons for part in image.slices if part.population == name]
        seen = np.sort(np.concatenate(held)) if held else np.zeros(0, int)
        if not np.array_equal(seen, np.arange(image.program.populations[name].size)):
            wrong.append(f"the neurons of {name!r} are not each on one core")
    return wrong


def _cores_of(image: Image) -> dict[str, Array]:
    """Return the core of every neuron; -1 for inputs, which come from the host."""
    sizes = {name: pop.size for name, pop in image.program.populations.items()}
    cores = {name: np.full(size, -1, np.int64) for name, size in sizes.items()}
    for part in image.slices:
        cores[part.population][part.neurons] = part.core
    return cores


def _synapses_once(image: Image) -> list[str]:
    """Compare, per sender and core, the synapses of the Program with those behind the axons."""
    cores = _cores_of(image)
    extents = {name: (home.size, image.chip.cores * image.chips) for name, home in cores.items()}
    wanted = {name: sp.csr_matrix(extent, dtype=np.int64) for name, extent in extents.items()}
    routed = dict(wanted)
    for each in image.program.synapses:
        matrix = sp.coo_matrix(each.mantissa)
        used = matrix.data != 0
        cells = (matrix.col[used], cores[each.post][matrix.row[used]])
        ones = np.ones(cells[0].size, np.int64)
        wanted[each.pre] = wanted[each.pre] + sp.csr_matrix((ones, cells), extents[each.pre])
    wrong = []
    for route in image.routes:
        cells = (route.neurons, np.full(route.neurons.size, route.target_core))
        routed[route.pre] = routed[route.pre] + sp.csr_matrix(
            (route.synapses, cells), extents[route.pre]
        )
        if (cores[route.pre][route.neurons] != route.source_core).any():
            wrong.append(f"an axon of {route.pre!r} does not start at core {route.source_core}")
    return wrong + [
        f"the synapses that {name!r} reaches are not those of the program"
        for name, table in wanted.items()
        if (table != routed[name]).nnz
    ]


def _limits(image: Image) -> list[str]:
    limits = image.chip.core
    wrong: list[str] = []
    if not isinstance(limits, Lists):
        return wrong
    for use in image.cores:
        configs, thresholds = _configs(image, use.core)
        for figure, limit, what in (
            (_compartments(image, use.core), limits.compartments, "compartments"),
            (_in_axons(image, use.core), limits.in_axons, "in-axons"),
            (_out_axons(image, use.core), limits.out_axons, "out-axons"),
            (use.used("synaptic_memory_bits"), limits.synaptic_memory_bits, "memory bits"),
            (configs, limits.compartment_configs, "compartment configurations"),
            (thresholds, limits.threshold_configs, "threshold configurations"),
        ):
            if limit is not None and figure > limit.value:
                wrong.append(f"core {use.core} holds {figure} {what}, the limit is {limit.value}")
    there = image.chip.cores * image.chips
    wrong += [f"core {use.core} does not exist" for use in image.cores if use.core >= there]
    return wrong


def _compartments(image: Image, core: int) -> int:
    return sum(part.neurons.size for part in image.slices if part.core == core)


def _in_axons(image: Image, core: int) -> int:
    """Count the lists of a core: one per sender, projection and slice."""
    found = 0
    for part in image.slices:
        for each in image.program.into(part.population) if part.core == core else ():
            rows = sp.csr_matrix(each.mantissa)[part.neurons].tocoo()
            found += np.unique(rows.col[rows.data != 0]).size
    return found


def _out_axons(image: Image, core: int) -> int:
    return sum(route.neurons.size for route in image.routes if route.source_core == core)


def _configs(image: Image, core: int) -> tuple[int, int]:
    """Count the different compartment and threshold configurations of a core."""
    configs: set[tuple[int, ...]] = set()
    thresholds: set[int] = set()
    for part in image.slices:
        cell = image.program.populations[part.population].cell
        if part.core != core or cell is None:
            continue
        columns = [column[part.neurons].tolist() for column in cell.configuration]
        configs |= set(zip(*columns, strict=True))
        thresholds |= set(cell.v_threshold[part.neurons].tolist())
    return len(configs), len(thresholds)
