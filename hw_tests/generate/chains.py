"""What stands between two populations: random nodes without state, from one shape to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from hw_tests.generate.sketch import Shape, Sketch, size_of

Array = np.ndarray[Any, Any]
LARGEST = 60  # neurons of a population


@dataclass
class Chains:
    """Adds chains of nodes to a sketch.

    Attributes:
        rng: where the numbers come from.
        sketch: is added to.
        dt: seconds per step.
        long: steps of the one long delay that is still to be placed, 0 for none.
    """

    rng: np.random.Generator
    sketch: Sketch
    dt: float
    long: int = 0

    def lead(self, source: str) -> str:
        """Add a chain behind `source` that ends where a population of its shape can stand."""
        last = self._sprinkle(source)
        for _ in range(self.rng.integers(1, 3)):
            shape = self.sketch.gives[last]
            keep = {1: self.dense, 2: self.conv1d, 3: self.image}[len(shape)]
            last = keep(last) if self.rng.random() < 0.7 else self.flat(last)
            last = self._sprinkle(last)
            if self.rng.random() < 0.6:
                break
        if size_of(self.sketch.gives[last]) > LARGEST:
            last = self.flat(last)
        return last

    def lead_to(self, source: str, wanted: Shape) -> str | None:
        """Add a chain behind `source` that ends in the shape `wanted`; None where NIR has none.

        What comes back is `source` itself where the shapes agree and nothing is between.
        """
        shape = self.sketch.gives[source]
        if len(wanted) > 1 and len(shape) != len(wanted):
            return None
        last = self._sprinkle(source)
        if shape == wanted and self.rng.random() < 0.6:
            return last
        if len(wanted) == 1:
            return self._sprinkle(self.dense(self.flatten(last), wanted[0]))
        fit = [_fit(a, b) for a, b in zip(shape[1:], wanted[1:], strict=True)]
        kernels, paddings = [k for k, _ in fit], [p for _, p in fit]
        if len(wanted) == 2:
            return self._sprinkle(
                self.place_conv1d(last, wanted[0], kernels[0], 1, paddings[0], 1, 1)
            )
        return self._sprinkle(
            self.place_conv2d(last, wanted[0], (*kernels,), (1, 1), (*paddings,), (1, 1), 1)
        )

    def delay(self, source: str, least: int = 0) -> str:
        """Add a Delay of at least so many steps, one value or one per element."""
        shape = self.sketch.gives[source]
        few = least + self.rng.integers(0, 5, self.rng.integers(1, 4))
        if self.long and self.rng.random() < 0.5:
            few[0], self.long = self.long, 0
        steps = np.full(shape, float(few[0]))
        if self.rng.random() < 0.5:
            steps = self.rng.choice(few, shape).astype(float)
            steps.flat[0] = few[0]
        if self.rng.random() < 0.3:  # no whole step: rounded, never below `least`
            steps += self.rng.uniform(0.0, 0.45)
        return self.sketch.add("delay", nir.Delay(steps * self.dt), shape, shape, source)

    def dense(self, source: str, size: int | None = None) -> str:
        """Add an Affine or a Linear."""
        (before,) = self.sketch.gives[source]
        after = int(self.rng.integers(1, 25)) if size is None else size
        weight = self._weights((after, before), before)
        biased = self.rng.random() < 0.5
        node = nir.Affine(weight, self._bias(after)) if biased else nir.Linear(weight)
        return self.sketch.add("fc", node, (before,), (after,), source)

    def flat(self, source: str) -> str:
        """Add a Flatten and a matrix."""
        return self.dense(self.flatten(source))

    def image(self, source: str) -> str:
        """Add a convolution or a pooling."""
        way = self.rng.random()
        return self.conv2d(source) if way < 0.5 else self.pool(source)

    def conv1d(self, source: str) -> str:
        """Add a Conv1d with random geometry."""
        channels, length = self.sketch.gives[source]
        groups = self._groups(channels)
        outputs = groups * int(self.rng.integers(1, 4))
        dilation = int(self.rng.integers(1, 3))
        kernel = int(self.rng.integers(1, 1 + max(1, min(3, (length - 1) // dilation + 1))))
        if self.rng.random() < 0.25:
            return self.place_conv1d(source, outputs, kernel, 1, "same", dilation, groups)
        if self.rng.random() < 0.2:
            stride = int(self.rng.integers(1, 3))
            return self.place_conv1d(source, outputs, kernel, stride, "valid", dilation, groups)
        stride, padding = int(self.rng.integers(1, 3)), int(self.rng.integers(0, 3))
        return self.place_conv1d(source, outputs, kernel, stride, padding, dilation, groups)

    def conv2d(self, source: str) -> str:
        """Add a Conv2d with random geometry."""
        channels, *extents = self.sketch.gives[source]
        groups = self._groups(channels)
        outputs = groups * int(self.rng.integers(1, 3))
        dilation = [int(self.rng.integers(1, 3)) for _ in extents]
        kernel = [
            int(self.rng.integers(1, 1 + max(1, min(3, (extent - 1) // each + 1))))
            for extent, each in zip(extents, dilation, strict=True)
        ]
        stride = tuple(int(self.rng.integers(1, 3)) for _ in extents)
        padding: Any = tuple(int(self.rng.integers(0, 3)) for _ in extents)
        if self.rng.random() < 0.25:
            stride, padding = (1, 1), "same"
        elif self.rng.random() < 0.2:
            padding = "valid"
        return self.place_conv2d(source, outputs, (*kernel,), stride, padding, (*dilation,), groups)

    def pool(self, source: str) -> str:
        """Add a SumPool2d or an AvgPool2d."""
        extents = self.sketch.gives[source][1:]
        kernel = np.array([int(self.rng.integers(1, 1 + min(3, each))) for each in extents])
        stride = self.rng.integers(1, 3, 2)
        padding = self.rng.integers(0, 1 + kernel // 2)
        kind = nir.SumPool2d if self.rng.random() < 0.5 else nir.AvgPool2d
        return self.place_pool(source, kind, kernel, stride, padding)

    def _sprinkle(self, source: str) -> str:
        """Add a Scale, a Delay, both or (mostly) nothing."""
        shape = self.sketch.gives[source]
        if self.rng.random() < 0.2:
            factor = self.rng.uniform(0.5, 1.5, shape)
            source = self.sketch.add("scale", nir.Scale(factor), shape, shape, source)
        if self.rng.random() < (0.6 if self.long else 0.2):
            source = self.delay(source)
        return source

    def flatten(self, source: str) -> str:
        """Add what joins all dimensions, in one node or in two."""
        shape = self.sketch.gives[source]
        if len(shape) == 1:
            return source
        if len(shape) == 3 and self.rng.random() < 0.3:
            half = (shape[0], shape[1] * shape[2])
            node = nir.Flatten({"input": np.array(shape)}, 1, 2)
            source, shape = self.sketch.add("flat", node, shape, half, source), half
        node = nir.Flatten(
            {"input": np.array(shape)}, 0, int(self.rng.choice([-1, len(shape) - 1]))
        )
        return self.sketch.add("flat", node, shape, (size_of(shape),), source)

    def place_conv1d(
        self, source: str, outputs: int, kernel: int, stride: int, padding: Any, dilation: int,
        groups: int,
    ) -> str:  # fmt: skip
        """Add a Conv1d of this geometry; padding is a number, `same` or `valid`."""
        channels, length = self.sketch.gives[source]
        inside = channels // groups
        weight = self._weights((outputs, inside, kernel), inside * kernel)
        bias = self._bias(outputs) if self.rng.random() < 0.5 else np.zeros(outputs)
        node = nir.Conv1d(length, weight, stride, padding, dilation, groups, bias)
        pads = _pads(padding, (kernel,), (dilation,))
        after = _extents([length], [kernel], [stride], pads, [dilation])
        return self.sketch.add("conv", node, (channels, length), (outputs, *after), source)

    def place_conv2d(
        self, source: str, outputs: int, kernel: Any, stride: Any, padding: Any, dilation: Any,
        groups: int,
    ) -> str:  # fmt: skip
        """Add a Conv2d of this geometry; padding is two numbers, `same` or `valid`."""
        channels, *extents = self.sketch.gives[source]
        inside = channels // groups
        weight = self._weights((outputs, inside, *kernel), inside * int(np.prod(kernel)))
        bias = self._bias(outputs) if self.rng.random() < 0.5 else np.zeros(outputs)
        node = nir.Conv2d((*extents,), weight, stride, padding, dilation, groups, bias)
        after = _extents(extents, kernel, stride, _pads(padding, kernel, dilation), dilation)
        return self.sketch.add("conv", node, (channels, *extents), (outputs, *after), source)

    def place_pool(
        self, source: str, kind: Any, kernel: Array, stride: Array, padding: Array
    ) -> str:
        """Add a pooling of this geometry."""
        channels, *extents = self.sketch.gives[source]
        after = _extents(extents, kernel, stride, padding, (1, 1))
        shape = (channels, *extents)
        return self.sketch.add(
            "pool", kind(kernel, stride, padding), shape, (channels, *after), source
        )

    def _groups(self, channels: int) -> int:
        divisors = [each for each in range(1, channels + 1) if channels % each == 0]
        return int(self.rng.choice(divisors))

    def _weights(self, shape: Shape, fan_in: int) -> Array:
        """Return weights of mixed sign, of one sign, on a binary grid, or with many zeros."""
        spread = 2.0 / np.sqrt(fan_in)
        weight: Array = self.rng.normal(0.35, 0.6, shape) * spread
        match self.rng.integers(8):
            case 0:
                weight = np.abs(weight)
            case 1:
                weight = -np.abs(weight) if self.rng.random() < 0.3 else np.abs(weight)
            case 2:
                weight = np.rint(weight * 8) / 8
            case 3:
                weight = weight * (self.rng.random(shape) < 0.4)
        return weight

    def _bias(self, size: int) -> Array:
        return self.rng.normal(0.05, 0.15, size)


def _fit(before: int, after: int) -> tuple[int, int]:
    """Return kernel and padding that lead from one extent to another at stride 1."""
    padding = (max(after - before, 0) + 1) // 2
    return before + 2 * padding - after + 1, padding


def _pads(padding: Any, kernel: Any, dilation: Any) -> list[float]:
    """Return the padding on each side; `same` is half a step where it is uneven."""
    if padding == "same":
        return [d * (k - 1) / 2 for d, k in zip(dilation, kernel, strict=True)]
    if padding == "valid":
        return [0.0 for _ in kernel]
    return [padding] if isinstance(padding, int) else list(padding)


def _extents(before: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[int]:
    return [
        int((n + 2 * p - d * (k - 1) - 1) // s + 1)
        for n, k, s, p, d in zip(before, kernel, stride, padding, dilation, strict=True)
    ]
