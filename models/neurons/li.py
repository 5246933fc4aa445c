"""The leaky integrator that does not spike: a readout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spikeport.compiler.clocked import Membrane
from spikeport.compiler.kinds import Array, neuron
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.membrane import keep_and_gain, membrane


@neuron
@dataclass(frozen=True, eq=False)
class Li:
    """tau dv/dt = v_leak - v + r i.

    Attributes, all float64 of one shape:
        tau: membrane time constant, seconds, > 0.
        r: resistance.
        v_leak: level that v decays to.
    """

    tau: Array
    r: Array
    v_leak: Array

    nir_type: ClassVar[str] = "LI"
    positive: ClassVar[tuple[str, ...]] = ("tau",)
    absent: ClassVar[Mapping[str, float]] = {"v_leak": 0.0}
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> Membrane:
        """Return the step v <- keep v + gain r input + (1 - keep) v_leak."""
        keep_v, gain_v = keep_and_gain(self.tau.ravel(), dt, semantics, self.r.ravel())
        return membrane(
            keep_v.size,
            semantics,
            dt,
            spiking=False,
            keep_v=keep_v,
            gain_v=gain_v,
            drive_v=(1.0 - keep_v) * self.v_leak.ravel(),
        )
