"""Time and energy of a result in words, once for the pages, the summaries and the terminal.

Dynamic and static energy stand beside each other and are added up only where it is said.
"""

from __future__ import annotations

from typing import Any

from spikeport.pages.plain import at, figure, pair, words
from spikeport.pages.units import MINUS, NONE, SPACE, count, number, percent, si, si_range

JOULE_SECONDS = "J\N{MIDDLE DOT}s"
#: Models of time -> words.
MODELS = {
    "detailed": "detailed model",
    "simple": "simple model",
    "tick": "fixed tick",
    "cycles": "clock cycles",
}
NOT_COMPUTED = "not computed"


def ranged(value: float | None, interval: tuple[float, float] | None, unit: str) -> str:
    """Return a figure with its interval behind it.

    >>> ranged(7e-6, (5e-6, 9e-6), "J").replace(SPACE, " ")
    '7 µJ (5 to 9 µJ)'
    """
    if value is None:
        return NONE
    if interval is None or interval[0] == interval[1]:
        return si(value, unit)
    return f"{si(value, unit)} ({si_range(*interval, unit)})"


def known(part: Any) -> bool:
    """Is a time or an energy known: it has a figure, and nobody says otherwise."""
    return at(part, "known") is not False and (
        figure(part, "seconds_per_step") is not None
        or figure(part, "joules_per_sample") is not None
    )


def why_not(part: Any) -> str:
    """Say why a time or an energy is not known."""
    said = words(part, "why")
    return f"unknown: {said}" if said else "unknown" if at(part, "known") is False else NOT_COMPUTED


def step_words(time: Any) -> str:
    """Return the mean time of a step with its interval."""
    return ranged(figure(time, "seconds_per_step"), pair(time, "interval"), "s")


def latency_words(time: Any) -> str:
    """Return the time of a sample, until the answer, with its interval."""
    return ranged(figure(time, "latency", "seconds"), pair(time, "latency", "interval"), "s")


def throughput_words(time: Any) -> str:
    """Return samples per second with their interval.

    >>> throughput_words({"throughput": {"samples_per_second": 50, "interval": [40, 62.5]}})
    '50 per second (40 to 62.5)'
    """
    value = figure(time, "throughput", "samples_per_second")
    if value is None:
        return NONE
    ends = pair(time, "throughput", "interval")
    said = f"{number(value)} per second"
    return (
        said
        if ends is None or ends[0] == ends[1]
        else f"{said} ({number(ends[0])} to {number(ends[1])})"
    )


def delay_words(time: Any) -> str:
    """Return energy x delay with its interval, and which energy it is of."""
    value = figure(time, "energy_delay", "joule_seconds")
    if value is None:
        return NONE
    said = ranged(value, pair(time, "energy_delay", "interval"), JOULE_SECONDS)
    of = words(time, "energy_delay", "of")
    return f"{said}, {of}" if of else said


def model_words(time: Any) -> str:
    """Return the model of time in words."""
    name = words(time, "model")
    return MODELS.get(name, name)


def dynamic_words(energy: Any) -> str:
    """Return the dynamic energy of a sample with its interval."""
    return ranged(figure(energy, "joules_per_sample"), pair(energy, "interval"), "J")


def static_words(energy: Any) -> str:
    """Return the static energy of a sample with its interval."""
    return ranged(figure(energy, "static_joules_per_sample"), pair(energy, "static_interval"), "J")


def total_words(energy: Any) -> str:
    """Return dynamic and static energy together with their interval."""
    return ranged(figure(energy, "total_joules_per_sample"), pair(energy, "total_interval"), "J")


def spread(ends: tuple[float, float] | None) -> str:
    """Return a relative uncertainty as per cent.

    >>> spread((-0.2, 0.2)).replace(SPACE, " "), spread((0.0, 0.25)).replace(SPACE, " ")
    ('±20 %', '0 % to +25 %')
    """
    if ends is None:
        return NONE
    if ends[0] == -ends[1]:
        return f"\N{PLUS-MINUS SIGN}{percent(ends[1], 1)}"
    return " to ".join(_signed(end) for end in ends)


def _signed(share: float) -> str:
    return f"+{percent(share, 1)}" if share > 0 else percent(share, 1)


def pace(times: float | None) -> str:
    """Say how much faster than its budget something is.

    >>> pace(14.02), pace(0.25)
    ('14 times as fast as needed', '4 times too slow')
    """
    if times is None or times <= 0:
        return ""
    if times >= 1:
        return f"{number(float(f'{times:.3g}'))} times as fast as needed"
    return f"{number(float(f'{1 / times:.3g}'))} times too slow"


def change(new: float | None, old: float | None) -> str:
    """Return by how much a figure differs from another, in per cent; "" where that says nothing.

    >>> change(3.0, 2.0).replace(SPACE, " "), change(2.0, 2.0), change(1.0, 0.0)
    ('+50 %', 'the same', '')
    """
    if new is None or old is None:
        return ""
    if new == old:
        return "the same"
    if old == 0:
        return ""
    share = (new - old) / abs(old)
    if share >= 9.995:
        return f"{number(float(f'{share + 1:.3g}'))} times"
    shown = f"{100 * share:+.3g}" if abs(share) >= 5e-4 else f"{100 * share:+.1g}"
    return f"{shown.replace('-', MINUS)}{SPACE}%"


def tile_words(core: Any) -> str:
    """Return where a core is: its tile, and its chip where there are several.

    >>> tile_words({"tile_x": 2, "tile_y": 0, "chip": 1})
    '2, 0 (chip 1)'
    """
    x, y, chip = (figure(core, key) for key in ("tile_x", "tile_y", "chip"))
    if x is None or y is None:
        return NONE
    tile = f"{count(x)}, {count(y)}"
    return f"{tile} (chip {count(chip)})" if chip else tile


def host_words(energy: Any) -> str:
    """Say what the host does for a sample, and what that takes or why it is not known."""
    macs, packets = (
        figure(energy, "host", "operations", key)
        for key in ("macs_per_sample", "packets_per_sample")
    )
    if macs is None and packets is None:
        return ""
    done = " and ".join(
        f"{number(value)} {what}"
        for value, what in ((macs, "multiply-accumulates"), (packets, "packets into the chip"))
        if value
    )
    joules = figure(energy, "host", "joules_per_sample")
    if not done:
        return "the host does nothing per sample"
    said = f"the host does {done} per sample"
    if joules is not None:
        return f"{said}: {si(joules, 'J')}, in no sum here"
    why = words(energy, "host", "why")
    return f"{said}, in no sum here" + (f": {why}" if why else "")
