"""The part of a training that runs in a chip's integers, from one epoch on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Network
from spikeport.compiler.trained import Trained
from spikeport.models.training.parameters import Coordinates
from spikeport.models.training.quantized import Quantized, quantized
from spikeport.models.training.simulator import Trainable, trainable

#: From a network and samples (k, steps, n) to what a chip makes of it.
Compile = Callable[[Network, Array], Image]


@dataclass(frozen=True, eq=False)
class InIntegers:
    """A training in the integers that the quantizer made of a network.

    Attributes:
        held: the differentiable integer network.
        chip: that it is for.
    """

    held: Quantized
    chip: str

    def network(self, params: Mapping[str, Array]) -> Network:
        """Return the network of parameters that lie on the chip's grid, its scales with it."""
        program = self.held.program
        unit = 1 << program.arithmetic.weight_shift
        scales = {
            name: np.asarray(program.populations[name].scale / unit)
            for name in self.held.clocked.neurons
        }
        net = self.held.model.network(self.held.snapped(params))
        bits = max(each.weight_bits for each in program.synapses)
        return replace(net, trained=Trained(self.chip, scales, str(bits)))


def in_integers(
    model: Trainable,
    coordinates: Coordinates,
    moved: Mapping[str, Any],
    compile_for_chip: Compile,
    samples: Array,
) -> InIntegers:
    """Return the training in integers of a network with certain parameters.

    Args:
        model: in floats.
        coordinates: of what is learned.
        moved: where the parameters are.
        compile_for_chip: quantizes a network.
        samples: that scales are chosen on.

    Raises:
        LoweringError: the chip, or the trainer in integers, cannot do it.
    """
    exact = {name: np.asarray(each, np.float64) for name, each in moved.items()}
    net = model.network(coordinates.in_units(exact, np))
    image = compile_for_chip(net, samples)
    held = quantized(trainable(net), image.program, list(coordinates.kinds))
    return InIntegers(held, image.chip.name)
