"""What a random network made the C engine do: its formats, its neurons, and the rules that acted.

Read from the engine's layout and from what NumPy recorded, so that a generator that no longer
reaches a rule is noticed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from hw_tests.generate.programs import Drawn
from spikeport.backends.emulator.layout import layout_of
from spikeport.backends.emulator.parameters import OVERFLOWS
from spikeport.compiler.fixed import STATE_LIMIT
from spikeport.compiler.program import Cell
from spikeport.compiler.traces import Traces

FORMATS = ("DENSE", "BLOCKS", "PACKED", "WIDE", "ROWS")
STRAYED = 1 << 24  # far outside its 24 bits
#: What the networks of the suite must have met.
WANTED = (
    *(f"format {name}" for name in FORMATS),
    *(f"format {name}, unsigned" for name in ("BLOCKS", "PACKED")),
    *(f"format {name}, values" for name in FORMATS),
    "kind Cell",
    "kind XyloCell",
    "kind IntegerIzhikevich",
    "narrow, one value for all",
    "narrow, a value for each",
    *(
        f"narrow, overflow {overflow}, {reset}, {way}"
        for overflow in OVERFLOWS[:3]
        for reset in ("to_value", "subtract")
        for way in ("greater", "greater_equal")
    ),
    "neurons of 64 bits",
    "neurons in another order",
    "sums of 64 bits",
    "opposite signs",
    "late",
    "lasting",
    "flood",
    "maps",
    "summed apart",
    "summed apart in 64 bits",
    "reach as a table",
    "reach as lists",
    "host",
    "slow",
    "runs from a State",
    "rule: Lava strayed",
    "rule: Lava wrapped",
    "rule: wrapped in two's complement",
    "rule: saturated in 24 bits",
    "rule: saturated in 16 bits",
    "rule: saturated in 8 bits",
    "rule: v_min",
    "rule: refractory",
    "rule: pending",
    "rule: several spikes in a step",
    "rule: negative message",
    "rule: Xylo saturated",
    "rule: Izhikevich saturated",
    "rule: 256 spikes and more in a step",
    "rule: busy more than 255 steps",
)


def features_of(drawn: Drawn) -> Counter[str]:
    """Return what a network holds and how the engine lays it out."""
    program, layout = drawn.program, layout_of(drawn.noun)
    found = Counter({f"datapath {drawn.arithmetic}": 1, **Counter(drawn.kinds)})
    found["host"] += len(program.host)
    found["slow"] += program.slow > 1
    found["samples"] += len(next(iter(drawn.inputs.values())))
    names = list(program.populations)
    for held in layout.projections:
        name = f"format {FORMATS[held['format']]}"
        pre, post = (layout.populations[names[held[end]]] for end in ("pre", "post"))
        found[name] += 1
        found[f"{name}, unsigned"] += held["is_unsigned"]
        found[f"{name}, values"] += pre["has_payload"]
        found["opposite signs"] += held["factor"] < 0
        found["summed apart"] += held["own_sum"]
        found["summed apart in 64 bits"] += held["own_sum"] * post["is_wide"]
    for name in program.neurons:
        held, cell = layout.populations[name], program.populations[name].cell
        found[f"kind {type(cell).__name__}"] += 1
        found["sums of 64 bits"] += held["is_wide"]
        found["neurons in another order"] += held["order"] is not None
        found += _of_cell(cell, held)
    for held in layout.populations.values():
        found["reach as a table"] += held.get("reach") is not None
        found["reach as lists"] += held.get("reach_first") is not None
    return found


def _of_cell(cell: Any, held: Any) -> Counter[str]:
    found: Counter[str] = Counter()
    narrow = held.get("narrow", 0)
    found["neurons of 64 bits"] += not narrow
    found["narrow, one value for all"] += narrow and held["uniform"]
    found["narrow, a value for each"] += narrow and not held["uniform"]
    if isinstance(cell, Cell):
        if narrow:
            way = "greater_equal" if held["at_threshold"] else "greater"
            found[f"narrow, overflow {OVERFLOWS[held['overflow']]}, {cell.reset}, {way}"] += 1
        how = f"{cell.reset}, {cell.reset_when}, {cell.spike}, {cell.threshold}"
        found[f"cell {how}" if cell.spiking else "cell that does not spike"] += 1
        found["analog messages"] += not cell.spiking and cell.message_bits > 0
    return found


def rules_that_acted(drawn: Drawn, traces: Traces) -> Counter[str]:
    """Return how often each rule changed something, from what NumPy recorded."""
    program, layout = drawn.program, layout_of(drawn.noun)
    rule: Counter[str] = Counter()
    for name in program.neurons:
        cell: Any = program.populations[name].cell
        u, v = traces.probes[f"{name}.u"], traces.probes[f"{name}.v"]
        left = traces.extra["overflows"][name]
        kind = type(cell).__name__
        if kind != "Cell":
            rule[f"rule: {'Xylo' if kind == 'XyloCell' else 'Izhikevich'} saturated"] += left
        else:
            rule[_overflow_rule(program.arithmetic)] += left
            rule["rule: v_min"] += int(np.count_nonzero(v == cell.v_min))
        if program.arithmetic.overflow == "lava" and kind == "Cell":
            strayed = int(np.count_nonzero(np.abs(u) > STRAYED))
            rule["rule: Lava strayed"] += strayed * layout.populations[name]["narrow"]
            rule["rule: Lava kept 2**23"] += int(np.count_nonzero(u == STATE_LIMIT))
        active = traces.counters[name]["active"]
        rule["rule: busy more than 255 steps"] += int(np.count_nonzero(active > 255))
        rule["neurons that spiked"] += int(np.count_nonzero(traces.counters[name]["spikes"]))
    for sent in traces.state.history.values():
        rule["rule: several spikes in a step"] += int(np.count_nonzero(sent > 1))
        rule["rule: negative message"] += int(np.count_nonzero(sent < 0))
        at_once = np.count_nonzero(sent, axis=2)
        rule["rule: 256 spikes and more in a step"] += int(np.count_nonzero(at_once > 256))
    return rule


def _overflow_rule(arithmetic: Any) -> str:
    if arithmetic.overflow == "lava":
        return "rule: Lava wrapped"
    if arithmetic.overflow == "twos_complement":
        return "rule: wrapped in two's complement"
    return f"rule: {arithmetic.overflow}d in {arithmetic.state_bits} bits"
