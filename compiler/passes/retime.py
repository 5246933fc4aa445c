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
from dataclasses import dataclass, replace

import numpy as np

from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.errors import LoweringError, counted
from spikeport.compiler.kinds import STEPS
from spikeport.compiler.passes.relay import add_relays


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
    slow: int = 1,
    input_signal: str = "binary",
    input_delay: int | None = None,
) -> Clocked:
    """Return the network with chip delays and lags; its rasters are the reference's, later.

    Args:
        clocked: under the reference's delays.
        d_min, d_max: steps that a projection can take on the chip.
        host: inputs whose values the host writes into registers: no axon, no delay.
        allow_skew: delay an edge of a loop that cannot be retimed; not exact any more.
        slow: chip steps per step of the network. Every population moves in one of so many steps
            and holds its state between them, so a loop has so many times the steps for its hops.
        input_signal: what relays of an input repeat, see `add_relays`.
        input_delay: shortest delay of what an input sends; None: `d_min`.

    Raises:
        LoweringError: a loop is shorter in reference steps than it is in hops.
    """
    notes = list(clocked.notes)
    if slow > 1:
        clocked, d_max = _slowed(clocked, slow, d_max, host)
        notes.append(f"{slow} chip steps per step of the network (--slow {slow}): exact, as late")
    # What is too long in the network itself gets relays: lags would make every sample longer.
    relayed = {each for each in clocked.projections if each.delay > d_max}
    nearest = d_min if input_delay is None else input_delay
    lags, stuck = _lags(clocked, d_min, d_max, host, relayed, nearest)
    while stuck is not None:
        spans = {each.projection for each in stuck if each.longest}
        if spans:  # no lag makes it short enough: relays will carry it
            relayed |= spans
        else:
            clocked, note = _skew(clocked, [each.projection for each in stuck], d_min, allow_skew)
            notes.append(note)
        lags, stuck = _lags(clocked, d_min, d_max, host, relayed, nearest)
    projections = tuple(
        replace(p, delay=p.delay + lags[p.post] - lags[p.pre]) for p in clocked.projections
    )
    populations = {
        name: replace(pop, start_step=lags[name]) if slow > 1 or _moves_alone(pop) else pop
        for name, pop in clocked.populations.items()
    }
    held = [name for name, pop in populations.items() if pop.start_step > 0]
    if held and slow == 1:
        notes.append(
            f"{', '.join(held)}: the state moves without input, so the population is held at its "
            "initial value until its first step; a register for that is not known on the chip"
        )
    retimed = replace(
        clocked, populations=populations, projections=projections, lags=lags, notes=tuple(notes)
    )
    return add_relays(retimed, d_max, host, d_min, input_signal)


def _slowed(clocked: Clocked, slow: int, d_max: int, host: Set[str]) -> tuple[Clocked, int]:
    """Return the network with all delays `slow` times as long, and the longest that relays use."""
    if host:
        raise LoweringError(
            f"the current {next(iter(host))!r} and --slow {slow}",
            "the host writes bias registers in every chip step, the populations read every "
            f"{slow}th",
            "give spikes, or leave --slow away",
        )
    if d_max < slow:
        raise LoweringError(
            f"--slow {slow}", f"the chip delays a spike by at most {d_max} steps", f"--slow {d_max}"
        )
    projections = tuple(replace(each, delay=each.delay * slow) for each in clocked.projections)
    return replace(clocked, projections=projections, slow=slow), d_max - d_max % slow


def _lags(
    clocked: Clocked,
    d_min: int,
    d_max: int,
    host: Set[str],
    relayed: Set[Projection],
    nearest: int,
) -> tuple[dict[str, int], list[Constraint] | None]:
    """Return (lags, None), or (lags so far, the loop that keeps growing)."""
    fixed = {name for name, pop in clocked.populations.items() if pop.membrane is None}
    constraints: list[Constraint] = []
    written = {(p.post, p.delay) for p in clocked.projections if p.pre in host}
    for each in clocked.projections:
        least = nearest if clocked.populations[each.pre].kind == "input" else d_min
        least = 0 if by_host(clocked, each, host, written) else least
        constraints.append(Constraint(each.pre, each.post, least - each.delay, each))
        if each.pre not in fixed and each not in relayed:
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
    clocked: Clocked, projection: Projection, host: Set[str], written: Set[tuple[str, int]]
) -> bool:
    """Does the host write what this projection adds: a real-valued input, or a bias beside one.

    Args:
        clocked: the network.
        projection: one of its own.
        host: real-valued inputs.
        written: (population, delay) of what the host writes anyway.
    """
    constant = clocked.populations[projection.pre].kind == "constant"
    beside = constant and (projection.post, projection.delay) in written
    return projection.pre in host or beside


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
            "--allow-skew (then that edge is late and the result is not exact)"
            + _slow_advice(clocked, loop, d_min),
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


def _slow_advice(clocked: Clocked, loop: list[Projection], d_min: int) -> str:
    """Say how slow a chip that holds its state would have to be."""
    steps = sum(each.delay for each in loop) // clocked.slow
    if steps == 0:
        return ""
    times = -(-d_min * len(loop) // steps)
    return f", or --slow {times} on a chip that can hold its state (--chip generic_graded)"


def _moves_alone(population: Population) -> bool:
    """Would the state change without input, or anything be sent."""
    cell = population.membrane
    if cell is None:
        return False
    steps = STEPS[type(cell)]
    variables = steps.start(cell, 1)
    before = {name: value.copy() for name, value in variables.items()}
    sent = steps.step(cell, variables, np.zeros((1, population.size)))
    moved = any((variables[name] != value).any() for name, value in before.items())
    driven = np.any(getattr(cell, "drive_v", 0.0))  # at rest only as long as nothing is rounded
    return moved or bool(sent.any()) or bool(driven)
