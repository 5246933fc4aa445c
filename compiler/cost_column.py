"""One coherent set of cost figures of a chip: joules per event, and what a step takes.

Two columns are never mixed: a figure that a column lacks is unknown under it, whatever another
column says. The events themselves are counted by `measure/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from spikeport.compiler.figure import Basis, Figure, Strict

#: What can cost energy or time; a misspelt kind would cost nothing in silence.
EVENTS = (
    "soma_access", "soma_update", "spike_out", "synaptic_op", "synaptic_op_sparse", "crossbar_op",
    "packet", "packet_in", "hop_east_west", "hop_north_south", "state_reset",
    "dense_synaptic_op", "leak_step",
)  # fmt: skip
#: Relative uncertainty, as (low, high): the truth lies in value * (1 + low) to value * (1 + high).
PlusMinus = tuple[float, float]


class Price(Figure):
    """A figure that may state its own uncertainty; without it the column's holds.

    Attributes:
        plus_minus: relative, lowest and highest, as [-0.1, 0.2].
    """

    plus_minus: PlusMinus | None = None

    @model_validator(mode="after")
    def _around_zero(self) -> Price:
        if self.value < 0:
            raise ValueError(f"{self.value} {self.unit} is below 0")
        if self.plus_minus is not None and not -1 <= self.plus_minus[0] <= 0 <= self.plus_minus[1]:
            raise ValueError(f"plus_minus is {self.plus_minus}, not one in [-1, 0] and one above")
        return self


class Points(Strict):
    """A duration that depends on how many there are, as points of a table.

    Attributes:
        counts: of tiles or chips, ascending.
        seconds: at each of them.
        between: `step` holds the last point that was reached; `line` is drawn between two.
    """

    counts: tuple[int, ...] = Field(min_length=1)
    seconds: tuple[float, ...] = Field(min_length=1)
    between: Literal["step", "line"]
    source: str = Field(min_length=4)
    basis: Basis
    note: str = ""

    @model_validator(mode="after")
    def _a_table(self) -> Points:
        rising = all(low < high for low, high in zip(self.counts, self.counts[1:], strict=False))
        if len(self.counts) != len(self.seconds) or not rising or self.counts[0] < 1:
            raise ValueError("counts rise from 1 or more, with a duration for each")
        if min(self.seconds) < 0:
            raise ValueError("a duration is below 0")
        return self

    def at(self, count: int) -> float | None:
        """Return the duration at a count; None outside of what the table says.

        >>> known = {"between": "line", "source": "invented", "basis": "estimate"}
        >>> table = Points(counts=(1, 4), seconds=(1.0, 2.5), **known)
        >>> table.at(2), table.at(5)
        (1.5, None)
        """
        if count < self.counts[0]:
            return None
        last = max(place for place, known in enumerate(self.counts) if known <= count)
        if self.between == "step" or self.counts[last] == count:
            return self.seconds[last]
        if last + 1 == len(self.counts):
            return None
        span = self.counts[last + 1] - self.counts[last]
        share = (count - self.counts[last]) / span
        return self.seconds[last] + share * (self.seconds[last + 1] - self.seconds[last])


class EventTimes(Strict):
    """An asynchronous chip: events take their time, and a barrier ends the step.

    Attributes:
        figures: seconds per event; kinds that are missing take no time under this column.
        barrier: by tiles in use.
        chip_barrier: by linked chips, from two on; None: not published.
        link_buffer: messages that a hop holds; without it the mesh is not modelled in detail.
        uncertainty: relative, of the time of events.
    """

    kind: Literal["events"]
    figures: Mapping[str, Price]
    barrier: Points
    chip_barrier: Points | None = None
    link_buffer: Figure | None = None
    uncertainty: Figure

    @model_validator(mode="after")
    def _known(self) -> EventTimes:
        _check_kinds(self.figures, "s")
        buffer = 1 if self.link_buffer is None else self.link_buffer.value
        if buffer < 1 or buffer % 1:
            raise ValueError(f"link_buffer is {buffer}, not a whole number above 0")
        return self


class TickTime(Strict):
    """A chip whose steps all take the same time, by a global tick.

    Attributes:
        tick: seconds per step.
    """

    kind: Literal["tick"]
    tick: Price


class CycleTime(Strict):
    """A clocked chip that takes its events one after the other.

    Attributes:
        clock: in Hz.
        cycles: clock cycles per event.
    """

    kind: Literal["cycles"]
    clock: Price
    cycles: Mapping[str, Price]

    @model_validator(mode="after")
    def _known(self) -> CycleTime:
        _check_kinds(self.cycles, "cycles")
        if self.clock.unit != "Hz" or not self.clock.value:
            raise ValueError(f"clock is {self.clock.value} {self.clock.unit}, not some Hz")
        return self


StepTime = Annotated[EventTimes | TickTime | CycleTime, Field(discriminator="kind")]


class CostColumn(Strict):
    """One coherent set of figures.

    Attributes:
        title: what it is.
        source: where it comes from.
        uncertainty: relative and symmetric, of each figure that states none of its own.
        figures: joules per event.
        time: how long a step takes; None: not published.
    """

    title: str
    source: str
    uncertainty: Figure
    figures: Mapping[str, Price]
    time: StepTime | None = None

    @model_validator(mode="after")
    def _known(self) -> CostColumn:
        _check_kinds(self.figures, "J")
        return self

    def plus_minus(self, figure: Price) -> PlusMinus:
        """Return the relative uncertainty of one of this column's figures."""
        if figure.plus_minus is not None:
            return figure.plus_minus
        share = float(self.uncertainty.value)
        return -min(share, 1.0), share


def _check_kinds(figures: Mapping[str, Figure], unit: str) -> None:
    for name, figure in figures.items():
        if name not in EVENTS:
            raise ValueError(f"{name} is no event kind; known are {', '.join(EVENTS)}")
        if figure.unit != unit:
            raise ValueError(f"{name} is in {figure.unit}, not in {unit}")
