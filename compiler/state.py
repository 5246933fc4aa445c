"""The noun `State`: everything that a step changes, so that running is continuing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikeport.compiler.kinds import Array


@dataclass(frozen=True, eq=False)
class State:
    """What a run leaves behind and the next one starts from.

    Attributes:
        step: steps taken so far.
        variables: population -> variable (`u`, `v`, `refractory`, ...) -> (samples, n).
        history: population -> its spikes of the last D steps, (D, samples, n), newest last;
            D is the longest delay. They are still on their way. Inputs are in it too.
    """

    step: int
    variables: Mapping[str, Mapping[str, Array]]
    history: Mapping[str, Array]

    def __post_init__(self) -> None:
        for variables in (*self.variables.values(), self.history):
            for array in variables.values():
                array.flags.writeable = False
