"""The sentences that matter most, once, for the page and for the summary alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.pages import figures
from spikeport.pages.plain import at, figure, items, pair, table, words
from spikeport.pages.units import (
    MINUS,
    NONE,
    SPACE,
    TIMES,
    count,
    many,
    number,
    percent,
    si,
    si_range,
)

WORDING = "equal to Lava 0.10 (software); not compared with silicon"
#: Accuracy lost on the way, as a share, up to which a deployment is called good, then fair.
GOOD_LOSS, FAIR_LOSS = 0.01, 0.05
ARROW = "\N{RIGHTWARDS ARROW}"


@dataclass(frozen=True)
class Verdict:
    """One statement: `state` is good, fair, bad, plain or absent."""

    title: str
    state: str
    headline: str
    lines: tuple[str, ...]


def verdicts(result: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Return what became of the accuracy, of the bits, what a sample costs, how long it takes.

    An old result, from before time was computed, says nothing of it.
    """
    found = accuracy(result), bits(result), energy(result)
    return (*found, time(result)) if table(result, "time") else found


def accuracy(result: Mapping[str, Any]) -> Verdict:
    """Say what accuracy the reference has, what is left of it, and how many spikes moved."""
    title = f"Accuracy, reference {ARROW} chip"
    before, after = at(result, "accuracy", "reference"), at(result, "accuracy", "emulator")
    if before is None or after is None:
        spikes = f"spikes: {chip_against_reference(result)}"
        return Verdict(title, "absent", "not measured", ("the data has no labels", spikes))
    lost = before - after
    lines = [f"{_points(after - before)} on {many(at(result, 'samples'), 'sample')}"]
    if at(result, "accuracy", "lava") is not None:
        samples = many(at(result, "accuracy", "lava_samples"), "sample")
        lines.append(f"Lava: {percent(result['accuracy']['lava'])} on {samples}")
    lines.append(f"spikes: {chip_against_reference(result)}")
    state = "good" if lost <= GOOD_LOSS else "fair" if lost <= FAIR_LOSS else "bad"
    return Verdict(title, state, f"{percent(before)} {ARROW} {percent(after)}", tuple(lines))


def bits(result: Mapping[str, Any]) -> Verdict:
    """Say whether emulator and Lava agree in every cell, or where they first do not."""
    title = "Emulator and Lava"
    parity = at(result, "parity", "lava_vs_emulator")
    if not parity:
        why = at(result, "backends", "lava", "why") or "Lava was not among the backends"
        return Verdict(title, "absent", "not run", (why, "not compared with silicon"))
    cells, different = at(parity, "cells") or 0, at(parity, "different") or 0
    over = ", ".join(map(str, items(parity, "variables"))) or "spikes"
    scope = f"{over}; {many(at(parity, 'samples'), 'sample')}"
    wording = at(result, "parity", "wording") or WORDING
    if not cells:
        return Verdict(title, "absent", "nothing compared", ("there was no cell to compare",))
    equal = f"equal in {count(cells - different)} of {count(cells)} cells"
    if not different:
        return Verdict(title, "good", "equal bit for bit", (f"{equal} ({scope})", wording))
    first = difference(at(parity, "first_difference"), "emulator", "lava")
    lines = (f"{equal} ({scope})", f"first: {first}", "not compared with silicon")
    return Verdict(
        title,
        "bad",
        f"{many(different, 'cell')} {'differs' if different == 1 else 'differ'}",
        lines,
    )


def energy(result: Mapping[str, Any]) -> Verdict:
    """Say what one sample costs, how sure that is, and by whose figures."""
    title = "Energy per sample"
    found = table(result, "energy")
    joules, column = figure(found, "joules_per_sample"), words(found, "column")
    if at(found, "known") is False:
        return Verdict(title, "absent", "unknown", (words(found, "why"),))
    if joules is None:
        return Verdict(title, "absent", "not estimated", ("there are no cost figures",))
    lines = [f"{interval(found)} by {words(found, 'title') or column}"]
    if "static_joules_per_sample" in found:
        lines[0] += ", dynamic"
        static = figures.static_words(found)
        lines.append(f"static, apart: {'unknown' if static == NONE else static}")
    kinds = {kind: figure(cost) or 0.0 for kind, cost in table(found, "by_kind").items()}
    most = max(kinds, key=lambda kind: kinds[kind], default="")
    if most and kinds[most] > 0 and joules > 0:
        lines.append(f"most of it: {spoken(most)}, {percent(kinds[most] / joules, 1)}")
    for name, other in table(found, "columns").items():
        if name != column:
            lines.append(f"by {name}: {si(figure(other, 'joules_per_sample'), 'J')}")
    return Verdict(title, "plain", si(joules, "J"), tuple(lines))


