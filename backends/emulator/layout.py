"""From a Program to the arrays that the engine runs: an order of neurons, and synapse formats.

Sums are kept in 32 bits where no sum can leave them (or where they wrap there), and neurons run
in 32 bits where their datapath is Loihi's; what these rules need is proved here, from the largest
weights and the longest fan-in. plan.h says what the engine reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from spikeport.backends import _engine
from spikeport.backends.emulator.cores import Cores, cores_of, reaches, stretches
from spikeport.backends.emulator.formats import fields_of
from spikeport.backends.emulator.job import carries_values
from spikeport.backends.emulator.order import inverse, place_order
from spikeport.backends.emulator.parameters import KINDS, XYLO, cell_fields
from spikeport.compiler import fixed
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.program import GRADED, Arithmetic, Program, Synapses

INPUT = 0
INT32 = 1 << 31


class UnknownToEngine(Exception):
    """A Program that the C engine does not run, with the reason."""


@dataclass(frozen=True, eq=False)
class Layout:
    """A Program as the engine takes it.

    Attributes:
        populations: name -> fields for the engine, without the buffers of a run.
        projections: the same of each projection.
        cores: numbers on the chip of the cores that are counted; empty without an Image.
        prepared: the same inside the engine.
    """

    populations: Mapping[str, Mapping[str, Any]]
    projections: tuple[Mapping[str, Any], ...]
    cores: Array
    prepared: Any

    @cached_property
    def neurons(self) -> int:
        """Neurons and inputs of all populations."""
        return sum(held["size"] for held in self.populations.values())

    @cached_property
    def bytes(self) -> int:
        """Bytes of all arrays."""
        held = [*self.populations.values(), *self.projections]
        return sum(v.nbytes for each in held for v in each.values() if isinstance(v, np.ndarray))


_LAYOUTS: WeakKeyDictionary[Any, Layout] = WeakKeyDictionary()


def is_laid_out(noun: Program | Image) -> bool:
    """Was `layout_of` asked for it before."""
    return noun in _LAYOUTS


def layout_of(noun: Program | Image) -> Layout:
    """Return the layout of a Program, or of an Image with its cores; made once for each.

    Raises:
        UnknownToEngine: the engine has no such neuron, or sums that it could not hold.
    """
    if noun not in _LAYOUTS:
        _LAYOUTS[noun] = _made(noun)
    return _LAYOUTS[noun]


def _made(noun: Program | Image) -> Layout:
    program = noun.program if isinstance(noun, Image) else noun
    cores = cores_of(noun) if isinstance(noun, Image) else Cores(np.zeros(0, np.int64), {})
    orders = {name: place_order(program, name, cores.home) for name in program.populations}
    places = {name: inverse(order) for name, order in orders.items()}
    reach = reaches(noun, cores, places) if isinstance(noun, Image) else {}
    numbers = {name: at for at, name in enumerate(program.populations)}
    populations: dict[str, Mapping[str, Any]] = {}
    projections: list[Mapping[str, Any]] = []
    for name in program.populations:
        first = len(projections)
        sums = _sums(program, name)
        for each in sums.arriving:
            fields = fields_of(
                each.weights,
                orders[each.synapses.pre],
                orders[name],
                sums.is_wide,
                program.arithmetic.weight_exp_at == "event",
            )
            projections.append(_projection(each, fields, numbers, sums))
        populations[name] = (
            _population(program, name, sums, orders[name])
            | {"order": orders[name], "place": places[name]}
            | {"into": first, "into_end": len(projections)}
            | (stretches(cores.home[name], orders[name]) if name in cores.home else {})
            | reach.get(name, {})
        )
    prepared = _engine.prepare(list(populations.values()), projections, cores.numbers.size)
    return Layout(populations, tuple(projections), cores.numbers, prepared)


@dataclass(frozen=True, eq=False)
class _Arriving:
    """A projection: received = shift(factor * weights @ spikes, shift).

    `late` bits of the factor act on the sum only after it has wrapped.
    """

    synapses: Synapses
    weights: Any
    factor: int
    late: int
    shift: int
    most: int
    bound: int

    @property
    def largest(self) -> int:
        """Bound of what it brings."""
        return (self.bound >> -self.shift) + 1 if self.shift < 0 else self.bound


@dataclass(frozen=True, eq=False)
class _Sums:
    """How what arrives at a population is summed.

    Attributes:
        arriving: by projection.
        is_wide: sums need 64 bits.
        wraps: sums wrap at 32 bits.
        up: received = sum << up.
    """

    arriving: tuple[_Arriving, ...]
    is_wide: bool
    wraps: bool
    up: int

    @property
    def largest(self) -> int:
        """Bound of what is received in a step."""
        return sum(each.largest for each in self.arriving)

    def own(self, each: _Arriving) -> bool:
        """Is a projection summed apart: a right shift, or a wrap, acts on its sum alone."""
        return each.shift < 0 or (self.is_wide and each.most > 1 and each.bound >= INT32)


def _sums(program: Program, name: str) -> _Sums:
    arithmetic = program.arithmetic
    synapses = program.into(name)
    if arithmetic.weight_exp_at == "event":
        order = [*program.inputs, *program.neurons]
        synapses = sorted(synapses, key=lambda each: order.index(each.pre))
    arriving = tuple(_arriving(program, each) for each in synapses)
    wraps = arithmetic == GRADED
    by_event = arithmetic.weight_exp_at == "event"  # the engine sums these in 64 bits
    is_wide = by_event or (not wraps and sum(each.bound for each in arriving) >= INT32)
    for each in arriving:
        if wraps and each.shift < 0 and each.most <= 1 and each.bound >= INT32:
            raise UnknownToEngine(f"sums of {each.synapses.name!r} could leave 32 bits")
        if arithmetic.weight_exp_at == "event" and (each.bound >= INT32 or each.shift < 0):
            raise UnknownToEngine(f"events of {each.synapses.name!r} could leave 32 bits")
    sums = _Sums(arriving, is_wide, wraps, 0)
    if arithmetic.weight_exp_at == "event" or not arriving or any(map(sums.own, arriving)):
        return sums
    low = min((each.factor & -each.factor).bit_length() - 1 for each in arriving)
    return _Sums(arriving, is_wide, wraps, low)


def _arriving(program: Program, each: Synapses) -> _Arriving:
    """Return the weights of a projection as integers times a factor, and what they can sum to."""
    _check_ends(program, each)
    weights, factor, late, shift = _factored(each, program.arithmetic)
    most = program.largest_message(each.pre)
    size = most * factor
    bound = _roughly(weights) * size
    if bound >= 1 << 24:
        bound = _row_sums(weights) * size
    if factor >= INT32:
        raise UnknownToEngine(f"weights of {each.name!r} are shifted by {each.exponent}")
    return _Arriving(each, weights, factor, late, shift, most, bound)


def _check_ends(program: Program, each: Synapses) -> None:
    """Refuse weights that end outside their populations: the engine goes where they point."""
    sizes = program.populations[each.post].size, program.populations[each.pre].size
    weights = each.stored
    fits = weights.shape == sizes and each.delay_steps >= 0
    if fits and not isinstance(weights, np.ndarray) and weights.nnz:
        fits = weights.indices.min() >= 0 and weights.indices.max() < sizes[1]
    if not fits:
        raise LoweringError(
            f"the weights of {each.name!r} are {weights.shape}, {each.delay_steps} steps late",
            f"{each.post!r} and {each.pre!r} have {sizes[0]} and {sizes[1]} neurons, and delays "
            "are 0 steps or more",
            "make them (post, pre)",
        )


def _factored(each: Synapses, arithmetic: Arithmetic) -> tuple[Any, int, int, int]:
    """Return (weights, factor, late, right shift): what one spike adds, see `_Arriving`."""
    if arithmetic.weight_exp_at != "synapse":
        late = max(each.exponent, 0)
        return each.stored, each.step << late, late, min(each.exponent, 0)
    mantissa = each.mantissa
    if isinstance(mantissa, np.ndarray):
        return _lowered(
            fixed.effective_weights(mantissa, each.exponent, arithmetic.weight_truncation)
        )
    values = fixed.effective_weights(mantissa.data, each.exponent, arithmetic.weight_truncation)
    weights = mantissa.copy()
    weights.data, *rest = _lowered(values)
    return weights, *rest


def _lowered(values: Array) -> tuple[Array, int, int, int]:
    """Return values over the largest power of two that divides all of them, and that power."""
    bits = int(np.bitwise_or.reduce(values, axis=None)) if values.size else 0
    low = (bits & -bits).bit_length() - 1 if bits else 0
    return (values >> low).astype(np.int32), 1 << low, 0, 0


def _roughly(weights: Any) -> int:
    """Return a bound of the sum of |weights| of any target, without looking at each."""
    if isinstance(weights, np.ndarray):
        return int(weights.shape[1]) * _largest(weights)
    return int(np.diff(weights.indptr).max(initial=0)) * _largest(weights.data)


def _largest(values: Array) -> int:
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def _row_sums(weights: Any) -> int:
    """Return the largest sum of |weights| of a target."""
    if isinstance(weights, np.ndarray):
        sums = np.abs(weights.astype(np.int64)).sum(axis=1)
        return int(sums.max(initial=0))
    total = np.concatenate([[0], np.cumsum(np.abs(weights.data.astype(np.int64)))])
    return int(np.diff(total[weights.indptr]).max(initial=0))


def _projection(
    each: _Arriving, fields: dict[str, Any], numbers: Mapping[str, int], sums: _Sums
) -> dict[str, Any]:
    own = sums.own(each)
    return {
        "pre": numbers[each.synapses.pre],
        "post": numbers[each.synapses.post],
        "delay": each.synapses.delay_steps,
        "stride": 0,
        "is_unsigned": 0,
        "lowest": 0,
        "shift": each.shift + (each.late if own else 0),
        "own_sum": int(own),
        "wraps": int(each.most > 1),
        "factor": fields.pop("sign") * (each.factor >> (each.late if own else sums.up)),
    } | fields


def _population(program: Program, name: str, sums: _Sums, order: Array | None) -> dict[str, Any]:
    """Return the fields of a population."""
    population = program.populations[name]
    cell = population.cell
    sent = [each.delay_steps for each in program.synapses if each.pre == name]
    fields: dict[str, Any] = {
        "kind": INPUT,
        "size": population.size,
        "depth": max([1, *sent]),
        "has_payload": int(carries_values(program, name)),
        "start_step": 0 if cell is None else cell.start_step,
        "slow": program.slow,
        "is_wide": int(sums.is_wide),
        "up": sums.up,
        "wraps": int(sums.wraps),
        "waits": int(cell is not None and "pending" in STEPS[type(cell)].variables),
    }
    if not 0 < population.size < INT32:
        raise UnknownToEngine(f"{name!r} has {population.size} neurons")
    if cell is None:
        return fields
    if type(cell) not in KINDS:
        raise UnknownToEngine(f"it has no {type(cell).__name__} ({name!r})")
    if (KINDS[type(cell)] == XYLO) != (program.arithmetic.weight_exp_at == "event"):
        raise UnknownToEngine(f"the neurons of {name!r} are of another datapath")
    if KINDS[type(cell)] == XYLO and program.arithmetic.state_bits != 16:
        raise UnknownToEngine(f"the neurons of {name!r} have 16 bits")
    largest = None if sums.is_wide else sums.largest
    return fields | cell_fields(cell, program.arithmetic, largest, order)
