"""Exact retiming: give every population a lag so that each projection has a delay the chip can do.

A chip delivers a spike one step later at the earliest. For a projection from i to j with
reference delay d_ref, find lags L >= 0, zero at the inputs, with

    d_hw = d_ref + L(j) - L(i),    d_min <= d_hw <= d_max

Then the chip's raster of i at step t equals the reference's at t - L(i). These are difference
constraints; longest paths (Bellman-Ford) give the smallest lags. The idea is Leiserson and
Saxe, Retiming synchronous circuitry, Algorithmica 6 (1991).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import numpy as np

from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.errors import LoweringError

Constraint = tuple[str, str, int, Projection]  # L(second) >= L(first) + number


def retime(
    clocked: Clocked,
    d_min: int = 1,
    d_max: int = 62,
    host: Set[str] = frozenset(),
    allow_skew: bool = False,
) -> Clocked:
    """Return the network with chip delays and lags; its rasters are the reference's, later.

    Args:
        clocked: under the reference's delays.
        d_min, d_max: steps that a projection can take on the chip.
        host: inputs whose values the host writes into registers: no axon, no delay.
        allow_skew: delay an edge of a loop that cannot be retimed; not exact any more.

    Raises:
        LoweringError: a loop is shorter in reference steps than it is in hops, or a delay is
            longer than the chip's.
    """
    notes = list(clocked.notes)
    lags, stuck = _lags(clocked, d_min, d_max, host)
    while stuck is not None:
        clocked, note = _skew(clocked, stuck, d_min, allow_skew)
        notes.append(note)
        lags, stuck = _lags(clocked, d_min, d_max, host)
    projections = tuple(
        replace(p, delay=p.delay + lags[p.post] - lags[p.pre]) for p in clocked.projections
    )
    _check_longest(projections, d_max, host)
    populations = {
        name: replace(pop, start_step=lags[name]) if _moves_alone(pop) else pop
        for name, pop in clocked.populations.items()
    }
    held = [name for name, pop in populations.items() if pop.start_step > 0]
    if held:
        notes.append(
            f"{', '.join(held)}: the state moves without input, so the population is held at its "
            "initial value until its first step; a register for that is not known on the chip"
        )
    return replace(
        clocked, populations=populations, projections=projections, lags=lags, notes=tuple(notes)
    )


def _lags(
    clocked: Clocked, d_min: int, d_max: int, host: Set[str]
) -> tuple[dict[str, int], list[Projection] | None]:
    """Return (lags, None), or (lags so far, the loop that keeps growing)."""
    fixed = {name for name, pop in clocked.populations.items() if pop.membrane is None}
    constraints: list[Constraint] = []
    written = {p.post for p in clocked.projections if p.pre in host}
    for projection in clocked.projections:
        least = 0 if by_host(clocked, projection, host, written) else d_min
        constraints.append((projection.pre, projection.post, least - projection.delay, projection))
        if projection.pre not in fixed:
            constraints.append(
                (projection.post, projection.pre, projection.delay - d_max, projection)
            )
    lags = dict.fromkeys(clocked.populations, 0)
    cause: dict[str, Constraint] = {}
    for _ in range(len(lags) + 1):
        changed = None
        for constraint in constraints:
            first, second, number, _ = constraint
            if lags[first] + number > lags[second] and second not in fixed:
                lags[second] = lags[first] + number
                cause[second] = constraint
                changed = second
        if changed is None:
            return lags, None
    return lags, _loop(cause, changed or "")


def by_host(clocked: Clocked, projection: Projection, host: Set[str], written: Set[str]) -> bool:
    """Does the host write what this projection adds: a real-valued input, or a bias beside one.

    Args:
        clocked: the network.
        projection: one of its own.
        host: real-valued inputs.
        written: populations whose bias registers the host writes anyway.
    """
    constant = clocked.populations[projection.pre].kind == "constant"
    return projection.pre in host or (
        constant and projection.post in written and projection.delay == 0
    )


def _loop(cause: dict[str, Constraint], name: str) -> list[Projection]:
    """Walk back along the constraints until a population comes round again."""
    seen: list[str] = []
    while name not in seen:
        seen.append(name)
        name = cause[name][0]
    loop = [name]
    while cause[loop[-1]][0] != name:
        loop.append(cause[loop[-1]][0])
    return [cause[each][3] for each in loop]


def _skew(clocked: Clocked, loop: list[Projection], d_min: int, allow: bool) -> tuple[Clocked, str]:
    """Delay the recurrent edge of a loop by what it lacks, or refuse."""
    missing = d_min * len(loop) - sum(each.delay for each in loop)
    edge = next((each for each in loop if each.recurrent), loop[0])
    names = " -> ".join([*(each.pre for each in reversed(loop)), loop[0].post])
    if not allow:
        raise LoweringError(
            f"the loop {names} cannot be retimed",
            f"it takes {sum(each.delay for each in loop)} steps in the reference, "
            f"the chip needs {d_min * len(loop)}",
            f"retrain with {edge.pre} -> {edge.post} delayed by {missing} more, or add "
            "--allow-skew (then that edge is late and the result is not exact)",
        )
    projections = tuple(
        replace(each, delay=each.delay + missing) if each is edge else each
        for each in clocked.projections
    )
    note = (
        f"not exact (--allow-skew): {edge.pre} -> {edge.post} acts {missing} steps later than in "
        f"the reference, because the loop {names} has more hops than steps"
    )
    return replace(clocked, projections=projections), note


def _check_longest(projections: tuple[Projection, ...], d_max: int, host: Set[str]) -> None:
    longest = max(
        (each for each in projections if each.pre not in host), key=lambda p: p.delay, default=None
    )
    if longest is not None and longest.delay > d_max:
        raise LoweringError(
            f"{longest.pre} -> {longest.post} needs a delay of {longest.delay} steps",
            f"the chip delays a spike by at most {d_max}",
            f"shorten the longest path to {longest.post}, or put a population in between",
        )


def _moves_alone(population: Population) -> bool:
    """Would the state change without input."""
    cell = population.membrane
    if cell is None:
        return False
    after = cell.keep_v * cell.v_initial + cell.drive_v
    return bool(np.any(after != cell.v_initial)) or bool(np.any(cell.v_initial > cell.v_threshold))