def time(result: Mapping[str, Any]) -> Verdict:
    """Say how long a step and a sample take, how sure that is, and by which model."""
    title, found = "Time per step", at(result, "time")
    if not figures.known(found):
        return Verdict(title, "absent", "unknown", (figures.why_not(found),))
    ends = pair(found, "interval")
    by = words(found, "title") or words(found, "column")
    lines = [by if ends is None or ends[0] == ends[1] else f"{si_range(*ends, 's')} by {by}"]
    steps = figure(found, "latency", "steps")
    of = "" if steps is None else f" ({number(steps)} steps)"
    lines += [
        f"model: {figures.model_words(found)}",
        f"a sample{of}: {si(figure(found, 'latency', 'seconds'), 's')}; "
        f"{number(figure(found, 'throughput', 'samples_per_second'))} samples per second",
    ]
    delay = figure(found, "energy_delay", "joule_seconds")
    if delay is not None:
        of = words(found, "energy_delay", "of")
        said = f"energy {TIMES} delay: {si(delay, figures.JOULE_SECONDS)}"
        lines.append(f"{said}, {of}" if of else said)
    late = at(found, "budget", "keeps_up") is False
    if late:
        over = percent(figure(found, "budget", "over"), 1)
        lines.append(f"over its budget in {over} of the steps")
    step = si(figure(found, "seconds_per_step"), "s")
    return Verdict(title, "bad" if late else "plain", step, tuple(lines))


def chip_against_reference(result: Mapping[str, Any]) -> str:
    """Say in how many cells the chip's raster differs from the reference's."""
    parity = at(result, "parity", "emulator_vs_reference")
    cells, different = at(parity, "cells"), at(parity, "different")
    said = [analog_words(name, each) for name, each in table(parity or {}, "analog").items()]
    if cells and not different:
        said.insert(0, f"equal in {count(cells)} of {count(cells)} cells, at the known lags")
    elif cells:
        share = percent(different / cells)
        said.insert(
            0, f"{count(different)} of {count(cells)} cells differ ({share}), at the known lags"
        )
    return "; ".join(said) or "not compared"


def analog_words(name: str, parity: Any) -> str:
    """Say how far the v of an analog population is off.

    >>> analog_words("out", {"rms_expected": 2.0, "rms_difference": 0.01,
    ...                      "largest_difference": 0.03})
    'v of out off by 0.5% (root mean square), 0.03 at most'
    """
    size, off = at(parity, "rms_expected") or 0.0, at(parity, "rms_difference") or 0.0
    share = f"{100 * off / size:.2g}%" if size else f"{off:.2g}"
    return (
        f"v of {name} off by {share} (root mean square), {at(parity, 'largest_difference'):.2g} "
        "at most"
    )


def standing(result: Mapping[str, Any]) -> str:
    """Say what the chip's integers were held against, and that it was not silicon."""
    state = bits(result).state
    if state == "good":
        return str(at(result, "parity", "wording") or WORDING)
    lava = "different from" if state == "bad" else "in this run not compared with"
    return f"{lava} Lava 0.10 (software); not compared with silicon"


def difference(first: Any, one: str, other: str) -> str:
    """Say where two sides first differ, and what each of them has there.

    >>> difference({"population": "fc", "neuron": [3], "sample": 0, "step": 7, "variable": "v",
    ...             "emulator": 5, "lava": 6}, "emulator", "lava")
    'fc[3], sample 0, step 7: v = 5 in emulator, 6 in lava'
    """
    if not first:
        return NONE
    neuron = ", ".join(map(str, items(first, "neuron")))
    where = f"{at(first, 'population')}[{neuron}]"
    values = f"{number(at(first, one))} in {one}, {number(at(first, other))} in {other}"
    cause = f" ({first['cause']})" if at(first, "cause") else ""
    variable = at(first, "variable")
    return f"{where}, sample {at(first, 'sample')}, step {at(first, 'step')}: " + (
        f"{variable} = {values}{cause}"
    )


def interval(cost: Any) -> str:
    """Return the band of a cost: `4.9 to 7.2 uJ`."""
    bounds = pair(cost, "interval")
    return "no interval" if bounds is None else si_range(*bounds, "J")


def spoken(name: str) -> str:
    """Return a field's name as words: soma_update is soma update."""
    return str(name).replace("_", " ")


def _points(change: float) -> str:
    if abs(change) < 5e-6:
        return "unchanged"
    sign = MINUS if change < 0 else "+"
    return f"{sign}{abs(100 * change):.2f}{SPACE}points"
