"""Izhikevich's neuron, the first extension: two variables and a quadratic (IEEE TNN 14(6), 2003).

NIR has no such node, so a file holds a standard node of the right shape with the parameters in
its metadata (`spikeport.ext` = `izhikevich`). Time is in milliseconds inside the equations.
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

FRACTION = 16  # bits of v and u behind the point: millivolts times 2**16
PRECISE = 24  # bits behind the point of the coefficients
LIMIT = 1 << 28  # 4096 millivolts: v and u saturate there, and no product leaves 64 bits
FASTEST = 1000  # times v that u moves in a step: the product stays below 64 bits
LONGEST_MS = 5.0  # of a step
REST = -65.0  # millivolts: where v starts, if nobody says otherwise (Izhikevich 2003, figure 2)


@neuron
@dataclass(frozen=True, eq=False)
class Izhikevich:
    """dv/dt = 0.04 v^2 + 5 v + 140 - u + x;  du/dt = a (b v - u);  time in milliseconds.

    A spike when v is above v_threshold; then v = c and u grows by d.

    Attributes, all float64 of one shape:
        a: rate of recovery, per millisecond.
        b: sensitivity of u to v.
        c: v after a spike, millivolts.
        d: what a spike adds to u.
        v_threshold: peak of the spike, millivolts.
    """

    a: Array
    b: Array
    c: Array
    d: Array
    v_threshold: Array

    nir_type: ClassVar[str] = "Izhikevich"
    extension: ClassVar[str] = "izhikevich"
    placeholder: ClassVar[str] = "LIF"
    positive: ClassVar[tuple[str, ...]] = ()
    absent: ClassVar[Mapping[str, float]] = {"v_threshold": 30.0}
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        freeze_fields(self)

    def clock(self, semantics: Semantics, dt: float) -> IzhikevichCell:
        """Return the step of forward Euler.

        Raises:
            SemanticsError: something is said of the neuron that it does not have, or a time step
                is so long that forward Euler means nothing.
        """
        _check_semantics(semantics)
        milliseconds = 1000.0 * dt
        if milliseconds > LONGEST_MS:
            raise SemanticsError(
                f"a time step of {milliseconds:g} ms is too long for an izhikevich neuron",
                "its spike rises within a millisecond, and forward Euler misses it",
                "--dt 5e-4",
            )
        size = self.a.size
        start = REST if semantics.initial_v is None else semantics.initial_v
        unit = semantics.input_gain in ("unit", "unit_current")
        return IzhikevichCell(
            step_ms=np.full(size, milliseconds),
            gain=np.full(size, 1.0 if unit else milliseconds),
            a=self.a.ravel().copy(),
            b=self.b.ravel().copy(),
            c=self.c.ravel().copy(),
            d=self.d.ravel().copy(),
            v_threshold=self.v_threshold.ravel().copy(),
            v_initial=np.full(size, start),
            threshold=semantics.threshold,
        )


def _check_semantics(semantics: Semantics) -> None:
    wanted = {
        "integration": "euler", "reset": "to_value", "reset_when": "same_step", "spike": "binary",
    }  # fmt: skip
    for field, value in wanted.items():
        said = getattr(semantics, field)
        if said != value:
            raise SemanticsError(
                f"an izhikevich neuron has no {field}={said}",
                "it is stepped by forward Euler, and a spike sets v to c and adds d to u at once",
                f"--set NODE.{field}={value}",
            )


@dataclass(frozen=True, eq=False)
class IzhikevichCell:
    """Per-step parameters, float64, (n,): v <- v + step_ms f(v, u) + gain input."""

    step_ms: Array
    gain: Array
    a: Array
    b: Array
    c: Array
    d: Array
    v_threshold: Array
    v_initial: Array
    threshold: str
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        freeze_fields(self)


def start(cell: IzhikevichCell, samples: int) -> dict[str, Array]:
    """Return v at its start and u in balance with it, (samples, n)."""
    shape = (samples, cell.a.size)
    v = namespace(cell.v_initial).broadcast_to(cell.v_initial, shape).copy()
    return {"u": cell.b * v, "v": v}


def step(
    cell: IzhikevichCell, state: dict[str, Array], received: Array, spiking: Spiking = EXACT
) -> Array:
    """Take one float step, replace u and v, and return the spikes, (samples, n)."""
    xp = namespace(received, state["v"], cell.a)
    v, u = state["v"], state["u"]
    slope = 0.04 * v * v + 5.0 * v + 140.0 - u
    moved = v + cell.step_ms * slope + cell.gain * received
    recovered = u + cell.step_ms * cell.a * (cell.b * v - u)
    spikes = spiking.above(moved, cell.v_threshold, cell.threshold)
    reset = spiking.stopped(spikes) > 0
    state["v"] = xp.where(reset, cell.c, moved)
    state["u"] = xp.where(reset, recovered + cell.d, recovered)
    return spikes


@dataclass(frozen=True, eq=False)
class IntegerIzhikevich:
    """The same in fixed point; arrays of shape (n,), int64.

    v and u have 16 bits behind the point, the coefficients 24:

        square = v * v >> 16
        v <- v + (quadratic * square + linear * v + step * (140 << 16) - step * u >> 24) + input
        u <- u + (recovery * ((b * v >> 24) - u) >> 24)

    Attributes:
        quadratic, linear, step, recovery, b: 0.04 dt, 5 dt, dt, a dt and b, times 2**24.
        c, d, v_threshold, v_initial, u_initial: levels, times 2**16.
        threshold, start_step, message_bits: as in `program.Cell`.
    """

    quadratic: Array
    linear: Array
    step: Array
    recovery: Array
    b: Array
    c: Array
    d: Array
    v_threshold: Array
    v_initial: Array
    u_initial: Array
    threshold: str = "greater"
    start_step: int = 0
    message_bits: int = 0
    spiking: ClassVar[bool] = True
    largest_message: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.dtype != np.int64:
                raise LoweringError(f"{name} of an Izhikevich neuron is {value.dtype}, not int64")
        freeze_fields(self)

    @property
    def bias_mantissa(self) -> Array:
        """It has no bias register."""
        return np.zeros(self.c.size, np.int64)

    bias_exponent = bias_mantissa

    @property
    def configuration(self) -> tuple[Array, ...]:
        """What neurons of one core share, each (n,)."""
        return self.quadratic, self.recovery, self.b, self.c, self.d


def start_integer(cell: IntegerIzhikevich, samples: int) -> dict[str, Array]:
    """Return the integer state before the first step; int64 arrays of shape (samples, n)."""
    shape = (samples, cell.c.size)
    levels = {"u": cell.u_initial, "v": cell.v_initial}
    return {name: np.broadcast_to(level, shape).copy() for name, level in levels.items()}


def step_integer(
    cell: IntegerIzhikevich,
    arithmetic: Arithmetic,
    state: dict[str, Array],
    received: Array,
    bias: Array,
) -> tuple[Array, int]:
    """Take one integer step in place; see `IntegerIzhikevich` and `membrane.step_integer`."""
    v, u = state["v"], state["u"]
    square = (v * v) >> FRACTION
    slope = cell.quadratic * square + cell.linear * v + cell.step * (140 << FRACTION)
    total = v + ((slope - cell.step * u) >> PRECISE) + (received << fixed.WEIGHT_SHIFT) + bias
    turned = u + ((cell.recovery * (((cell.b * v) >> PRECISE) - u)) >> PRECISE)
    moved = fixed.saturate(total, LIMIT)
    at_once = np.greater_equal if cell.threshold == "greater_equal" else np.greater
    spikes = at_once(moved, cell.v_threshold)
    recovered = np.where(spikes, turned + cell.d, turned)
    state["v"] = np.where(spikes, cell.c, moved)
    state["u"] = fixed.saturate(recovered, LIMIT)
    left = np.count_nonzero(moved != total) + np.count_nonzero(state["u"] != recovered)
    return spikes.astype(np.int64), int(left)


def _integer(
    name: str, population: Population, scale: float, chip: Chip, losses: list[dict[str, Any]]
) -> IntegerIzhikevich:
    """Return the coefficients in fixed point; adds what they lost to `losses`.

    Raises:
        LoweringError: a level is beyond 4096 mV, or recovery so fast that products leave 64 bits.
    """
    cell: Any = population.membrane
    _check_widths(name, cell)
    exact = {
        "quadratic": 0.04 * cell.step_ms,
        "linear": 5.0 * cell.step_ms,
        "step": cell.step_ms,
        "recovery": cell.a * cell.step_ms,
        "b": cell.b,
    }
    whole = {key: _rounded(value, PRECISE) for key, value in exact.items()}
    for key, value in exact.items():
        error = whole[key] / 2.0**PRECISE - value
        size = float(np.abs(value).max(initial=0.0))
        losses.append(lost(name, key, PRECISE, error, size, "fixed point", -PRECISE))
    return IntegerIzhikevich(
        quadratic=whole["quadratic"],
        linear=whole["linear"],
        step=whole["step"],
        recovery=whole["recovery"],
        b=whole["b"],
        c=_rounded(cell.c, FRACTION),
        d=_rounded(cell.d, FRACTION),
        v_threshold=_rounded(cell.v_threshold, FRACTION),
        v_initial=_rounded(cell.v_initial, FRACTION),
        u_initial=_rounded(cell.b * cell.v_initial, FRACTION),
        threshold=cell.threshold,
        start_step=population.start_step,
    )


def _check_widths(name: str, cell: IzhikevichCell) -> None:
    levels = {key: getattr(cell, key) for key in ("c", "d", "v_threshold", "v_initial")}
    levels["b times v"] = cell.b * cell.v_initial
    for key, level in levels.items():
        largest = float(np.abs(level).max(initial=0.0))
        if largest * (1 << FRACTION) > LIMIT:
            raise LoweringError(
                f"{key} of {name!r} is {largest:g} millivolts",
                f"v and u hold {LIMIT >> FRACTION} at most",
                "correct it: a spike peaks at about 30",
            )
    share = np.maximum(np.abs(cell.a * cell.step_ms), 1.0)
    speed = float((share * (1.0 + np.abs(cell.b))).max(initial=0.0))
    if speed > FASTEST:
        raise LoweringError(
            f"u of {name!r} follows v {speed:g} times over in a step",
            f"the products of its fixed point hold {FASTEST} times",
            "correct a and b: a is about 0.02 to 0.1 per millisecond, b about 0.2",
        )


def _rounded(value: Array, bits: int) -> Array:
    return np.asarray(np.rint(value * 2.0**bits), np.int64)


STEPS[IzhikevichCell] = Steps(start, step)
STEPS[IntegerIzhikevich] = Steps(start_integer, step_integer)
QUANTIZERS[IzhikevichCell] = Quantizer(
    scale=lambda cell, chip: float(1 << (FRACTION - fixed.WEIGHT_SHIFT)),
    gain=lambda cell: cell.gain,
    integer=_integer,
)
