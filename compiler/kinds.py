"""The registry of neuron kinds. A kind is one class in one file of `models/neurons/`.

The loader reads a node's fields from the class, the clock asks it for its per-step parameters,
the reference and the emulator for its steps, the quantizer for its integers. Nothing else in
the house knows a kind by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from spikeport.compiler.errors import GraphError

if TYPE_CHECKING:
    from spikeport.compiler.semantics import Semantics

Array = np.ndarray[Any, Any]


@runtime_checkable
class Neuron(Protocol):
    """What a neuron kind states: its parameters in SI units, and how they become a step."""

    #: Name of the NIR primitive that this kind is, or "" for a kind of our own.
    nir_type: ClassVar[str]
    #: Parameters that must be above zero.
    positive: ClassVar[tuple[str, ...]]
    #: Value of parameters that old files leave out.
    absent: ClassVar[Mapping[str, float]]
    #: Does it send spikes (else its v is its output).
    spiking: ClassVar[bool]

    def clock(self, semantics: Semantics, dt: float) -> Any:
        """Return the per-step parameters, see `clocked.Membrane`."""


@dataclass(frozen=True)
class Steps:
    """How a type of cell is stepped; cells are per-step parameters, floats or integers.

    Attributes:
        start: (cell, samples) -> variables before the first step, each (samples, n).
        step: takes one step in place and returns what the neurons send, (samples, n): counts of
            spikes, or v where they are analog. Of a float cell it is called with (cell,
            variables, received); of an integer cell with (cell, arithmetic, variables, received,
            bias), and returns also how many cells overflowed.
        variables: names of what `start` returns.
    """

    start: Callable[..., dict[str, Array]]
    step: Callable[..., Any]
    variables: tuple[str, ...] = ("u", "v")


@dataclass(frozen=True)
class Quantizer:
    """How a type of cell that is not of the integrate-and-fire family becomes integers.

    Attributes:
        scale: (float cell, chip) -> weight units per float unit of v.
        gain: float cell -> factor from what arrives to v, (n,).
        integer: (name, population, scale, chip, losses) -> integer cell; adds rows to losses.
    """

    scale: Callable[..., float]
    gain: Callable[..., Array]
    integer: Callable[..., Any]


NEURONS: dict[str, type] = {}
#: Type of float cell -> how it is quantized; the membrane family is `quantize/` itself.
QUANTIZERS: dict[type, Quantizer] = {}
#: Type of cell -> how it is stepped. Backends that run our own steps find them here.
STEPS: dict[type, Steps] = {}
Kind = TypeVar("Kind", bound="type[Any]")


def neuron(cls: Kind) -> Kind:
    """Class decorator: make a neuron kind known by its NIR name."""
    name: str = cls.__dict__["nir_type"]
    if name in NEURONS and NEURONS[name].__qualname__ != cls.__qualname__:
        raise GraphError(f"two neuron kinds claim the NIR type {name}")
    NEURONS[name] = cls
    return cls
