"""Many settings at once: how far is each from the recording of one population.

A block is one recorded population together with the populations before it that were not
recorded. It is fed with what is known, inputs and the recorded spikes of earlier populations, so
that it is judged alone. Settings that take the same branches are stepped together as rows of one
array, with the very step that the reference takes; rows that are beaten already are dropped.

The distance is the number of cells that differ, plus twice what each neuron has too many or too
few spikes. It is 0 where every cell agrees. Cells alone would not do: of sparse spikes that no
setting hits, silence misses the fewest. So a missing spike costs 3, one at the wrong step 2.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.errors import SemanticsError
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.dialect_rows import (
    Link,
    Running,
    cell_branches,
    cell_size,
    mark_of,
)
from spikeport.compiler.network import Network
from spikeport.compiler.parameters import of_node, with_parameters
from spikeport.compiler.passes.clock import clock
from spikeport.compiler.semantics import FLAGS, Semantics

HOPELESS = np.iinfo(np.int64).max
ROWS_AT_ONCE = 150_000  # values of one variable; what stays in a core's cache
MOST_SPIKES = 1 << 20  # of one neuron in one step; counts that run away would overflow a sum
COST_OF_MISSING = 2  # beside the cell that differs
CHECK_EVERY = 4  # steps between two looks for rows that are beaten

#: Fields that decide the numbers of a step, and those that decide its branches.
NUMBERS = ("dt", "tau_unit", "integration", "input_gain", "initial_v", "v_min", "refractory")
BRANCHES = ("current_order", "reset", "reset_when", "spike", "threshold")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A setting to try.

    Attributes:
        semantics: complete, with dt; `parameters` are what is put in place of the file's.
        late: steps by which the recording answers later than the model.
    """

    semantics: Semantics
    late: int = 0

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from others, to be hashed."""
        said = self.semantics
        plain = tuple(getattr(said, name) for name in FIELDS)
        nodes = tuple(sorted((n, tuple(sorted(o.items()))) for n, o in said.nodes.items()))
        return (*plain, tuple(sorted(said.parameters.items())), nodes, self.late)


FIELDS = (
    *NUMBERS, *BRANCHES, *FLAGS, "feedforward_lag", "recurrent_lag",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Feed:
    """What members of a block receive under one set of delays.

    Attributes:
        known: member -> (steps, samples, n) from inputs and recorded populations.
        links: what members send each other.
    """

    known: Mapping[str, Array]
    links: tuple[Link, ...]


class Block:
    """A recorded population, judged alone; see the module.

    Args:
        net: prepared (`pipeline.prepare`).
        judged: the recorded population.
        members: populations to step, in order, `judged` last.
        inputs: input -> (samples, steps, n).
        recorded: recorded population -> (samples, steps, n); `judged` among them.
        index: neurons of `judged` to look at; None for all.
    """

    def __init__(
        self,
        net: Network,
        judged: str,
        members: Sequence[str],
        inputs: Mapping[str, Array],
        recorded: Mapping[str, Array],
        index: Array | None = None,
    ) -> None:
        self.net, self.judged, self.members = net, judged, tuple(members)
        self._inputs, self._recorded, self._index = inputs, recorded, index
        target = recorded[judged]
        self.target: Array = target if index is None else target[..., index]
        self.samples, self.steps = self.target.shape[:2]
        self._cells: dict[tuple[Any, ...], Any] = {}
        self._feeds: dict[tuple[Any, ...], Feed] = {}
        self._arrived: dict[tuple[Any, ...], Array] = {}
        self._clocked: dict[tuple[Any, ...], Clocked] = {}

    @property
    def cells(self) -> int:
        """How many cells are compared."""
        return int(self.target.size)

    def gap(self) -> int:
        """Return the least steps between two spikes of a neuron; all steps where none has two."""
        spiking = np.moveaxis(self.target > 0, 1, -1).reshape(-1, self.steps)
        row, step = np.nonzero(spiking)
        between = np.diff(step)[np.diff(row) == 0]
        return int(between.min(initial=self.steps))

    def distances(
        self,
        candidates: Sequence[Candidate],
        bound: int = HOPELESS,
        keep: int = 1,
        steps: int | None = None,
    ) -> Array:
        """Return how far each candidate is from the recording, int64; HOPELESS where beaten.

        Args:
            candidates: in the order in which to try them.
            bound: who is farther than this is beaten.
            keep: so many candidates are found for certain; others may be beaten by them.
            steps: how many steps to look at; by default all, and then a candidate that is at 0
                beats all that are not.
        """
        distances = np.full(len(candidates), HOPELESS)
        best: list[int] = []
        for feed, rows in self._groups(candidates):
            limit = min(bound, best[keep - 1] if len(best) >= keep else bound)
            limit = 0 if steps is None and best and best[0] == 0 else limit
            cells = [row for row, _ in rows]
            found = self._step_rows(feed, cells, limit, steps or self.steps)
            for (_, members), distance in zip(rows, found, strict=True):
                distances[members] = distance
                if distance != HOPELESS:
                    bisect.insort(best, int(distance))
        return distances

    def silence(self) -> int:
        """Return how far a population that never spikes is."""
        spikes = COST_OF_MISSING * self.target.sum(dtype=np.int64)
        return int(np.count_nonzero(self.target) + spikes)

    def _groups(
        self, candidates: Sequence[Candidate]
    ) -> Iterable[tuple[tuple[Feed, int], list[tuple[dict[str, Any], list[int]]]]]:
        """Yield candidates that take the same branches: their feed, and rows of equal cells."""
        groups: dict[Any, dict[Any, tuple[dict[str, Any], list[int]]]] = {}
        feeds: dict[Any, tuple[Feed, int]] = {}
        for number, each in enumerate(candidates):
            try:
                numbered = [(name, *self._cell(name, each.semantics)) for name in self.members]
            except SemanticsError:  # forward Euler diverges
                continue
            signature, feed = self._feed(each)
            branches = tuple(cell_branches(cell) for _, _, cell in numbered)
            feeds[signature, each.late] = (feed, each.late)
            rows = groups.setdefault((signature, each.late, branches), {})
            row = tuple(mark for _, mark, _ in numbered)
            cells = {name: cell for name, _, cell in numbered}
            rows.setdefault(row, (cells, []))[1].append(number)
        for (signature, late, _), rows in groups.items():
            yield feeds[signature, late], list(rows.values())

    # --- cells -----------------------------------------------------------------------------

    def _cell(self, name: str, semantics: Semantics) -> tuple[Any, Any]:
        """Return a mark that equal cells share, and the cell of a member."""
        node = self.net.nodes.get(name)
        said = semantics.at(name) if name in semantics.nodes else semantics
        own = of_node(semantics.parameters, name)
        key = (
            name, *(getattr(said, field) for field in (*NUMBERS, *BRANCHES)),
            tuple(sorted(own.items())),
        )  # fmt: skip
        if key not in self._cells:
            if node is None or not hasattr(node, "clock"):
                made = self._clocked_under(semantics).populations[name].cell
            else:
                node = with_parameters(self._chosen(name, node), own)
                made = node.clock(said, float(semantics.dt or 1.0))
            self._cells[key] = (mark_of(made), made)
        found: tuple[Any, Any] = self._cells[key]
        return found

    def _chosen(self, name: str, node: Any) -> Any:
        """Return the node of the chosen neurons only."""
        if name != self.judged or self._index is None:
            return node
        arrays = {
            each.name: getattr(node, each.name).ravel()[self._index]
            for each in fields(node)
            if isinstance(getattr(node, each.name), np.ndarray)
        }
        return replace(node, **arrays)

    # --- what arrives ----------------------------------------------------------------------

    def _clocked_under(self, semantics: Semantics) -> Clocked:
        """Return the clocked network; for its projections and delays, not for its cells."""
        key = (
            semantics.dt, semantics.feedforward_lag, semantics.recurrent_lag,
            tuple(getattr(semantics.at(n), flag) for n in self.members for flag in FLAGS),
        )  # fmt: skip
        if key not in self._clocked:
            plain = replace(semantics, integration="exact", parameters={})
            nodes = {
                name: {k: v for k, v in over.items() if k in FLAGS}
                for name, over in semantics.nodes.items()
            }
            self._clocked[key] = clock(self.net.with_semantics(replace(plain, nodes=nodes)))
        return self._clocked[key]

    def _feed(self, candidate: Candidate) -> tuple[Any, Feed]:
        clocked = self._clocked_under(candidate.semantics)
        into = [p for name in self.members for p in clocked.into(name)]
        signature = (tuple((p.name, p.post, p.delay) for p in into), candidate.late)
        if signature not in self._feeds:
            known = {name: np.zeros((self.steps, self.samples, 1)) for name in self.members}
            links = []
            for projection in into:
                if projection.pre in self.members:
                    links.append(self._link(projection))
                else:
                    arrived = self._arriving(clocked, projection, candidate.late)
                    known[projection.post] = known[projection.post] + arrived
            self._feeds[signature] = Feed(known, tuple(links))
        return signature, self._feeds[signature]

    def _rows(self, projection: Projection) -> Any:
        """Return the matrix, (post, pre), of the chosen neurons."""
        chosen = projection.post == self.judged and self._index is not None
        return projection.matrix[self._index] if chosen else projection.matrix

    def _link(self, projection: Projection) -> Link:
        rows = self._rows(projection)
        sparse = sp.issparse(rows)
        weight = sp.csr_matrix(rows) if sparse else np.ascontiguousarray(rows.T, dtype=float)
        return Link(projection.pre, projection.post, projection.delay, weight)

    def _arriving(self, clocked: Clocked, projection: Projection, late: int) -> Array:
        """Return what a known source delivers in each step, (steps, samples, post)."""
        key = (projection.name, projection.post, projection.delay, late)
        if key not in self._arrived:
            sent = self._sent(clocked, projection.pre, late)
            delayed = shifted(sent, projection.delay)
            flat = np.moveaxis(delayed, 1, 0).reshape(-1, delayed.shape[-1])
            rows = self._rows(projection)
            product = (rows @ flat.T).T if sp.issparse(rows) else flat @ rows.T
            self._arrived[key] = np.asarray(product).reshape(self.steps, self.samples, -1)
        return self._arrived[key]

    def _sent(self, clocked: Clocked, name: str, late: int) -> Array:
        """Return what a known source sends on the model's time axis, (samples, steps, n)."""
        if clocked.populations[name].kind == "constant":
            return np.ones((self.samples, self.steps, 1))
        if name in self._inputs:
            return np.asarray(self._inputs[name], float)
        return shifted(np.asarray(self._recorded[name], float), -late)

    # --- stepping --------------------------------------------------------------------------

    def _step_rows(
        self, feed: tuple[Feed, int], rows: Sequence[dict[str, Any]], bound: int, steps: int
    ) -> Array:
        width = sum(cell_size(cell) for cell in rows[0].values()) * self.samples
        chunk = max(1, ROWS_AT_ONCE // max(width, 1))
        parts = [
            self._step_chunk(feed, rows[at : at + chunk], bound, steps)
            for at in range(0, len(rows), chunk)
        ]
        return np.concatenate(parts)

    def _step_chunk(
        self, fed: tuple[Feed, int], rows: Sequence[dict[str, Any]], bound: int, steps: int
    ) -> Array:
        feed, late = fed
        running = Running(rows, self.members, self.samples, feed.links)
        found = np.full(len(rows), HOPELESS)
        early = self.target[:, : max(late, 0)]
        wrong = np.full(len(rows), np.count_nonzero(early), np.int64)
        missing = np.zeros((len(rows), *self.target[:, 0].shape), np.int64) + early.sum(axis=1)
        alive = np.arange(len(rows))
        for t in range(steps):
            sent = running.step({name: feed.known[name][t] for name in self.members})
            if 0 <= t + late < self.steps:
                expected = self.target[:, t + late]
                wrong += np.count_nonzero(sent != expected, axis=(1, 2))
                missing += expected
                missing -= np.clip(sent, 0, MOST_SPIKES).astype(np.int64)
            if t % CHECK_EVERY == CHECK_EVERY - 1 and (wrong > bound).any():
                stay = wrong <= bound
                alive, wrong, missing = alive[stay], wrong[stay], missing[stay]
                if not alive.size:
                    return found
                running.keep(stay)
        far = wrong + COST_OF_MISSING * np.abs(missing).sum(axis=(1, 2))
        stay = far <= bound
        found[alive[stay]] = far[stay]
        return found


def shifted(raster: Array, later: int) -> Array:
    """Return (samples, steps, n) moved by so many steps, zeros where nothing is known."""
    if later == 0:
        return raster
    moved = np.zeros_like(raster)
    if later > 0:
        moved[:, later:] = raster[:, :-later]
    else:
        moved[:, :later] = raster[:, -later:]
    return moved
