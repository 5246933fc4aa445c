"""From a Program to an Image: each fabric has its way of placing, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError
from spikeport.compiler.fabric import Crossbar, Ensemble, Layers, Lists, Processor
from spikeport.compiler.image import Image
from spikeport.compiler.place.crossbar.crossbar import place_crossbar
from spikeport.compiler.place.ensemble import place_ensemble
from spikeport.compiler.place.layers.layers import place_layers
from spikeport.compiler.place.lists.lists import place_lists
from spikeport.compiler.place.processor import place_on_processor
from spikeport.compiler.program import Program

#: Type of a chip's cores -> how a Program is placed on them: (program, chip, chips) -> Image.
FABRICS: Mapping[type, Callable[[Program, Chip, int], Image]] = {
    Crossbar: place_crossbar,
    Ensemble: place_ensemble,
    Layers: place_layers,
    Lists: place_lists,
    Processor: place_on_processor,
}


def place(program: Program, chip: Chip, chips: int = 1) -> Image:
    """Return the Program on the cores of so many chips.

    Raises:
        FitError: every limit that is broken, by object, with the figure, the limit and a fix.
        ChipError: the chip cannot be linked to so many others.
    """
    if not 1 <= chips <= chip.most_chips:
        raise ChipError(
            f"{chips} chips",
            f"{chip.name} can be linked to {chip.most_chips} at most, by its description",
            f"--chips {min(max(chips, 1), chip.most_chips)}",
        )
    return FABRICS[type(chip.core)](program, chip, chips)
