"""The integrate-and-fire family: one float step and one integer step for all its kinds.

IF, LIF, CubaLIF, LI and CubaLI are the same equation with parts left out, so their steps are
stated once here. The float step is the reference that every target is compared with; the
integer step is the specification of what Loihi 1 does (hardware.md 2.1, 2.2).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Membrane
from spikeport.compiler.errors import SemanticsError
from spikeport.compiler.kinds import STEPS, Array, Steps
from spikeport.compiler.program import Arithmetic, Cell
from spikeport.compiler.semantics import Semantics


def keep_and_gain(
    tau: Array, dt: float, semantics: Semantics, factor: Array
) -> tuple[Array, Array]:
    """Return the share of a state kept per step, and the gain of its input.

    Euler keeps 1 - dt/tau and gains factor * dt/tau; exact integration keeps e^(-dt/tau) and
    gains factor times the rest. Under unit gain the input is added as it is: tools that do so
    write r and w_in only to undo NIR's scaling, and do not use them.

    Args:
        tau: time constants as the file gives them, shape (n,), > 0.
        dt: seconds per step.
        semantics: `integration`, `tau_unit` and `input_gain` are read.
        factor: r or w_in, shape (n,).

    Raises:
        SemanticsError: a step so long that forward Euler diverges.
    """
    seconds = tau / dt if semantics.tau_unit == "seconds_times_dt" else tau
    shortest = float(seconds.min(initial=np.inf))
    if semantics.integration == "exact":
        keep = np.exp(-dt / np.maximum(seconds, 1e-3 * dt))  # e^-1000 is zero
        gain = 1.0 - keep
    elif dt > 2.0 * shortest:
        raise SemanticsError(
            f"a time step of {dt:g} s is longer than twice the time constant of {shortest:g} s",
            "forward Euler diverges there",
            f"--dt {shortest / 10:g}, or check tau_unit and the dialect",
        )
    else:
        gain = dt / seconds
        keep = 1.0 - gain
    return keep, np.ones_like(keep) if semantics.input_gain == "unit" else gain * factor


def unit_current(semantics: Semantics) -> bool:
    """Does the synaptic current jump by the whole input."""
    return semantics.input_gain in ("unit", "unit_current")


def membrane(
    size: int, semantics: Semantics, dt: float, spiking: bool, **params: Array | bool
) -> Membrane:
    """Return a `Membrane` with the semantics' rules; parameters not given are neutral.

    Args:
        size: number of neurons.
        semantics: of this node.
        dt: seconds per step.
        spiking: False for readouts.
        params: `keep_v`, `gain_v`, `drive_v`, `v_threshold`, `v_reset`, and for kinds with a
            synaptic current `keep_u`, `gain_u`; shape (n,).

    Raises:
        SemanticsError: spikes are to be counted in multiples of a threshold that is not above 0.
    """
    if spiking and semantics.spike == "count":
        _check_countable(np.asarray(params["v_threshold"]))
    v_reset = np.asarray(params.get("v_reset", np.zeros(size)))
    initial = v_reset if semantics.initial_v is None else np.full(size, semantics.initial_v)
    neutral: dict[str, Any] = {
        "has_current": "keep_u" in params,
        "keep_u": np.zeros(size),
        "gain_u": np.ones(size),
        "drive_v": np.zeros(size),
        "v_threshold": np.full(size, np.inf),
        "v_reset": v_reset,
        "v_initial": initial.copy(),
        "v_offset": np.zeros(size),
        "v_min": np.full(size, -np.inf if semantics.v_min is None else semantics.v_min),
        "refractory_steps": np.full(size, steps_of(semantics.refractory, dt), np.int64),
    }
    return Membrane(
        **(neutral | params),
        reset=semantics.reset if spiking else "none",
        reset_when=semantics.reset_when,
        spike=semantics.spike if spiking else "binary",
        threshold=semantics.threshold,
        current_order=semantics.current_order,
        spiking=spiking,
    )


def _check_countable(threshold: Array) -> None:
    if (threshold <= 0).any():
        worst = int(threshold.argmin())
        raise SemanticsError(
            f"spike=count with the threshold {threshold[worst]:g} of neuron {worst}",
            "spikes are counted in multiples of the threshold, so it must be above 0",
            "--set spike=binary, or correct v_threshold",
        )


def start(cell: Membrane, samples: int) -> dict[str, Array]:
    """Return the float state before the first step; arrays of shape (samples, n)."""
    shape = (samples, cell.keep_v.size)
    return {
        "u": np.zeros(shape),
        "v": np.broadcast_to(cell.v_initial, shape).copy(),
        "refractory": np.zeros(shape, np.int64),
        "pending": np.zeros(shape, np.int64),
    }


def step(cell: Membrane, state: dict[str, Array], received: Array) -> Array:
    """Take one float step in place and return what is sent, (samples, n): counts, or analog v.

    Args:
        cell: per-step parameters.
        state: as `start` returns it; changed.
        received: weighted sum of what arrived, (samples, n).
    """
    seen = _current(cell, state, received)
    before = v = state["v"]
    moved = cell.keep_v * v + cell.gain_v * seen + cell.drive_v
    held = state["refractory"] > 0
    v = np.where(held, v, moved) if held.any() else moved
    if cell.reset_when == "next_step":
        _reset(cell, v, state["pending"])
    v = np.maximum(v, cell.v_min)
    state["v"] = v
    state["refractory"] = np.maximum(state["refractory"] - 1, 0)
    if not cell.spiking:
        return np.asarray(v)
    spikes = _spikes(cell, _judged(cell, before, v))
    spikes = np.where(held, 0, spikes) if held.any() else spikes
    if cell.reset_when == "next_step":
        state["pending"] = spikes
    else:
        _reset(cell, v, spikes)
    if cell.refractory_steps.any():
        state["refractory"] = np.where(spikes > 0, cell.refractory_steps, state["refractory"])
    return spikes


def _current(cell: Membrane, state: dict[str, Array], received: Array) -> Array:
    """Move the synaptic current and return what v sees of it."""
    arrived = cell.gain_u * received
    if not cell.has_current:
        state["u"] = arrived
        return arrived
    before = state["u"]
    if cell.current_order == "add_v_decay":
        seen = before + arrived
        state["u"] = cell.keep_u * seen
    elif cell.current_order == "add_decay_v":
        seen = state["u"] = cell.keep_u * (before + arrived)
    elif cell.current_order == "v_decay_add":
        seen = before
        state["u"] = cell.keep_u * before + arrived
    else:
        seen = state["u"] = cell.keep_u * before + arrived
    return np.asarray(seen)


def _judged(cell: Membrane, before: Array, v: Array) -> Array:
    """Return the v that is held against the threshold.

    Under `subtract_snntorch` a neuron whose v was above threshold before the step must reach
    twice the threshold: snnTorch takes the old v's reset off, asks, and gives it back.
    """
    if cell.reset != "subtract_snntorch" or cell.reset_when == "next_step":
        return v
    return np.asarray(v - _spikes(cell, before) * cell.v_threshold)


def _spikes(cell: Membrane, v: Array) -> Array:
    theta = cell.v_threshold
    if cell.spike == "count":
        with np.errstate(invalid="ignore"):
            count = np.floor(v / theta)
        if cell.threshold == "greater":
            count = np.where(count * theta == v, count - 1, count)
        return np.asarray(np.maximum(count, 0), np.int64)
    above = v >= theta if cell.threshold == "greater_equal" else v > theta
    return above.astype(np.int64)


def _reset(cell: Membrane, v: Array, spikes: Array) -> None:
    """Apply the reset of `spikes` to v, in place."""
    if cell.reset == "to_value":
        np.copyto(v, np.broadcast_to(cell.v_reset, v.shape), where=spikes > 0)
    elif cell.reset in ("subtract", "subtract_snntorch"):
        np.subtract(v, spikes * cell.v_threshold, out=v, where=spikes > 0)


def start_integer(cell: Cell, samples: int) -> dict[str, Array]:
    """Return the integer state before the first step; int64 arrays of shape (samples, n)."""
    shape = (samples, cell.decay_v.size)
    return {
        "u": np.zeros(shape, np.int64),
        "v": np.broadcast_to(cell.v_initial, shape).astype(np.int64),
        "refractory": np.zeros(shape, np.int64),
        "pending": np.zeros(shape, np.int64),
    }


def step_integer(
    cell: Cell, arithmetic: Arithmetic, state: dict[str, Array], received: Array, bias: Array
) -> tuple[Array, int]:
    """Take one integer step in place.

    Returns:
        What is sent, int64, (samples, n): spikes, counts or the message of an analog neuron; and
        in how many cells u or v left its bits.

    Args:
        cell: integer parameters.
        arithmetic: the datapath.
        state: as `start_integer` returns it; changed.
        received: sum of synaptic input, int64, (samples, n): in weight units (before << 6), or
            aligned already where exponents act on each synapse.
        bias: (bias mantissa << bias exponent), int64, broadcastable to (samples, n).
    """
    by_synapse = arithmetic.weight_exp_at == "synapse"
    aligned = received if by_synapse else received << arithmetic.weight_shift
    bits, unity = arithmetic.decay_bits, 1 << arithmetic.decay_bits
    total = fixed.decay(state["u"], unity - 1 - cell.decay_u.astype(np.int64), bits) + aligned
    u = _u_in_its_bits(arithmetic, total)
    before = state["v"]
    moved = fixed.decay(before, unity - cell.decay_v.astype(np.int64), bits) + u + bias
    v = _v_in_its_bits(arithmetic, moved)
    left = int(np.count_nonzero(u != total) + np.count_nonzero(v != moved))
    held = state["refractory"] > 0
    theta = cell.v_threshold.astype(np.int64) << arithmetic.weight_shift
    v = np.where(held, before, v)
    if cell.reset_when == "next_step":
        v = _reset_integer(cell, theta, v, state["pending"])
    v = v if arithmetic.overflow == "unlimited" else np.maximum(v, cell.v_min)
    state["u"], state["refractory"] = u, np.maximum(state["refractory"] - 1, 0)
    if not cell.spiking:
        state["v"] = v
        return _message(cell, v), left
    spikes = np.where(
        held, 0, _spikes_integer(cell, theta, _judged_integer(cell, theta, before, v))
    )
    if cell.reset_when == "next_step":
        state["pending"] = spikes
    else:
        v = _reset_integer(cell, theta, v, spikes)
    if (cell.refractory_steps > 1).any():
        pause = cell.refractory_steps - 1
        state["refractory"] = np.where(spikes > 0, pause, state["refractory"])
    state["v"] = v
    return spikes, left


def _u_in_its_bits(arithmetic: Arithmetic, total: Array) -> Array:
    if arithmetic.overflow == "unlimited":
        return total
    if arithmetic.state_bits != 24:
        return fixed.saturate(total, arithmetic.largest_state)
    # Lava adds in int32, and so do we before the 24-bit rule: it matters only far outside.
    return fixed.OVERFLOW[arithmetic.overflow](fixed.wrap_int32(total))


def _v_in_its_bits(arithmetic: Arithmetic, moved: Array) -> Array:
    if arithmetic.overflow == "unlimited":
        return moved
    if arithmetic.state_bits != 24:
        return fixed.saturate(moved, arithmetic.largest_state)
    return fixed.saturate(fixed.wrap_int32(moved))


def _judged_integer(cell: Cell, theta: Array, before: Array, v: Array) -> Array:
    """Return the v that is held against the threshold; see `_judged`."""
    if cell.reset != "subtract_snntorch" or cell.reset_when == "next_step":
        return v
    return np.asarray(v - _spikes_integer(cell, theta, before) * theta)


def _spikes_integer(cell: Cell, theta: Array, v: Array) -> Array:
    if cell.spike == "count":
        count = v // np.maximum(theta, 1)
        if cell.threshold == "greater":
            count = count - (count * theta == v)
        return np.asarray(np.clip(count, 0, cell.largest_message), np.int64)
    above = v >= theta if cell.threshold == "greater_equal" else v > theta
    return above.astype(np.int64)


def _reset_integer(cell: Cell, theta: Array, v: Array, spikes: Array) -> Array:
    """Return v after the reset of `spikes`."""
    if cell.reset == "to_value":
        return np.where(spikes > 0, cell.v_reset, v)
    if cell.reset in ("subtract", "subtract_snntorch"):
        return np.asarray(v - spikes * theta)
    return v


def _message(cell: Cell, v: Array) -> Array:
    """Return what an analog neuron sends: v with fewer bits; nothing from a readout."""
    if not cell.message_bits:
        return np.zeros(v.shape, np.int64)
    rounded = fixed.round_shift(v, cell.message_shift)
    return fixed.saturate(rounded, cell.largest_message)


VARIABLES = ("u", "v", "refractory", "pending")
STEPS[Membrane] = Steps(start, step, VARIABLES)
STEPS[Cell] = Steps(start_integer, step_integer, VARIABLES)


def steps_of(seconds: float, dt: float) -> int:
    """Return a duration in whole steps, rounded to the nearest."""
    return math.floor(seconds / dt + 0.5)
