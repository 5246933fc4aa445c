"""What must hold of a Program and its slices that come from a file, beside `check`'s rules.

A compiler makes arrays of the right type and length; a file can hold any. An engine in C trusts
what it is given, so every array is measured here against the population that it is for, and every
number against what the datapath can do with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np

from spikeport.compiler.errors import printable
from spikeport.compiler.image import CoreUse, Route, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution
from spikeport.compiler.program import Arithmetic, Cell, CellPopulation, HostTarget, Program
from spikeport.compiler.semantics import CHOICES

LONGEST_NAME = 10_000  # a projection is called after all nodes that were folded into it
MARKUP = set("<>&\"'`")
MOST_STEPS = 1 << 20  # of a lag, a delay, a wait
MOST_NEURONS = (1 << 31) - 1
LARGEST_VALUE = 1 << 40  # of a cell whose parameters are wider than 32 bits
DATAPATHS = {
    "overflow": ("lava", "twos_complement", "saturate", "unlimited"),
    "weight_truncation": ("floor", "zero", "nearest"),
    "weight_exp_at": ("sum", "synapse", "event"),
}
RANGES = {
    "state_bits": (2, 32),
    "weight_shift": (0, 16),
    "decay_bits": (1, 30),
    "start_step": (0, MOST_STEPS),
    "message_bits": (0, 32),
    "message_shift": (0, 31),
    "most_spikes": (1, 1 << 16),
    "exponent": (-31, 31),
    "weight_bits": (1, 32),
    "delay_steps": (0, MOST_STEPS),
    "lag": (0, MOST_STEPS),
    "register": (0, (1 << 31) - 1),
    "slow": (1, MOST_STEPS),
}


def wrong_in_program(program: Program) -> Iterator[str]:
    """Yield what an engine could stumble over; `check`'s own rules come behind these."""
    names = [program.name, *program.populations, *program.outputs]
    for name in (*names, *(each.name for each in program.synapses)):
        plain = name.replace("->", "")  # projections without a node of their own are called so
        if not name.isprintable() or MARKUP & set(plain) or not 0 < len(name) <= LONGEST_NAME:
            yield f"the name {printable(name)[:40]!r} is not safe to print"
            return
    if not program.dt > 0:
        yield f"dt is {program.dt}"
    yield from _wrong_numbers(program, "the program")
    yield from _wrong_datapath(program.arithmetic)
    for name, population in program.populations.items():
        yield from _wrong_population(name, population)
    yield from _wrong_ends(program)


def _wrong_numbers(noun: Any, what: str) -> Iterator[str]:
    """Every field that is a whole number is one that a step can be taken with."""
    for each in fields(noun):
        low, high = RANGES.get(each.name, (0, 0))
        value = getattr(noun, each.name)
        if each.name in RANGES and not low <= value <= high:
            yield f"{each.name} of {what} is {value}, not from {low} to {high}"


def _wrong_datapath(arithmetic: Arithmetic) -> Iterator[str]:
    yield from _wrong_numbers(arithmetic, "the datapath")
    for name, known in DATAPATHS.items():
        if getattr(arithmetic, name) not in known:
            yield f"{name} of the datapath is none of {', '.join(known)}"


def _wrong_population(name: str, population: CellPopulation) -> Iterator[str]:
    """A population has a size, and its cell and its scales are as long."""
    if not 1 <= len(population.shape) <= 32 or min(population.shape) < 1:
        yield f"{name!r} has the shape {str(population.shape)[:60]}"
    elif population.size > MOST_NEURONS or int(np.prod(population.shape, dtype=float)) >> 31:
        yield f"{name!r} has more than {MOST_NEURONS} neurons"
    elif (population.kind == "input") != (population.cell is None):
        yield f"{name!r} is of the kind {population.kind[:40]!r}, which does not fit its cell"
    else:
        for what, array in (("scale", population.scale), ("offset", population.offset)):
            if array.dtype != np.float64 or array.shape not in ((1,), (population.size,)):
                yield f"the {what} of {name!r} has another length"
            elif not np.isfinite(array).all() or (what == "scale" and not array.all()):
                yield f"the {what} of {name!r} holds 0, NaN or infinity"
        if population.cell is not None:
            yield from _wrong_cell(name, population.cell, population.size)


