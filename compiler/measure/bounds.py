"""How far u and v can go whatever the input: a proof that they keep to their bits, or for how long.

Everything is derived from the integers of a step (`models/neurons/membrane.py`):

    u <- dec(u) + a,   v <- dec(v) + u + b,   then v is clamped, judged and reset

`a` lies between the sums of negative and of positive weights that can arrive in one step
(`arriving.py`). dec rounds toward zero and never changes the order of two states, so the largest u
is the least x with x = dec(x) + a, which is x = (a - 1) * 4096 // loss + 1; likewise below, and
for v, which is reset and clamped as well (`reach.py`). Where nothing ends the way of v the claim
holds for so many steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.arriving import Range, arriving
from spikeport.compiler.measure.reach import FOREVER, Rules, Way, threshold_of
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.program import Arithmetic, Cell, Program
from spikeport.compiler.traces import Traces


@dataclass(frozen=True, eq=False)
class Bound:
    """What u and v of a population can reach, for every input that may be sent.

    Attributes:
        u_low, u_high, v_low, v_high: (n,) int64, before anything wraps or is clipped; v before
            and after its reset. +-`endless` where there is no bound. v's hold while u keeps to
            its bits.
        u_limit, v_limit: (lowest, highest) that the registers hold; None where they are unlimited.
        each_steps: for how many steps from the start nothing wraps or is clipped, (n,) int64;
            FOREVER where it never does.
        endless: stands for infinity in the first four.
    """

    u_low: Array
    u_high: Array
    v_low: Array
    v_high: Array
    u_limit: tuple[int, int] | None
    v_limit: tuple[int, int] | None
    each_steps: Array
    endless: int

    def __post_init__(self) -> None:
        freeze_fields(self)

    @property
    def safe(self) -> bool:
        """Is it proven that nothing wraps or is clipped, however long it runs."""
        return self.steps is None

    @property
    def steps(self) -> int | None:
        """For how many steps from the start that is proven; None: forever."""
        fewest = int(self.each_steps.min(initial=FOREVER))
        return None if fewest == FOREVER else fewest

    @property
    def fill(self) -> Array:
        """How much of its registers each neuron can take, (n,), above 1 where it is not proven.

        A scale that is divided by it fits, but for rounding; v is that while u keeps to its bits,
        so where u does not, ask again.
        """
        if self.u_limit is None or self.v_limit is None:
            return np.zeros(self.u_high.shape)
        limits = (*self.u_limit, *self.v_limit)
        sides = (self.u_low, self.u_high, self.v_low, self.v_high)
        shares = [
            np.where(np.abs(side) < self.endless, side / limit, np.inf)
            for side, limit in zip(sides, limits, strict=True)
        ]
        return np.asarray(np.max(shares, axis=0))

    @property
    def worst(self) -> int:
        """Number of the neuron that is proven for the fewest steps, or else is the fullest."""
        few = self.each_steps == self.each_steps.min(initial=FOREVER)
        return int(np.where(few, self.fill, -1.0).argmax()) if few.size else 0

    def holds_for(self, steps: int) -> bool:
        """Is it proven for a run of so many steps from the start."""
        return self.steps is None or steps <= self.steps


def bounds(
    program: Program, steps: int | None = None, inputs: Mapping[str, Range] | None = None
) -> dict[str, Bound]:
    """Return population -> what u and v can reach, of the populations whose neurons are `Cell`s.

    The messages of analog neurons and counts are clipped to their bits, too; a claim covers that.

    Args:
        program: in integers.
        steps: of the chip, from the start; intervals are of so many steps. None: of any number.
            For how long nothing overflows does not depend on it.
        inputs: input -> (least, most) that it sends, where that is known to be less than what
            its messages hold: (0, 1) for spikes on a chip that could carry more. The claim is
            then for such inputs.
    """
    if program.arithmetic.weight_exp_at == "event":
        return {}
    sent: dict[str, Range] = {name: _at_most(program, name) for name in program.populations}
    sent.update(inputs or {})
    found: dict[str, Bound] = {}
    for name in _in_order(program):
        cell = program.populations[name].cell
        if not isinstance(cell, Cell):
            continue
        found[name] = _bound(program, name, cell, sent, steps)
        if found[name].safe:
            sent[name] = _sent(cell, program.arithmetic, found[name], sent[name])
    return {name: found[name] for name in program.neurons if name in found}


def overflow_rows(
    program: Program, traces: Traces | None = None, inputs: Mapping[str, Range] | None = None
) -> list[dict[str, Any]]:
    """Return a row of plain values per population, for the report: how it is known not to overflow.

    Args:
        program: in integers.
        traces: of a run on the emulator; its steps are what a claim for some steps is held
            against, and it counted how many cells of u and v left their bits.
        inputs: as for `bounds`.

    Returns:
        `by` is `proof` (for any input and any time), `proof, N steps` (for any input, and the run
        took no more), or `calibration`: only inputs like those that scales were chosen for are
        known to fit. `low` and `high` are None where there is no bound.
    """
    taken = None if traces is None else traces.state.step
    counted = {} if traces is None else traces.extra.get("overflows", {})
    rows = []
    for name, bound in bounds(program, taken, inputs).items():
        by = "calibration"
        if bound.safe:
            by = "proof"
        elif taken is not None and bound.holds_for(taken):
            by = f"proof, {bound.steps} steps"
        ends = {
            "u_low": bound.u_low.min(initial=0),
            "u_high": bound.u_high.max(initial=0),
            "v_low": bound.v_low.min(initial=0),
            "v_high": bound.v_high.max(initial=0),
        }
        row = {key: None if abs(x) >= bound.endless else int(x) for key, x in ends.items()}
        limit = None if bound.v_limit is None else bound.v_limit[1]
        overflowed = None if name not in counted else int(counted[name])
        rows.append(
            {"population": name, **row, "limit": limit, "by": by, "steps": bound.steps}
            | {"overflowed": overflowed}
        )
    return rows


# --- what is sent ------------------------------------------------------------------------------


def _at_most(program: Program, name: str) -> Range:
    """Return the range of what a population can send, from the width of its messages."""
    cell: Any = program.populations[name].cell
    if name in program.host:
        return 0, 0
    most = program.largest_message(name)
    if cell is None:
        return (-most if most > 1 else 0), most
    if not isinstance(cell, Cell):
        return 0, most
    if cell.spiking:
        return 0, (most if cell.spike == "count" else 1)
    return (-most, most) if cell.message_bits else (0, 0)


def _sent(cell: Cell, arithmetic: Arithmetic, bound: Bound, at_most: Range) -> Range:
    """Return the range of what a population sends whose v is bounded, one for each neuron."""
    if cell.spiking and cell.spike == "count":
        count = bound.v_high // np.maximum(threshold_of(cell, arithmetic), 1)
        return 0, np.clip(count, 0, at_most[1])
    if cell.spiking or not cell.message_bits:
        return at_most
    ends = (np.minimum(bound.v_low, 0), np.maximum(bound.v_high, 0))
    low, high = (fixed.round_shift(end, cell.message_shift) for end in ends)
    return np.maximum(low, at_most[0]), np.minimum(high, at_most[1])


def _in_order(program: Program) -> list[str]:
    """Return the populations, those that send values before those that hear them, but for loops."""
    values = {name for name in program.neurons if _at_most(program, name)[1] > 1}
    waiting, order = list(program.neurons), []
    while waiting:
        late = {each.post for each in program.synapses if each.pre in values & set(waiting)}
        ready = [name for name in waiting if name not in late] or waiting
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return order


# --- u and v -----------------------------------------------------------------------------------


def _bound(
    program: Program, name: str, cell: Cell, sent: dict[str, Range], steps: int | None
) -> Bound:
    arithmetic = program.arithmetic
    unity, endless = 1 << arithmetic.decay_bits, 1 << min(40, 62 - arithmetic.decay_bits)
    limited = arithmetic.overflow != "unlimited"
    u_limit, v_limit = _limits(arithmetic)
    least, most = arriving(program, name, sent, endless)
    nothing, loss = np.zeros_like(most), cell.decay_u.astype(np.int64) + 1
    up, down = (Way(nothing, push, loss, unity, endless) for push in (most, -least))
    bias = cell.bias_mantissa.astype(np.int64) << cell.bias_exponent
    written = _written(program, name)
    rise = _with_bias(up.after(steps), u_limit[1], bias + written, endless)
    fall = _with_bias(down.after(steps), -u_limit[0], written - bias, endless)
    rules = Rules(cell, arithmetic, unity, endless)
    high, low = _room(cell, arithmetic, v_limit)
    above = rules.above(rise, high)
    below = rules.below(fall, -low, above.reached(None))
    of_u = [up.steps_within(nothing + u_limit[1]), down.steps_within(nothing - u_limit[0])]
    known = np.minimum.reduce([*of_u, above.steps, below.steps])
    if not limited:  # but what arrives may wrap
        known = np.where(np.maximum(most, -least) < endless, FOREVER, 0)
    return Bound(
        u_low=-down.after(steps),
        u_high=up.after(steps),
        v_low=-below.reached(steps),
        v_high=above.reached(steps),
        u_limit=u_limit if limited else None,
        v_limit=v_limit if limited else None,
        each_steps=known,
        endless=endless,
    )


def _with_bias(u: Array, held: int, bias: Array, endless: int) -> Array:
    """Return the most that a step adds to v, while u is held in its register."""
    return np.asarray(np.where(u < endless, np.minimum(u, held) + bias, endless))


def _limits(arithmetic: Arithmetic) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (lowest, highest) of u and of v: what `fixed.OVERFLOW` leaves as it is."""
    top = arithmetic.largest_state
    if arithmetic.overflow == "unlimited":
        return (-FOREVER, FOREVER), (-FOREVER, FOREVER)
    edges = {"lava": (0, 1), "twos_complement": (1, 0)}  # one more on one side
    more = edges.get(arithmetic.overflow, (0, 0)) if arithmetic.state_bits == 24 else (0, 0)
    return (-top - more[0], top + more[1]), (-top, top)


def _room(cell: Cell, arithmetic: Arithmetic, limit: tuple[int, int]) -> tuple[Array, Array]:
    """Return the (highest, lowest) v that fits its register and, where it is sent, a message."""
    most = cell.largest_message
    low, high = (np.full(cell.v_threshold.shape, end, np.int64) for end in limit)
    if cell.spiking and cell.spike == "count":
        theta = np.maximum(threshold_of(cell, arithmetic), 1)
        high = np.minimum(high, (most + 1) * theta - (cell.threshold == "greater_equal"))
    elif not cell.spiking and cell.message_bits:
        half = (1 << cell.message_shift) >> 1
        high = np.minimum(high, ((most + 1) << cell.message_shift) - half - 1)
        low = np.maximum(low, -(most << cell.message_shift) - half)
    return high, low


def _written(program: Program, name: str) -> Any:
    """Return the most that the host adds to v in a step, of either sign."""
    targets = (host.targets.get(name, ()) for host in program.host.values())
    return sum(each.register << each.exponent for some in targets for each in some)
