"""The integrator: no leak."""

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
class If:
    """dv/dt = r i;  spike when v > v_threshold.

    Attributes, all float64 of one shape:
        r: gain of the input.
        v_threshold: the neuron spikes when v is above it (strict, unless the semantics differ).
        v_reset: level after a spike.
    """

    r: Array
    v_threshold: Array
    v_reset: Array

    nir_type: ClassVar[str] = "IF"
    positive: ClassVar[tuple[str, ...]] = ()
    absent: ClassVar[Mapping[str, float]] = {"v_reset": 0.0}
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> Membrane:
        """Return the step v <- v + dt r input (v + input under unit gain)."""
        r = self.r.ravel()
        return membrane(
            r.size,
            semantics,
            dt,
            spiking=True,
            keep_v=np.ones(r.size),
            gain_v=np.ones(r.size) if semantics.input_gain == "unit" else r * dt,
            v_threshold=self.v_threshold.ravel(),
            v_reset=self.v_reset.ravel(),
        )
