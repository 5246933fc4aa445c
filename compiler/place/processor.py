"""Place a Program on a conventional processor: everything is in one place, without limits."""

from __future__ import annotations

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.program import Program


def place_on_processor(program: Program, chip: Chip, chips: int) -> Image:
    """Return the Program as one slice per population on core 0, without routes."""
    sizes = {name: program.populations[name].size for name in program.neurons}
    slices = tuple(Slice(name, np.arange(size), 0) for name, size in sizes.items())
    synapses = sum(each.count for each in program.synapses)
    held = {"compartments": (sum(sizes.values()), None)}
    use = CoreUse(0, 0, *chip.tile(0), synapses, held)
    return Image(program, chip, slices, (), (use,), chips)
