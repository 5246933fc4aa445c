"""Why a neuron of the chip first spikes differently: its own story, one cause at a time.

The neuron is stepped alone up to the first step in which chip and reference differ; until then
both are alike everywhere, so that is exact and quick. In floats each cause is put in by itself,
and taken out of all of them together; in the chip's integers what is left is the state's, which
is rounded in every step, wraps or saturates. Causes are ranked by how far they move v, less its
threshold, toward what the chip did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.host import host_biases
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.dequantize import (
    dequantized,
    in_one_shape,
    of_family,
    unit_of,
    written_by_host,
)
from spikeport.compiler.measure.hybrid import Part, cut, hybrid, parts_of, sent_by
from spikeport.compiler.measure.parity import Difference, Parity
from spikeport.compiler.pipeline import for_chip
from spikeport.compiler.program import Program
from spikeport.compiler.traces import Traces
from spikeport.data import Data
from spikeport.replay import Outcome, alone, in_floats, in_integers, variant

#: Cause of a part -> its class, as people call it.
CLASSES = {
    "weights": "weight rounding",
    "decay_u": "decay rounding",
    "decay_v": "decay rounding",
    "threshold": "threshold rounding",
    "bias": "bias",
    "reset": "reset",
    "delay": "delay",
    "lag": "lag",
    "input": "input",
}
TIE = 1e-9  # of the threshold: v is at it
NEAR = 1e-2  # of the threshold: what moves v by less decides ties alone
WIDE_BITS = 46  # of a state that nothing leaves


def explain(
    clocked: Clocked, image: Image, data: Data, parity: Parity, ran: Traces | None = None
) -> dict[str, Any] | None:
    """Return the cause of the first difference between reference and emulator.

    Args:
        clocked: what the reference ran.
        image: what the chip ran.
        data: the reference's inputs; those of the chip, unless `ran` says otherwise.
        parity: of the two runs.
        ran: the chip's run.

    Returns:
        {"causes", "ranked", "population", "neuron", "step", "v_reference", "v_chip",
        "v_threshold", "v_threshold_chip", "text"}: classes of the causes, the first before the
        others; each cause as {"cause", "object", "alone", "without", "decides"}: how far it moves
        v less its threshold when it is put in alone and when it is all that is taken out, and
        whether either changes the spike; v before a reset, in the network's own units. None
        without a difference, under --slow, and for neurons that are not of the
        integrate-and-fire family, in the network or on the chip.
    """
    first, program = parity.first_difference, image.program
    if first is None or program.slow > 1:
        return None
    retimed = for_chip(clocked, image.chip, frozenset(data.host()), allow_skew=True)
    retimed = in_one_shape(retimed, program)
    if not of_family(retimed, program, first.population):
        return None
    story = _story(retimed, program, data, first, ran)
    rows = _causes(story, 1 if first.got > first.expected else -1)
    return _told(story, rows, first)


@dataclass(frozen=True, eq=False)
class _Story:
    """A neuron in both worlds.

    Attributes:
        program: the chip's integers.
        ideal, chip: networks cut to the neuron, with its parameters as trained and on the chip.
        name, neuron: which.
        sent: what every source sends in the reference, (steps, n).
        messages, received: the same on the chip, as integers and in the network's units.
        written: by the host to the neuron's v on the chip, int64, (steps,).
        scale, offset: of its v.
        by_host: projections that the host computes.
        step: on the model's time axis; `steps` of the chip are known.
        skewed: an edge that --allow-skew delays has changed the reference itself.
    """

    program: Program
    ideal: Clocked
    chip: Clocked
    name: str
    neuron: int
    sent: Mapping[str, Array]
    messages: Mapping[str, Array]
    received: Mapping[str, Array]
    written: Array
    scale: float
    offset: float
    by_host: frozenset[str]
    step: int
    steps: int
    skewed: bool

    @property
    def parts(self) -> list[Part]:
        """Everything in which the two worlds differ for this neuron."""
        found = parts_of(self.ideal, self.chip)
        lag = max(self.ideal.lags[self.name], self.chip.lags[self.name])
        until = self.step + lag
        for pre in dict.fromkeys(each.pre for each in self.ideal.projections):
            apart = self.sent[pre][:until] != self.received[pre][:until]
            if pre in self.program.host or (pre != self.name and apart.any()):
                found.append(("input", pre))
        return found

    def mixed(self, parts: Sequence[Part]) -> Any:
        """Return the neuron with some parts of the chip, for `in_floats`."""
        network = hybrid(self.ideal, self.chip, parts)
        theirs = [name for cause, name in parts if cause == "input"]
        sent = {pre: self.received[pre] if pre in theirs else x for pre, x in self.sent.items()}
        hosted = any(name in self.program.host for name in theirs)
        written = self.written / self.scale if hosted else None
        at = self.step + network.lags[self.name]
        return variant(network, self.name, sent, self.steps, at, written, self.by_host)


def _story(
    retimed: Clocked, program: Program, data: Data, first: Difference, ran: Traces | None
) -> _Story:
    """Return the story of the neuron that differs first."""
    from spikeport.backends import emulator, reference

    name, sample = first.population, first.sample
    one = {key: x[sample : sample + 1] for key, x in data.inputs.items()}
    steps = data.steps + max(retimed.last_lag, program.last_lag)
    analog = [each for each in retimed.neurons if not retimed.populations[each].cell.spiking]
    probe = [f"{each}.v" for each in analog]
    ideal = reference.run(retimed, one, steps=steps, probe=probe)
    theirs = one if ran is None else {**one, **_inputs_of(ran, one, program, sample)}
    on_chip = emulator.run(program, theirs, steps=steps, probe=probe)
    sent = {key: x[0] for key, x in sent_by(retimed, ideal, one).items()}
    messages = {key: x[0] for key, x in sent_by(retimed, on_chip, theirs).items()}
    for each in analog:
        messages[each] = _messages(program, each, messages[each])
    received = {key: x / unit_of(program, key) for key, x in messages.items()}
    pop, lowered = retimed.populations[name], program.populations[name]
    neuron = int(np.ravel_multi_index(first.neuron, pop.shape))
    here = cut(retimed, {name})
    written = np.zeros(steps, np.int64)
    if any(name in host.targets for host in program.host.values()):
        written = host_biases(program, theirs, steps)[name][0, :, neuron]
    step = first.step + retimed.lags[name]
    return _Story(
        program,
        alone(here, name, neuron),
        alone(dequantized(here, program), name, neuron),
        name,
        neuron,
        sent,
        messages,
        received,
        written,
        float(np.broadcast_to(lowered.scale, (pop.size,))[neuron]),
        float(pop.cell.v_offset[neuron]),
        frozenset(each.name for each in here.projections if written_by_host(each, program)),
        first.step,
        steps,
        int(sent[name][step, neuron]) != int(first.expected),
    )


def _inputs_of(
    ran: Traces, one: Mapping[str, Array], program: Program, sample: int
) -> dict[str, Array]:
    """Return the inputs that the chip received in a sample."""
    names = [name for name in one if name in ran.spikes and name not in program.host]
    return {
        name: ran.spikes[name].of_sample(sample).dense()[:, : one[name].shape[1]] for name in names
    }


def _messages(program: Program, name: str, v: Array) -> Array:
    """Return what an analog population sends for its v."""
    cell: Any = program.populations[name].cell
    rounded = fixed.round_shift(v, cell.message_shift)
    return fixed.saturate(rounded, program.largest_message(name))


def _causes(story: _Story, toward: int) -> list[dict[str, Any]]:
    """Return every cause, by how far it moves v toward what the chip did, furthest first."""
    parts = story.parts
    sets = [[], parts, *([part] for part in parts)]
    sets += [[each for each in parts if each != part] for part in parts]
    spiked = story.sent[story.name][:, story.neuron]
    found = in_floats([story.mixed(each) for each in sets], spiked)
    ideal, together = found[:2]
    alone_, without = found[2 : 2 + len(parts)], found[2 + len(parts) :]
    rows = [
        _row(CLASSES[cause], name, put.margin - ideal.margin, together.margin - out.margin)
        | {"decides": put.spikes != ideal.spikes or out.spikes != together.spikes}
        for (cause, name), put, out in zip(parts, alone_, without, strict=True)
    ]
    rows += _of_state(story, together)
    rows.sort(key=lambda row: toward * (row["alone"] + row["without"]), reverse=True)
    if story.skewed:
        rows.insert(0, _row("skew", "the edge that --allow-skew delays", 0.0, 0.0, True))
    elif abs(ideal.margin) <= TIE * max(abs(ideal.threshold), 1e-300):
        tie = _row("threshold tie", story.name, 0.0, 0.0, True)
        least = NEAR * abs(ideal.threshold)
        at = 0 if abs(rows[0]["alone"] + rows[0]["without"]) < 2 * least else 1
        rows.insert(at, tie)
    return rows


def _of_state(story: _Story, together: Outcome) -> list[dict[str, Any]]:
    """Return what integers do that floats with the chip's parameters do not."""
    program = story.program
    narrow = program.arithmetic
    wide = replace(narrow, overflow="saturate", state_bits=WIDE_BITS)
    at = story.step + story.chip.lags[story.name]
    (v, _), (free, largest) = (
        in_integers(
            program, story.name, story.neuron, story.messages, story.written, at, arithmetic
        )
        for arithmetic in (narrow, wide)
    )
    rounded = free / story.scale - together.v
    left = (v - free) / story.scale
    rows = [_row("state rounding", story.name, rounded, rounded)]
    if left:
        wraps = narrow.state_bits == 24 and narrow.overflow not in ("saturate", "unlimited")
        cause = "wrap" if wraps and largest > narrow.largest_state else "saturation"
        rows.append(_row(cause, story.name, left, left))
    for row in rows:
        moved = together.margin + row["alone"]
        row["decides"] = (moved > 0) != (together.margin > 0)
    return rows


