"""Each node by itself, in loops, and a graph of them step by step: slow, and easy to believe."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Output,
    Scale,
    SumPool2d,
)
from spikeport.models.neurons.i import I
from spikeport.models.neurons.threshold import Threshold

Array = np.ndarray[Any, Any]


def apply_alone(node: Any, x: Array) -> Array:
    """Return what one node makes of x, written down as its docstring says it."""
    match node:
        case Linear():
            y = np.zeros((*x.shape[:-1], len(node.weight)))
            for *place, row in np.ndindex(*y.shape):
                pairs = zip(node.weight[row], x[tuple(place)], strict=True)
                y[(*place, row)] = sum(w * v for w, v in pairs)
            return y
        case Affine():
            return apply_alone(Linear(node.weight), x) + node.bias
        case Scale():
            return x * node.scale
        case Flatten():
            start, end = node.start_dim % x.ndim, node.end_dim % x.ndim
            return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])
        case SumPool2d():
            one = np.ones((1, 1, *node.kernel_size))
            sides = [(each, each) for each in node.padding]
            pooled = [convolve(c[None], one, [0], node.stride, sides, (1, 1), 1) for c in x]
            return np.concatenate(pooled)
        case AvgPool2d():
            summed = apply_alone(SumPool2d(node.kernel_size, node.stride, node.padding), x)
            return summed / (node.kernel_size[0] * node.kernel_size[1])
        case Conv2d():
            sides = [(p, p + m) for p, m in zip(node.padding, node.more_behind, strict=True)]
            return convolve(
                x, node.weight, node.bias, node.stride, sides, node.dilation, node.groups
            )
        case Conv1d():
            flat = convolve(
                x[:, None], node.weight[:, :, None], node.bias, (1, node.stride),
                [(0, 0), node.padding], (1, node.dilation), node.groups,
            )  # fmt: skip
            return flat[:, 0]
    raise AssertionError(node)


def convolve(
    x: Array, kernel: Array, bias: Any, stride: Any, sides: Any, dilation: Any, groups: int
) -> Array:
    """Cross-correlate, one multiplication after the other; sides are zeros (before, behind)."""
    outputs, inner, *size = kernel.shape
    extent = [
        len(range(0, x.shape[1 + a] + sum(sides[a]) - dilation[a] * (size[a] - 1), stride[a]))
        for a in (0, 1)
    ]
    y = np.zeros((outputs, *extent))
    for o, i, j in np.ndindex(*y.shape):
        group = o // (outputs // groups)
        y[o, i, j] = bias[o]
        for c, k, m in itertools.product(range(inner), range(size[0]), range(size[1])):
            row = i * stride[0] + k * dilation[0] - sides[0][0]
            column = j * stride[1] + m * dilation[1] - sides[1][0]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                y[o, i, j] += kernel[o, c, k, m] * x[group * inner + c, row, column]
    return y


class Steps:
    """A graph of Inputs, stateless nodes, Delays, I and Threshold, step after step.

    Delays are whole steps. Nothing takes time but Delays, and edges that `late` names: one step.
    """

    def __init__(
        self,
        net: Network,
        inputs: Mapping[str, Array],
        dt: float,
        late: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self.net, self.inputs, self.dt, self.late = net, inputs, dt, late
        self.known: dict[tuple[str, int], Array] = {}

    def sent(self, name: str, t: int) -> Array:
        """Return what a node sends in step t; zeros before the first."""
        if t < 0:
            return np.zeros(self.net.shapes[name])
        if (name, t) not in self.known:
            self.known[name, t] = self._sent(name, t)
        return self.known[name, t]

    def arriving(self, name: str, t: int) -> Array:
        """Return the sum of what enters a node in step t."""
        edges = [edge for edge in self.net.edges if edge[1] == name]
        return np.asarray(sum(self.sent(edge[0], t - (edge in self.late)) for edge in edges))

    def _sent(self, name: str, t: int) -> Array:
        node = self.net.nodes[name]
        match node:
            case Input():
                data = self.inputs[name]
                return data[t] if t < len(data) else np.zeros(node.shape)
            case Output():
                return self.arriving(name, t)
            case Delay():
                steps = np.broadcast_to(np.rint(node.delay / self.dt).astype(int), self._of(name))
                passed = np.zeros(steps.shape)
                for each in np.unique(steps):  # each in its own time: loops end there
                    if t >= each:
                        passed[steps == each] = self.arriving(name, t - each)[steps == each]
                return passed
            case I():
                return self.sent(name, t - 1) + self.dt * node.r * self.arriving(name, t)
            case Threshold():
                return (self.arriving(name, t) > node.threshold).astype(float)
        return apply_alone(node, self.arriving(name, t))

    def _of(self, name: str) -> tuple[int, ...]:
        return tuple(self.net.shapes[name])
