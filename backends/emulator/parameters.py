"""The parameters of neurons as the engine takes them, and the proof that 32 bits will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.program import Arithmetic, Cell
from spikeport.compiler.quantize.xylo.cell import XyloCell
from spikeport.models.neurons.izhikevich import LIMIT, IntegerIzhikevich

MEMBRANE, XYLO, IZHIKEVICH = 1, 2, 3
KINDS: Mapping[type, int] = {Cell: MEMBRANE, XyloCell: XYLO, IntegerIzhikevich: IZHIKEVICH}
OVERFLOWS = ("lava", "twos_complement", "saturate", "unlimited")
NEVER = 4  # behind them: proved not to happen
RESETS = ("to_value", "subtract", "none", "subtract_snntorch")
#: What a cell that is no membrane has, in the order of neurons.h.
OTHERS: Mapping[type, tuple[str, ...]] = {
    XyloCell: ("dash_syn", "dash_mem", "v_threshold", "most_spikes"),
    IntegerIzhikevich: (
        "quadratic", "linear", "step", "recovery", "b", "c", "d", "v_threshold",
    ),
}  # fmt: skip
NARROW_SUM = 1 << 30  # what is received, aligned, must stay below it
NARROW_BIAS = 1 << 29


def cell_fields(
    cell: Any, arithmetic: Arithmetic, largest: int | None, order: Array | None
) -> dict[str, Any]:
    """Return the engine's fields of a population's neurons.

    Args:
        cell: integer parameters.
        arithmetic: the datapath.
        largest: bound of what is received in a step; None where sums need 64 bits.
        order: neuron at each place, or None.
    """

    def placed(values: Any) -> Array:
        """Return one value where all are equal, else one for each place, int64."""
        array = np.asarray(values, np.int64).reshape(-1)
        if (array == array[:1]).all():
            return array[:1].copy()
        return np.ascontiguousarray(array if order is None else array[order])

    bias, start = placed(registers(cell)), STEPS[type(cell)].start(cell, 1)
    common = {
        "kind": KINDS[type(cell)],
        "overflow": OVERFLOWS.index(arithmetic.overflow),
        "align": 0 if arithmetic.weight_exp_at == "synapse" else arithmetic.weight_shift,
        "largest_state": arithmetic.largest_state,
        "at_threshold": int(getattr(cell, "threshold", "") == "greater_equal"),
        "bias": bias,
        "first_u": placed(start["u"]),
        "first_v": placed(start["v"]),
    }
    if not isinstance(cell, Cell):
        if isinstance(cell, IntegerIzhikevich):
            common |= {"align": fixed.WEIGHT_SHIFT, "largest_state": LIMIT}
        names = OTHERS[type(cell)]
        return common | {f"other{at}": placed(getattr(cell, n)) for at, n in enumerate(names)}
    unity = 1 << arithmetic.decay_bits
    fields: dict[str, Any] = common | {
        "reset": RESETS.index(cell.reset),
        "next_step": int(cell.reset_when == "next_step"),
        "counts": int(cell.spike == "count"),
        "spiking": int(cell.spiking),
        "has_refractory": int((cell.refractory_steps > 1).any()),
        "has_message": int(cell.message_bits > 0),
        "decay_bits": arithmetic.decay_bits,
        "largest_message": cell.largest_message,
        "message_shift": cell.message_shift,
        "keep_u": placed(unity - 1 - cell.decay_u.astype(np.int64)),
        "keep_v": placed(unity - cell.decay_v.astype(np.int64)),
        "theta": placed(cell.v_threshold.astype(np.int64) << arithmetic.weight_shift),
        "v_reset": placed(cell.v_reset),
        "v_min": placed(cell.v_min),
        "pause": placed(cell.refractory_steps - 1),
    }
    if not _is_narrow(cell, arithmetic, fields, largest):
        return fields | {"narrow": 0, "uniform": 0, "narrow_overflow": fields["overflow"]}
    overflow = NEVER if _stays(fields, largest or 0) else fields["overflow"]
    return fields | {"narrow": 1, "narrow_overflow": overflow} | _narrow(cell, fields)


def registers(cell: Any) -> Array:
    """Return the bias registers of a population as they add to v, int64, (n,)."""
    return np.asarray(
        cell.bias_mantissa.astype(np.int64) << cell.bias_exponent.astype(np.int64), np.int64
    )


def _is_narrow(
    cell: Cell, arithmetic: Arithmetic, fields: Mapping[str, Any], largest: int | None
) -> bool:
    """May membrane32.h run these neurons: it has no other rule, and nothing leaves 32 bits."""
    rules = (
        arithmetic.state_bits == 24
        and arithmetic.decay_bits == fixed.DECAY_BITS
        and arithmetic.overflow != "unlimited"
        and cell.spiking
        and cell.spike == "binary"
        and cell.reset_when == "same_step"
        and cell.reset != "subtract_snntorch"
        and not fields["has_refractory"]
        and not cell.message_bits
    )
    if not rules or largest is None or largest << fields["align"] >= NARROW_SUM:
        return False
    limit, theta = fixed.STATE_LIMIT, fields["theta"]
    lowest = 0 if cell.reset == "subtract" else 1 - (1 << 31)
    return bool(
        lowest <= theta.min(initial=0)
        and theta.max(initial=0) < 1 << 31
        and np.abs(fields["v_reset"]).max(initial=0) <= limit
        and np.abs(cell.v_initial.astype(np.int64)).max(initial=0) <= limit
        and fields["v_min"].max(initial=-limit) <= limit
        and np.abs(fields["bias"]).max(initial=0) < NARROW_BIAS
    )


def _stays(fields: Mapping[str, Any], largest: int) -> bool:
    """Does u never leave its bits: |u| <= keep |u| + input, so |u| <= input / (1 - keep)."""
    unity = 1 << fixed.DECAY_BITS
    lost = unity - int(fields["keep_u"].max(initial=0))
    return bool((largest << fields["align"]) * unity < fixed.STATE_LIMIT * lost)


def _narrow(cell: Cell, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of membrane32.h, int32: one value each, or one for each place."""
    theta = fields["theta"] - (cell.threshold == "greater_equal")
    back = {"to_value": fields["v_reset"], "subtract": fields["theta"]}
    wanted = {
        "keep_u": fields["keep_u"],
        "keep_v": fields["keep_v"],
        "theta": theta,
        "back": back.get(cell.reset, np.zeros(1, np.int64)),
        "v_min": fields["v_min"],
        "bias": fields["bias"],
    }
    uniform = all(each.size == 1 for each in wanted.values())
    size = 1 if uniform else cell.decay_u.size
    return {"uniform": int(uniform)} | {
        f"narrow_{name}": np.ascontiguousarray(np.broadcast_to(each, size), np.int32)
        for name, each in wanted.items()
    }
