"""The leaky integrator behind a synaptic current that decays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spikeport.compiler.clocked import Membrane
from spikeport.compiler.kinds import Array, neuron
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.membrane import keep_and_gain, membrane, unit_current


@neuron
@dataclass(frozen=True, eq=False)
class CubaLif:
    """tau_syn di/dt = -i + w_in x;  tau_mem dv/dt = v_leak - v + r i;  spike when v > v_threshold.

    Attributes, all float64 of one shape:
        tau_mem: membrane time constant, seconds, > 0.
        tau_syn: synaptic time constant, seconds, > 0.
        r: resistance.
        v_leak: level that v decays to.
        w_in: gain of the input.
        v_threshold: the neuron spikes when v is above it (strict, unless the semantics differ).
        v_reset: level after a spike.
    """

    tau_mem: Array
    tau_syn: Array
    r: Array
    v_leak: Array
    v_threshold: Array
    v_reset: Array
    w_in: Array

    nir_type: ClassVar[str] = "CubaLIF"
    positive: ClassVar[tuple[str, ...]] = ("tau_mem", "tau_syn")
    absent: ClassVar[Mapping[str, float]] = {"v_reset": 0.0, "w_in": 1.0}
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> Membrane:
        """Return both filters: u <- keep_u u + gain_u w_in input, v <- keep_v v + gain_v r u."""
        jump = replace(semantics, input_gain="unit") if unit_current(semantics) else semantics
        keep_u, gain_u = keep_and_gain(self.tau_syn.ravel(), dt, jump, self.w_in.ravel())
        keep_v, gain_v = keep_and_gain(self.tau_mem.ravel(), dt, semantics, self.r.ravel())
        return membrane(
            keep_v.size,
            semantics,
            dt,
            spiking=True,
            keep_u=keep_u,
            gain_u=gain_u,
            keep_v=keep_v,
            gain_v=gain_v,
            drive_v=(1.0 - keep_v) * self.v_leak.ravel(),
            v_threshold=self.v_threshold.ravel(),
            v_reset=self.v_reset.ravel(),
        )
