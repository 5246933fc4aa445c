"""Weights: floats times a scale to integers, in one or several lists with exponents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Projection
from spikeport.compiler.compact import compact
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution
from spikeport.compiler.program import Synapses
from spikeport.compiler.quantize.arithmetic import Grid, exponent_of, grid_of
from spikeport.compiler.quantize.lost import row_of
from spikeport.compiler.quantize.output import round_for_output
from spikeport.compiler.quantize.part import Part, part_of, residual_of
from spikeport.compiler.quantize.recipe import Wish
from spikeport.compiler.quantize.scaled import Scaled

SPARSE = 0.4  # share of weights that are not zero, below which a list is stored as such


@dataclass(frozen=True, eq=False)
class Arriving:
    """A projection on its way to integers.

    Attributes:
        projection: in floats.
        weights: in weight units per unit of what is sent.
        wish: how they are held.
        exponent: of one list, where the scale was chosen for it; None: what the largest needs.
        payload: largest message of an analog source, 0 for spikes and counts.
        trace: what a weight of one adds to v at some moments, (pre, moments); None: not seen.
    """

    projection: Projection
    weights: Scaled
    wish: Wish
    exponent: int | None = None
    payload: int = 0
    trace: Array | None = None

    @property
    def is_plain(self) -> bool:
        """Is it one list of weights, each rounded by itself."""
        one = self.wish.lists == "one" and not self.wish.is_split
        return bool(self.payload) or (one and self.trace is None)


def integer_synapses(
    arriving: Sequence[Arriving], scale: Array, chip: Chip, names: Set[str] = frozenset()
) -> tuple[list[Synapses], list[dict[str, Any]]]:
    """Return the integer weights of everything that ends in a population, and what they lost.

    Args:
        arriving: the projections.
        scale: weight units per float unit of the target's v, (n,).
        chip: whose formats and exponents are used.
        names: of all projections; further lists of one get others.

    Raises:
        LoweringError: weights are too large for the chip's exponents.
    """
    others = [each for each in arriving if not each.is_plain]
    parts = [_first(each, chip) for each in others]
    steps = [part.nearest() for part in parts]
    seconds = [
        _second(each, part, found, scale, chip)
        for each, part, found in zip(others, parts, steps, strict=True)
    ]
    # What is rounded last is rounded for the output: the second synapses, where there are any.
    last = [second or part for second, part in zip(seconds, parts, strict=True)]
    traced = [k for k, each in enumerate(others) if each.trace is not None]
    rounded = [
        first if second is None else second.nearest()
        for first, second in zip(steps, seconds, strict=True)
    ]
    for k, found in zip(
        traced,
        round_for_output(
            [last[k] for k in traced],
            [others[k].projection.matrix for k in traced],
            [trace for trace in (others[k].trace for k in traced) if trace is not None],
        ),
        strict=True,
    ):
        rounded[k] = found
    made: list[Synapses] = []
    losses: list[dict[str, Any]] = []
    done = iter(zip(others, parts, steps, seconds, rounded, strict=True))
    for each in arriving:
        if each.is_plain:
            synapses, lost = _plain(each, scale, chip)
            made.append(synapses)
        else:
            _, part, first, second, final = next(done)
            held = [(part, final)] if second is None else [(part, first), (second, final)]
            named = _named(each.projection, held, names)
            made += named
            lost = _lost(each, held, scale, len(named))
        losses.append(lost)
    return made, losses


def _first(each: Arriving, chip: Chip) -> Part:
    matrix, wish = each.projection.matrix, each.wish
    try:
        return part_of(each.weights.flat(), matrix, wish.lists, wish.bits[0], chip, each.exponent)
    except LoweringError as error:
        raise LoweringError(
            f"{each.projection.name!r}: {error.what}", error.why, error.fix
        ) from None


def _second(each: Arriving, part: Part, steps: Array, scale: Array, chip: Chip) -> Part | None:
    """Return what second synapses hold of the neurons that gain most; None: there are none."""
    if not each.wish.is_split:
        return None
    matrix = each.projection.matrix
    left = Scaled(_like(matrix, part.values - steps * part.unit), 1.0 / scale)
    most = max(1, round(each.wish.share * matrix.shape[0]))
    wrong = _sum_of_squares(left, each.trace)
    chosen = np.zeros(matrix.shape[0], bool)
    chosen[np.argsort(-wrong, kind="stable")[:most]] = True
    return residual_of(part, steps, chosen[_rows_of(matrix)], each.wish.bits[1], chip)


def _sum_of_squares(left: Scaled, trace: Array | None) -> Array:
    """Return what is left of each neuron's weights, squared, as far as sources act, (post,)."""
    power = None if trace is None else np.mean(trace**2, axis=1)
    found = np.zeros(left.gain.size)
    for rows, at, values in left.blocks():
        squares = values**2
        if power is not None:
            columns = left.matrix.indices[at] if sp.issparse(left.matrix) else slice(None)
            squares = squares * power[columns]
        found[rows] = left.sum_rows(squares, rows)
    return found


