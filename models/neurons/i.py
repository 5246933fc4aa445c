"""The integrator that does not spike: its v is what it sends."""

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
class I:  # noqa: E742  (NIR's own name)
    """dv/dt = r i.

    Attributes, all float64 of one shape:
        r: gain of the input.
    """

    r: Array

    nir_type: ClassVar[str] = "I"
    positive: ClassVar[tuple[str, ...]] = ()
    absent: ClassVar[Mapping[str, float]] = {}
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> Membrane:
        """Return the step v <- v + dt r input (v + input under unit gain)."""
        r = self.r.ravel()
        return membrane(
            r.size,
            semantics,
            dt,
            spiking=False,
            keep_v=np.ones(r.size),
            gain_v=np.ones(r.size) if semantics.input_gain == "unit" else r * dt,
        )
