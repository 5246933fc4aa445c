"""What Brian2 is told about one population: a cell goes in, equations and statements come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array


@dataclass(frozen=True, eq=False)
class Lowered:
    """One step of a population in Brian2's language, where every neuron is its own.

    Statements read `received`, the weighted sum of what arrived in this step. The names `i`,
    `j`, `t`, `dt`, `N`, `sent`, `sent_1` ... and `arrived_0` ... are taken.

    Attributes:
        parameters: name -> value per neuron, (n,), constant in a run.
        state: name -> value per neuron before the first step, (n,); integers are integers in
            Brian2, the rest is float64.
        update: statements that every neuron takes in every step, one a line.
        threshold: condition under which a neuron spikes after them; "" where none ever does.
        reset: statements that a neuron takes which spikes.
        message: the number that a neuron sends, read after the reset; "" where it sends spikes.
        kept: name in `State.variables` -> name here; probes are looked up in it too.
    """

    parameters: Mapping[str, Array]
    state: Mapping[str, Array]
    update: str
    threshold: str = ""
    reset: str = ""
    message: str = ""
    kept: Mapping[str, str] = field(default_factory=dict)


#: Type of cell -> function from a cell to its Lowered. Every file in `neurons/` adds to it.
LOWERINGS: dict[type, Callable[[Any], Lowered]] = {}


def lower(name: str, kind: str, cell: Any) -> Lowered:
    """Return what Brian2 is told about the population `name`.

    Raises:
        LoweringError: nobody has written down what Brian2 should do for this type of cell.
    """
    import spikeport.backends.brian2.neurons  # noqa: F401 - every file in it adds to LOWERINGS

    if type(cell) not in LOWERINGS:
        raise LoweringError(
            f"{name!r} is of the kind {kind}, which Brian2 is not told how to step",
            f"backends/brian2/neurons has no lowering of {type(cell).__name__}",
            "choose --backend reference, or add a file there",
        )
    return LOWERINGS[type(cell)](cell)
