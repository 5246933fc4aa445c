"""Which axons of a crossbar every neuron needs, and with which weights.

An axon stands for a source, a delay and a part: on chips with axon types (TrueNorth) a neuron has
one weight s_k for each type k and a crossing is a bit, so that

    w = sum over k of bit_k * s_k,   s = a * (1, 2, 4, -8)  or another row of `patterns`

and a source takes an axon of each type of which any bit is set. Where rows have a sign, one part
is for weights above 0 and one for those below; else there is one part, and it holds the weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.errors import Violation
from spikeport.compiler.fabric import Crossbar
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Program


@dataclass(frozen=True, eq=False)
class Sources:
    """Numbers for what comes in by an axon: source neuron, delay and part in one integer.

    Attributes:
        populations: names, in the order of `starts`.
        starts: number of the first neuron of each population, and the end; (populations + 1,).
        from_host: is it an input; (neurons of all populations,).
        delays: numbers for delays, the longest and one more.
        parts: axon types, signs, or 1.
    """

    populations: tuple[str, ...]
    starts: Array
    from_host: Array
    delays: int
    parts: int

    def first(self, population: str) -> int:
        """Return the number of the first neuron of a population."""
        return int(self.starts[self.populations.index(population)])

    def keys(self, neurons: Array, delay: int) -> Array:
        """Return the axons of part 0 of source neurons."""
        return (neurons.astype(np.int64) * self.delays + delay) * self.parts

    def neuron(self, keys: Array) -> Array:
        """Return the number of the source neuron over all populations."""
        return np.asarray(keys // (self.delays * self.parts))

    def delay(self, keys: Array) -> Array:
        """Return the delay."""
        return np.asarray(keys // self.parts % self.delays)

    def part(self, keys: Array) -> Array:
        """Return the axon type or sign."""
        return np.asarray(keys % self.parts)

    def named(self, neurons: Array) -> tuple[Array, Array]:
        """Return (number of the population, neuron in it) of numbers over all populations."""
        population = np.searchsorted(self.starts, neurons, side="right") - 1
        return population, neurons - self.starts[population]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What each neuron of a population asks of its core.

    Attributes:
        name: of the population.
        matrix: CSR int64 (neurons, columns); 1 where there is a type weight, else the weight.
        keys: the axon that each column of the matrix stands for.
        from_host: (columns,), does its source send from outside the chip.
        type_weights: (neurons, types).
        inputs: (neurons,), how many sources each reads.
    """

    name: str
    matrix: sp.csr_matrix
    keys: Array
    from_host: Array
    type_weights: Array
    inputs: Array


def parts_of(core: Crossbar) -> int:
    """Return how many axons one source with one delay may take on a core."""
    if core.axon_types is not None:
        return core.axon_types.whole
    return 2 if core.signed_rows else 1


def sources_of(program: Program, core: Crossbar) -> Sources:
    """Return the numbering of everything that can send."""
    sizes = [population.size for population in program.populations.values()]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    names = tuple(program.populations)
    from_host = np.repeat([name in program.inputs for name in names], sizes)
    return Sources(names, starts, from_host, program.max_delay + 1, parts_of(core))


def wanted_axons(
    program: Program, name: str, core: Crossbar, sources: Sources
) -> tuple[Wanted, list[Violation]]:
    """Return the axons that a population needs, and neurons with more levels than types give."""
    matrix, keys = _rows(program, name, sources)
    keys = np.asarray((keys[:, None] + np.arange(sources.parts)).ravel())
    from_host, inputs = sources.from_host[sources.neuron(keys)], np.diff(matrix.indptr)
    if core.axon_types is None:
        part = (matrix.data < 0) & core.signed_rows
        split = _with_columns(matrix, matrix.indices * sources.parts + part, sources.parts)
        none = np.zeros((matrix.shape[0], 0), np.int64)
        return Wanted(name, split, keys, from_host, none, inputs), []
    bits = 9 if core.type_weight_bits is None else core.type_weight_bits.whole
    weights, levels, chosen = type_weights(matrix, core.axon_types.whole, bits)
    masks = _masks(matrix, levels, chosen, core.axon_types.whole)
    rows = _rows_of(matrix)
    at, kind = np.nonzero(masks[:, None] >> np.arange(sources.parts) & 1)
    cells = (rows[at], matrix.indices[at].astype(np.int64) * sources.parts + kind)
    shape = (matrix.shape[0], matrix.shape[1] * sources.parts)
    typed = sp.csr_matrix((np.ones(at.size, np.int64), cells), shape)
    made = Wanted(name, typed, keys, from_host, weights, inputs)
    return made, _too_fine(name, matrix, chosen, core.axon_types.whole)


def _rows(program: Program, name: str, sources: Sources) -> tuple[sp.csr_matrix, Array]:
    """Return all weights into a population, (neurons, sources), and each source's axon of part 0.

    What comes from one source with one delay is one weight.
    """
    blocks: dict[tuple[str, int], sp.csr_matrix] = {}
    for each in program.into(name):
        rows = each.rows.astype(np.int64)
        rows.data <<= each.exponent
        key = each.pre, each.delay_steps
        blocks[key] = blocks[key] + rows if key in blocks else rows
    if not blocks:
        return sp.csr_matrix((program.populations[name].size, 0), dtype=np.int64), np.zeros(0, int)
    matrix = sp.csr_matrix(sp.hstack(list(blocks.values()), format="csr"))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    keys = [
        sources.keys(sources.first(pre) + np.arange(block.shape[1]), delay)
        for (pre, delay), block in blocks.items()
    ]
    return matrix, np.concatenate(keys)


