"""A Program as layers that cores can hold, and what keeps it from being that.

A population with three extents is a stack of maps as long as its weights are a convolution;
else, and with one extent, each neuron is a channel of its own, and its layer is dense. An input
may be channels for a dense layer and maps for another: the host addresses each core by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import Violation
from spikeport.compiler.fabric import Layers
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Shape
from spikeport.compiler.place.layers.memory import WORDS, Layer, entries_of, input_bytes
from spikeport.compiler.place.layers.shape import (
    ANY,
    Allowed,
    Distances,
    Map,
    Window,
    distances_of,
    pooled,
    pools,
    window_of,
)
from spikeport.compiler.program import Program

OBLONG = Allowed(ANY.strides, ANY.padding, square=False)

Found = list[Violation | str]


@dataclass(frozen=True, eq=False)
class Arriving:
    """Everything that one population sends to another."""

    source: str
    shape: Map
    matrix: sp.csr_matrix


def layers_of(program: Program, chip: Chip, core: Layers, found: Found) -> dict[str, Layer]:
    """Return the layer that each population of neurons is, in the order in which spikes pass.

    Args:
        program: feed-forward; the constant population is the layers' bias entries.
        chip: for its name.
        core: what a core can do.
        found: gets every limit that a layer breaks by itself, but for those of memory.
    """
    names, loop = _in_order(program)
    if loop:
        found.append(
            f"{' -> '.join(loop)} is a loop: the cores of {chip.name} hold layers that feed "
            "forward: leave it out, or choose a chip with loops: --chip loihi1"
        )
        return {}
    for name in program.host:
        found.append(
            f"{name!r} is a current: the neurons of {chip.name} take spikes alone: encode it "
            "(encode='rate'), or let a layer of neurons send it"
        )
    maps = {name: _map(program.populations[name].shape) for name in program.inputs}
    layers: dict[str, Layer] = {}
    for name in names:
        arriving, biases = _arriving(program, name, maps)
        layers[name] = _layer(program, name, arriving, biases, chip, core, found)
        found += _thresholds(program, name, core)
        maps[name] = layers[name].after
    if core.destinations is not None:
        found += _too_far(program, layers, core.destinations.whole)
    return layers


def constants(program: Program) -> list[str]:
    """Return the populations that stand for "one, in every step"."""
    return [name for name, pop in program.populations.items() if pop.kind == "constant"]


def readers(program: Program, name: str) -> list[str]:
    """Return the populations that a population sends to."""
    return list(dict.fromkeys(each.post for each in program.synapses if each.pre == name))


def _in_order(program: Program) -> tuple[list[str], list[str]]:
    """Return (neurons so that senders come first, []) or ([], a loop)."""
    neurons = [name for name in program.neurons if name not in constants(program)]
    before = {
        name: [each.pre for each in program.into(name) if each.pre in neurons] for name in neurons
    }
    try:
        return list(TopologicalSorter(before).static_order()), []
    except CycleError as error:
        return [], [*error.args[1]]


def _map(shape: Shape) -> Map:
    """Return a shape as channels, rows and columns; what has none of these is channels."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    return int(np.prod(shape)), 1, 1


def _arriving(program: Program, name: str, maps: Mapping[str, Map]) -> tuple[list[Arriving], Array]:
    """Return what each source sends to a population, and its bias, (n,)."""
    bias = np.zeros(program.populations[name].size, np.int64)
    matrices: dict[str, sp.csr_matrix] = {}
    for each in program.into(name):
        rows = each.rows.astype(np.int64)
        if program.populations[each.pre].kind == "constant":
            bias += np.asarray(rows.sum(axis=1)).ravel()
        elif each.pre not in program.host:
            matrices[each.pre] = matrices[each.pre] + rows if each.pre in matrices else rows
    made = [Arriving(pre, maps[pre], matrix) for pre, matrix in matrices.items()]
    return made, bias


def _layer(
    program: Program,
    name: str,
    arriving: list[Arriving],
    bias: Array,
    chip: Chip,
    core: Layers,
    found: Found,
) -> Layer:
    """Return the layer of a population; the one that breaks no limit, if there is one."""
    pop = program.populations[name]
    flat = (pop.size, 1, 1)
    shapes = [_map(pop.shape)]
    if core.channels is None or pop.size <= core.channels.whole:
        shapes.append(flat)
    ways = [(arriving, after) for after in dict.fromkeys(shapes)]
    if any(each.source in program.inputs for each in arriving) and flat in shapes:
        ways.append(([_as_channels(each, program) for each in arriving], flat))
    tried: list[tuple[int, Layer, Found]] = []
    for seen, after in ways:
        for layer in _candidates(program, name, seen, after, bias, core):
            wrong = [*_beyond(layer, seen, chip, core), *_channel_wise(layer, bias)]
            tried.append((len(wrong) + _too_large(layer, core), layer, wrong))
            if tried[-1][0] == 0:
                return layer
    if not tried:
        found.append(_unlike(name, arriving))
        return Layer(name, {}, flat, flat, Window((1, 1), (1, 1), (0, 0)), 0, 1)
    _, layer, wrong = min(tried, key=lambda each: each[0])
    found += wrong
    return layer


