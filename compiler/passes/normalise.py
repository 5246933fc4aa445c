"""Rewrite what a network does per step into the one form that chips take, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.compiler.clocked import Clocked, Membrane, Population, Projection
from spikeport.compiler.kinds import Array
from spikeport.compiler.passes.clock import constant_name


def normalise_order(clocked: Clocked) -> Clocked:
    """Turn every order of current and voltage into `decay_add_v`.

    What v sees is a filtered input in each of them; only its gain and its delay differ.

        add_v_decay   seen[t] = keep seen[t-1] + in[t]          the same filter
        add_decay_v   seen[t] = keep (seen[t-1] + in[t])        gain times keep
        v_decay_add   seen[t] = keep seen[t-1] + in[t-1]        one step later
    """
    populations = dict(clocked.populations)
    late = set()
    for name in clocked.neurons:
        cell = populations[name].cell
        if not isinstance(cell, Membrane) or not cell.has_current:
            continue
        if cell.current_order == "decay_add_v":
            continue
        if cell.current_order == "v_decay_add":
            late.add(name)
        gain = cell.gain_u * (cell.keep_u if cell.current_order == "add_decay_v" else 1.0)
        cell = replace(cell, gain_u=gain, current_order="decay_add_v")
        populations[name] = replace(populations[name], membrane=cell)
    projections = tuple(
        replace(each, delay=each.delay + 1) if each.post in late else each
        for each in clocked.projections
    )
    return replace(clocked, populations=populations, projections=projections)


def shift_to_reset(clocked: Clocked) -> Clocked:
    """Measure v from v_reset, so that a reset writes zero.

        before: v <- keep v + ...,             v = v_reset on a spike
        after:  x <- keep x + ... + (keep - 1) v_reset,   x = 0 on a spike,   x = v - v_reset

    Chips have no register for a reset level. Only where the reset is `to_value`, and where
    spikes are not counted in multiples of the threshold.
    """
    populations = dict(clocked.populations)
    for name in clocked.neurons:
        cell = populations[name].cell
        if not isinstance(cell, Membrane):
            continue
        if cell.reset != "to_value" or cell.spike == "count" or not cell.v_reset.any():
            continue
        shifted = replace(
            cell,
            v_threshold=cell.v_threshold - cell.v_reset,
            v_initial=cell.v_initial - cell.v_reset,
            v_min=cell.v_min - cell.v_reset,
            drive_v=cell.drive_v + (cell.keep_v - 1.0) * cell.v_reset,
            v_reset=np.zeros_like(cell.v_reset),
            v_offset=cell.v_offset + cell.v_reset,
        )
        populations[name] = replace(populations[name], membrane=shifted)
    return replace(clocked, populations=populations)


def drive_from_constant(clocked: Clocked) -> Clocked:
    """Turn a constant drive of v into a projection from the constant population.

    A projection can start at the right step on chip, a bias register cannot. Only where no
    current filter stands between a synapse and v.

        before: v <- keep v + gain input + drive
        after:  v <- keep v + gain (input + drive / gain * constant)
    """
    populations = dict(clocked.populations)
    projections = list(clocked.projections)
    constant = constant_name(populations)
    for name in clocked.neurons:
        cell = populations[name].cell
        if not isinstance(cell, Membrane):
            continue
        gain: Array = cell.gain_u * cell.gain_v
        if cell.has_current or not cell.drive_v.any() or not gain.all():
            continue
        column = (cell.drive_v / gain)[:, None]
        projections.append(Projection(f"{name}.drive", constant, name, column, 0))
        still = replace(cell, drive_v=np.zeros_like(cell.drive_v))
        populations[name] = replace(populations[name], membrane=still)
        populations.setdefault(constant, Population("constant", (1,)))
    ordered = {constant: populations[constant]} if constant in populations else {}
    return replace(
        clocked,
        populations={**ordered, **populations},
        projections=tuple(projections),
        lags={name: clocked.lags.get(name, 0) for name in {**ordered, **populations}},
    )
