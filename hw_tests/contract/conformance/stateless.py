"""Cases for what has no state: input -> the node -> LIF -> the node or a matrix -> LIF."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import nir
import numpy as np

from hw_tests.contract.conformance.case import DT, Case, Draft
from hw_tests.generate.sketch import Shape

Add = Callable[[Draft, str], str]
IMAGE, LINE, VECTOR = (2, 5, 6), (4, 9), (7,)


def stateless_cases() -> Iterator[Case]:
    """Yield the cases of the nine kinds without state."""
    for primitive, variant, shape, add in _variants():
        draft = Draft(primitive, variant)
        first = draft.lif(add(draft, draft.input(shape)), "first")
        draft.output(first, "out")
        draft.output(draft.lif(draft.chains.flat(first), "second"), "out2")
        yield draft.case()
        if draft.sketch.gives[first] == shape:
            draft = Draft(primitive, f"{variant}, between populations")
            first = draft.lif(draft.input(shape), "first")
            draft.output(draft.lif(add(draft, first), "second"))
            yield draft.case()
    yield from _delays()


def _variants() -> Iterator[tuple[str, str, Shape, Add]]:
    yield "Affine", "dense", VECTOR, lambda draft, at: _matrix(draft, at, 7, bias=True)
    yield "Affine", "narrow", VECTOR, lambda draft, at: _matrix(draft, at, 2, bias=True)
    yield "Linear", "dense", VECTOR, lambda draft, at: _matrix(draft, at, 7)
    yield "Linear", "excitatory", VECTOR, lambda draft, at: _matrix(draft, at, 6, sign=True)
    yield "Linear", "sparse", VECTOR, lambda draft, at: _matrix(draft, at, 20, share=0.2)
    yield "Conv1d", "plain", LINE, _conv1d(3, 3, 1, 0, 1, 1)
    yield "Conv1d", "strided, padded", LINE, _conv1d(2, 3, 2, 2, 1, 1)
    yield "Conv1d", "dilated", LINE, _conv1d(2, 3, 1, 1, 2, 1)
    yield "Conv1d", "grouped", LINE, _conv1d(6, 2, 1, 0, 1, 2)
    yield "Conv1d", "depthwise, same", LINE, _conv1d(4, 3, 1, "same", 1, 4)
    yield "Conv1d", "same, even kernel", LINE, _conv1d(2, 4, 1, "same", 1, 1)
    yield "Conv1d", "valid", LINE, _conv1d(2, 3, 2, "valid", 1, 1)
    yield "Conv2d", "plain", IMAGE, _conv2d(3, (3, 2), (1, 1), (0, 0), (1, 1), 1)
    yield "Conv2d", "strided, padded", IMAGE, _conv2d(2, (3, 3), (2, 1), (1, 2), (1, 1), 1)
    yield "Conv2d", "dilated", IMAGE, _conv2d(2, (2, 3), (1, 1), (0, 1), (2, 2), 1)
    yield "Conv2d", "grouped", IMAGE, _conv2d(4, (2, 2), (1, 1), (0, 0), (1, 1), 2)
    yield "Conv2d", "depthwise, same", IMAGE, _conv2d(2, (3, 3), (1, 1), "same", (1, 1), 2)
    yield "Conv2d", "same, even kernel", IMAGE, _conv2d(1, (2, 4), (1, 1), "same", (1, 1), 1)
    yield "Conv2d", "valid", IMAGE, _conv2d(2, (3, 3), (1, 2), "valid", (1, 1), 1)
    for kind in ("SumPool2d", "AvgPool2d"):
        yield kind, "2 x 2", (2, 4, 6), _pool(kind, (2, 2), (2, 2), (0, 0))
        yield kind, "overlapping", IMAGE, _pool(kind, (3, 2), (1, 2), (0, 0))
        yield kind, "padded", IMAGE, _pool(kind, (2, 3), (2, 2), (1, 1))
    yield "Flatten", "all dimensions", IMAGE, _flatten(0, -1)
    yield "Flatten", "the last two", IMAGE, _flatten(1, 2)
    yield "Flatten", "the first two", IMAGE, _flatten(0, 1)
    yield "Scale", "vector", VECTOR, _scale
    yield "Scale", "image", IMAGE, _scale
    yield "Delay", "one value", VECTOR, _delay(lambda rng, shape: np.full(shape, 3.0))
    yield "Delay", "per element", IMAGE, _delay(lambda rng, shape: rng.integers(0, 5, shape) * 1.0)
    yield "Delay", "not whole steps", VECTOR, _delay(lambda rng, shape: rng.uniform(0, 4, shape))


def _matrix(
    draft: Draft, at: str, size: int, bias: bool = False, sign: bool = False, share: float = 1.0
) -> str:
    (before,) = draft.sketch.gives[at]
    weight = draft.rng.normal(0.4, 0.5, (size, before)) * (draft.rng.random((size, before)) < share)
    weight = np.abs(weight) if sign else weight
    node = nir.Affine(weight, draft.rng.normal(0.1, 0.1, size)) if bias else nir.Linear(weight)
    return draft.sketch.add("m", node, (before,), (size,), at)


def _conv1d(*geometry: object) -> Add:
    return lambda draft, at: draft.chains.place_conv1d(at, *geometry)  # type: ignore[arg-type]


def _conv2d(*geometry: object) -> Add:
    return lambda draft, at: draft.chains.place_conv2d(at, *geometry)  # type: ignore[arg-type]


def _pool(kind: str, *geometry: tuple[int, int]) -> Add:
    arrays = [np.array(each) for each in geometry]
    return lambda draft, at: draft.chains.place_pool(at, getattr(nir, kind), *arrays)


def _flatten(start: int, end: int) -> Add:
    def add(draft: Draft, at: str) -> str:
        shape = draft.sketch.gives[at]
        node = nir.Flatten({"input": np.array(shape)}, start, end)
        joined = tuple(int(each) for each in node.output_type["output"])
        return draft.sketch.add("flat", node, shape, joined, at)

    return add


def _scale(draft: Draft, at: str) -> str:
    shape = draft.sketch.gives[at]
    factor = draft.rng.uniform(0.5, 2.0, shape)
    return draft.sketch.add("scale", nir.Scale(factor), shape, shape, at)


def _delay(steps: Callable[[np.random.Generator, Shape], np.ndarray]) -> Add:  # type: ignore[type-arg]
    def add(draft: Draft, at: str) -> str:
        shape = draft.sketch.gives[at]
        node = nir.Delay(steps(draft.rng, shape) * DT)
        return draft.sketch.add("delay", node, shape, shape, at)

    return add


def _delays() -> Iterator[Case]:
    """Yield delays longer than a chip's, in a loop, and in front of an Output."""
    draft = Draft("Delay", "longer than a chip's 62 steps")
    long = _delay(lambda rng, shape: np.array([0.0, 70.0, 131.0, 62.0, 63.0, 1.0, 2.0]))
    draft.steps += 131
    draft.output(draft.lif(_matrix(draft, long(draft, draft.input(VECTOR)), 5), "first"))
    yield draft.case()
    draft = Draft("Delay", "in a loop")
    first = draft.lif(draft.input(VECTOR), "first")
    second = draft.lif(_matrix(draft, first, 7), "second")
    late = _delay(lambda rng, shape: rng.integers(2, 5, shape) * 1.0)(draft, second)
    draft.sketch.join(_matrix(draft, late, 7), first)
    draft.output(second)
    yield draft.case()
    draft = Draft("Delay", "in front of an Output")
    first = draft.lif(draft.input(VECTOR), "first")
    draft.output(_delay(lambda rng, shape: rng.integers(0, 4, shape) * 1.0)(draft, first))
    yield draft.case()