def _as_channels(each: Arriving, program: Program) -> Arriving:
    """Return an input with a channel for each of its neurons: the host addresses as it likes."""
    if each.source not in program.inputs:
        return each
    return replace(each, shape=(program.populations[each.source].size, 1, 1))


def _too_large(layer: Layer, core: Layers) -> bool:
    """Is a layer larger than the largest of some memory."""
    rows = {name: getattr(core, name) for name in WORDS}
    used = entries_of(layer)
    return any(row is not None and used[name] > max(row.values) for name, row in rows.items())


def _thresholds(program: Program, name: str, core: Layers) -> Found:
    """Return what is wrong with a layer's thresholds, and the floors that go with them."""
    cell = program.populations[name].cell
    levels = () if cell is None else (cell.v_threshold, cell.v_min)
    kinds = np.unique(np.stack(levels), axis=1).shape[1] if levels else 1
    if core.thresholds is None or kinds <= core.thresholds.whole:
        return []
    fix = "give the layer one threshold and scale its weights instead"
    return [Violation(repr(name), "different thresholds", kinds, core.thresholds.whole, fix)]


def _candidates(
    program: Program,
    name: str,
    arriving: list[Arriving],
    after: Map,
    bias: Array,
    core: Layers,
) -> Iterator[Layer]:
    """Yield every layer that a population with these maps could be, allowed ones first."""
    bits = max((each.weight_bits for each in program.into(name)), default=1)
    biases = after[0] if bias.any() else 0
    if not arriving:
        yield Layer(name, {}, (1, 1, 1), after, Window((1, 1), (1, 1), (0, 0)), biases, bits)
        return
    padding = ANY.padding if core.padding is None else core.padding.whole
    strides = ANY.strides if core.stride is None else core.stride.values
    sizes = (1, 2, 3, 4) if core.pooling is None else core.pooling.values
    dense = core.dense_inputs is not None and after[1:] == (1, 1)
    limited = OBLONG if dense else Allowed(strides, padding, core.square_kernel)
    others = (ANY,) if core.square_kernel else ()
    found = [dict(pools(each.matrix, each.shape, sizes)) for each in arriving]
    shapes: list[tuple[dict[str, int], Map, list[Distances]]] = []
    for size in sorted({1, *sizes}, reverse=True):
        joined = _alike([_pooled(e, size, sums) for e, sums in zip(arriving, found, strict=True)])
        if joined is None or joined[0] in [sources for sources, _, _ in shapes]:
            continue
        sources, matrix, before = joined
        shapes.append((sources, before, distances_of(matrix, before, after)))
        allowed_one = window_of(shapes[-1][2], limited)
        if allowed_one is not None:
            yield Layer(name, sources, before, after, allowed_one, biases, bits, dense)
    for allowed in (*others, OBLONG):
        for sources, before, distances in shapes:
            made = window_of(distances, allowed)
            if made is not None:
                yield Layer(name, sources, before, after, made, biases, bits, dense)


Pooled = tuple[Arriving, sp.csr_matrix, int, Map]


def _pooled(each: Arriving, most: int, sums: Mapping[int, Map]) -> Pooled:
    """Return what arrives behind the largest of its sum pools that has at most `most` rows."""
    size = max(size for size in sums if size <= most)
    return each, pooled(each.matrix, each.shape, size), size, sums[size]


def _alike(parts: list[Pooled]) -> tuple[dict[str, int], sp.csr_matrix, Map] | None:
    """Return (source -> pooling, matrix, map before it) where one kernel serves all sources."""
    _, matrix, _, before = parts[0]
    for _, other, _, shape in parts[1:]:
        if shape != before or (other != matrix).nnz:
            return None
    return {each.source: size for each, _, size, _ in parts}, matrix, before


def _unlike(name: str, arriving: list[Arriving]) -> str:
    """Say why a population is no layer."""
    if len(arriving) > 1:
        senders = " and ".join(repr(each.source) for each in arriving)
        return (
            f"{name!r} has different weights from {senders}: a core has one kernel for all that "
            "it hears: give them the same weights and maps of one size"
        )
    return (
        f"the weights from {arriving[0].source!r} to {name!r} are no convolution with a stride "
        "of at most 16: use a convolution or a dense layer"
    )


