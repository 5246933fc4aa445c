"""Retime so that splitters have a step of their own, on chips where a neuron has one target.

A packet takes one step at least; one that a splitter repeats takes two. The smallest lags would
leave one step everywhere, and so no way but copies of neurons, which multiply from layer to layer
(`place/crossbar/targets`). So two steps are asked for first, if need be with relays that wait less
than they could. Only where a loop of the network is too short for that, one step has to do.
"""

from __future__ import annotations

from collections.abc import Set

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.passes.retime import retime

THROUGH_A_SPLITTER = 2  # steps


def retime_for(
    clocked: Clocked,
    chip: Chip,
    host: Set[str] = frozenset(),
    allow_skew: bool = False,
    slow: int = 1,
) -> Clocked:
    """Return the network with the delays of a chip; see `retime`.

    Raises:
        LoweringError: a loop is too short for the chip.
    """
    delays = chip.limits.delay_steps
    signal = "count" if "count" in chip.signals else "binary"  # what inputs may send
    one_target = isinstance(chip.core, Crossbar) and chip.core.targets_per_neuron is not None
    if one_target and delays.low < THROUGH_A_SPLITTER <= delays.high:
        for longest in range(delays.high, delays.high // 2, -1):  # what relays leave has two steps
            try:
                return retime(
                    clocked, THROUGH_A_SPLITTER, longest, host, False, slow, signal,
                    chip.input_delay,
                )  # fmt: skip
            except LoweringError:
                continue  # what is wrong in any case is said below
    return retime(
        clocked, delays.low, delays.high, host, allow_skew, slow, signal, chip.input_delay
    )
