"""The closed list of what a saved image may hold, by name."""

from __future__ import annotations

from spikeport.compiler.image import CoreUse, Route, Slice
from spikeport.compiler.kinds import STEPS
from spikeport.compiler.network import Convolution
from spikeport.compiler.program import (
    Arithmetic,
    Cell,
    CellPopulation,
    HostCurrent,
    HostTarget,
    Program,
    Synapses,
)

PROGRAM = (
    Program, Arithmetic, CellPopulation, Synapses, Convolution, HostCurrent, HostTarget, Slice,
    Route, CoreUse,
)  # fmt: skip


def cell_types() -> tuple[type, ...]:
    """Return the types of integer cells: those that are registered with a step and a message."""
    return (Cell, *(each for each in STEPS if hasattr(each, "largest_message") and each != Cell))


def program_types() -> dict[str, type]:
    """Return what a Program and its places are made of."""
    return {each.__name__: each for each in (*PROGRAM, *cell_types())}


def plan_types() -> dict[str, type]:
    """Return what the plans of the fabrics are made of; they are imported only where needed."""
    from spikeport.compiler.place.crossbar.plan import CrossbarCore, Crossbars
    from spikeport.compiler.place.ensemble import EnsemblePlan
    from spikeport.compiler.place.layers.layers import LayerPlan
    from spikeport.compiler.place.layers.memory import Layer
    from spikeport.compiler.place.layers.shape import Window

    plans = (Crossbars, CrossbarCore, EnsemblePlan, LayerPlan, Layer, Window)
    return {each.__name__: each for each in plans}