def _rows_of(matrix: Any) -> Array:
    """Return the row of each stored weight."""
    lengths = np.diff(matrix.indptr) if sp.issparse(matrix) else np.full(*matrix.shape)
    return np.repeat(np.arange(matrix.shape[0]), lengths)


def _like(matrix: Any, values: Array) -> Any:
    """Return a matrix with other stored values."""
    if sp.issparse(matrix):
        return sp.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
    return values.reshape(matrix.shape)


def _named(
    projection: Projection, held: Sequence[tuple[Part, Array]], names: Set[str]
) -> list[Synapses]:
    """Return the synapses of each exponent and sign; the first has the projection's name."""
    made: list[Synapses] = []
    free = (name for name in (f"{projection.name}#{k}" for k in count(2)) if name not in names)
    for part, steps in held:
        for some, exponent, mode in _lists(part, steps):
            name = next(free) if made else projection.name
            whole = np.where(some, steps, 0).astype(np.int32)
            matrix = _like(projection.matrix, whole)
            if not sp.issparse(matrix) and np.count_nonzero(whole) < SPARSE * whole.size:
                matrix = sp.csr_array(matrix)
            stored, more = compact(matrix)
            made.append(
                Synapses(
                    name, projection.pre, projection.post, stored, part.grid.step * more, exponent,
                    mode, part.grid.bits, projection.delay,
                    part_of=projection.name if made else "",
                )
            )  # fmt: skip
    return made


def _lists(part: Part, steps: Array) -> Iterator[tuple[Array, int, str]]:
    """Yield (which weights, exponent, sign mode) of each list, those that hold most first."""
    exponents = np.broadcast_to(part.exponent, steps.shape)
    used = np.unique(exponents[steps != 0]).tolist()[::-1] or [int(exponents.max(initial=0))]
    sides = ((steps > 0, "excitatory"), (steps < 0, "inhibitory")) if part.by_sign else ()
    empty = True
    for exponent in used:
        same = exponents == exponent
        for side, mode in sides or ((True, part.grid.mode),):
            some = same & side
            if sides and not some.any():
                continue
            empty = False
            yield some, int(exponent), mode
    if empty:
        yield steps != 0, int(used[0]), part.grid.mode


def _lost(
    each: Arriving, held: Sequence[tuple[Part, Array]], scale: Array, lists: int
) -> dict[str, Any]:
    values = each.weights.flat()
    got = sum((steps * part.unit for part, steps in held), np.zeros(values.size))
    by_row = scale[_rows_of(each.projection.matrix)]
    wrong, true = (got - values) / by_row, values / by_row
    some = values != 0 if sp.issparse(each.projection.matrix) else slice(None)
    rms, size = (float(np.sqrt(np.mean(x[some] ** 2))) if x[some].size else 0.0
                 for x in (wrong, true))  # fmt: skip
    part = held[0][0]
    zero = int(np.count_nonzero(got)), int(true[some].size)
    detail = f"{part.grid.mode}, {zero[0]} of {zero[1]} not zero, {each.wish}, in {lists} lists"
    bits = sum(part.grid.bits for part, _ in held)
    row = row_of(
        each.projection.name, "weights", bits, rms, float(np.abs(wrong).max(initial=0.0)), size,
        detail, int(part.exponent.max(initial=0)),
    )  # fmt: skip
    rows = _rows_of(each.projection.matrix)
    sums = (np.bincount(rows, x != 0, minlength=scale.size) for x in (values, got))
    starved = int(np.count_nonzero(_starved(*sums)))
    return row | {"weights": int(np.count_nonzero(values)), "left": zero[0], "starved": starved}


def _starved(weights: Array, left: Array) -> Array:
    """Return which neurons keep less than half of their weights."""
    return np.asarray(2 * left < weights)


