"""From a retimed `Clocked` to the integers of a Loihi-1-like chip.

Folding (DESIGN section 6): with u and v as the chip steps them,

    u <- keep_u u + W' s,   v <- keep_v v + u,   W' = W * gain_u * gain_v

so a population needs one scale s: W' s are weight mantissas times 2^exponent, and the threshold
mantissa is v_threshold * s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.passes.retime import by_host
from spikeport.compiler.program import (
    BRIAN2_LOIHI,
    LAVA,
    NENGO_LOIHI,
    CellPopulation,
    HostCurrent,
    HostTarget,
    Program,
    Synapses,
)
from spikeport.compiler.quantize.cell import always_spiking, integer_cell
from spikeport.compiler.quantize.drive import host_note, host_target, sum_targets
from spikeport.compiler.quantize.scale import HEADROOM, Peaks, bound_of_weights, choose_scale
from spikeport.compiler.quantize.weights import integer_synapses, scaled_rows

ARITHMETIC = {"lava": LAVA, "nengo_loihi": NENGO_LOIHI, "brian2_loihi": BRIAN2_LOIHI}


def quantize(
    clocked: Clocked, chip: Chip, peaks: Mapping[str, Peaks], host: Mapping[str, bool]
) -> Program:
    """Return the Program of a retimed network.

    Args:
        clocked: in the chip's normal form and retimed (`pipeline.for_chip`).
        chip: whose widths are used.
        peaks: per population, from a run of the reference; where one is missing, a bound from
            the weights is used.
        host: inputs with real values -> is the value static over a sample.

    Raises:
        LoweringError: something that the chip cannot do, by name and with what would work.
    """
    check_kinds(clocked, chip)
    populations: dict[str, CellPopulation] = {}
    synapses: list[Synapses] = []
    losses: list[dict[str, Any]] = []
    targets: dict[str, dict[str, HostTarget]] = {name: {} for name in host}
    for name, pop in clocked.populations.items():
        if pop.kind == "input":
            populations[name] = CellPopulation("input", pop.shape, None, np.ones(pop.size))
        elif pop.kind == "constant":
            populations[name] = CellPopulation("constant", (1,), always_spiking(), np.ones(1))
        else:
            parts = _population(clocked, name, chip, peaks.get(name), host)
            populations[name], more, drives, lost = parts
            synapses += more
            losses += lost
            for source, target in drives.items():
                targets[source][name] = target
    hosts = {
        name: HostCurrent(
            name,
            static and all(not t.keep.any() and t.lag == 0 for t in targets[name].values()),
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
        arithmetic=ARITHMETIC[chip.arithmetic],
        host=hosts,
        losses=tuple(losses),
        repairs=clocked.repairs,
        notes=(*clocked.notes, *map(host_note, hosts.values())),
        name=clocked.name,
    )


def check_kinds(clocked: Clocked, chip: Chip) -> None:
    """Refuse what the chip cannot do.

    Raises:
        LoweringError: names the population, what it does and what would work.
    """
    for name in clocked.neurons:
        _check_kind(name, clocked.populations[name], chip, clocked)


def _check_kind(name: str, pop: Population, chip: Chip, clocked: Clocked) -> None:
    cell = pop.cell
    if pop.kind not in chip.kinds:
        raise LoweringError(
            f"{name!r} is a {pop.kind}",
            f"{chip.name} runs {', '.join(chip.kinds)}",
            "choose a chip that has this kind (spikeport chips), or retrain with one of those",
        )
    if pop.signal == "count" and "count" not in chip.signals:
        raise LoweringError(
            f"{name!r} sends several spikes per step (spike=count)",
            f"{chip.name} sends one binary spike at most",
            f"run it with --set {name}.spike=binary (compare the accuracy), or choose a chip with "
            "counts",
        )
    readers = [p.post for p in clocked.projections if p.pre == name]
    if pop.signal == "analog" and readers:
        raise LoweringError(
            f"{name!r} is a {pop.kind}, whose output is analog, and it feeds {readers[0]!r}",
            f"{chip.name} carries spikes between neurons; analog values only leave as a readout",
            f"replace {name!r} by a spiking kind, or make it an output",
        )
    if pop.cell.spiking and cell.reset not in chip.resets:
        raise LoweringError(
            f"{name!r} is reset by {cell.reset}",
            f"{chip.name} has {', '.join(chip.resets)}",
            f"--set {name}.reset={chip.resets[0]}",
        )
    if pop.cell.spiking and cell.reset_when == "next_step":
        raise LoweringError(
            f"{name!r} is reset in the step after a spike",
            f"{chip.name} resets in the same step",
            f"--set {name}.reset_when=same_step",
        )
    most = chip.limits.refractory_steps.high - 1
    if cell.refractory_steps.max(initial=0) > most:
        raise LoweringError(
            f"{name!r} is refractory for {cell.refractory_steps.max()} steps",
            f"{chip.name} counts {most} at most",
            f"--set {name}.refractory={most * clocked.dt:g}, or use a longer dt",
        )


def _population(
    clocked: Clocked, name: str, chip: Chip, peak: Peaks | None, host: Mapping[str, bool]
) -> tuple[CellPopulation, list[Synapses], dict[str, HostTarget], list[dict[str, Any]]]:
    """Return a population with everything that ends in it, in integers, and what was lost."""
    pop = clocked.populations[name]
    cell = pop.cell
    gain = cell.gain_u * cell.gain_v
    lag = clocked.lags[name]
    written = {p.post: p.delay - lag for p in clocked.into(name) if p.pre in host}
    unwritten = [p for p in clocked.into(name) if not _written(clocked, p, host, written)]
    offset = np.zeros(pop.size)
    for projection in clocked.into(name):
        if projection not in unwritten and projection.pre not in host:
            offset = offset + np.asarray(projection.matrix)[:, 0] * gain
    incoming = unwritten
    folded = [scaled_rows(p.matrix, gain) for p in incoming]
    headroom = 1.0 if peak is None else HEADROOM  # a bound needs none
    peak = bound_of_weights(cell, folded) if peak is None else peak
    scale = choose_scale(name, cell, folded, peak, headroom, chip)
    losses: list[dict[str, Any]] = []
    synapses = []
    for projection, matrix in zip(incoming, folded, strict=True):
        made, lost = integer_synapses(projection, matrix, gain, scale, chip)
        synapses.append(made)
        losses.append(lost)
    integer = integer_cell(name, pop, scale, chip, losses)
    drives: dict[str, HostTarget] = {}
    for projection in clocked.into(name):
        if projection.pre in host:
            target = host_target(projection, cell, gain, offset, scale, peak)
            offset = np.zeros(pop.size)  # once, however many inputs there are
            drives[projection.pre] = sum_targets(drives.get(projection.pre), target)
    full = scale * (1 << fixed.WEIGHT_SHIFT)
    lowered = CellPopulation(
        pop.kind, pop.shape, integer, np.full(pop.size, full), cell.v_offset.copy()
    )
    return lowered, synapses, drives, losses


def _written(
    clocked: Clocked, projection: Projection, host: Mapping[str, bool], written: Mapping[str, int]
) -> bool:
    """As `retime.by_host`, on the retimed network (delays include the lag)."""
    lag = clocked.lags[projection.post]
    original = replace(projection, delay=projection.delay - lag)
    return by_host(clocked, original, set(host), written)