def _with_columns(matrix: sp.csr_matrix, indices: Array, parts: int) -> sp.csr_matrix:
    shape = (matrix.shape[0], matrix.shape[1] * parts)
    return sp.csr_matrix((matrix.data, indices, matrix.indptr), shape)


def _rows_of(matrix: sp.csr_matrix) -> Array:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


# --- weights per type ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Pattern:
    """Weights per type in units of the smallest, and what they add up to.

    Attributes:
        weights: one for each type that is used.
        low, high: every whole number between can be had.
        masks: which types make each of them, from `low` on.
    """

    weights: tuple[int, ...]
    low: int
    high: int
    masks: tuple[int, ...]


@lru_cache
def patterns(types: int) -> tuple[Pattern, ...]:
    """Return the patterns of up to so many types, those with fewer types first.

    >>> [each.weights for each in patterns(2)]
    [(1,), (1, 2), (1, -1), (1, -2)]
    """
    found = []
    for used in range(1, types + 1):
        below = tuple(1 << k for k in range(used - 1))
        shapes = [(*below, 1 << (used - 1)), (1, -1), (*below, -(1 << (used - 1)))]
        found += [each for each in shapes if len(each) == used]
    return tuple(map(_pattern, dict.fromkeys(each for each in found if each[0] > 0)))


def _pattern(weights: tuple[int, ...]) -> Pattern:
    sums: dict[int, int] = {}
    for mask in sorted(range(1 << len(weights)), key=int.bit_count):
        total = sum(weight for k, weight in enumerate(weights) if mask >> k & 1)
        sums.setdefault(total, mask)
    low, high = min(sums), max(sums)
    return Pattern(weights, low, high, tuple(sums[level] for level in range(low, high + 1)))


def type_weights(matrix: sp.csr_matrix, types: int, bits: int) -> tuple[Array, Array, Array]:
    """Return the weights per type of each row, from its integers alone.

    Args:
        matrix: weights, int64 (neurons, sources).
        types: how many there are.
        bits: of a weight per type, sign included.

    Returns:
        weights per type, int64 (neurons, types); the unit of each row, below 0 where the pattern is
        used with all signs turned; the number of its pattern, -1 where none will do.
    """
    count = matrix.shape[0]
    unit = np.zeros(count, np.int64)
    some = np.flatnonzero(np.diff(matrix.indptr))
    if some.size:
        unit[some] = np.gcd.reduceat(np.abs(matrix.data), matrix.indptr[some])
    low, high = _extremes(matrix)
    known = patterns(types)
    chosen = np.where(unit == 0, 0, -1)
    levels = np.where(unit == 0, 1, unit)
    weights = np.zeros((count, types), np.int64)
    most = (1 << (bits - 1)) - 1
    for number, pattern in enumerate(known):
        largest = max(abs(weight) for weight in pattern.weights)
        for share in range(1, 1 << types):
            for sign in (1, -1):
                step = sign * (unit // share)
                bottom, top = (low, high) if sign > 0 else (-high, -low)
                fits = (chosen < 0) & (unit % share == 0) & (np.abs(step) * largest <= most)
                size = np.maximum(np.abs(step), 1)
                fits &= (bottom >= pattern.low * size) & (top <= pattern.high * size)
                chosen[fits], levels[fits] = number, step[fits]
    for number, pattern in enumerate(known):
        rows = np.flatnonzero((chosen == number) & (unit > 0))
        weights[rows, : len(pattern.weights)] = levels[rows, None] * np.array(pattern.weights)
    return weights, levels, chosen


def _extremes(matrix: sp.csr_matrix) -> tuple[Array, Array]:
    """Return the smallest and the largest weight of each row, 0 among them."""
    if not matrix.nnz:
        return np.zeros(matrix.shape[0], np.int64), np.zeros(matrix.shape[0], np.int64)
    both = (np.asarray(each.todense()).ravel() for each in (matrix.min(axis=1), matrix.max(axis=1)))
    low, high = both
    return np.minimum(low, 0), np.maximum(high, 0)


def _masks(matrix: sp.csr_matrix, levels: Array, chosen: Array, types: int) -> Array:
    """Return which types make each weight, as bits; (weights,)."""
    rows = _rows_of(matrix)
    level = matrix.data // levels[rows]
    masks = np.ones(matrix.nnz, np.int64)
    for number, pattern in enumerate(patterns(types)):
        at = np.flatnonzero(chosen[rows] == number)
        masks[at] = np.array(pattern.masks)[level[at] - pattern.low]
    return masks


def _too_fine(name: str, matrix: sp.csr_matrix, chosen: Array, types: int) -> list[Violation]:
    """Return the population's neurons whose weights no pattern makes, the worst of them named."""
    broken = np.flatnonzero(chosen < 0)
    if not broken.size:
        return []
    counts = {
        int(row): np.unique(matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]).size
        for row in broken
    }
    worst = max(counts, key=lambda row: counts[row])
    return [
        Violation(
            f"neuron {worst} of {name!r}",
            "weights that its axon types do not make",
            counts[worst],
            0,
            f"use weights that are whole multiples of one, from -{1 << (types - 1)} to "
            f"{(1 << (types - 1)) - 1} times it",
        )
    ]
