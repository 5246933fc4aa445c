"""The integrate-and-fire family as Brian2 statements, from the words of `Clocked.Membrane`.

Sums and products stand in the order in which the reference takes them, so that a neuron that
meets its threshold exactly does so in both.
"""

from __future__ import annotations

import re

import numpy as np

from spikeport.backends.brian2.lowering import LOWERINGS, Lowered
from spikeport.compiler.clocked import Membrane
from spikeport.compiler.kinds import Array

#: current_order -> statements that move u and take what v sees of it.
CURRENT = {
    "decay_add_v": ("u = keep_u * u + gain_u * received", "seen = u"),
    "add_v_decay": ("seen = u + gain_u * received", "u = keep_u * seen"),
    "add_decay_v": ("u = keep_u * (u + gain_u * received)", "seen = u"),
    "v_decay_add": ("seen = u", "u = keep_u * u + gain_u * received"),
}
#: reset -> what a spike does to v; `fired` is the number of spikes of that neuron.
RESET = {
    "to_value": "v = v_reset",
    "subtract": "v = v - {fired} * v_threshold",
    "subtract_snntorch": "v = v - {fired} * v_threshold",
    "none": "",
}
#: The same, taken a step later by every neuron; `owed` is zero where there was no spike.
OWED = RESET | {"to_value": "v = int(owed > 0) * v_reset + int(owed == 0) * v"}
PARAMETERS = (
    "keep_u", "gain_u", "keep_v", "gain_v", "drive_v", "v_threshold", "v_reset", "v_min",
    "refractory_steps",
)  # fmt: skip


def membrane(cell: Membrane) -> Lowered:
    """Return the step of a population of the family; it holds only what its rules use.

    `owed` is how many spikes the next step resets; `held` says that v does not move in this one.
    """
    size = cell.keep_v.size
    zero: Array = np.zeros(size, np.int64)
    update = _text([*_current(cell), *_moved(cell), *_clamped(cell), *_counts(cell)])
    threshold = _threshold(cell) if cell.spiking else ""
    reset = _text(_answers(cell)) if cell.spiking else ""
    message = _message(cell)
    used = set(re.findall(r"\w+", " ".join([update, threshold, reset, message])))
    flags = {"held": np.zeros(size, bool), "level": np.zeros(size), "count": zero}
    kept = {"u": np.zeros(size), "v": cell.v_initial, "silent_steps": zero, "owed": zero}
    return Lowered(
        parameters={name: getattr(cell, name) for name in PARAMETERS if name in used},
        state=kept | {name: values for name, values in flags.items() if name in used},
        update=update,
        threshold=threshold,
        reset=reset,
        message=message,
        kept={"u": "u", "v": "v", "refractory": "silent_steps", "pending": "owed"},
    )


def _text(lines: list[str]) -> str:
    return "\n".join(line for line in lines if line)


def _pauses(cell: Membrane) -> bool:
    return bool(cell.refractory_steps.any())


def _given_back(cell: Membrane) -> bool:
    """Must a neuron that was above its threshold reach twice of it."""
    return cell.reset == "subtract_snntorch" and cell.reset_when == "same_step"


def _current(cell: Membrane) -> tuple[str, ...]:
    if not cell.has_current:
        return ("u = gain_u * received", "seen = u")
    return CURRENT[cell.current_order]


def _moved(cell: Membrane) -> list[str]:
    lines = ["before = v"] if _given_back(cell) else []
    moved = "keep_v * v + gain_v * seen + drive_v"
    if not _pauses(cell):
        return [*lines, f"v = {moved}"]
    return [
        *lines,
        "held = silent_steps > 0",
        f"moved = {moved}",
        "v = int(held) * v + int(not held) * moved",
        "silent_steps = silent_steps - int(held)",
    ]


def _clamped(cell: Membrane) -> list[str]:
    """Return the statements for the last step's reset, where it comes now, and for the clamp."""
    late = cell.reset_when == "next_step"
    owed = [OWED[cell.reset].format(fired="owed"), "owed = 0"] if late else []
    return [*owed, "v = clip(v, v_min, inf)" if np.isfinite(cell.v_min).any() else ""]


def _counts(cell: Membrane) -> list[str]:
    """Return the statements for what is held against the threshold, and for counts."""
    if not cell.spiking:
        return []
    counts, lines = cell.spike == "count", []
    if _given_back(cell):
        due = _counted(cell, "due", "before")
        lines = due if counts else [f"due = int(before {_above(cell)} v_threshold)"]
        lines = [*lines, "level = v - due * v_threshold"]
    return [*lines, *_counted(cell, "count", _level(cell))] if counts else lines


def _counted(cell: Membrane, name: str, v: str) -> list[str]:
    """Return the statements for how many thresholds lie below v."""
    lines = [f"{name} = int(floor({v} / v_threshold))"]
    if cell.threshold == "greater":
        lines += [f"{name} = {name} - int({name} * v_threshold == {v})"]
    return [*lines, f"{name} = {name} * int({name} > 0)"]


def _level(cell: Membrane) -> str:
    return "level" if _given_back(cell) else "v"


def _above(cell: Membrane) -> str:
    return ">=" if cell.threshold == "greater_equal" else ">"


def _threshold(cell: Membrane) -> str:
    binary = f"{_level(cell)} {_above(cell)} v_threshold"
    above = "count > 0" if cell.spike == "count" else binary
    return f"{above} and not held" if _pauses(cell) else above


def _answers(cell: Membrane) -> list[str]:
    """Return the statements for a neuron that spikes."""
    fired = "count" if cell.spike == "count" else "1"
    late = cell.reset_when == "next_step"
    lines = [f"owed = {fired}" if late else RESET[cell.reset].format(fired=fired)]
    return [*lines, "silent_steps = refractory_steps" if _pauses(cell) else ""]


def _message(cell: Membrane) -> str:
    """Return what is sent: v of readouts; counts, zero while a neuron is held."""
    if not cell.spiking:
        return "v"
    held = " * int(not held)" if _pauses(cell) else ""
    return f"count{held}" if cell.spike == "count" else ""


LOWERINGS[Membrane] = membrane
