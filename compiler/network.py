"""The noun `Network`: a graph in continuous time and SI units, as NIR means it.

Nodes are values: neurons come from the registry in `kinds.py`, everything without state is
defined here. After `fold_linear` every path between two populations runs through exactly one
`Weights` node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport.compiler.kinds import NEURONS, Array
from spikeport.compiler.rows import checked_weight
from spikeport.compiler.semantics import Semantics
from spikeport.compiler.sparse import is_sparse

if TYPE_CHECKING:
    from spikeport.compiler.trained import Trained

Shape = tuple[int, ...]


def freeze(value: Any) -> Any:
    """Return `value` with the arrays in it set non-writeable."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif is_sparse(value):
        for part in (value.data, value.indices, value.indptr):
            part.flags.writeable = False
    elif isinstance(value, Mapping):
        for item in value.values():
            freeze(item)
    elif isinstance(value, tuple):
        for item in value:
            freeze(item)
    return value


def freeze_fields(noun: Any) -> None:
    """Freeze every array that is a field of a dataclass (for `__post_init__`)."""
    kind: Any = type(noun)
    for name in _field_names(kind):
        freeze(getattr(noun, name))


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


@dataclass(frozen=True, eq=False)
class Input:
    """Where data enters; shape of one step of one sample."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Output:
    """Where results leave."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Linear:
    """y = weight x on the last dimension of x; weight of shape (post, pre).

    The weight is a dense array or one of SciPy's sparse matrices, which becomes a CSR array
    without zeros; it stays sparse on the way to a chip. An array that fits is shared and frozen.

    Raises:
        GraphError: a sparse weight is not a matrix of finite numbers.
    """

    weight: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", checked_weight(self.weight))
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Affine:
    """y = weight x + bias on the last dimension of x; weight (post, pre) as in `Linear`.

    The bias is an array of (post,).
    """

    weight: Any
    bias: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", checked_weight(self.weight))
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Conv1d:
    """1-D cross-correlation as PyTorch defines it; weight (out, in / groups, length).

    `padding` is the number of zeros (before, behind).
    """

    weight: Array
    bias: Array
    stride: int
    padding: tuple[int, int]
    dilation: int
    groups: int

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Conv2d:
    """2-D cross-correlation as PyTorch defines it; weight (out, in / groups, height, width).

    `padding` is the number of zero rows above and below, and of zero columns on both sides;
    `more_behind` of them come on top below and on the right (PyTorch's uneven `same`).
    """

    weight: Array
    bias: Array
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    more_behind: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class SumPool2d:
    """Sum over windows of each channel."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, eq=False)
class AvgPool2d:
    """Sum over windows of each channel, divided by the window's size; padding counts as zeros."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Flatten:
    """Join the dimensions start_dim to end_dim, counted without batch."""

    start_dim: int
    end_dim: int


@dataclass(frozen=True, eq=False)
class Scale:
    """y = scale * x, elementwise; scale broadcasts against the input's shape."""

    scale: Array

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Delay:
    """y(t) = x(t - delay), elementwise; seconds, and broadcast against the input's shape."""

    delay: Array

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Weights:
    """What `fold_linear` leaves on an edge: one matrix (post, pre) and what it was made of.

    Attributes:
        matrix: dense array or CSR array, float64, shape (post size, pre size).
        biases: (seconds, array of (post size,)): what is added every step from that time on;
            only those that are not zero.
        made_of: names of the folded nodes, in order.
        conv: the convolution, where the matrix is one and nothing else.
        delay: seconds that the folded Delay nodes take.
    """

    matrix: Any
    biases: tuple[tuple[float, Array], ...]
    made_of: tuple[str, ...]
    conv: Convolution | None = None
    delay: float = 0.0

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Convolution:
    """The geometry of a matrix that is a 2-D convolution.

    `kernel` has PyTorch's layout (out, in / groups, height, width); shapes are
    (channels, height, width).
    """

    kernel: Array
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph inside a graph, with Input and Output nodes of its own."""

    nodes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]


#: What becomes part of a path between two populations; a Delay keeps time, but only past input.
STATELESS = (
    Linear,
    Affine,
    Conv1d,
    Conv2d,
    SumPool2d,
    AvgPool2d,
    Flatten,
    Scale,
    Delay,
    Weights,
)


@dataclass(frozen=True, eq=False)
class Network:
    """A network in continuous time, with the semantics that say how it is stepped.

    Attributes:
        nodes: name -> node, in the order of the file.
        edges: (source, target), each once.
        semantics: what a step means; `dt` may still be missing.
        shapes: name -> output shape, filled by `infer_shapes`.
        repairs: what the loader mended, one sentence each.
        name: the file's name, for messages.
        trained: what it was trained for, where that was a chip.
    """

    nodes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]
    semantics: Semantics = field(default_factory=Semantics)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    name: str = "network"
    trained: Trained | None = None

    def with_semantics(self, semantics: Semantics) -> Network:
        """Return the same graph under other semantics."""
        return replace(self, semantics=semantics)

    def into(self, name: str) -> list[str]:
        """Return the nodes that send to `name`."""
        return [source for source, target in self.edges if target == name]

    def out_of(self, name: str) -> list[str]:
        """Return the nodes that `name` sends to."""
        return [target for source, target in self.edges if source == name]

    def of_type(self, *types: type) -> list[str]:
        """Return the names of nodes of the given types, in file order."""
        return [name for name, node in self.nodes.items() if isinstance(node, types)]

    @property
    def neurons(self) -> list[str]:
        """Names of the nodes that have state."""
        return [name for name, node in self.nodes.items() if is_neuron(node)]


def is_neuron(node: Any) -> bool:
    """Is this node one of the registered neuron kinds."""
    return type(node) in NEURONS.values()
