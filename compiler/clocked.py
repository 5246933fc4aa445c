"""The noun `Clocked`: a network under a clock, per step, in floats.

The reference, the quantizer, retiming and the dialect finder all take a `Clocked`; dt and the
dialect are read once, by `passes/clock.py`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution, Shape, freeze_fields
from spikeport.compiler.trained import Trained

#: The population that stands for "one, in every step": biases are projections from it.
CONSTANT = "bias"


@dataclass(frozen=True, eq=False)
class Membrane:
    """Per-step parameters of one population of the integrate-and-fire family.

        u <- keep_u * u + gain_u * input          (order by `current_order`)
        v <- keep_v * v + gain_v * u + drive_v
        spike where v > v_threshold (or >=), then v is reset

    All arrays have shape (n,), float64, in the network's own units per step.

    Attributes:
        has_current: is there a synaptic current u with memory; without one, u is the input.
        keep_u, keep_v: share of the state that survives a step, in [0, 1].
        gain_u, gain_v: factor on what is added.
        drive_v: added to v every step (v_leak).
        v_threshold, v_reset, v_initial: levels of v.
        v_min: clamp from below, -inf where there is none.
        refractory_steps: steps after a spike in which v does not move; int.
        reset, reset_when, spike, threshold, current_order: see `Semantics`.
        v_offset: v of the network is v here plus this (`shift_to_reset`).
        spiking: False for readouts, whose v is their output.
    """

    has_current: bool
    keep_u: Array
    gain_u: Array
    keep_v: Array
    gain_v: Array
    drive_v: Array
    v_threshold: Array
    v_reset: Array
    v_initial: Array
    v_min: Array
    refractory_steps: Array
    reset: str
    reset_when: str
    spike: str
    threshold: str
    current_order: str
    v_offset: Array
    spiking: bool = True

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Population:
    """A group of like neurons, or an input, or the constant source.

    Attributes:
        kind: NIR name of the neuron kind (or an extension's), or `input` or `constant`.
        shape: without batch; neurons are numbered in C order.
        membrane: per-step parameters, a `Membrane` or another type of cell that `kinds.STEPS`
            knows; None for inputs and the constant.
        signal: what it sends: `binary`, `count` or `analog`.
        start_step: the state is held at its initial value before this step (retiming).
    """

    kind: str
    shape: Shape
    membrane: Membrane | None = None
    signal: str = "binary"
    start_step: int = 0

    @property
    def size(self) -> int:
        """Number of neurons."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    @property
    def analog(self) -> bool:
        """Is its v what it sends."""
        return self.membrane is not None and not self.membrane.spiking

    @property
    def cell(self) -> Membrane:
        """The per-step parameters of a population that has state."""
        if self.membrane is None:
            raise TypeError(f"a population of kind {self.kind!r} has no state")
        return self.membrane


@dataclass(frozen=True, eq=False)
class Projection:
    """Weights from one population to another.

    Attributes:
        name: of the NIR nodes it came from.
        pre, post: population names.
        matrix: (post size, pre size), float64, dense or CSR.
        delay: steps from a spike to its effect; 0 is "in the same step".
        recurrent: does it close a loop.
        conv: geometry, where the matrix is a plain convolution.
    """

    name: str
    pre: str
    post: str
    matrix: Any
    delay: int
    recurrent: bool = False
    conv: Convolution | None = None

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Clocked:
    """A network per time step.

    Attributes:
        dt: seconds per step.
        populations: name -> Population, every projection's pre before or equal its post where
            the delay is 0 (topological order).
        projections: in the order in which sums are taken.
        outputs: NIR Output name -> population name.
        lags: population -> steps by which it answers later than the reference (0 before
            retiming).
        repairs, notes: sentences for the report.
        name: for messages.
        slow: steps here per step of the network; a population moves where its step less its lag
            is a multiple of it, and holds its state between.
        trained: what the network was trained for, where that was a chip.
    """

    dt: float
    populations: Mapping[str, Population]
    projections: tuple[Projection, ...]
    outputs: Mapping[str, str]
    lags: Mapping[str, int]
    repairs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = "network"
    slow: int = 1
    trained: Trained | None = None

    @property
    def inputs(self) -> list[str]:
        """Names of the input populations."""
        return [name for name, pop in self.populations.items() if pop.kind == "input"]

    @property
    def neurons(self) -> list[str]:
        """Names of the populations with state."""
        return [name for name, pop in self.populations.items() if pop.membrane is not None]

    @property
    def last_lag(self) -> int:
        """Steps after which every population has answered the last input."""
        return max((self.lags.get(name, 0) for name in self.neurons), default=0)

    @property
    def output(self) -> str:
        """The population that is decoded: the first output's."""
        return next(iter(self.outputs.values()))

    def into(self, post: str) -> list[Projection]:
        """Return the projections that end in `post`."""
        return [projection for projection in self.projections if projection.post == post]
