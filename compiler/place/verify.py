"""Re-check an Image with code that shares nothing with the mapper.

Every neuron is on exactly one core, every synapse is reached by exactly one axon, no core is
over a limit, every core exists.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import FitError
from spikeport.compiler.image import Image


def verify(image: Image) -> Image:
    """Return the image as it is.

    Raises:
        FitError: what is wrong with it; this is an error of the mapper, never of the user.
    """
    wrong = (*_neurons_once(image), *_synapses_once(image), *_limits(image))
    if wrong:
        raise FitError(f"the placement of {image.program.name} is wrong", wrong, "report this")
    return image


def _neurons_once(image: Image) -> list[str]:
    wrong = []
    for name in image.program.neurons:
        held = [part.neurons for part in image.slices if part.population == name]
        seen = np.sort(np.concatenate(held)) if held else np.zeros(0, int)
        if not np.array_equal(seen, np.arange(image.program.populations[name].size)):
            wrong.append(f"the neurons of {name!r} are not each on one core")
    return wrong


def _synapses_once(image: Image) -> list[str]:
    """Count, per presynaptic neuron, the synapses in the Program and those behind its axons."""
    wanted: dict[str, Counter[int]] = {}
    for each in image.program.synapses:
        matrix = sp.coo_matrix(each.mantissa)
        used = matrix.col[matrix.data != 0]
        wanted.setdefault(each.pre, Counter()).update(used.tolist())
    routed: dict[str, Counter[int]] = {name: Counter() for name in wanted}
    for route in image.routes:
        routed.setdefault(route.pre, Counter()).update(
            dict(zip(route.neurons.tolist(), route.synapses.tolist(), strict=True))
        )
    return [
        f"the synapses that {name!r} reaches are not those of the program"
        for name, counts in wanted.items()
        if counts != routed[name]
    ]


def _limits(image: Image) -> list[str]:
    limits = image.chip.limits
    wrong = []
    for use in image.cores:
        for figure, limit, what in (
            (use.compartments, limits.compartments_per_core, "compartments"),
            (use.in_axons, limits.in_axons_per_core, "in-axons"),
            (use.out_axons, limits.out_axons_per_core, "out-axons"),
            (use.synaptic_memory_bits, limits.synaptic_memory_bits_per_core, "memory bits"),
        ):
            if figure > limit.value:
                wrong.append(f"core {use.core} holds {figure} {what}, the limit is {limit.value}")
    if len(image.cores) > image.chip.cores:
        wrong.append(f"{len(image.cores)} cores are used, the chip has {image.chip.cores}")
    return wrong
