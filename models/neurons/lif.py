"""The leaky integrator without a synaptic current."""

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
class Lif:
    """tau dv/dt = v_leak - v + r i;  spike when v > v_threshold.

    Attributes, all float64 of one shape:
        tau: membrane time constant, seconds, > 0.
        r: resistance.
        v_leak: level that v decays to.
        v_threshold: the neuron spikes when v is above it (strict, unless the semantics differ).
        v_reset: level after a spike.
    """

    tau: Array
    r: Array
    v_leak: Array
    v_threshold: Array
    v_reset: Array

    nir_type: ClassVar[str] = "LIF"
    positive: ClassVar[tuple[str, ...]] = ("tau",)
    absent: ClassVar[Mapping[str, float]] = {"v_reset": 0.0}
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> Membrane:
        """Return the step v <- keep v + gain r input + (1 - keep) v_leak."""
        keep_v, gain_v = keep_and_gain(self.tau.ravel(), dt, semantics, self.r.ravel())
        return membrane(
            keep_v.size,
            semantics,
            dt,
            spiking=True,
            keep_v=keep_v,
            gain_v=gain_v,
            drive_v=(1.0 - keep_v) * self.v_leak.ravel(),
            v_threshold=self.v_threshold.ravel(),
            v_reset=self.v_reset.ravel(),
        )
