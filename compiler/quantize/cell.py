"""Registers of a population: decays, thresholds, biases, levels of v."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Membrane, Population
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Arithmetic, Cell
from spikeport.compiler.quantize.decay import quantize_decay
from spikeport.compiler.quantize.lost import lost
from spikeport.compiler.quantize.scale import TIE, whole
from spikeport.compiler.quantize.scaling import Scaling


def integer_cell(
    name: str,
    pop: Population,
    scaling: Scaling,
    chip: Chip,
    arithmetic: Arithmetic,
    losses: list[dict[str, Any]],
) -> Cell:
    """Return the integer parameters of a population; adds what they lost to `losses`.

    Args:
        name: of the population.
        pop: in floats.
        scaling: weight units per float unit of v, and the decays that were chosen with it.
        chip: whose registers are filled.
        arithmetic: its datapath.
        losses: gets a row for each kind of register.
    """
    cell, scale, message_shift = pop.cell, scaling.scale, scaling.message_shift
    full = scale * (1 << arithmetic.weight_shift)
    bits = arithmetic.decay_bits
    followed = scaling.followed
    drive = cell.drive_v if followed is None else cell.drive_v * followed.gain_v
    keep_u, keep_v = (
        (cell.keep_u, cell.keep_v) if followed is None else (followed.keep_u, followed.keep_v)
    )
    field = quantize_decay(1.0 - keep_v, name, "v", bits)
    decay_v = np.minimum(field, arithmetic.forgets).astype(np.int32)
    losses.append(_decay_loss(name, "decay_v", decay_v, cell.keep_v, bits))
    decay_u = np.full(pop.size, (1 << bits) - 1, np.int32)
    if cell.has_current:
        field = quantize_decay(1.0 - keep_u, name, "u", bits)
        losses.append(_decay_loss(name, "decay_u", field, cell.keep_u, bits))
        decay_u = field - 1  # the chip adds 1
    mantissa, exponent = _bias(drive * full + scaling.drive, chip)
    if drive.any():
        losses.append(_bias_loss(name, mantissa, exponent, drive + scaling.drive / full, full))
    top = arithmetic.largest_state
    compared = compared_as(cell, chip)
    initial = np.clip(np.rint(cell.v_initial * full), -top, top)
    if compared == "greater" and cell.threshold == "greater_equal" and cell.reset == "subtract":
        initial = initial + whole(cell)  # of 64: at a tie v is above the threshold, see _threshold
    floor = np.clip(np.nan_to_num(cell.v_min * full, neginf=-top), -top, top)
    threshold = np.full(pop.size, arithmetic.never, np.int32)
    if cell.spiking:
        threshold = _threshold(cell, scaling, chip, losses, name)
    sends = pop.signal == "count" or message_shift > 0
    return neutral_cell(
        pop.size,
        v_reset=np.clip(np.rint(cell.v_reset * full), -top, top).astype(np.int32),
        decay_u=decay_u.astype(np.int32),
        decay_v=decay_v,
        v_threshold=threshold,
        bias_mantissa=mantissa,
        bias_exponent=exponent,
        v_initial=initial.astype(np.int32),
        v_min=np.rint(floor).astype(np.int32),
        refractory_steps=(cell.refractory_steps + 1).astype(np.int32),
        reset=cell.reset,
        reset_when=cell.reset_when if cell.spiking else "same_step",
        spike=cell.spike,
        threshold=compared,
        start_step=pop.start_step,
        spiking=cell.spiking,
        message_bits=chip.message_bits if sends else 0,
        message_shift=message_shift,
    )


def compared_as(cell: Membrane, chip: Chip) -> str:
    """Return how the chip compares v with the threshold.

    A chip that has `>=` uses it where v is exact: in an integrator, where spikes are counted in
    multiples of the threshold, and where nothing lies below the threshold. Elsewhere `>` from a
    little below meets ties better.
    """
    native = "greater_equal" in chip.thresholds and cell.threshold == "greater_equal"
    exact = whole(cell) or cell.spike == "count" or bool((cell.v_threshold <= 0).any())
    return "greater_equal" if native and exact else "greater"


def always_spiking(chip: Chip, arithmetic: Arithmetic) -> Cell:
    """Return the bias neuron: v = 1 > 0 in every step, or 0 >= 0 where no bias is above 0."""
    forgets = np.full(1, (1 << arithmetic.decay_bits) - 1, np.int32)
    if chip.limits.bias_mantissa.high < 1:
        return neutral_cell(1, decay_u=forgets, threshold="greater_equal")
    return neutral_cell(1, decay_u=forgets, bias_mantissa=np.ones(1, np.int32))


def neutral_cell(size: int, **given: Any) -> Cell:
    """Return a Cell whose registers do nothing, but for those that are given (12-bit decays)."""
    zeros = np.zeros(size, np.int32)
    neutral: dict[str, Any] = {
        "decay_u": np.full(size, 4095, np.int32),
        "decay_v": zeros,
        "v_threshold": zeros,
        "bias_mantissa": zeros,
        "bias_exponent": zeros,
        "v_reset": zeros,
        "v_initial": zeros,
        "v_min": np.full(size, -(1 << 31) + 1, np.int32),  # below every state
        "refractory_steps": np.ones(size, np.int32),
    }
    return Cell(**{**neutral, **given})


def _threshold(
    cell: Membrane, scaling: Scaling, chip: Chip, losses: list[dict[str, Any]], name: str
) -> Array:
    """Return threshold mantissas.

    The chip's condition is strict. `>=` on whole multiples of 64 (an integrator without decay)
    is `>` one mantissa lower, exactly; under a reset by subtraction, which subtracts the mantissa
    too, v starts one unit of 64 higher instead. With decay, states are rounded toward
    zero, so a tie is met from a little below: the mantissa stays `TIE` under the threshold.
    """
    scale = scaling.scale
    mantissa = np.rint(cell.v_threshold * scale)
    if cell.threshold == "greater_equal" and compared_as(cell, chip) == "greater":
        if not whole(cell):
            mantissa = np.floor(cell.v_threshold * scale - TIE + 1e-9)
        elif cell.reset == "subtract":
            mantissa = np.ceil(cell.v_threshold * scale - 1e-9)
        else:
            mantissa = np.ceil(cell.v_threshold * scale - 1e-9) - 1
    limit = chip.limits.threshold_mantissa
    if mantissa.min() < limit.low:
        raise LoweringError(
            f"the threshold of {name!r} is not above its reset level",
            f"neuron {int(mantissa.argmin())} would spike in every step, and the chip's thresholds "
            "start at 0 and are compared with >",
            f"correct v_threshold or v_reset, or --set {name}.threshold=greater",
        )
    lowest = max(limit.low, 1) if cell.spike == "count" else limit.low
    shifted = np.clip(mantissa + scaling.threshold_shift, lowest, limit.high)
    mantissa = np.asarray(shifted, np.int32)
    error = mantissa / scale - cell.v_threshold
    size = float(np.abs(cell.v_threshold).max(initial=0.0))
    detail = f"mantissa {mantissa.min()} to {mantissa.max()}"
    losses.append(lost(name, "threshold", limit.high.bit_length(), error, size, detail))
    return mantissa


def _decay_loss(name: str, what: str, field: Array, keep: Array, bits: int) -> dict[str, Any]:
    error = 1.0 - field / (1 << bits) - keep
    row = lost(name, what, bits, error, 1.0, f"field {field.min()} to {field.max()}")
    relative = np.abs(error) / np.maximum(1 - keep, 2.0**-bits)  # of what each loses per step
    return row | {"relative": float(relative.max(initial=0.0))}


def _bias(drive: Array, chip: Chip) -> tuple[Array, Array]:
    """Return bias mantissas and their common exponent for what v gains per step."""
    register = chip.limits.bias_mantissa
    most = np.where(drive > 0, register.high, -register.low)  # `scale` refused what has no room
    share = float((np.abs(drive[drive != 0]) / most[drive != 0]).max(initial=0.0))
    exponent = max(0, int(np.ceil(np.log2(share) - 1e-9))) if share > 0 else 0
    mantissa = np.rint(drive / (1 << exponent)).astype(np.int32)
    return mantissa, np.full(drive.size, exponent, np.int32)


def _bias_loss(
    name: str, mantissa: Array, exponent: Array, drive: Array, full: Array
) -> dict[str, Any]:
    error = mantissa * 2.0**exponent / full - drive
    size = float(np.abs(drive).max(initial=0.0))
    high = int(exponent.max(initial=0))
    return lost(name, "bias", 13, error, size, "register on v", high)