def _row(
    cause: str, name: str, put_in: float, taken_out: float, decides: bool = False
) -> dict[str, Any]:
    return {
        "cause": cause,
        "object": name,
        "alone": put_in,
        "without": taken_out,
        "decides": decides,
    }


def _told(story: _Story, rows: list[dict[str, Any]], first: Difference) -> dict[str, Any]:
    """Return what is reported."""
    ideal, together = in_floats(
        [story.mixed([]), story.mixed(story.parts)], story.sent[story.name][:, story.neuron]
    )
    at = story.step + story.chip.lags[story.name]
    v, _ = in_integers(
        story.program, story.name, story.neuron, story.messages, story.written, at,
        story.program.arithmetic,
    )  # fmt: skip
    level = story.offset  # all v below in the network's own units
    told = ideal.v + level, v / story.scale + level
    against = ideal.threshold + level, together.threshold + level
    named = [rows[0], *(row for row in rows[1:] if row["decides"] and _along(row, rows[0]))]
    there = f"against {against[1]:.6g} " if abs(against[1] - against[0]) > TIE else ""
    return {
        "causes": list(dict.fromkeys(row["cause"] for row in named)),
        "ranked": rows,
        "population": first.population,
        "neuron": list(first.neuron),
        "step": first.step,
        "v_reference": told[0],
        "v_chip": told[1],
        "v_threshold": against[0],
        "v_threshold_chip": against[1],
        "text": (
            f"{first} (emulator). v was {told[0]:.6g} against a threshold of {against[0]:.6g} in "
            f"the reference, {told[1]:.6g} {there}on the chip; "
            f"cause: {', '.join(map(_words, named))}"
        ),
    }


def _along(row: Mapping[str, Any], first: Mapping[str, Any]) -> bool:
    """Does a cause move v to the same side as the first one; a tie lies on both."""
    moved = row["alone"] + row["without"], first["alone"] + first["without"]
    return bool(moved[0] * moved[1] >= 0)


def _words(row: Mapping[str, Any]) -> str:
    """Return a cause with its object and how far it moves v."""
    where = f"{row['cause']} of {row['object']}"
    if row["cause"] in ("skew", "threshold tie"):
        return where if row["cause"] != "skew" else str(row["object"])
    return f"{where} ({(row['alone'] + row['without']) / 2:+.2g})"
