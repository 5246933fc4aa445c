"""Chains of relay neurons, for delays that are longer than the chip's.

    before: pre --150--> post
    after:  pre --62--> pre.relay1 --62--> pre.relay2 --26--> post

A relay repeats what it hears, one chain for everything that its source sends late, and only for
those of its neurons that somebody listens to. Exact; the price is neurons, synapses and spikes,
which are placed and costed like all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.errors import LoweringError, counted
from spikeport.compiler.kinds import Array
from spikeport.compiler.passes.wires import passing_on


def add_relays(
    clocked: Clocked,
    d_max: int,
    host: Set[str] = frozenset(),
    d_min: int = 1,
    input_signal: str = "binary",
) -> Clocked:
    """Return the network with no delay above `d_max`.

    Args:
        clocked: retimed but for delays that are too long.
        d_max: longest delay of the chip, in steps.
        host: inputs whose values the host writes; it can be as late as it likes.
        d_min: shortest delay of the chip, in steps.
        input_signal: `binary`, or `count` where inputs may send several spikes a step.

    Raises:
        LoweringError: what is left of a delay after its relays is too short for the chip.
    """
    late: dict[str, list[Projection]] = {}
    moved: dict[Projection, Projection] = {}
    for each in clocked.projections:
        if each.delay <= d_max or each.pre in host:
            continue
        if _listened([each]).size:
            late.setdefault(each.pre, []).append(each)
        else:  # without weights, it does not matter when
            moved[each] = replace(each, delay=d_max)
    if not late and not moved:
        return clocked
    for each in (each for group in late.values() for each in group):
        _check_rest(each, d_max, d_min)
    populations: dict[str, Population] = {}
    lags: dict[str, int] = {}
    links: list[Projection] = []
    notes = []
    for name, population in clocked.populations.items():
        populations[name], lags[name] = population, clocked.lags.get(name, 0)
        if name not in late:
            continue
        signal = input_signal if population.kind == "input" else population.signal
        source = replace(population, signal=signal)
        relays, chain, taps = _chain(name, source, late[name], d_max, clocked.populations)
        if clocked.slow > 1:  # a relay hears, and moves, in the steps in which its source does
            relays = {key: replace(each, start_step=lags[name]) for key, each in relays.items()}
        populations |= relays
        lags |= dict.fromkeys(relays, lags[name])
        links += chain
        moved |= taps
        size = sum(relay.size for relay in relays.values())
        notes.append(
            f"relays: {counted(size, 'neuron')} for what {name!r} sends later than the chip's "
            f"{d_max} steps, along {counted(len(late[name]), 'projection')}"
        )
    projections = (*links, *(moved.get(each, each) for each in clocked.projections))
    return replace(
        clocked,
        populations=populations,
        projections=projections,
        lags=lags,
        notes=(*clocked.notes, *notes),
    )


def _check_rest(projection: Projection, d_max: int, d_min: int) -> None:
    rest = (projection.delay - 1) % d_max + 1
    if rest < d_min:
        raise LoweringError(
            f"{projection.pre} -> {projection.post} needs a delay of {projection.delay} steps",
            f"relays delay by {d_max} each, and the {rest} that are left are fewer than the "
            f"{d_min} that the chip needs",
            f"delay it by {d_min - rest} more",
        )


def _chain(
    pre: str,
    population: Population,
    late: list[Projection],
    d_max: int,
    taken: Mapping[str, Population],
) -> tuple[dict[str, Population], list[Projection], dict[Projection, Projection]]:
    """Return the relays of one source, what links them, and the projections that start there."""
    stages = {each: (each.delay - 1) // d_max for each in late}
    relays: dict[str, Population] = {}
    links: list[Projection] = []
    taps: dict[Projection, Projection] = {}
    source, carried = pre, np.arange(population.size)
    for stage in range(1, max(stages.values()) + 1):
        beyond = [each for each in late if stages[each] >= stage]
        wanted = _listened(beyond)
        name = _free(f"{pre}.relay{stage}", taken)
        signal = population.signal
        relays[name] = Population("Relay", (wanted.size,), passing_on(wanted.size, signal), signal)
        picked = _pick(np.searchsorted(carried, wanted), carried.size)
        links.append(Projection(f"{name}.in", source, name, picked, d_max))
        for each in beyond:
            if stages[each] == stage:
                taps[each] = replace(
                    each,
                    pre=name,
                    matrix=_columns(each.matrix, wanted),
                    delay=each.delay - stage * d_max,
                    conv=None,
                )
        source, carried = name, wanted
    return relays, links, taps


def _listened(projections: list[Projection]) -> Array:
    """Return the neurons of the source from which any of these has a weight, ascending."""
    used = [np.unique(sp.csr_array(each.matrix).indices) for each in projections]
    return np.unique(np.concatenate(used))


def _pick(chosen: Array, size: int) -> Any:
    """Return the matrix (chosen, size) that repeats the chosen neurons."""
    ones = np.ones(chosen.size)
    return sp.csr_matrix((ones, chosen, np.arange(chosen.size + 1)), shape=(chosen.size, size))


def _columns(matrix: Any, chosen: Array) -> Any:
    picked = matrix[:, chosen]
    return sp.csr_matrix(picked) if sp.issparse(matrix) else np.ascontiguousarray(picked)


def _free(name: str, taken: Mapping[str, Population]) -> str:
    while name in taken:
        name += "'"
    return name
