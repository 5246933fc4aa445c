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
from spikeport.compiler.namespace import is_known, namespace
from spikeport.compiler.program import Arithmetic, Cell
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.spiking import EXACT, Spiking


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
    xp = namespace(tau)
    seconds = tau / dt if semantics.tau_unit == "seconds_times_dt" else tau
    shortest = float(seconds.min(initial=np.inf)) if is_known(seconds) else np.inf
    if semantics.integration == "exact":
        keep = xp.exp(-dt / xp.maximum(seconds, 1e-3 * dt))  # e^-1000 is zero
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
    return keep, xp.ones_like(keep) if semantics.input_gain == "unit" else gain * factor


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
    if spiking and semantics.spike == "count" and is_known(params["v_threshold"]):
        _check_countable(np.asarray(params["v_threshold"]))
    v_reset: Any = params.get("v_reset", np.zeros(size))
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
    v = namespace(cell.v_initial).broadcast_to(cell.v_initial, shape)
    return {
        "u": np.zeros(shape),
        "v": v.copy(),
        "refractory": np.zeros(shape, np.int64),
        "pending": np.zeros(shape, np.int64),
    }


def step(
    cell: Membrane, state: dict[str, Array], received: Array, spiking: Spiking = EXACT
) -> Array:
    """Take one float step and return what is sent, (samples, n): counts, or analog v.

    Args:
        cell: per-step parameters.
        state: as `start` returns it; its entries are replaced.
        received: weighted sum of what arrived, (samples, n).
        spiking: how v becomes spikes.
    """
    xp = namespace(received, state["v"], cell.keep_v)
    seen = _current(cell, state, received)
    before = state["v"]
    v: Array = cell.keep_v * before + cell.gain_v * seen + cell.drive_v
    pauses = bool(cell.refractory_steps.any())
    held = state["refractory"] > 0 if pauses else None
    if held is not None:
        v = xp.where(held, before, v)
        state["refractory"] = xp.maximum(state["refractory"] - 1, 0)
    if cell.reset_when == "next_step":
        v = _reset(cell, v, state["pending"])
    if (cell.v_min > -np.inf).any():
        v = xp.maximum(v, cell.v_min)
    state["v"] = v
    if not cell.spiking:
        return v
    spikes = _spikes(cell, _judged(cell, before, v, spiking), spiking)
    if held is not None:
        spikes = xp.where(held, 0, spikes)
        state["refractory"] = xp.where(spikes > 0, cell.refractory_steps, state["refractory"])
    if cell.reset_when == "next_step":
        state["pending"] = spiking.stopped(spikes)
    else:
        state["v"] = _reset(cell, v, spiking.stopped(spikes))
    return spikes


def _current(cell: Membrane, state: dict[str, Array], received: Array) -> Array:
    """Move the synaptic current and return what v sees of it."""
    arrived: Array = cell.gain_u * received
    if not cell.has_current:
        state["u"] = arrived
        return arrived
    before = state["u"]
    seen: Array
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
    return seen


def _judged(cell: Membrane, before: Array, v: Array, spiking: Spiking) -> Array:
    """Return the v that is held against the threshold.

    Under `subtract_snntorch` a neuron whose v was above threshold before the step must reach
    twice the threshold: snnTorch takes the old v's reset off, asks, and gives it back.
    """
    if cell.reset != "subtract_snntorch" or cell.reset_when == "next_step":
        return v
    judged: Array = v - spiking.stopped(_spikes(cell, before, spiking)) * cell.v_threshold
    return judged


def _spikes(cell: Membrane, v: Array, spiking: Spiking) -> Array:
    how = spiking.multiples if cell.spike == "count" else spiking.above
    return how(v, cell.v_threshold, cell.threshold)


def _reset(cell: Membrane, v: Array, spikes: Array) -> Array:
    """Return v after the reset of `spikes`."""
    xp = namespace(v, spikes)
    if cell.reset == "to_value":
        v = xp.where(spikes > 0, cell.v_reset, v)
    elif cell.reset in ("subtract", "subtract_snntorch"):
        v = xp.where(spikes > 0, v - spikes * cell.v_threshold, v)
    return v


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
    xp = namespace(received, state["v"])
    by_synapse = arithmetic.weight_exp_at == "synapse"
    aligned = received if by_synapse else received << arithmetic.weight_shift
    bits, unity = arithmetic.decay_bits, 1 << arithmetic.decay_bits
    total = fixed.decay(state["u"], unity - 1 - cell.decay_u.astype(np.int64), bits) + aligned
    u = _u_in_its_bits(arithmetic, total)
    before = state["v"]
    moved = fixed.decay(before, unity - cell.decay_v.astype(np.int64), bits) + u + bias
    v = _v_in_its_bits(arithmetic, moved)
    left = xp.count_nonzero(u != total) + xp.count_nonzero(v != moved)
    held = state["refractory"] > 0
    theta = cell.v_threshold.astype(np.int64) << arithmetic.weight_shift
    v = xp.where(held, before, v)
    if cell.reset_when == "next_step":
        v = _reset_integer(cell, theta, v, state["pending"])
    v = v if arithmetic.overflow == "unlimited" else xp.maximum(v, cell.v_min)
    state["u"], state["refractory"] = u, xp.maximum(state["refractory"] - 1, 0)
    if not cell.spiking:
        state["v"] = v
        return _message(cell, v), left
    spikes = xp.where(
        held, 0, _spikes_integer(cell, theta, _judged_integer(cell, theta, before, v))
    )
    if cell.reset_when == "next_step":
        state["pending"] = spikes
    else:
        v = _reset_integer(cell, theta, v, spikes)
    if (cell.refractory_steps > 1).any():
        pause = cell.refractory_steps - 1
        state["refractory"] = xp.where(spikes > 0, pause, state["refractory"])
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
    judged: Array = v - _spikes_integer(cell, theta, before) * theta
    return judged


def _spikes_integer(cell: Cell, theta: Array, v: Array) -> Array:
    if cell.spike == "count":
        xp = namespace(v)
        count = v // xp.maximum(theta, 1)
        if cell.threshold == "greater":
            count = count - (count * theta == v)
        return fixed.whole(xp.clip(count, 0, cell.largest_message))
    return fixed.whole(v >= theta if cell.threshold == "greater_equal" else v > theta)


def _reset_integer(cell: Cell, theta: Array, v: Array, spikes: Array) -> Array:
    """Return v after the reset of `spikes`."""
    if cell.reset == "to_value":
        v = namespace(v).where(spikes > 0, cell.v_reset, v)
    elif cell.reset in ("subtract", "subtract_snntorch"):
        v = v - spikes * theta
    return v


def _message(cell: Cell, v: Array) -> Array:
    """Return what an analog neuron sends: v with fewer bits; nothing from a readout."""
    if not cell.message_bits:
        return 0 * v
    rounded = fixed.round_shift(v, cell.message_shift)
    return fixed.saturate(rounded, cell.largest_message)


VARIABLES = ("u", "v", "refractory", "pending")
STEPS[Membrane] = Steps(start, step, VARIABLES)
STEPS[Cell] = Steps(start_integer, step_integer, VARIABLES)


def steps_of(seconds: float, dt: float) -> int:
    """Return a duration in whole steps, rounded to the nearest."""
    return math.floor(seconds / dt + 0.5)
