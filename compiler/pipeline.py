"""The whole way from a graph to a chip on one screen. Order is meaning; the reason is beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.compiler.check import check
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.image import Image
from spikeport.compiler.network import Network
from spikeport.compiler.passes.at_once import check_at_once
from spikeport.compiler.passes.clock import clock
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.fold_linear import fold_linear
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.passes.normalise import (
    drive_from_constant,
    normalise_order,
    shift_to_reset,
)
from spikeport.compiler.passes.retime_for import retime_for
from spikeport.compiler.place.place import place
from spikeport.compiler.quantize.peak import Peaks
from spikeport.compiler.quantize.quantize import quantize
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.quantize.seen import Seen

DEFAULT_PASSES = (
    flatten_graphs,  # nested graphs have names of their own, everything after sees one level
    infer_shapes,  # everything after reads shapes
    fold_linear,  # chips have synapses between neurons and nothing else on the way
)

#: Clocked to Clocked, exact, before retiming: chips take one order, one reset level.
NORMAL_FORM = (
    normalise_order,  # may add a step of delay, which retiming must see
    shift_to_reset,  # makes a drive out of a reset level ...
    drive_from_constant,  # ... which becomes synapses here
)


def prepare(net: Network, passes: tuple[Any, ...] = DEFAULT_PASSES) -> Network:
    """Return the network as populations with one `Weights` per path between them."""
    for step in passes:
        net = check(step(net), after=step.__name__)
    return net


def to_clocked(net: Network) -> Clocked:
    """Return the network under its clock: what the reference runs."""
    return check(clock(prepare(net)), after="clock")


def for_chip(
    clocked: Clocked,
    chip: Chip,
    host: frozenset[str] = frozenset(),
    allow_skew: bool = False,
    slow: int = 1,
) -> Clocked:
    """Return the same network with the delays and lags of a chip; its rasters are equal, later.

    Raises:
        LoweringError: a loop cannot be retimed, the chip cannot be slow, or has no time step and
            meets a loop or a delay.
    """
    if slow > 1 and not chip.holds_state:
        raise LoweringError(
            f"{chip.name} cannot take {slow} steps per step of the network",
            "its neurons are updated in every step, so no state waits for the next one",
            "choose a chip that can hold its state: --chip generic_graded",
        )
    for step in NORMAL_FORM:
        clocked = check(step(clocked), after=step.__name__)
    if chip.limits.delay_steps.high == 0:
        check_at_once(clocked, chip.name)
    return check(retime_for(clocked, chip, host, allow_skew, slow), after="retime")


def lower(
    retimed: Clocked,
    chip: Chip,
    peaks: Mapping[str, Peaks],
    host: Mapping[str, bool],
    chips: int = 1,
    recipe: Recipe | None = None,
    seen: Seen | None = None,
) -> Image:
    """Return a retimed network as integers on cores.

    Args:
        retimed: from `for_chip`.
        chip: target.
        peaks: largest |u| and |v| seen per population in calibration.
        host: real-valued inputs -> is the value static over a sample.
        chips: how many chips there are.
        recipe, seen: see `quantize`.
    """
    program = check(quantize(retimed, chip, peaks, host, recipe, seen), after="quantize")
    return check(place(program, chip, chips), after="place")


def compile_network(
    net: Network,
    chip: Chip,
    peaks: Mapping[str, Peaks] | None = None,
    host: Mapping[str, bool] | None = None,
    allow_skew: bool = False,
    slow: int = 1,
    chips: int = 1,
) -> Image:
    """Return a network, with complete semantics, as integers on cores; see `lower`."""
    retimed = for_chip(to_clocked(net), chip, frozenset(host or ()), allow_skew, slow)
    return lower(retimed, chip, peaks or {}, host or {}, chips)
