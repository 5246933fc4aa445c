"""The search of one population: a product of settings, then states and numbers that files lack.

Where a setting reproduces every cell nothing else is tried. Where none does, ever more is: states
that NIR does not carry, one more change of each of the best, single numbers such as a lost gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spikeport.compiler.errors import SemanticsError
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure import dialect_space as space
from spikeport.compiler.measure.dialect_block import HOPELESS, Block, Candidate
from spikeport.compiler.network import Network
from spikeport.compiler.semantics import GLOBAL, Semantics

PROBED = 40  # settings that are looked at in all steps, at least
BEAM = 12  # settings whose neighbours are tried where none of the product reproduces
ROUNDS = 5
PRICE = 0.1  # share of the distance that one more setting must save, where none reproduces
TIES = 400  # settings that a population leaves possible, at most


@dataclass(eq=False)
class Search:
    """What is known while populations are searched one after the other."""

    net: Network
    base: Semantics
    fixed: frozenset[str]
    dts: tuple[float, ...]
    survivors: list[Candidate] = field(default_factory=list)
    own: dict[str, dict[str, object]] = field(default_factory=dict)
    tried: int = 0


def searched(
    search: Search, block: Block, dts: Sequence[float], start: Candidate
) -> tuple[list[Candidate], int]:
    """Return the settings that get the fewest cells wrong, simplest first, and how many."""
    most = int(block.target.max(initial=0))
    axes = space.first_axes(search.net, block.members, dts, search.fixed, most, start.semantics)
    candidates = space.product(axes, start)
    search.tried += len(candidates)
    candidates, counts = _distances(block, candidates, max(block.silence(), 1))
    if counts.min(initial=HOPELESS) == HOPELESS:
        candidates, counts = _distances(block, space.product(axes, start), HOPELESS)
    if counts.min(initial=HOPELESS) == HOPELESS:
        raise SemanticsError(
            f"no setting steps {block.judged!r}",
            f"forward Euler diverges under dt = {', '.join(f'{dt:g}' for dt in dts)}",
            "give the time step with --dt",
        )
    ranked = _ranked(candidates, counts)
    if ranked[0][0] > 0:
        ranked = _improved(search, block, ranked, axes)
    if ranked[0][0] > 0:
        ranked = _with_numbers(search, block, ranked, axes)
    least = ranked[0][0]
    return [each for count, _, each in ranked if count == least][:TIES], least


def _distances(
    block: Block, candidates: Sequence[Candidate], bound: int
) -> tuple[list[Candidate], Array]:
    """Return the candidates that come near in a first part of the steps, and their distances.

    All that are at 0 there are among them, so what reproduces everything is not lost.
    """
    busy = np.cumsum(np.count_nonzero(block.target, axis=(0, 2)))
    part = int(np.searchsorted(busy, busy[-1] / 10)) + 1
    if len(candidates) > PROBED and part < block.steps // 2:
        probe = block.distances(candidates, bound, PROBED, part)
        near = np.sort(probe)[PROBED - 1]
        near = min(near, HOPELESS - 1)
        candidates = [c for c, far in zip(candidates, probe, strict=True) if far <= near]
    return list(candidates), block.distances(candidates, bound, BEAM)


Ranked = list[tuple[int, float, Candidate]]  # distance, strangeness, setting; best first


def _ranked(candidates: Sequence[Candidate], counts: Array, more: Ranked | None = None) -> Ranked:
    found = [
        (int(count), space.strangeness(each), each)
        for each, count in zip(candidates, counts, strict=True)
        if count != HOPELESS
    ]
    return sorted([*(more or []), *found], key=_price)


def _price(row: tuple[int, float, Candidate]) -> tuple[float, float]:
    """Return what to go by: where nothing reproduces, a stranger setting must do much better.

    Else the finder would fit noise: some leak level brings a few more spikes into place.
    """
    distance, strangeness, _ = row
    return (distance * (1.0 + PRICE * strangeness), strangeness)


def _improved(search: Search, block: Block, ranked: Ranked, first: space.Axes) -> Ranked:
    """Try states that a file lacks, then one more change of each of the best while that helps."""
    base = ranked[0][2].semantics
    axes = space.more_axes(search.net, block.members, search.fixed, base, first, block.gap())
    if search.survivors:  # what all populations share stands already
        axes = {k: v for k, v in axes.items() if k not in (*GLOBAL, "late")}
    ranked = _with_states(search, block, ranked, first, axes)
    if ranked[0][0] == 0:
        return ranked
    seen = {row[2].key for row in ranked}
    opened: set[tuple[object, ...]] = set()
    for _ in range(ROUNDS):
        beam = [row[2] for row in _unlike(ranked, BEAM) if row[2].key not in opened]
        opened |= {each.key for each in beam}
        fresh: dict[tuple[object, ...], Candidate] = {}
        for each in beam:
            fresh |= {n.key: n for n in space.neighbours(each, axes) if n.key not in seen}
        seen |= fresh.keys()
        if not fresh:
            break
        search.tried += len(fresh)
        counts = block.distances(list(fresh.values()), bound=ranked[0][0], keep=BEAM)
        before = ranked[0][0]
        ranked = _ranked(list(fresh.values()), counts, ranked)
        if ranked[0][0] == 0 or ranked[0][0] == before:
            break
    return ranked


def _with_states(
    search: Search, block: Block, ranked: Ranked, first: space.Axes, more: space.Axes
) -> Ranked:
    """Search the product again under each state that a file may lack, one at a time, and more dt.

    The unit of time constants is taken from the best so far.
    """
    best = [row[2] for row in _unlike(ranked, BEAM)]
    narrow = dict(first)
    if "tau_unit" in narrow:
        narrow["tau_unit"] = tuple(dict.fromkeys(each.semantics.tau_unit for each in best))
    for state in (*space.STATES, "dt"):
        tried = first.get(state, more.get(state, ())[:1])  # a state's first is that there is none
        values = tuple(value for value in more.get(state, ()) if value not in tried)
        if not values:
            continue
        candidates = space.product(narrow | {state: values}, best[0])
        search.tried += len(candidates)
        near, counts = _distances(block, candidates, ranked[0][0])
        ranked = _ranked(near, counts, ranked)
        if ranked[0][0] == 0:
            break
    return ranked


def _with_numbers(search: Search, block: Block, ranked: Ranked, first: space.Axes) -> Ranked:
    """Try numbers that a file may lack: a coarse grid under many settings, then ever closer.

    States that are in the best already come first, alone: a listed value near the true one must
    not be mended with a bent gain. Gains come last once more, under each other time step.
    """
    grids = space.number_axes(search.net, block.members, search.fixed)
    best = [row[2] for row in _unlike(ranked, BEAM)]
    ranked = _listed_refined(search, block, ranked, best, grids)
    if ranked[0][0] > 0:
        ranked = _under_grids(search, block, ranked, best, (first, grids))
    gains = {name: grid for name, grid in grids.items() if name in space.GAINS}
    for dt in first.get("dt", ()):
        if ranked[0][0] == 0 or dt in _values_of([each.semantics for each in best[:3]], "dt"):
            continue
        there = [_stateless(search, each, dt) for each in best]
        ranked = _under_grids(search, block, ranked, there, (first, gains))
    return ranked


def _stateless(search: Search, candidate: Candidate, dt: float) -> Candidate:
    """Return a candidate at another dt, without states and numbers fitted to its own."""
    plain = {name: getattr(search.base, name) for name in space.STATES if name != "late"}
    said = replace(candidate.semantics, **plain, parameters={}, dt=dt)
    return Candidate(said, candidate.late)


def _listed_refined(
    search: Search, block: Block, ranked: Ranked, best: Sequence[Candidate], grids: space.Axes
) -> Ranked:
    """Return what was best, with numbers from the list that some of it have brought closer."""
    for name in (name for name in grids if name in space.STATES):
        for each in [c for c in best if getattr(c.semantics, name) is not None][:3]:
            tried = [space.changed_all(each, {name: value}) for value in grids[name]]
            search.tried += len(tried)
            near = _ranked(tried, block.distances(tried, 2 * ranked[0][0]))
            if near:
                ranked = _zoomed(search, block, ranked, near[0][2], name, grids[name])
            if ranked[0][0] == 0:
                return ranked
    return ranked


def _under_grids(
    search: Search,
    block: Block,
    ranked: Ranked,
    starts: Sequence[Candidate],
    axes: tuple[space.Axes, space.Axes],
) -> Ranked:
    """Try each number alone, on its grid and ever closer, under settings like those given."""
    first, grids = axes
    best = [each.semantics for each in starts]
    narrow = {name: _values_of(best[:3], name) for name in first}
    narrow["reset,reset_when"] = first.get("reset,reset_when", ())[:4]
    narrow = {name: values for name, values in narrow.items() if values}
    if "integration" in first:
        narrow["integration"] = first["integration"]
    for name, grid in grids.items():
        used = dict(narrow)
        if name in space.GAINS and "input_gain" in first:
            used["input_gain"] = tuple(v for v in first["input_gain"] if v != "unit")
        candidates = space.product(used | {name: grid}, Candidate(best[0]))
        search.tried += len(candidates)
        near, counts = _distances(block, candidates, 2 * ranked[0][0])
        for _, _, start in _unlike(_ranked(near, counts), 3):
            ranked = _zoomed(search, block, ranked, start, name, grid)
            if ranked[0][0] == 0:
                return ranked
    return ranked


def _values_of(settings: Sequence[Semantics], axis: str) -> tuple[object, ...]:
    """Return the values that settings have on an axis."""
    parts = axis.split(",")
    found = [tuple(getattr(said, part) for part in parts) for said in settings]
    return tuple(dict.fromkeys(each if len(parts) > 1 else each[0] for each in found))


def _zoomed(
    search: Search, block: Block, ranked: Ranked, start: Candidate, name: str, grid: Sequence[float]
) -> Ranked:
    """Return what was best, with one number of a setting brought ever closer."""
    here = space.value_of(start, name)
    values = space.zoomed(grid, [here])
    for _ in range(space.ZOOMS):
        tried = [space.changed_all(start, {name: value}) for value in values]
        counts = block.distances(tried)
        search.tried += len(tried)
        least = int(counts.min())
        if least == HOPELESS:
            break
        good = [value for value, far in zip(values, counts, strict=True) if far == least]
        at = space.roundest(min(good), max(good)) if _contiguous(values, good) else good[0]
        chosen = space.changed_all(start, {name: at})
        if least == 0 or 2 * least < ranked[0][0]:  # a number fitted for less than that fits noise
            ranked = _ranked([chosen], block.distances([chosen], bound=least), ranked)
        if least == 0:
            break
        values = space.zoomed(values, good)
    return ranked


def _contiguous(values: Sequence[float], good: Sequence[float]) -> bool:
    at = [values.index(value) for value in good]
    return at[-1] - at[0] == len(at) - 1


def _unlike(ranked: Ranked, most: int) -> Ranked:
    """Return the best, at most two of each count: equal counts are mostly equal behaviour."""
    taken: dict[int, int] = {}
    found = []
    for row in ranked:
        taken[row[0]] = taken.get(row[0], 0) + 1
        if taken[row[0]] <= 2:
            found.append(row)
    return found[:most]
