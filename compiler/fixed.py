"""Every rounding, shift, wrap and saturation rule of the chips, once.

This is the specification: `hardware.md` section 2 gives the sources, the tests compare each
rule with values that other programs computed. All functions take and return int64; those of a
step work on NumPy's arrays, and on JAX's where a network is trained in a chip's arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.namespace import namespace

STATE_LIMIT = 1 << 23  # u and v of Loihi 1: 23 bits and a sign
DECAY_BITS = 12
WEIGHT_SHIFT = 6  # synaptic input and thresholds are aligned 6 bits up
SYNAPSE_LIMIT = (1 << 21) - (1 << 6)  # brian2_loihi: largest effective weight


def whole(value: Array | int) -> Array:
    """Return `value` as int64."""
    found: Array = namespace(value).asarray(value, dtype=np.int64)
    return found


def decay(state: Array, keep: Array | int, bits: int = DECAY_BITS) -> Array:
    """Return sign(state) * ((|state| * keep) >> bits): the loss is rounded toward zero.

    Args:
        state: any shape, |state| < 2**31.
        keep: 2**bits minus the decay field, 0 .. 2**bits.
        bits: width of the field, up to 32.

    >>> decay(np.array([-5, 5]), 2048).tolist()
    [-2, 2]
    """
    xp = namespace(state)
    return whole(xp.sign(state) * ((xp.abs(state) * whole(keep)) >> bits))


def wrap_int32(value: Array) -> Array:
    """Return `value` modulo 2**32 in the range of int32, as C and NumPy's int32 wrap."""
    return wrap_bits(value, 32)


def wrap_bits(value: Array, bits: int) -> Array:
    """Return `value` in two's complement of `bits` bits, sign included.

    >>> wrap_bits(np.array([2**23, -2**23 - 1]), 24).tolist()
    [-8388608, 8388607]
    """
    half = 1 << (bits - 1)
    return (whole(value) + half) % (1 << bits) - half


def wrap_lava(value: Array) -> Array:
    """Return u as Lava 0.10 wraps it: one period only, and 2**23 itself is legal.

    Not two's complement: -2**23 becomes +2**23 (AbstractPyLifModelFixed.subthr_dynamics).

    >>> wrap_lava(np.array([2**23, 2**23 + 1, -2**23, 3 * 2**23])).tolist()
    [8388608, -8388607, 8388608, 8388608]
    """
    limit, xp = STATE_LIMIT, namespace(value)
    wrapped = xp.where(value > limit, value - 2 * limit, value)
    return whole(xp.where(wrapped <= -limit, value + 2 * limit, wrapped))


def saturate(value: Array, limit: int = STATE_LIMIT - 1) -> Array:
    """Return `value` clipped to -limit .. limit."""
    return whole(namespace(value).clip(value, -limit, limit))


def unlimited(value: Array) -> Array:
    """Return `value`: a datapath without overflow (brian2_loihi)."""
    return value


#: What happens to u when it leaves 24 bits, by the name of the switch.
OVERFLOW = {
    "lava": wrap_lava,
    "twos_complement": lambda value: wrap_bits(value, 24),
    "saturate": saturate,
    "unlimited": unlimited,
}


def shift(value: Array, exponent: int) -> Array:
    """Return value * 2**exponent; a negative exponent is an arithmetic right shift (floor).

    >>> shift(np.array([-3, 3]), -1).tolist()
    [-2, 1]
    """
    value = whole(value)
    return value << exponent if exponent >= 0 else value >> -exponent


def round_shift(value: Array, bits: int) -> Array:
    """Return value / 2**bits, rounded half up: a message with fewer bits than the state.

    >>> round_shift(np.array([-3, -2, 2, 3]), 2).tolist()
    [-1, 0, 1, 1]
    """
    half = (1 << bits) >> 1
    return shift(whole(value) + half, -bits)


def truncate_weights(mantissa: Array, sign_mode: str, bits: int, rounding: str) -> Array:
    """Return weight mantissas with the low bits that `bits` cannot hold removed.

    A mixed-sign weight gives one of its bits to the sign, so at 8 bits it is even.

    Args:
        mantissa: integers on the 8-bit scale, -256 .. 255.
        sign_mode: `mixed`, `excitatory` or `inhibitory`.
        bits: 1 .. 8.
        rounding: `floor` (Lava), `zero` (brian2_loihi), `nearest` (nengo-loihi: ties to even,
            the range is symmetric, +-254 at 8 mixed bits).

    >>> truncate_weights(np.array([-3, 3, 255]), "mixed", 8, "floor").tolist()
    [-4, 2, 254]
    """
    mantissa = np.asarray(mantissa, np.int64)
    drop = 8 - bits + (sign_mode == "mixed")
    step = 1 << drop
    if rounding == "nearest":
        nearest = np.rint(mantissa / step).astype(np.int64) * step
        return saturate(nearest, 256 - step)
    if rounding == "floor" and sign_mode == "mixed":
        return np.asarray((mantissa >> drop) << drop, np.int64)
    return np.asarray(np.sign(mantissa) * ((np.abs(mantissa) >> drop) << drop), np.int64)


def effective_weights(mantissa: Array, exponent: int, rounding: str) -> Array:
    """Return weights as they add to u, where the exponent acts on each synapse by itself.

    Bits that a negative exponent shifts out are lost before the weight is aligned; no weight
    is beyond +-(2**21 - 2**6).

    Args:
        mantissa: truncated weights.
        exponent: of the projection.
        rounding: `nearest` (nengo-loihi: ties to even, clipped to 8 bits and a sign, shifted),
            anything else rounds down (brian2_loihi rounds toward zero only before).

    >>> effective_weights(np.array([-3, 3]), -1, "zero").tolist()
    [-128, 64]
    """
    if rounding == "nearest":
        limit = math.ldexp(256, exponent)
        rounded = np.rint(np.ldexp(np.asarray(mantissa, float), exponent))
        shifted = np.clip(rounded, -limit, limit - 1).astype(np.int64)
    else:
        shifted = shift(mantissa, exponent)
    return saturate(shifted << WEIGHT_SHIFT, SYNAPSE_LIMIT)


def weight_range(sign_mode: str, bits: int = 8) -> tuple[int, int]:
    """Return the smallest and largest mantissa: Lava's before truncation, or of signed bits."""
    if sign_mode == "signed":
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[sign_mode]


def sign_mode_of(mantissa: Array) -> str:
    """Return the sign mode that describes the values, as Lava infers it."""
    if mantissa.size == 0 or mantissa.min() >= 0:
        return "excitatory"
    return "inhibitory" if mantissa.max() <= 0 else "mixed"