def _wrong_cell(name: str, cell: Any, size: int) -> Iterator[str]:
    yield from _wrong_numbers(cell, repr(name))
    for each in fields(cell):
        value = getattr(cell, each.name)
        if isinstance(value, str) and value not in CHOICES.get(each.name, ()):
            yield f"{each.name} of {name!r} is none of {', '.join(CHOICES.get(each.name, ()))}"
        if not isinstance(value, np.ndarray):
            continue
        if value.shape != (size,) or value.dtype.kind != "i":
            yield f"{each.name} of {name!r} is no row of {size} whole numbers"
        elif value.max() > LARGEST_VALUE or value.min() < -LARGEST_VALUE:
            yield f"{each.name} of {name!r} is larger than {LARGEST_VALUE}"
    if getattr(cell, "message_bits", 0) == 1:
        yield f"messages of {name!r} have one bit, which holds no sign"
    if isinstance(cell, Cell) and abs(cell.bias_mantissa.astype(np.int64)).max() >= 1 << 31:
        yield f"a bias of {name!r} is -2**31"


def _wrong_ends(program: Program) -> Iterator[str]:
    """What names a population names one that is there, of the right kind."""
    neurons = set(program.neurons)
    if not program.outputs:
        yield "nothing is read out"
    if set(program.lags) != set(program.populations):
        yield "not every population has a lag"
    yield from (
        f"the lag of {name!r} is {lag}"
        for name, lag in program.lags.items()
        if not 0 <= lag <= MOST_STEPS
    )
    for each in program.synapses:
        if each.pre not in program.populations or each.post not in neurons:
            yield f"{each.name!r} does not lead from a population to neurons"
            continue
        yield from _wrong_numbers(each, repr(each.name))
        yield from _wrong_weights(each)
        if each.conv is not None:
            sizes = [program.populations[name].size for name in (each.pre, each.post)]
            yield from _wrong_convolution(each.name, each.conv, *sizes)
    for name, host in program.host.items():
        if name not in program.inputs or host.name != name or not set(host.targets) <= neurons:
            yield f"the host does not read {name!r} for neurons"
            continue
        pre = program.populations[name].size
        for post, targets in host.targets.items():
            for target in targets:
                yield from _wrong_target(post, target, program.populations[post].size, pre)


def _wrong_weights(each: Any) -> Iterator[str]:
    if each.sign_mode not in ("mixed", "excitatory", "inhibitory", "signed"):
        yield f"the sign mode of {each.name!r} is {each.sign_mode[:40]!r}"
    if not 0 < each.step < 1 << 31 or each.step & (each.step - 1):
        yield f"the step of {each.name!r} is {each.step}, not a power of two"
    if not hasattr(each.stored, "ndim") or each.stored.ndim != 2:
        yield f"the weights of {each.name!r} are no matrix"


