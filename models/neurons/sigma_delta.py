"""The sigma-delta neuron: it sums up the changes that it hears, and sends its own.

An extension, as NIR has no such node (`spikeport.ext` = `sigma_delta`). The rules are those of
Lava's SigmaDelta (lava-nc 0.10.0, lava/proc/sdn/models.py, `AbstractSigmaDeltaModel.dynamics` with
RELU and without `cum_error`). Lava keeps the activation and what of it was held back; here the
state is what was sent so far, their difference, so that v is what receivers know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Population
from spikeport.compiler.errors import LoweringError, SemanticsError
from spikeport.compiler.kinds import QUANTIZERS, STEPS, Array, Quantizer, Steps, neuron
from spikeport.compiler.namespace import namespace
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.program import Arithmetic
from spikeport.compiler.quantize.lost import lost
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.spiking import EXACT, Spiking

if TYPE_CHECKING:
    from spikeport.compiler.chip import Chip

THETA = 16  # a threshold is 2**16 units of the state, or fewer where these would not fit


@neuron
@dataclass(frozen=True, eq=False)
class SigmaDelta:
    """s <- s + x;  d = relu(s + bias) - sent;  where |d| >= v_threshold: sends d, sent += d.

    Whether a change as large as the threshold is sent is `Semantics.threshold`: Lava's code sends
    it (`greater_equal`), its documentation and NIR's thresholds do not (`greater`).

    Attributes, all float64 of one shape:
        v_threshold: smaller changes are not sent, > 0.
        bias: added to the sum, not accumulated.
    """

    v_threshold: Array
    bias: Array

    nir_type: ClassVar[str] = "SigmaDelta"
    extension: ClassVar[str] = "sigma_delta"
    placeholder: ClassVar[str] = "LI"
    positive: ClassVar[tuple[str, ...]] = ("v_threshold",)
    absent: ClassVar[Mapping[str, float]] = {"bias": 0.0}
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> SigmaDeltaCell:
        """Return the step; nothing in it depends on dt, and only `threshold` is read.

        Raises:
            SemanticsError: v is to start where receivers do not know it to be.
        """
        if semantics.initial_v:
            raise SemanticsError(
                f"a sigma-delta neuron has no initial_v={semantics.initial_v:g}",
                "its v is what it has sent so far, which is nothing before the first step",
                "--set NODE.initial_v=0",
            )
        return SigmaDeltaCell(
            v_threshold=self.v_threshold.ravel().copy(),
            bias=self.bias.ravel().copy(),
            threshold=semantics.threshold,
        )


@dataclass(frozen=True, eq=False)
class SigmaDeltaCell:
    """Per-step parameters, float64, (n,): those of the neuron."""

    v_threshold: Array
    bias: Array
    threshold: str
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        freeze_fields(self)


def start(cell: SigmaDeltaCell, samples: int) -> dict[str, Array]:
    """Return the sum u and what was sent v before the first step, (samples, n)."""
    shape = (samples, cell.bias.size)
    return {"u": np.zeros(shape), "v": np.zeros(shape)}


def step(
    cell: SigmaDeltaCell, state: dict[str, Array], received: Array, spiking: Spiking = EXACT
) -> Array:
    """Take one float step, replace u and v, and return the changes that are sent, (samples, n).

    Where it is differentiated, a message counts as the change, sent or not (straight through):
    the network then learns as one of ReLUs does.
    """
    xp = namespace(received, state["u"], cell.bias)
    u = state["u"] + received
    change: Array = xp.maximum(u + cell.bias, 0.0) - state["v"]
    is_sent = spiking.above(xp.abs(change), cell.v_threshold, cell.threshold)
    sent: Array = change + spiking.stopped(xp.where(is_sent > 0, 0.0, -change))
    state["u"], state["v"] = u, state["v"] + sent
    return sent


@dataclass(frozen=True, eq=False)
class IntegerSigmaDelta:
    """The same in integers; arrays of shape (n,), int64.

        u <- u + (input << 6)
        d = max(u + bias, 0) - v
        message = d >> message_shift, rounded half up and clipped, where |d| >= v_threshold
        v <- v + (message << message_shift)

    What rounding and clipping take from a message is in the next d, so no error is ever kept. (In
    Lava's fixed-point model the bits that `state_exp` cuts off are lost: the same where it is 0.)

    Attributes:
        v_threshold, bias: levels of u and v.
        threshold, start_step, message_bits, message_shift: as in `program.Cell`.
    """

    v_threshold: Array
    bias: Array
    threshold: str = "greater"
    start_step: int = 0
    message_bits: int = 0
    message_shift: int = 0
    spiking: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.dtype != np.int64:
                raise LoweringError(f"{name} of a sigma-delta neuron is {value.dtype}, not int64")
        freeze_fields(self)

    @property
    def bias_mantissa(self) -> Array:
        """It has no bias register: what is added there would be summed up."""
        return np.zeros(self.bias.size, np.int64)

    bias_exponent = bias_mantissa

    @property
    def configuration(self) -> tuple[Array, ...]:
        """What neurons of one core share, each (n,)."""
        return (np.full(self.bias.size, self.message_shift),)

    @property
    def largest_message(self) -> int:
        """Largest payload of what it sends."""
        return (1 << (self.message_bits - 1)) - 1 if self.message_bits else 0


def start_integer(cell: IntegerSigmaDelta, samples: int) -> dict[str, Array]:
    """Return the integer state before the first step; int64 arrays of shape (samples, n)."""
    shape = (samples, cell.bias.size)
    return {"u": np.zeros(shape, np.int64), "v": np.zeros(shape, np.int64)}


def step_integer(
    cell: IntegerSigmaDelta,
    arithmetic: Arithmetic,
    state: dict[str, Array],
    received: Array,
    bias: Array,
) -> tuple[Array, int]:
    """Take one integer step in place; see `IntegerSigmaDelta` and `membrane.step_integer`."""
    xp = namespace(received, state["u"])
    total = state["u"] + (received << arithmetic.weight_shift) + bias
    state["u"] = u = fixed.saturate(total, arithmetic.largest_state)
    change = xp.maximum(u + cell.bias, 0) - state["v"]
    above = xp.greater_equal if cell.threshold == "greater_equal" else xp.greater
    whole = fixed.saturate(fixed.round_shift(change, cell.message_shift), cell.largest_message)
    sent: Array = xp.where(above(xp.abs(change), cell.v_threshold), whole, 0)
    state["v"] = state["v"] + (sent << cell.message_shift)
    return sent, xp.count_nonzero(u != total)


def _scale(cell: SigmaDeltaCell, chip: Chip) -> float:
    """Return the scale at which the largest threshold is `THETA` bits."""
    return float((1 << (THETA - fixed.WEIGHT_SHIFT)) / cell.v_threshold.max(initial=0.0))


def _integer(
    name: str, population: Population, scale: float, chip: Chip, losses: list[dict[str, Any]]
) -> IntegerSigmaDelta:
    """Return levels in integers; adds what they lost to `losses`."""
    cell: Any = population.membrane
    full = scale * (1 << fixed.WEIGHT_SHIFT)
    levels = {"threshold": cell.v_threshold, "bias": cell.bias}
    whole = {key: np.rint(value * full).astype(np.int64) for key, value in levels.items()}
    whole["threshold"] = np.maximum(whole["threshold"], 1)
    for key, value in levels.items():
        error = whole[key] / full - value
        size = float(np.abs(value).max(initial=0.0))
        losses.append(lost(name, key, 32, error, size, "level of the state"))
    return IntegerSigmaDelta(
        v_threshold=whole["threshold"],
        bias=whole["bias"],
        threshold=cell.threshold,
        start_step=population.start_step,
    )


STEPS[SigmaDeltaCell] = Steps(start, step)
STEPS[IntegerSigmaDelta] = Steps(start_integer, step_integer)
QUANTIZERS[SigmaDeltaCell] = Quantizer(
    scale=_scale, gain=lambda cell: np.ones(cell.bias.size), integer=_integer
)
