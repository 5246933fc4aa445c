"""Kernels and pools that fit only when they are read in another way; found by trying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from spikeport.compiler.errors import SpikeportError
from spikeport.compiler.load.mend import Change, Edit, Place, apply, places
from spikeport.compiler.load.nir import network_of

#: How other tools order the axes of a kernel -> the order that makes it NIR's (out, in, ...).
ORDERS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "Linear": {"(inputs, outputs)": (1, 0)},
    "Affine": {"(inputs, outputs)": (1, 0)},
    "Conv1d": {"(in, out, width)": (1, 0, 2), "(width, in, out)": (2, 1, 0)},
    "Conv2d": {
        "(in, out, height, width)": (1, 0, 2, 3),
        "(height, width, in, out)": (3, 2, 0, 1),
        "(out, height, width, in)": (0, 3, 1, 2),
    },
}
MOST_TRIES = 40
#: Elements of all arrays together that the tries may convert.
MOST_WORK = 400_000_000


def mend_layout(tree: Mapping[str, Any]) -> list[Change]:
    """Return changes after which the loader takes a tree that it refuses as it is.

    Tried are kernels with their axes in other orders, then pools whose stride is their kernel's
    size. More than one way that works is a guess between them, so none is returned.
    """
    tries = max(2, min(MOST_TRIES, MOST_WORK // max(1, _elements(tree))))
    for candidates in (_transposed(tree), _pools(tree)):
        working: list[list[Change]] = []
        for changes in candidates:
            tries -= 1
            if tries < 0:
                return []
            if _fits(apply(tree, changes)):
                working.append(changes)
        if working:
            return working[0] if len(working) == 1 else []
    return []


def _fits(tree: Mapping[str, Any]) -> bool:
    try:
        network_of("", tree)
    except SpikeportError:
        return False
    return True


def _elements(tree: Mapping[str, Any]) -> int:
    """Return how much there is to convert in one try; a value costs some 1000 elements."""
    return sum(
        1000 + value.size
        for place in places(tree)
        for node in place.nodes.values()
        for value in node.values()
        if isinstance(value, np.ndarray)
    )


def _kernels(tree: Mapping[str, Any], types: tuple[str, ...]) -> list[tuple[Place, str, Any]]:
    return [
        (place, name, node["weight"])
        for place in places(tree)
        for name, node in place.nodes.items()
        if node.get("type") in types
        and isinstance(node.get("weight"), np.ndarray)
        and node["weight"].ndim == len(next(iter(ORDERS[str(node["type"])].values())))
    ]


def _transposed(tree: Mapping[str, Any]) -> Iterator[list[Change]]:
    """Yield ways of reading the kernels: all dense ones, all convolutions of a rank, or one.

    A tool orders the axes of all its kernels alike, so kernels whose shape does not tell are
    turned with the others; then the whole is a guess.
    """
    dense = _kernels(tree, ("Linear", "Affine"))
    flat, images = _kernels(tree, ("Conv1d",)), _kernels(tree, ("Conv2d",))
    seen: list[set[tuple[str, str]]] = []
    every = [(dense, ORDERS["Linear"]), (flat, ORDERS["Conv1d"]), (images, ORDERS["Conv2d"])]
    whole = [
        [(kernels, word, order) for word, order in orders.items()]
        for kernels, orders in every
        if kernels
    ]
    choices = [list(each) for each in product(*([None, *group] for group in whole))]
    choices += [
        [([kernel], word, order)]
        for kernels, orders in every
        if len(kernels) > 1
        for kernel in kernels
        for word, order in orders.items()
    ]
    for choice in choices:
        turned = [each for each in choice if each is not None]
        changed = {
            (place.prefix + name, word)
            for kernels, word, order in turned
            for place, name, weight in kernels
            if weight.transpose(order).shape != weight.shape
        }
        if not changed or changed in seen:
            continue
        seen.append(changed)
        yield [
            _turned(place, name, weight, word, order, len(kernels))
            for kernels, word, order in turned
            for place, name, weight in kernels
        ]


def _turned(
    place: Place, name: str, weight: Any, word: str, order: tuple[int, ...], kernels: int
) -> Change:
    shape = weight.transpose(order).shape
    unclear = shape == weight.shape
    return Change(
        "transpose",
        place.prefix + name,
        f"a weight of shape {list(weight.shape)}, which is {word}",
        f"its weight has shape {list(shape)}",
        f"its shape does not tell, but the other {kernels - 1} of its kind fit only so"
        if unclear
        else "the graph fits in no other order of the axes",
        (Edit(place.at(name, "weight"), np.ascontiguousarray(weight.transpose(order))),),
        guess=unclear,
        severity="error",
    )


def _pools(tree: Mapping[str, Any]) -> Iterator[list[Change]]:
    """Yield the way of reading all pools of stride 1 with their kernel's size as stride."""
    changes = []
    for place in places(tree):
        for name, node in place.nodes.items():
            kernel, stride = node.get("kernel_size"), node.get("stride")
            if node.get("type") not in ("SumPool2d", "AvgPool2d"):
                continue
            if not isinstance(kernel, np.ndarray) or not isinstance(stride, np.ndarray):
                continue
            if stride.dtype.kind != "i" or (stride != 1).any() or np.array_equal(kernel, stride):
                continue
            changes.append(_strided(place, name, str(node["type"]), kernel, stride))
    if changes:
        yield changes


def _strided(place: Place, name: str, kind: str, kernel: Any, stride: Any) -> Change:
    return Change(
        "pool-stride",
        place.prefix + name,
        f"{kind} of stride {np.unique(stride).tolist()}, with which nothing behind it fits",
        f"its stride is its kernel's size, {kernel.tolist()}",
        "an early sinabs exporter wrote stride 1 for such pools, and everything fits so; another "
        "stride or another input would fit as well",
        (Edit(place.at(name, "stride"), np.array(kernel, stride.dtype)),),
        guess=True,
        severity="error",
    )
