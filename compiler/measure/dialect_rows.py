"""Cells that take the same branches, stepped together: each array has a row per cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeport.compiler.kinds import STEPS, Array


@dataclass(frozen=True, eq=False)
class Link:
    """A projection between two members of a block.

    Attributes:
        pre, post, delay: as in `Projection`.
        weight: (pre size, post size), dense, or CSR of the transposed.
    """

    pre: str
    post: str
    delay: int
    weight: Any

    def apply(self, sent: Array) -> Array:
        """Return what arrives, (rows, samples, post), of what was sent, (rows, samples, pre)."""
        flat = sent.reshape(-1, sent.shape[-1]).astype(float)
        dense = isinstance(self.weight, np.ndarray)
        arrived = flat @ self.weight if dense else (self.weight @ flat.T).T
        return np.asarray(arrived).reshape(*sent.shape[:-1], -1)


class Running:
    """Rows of cells in mid-run."""

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        members: Sequence[str],
        samples: int,
        links: Sequence[Link],
    ) -> None:
        self._members, self._links, self._samples = members, links, samples
        self._cells = {name: stacked([row[name] for row in rows]) for name in members}
        self._state = {name: started([row[name] for row in rows], samples) for name in members}
        self._depth = max((link.delay for link in links), default=0) + 1
        self._sent: dict[str, list[Array]] = {name: [] for name in members}

    def step(self, known: Mapping[str, Array]) -> Array:
        """Take one step and return what the last member sends, (rows, samples, n).

        Args:
            known: member -> (samples, n), what arrives from outside.
        """
        for name in self._members:
            state = self._state[name]
            received = np.broadcast_to(known[name], state["v"].shape)
            for link in self._links:
                sent = self._sent[link.pre]
                # Where the source has stepped already, its newest is this step's.
                behind = link.delay if self._is_before(link.pre, name) else link.delay - 1
                if link.post == name and behind < len(sent):
                    received = received + link.apply(sent[-1 - behind])
            with np.errstate(invalid="ignore", over="ignore"):  # a wrong setting may diverge
                out = STEPS[type(self._cells[name])].step(self._cells[name], state, received)
            self._sent[name] = [*self._sent[name], out][-self._depth :]
        return self._sent[self._members[-1]][-1]

    def _is_before(self, pre: str, post: str) -> bool:
        return self._members.index(pre) < self._members.index(post)

    def keep(self, stay: Array) -> None:
        """Drop the other rows."""
        self._cells = {name: chosen(cell, stay) for name, cell in self._cells.items()}
        self._state = {
            name: {key: value[stay] for key, value in state.items()}
            for name, state in self._state.items()
        }
        self._sent = {name: [each[stay] for each in sent] for name, sent in self._sent.items()}


def cell_size(cell: Any) -> int:
    """Return how many neurons a cell has."""
    return int(next(value.size for value in vars(cell).values() if isinstance(value, np.ndarray)))


def cell_branches(cell: Any) -> tuple[Any, ...]:
    """Return what of a cell is no number: rows of one array must agree in it."""
    return (type(cell), *(v for v in vars(cell).values() if not isinstance(v, np.ndarray)))


def mark_of(cell: Any) -> tuple[Any, ...]:
    """Return what equal cells share."""
    numbers = tuple(v.tobytes() for v in vars(cell).values() if isinstance(v, np.ndarray))
    return (*cell_branches(cell), *numbers)


def _mapped(cell: Any, change: Callable[[str], Array]) -> Any:
    arrays = {k: change(k) for k, v in vars(cell).items() if isinstance(v, np.ndarray)}
    return replace(cell, **arrays)


def stacked(cells: Sequence[Any]) -> Any:
    """Return one cell whose arrays have a row per given cell, (rows, 1, n)."""
    return _mapped(cells[0], lambda k: np.stack([getattr(c, k) for c in cells])[:, None, :])


def chosen(cell: Any, stay: Array) -> Any:
    """Return a stacked cell with some of its rows."""
    return _mapped(cell, lambda k: getattr(cell, k)[stay])


def started(cells: Sequence[Any], samples: int) -> dict[str, Array]:
    """Return the state before the first step, (rows, samples, n)."""
    begin = STEPS[type(cells[0])].start
    states = [begin(cell, samples) for cell in cells]
    return {key: np.stack([state[key] for state in states]) for key in states[0]}
