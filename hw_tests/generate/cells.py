"""Random integer neurons of every kind, from what registers hold, their ends included."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.compiler.program import GRADED, XYLO, Arithmetic, Cell
from spikeport.compiler.quantize.xylo.cell import LARGEST, LOWEST, XyloCell
from spikeport.models.neurons.izhikevich import LIMIT, IntegerIzhikevich

Array = np.ndarray[Any, Any]
RESETS = ("to_value", "subtract", "none", "subtract_snntorch")
LAST32 = (1 << 31) - 1


def random_cell(
    rng: np.random.Generator, size: int, arithmetic: Arithmetic, message_bits: int, slow: int
) -> Any:
    """Return neurons that this datapath can have.

    Args:
        rng: what is drawn from.
        size: how many neurons.
        arithmetic: the datapath.
        message_bits: of the network's messages; 0 where it sends spikes only.
        slow: steps of the chip per step of the network.
    """
    start = int(rng.choice([0, 0, 0, 1, 3, 9])) * slow
    if arithmetic == XYLO:
        return _xylo(rng, size)
    if arithmetic != GRADED and rng.random() < 0.08:
        return _izhikevich(rng, size, start)
    if rng.random() < 0.5:
        return _simple(rng, size, arithmetic, start)
    return _any(rng, size, arithmetic, message_bits, start)


def _registers(rng: np.random.Generator, size: int, arithmetic: Arithmetic) -> dict[str, Array]:
    """Return registers of a Cell; in half of the populations one value for all neurons."""
    alike = rng.random() < 0.5
    unity, limit = 1 << arithmetic.decay_bits, arithmetic.largest_state
    top = min(limit, LAST32)

    def draw(low: int, high: int, *ends: int) -> Array:
        values = rng.integers(low, high + 1, size)
        if ends:
            values = np.where(rng.random(size) < 0.3, rng.choice(ends, size), values)
        return np.full(size, values[0], np.int32) if alike else values.astype(np.int32)

    never = arithmetic.never
    bias = min(4095, top >> 2)
    lively = draw(0, max(never >> int(rng.integers(1, 10)), 1), 0)
    return {
        "decay_u": draw(0, unity - 1, 0, unity - 1, unity // 2),
        "decay_v": draw(0, unity, 0, unity, 1),
        "v_threshold": draw(0, never, 0, 1, never) if rng.random() < 0.2 else lively,
        "bias_mantissa": draw(-bias, bias, 0) * np.int32(rng.random() < 0.5),
        "bias_exponent": draw(0, 7 if arithmetic.state_bits >= 24 else 1),
        "v_reset": draw(-(top >> 4), top >> 4, 0, 0, top, -top),
        "v_initial": draw(-top, top, 0, 0, 0, top, -top) * np.int32(rng.random() < 0.5),
        "v_min": draw(-(top >> 3), 0, 0, -LAST32, -LAST32, -top, top >> 6),
    }


def _simple(rng: np.random.Generator, size: int, arithmetic: Arithmetic, start: int) -> Cell:
    """Return integrate-and-fire neurons as most networks have: the 32-bit step may run them."""
    return Cell(
        **_registers(rng, size, arithmetic),
        refractory_steps=np.ones(size, np.int32),
        reset=str(rng.choice(["to_value", "subtract", "none"])),
        threshold=str(rng.choice(["greater", "greater", "greater_equal"])),
        start_step=start,
    )


def _any(
    rng: np.random.Generator, size: int, arithmetic: Arithmetic, bits: int, start: int
) -> Cell:
    """Return neurons with any rules together: readouts, counts, messages, pauses, late resets."""
    spiking = rng.random() < 0.8
    counts = spiking and bits > 0 and rng.random() < 0.5
    analog = not spiking and bits > 0 and rng.random() < 0.7
    message = {"message_bits": bits, "message_shift": int(rng.integers(0, 12))} if analog else {}
    most = rng.choice([1, 1, 2, 5])
    return Cell(
        **_registers(rng, size, arithmetic),
        refractory_steps=rng.integers(1, most + 1, size).astype(np.int32),
        reset=str(rng.choice(RESETS)),
        reset_when=str(rng.choice(["same_step", "next_step"])),
        spike="count" if counts else "binary",
        threshold=str(rng.choice(["greater", "greater_equal"])),
        start_step=start,
        spiking=spiking,
        **({"message_bits": bits} if counts else message),
    )


def _xylo(rng: np.random.Generator, size: int) -> XyloCell:
    top = int(rng.choice([2, 20, 5000, LARGEST]))
    bias = int(rng.choice([0, 6, 2000, LARGEST]))

    def draw(low: int, high: int) -> Array:
        return rng.integers(low, high + 1, size).astype(np.int32)

    return XyloCell(
        dash_syn=draw(0, 15),
        dash_mem=draw(0, 15),
        v_threshold=draw(1, top),
        bias=draw(max(-bias, LOWEST), bias),
        most_spikes=int(rng.choice([1, 31])),
    )


def _izhikevich(rng: np.random.Generator, size: int, start: int) -> IntegerIzhikevich:
    step_ms = float(rng.choice([0.1, 0.5, 1.0, 5.0]))
    wild = rng.random() < 0.3

    def fixed(low: float, high: float, bits: int) -> Array:
        return np.rint(rng.uniform(low, high, size) * 2.0**bits).astype(np.int64)

    def level(low: float, high: float) -> Array:
        drawn = fixed(low, high, 16)
        return (
            np.where(rng.random(size) < 0.2, rng.choice([-LIMIT, LIMIT]), drawn) if wild else drawn
        )

    whole = np.full(size, round(step_ms * 2.0**24), np.int64)
    return IntegerIzhikevich(
        quadratic=np.rint(0.04 * whole).astype(np.int64),
        linear=5 * whole,
        step=whole,
        recovery=fixed(0.02 * step_ms, 0.1 * step_ms, 24),
        b=fixed(-0.3, 0.3, 24),
        c=level(-65.0, -50.0),
        d=level(0.05, 8.0),
        v_threshold=fixed(-60.0, 30.0, 16),
        v_initial=level(-70.0, -50.0),
        u_initial=level(-15.0, 0.0),
        threshold=str(rng.choice(["greater", "greater_equal"])),
        start_step=start,
    )
