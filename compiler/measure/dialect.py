"""The dialect finder: under which semantics does a network give a raster recorded elsewhere?

Populations are judged one after the other, each alone (`dialect_block`): the first over the whole
space (`dialect_space`), later ones under what the earlier left possible, with settings of their
own where those fail. What is found is then said in the fewest words (`dialect_words`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure import dialect_space as space
from spikeport.compiler.measure import dialect_words as words
from spikeport.compiler.measure.dialect_block import Block, Candidate
from spikeport.compiler.measure.dialect_search import Search, searched
from spikeport.compiler.measure.dialect_words import Saying
from spikeport.compiler.network import Network
from spikeport.compiler.passes.clock import clock
from spikeport.compiler.pipeline import prepare
from spikeport.compiler.semantics import GLOBAL, Semantics

SEED = 3


@dataclass(frozen=True)
class Found:
    """The setting that reproduces a recording best, and how well it was told from others.

    Attributes:
        saying: the setting in the fewest words: dialect, dt, settings, late.
        cells: population -> recorded cells that were compared.
        distances: population -> how far from its recording it is, judged alone; 0 where every
            cell agrees (`dialect_block`).
        ties: field -> values that reproduce every cell too: they do not matter on this data.
        others: how other tools, under options that they have, reproduce every cell too.
        tried: how many settings were tried.
        whole: were all cells compared, or a part.
    """

    saying: Saying
    cells: Mapping[str, int]
    distances: Mapping[str, int]
    ties: Mapping[str, tuple[object, ...]]
    others: tuple[Saying, ...]
    tried: int
    whole: bool

    @property
    def exact(self) -> bool:
        """Does every cell that was compared agree."""
        return not any(self.distances.values())


def find(
    net: Network,
    inputs: Mapping[str, Array],
    recorded: Mapping[str, Array],
    fixed: Sequence[str] = (),
    most_cells: int = 40_000,
) -> Found:
    """Return the setting under which the network gives the recorded spikes.

    Args:
        net: as loaded; its semantics hold what is fixed, `dt` None where it is unknown.
        inputs: input -> (samples, steps, n).
        recorded: population -> (samples, steps, n), spikes or counts.
        fixed: fields of the semantics that are not searched.
        most_cells: so many recorded cells of a population are looked at, at most.

    Raises:
        DataError: nothing was recorded of any spiking population.
        SemanticsError: no setting can be stepped at all.
    """
    prepared = prepare(net)
    dts = (
        (net.semantics.dt,)
        if net.semantics.dt is not None
        else tuple(dict.fromkeys((*space.implied_dts(prepared), *space.USUAL_DT)))
    )
    base = replace(net.semantics, dt=dts[0], parameters={})
    held = frozenset(fixed) | ({"dt"} if net.semantics.dt is not None else set())
    blocks, whole = _blocks(prepared, base, inputs, recorded, most_cells)
    if not blocks:
        raise DataError(
            "there is nothing to compare",
            "none of the recorded populations spikes",
            "record the spikes of a spiking population",
        )
    search = Search(prepared, base, held, dts)
    for block in blocks:
        _judge(search, block)
    best, others = words.sayings(search.net, blocks, _assembled(search), held, net.semantics)
    totals = words.totals(blocks, Candidate(best.semantics, best.late))
    ties = {} if any(totals) else words.ties(blocks, best, _all_axes(search, blocks))
    return Found(
        saying=best,
        cells={block.judged: block.cells for block in blocks},
        distances=dict(zip((b.judged for b in blocks), totals, strict=True)),
        ties=ties,
        others=() if any(totals) else others,
        tried=search.tried,
        whole=whole,
    )


# --- populations -----------------------------------------------------------------------------


def _blocks(
    net: Network,
    base: Semantics,
    inputs: Mapping[str, Array],
    recorded: Mapping[str, Array],
    most_cells: int,
) -> tuple[list[Block], bool]:
    """Return a block for each recorded population, in order; were all their cells taken."""
    neutral = replace(base, integration="exact", feedforward_lag=0, recurrent_lag=1, nodes={})
    clocked = clock(net.with_semantics(neutral))
    judged = [name for name in clocked.neurons if name in recorded]
    widest = max((recorded[name].shape[1] * _width(recorded[name]) for name in judged), default=1)
    samples = max(1, min(len(next(iter(inputs.values()))), most_cells // max(widest, 1)))
    cut_inputs = {name: x[:samples] for name, x in inputs.items()}
    cut = {name: np.asarray(x[:samples], np.int64) for name, x in recorded.items()}
    whole = samples == len(next(iter(inputs.values())))
    blocks = []
    for name in judged:
        members = _members(clocked, name, set(recorded))
        index = None
        if not _feeds_members(clocked, name, members):
            index = _some_neurons(cut[name], most_cells)
        whole = whole and index is None
        blocks.append(Block(net, name, members, cut_inputs, cut, index))
    return blocks, whole


def _width(raster: Array) -> int:
    return int(np.prod(raster.shape[2:], dtype=np.int64))


def _members(clocked: Clocked, judged: str, recorded: set[str]) -> list[str]:
    """Return a population and those before it that nobody recorded, in order."""
    found = {judged}
    front = [judged]
    while front:
        for projection in clocked.into(front.pop()):
            pre = projection.pre
            stateful = clocked.populations[pre].membrane is not None
            if stateful and pre not in found and pre not in recorded:
                found.add(pre)
                front.append(pre)
    before = [name for name in clocked.neurons if name in found and name != judged]
    return [*before, judged]


def _feeds_members(clocked: Clocked, name: str, members: Sequence[str]) -> bool:
    return any(p.pre == name for member in members for p in clocked.into(member))


def _some_neurons(raster: Array, most_cells: int) -> Array | None:
    """Return which neurons to look at: half of them busy, half of them any; None for all."""
    samples, steps, size = raster.shape
    wanted = most_cells // (samples * steps)
    if size <= wanted:
        return None
    rng = np.random.default_rng(SEED)
    busy = np.argsort(-raster.sum(axis=(0, 1)), kind="stable")[: max(1, wanted // 2)]
    rest = np.setdiff1d(np.arange(size), busy)
    return np.sort(np.concatenate([busy, rng.choice(rest, wanted - busy.size, replace=False)]))


# --- searching -------------------------------------------------------------------------------


def _judge(search: Search, block: Block) -> None:
    """Search one more population, and keep what it leaves possible."""
    if not search.survivors:
        search.survivors, _ = searched(search, block, search.dts, Candidate(search.base))
        return
    counts = block.distances(search.survivors, keep=len(search.survivors))
    search.tried += len(search.survivors)
    least = int(counts.min())
    if least == 0:
        search.survivors = _with(search.survivors, counts, least)
        return
    dts = tuple(dict.fromkeys(float(c.semantics.dt or 0) for c in search.survivors))
    found, count = searched(search, block, dts, search.survivors[0])
    shared = [(_whole_network(c), c) for c in found]
    possible = {_whole_network(c) for c in search.survivors}
    fitting = [each for mark, each in shared if mark in possible]
    if count >= least or not fitting:
        search.survivors = _with(search.survivors, counts, least)
        return
    same = fitting[0]
    search.survivors = [c for c in search.survivors if _whole_network(c) == _whole_network(same)]
    nearest = min(fitting, key=lambda c: _changes(c, search.survivors[0]))
    for name in block.members:
        search.own[name] = _local(nearest)


def _with(candidates: list[Candidate], counts: Array, count: int) -> list[Candidate]:
    return [each for each, wrong in zip(candidates, counts, strict=True) if wrong == count]


def _whole_network(candidate: Candidate) -> tuple[object, ...]:
    """Return the fields that all populations share."""
    return (*(getattr(candidate.semantics, name) for name in GLOBAL), candidate.late)


def _local(candidate: Candidate) -> dict[str, object]:
    """Return the fields that a node can have for itself."""
    said = candidate.semantics
    plain = {name: getattr(said, name) for name in words.LOCAL}
    return plain | {f"parameters.{name}": value for name, value in said.parameters.items()}


def _changes(one: Candidate, other: Candidate) -> int:
    mine, theirs = _local(one), _local(other)
    return sum(mine.get(name) != theirs.get(name) for name in mine.keys() | theirs.keys())


def _assembled(search: Search) -> Candidate:
    """Return one setting for the whole network, with what single populations need."""
    best = search.survivors[0]
    nodes = {name: dict(over) for name, over in best.semantics.nodes.items()}
    parameters = dict(best.semantics.parameters)
    for name, own in search.own.items():
        usual = _local(best)
        for key, value in own.items():
            if key.startswith("parameters."):
                parameters[f"{name}.{key.partition('.')[2]}"] = float(str(value))
            elif value != usual[key]:
                nodes.setdefault(name, {})[key] = value
    return replace(best, semantics=replace(best.semantics, nodes=nodes, parameters=parameters))


def _all_axes(search: Search, blocks: Sequence[Block]) -> space.Axes:
    members = list(dict.fromkeys(name for block in blocks for name in block.members))
    most = max(int(block.target.max(initial=0)) for block in blocks)
    base = search.survivors[0].semantics
    first = space.first_axes(search.net, members, search.dts, search.fixed, most, base)
    gap = min(3, *(block.gap() for block in blocks))  # longer periods are not listed
    axes = space.more_axes(search.net, members, search.fixed, base, first, gap)
    return axes | {name: values for name, values in first.items() if name == "dt"}
