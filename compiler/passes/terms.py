"""What a stateless node computes: matrices times what populations sent some time ago, and biases.

y(t) = sum over (population, seconds) of matrix @ sent(t - seconds)
     + sum over seconds of bias, from that time on
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution

DENSE_ABOVE = 0.25  # share of non-zeros from which a product is kept as a dense array
#: Different delays of one node, times its elements: each delay needs a matrix of its own.
MOST_DELAYED = 1 << 24

Origin = tuple[str, float]  # population, seconds


@dataclass(frozen=True, eq=False)
class Term:
    """What a node computes of what one population sent: a matrix, None for the identity."""

    matrix: Any = None
    made_of: tuple[str, ...] = ()
    conv: Convolution | None = None


@dataclass(frozen=True, eq=False)
class Sum:
    """What a node computes in all.

    Attributes:
        size: number of elements.
        terms: (population, seconds) -> Term.
        biases: seconds -> array of (size,).
    """

    size: int
    terms: dict[Origin, Term] = field(default_factory=dict)
    biases: dict[float, Array] = field(default_factory=dict)


def total(size: int, sums: Iterable[Sum]) -> Sum:
    """Return the sum of several of one size."""
    joined = Sum(size)
    for each in sums:
        for origin, term in each.terms.items():
            first = joined.terms.get(origin)
            joined.terms[origin] = term if first is None else _added(first, term, size)
        _add_biases(joined.biases, each.biases)
    return joined


def _added(first: Term, second: Term, size: int) -> Term:
    one, two = (
        sp.identity(size, format="csr") if term.matrix is None else term.matrix
        for term in (first, second)
    )
    both = one + two
    matrix = both if sp.issparse(both) else np.asarray(both)
    return Term(matrix, first.made_of + second.made_of)


def _add_biases(biases: dict[float, Array], more: dict[float, Array]) -> None:
    for seconds, bias in more.items():
        biases[seconds] = biases[seconds] + bias if seconds in biases else bias


def multiplied(
    before: Sum,
    matrix: Any,
    bias: Array | None,
    name: str,
    conv: Callable[[Term], Convolution | None],
) -> Sum:
    """Return matrix @ before + bias.

    Args:
        before: what enters the node.
        matrix: None for the identity.
        bias: None for none.
        name: of the node, joined to what the terms are made of.
        conv: what convolution a term still is behind the node.
    """
    size = before.size if matrix is None else int(matrix.shape[0])
    _check_spread(name, len(before.terms), size)
    many = sp.issparse(matrix) and len(before.terms) > 1
    left = sp.csc_matrix(matrix) if many else matrix  # columns are then quick to take
    terms = {
        origin: Term(_product(left, term.matrix), (*term.made_of, name), conv(term))
        for origin, term in before.terms.items()
    }
    biases = {
        seconds: each if matrix is None else np.asarray(matrix @ each).ravel()
        for seconds, each in before.biases.items()
    }
    if bias is not None and bias.any():
        _add_biases(biases, {0.0: bias})
    return Sum(size, terms, biases)


def _product(left: Any, right: Any) -> Any:
    if left is None:
        return right
    if right is None:
        return sp.csr_matrix(left) if sp.issparse(left) else left
    if sp.issparse(right):
        rows = np.flatnonzero(np.diff(right.indptr))
        if rows.size < DENSE_ABOVE * right.shape[0]:  # one of many delays, as a rule
            left, right = sp.csr_matrix(left[:, rows]), right[rows]
    product = left @ right
    if not sp.issparse(product):
        return np.asarray(product)
    if product.nnz > DENSE_ABOVE * product.shape[0] * product.shape[1]:
        return product.toarray()
    return sp.csr_matrix(product)


def delayed(before: Sum, delays: Array, name: str) -> Sum:
    """Return what comes out of a Delay.

    Args:
        before: what enters it.
        delays: seconds of each element, shape (size,), not negative.
        name: of the node.

    Raises:
        GraphError: so many different delays that their matrices would fill the memory.
    """
    after = Sum(before.size)
    pieces = 0
    for (population, seconds), term in before.terms.items():
        made_of = (*term.made_of, name)
        split = _split(replace(term, made_of=made_of), delays)
        pieces += len(split)
        _check_spread(name, pieces, before.size)
        for more, piece in split.items():
            origin = (population, seconds + more)
            first = after.terms.get(origin)
            after.terms[origin] = piece if first is None else _added(first, piece, before.size)
    for seconds, bias in before.biases.items():
        different = np.unique(delays[bias != 0])
        _check_spread(name, different.size, before.size)
        for more in different.tolist():
            _add_biases(after.biases, {seconds + more: np.where(delays == more, bias, 0.0)})
    return after


def _split(term: Term, delays: Array) -> dict[float, Term]:
    """Return delay -> the rows of a term that have it; rows without entries do not count."""
    if delays.size and (delays == delays[0]).all():
        return {float(delays[0]): term}
    size = delays.size
    entries = sp.identity(size) if term.matrix is None else term.matrix
    entries = sp.coo_matrix(entries)
    waits = delays[entries.row]
    order = np.argsort(waits, kind="stable")
    different, starts = np.unique(waits[order], return_index=True)
    if different.size < 2:
        return {float(different[0]) if different.size else float(delays.min()): term}
    _check_spread("+".join(term.made_of[-1:]), different.size, size)
    parts = {}
    for wait, chosen in zip(different.tolist(), np.split(order, starts[1:]), strict=True):
        place = (entries.row[chosen], entries.col[chosen])
        rows = sp.csr_matrix((entries.data[chosen], place), shape=entries.shape)
        parts[wait] = Term(rows, term.made_of)
    return parts


def _check_spread(name: str, different: int, size: int) -> None:
    if different > 1 and different * size > MOST_DELAYED:
        raise GraphError(
            f"node '{name}' has {different} different delays on {size} elements",
            f"each of them needs a matrix of its own; the limit is {MOST_DELAYED} in all",
            "round the delays to whole time steps before they are written",
        )
