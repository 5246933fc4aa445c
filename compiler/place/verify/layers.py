"""Verify an Image on cores that hold a layer each (Speck), or a share of one (Akida)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from spikeport.compiler.fabric import Layers
from spikeport.compiler.figure import Row
from spikeport.compiler.image import CoreUse, Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.verify.counts import cells_of, synapses_in_slices
from spikeport.compiler.place.verify.kernels import wrong_kernel
from spikeport.compiler.place.verify.routes import wrong_routes


def wrong_on_layers(image: Image) -> Iterator[str]:
    """Yield what is wrong; the slices are right."""
    wrong = [*_wrong_outline(image)]
    yield from wrong
    if wrong:
        return
    for name, layer in image.plan.layers.items():
        yield from _wrong_geometry(image, name, layer)
        yield from wrong_kernel(image, name, layer)
    for use in image.cores:
        yield from _wrong_use(image, use)
    nowhere = [np.zeros(len(image.slices), bool)] * len(image.program.synapses)
    yield from wrong_routes(image, synapses_in_slices(image), nowhere)


def _core(image: Image) -> Layers:
    if not isinstance(image.chip.core, Layers):
        raise TypeError(f"{image.chip.name} is not built of layers")
    return image.chip.core


def _populations(image: Image) -> list[str]:
    """Return the populations that are layers: all but those that stand for biases."""
    held = image.program.populations
    return [name for name in image.program.neurons if held[name].kind != "constant"]


def _wrong_outline(image: Image) -> Iterator[str]:
    names, layers = _populations(image), image.plan.layers
    if set(layers) != set(names):
        yield f"the layers are {sorted(names)}, not {sorted(layers)}"
        return
    on_core: dict[int, str] = {}
    for part in image.slices:
        if part.population not in layers:
            continue
        if part.core in on_core:
            yield f"core {part.core} holds {on_core[part.core]!r} and {part.population!r}"
        on_core[part.core] = part.population
        size = image.program.populations[part.population].size
        channels = layers[part.population].after[0]
        if _core(image).weight_bytes is None:
            if part.neurons.size != size:
                yield f"{part.population!r} is not on one core"
        elif channels and size % channels == 0:
            numbers = np.unique(part.neurons // (size // channels))
            if numbers.size * (size // channels) != part.neurons.size:
                yield f"core {part.core} holds a part of a channel of {part.population!r}"
    for use in image.cores:
        if use.core not in on_core:
            yield f"core {use.core} holds no layer"
    left = {name: set(layer.sources) & set(layers) for name, layer in layers.items()}
    while left:
        free = {name for name, before in left.items() if not before & set(left)}
        if not free:
            yield f"{sorted(left)} are in a loop"
            return
        left = {name: before for name, before in left.items() if name not in free}


def _wrong_geometry(image: Image, name: str, layer: Any) -> Iterator[str]:
    """Compare a layer with the extents that the chip allows."""
    core, window = _core(image), layer.window
    size = image.program.populations[name].size
    if prod(layer.after) != size:
        yield f"{name!r} has {size} neurons, its layer {' x '.join(map(str, layer.after))}"
    if layer.dense:
        limits = [("inputs", layer.before[0], core.dense_inputs)]
    else:
        limits = [
            ("rows of kernel", window.kernel[0], core.kernel),
            ("columns of kernel", window.kernel[1], core.kernel),
            ("rows of padding", window.padding[0], core.padding),
            ("columns of padding", window.padding[1], core.padding),
        ]
        if core.square_kernel and window.kernel[0] != window.kernel[1]:
            yield f"the kernel of {name!r} is not square"
        for stride in window.stride:
            if core.stride is not None and stride not in core.stride.values:
                yield f"{name!r} has the stride {stride}, which the chip has not"
    for what, figure, limit in (
        *limits,
        ("input channels", layer.before[0], None if layer.dense else core.channels),
        ("rows of input", layer.before[1], core.input_height),
        ("columns of input", layer.before[2], core.input_width),
        ("channels", layer.after[0], core.channels),
        ("rows of output", layer.after[1], core.output_height),
        ("columns of output", layer.after[2], core.output_width),
    ):
        if limit is not None and figure > limit.value:
            yield f"{name!r} has {figure} {what}, the limit is {limit.value}"
    for source, pooling in layer.sources.items():
        if core.pooling is not None and pooling not in (1, *core.pooling.values):
            yield f"{source!r} is pooled by {pooling} for {name!r}, which the chip cannot"
    cell = image.program.populations[name].cell
    if core.thresholds is not None and cell is not None:
        different = np.unique(cell.v_threshold).size
        if different > core.thresholds.value:
            yield f"{name!r} has {different} thresholds, the limit is {core.thresholds.value}"


def _wrong_use(image: Image, use: CoreUse) -> Iterator[str]:
    """Compare what a core is said to hold with the formulae, and with its memories."""
    core = _core(image)
    part = next(p for p in image.slices if p.core == use.core and p.population in image.plan.layers)
    name, layer = part.population, image.plan.layers[part.population]
    into = [each for each in image.program.synapses if each.post == name]
    held: dict[str, int] = {"neurons": part.neurons.size}
    taps = layer.window.kernel[0] * layer.window.kernel[1]
    channels_in, height, width = layer.before
    channels, rows, columns = layer.after
    if core.weight_bytes is not None:
        here = part.neurons.size // (rows * columns)
        bits = max((each.weight_bits for each in into), default=layer.weight_bits)
        held["weight_bytes"] = _bytes(channels_in * taps * here * bits)
        held["input_bytes"] = _bytes(channels_in * height * width)
    else:
        held["kernel_entries"] = channels_in * _power(taps) * _power(channels)
        held["neuron_entries"] = channels * _power(rows) * _power(columns)
        held["bias_entries"] = channels if _has_bias(image, name) else 0
    if core.destinations is not None:
        held["destinations"] = len({s.post for s in image.program.synapses if s.pre == name})
    for resource, figure in held.items():
        limit = None if resource == "neurons" else _limit(image, resource, use.core)
        told = use.held.get(resource)
        if told != (figure, limit):
            yield f"core {use.core} holds {figure} {resource} of {limit}, it is told {told}"
        if limit is not None and figure > limit:
            yield f"core {use.core} holds {figure} {resource}, the limit is {limit}"
    synapses = sum(_in(cells_of(each)[0], part.neurons) for each in into)
    if use.synapses != synapses:
        yield f"core {use.core} holds {synapses} synapses, its description says {use.synapses}"


def _has_bias(image: Image, name: str) -> bool:
    constant = [n for n, pop in image.program.populations.items() if pop.kind == "constant"]
    return any(
        cells_of(each)[0].size > 0
        for each in image.program.synapses
        if each.post == name and each.pre in constant
    )


def _limit(image: Image, resource: str, core: int) -> int | None:
    stated = getattr(image.chip.core, resource)
    if not isinstance(stated, Row):
        return None if stated is None else int(stated.value)
    each = stated.values
    return each[0] if len(each) == 1 else each[core % len(each)]


def _in(post: Array, neurons: Array) -> int:
    return int(np.count_nonzero(np.isin(post, neurons)))


def _power(number: int) -> int:
    """Return 2^ceil(log2(number))."""
    power = 1
    while power < number:
        power *= 2
    return power


def _bytes(bits: int) -> int:
    return (bits + 7) // 8
