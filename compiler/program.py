"""The noun `Program`: a network in integers, with bit widths and the scales back to floats.

A Program runs by itself (function without placement). It cannot hold a float weight: every
array in it is int32, and weights are stored in fewer bits, checked at construction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport.compiler.compact import KINDS, compact
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.fixed import DECAY_BITS, WEIGHT_SHIFT
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution, Shape, freeze, freeze_fields
from spikeport.compiler.rows import with_data
from spikeport.compiler.sparse import is_sparse

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True)
class Arithmetic:
    """The switches in which Loihi emulators differ (hardware.md 2.4), and the states' width.

    Attributes:
        overflow: of u: `lava`, `twos_complement`, `saturate` or `unlimited`.
        weight_truncation: `floor` (Lava), `zero` (brian2_loihi), `nearest` (nengo-loihi).
        weight_exp_at: `sum` (Lava shifts the sum), `synapse` (each weight), or `event` (each
            weight, and u saturates event by event: Xylo).
        state_bits: width of u and v, sign included; 24, or another, where both saturate.
        weight_shift: synaptic input and thresholds are aligned so many bits up.
        decay_bits: a state keeps (2**decay_bits - field) / 2**decay_bits of itself.
    """

    overflow: str = "lava"
    weight_truncation: str = "floor"
    weight_exp_at: str = "sum"
    state_bits: int = 24
    weight_shift: int = WEIGHT_SHIFT
    decay_bits: int = DECAY_BITS

    @property
    def largest_state(self) -> int:
        """Largest u and v; the smallest is its negative."""
        return (1 << (self.state_bits - 1)) - 1

    @property
    def forgets(self) -> int:
        """Largest field of v's decay; Loihi's 4095 keeps 1/4096 at most."""
        return (1 << self.decay_bits) - (self.overflow != "saturate")

    @property
    def never(self) -> int:
        """Threshold mantissa that no v is above."""
        return min(1 << (self.state_bits - 1 - self.weight_shift), (1 << 31) - 1)


LAVA = Arithmetic()
GRADED = Arithmetic("saturate", state_bits=32)
NENGO_LOIHI = Arithmetic("twos_complement", "nearest", "synapse")
BRIAN2_LOIHI = Arithmetic("unlimited", "zero", "synapse")
XYLO = Arithmetic("saturate", "nearest", "event", state_bits=16, weight_shift=0)


@dataclass(frozen=True, eq=False)
class Cell:
    """Integer parameters of a population; arrays int32 of shape (n,).

    Per step, with >> rounding toward zero for the decays:

        u <- (u * (4096 - (decay_u + 1)) >> 12) + (input << 6)
        v <- (v * (4096 - decay_v) >> 12) + u + (bias_mantissa << bias_exponent)
        spike when v > v_threshold << 6, then v is reset

    Attributes:
        decay_u: 0 .. 4095; 4095 forgets everything.
        decay_v: 0 .. 4096; 0 never forgets.
        v_threshold: mantissa, 0 .. 131071 (of 24-bit states).
        bias_mantissa: -4095 .. 4095.
        bias_exponent: 0 .. 7.
        reset: `to_value` (v = v_reset), `subtract` (v -= v_threshold << 6), `none` or
            `subtract_snntorch` (see `Semantics`); `reset_when`: `same_step` or `next_step`.
        spike: `binary`, or `count` (floor(v / threshold) spikes in one message).
        threshold: `greater`, or `greater_equal` where the chip compares so.
        v_reset, v_initial: levels of v, full scale.
        v_min: clamp from below; the `unlimited` datapath has none.
        refractory_steps: 1 loses no step; R holds v at its reset value for R - 1 steps.
        start_step: the state is held at v_initial before this step.
        spiking: False where v is the output.
        message_bits: width of a graded message, sign included; 0 where none is sent.
        message_shift: an analog message is v >> message_shift, rounded half up.
    """

    decay_u: Array
    decay_v: Array
    v_threshold: Array
    bias_mantissa: Array
    bias_exponent: Array
    v_reset: Array
    v_initial: Array
    v_min: Array
    refractory_steps: Array
    reset: str = "to_value"
    reset_when: str = "same_step"
    spike: str = "binary"
    threshold: str = "greater"
    start_step: int = 0
    spiking: bool = True
    message_bits: int = 0
    message_shift: int = 0

    def __post_init__(self) -> None:
        _only_integers(self)
        freeze_fields(self)

    @property
    def configuration(self) -> tuple[Array, ...]:
        """What neurons of one core share through a table of configurations, each (n,)."""
        return self.decay_u, self.decay_v, self.refractory_steps, self.bias_exponent

    @property
    def largest_message(self) -> int:
        """Largest payload of what it sends: 1 for spikes."""
        return (1 << (self.message_bits - 1)) - 1 if self.message_bits else int(self.spiking)


@dataclass(frozen=True, eq=False)
class CellPopulation:
    """A group of compartments (or an input) of a Program.

    Attributes:
        kind: NIR name of the neuron kind, `input`, or `constant` (the bias neuron).
        shape: without batch; neurons are numbered in C order.
        cell: integer parameters, a `Cell` or another type that `kinds.STEPS` knows; None for
            inputs.
        scale, offset: v of the network is v of the integers / scale + offset, (n,) float64;
            a report of what quantization chose, never used in a step.
    """

    kind: str
    shape: Shape
    cell: Cell | None
    scale: Array
    offset: Array = field(default_factory=lambda: np.zeros(1))

    def __post_init__(self) -> None:
        freeze_fields(self)

    @property
    def size(self) -> int:
        """Number of compartments."""
        return math.prod(self.shape)

    @property
    def sends_spikes(self) -> bool:
        """Does it send spikes or counts; a population whose v is its output does not."""
        return self.cell is None or bool(self.cell.spiking)

    def in_network_units(self, v: Array) -> Array:
        """Return v of the integers, (..., n), in the units of the float network."""
        return np.asarray(v / self.scale + self.offset)


@dataclass(frozen=True, eq=False)
class Synapses:
    """Integer weights from one population to another, in few bytes: see `Synapses.of`.

    Attributes:
        name: of the NIR nodes it came from.
        pre, post: population names.
        stored: (post size, pre size), a C-ordered array or a CSR array with sorted indices and
            no zeros; of the smallest of int8, int16 and int32 that holds the weights. It
            overflows in arithmetic of its own type: compute with `mantissa`.
        step: mantissa = stored * step, a power of two.
        exponent: the sum over a step is shifted by it, -7 .. 7 (less behind graded messages).
        sign_mode: `mixed`, `excitatory` or `inhibitory` (Loihi's formats of 8 bits), or `signed`:
            integers of `weight_bits` with their sign.
        weight_bits: of a weight.
        delay_steps: a spike of step t acts in step t + delay_steps; 1 .. 62.
        conv: geometry with an integer kernel, where the matrix is a plain convolution.
        part_of: the projection whose weights it is a part of, where several synapses hold them.
    """

    name: str
    pre: str
    post: str
    stored: Any
    step: int
    exponent: int
    sign_mode: str
    weight_bits: int = 8
    delay_steps: int = 1
    conv: Convolution | None = None
    part_of: str = ""

    def __post_init__(self) -> None:
        if self.stored.dtype not in KINDS:
            raise LoweringError(f"the weights of {self.name!r} are not int32")
        freeze_fields(self)

    @classmethod
    def of(
        cls,
        name: str,
        pre: str,
        post: str,
        mantissa: Any,
        exponent: int,
        sign_mode: str,
        weight_bits: int = 8,
        delay_steps: int = 1,
        conv: Convolution | None = None,
    ) -> Synapses:
        """Return the projection with these weights, already truncated, in few bytes.

        Args:
            name, pre, post, exponent, sign_mode, weight_bits, delay_steps, conv: as the fields.
            mantissa: (post, pre), int32 or narrower, a dense array or a sparse one.

        Raises:
            LoweringError: the weights are not integers of at most 32 bits.
        """
        stored, step = _compact(name, mantissa)
        rest = (exponent, sign_mode, weight_bits, delay_steps, conv)
        return cls(name, pre, post, stored, step, *rest)

    def with_mantissa(self, mantissa: Any) -> Synapses:
        """Return the same projection with other weights."""
        stored, step = _compact(self.name, mantissa)
        return replace(self, stored=stored, step=step)

    @property
    def projection(self) -> str:
        """Name of the projection that it is, or is a part of."""
        return self.part_of or self.name

    @property
    def values(self) -> Array:
        """The stored weights, flat: all of a dense matrix, those that are not zero of a CSR one."""
        return np.asarray(self.stored.data if is_sparse(self.stored) else self.stored.ravel())

    @property
    def mantissa(self) -> Any:
        """The weights, (post, pre) int32, made on demand; a CSR array shares its indices."""
        if is_sparse(self.stored):
            data = self.stored.data.astype(np.int32) * np.int32(self.step)
            return freeze(with_data(self.stored, data))
        return freeze(self.stored.astype(np.int32) * np.int32(self.step))

    @property
    def count(self) -> int:
        """How many weights are not zero: those that take memory."""
        if is_sparse(self.stored):
            return int(self.stored.nnz)
        return int(np.count_nonzero(self.stored))

    @property
    def rows(self) -> sp.csr_matrix:
        """The weights that are not zero, as an int32 CSR matrix (post, pre), sorted."""
        import scipy.sparse as sp

        return sp.csr_matrix(self.mantissa)


@dataclass(frozen=True, eq=False)
class HostCurrent:
    """A real-valued input: the host computes each neuron's drive and writes bias registers.

    Attributes:
        name: input population that is read.
        targets: population -> what the host computes for it, one for each lag.
        static: one value per sample, written once, before the first step.
    """

    name: str
    static: bool
    targets: Mapping[str, tuple[HostTarget, ...]]


@dataclass(frozen=True, eq=False)
class HostTarget:
    """What the host does for one population: drive = filter(matrix @ x + offset) * scale.

    Attributes:
        matrix: float64 (post size, input size).
        offset: (post size,), biases that act with the input.
        gain: (post size,), from drive to integer v per step.
        keep: (post size,), share of the filtered current kept per step; 0 without a filter.
        exponent: bias exponent, 0 .. 7; the mantissa is round(drive * gain / 2**exponent).
        lag: steps by which the drive is sent later.
        register: largest bias mantissa.
    """

    matrix: Any
    offset: Array
    gain: Array
    keep: Array
    exponent: int
    lag: int
    register: int

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Program:
    """A network in integers.

    Attributes:
        dt: seconds per step, for the report.
        populations: name -> CellPopulation.
        synapses: every projection.
        outputs: NIR Output name -> population name.
        lags: population -> steps by which it answers later than the reference.
        arithmetic: the datapath.
        host: real-valued inputs by input name; those populations send no spikes.
        message_bits: width of a graded message, sign included; 0 where axons carry spikes.
        losses: what quantization lost, one row (dict of plain values) per object.
        notes: sentences for the report.
        name: for messages.
        slow: chip steps per step of the network, as in `Clocked`.
    """

    dt: float
    populations: Mapping[str, CellPopulation]
    synapses: tuple[Synapses, ...]
    outputs: Mapping[str, str]
    lags: Mapping[str, int]
    arithmetic: Arithmetic = LAVA
    host: Mapping[str, HostCurrent] = field(default_factory=dict)
    message_bits: int = 0
    losses: tuple[Mapping[str, Any], ...] = ()
    repairs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = "network"
    slow: int = 1

    @cached_property
    def inputs(self) -> list[str]:
        """Names of the input populations."""
        return [name for name, pop in self.populations.items() if pop.kind == "input"]

    @cached_property
    def neurons(self) -> list[str]:
        """Names of the populations that are compartments on the chip."""
        return [name for name, pop in self.populations.items() if pop.cell is not None]

    @property
    def output(self) -> str:
        """The population that is decoded: the first output's."""
        return next(iter(self.outputs.values()))

    @cached_property
    def last_lag(self) -> int:
        """Steps after which every population has answered the last input."""
        return max((self.lags.get(name, 0) for name in self.neurons), default=0)

    @cached_property
    def max_delay(self) -> int:
        """Longest delay of any projection, in steps."""
        return max((each.delay_steps for each in self.synapses), default=1)

    @cached_property
    def units(self) -> dict[str, tuple[Array, Array]]:
        """Population -> (scale, offset) of its v, see `CellPopulation`."""
        found = {name: self.populations[name] for name in self.neurons}
        return {name: (each.scale, each.offset) for name, each in found.items()}

    def into(self, post: str) -> list[Synapses]:
        """Return the projections that end in `post`."""
        return [each for each in self.synapses if each.post == post]

    def largest_message(self, name: str) -> int:
        """Return the largest payload that a population can send, 1 for spikes."""
        cell = self.populations[name].cell
        if cell is not None:
            return int(cell.largest_message)
        return (1 << (self.message_bits - 1)) - 1 if self.message_bits else 1


def _only_integers(cell: Cell) -> None:
    for name, value in vars(cell).items():
        if isinstance(value, np.ndarray) and value.dtype != np.int32:
            raise LoweringError(f"{name} of a Program is {value.dtype}, not int32")


def _compact(name: str, mantissa: Any) -> tuple[Any, int]:
    if mantissa.dtype not in KINDS:
        raise LoweringError(f"the weights of {name!r} are not int32")
    return compact(mantissa)
