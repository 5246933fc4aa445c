"""Izhikevich's neuron as Brian2 statements, by forward Euler, in the reference's order of sums."""

from __future__ import annotations

from spikeport.backends.brian2.lowering import LOWERINGS, Lowered
from spikeport.models.neurons.izhikevich import IzhikevichCell

PARAMETERS = ("step_ms", "gain", "a", "b", "c", "d", "v_threshold")


def izhikevich(cell: IzhikevichCell) -> Lowered:
    """Return the step: v and u move together, a spike sets v to c and adds d to u."""
    above = ">=" if cell.threshold == "greater_equal" else ">"
    return Lowered(
        parameters={name: getattr(cell, name) for name in PARAMETERS},
        state={"v": cell.v_initial, "u": cell.b * cell.v_initial},
        update="\n".join(
            (
                "slope = 0.04 * v * v + 5.0 * v + 140.0 - u",
                "recovery = step_ms * a * (b * v - u)",
                "v = v + step_ms * slope + gain * received",
                "u = u + recovery",
            )
        ),
        threshold=f"v {above} v_threshold",
        reset="v = c\nu = u + d",
        kept={"u": "u", "v": "v"},
    )


LOWERINGS[IzhikevichCell] = izhikevich
