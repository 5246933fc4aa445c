"""Is a layer's convolution, as it is told, the weights of the Program? For the verifier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.verify.counts import cells_of


def wrong_kernel(image: Image, name: str, layer: Any) -> Iterator[str]:
    """Yield what is wrong: sources, extents, synapses outside the kernel, or different in a tap."""
    program = image.program
    constant = [n for n, pop in program.populations.items() if pop.kind == "constant"]
    into = [each for each in program.synapses if each.post == name]
    sources = {each.pre for each in into if each.pre not in constant} - set(program.host)
    if set(layer.sources) != sources:
        yield f"{name!r} reads {sorted(sources)}, its layer {sorted(layer.sources)}"
        return
    if _bias_differs(image, name, layer, constant):
        yield f"the bias of {name!r} is not one for each channel"
    if not sources:
        return
    if not layer.dense and _extents(layer) != tuple(layer.after[1:]):
        yield f"the window of {name!r} gives {_extents(layer)}, the layer is {layer.after[1:]}"
        return
    channels, before = layer.after[0], layer.before
    kernel = np.zeros((channels, before[0], *layer.window.kernel), np.int64)
    for source, pooling in layer.sources.items():
        shape = _map_of(image, source, layer, pooling)
        if shape is None:
            yield f"{source!r} is no {before} for {name!r} when it is pooled by {pooling}"
            return
        wrong, found = _kernel_of(image, source, name, layer, shape)
        if wrong:
            yield f"a synapse from {source!r} to {name!r} {wrong}"
            return
        if kernel.any() and not np.array_equal(found, kernel):
            yield f"{name!r} has another kernel for {source!r}"
        kernel = found


def _extents(layer: Any) -> tuple[int, int]:
    """Return rows and columns of what a window leaves."""
    rows, columns = (
        (before + 2 * padding - kernel) // stride + 1
        for before, padding, kernel, stride in zip(
            layer.before[1:],
            layer.window.padding,
            layer.window.kernel,
            layer.window.stride,
            strict=True,
        )
    )
    return rows, columns


def _map_of(image: Image, source: str, layer: Any, pooling: int) -> tuple[int, int, int] | None:
    """Return the source's channels, rows and columns; None where they are not the layer's."""
    size = image.program.populations[source].size
    if layer.before == (size, 1, 1) and pooling == 1:
        return size, 1, 1
    if source in image.plan.layers:
        channels, rows, columns = image.plan.layers[source].after
    else:
        shape = image.program.populations[source].shape
        channels, rows, columns = {1: (*shape, 1, 1), 2: (shape[0], 1, shape[-1])}.get(
            len(shape), shape
        )
    fits = (channels, rows // pooling, columns // pooling) == tuple(layer.before)
    return (channels, rows, columns) if fits and size == channels * rows * columns else None


def _kernel_of(
    image: Image, source: str, name: str, layer: Any, shape: tuple[int, int, int]
) -> tuple[str, Array]:
    """Return (what is wrong, or "", and the kernel) of all that one source sends."""
    pooling, window = layer.sources[source], layer.window
    kernel = np.zeros((layer.after[0], layer.before[0], *window.kernel), np.int64)
    post, pre, weight = _together(image, source, name)
    if post.size == 0:
        return "", kernel
    half = 1 << (image.chip.limits.weight_bits.whole - 1)
    if weight.min() < -half or weight.max() >= half:
        bits = image.chip.limits.weight_bits.whole
        return f"is {weight.min()} to {weight.max()} in all and does not fit {bits} bits", kernel
    channel, row, column = np.unravel_index(pre, shape)
    f, y, x = np.unravel_index(post, layer.after)
    down = row // pooling - y * window.stride[0] + window.padding[0]
    right = column // pooling - x * window.stride[1] + window.padding[1]
    inside = (down >= 0) & (down < window.kernel[0]) & (right >= 0) & (right < window.kernel[1])
    inside &= (row // pooling < layer.before[1]) & (column // pooling < layer.before[2])
    if not inside.all():
        return "is outside the window", kernel
    kernel[f, channel, down, right] = weight
    if (kernel[f, channel, down, right] != weight).any():
        return "has another weight than its tap", kernel
    met = np.outer(*(_meetings(layer, axis) for axis in (0, 1)))
    used = kernel != 0
    if int((used * met).sum()) * pooling * pooling != post.size:
        return "is missing at a place of its tap", kernel
    return "", kernel


def _together(image: Image, source: str, name: str) -> tuple[Array, Array, Array]:
    """Return the cells of all projections between two populations, each once, with their sums."""
    width = image.program.populations[source].size
    parts = [
        cells_of(each) for each in image.program.synapses if (each.pre, each.post) == (source, name)
    ]
    post, pre, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    cells, place = np.unique(post.astype(np.int64) * width + pre, return_inverse=True)
    sums = np.zeros(cells.size, np.int64)
    np.add.at(sums, place.ravel(), weight)
    cells, sums = cells[sums != 0], sums[sums != 0]
    return cells // width, cells % width, sums


def _meetings(layer: Any, axis: int) -> Array:
    """Return, per tap along an axis, at how many outputs it lies inside the map."""
    window, before = layer.window, layer.before[1 + axis]
    outputs = np.arange(layer.after[1 + axis])[:, None] * window.stride[axis]
    place = outputs + np.arange(window.kernel[axis]) - window.padding[axis]
    return np.asarray(((place >= 0) & (place < before)).sum(axis=0))


def _bias_differs(image: Image, name: str, layer: Any, constant: list[str]) -> bool:
    bias = np.zeros(image.program.populations[name].size, np.int64)
    for each in image.program.synapses:
        if each.post == name and each.pre in constant:
            post, _, weight = cells_of(each)
            np.add.at(bias, post, weight)
    by_channel = bias.reshape(layer.after[0], -1)
    return bool((by_channel != by_channel[:, :1]).any())