def _channel_wise(layer: Layer, bias: Array) -> Found:
    """Return what is wrong with a bias: a core has one entry for each channel."""
    by_channel = bias.reshape(layer.after[0], -1)
    if np.ptp(by_channel, axis=1).any():
        return [
            f"the bias of {layer.name!r} differs within a channel: a core has one for each "
            "channel: give all neurons of a channel the same bias"
        ]
    return []


def _beyond(layer: Layer, arriving: list[Arriving], chip: Chip, core: Layers) -> Found:
    """Return the limits of geometry that a layer breaks."""
    window, name = layer.window, repr(layer.name)
    found: Found = []
    senders = " and ".join(repr(each.source) for each in arriving)
    if layer.dense:
        _above(found, name, "inputs", int(np.prod(layer.before)), core.dense_inputs,
               f"let {senders} be at most {{limit}} neurons, or pool it")  # fmt: skip
    else:
        size = max(window.kernel)
        whole = layer.after[1:] == (1, 1) and size >= max(layer.before[1:]) > 1
        fix = f"bring the map of {senders} down to {{limit}} x {{limit}} or less (pool it)"
        _above(found, name, "rows of kernel", size, core.kernel,
               fix if whole else "use a kernel of at most {limit} x {limit}")  # fmt: skip
        if whole and layer.before[1] != layer.before[2]:
            found += _oblong(layer, senders, chip, core)
        else:
            _above(found, name, "rows of padding", max(window.padding), core.padding,
                   "pad by at most {limit}")  # fmt: skip
            if core.square_kernel and window.kernel[0] != window.kernel[1]:
                rows, columns = window.kernel
                found.append(
                    f"the kernel of {name} is {rows} x {columns}: {chip.name} has square ones: "
                    "use a square kernel"
                )
        if core.stride is not None:
            found += _stride(name, window, core.stride.values, chip)
    _above(found, name, "input channels", layer.before[0], core.channels,
           f"let {senders} have at most {{limit}} channels")  # fmt: skip
    _above(found, name, "rows of input", layer.before[1], core.input_height,
           "use inputs of at most {limit} rows, or pool them")  # fmt: skip
    _above(found, name, "columns of input", layer.before[2], core.input_width,
           "use inputs of at most {limit} columns, or pool them")  # fmt: skip
    _above(found, name, "channels", layer.after[0], core.channels, "use at most {limit} channels")
    _above(found, name, "rows of output", layer.after[1], core.output_height,
           "use a stride of 2 or smaller inputs, so that {limit} rows are left")  # fmt: skip
    _above(found, name, "columns of output", layer.after[2], core.output_width,
           "use a stride of 2 or smaller inputs, so that {limit} columns are left")  # fmt: skip
    if core.input_bytes is not None:
        fits = core.input_bytes.whole * 8 // (layer.before[1] * layer.before[2])
        _above(found, name, "bytes of input memory", input_bytes(layer, 1), core.input_bytes,
               f"let {senders} have at most {fits} channels, or pool it")  # fmt: skip
    return found


def _oblong(layer: Layer, senders: str, chip: Chip, core: Layers) -> Found:
    """Return what is wrong where no square kernel covers the map before a dense layer."""
    window = layer.window
    square = window.kernel[0] == window.kernel[1] or not core.square_kernel
    if square and (core.padding is None or max(window.padding) <= core.padding.whole):
        return []
    rows, columns = layer.before[1:]
    return [
        f"the dense layer {layer.name!r} reads a map of {rows} x {columns} from {senders}: "
        f"{chip.name} has square kernels alone: let the map be a square of {min(rows, columns)} x "
        f"{min(rows, columns)}"
    ]


def _stride(name: str, window: Window, values: tuple[int, ...], chip: Chip) -> Found:
    wrong = [stride for stride in window.stride if stride not in values]
    if not wrong:
        return []
    near = min(values, key=lambda value: abs(value - wrong[0]))
    allowed = ", ".join(map(str, values))
    return [f"{name} has the stride {wrong[0]}: {chip.name} has {allowed}: use the stride {near}"]


def _above(found: Found, name: str, what: str, figure: int, limit: object, fix: str) -> None:
    """Add a violation where a figure is above a limit that there is."""
    most = getattr(limit, "whole", None)
    if most is not None and figure > most:
        found.append(Violation(name, what, figure, most, fix.format(limit=most)))


def _too_far(program: Program, layers: Mapping[str, Layer], limit: int) -> Found:
    """Return the layers that send to more layers than a core can address."""
    found: Found = []
    for name in layers:
        reached = len(readers(program, name))
        if reached > limit:
            found.append(
                Violation(repr(name), "layers that it sends to", reached, limit,
                          f"let it send to {limit} at most: repeat the layer for the others")
            )  # fmt: skip
    return found
