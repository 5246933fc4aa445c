"""The threshold: a spike wherever the input of this very step is large enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikeport.compiler.clocked import Membrane
from spikeport.compiler.kinds import Array, neuron
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.membrane import membrane


@neuron
@dataclass(frozen=True, eq=False)
class Threshold:
    """Spike when i > threshold; nothing is kept from one step to the next.

    Attributes, all float64 of one shape:
        threshold: the input must be above it (strict, unless the semantics differ).
    """

    threshold: Array

    nir_type: ClassVar[str] = "Threshold"
    positive: ClassVar[tuple[str, ...]] = ()
    absent: ClassVar[Mapping[str, float]] = {}
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> Membrane:
        """Return the step v <- input, spike, v <- 0; only `threshold` of the semantics matters."""
        alone = Semantics(threshold=semantics.threshold)
        size = self.threshold.size
        return membrane(
            size,
            alone,
            dt,
            spiking=True,
            keep_v=np.zeros(size),
            gain_v=np.ones(size),
            v_threshold=self.threshold.ravel(),
        )