def _plain(each: Arriving, scale: Array, chip: Chip) -> tuple[Synapses, dict[str, Any]]:
    """Return the synapses of one list, rounded block by block, so that they are there once."""
    projection, weights, payload = each.projection, each.weights, each.payload
    grid = grid_of(weights.extent, chip, each.wish.bits[0])
    lowest = chip.limits.weight_exponent.low if payload else 0
    exponent = each.exponent
    if exponent is None or payload:
        exponent = exponent_of(weights.largest, grid, lowest)
    while payload and _row_sum(weights, grid, exponent) * payload >= 1 << 31:
        exponent += 1
    if exponent > chip.limits.weight_exponent.high:
        raise LoweringError(
            f"{projection.name!r} needs the weight exponent {exponent}",
            f"{chip.name} has {chip.limits.weight_exponent.low} to "
            f"{chip.limits.weight_exponent.high}",
            "bring the weights that end in one population closer together in size, or make the "
            "largest smaller",
        )
    steps, row = _rounded(projection.name, weights, scale, grid, exponent)
    stored, more = compact(_like(projection.matrix, steps))
    made = Synapses(
        projection.name, projection.pre, projection.post, stored, grid.step * more, exponent,
        grid.mode, grid.bits, projection.delay,
        _integer_conv(projection.conv, weights.gain, grid, exponent),
    )  # fmt: skip
    return made, row


def _rounded(
    name: str, weights: Scaled, scale: Array, grid: Grid, exponent: int
) -> tuple[Array, dict[str, Any]]:
    """Return all weights in steps of the grid, flat, and what they lost."""
    low, high = grid.low // grid.step, grid.high // grid.step
    steps = np.empty(weights.size, np.min_scalar_type(min(low, -high - 1)))
    wrong = largest = power = 0.0  # sum of squares of the errors, the largest, that of the weights
    held = true = starved = 0
    for rows, at, values in weights.blocks():
        whole = _in_steps(values, grid, exponent)
        steps[at] = whole.ravel()
        error = whole * (grid.step * 2.0**exponent)
        error -= values
        each = weights.spread(1.0 / scale, rows)  # back in the network's units
        error *= each
        largest = max(largest, float(error.max(initial=0.0)), -float(error.min(initial=0.0)))
        wrong += float(np.sum(error**2))
        power += float(np.sum((values * each) ** 2))
        some, kept = values != 0, whole != 0
        true += int(np.count_nonzero(some))
        held += int(np.count_nonzero(some)) if sp.issparse(weights.matrix) else values.size
        sums = (weights.sum_rows(each.astype(np.int64), rows) for each in (some, kept))
        starved += int(np.count_nonzero(_starved(*sums)))
    rms, size = (float(np.sqrt(each / held)) if held else 0.0 for each in (wrong, power))
    left = int(np.count_nonzero(steps))
    detail = f"{grid.mode}, {left} of {held} not zero"
    row = row_of(name, "weights", grid.bits, rms, largest, size, detail, exponent)
    return steps, row | {"weights": true, "left": left, "starved": starved}


def _in_steps(values: Array, grid: Grid, exponent: int) -> Array:
    """Return weights in whole steps of the grid, floats."""
    whole = values / (2.0**exponent * grid.step)
    np.rint(whole, out=whole)
    return np.clip(whole, grid.low // grid.step, grid.high // grid.step, out=whole)


def _row_sum(weights: Scaled, grid: Grid, exponent: int) -> float:
    """Return the largest sum of mantissas' magnitudes that ends in one neuron."""
    most = 0.0
    for rows, _, values in weights.blocks():
        size = np.abs(_in_steps(values, grid, exponent)) * grid.step
        most = max(most, float(weights.sum_rows(size, rows).max(initial=0.0)))
    return most


def _integer_conv(
    conv: Convolution | None, gain: Array, grid: Grid, exponent: int
) -> Convolution | None:
    """Return the same convolution with an integer kernel, where the maps of it share one gain."""
    if conv is None:
        return None
    channels = conv.output_shape[0]
    each = gain.reshape(channels, -1)
    if np.ptp(each, axis=1).any():
        return None
    values = np.asarray(conv.kernel, np.float64) * each[:, 0, None, None, None]
    kernel = _in_steps(values, grid, exponent)
    return replace(conv, kernel=(kernel * grid.step).astype(np.int32))


def scaled_rows(matrix: Any, gain: Array) -> Any:
    """Return a dense or CSR matrix with its rows times `gain`, (post,)."""
    if sp.issparse(matrix):
        return sp.csr_matrix(sp.diags(gain) @ matrix)
    return matrix * gain[:, None]


def values_of(matrix: Any) -> Array:
    """Return the stored values of a dense or CSR matrix, flat."""
    return np.asarray(matrix.data if sp.issparse(matrix) else matrix.ravel())
