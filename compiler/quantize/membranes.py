"""From a retimed `Clocked` to the integers of cells that decay by a factor (Loihi-like).

Folding (DESIGN section 6): with u and v as the chip steps them,

    u <- keep_u u + W' s,   v <- keep_v v + u,   W' = W * gain_u * gain_v

so each neuron needs a scale s: W' s are weight mantissas times 2^exponent, and the threshold
mantissa is v_threshold * s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Membrane, Population
from spikeport.compiler.fabric import Crossbar, Layers, Lists
from spikeport.compiler.kinds import QUANTIZERS, Array
from spikeport.compiler.program import (
    Arithmetic,
    CellPopulation,
    HostCurrent,
    HostTarget,
    Program,
    Synapses,
)
from spikeport.compiler.quantize.agree import Lowering, best_drive, best_scale, best_threshold
from spikeport.compiler.quantize.arithmetic import arithmetic_of
from spikeport.compiler.quantize.better_dt import dt_note
from spikeport.compiler.quantize.cell import always_spiking, integer_cell
from spikeport.compiler.quantize.drive import host_note, host_target, sum_targets
from spikeport.compiler.quantize.lost import cut_note, few_left, lost_note
from spikeport.compiler.quantize.merge import merge_parallel
from spikeport.compiler.quantize.peak import Peaks
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.quantize.scaled import Scaled
from spikeport.compiler.quantize.scaling import Scaling, scale_all
from spikeport.compiler.quantize.seen import Seen
from spikeport.compiler.quantize.weights import Arriving, integer_synapses


def quantize_membranes(
    clocked: Clocked,
    chip: Chip,
    peaks: Mapping[str, Peaks],
    host: Mapping[str, bool],
    recipe: Recipe,
    seen: Seen | None,
) -> Program:
    """Return the Program of a retimed network; see `quantize`."""
    if isinstance(chip.core, Layers | Crossbar):  # one weight per pair of neurons
        clocked = merge_parallel(clocked)
    arithmetic = arithmetic_of(chip)
    sent: dict[str, Array] = {}
    scalings = scale_all(clocked, chip, peaks, host, recipe, seen)
    populations: dict[str, CellPopulation] = {}
    synapses: list[Synapses] = []
    losses: list[dict[str, Any]] = []
    targets: dict[str, dict[str, tuple[HostTarget, ...]]] = {name: {} for name in host}
    for name, pop in clocked.populations.items():
        if pop.kind == "input":
            populations[name] = CellPopulation("input", pop.shape, None, np.ones(pop.size))
        elif pop.kind == "constant":
            populations[name] = _constant(chip, arithmetic)
        else:
            if seen is not None:
                scalings[name] = _calibrated(clocked, name, chip, scalings, recipe, seen, sent)
            lost: list[dict[str, Any]] = []
            synapses += _synapses(clocked, name, chip, scalings, recipe, lost)
            populations[name] = _lowered(name, pop, scalings[name], chip, arithmetic, lost)
            losses += lost
            for source, found in _targets(clocked, name, scalings[name], host, chip).items():
                targets[source][name] = found
    hosts = {
        name: HostCurrent(
            name,
            static and all(_at_once(each) for each in targets[name].values()),
            targets[name],
        )
        for name, static in host.items()
    }
    return Program(
        dt=clocked.dt,
        populations=populations,
        synapses=tuple(synapses),
        outputs=clocked.outputs,
        lags=clocked.lags,
        arithmetic=arithmetic,
        host=hosts,
        message_bits=chip.message_bits,
        losses=tuple(losses),
        repairs=clocked.repairs,
        notes=(
            *clocked.notes,
            *map(host_note, hosts.values()),
            *map(lost_note, few_left(losses)),
            *dt_note(clocked, arithmetic.decay_bits),
            *(cut_note(name) for name, each in scalings.items() if each.is_cut),
        ),
        name=clocked.name,
        slow=clocked.slow,
    )


def _calibrated(
    clocked: Clocked,
    name: str,
    chip: Chip,
    scalings: Mapping[str, Scaling],
    recipe: Recipe,
    seen: Seen,
    sent: dict[str, Array],
) -> Scaling:
    """Return the scaling of a population with what its spikes on calibration data ask for.

    Adds what it sends on the chip then to `sent`, which those behind it are calibrated with.
    """
    pop, scaling, arithmetic = clocked.populations[name], scalings[name], arithmetic_of(chip)
    binary = all(clocked.populations[p.pre].signal != "analog" for p in scaling.incoming)
    all_there = len(scaling.incoming) == len(clocked.into(name))
    if not (isinstance(pop.membrane, Membrane) and pop.cell.spiking and binary and all_there):
        return scaling
    if pop.kind == "Relay" or not scaling.incoming or clocked.slow > 1:
        return scaling

    lowering = Lowering(
        name, pop,
        lambda tried: _synapses(clocked, name, chip, {**scalings, name: tried}, recipe, []),
        lambda tried: integer_cell(name, pop, tried, chip, arithmetic, []),
        arithmetic, seen, sent,
    )  # fmt: skip
    if recipe.ranges == "raster":
        scaling = best_scale(lowering, scaling)
    if recipe.correct:
        register = chip.limits.bias_mantissa
        if register.high > 0 > register.low:
            scaling = best_drive(lowering, scaling, _meant(clocked, scaling, seen))
        scaling = best_threshold(lowering, scaling)
    if recipe.ranges == "raster" or recipe.correct:
        sent[name] = lowering.spikes(scaling)
    return scaling


def _meant(clocked: Clocked, scaling: Scaling, seen: Seen) -> Array:
    """Return what is to arrive at each neuron in a step, in weight units, on the average, (n,)."""
    total = np.zeros(scaling.scale.size)
    for each in scaling.incoming:
        rate = seen.arriving(each).mean(axis=(0, 1))
        total = total + (each.matrix @ rate) * scaling.arriving_gain * scaling.scale
    return np.asarray(total)


def _constant(chip: Chip, arithmetic: Arithmetic) -> CellPopulation:
    return CellPopulation("constant", (1,), always_spiking(chip, arithmetic), np.ones(1))


def _synapses(
    clocked: Clocked,
    name: str,
    chip: Chip,
    scalings: Mapping[str, Scaling],
    recipe: Recipe,
    losses: list[dict[str, Any]],
) -> list[Synapses]:
    """Return everything that ends in a population and is not written by the host, in integers."""
    scaling = scalings[name]
    arriving = []
    for projection in scaling.incoming:
        sender = scalings.get(projection.pre)
        graded = sender is not None and sender.unit > 0
        # A layer's kernel stays one: its weights are not rounded at each place by themselves.
        kernel = projection.conv is not None and not isinstance(chip.core, Lists)
        gain = scaling.arriving_gain * scaling.scale
        arriving.append(
            Arriving(
                projection,
                Scaled(projection.matrix, gain / sender.unit if graded and sender else gain),
                recipe.wish(projection.name),
                scaling.exponents.get(projection.name),
                (1 << (chip.message_bits - 1)) - 1 if graded else 0,
                None if kernel else scaling.traces.get(projection),
            )
        )
    names = {each.name for each in clocked.projections}
    made, lost = integer_synapses(arriving, scaling.scale, chip, names)
    losses += lost
    return made


def _lowered(
    name: str,
    pop: Population,
    scaling: Scaling,
    chip: Chip,
    arithmetic: Arithmetic,
    losses: list[dict[str, Any]],
) -> CellPopulation:
    """Return a population in integers."""
    if not isinstance(pop.membrane, Membrane):
        scale = float(scaling.scale.max(initial=1.0))  # one for all
        other = QUANTIZERS[type(pop.membrane)].integer(name, pop, scale, chip, losses)
        if scaling.unit:
            shift = scaling.message_shift
            other = replace(other, message_bits=chip.message_bits, message_shift=shift)
        return CellPopulation(pop.kind, pop.shape, other, scaling.full)
    integer = integer_cell(name, pop, scaling, chip, arithmetic, losses)
    return CellPopulation(pop.kind, pop.shape, integer, scaling.full, pop.cell.v_offset.copy())


def _targets(
    clocked: Clocked, name: str, scaling: Scaling, host: Mapping[str, bool], chip: Chip
) -> dict[str, tuple[HostTarget, ...]]:
    """Return what the host does for a population, by the input that it reads: one for each lag."""
    cell = clocked.populations[name].cell
    offsets: dict[int, Array] = {}
    for projection in clocked.into(name):
        if projection not in scaling.incoming and projection.pre not in host:
            column = np.asarray(projection.matrix)[:, 0] * scaling.gain
            offsets[projection.delay] = offsets.get(projection.delay, 0.0) + column
    drives: dict[str, dict[int, HostTarget]] = {}
    for projection in clocked.into(name):
        if projection.pre in host:
            lag = projection.delay
            offset = offsets.pop(lag, np.zeros(scaling.gain.size))  # once, with the first input
            target = host_target(projection, cell, scaling, offset, chip)
            known = drives.setdefault(projection.pre, {})
            known[lag] = sum_targets(known.get(lag), target)
    return {source: tuple(found.values()) for source, found in drives.items()}


def _at_once(targets: tuple[HostTarget, ...]) -> bool:
    """Is a static input one value of the register from the first step on."""
    return all(not each.keep.any() and each.lag == 0 for each in targets)
