"""How weights are held in a chip's integers while they are learned: units, ends, factors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import AvgPool2d, Scale, SumPool2d
from spikeport.compiler.program import Program, Synapses
from spikeport.compiler.quantize.arithmetic import Grid, exponent_of
from spikeport.compiler.quantize.scale import FLOAT32
from spikeport.compiler.quantize.scaled import Scaled
from spikeport.models.training.operators import LEARNED
from spikeport.models.training.simulator import Trainable
from spikeport.models.training.wiring import BiasRoute, Route


@dataclass(frozen=True, eq=False)
class Held:
    """How the weights of one way are held: W' = unit * rint(W' / unit), within -most .. most.

    Attributes:
        unit: step of the grid times 2^exponent, in weight units: one for all, or one for each
            source, (pre,).
        most: largest multiple of the unit, on both sides: one more below would need an exponent
            of its own in the quantizer, which leaves room above too.
        factor: what nodes without parameters multiply a weight by.
    """

    unit: Array
    most: int
    factor: float


def held_weights(
    model: Trainable,
    program: Program,
    clocked: Clocked,
    route: Route,
    own: Sequence[Projection],
    moved: Collection[str],
) -> Held:
    """Return how the weights of a way are held.

    Args:
        model: in floats.
        program: the quantizer's.
        clocked: in the chip's normal form.
        route: the way.
        own: the projections that it became: one, or one for each of its delays.
        moved: `NODE.field` of what will be learned.

    Raises:
        LoweringError: they cannot be rounded one by one, or are not held in one list.
    """
    if not own:
        raise LoweringError(
            f"no weights lead from {route.pre!r} to {route.post!r} over {'+'.join(route.nodes)}",
            "they were joined with those of another way, or are all zero",
            "train in floats: leave out quantize",
        )
    lists = [list_of(program, each) for each in own]
    learned = [
        n for n in route.nodes if LEARNED.get(type(model.net.nodes[n]), ("",))[0] == "weight"
    ]
    pools = (SumPool2d, AvgPool2d)
    last = next((k for k, n in enumerate(route.nodes) if n in learned), len(route.nodes))
    behind = [n for n in route.nodes[last + 1 :] if isinstance(model.net.nodes[n], pools)]
    if len(learned) > 1 or (behind and learned):
        raise LoweringError(
            f"{'+'.join(learned + behind)} are one matrix of weights on the chip",
            "its entries are sums of products, which are rounded as they are",
            "put a neuron between them, or train in floats: leave out quantize",
        )
    if not any(f"{name}.weight" in moved for name in learned):
        return as_it_is(program, clocked, own, factor_of(model, route.nodes))
    units = np.asarray([_unit(each) for each in lists])
    unit: Array = units[0]
    if (units != units[0]).any():  # one list for each delay, so one for each source
        unit = np.full(model.clocked.populations[route.pre].size, units[0])
        for each, value in zip(own, units, strict=True):
            unit[np.unique(each.matrix.nonzero()[1])] = value
    return Held(unit, _most(lists[0]), factor_of(model, route.nodes))


def as_it_is(program: Program, clocked: Clocked, own: Sequence[Projection], factor: float) -> Held:
    """Return how weights that nobody moves are held: as the quantizer will, at the same scales.

    It chose exponents and scales together, and may have cut a weight off; given the scales, it
    takes the smallest exponent that holds all weights (`trained_scales`).

    Raises:
        LoweringError: they have several exponents.
    """
    found: set[tuple[int, int]] = set()
    for each in own:
        synapses = list_of(program, each)
        grid = _grid(synapses)
        if synapses.sign_mode not in ("signed", "mixed"):  # weights of one sign need no bit for it
            step = 1 << (8 - synapses.weight_bits)
            grid = Grid(synapses.sign_mode, synapses.weight_bits, 0, 256 - step, step)
        gain = gain_of(program, clocked, each.post)
        exponent = exponent_of(Scaled(each.matrix, gain).largest * (1 - FLOAT32), grid)
        found.add((grid.step << exponent, grid.high // grid.step))
    if len(found) > 1:
        raise LoweringError(
            f"the weights from {own[0].pre!r} to {own[0].post!r} have {len(found)} exponents",
            "nobody learns them, and those of each delay are of another size",
            "learn them too, or give all of them one delay",
        )
    unit, most = found.pop()
    return Held(np.asarray(float(unit)), most, factor)


def gain_of(program: Program, clocked: Clocked, post: str) -> Array:
    """Return weight units per unit of what arrives at a population, (n,)."""
    scale = program.populations[post].scale / (1 << program.arithmetic.weight_shift)
    cell: Any = clocked.populations[post].cell
    return np.asarray(cell.gain_u * cell.gain_v * scale)


def held_bias(
    model: Trainable,
    program: Program,
    bias: BiasRoute,
    own: Sequence[Projection],
    weights: Sequence[Held],
) -> Held:
    """Return how a bias is held: as the quantizer did, or as `weights` beside it if it was 0."""
    lists = [list_of(program, each) for each in own]
    units = [_unit(each) for each in lists] or [float(np.max(each.unit)) for each in weights]
    most = max([_most(each) for each in lists] or [each.most for each in weights])
    return Held(np.asarray(min(units)), most, factor_of(model, bias.nodes))


def list_of(program: Program, projection: Projection) -> Synapses:
    """Return the one list that holds a projection's weights.

    Raises:
        LoweringError: there are several, or their exponent is negative.
    """
    found = [s for s in program.synapses
             if s.projection == projection.name and s.post == projection.post]  # fmt: skip
    if len(found) != 1 or found[0].exponent < 0:
        raise LoweringError(
            f"the weights of {projection.name!r} are held in {len(found)} lists",
            "the trainer rounds each weight by itself, to one list",
            "quantize with plain bits: weights: '8'",
        )
    return found[0]


def _grid(synapses: Synapses) -> Grid:
    """Return the grid of weights of both signs: a weight may change its own while it learns."""
    if synapses.sign_mode == "signed":
        high = (1 << (synapses.weight_bits - 1)) - 1
        return Grid("signed", synapses.weight_bits, -high - 1, high)
    step = 1 << (9 - synapses.weight_bits)
    return Grid("mixed", synapses.weight_bits, -256, 256 - step, step)


def _unit(synapses: Synapses) -> float:
    return float(_grid(synapses).step << synapses.exponent)


def _most(synapses: Synapses) -> int:
    grid = _grid(synapses)
    return grid.high // grid.step


def factor_of(model: Trainable, nodes: Sequence[str]) -> float:
    """Return what the nodes without weights multiply by, where that is one number."""
    factor = 1.0
    for name in nodes:
        node = model.net.nodes[name]
        if isinstance(node, AvgPool2d):
            factor /= node.kernel_size[0] * node.kernel_size[1]
        elif isinstance(node, Scale):
            if np.ptp(node.scale):
                raise LoweringError(
                    f"{name!r} multiplies each element by a number of its own",
                    "the trainer rounds weights behind one common factor",
                    f"fold {name!r} into the weights",
                )
            factor *= float(node.scale.ravel()[0])
    return factor
