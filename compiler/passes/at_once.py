"""What a chip without time steps can run: everything acts in the step in which it comes.

Spikes pass through all layers at once there, so no delay can be kept and a loop has no order:
whether a neuron hears itself before or after its next input depends on the wires.
"""

from __future__ import annotations

from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.errors import LoweringError, counted
from spikeport.compiler.passes.walk import loop_numbers


def check_at_once(clocked: Clocked, name: str) -> None:
    """Refuse loops and delays, all of them at once.

    Args:
        clocked: under the reference's delays.
        name: of the chip.

    Raises:
        LoweringError: names the populations, and what would work.
    """
    pairs = [(each.pre, each.post) for each in clocked.projections]
    parts = loop_numbers(clocked.populations, tuple(dict.fromkeys(pairs)))
    loops = [each for each in clocked.projections if parts[each.pre] == parts[each.post]]
    if loops:
        edges = list(dict.fromkeys(f"{each.pre} -> {each.post}" for each in loops))
        more = f" and {len(edges) - 12} more edges" if len(edges) > 12 else ""
        around = ", ".join(edges[:12]) + more
        raise LoweringError(
            f"the network has a loop: {around}",
            f"{name} has no time step: in a loop there is no order in which spikes act",
            "train a network that feeds forward, or choose a chip with steps: --chip "
            "generic_graded",
        )
    late = [each for each in clocked.projections if each.delay > 0]
    if late:
        listed = ", ".join(f"{each.name!r} ({counted(each.delay, 'step')})" for each in late[:12])
        raise LoweringError(
            f"delays of {listed}",
            f"{name} has no time step and no delays: a layer acts at once",
            _without(clocked, late),
        )


def _without(clocked: Clocked, late: list[Projection]) -> str:
    """Say how the delays can be left out."""
    biases = any(clocked.populations[each.pre].kind == "constant" for each in late)
    other = any(clocked.populations[each.pre].kind != "constant" for each in late)
    settings = ["--set feedforward_lag=0"] if other else []
    settings += ["--set bias_at_start=true"] if biases else []
    return (
        f"{' '.join(settings)}, and no Delay nodes (compare the accuracy), or choose a chip with "
        "delays: --chip generic_graded"
    )
