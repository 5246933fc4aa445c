"""Exact retiming: give every population a lag so that each projection has a delay the chip can do.

A chip delivers a spike one step later at the earliest. For a projection from i to j with
reference delay d_ref, find lags L >= 0, zero at the inputs, with

    d_hw = d_ref + L(j) - L(i),    d_min <= d_hw <= d_max

Then the chip's raster of i at step t equals the reference's at t - L(i). These are difference
constraints; longest paths (Bellman-Ford) give the smallest lags. The idea is Leiserson and
Saxe, Retiming synchronous circuitry, Algorithmica 6 (1991).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import numpy as np

from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.errors import LoweringError, counted


@dataclass(frozen=True, eq=False)
class Constraint:
    """L(second) >= L(first) + number, because `projection` is so short or (`longest`) so long."""

    first: str
    second: str
    number: int
    projection: Projection
    longest: bool = False


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
        _check_reach(stuck, d_max)
        clocked, note = _skew(clocked, [each.projection for each in stuck], d_min, allow_skew)
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
) -> tuple[dict[str, int], list[Constraint] | None]:
    """Return (lags, None), or (lags so far, the loop that keeps growing)."""
    fixed = {name for name, pop in clocked.populations.items() if pop.membrane is None}
    constraints: list[Constraint] = []
    written = {p.post: p.delay for p in clocked.projections if p.pre in host}
    for each in clocked.projections:
        least = 0 if by_host(clocked, each, host, written) else d_min
        constraints.append(Constraint(each.pre, each.post, least - each.delay, each))
        if each.pre not in fixed:
            constraints.append(Constraint(each.post, each.pre, each.delay - d_max, each, True))
    lags = dict.fromkeys(clocked.populations, 0)
    cause: dict[str, Constraint] = {}
    for _ in range(len(lags) + 1):
        changed = None
        for constraint in constraints:
            second, least = constraint.second, lags[constraint.first] + constraint.number
            if least > lags[second] and second not in fixed:
                lags[second] = least
                cause[second] = constraint
                changed = second
        if changed is None:
            return lags, None
    return lags, _loop(cause, changed or "")


def by_host(
    clocked: Clocked, projection: Projection, host: Set[str], written: Mapping[str, int]
) -> bool:
    """Does the host write what this projection adds: a real-valued input, or a bias beside one.

    Args:
        clocked: the network.
        projection: one of its own.
        host: real-valued inputs.
        written: populations whose bias registers the host writes anyway -> delay of its input.
    """
    constant = clocked.populations[projection.pre].kind == "constant"
    return projection.pre in host or (constant and written.get(projection.post) == projection.delay)


def _loop(cause: dict[str, Constraint], name: str) -> list[Constraint]:
    """Walk back along the constraints until a population comes round again."""
    seen: list[str] = []
    while name not in seen:
        seen.append(name)
        name = cause[name].first
    loop = [name]
    while cause[loop[-1]].first != name:
        loop.append(cause[loop[-1]].first)
    return [cause[each] for each in loop]


def _skew(clocked: Clocked, loop: list[Projection], d_min: int, allow: bool) -> tuple[Clocked, str]:
    """Delay the recurrent edge of a loop by what it lacks, or refuse."""
    missing = d_min * len(loop) - sum(each.delay for each in loop)
    edge = next((each for each in loop if each.recurrent), loop[0])
    names = " -> ".join([*(each.pre for each in reversed(loop)), loop[0].post])
    if not allow:
        raise LoweringError(
            f"the loop {names} cannot be retimed",
            f"it takes {counted(sum(each.delay for each in loop), 'step')} in the reference, the "
            f"chip needs {d_min * len(loop)}",
            f"retrain with {edge.pre} -> {edge.post} delayed by {missing} more, or add "
            "--allow-skew (then that edge is late and the result is not exact)",
        )
    projections = tuple(
        replace(each, delay=each.delay + missing) if each is edge else each
        for each in clocked.projections
    )
    note = (
        f"not exact (--allow-skew): {edge.pre} -> {edge.post} acts {counted(missing, 'step')} "
        f"later than in the reference, because the loop {names} has more hops than steps"
    )
    return replace(clocked, projections=projections), note


def _check_reach(stuck: list[Constraint], d_max: int) -> None:
    """Refuse where the lags grow because a projection spans more steps than the chip can wait."""
    spans = [each.projection for each in stuck if each.longest]
    if spans:
        raise _too_long(spans[0], d_max + sum(each.number for each in stuck), d_max)


def _too_long(projection: Projection, needed: int, d_max: int) -> LoweringError:
    return LoweringError(
        f"{projection.pre} -> {projection.post} needs a delay of {needed} steps",
        f"the chip delays a spike by at most {d_max}",
        f"shorten the longest path to {projection.post}, or put a population in between",
    )


def _check_longest(projections: tuple[Projection, ...], d_max: int, host: Set[str]) -> None:
    longest = max(
        (each for each in projections if each.pre not in host), key=lambda p: p.delay, default=None
    )
    if longest is not None and longest.delay > d_max:
        raise _too_long(longest, longest.delay, d_max)


def _moves_alone(population: Population) -> bool:
    """Would the state change without input."""
    cell = population.membrane
    if cell is None:
        return False
    after = np.maximum(cell.keep_v * cell.v_initial + cell.drive_v, cell.v_min)
    at_once = np.greater_equal if cell.threshold == "greater_equal" else np.greater
    fires = cell.spiking & at_once(after, cell.v_threshold)
    return bool(np.any((after != cell.v_initial) | fires))