def _wrong_convolution(name: str, conv: Convolution, pre: int, post: int) -> Iterator[str]:
    """A kernel slides over the input in as many places as there are outputs."""
    pairs = (*conv.stride, *conv.dilation, *conv.input_shape, *conv.output_shape, conv.groups)
    channels, *inside = conv.input_shape
    filters, *outside = conv.output_shape
    if min(pairs) < 1 or min(conv.padding) < 0 or max(*pairs, *conv.padding) >> 31:
        yield f"the convolution {name!r} has an extent below 1, or too large"
    elif channels * inside[0] * inside[1] != pre or filters * outside[0] * outside[1] != post:
        yield f"the convolution {name!r} has other maps than its populations"
    elif (
        conv.kernel.ndim != 4
        or conv.kernel.dtype.kind != "i"
        or channels % conv.groups
        or filters % conv.groups
        or conv.kernel.shape[:2] != (filters, channels // conv.groups)
    ):
        yield f"the kernel of {name!r} does not fit its channels"
    else:
        axes = zip(
            inside, conv.kernel.shape[2:], conv.stride, conv.padding, conv.dilation, strict=True
        )
        if outside != [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]:
            yield f"the kernel of {name!r} does not fit its maps"


def _wrong_target(post: str, target: HostTarget, size: int, pre: int) -> Iterator[str]:
    yield from _wrong_numbers(target, f"the current for {post!r}")
    if target.exponent < 0:
        yield f"the exponent of the current for {post!r} is {target.exponent}"
    shape = getattr(target.matrix, "shape", None)
    values: Array = target.matrix.data if hasattr(target.matrix, "indptr") else target.matrix
    if shape != (size, pre) or values.dtype != np.float64:
        yield f"the matrix of the current for {post!r} is not ({size}, {pre}) floats"
        return
    rows = {"offset": target.offset, "gain": target.gain, "keep": target.keep}
    for name, row in rows.items():
        if row.shape != (size,) or row.dtype != np.float64:
            yield f"{name} of the current for {post!r} is no row of {size} floats"
    if not all(np.isfinite(each).all() for each in (values, *rows.values())):
        yield f"the current for {post!r} holds NaN or infinity"


def wrong_in_places(
    program: Program, slices: Sequence[Slice], cores: Sequence[CoreUse]
) -> Iterator[str]:
    """Yield what is wrong with the places of neurons: each has one, on a core that is there."""
    numbers = [-1, *(use.core for use in cores), MOST_NEURONS]
    there = set(numbers[1:-1])
    if any(one >= other for one, other in pairwise(numbers)):
        yield "the cores are not in the order of their numbers"
    held = {name: np.zeros(program.populations[name].size, bool) for name in program.neurons}
    for part in slices:
        here = held.get(part.population)
        who = part.neurons
        if part.core not in there:
            yield f"a slice of {part.population[:40]!r} is on core {part.core}, which is not there"
        elif here is None or who.ndim != 1 or who.dtype != np.int64 or not who.size:
            yield f"a slice holds no neurons of {part.population[:40]!r}"
        elif who.min() < 0 or who.max() >= here.size or (who[1:] <= who[:-1]).any():
            yield f"a slice of {part.population!r} holds neurons that are not there, or twice"
        elif here[who].any():
            yield f"a neuron of {part.population!r} is in two slices"
        else:
            here[who] = True
    yield from (f"a neuron of {name!r} is in no slice" for name in held if not held[name].all())


def wrong_in_routes(
    program: Program, routes: Sequence[Route], cores: Sequence[CoreUse]
) -> Iterator[str]:
    """Yield what is wrong with the axons: they lead from neurons that are to cores that are."""
    there = {use.core for use in cores}
    cores_and_host = np.array([-1, *sorted(there)])
    for route in routes:
        if route.pre not in program.populations or route.target_core not in there:
            yield f"a route leads from {route.pre[:40]!r} to core {route.target_core}"
            continue
        rows = (route.neurons, route.source_cores, route.synapses, route.sparse)
        shape = (route.neurons.size,)
        if any(row.shape != shape or row.dtype.kind != "i" for row in rows):
            yield f"a route from {route.pre!r} has rows of different lengths, or of floats"
        elif not route.neurons.size:
            yield f"a route from {route.pre!r} is empty"
        elif route.neurons.min() < 0 or route.neurons.max() >= program.populations[route.pre].size:
            yield f"a route from {route.pre!r} has neurons that are not there"
        elif not _are_among(route.source_cores, cores_and_host):
            yield f"a route from {route.pre!r} begins at a core that is not there"
        elif min(route.synapses.min(), route.sparse.min()) < 0 or route.synapses.max() >> 31:
            yield f"a route from {route.pre!r} has an impossible number of synapses"


def _are_among(values: Array, known: Array) -> bool:
    """Is every value one of the known ones, which ascend; `np.unique` would import much more."""
    at = np.minimum(np.searchsorted(known, values), known.size - 1)
    return bool((known[at] == values).all())
