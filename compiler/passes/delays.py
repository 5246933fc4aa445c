"""Seconds of a path to whole steps, and what that rounding loses."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from spikeport.compiler.errors import GraphError, counted

LONGEST_DELAY = 1_000_000  # steps


@dataclass(frozen=True)
class Wait:
    """The delay of one path: how long, how many synapses it has, what it is called."""

    seconds: float
    synapses: int
    path: str


def delay_steps(wait: Wait, dt: float) -> int:
    """Return a delay in steps, rounded half up.

    It is rounded to nine digits first, so that a quotient of 2.4999999999 counts as 2.5.

    Raises:
        GraphError: it is negative, not finite, or longer than `LONGEST_DELAY` steps.

    >>> [delay_steps(Wait(seconds, 1, "w"), 1e-3) for seconds in (4e-4, 5e-4, 2.5e-3, 3e-3)]
    [0, 1, 3, 3]
    """
    if not 0 <= wait.seconds / dt <= LONGEST_DELAY:
        raise GraphError(
            f"the path {wait.path} has a delay of {wait.seconds:g} s, {wait.seconds / dt:g} steps",
            f"delays are from 0 to {LONGEST_DELAY} steps",
            "correct its Delay nodes: they are in seconds",
        )
    return math.floor(round(wait.seconds / dt, 9) + 0.5)


def rounding_note(waits: Iterable[Wait], dt: float) -> tuple[str, ...]:
    """Return one sentence on what rounding to steps changed, none where it changed nothing."""
    delayed = [wait for wait in waits if wait.seconds]
    errors = [abs(round(wait.seconds / dt, 9) - delay_steps(wait, dt)) for wait in delayed]
    rounded = [wait for wait, error in zip(delayed, errors, strict=True) if error]
    if not rounded:
        return ()
    synapses = sum(wait.synapses for wait in rounded)
    return (
        f"delays: {len(rounded)} of {counted(len(delayed), 'delayed path')} "
        f"({counted(synapses, 'synapse')}) took no whole number of steps of {dt:g} s and were "
        f"rounded; the largest error is {max(errors) * dt:g} s ({max(errors):g} steps)",
    )
