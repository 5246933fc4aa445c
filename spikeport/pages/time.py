"""Time on the page: how long steps and samples take, who ends a step, and whether it keeps up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages import figures
from spikeport.pages.energy import number_of
from spikeport.pages.plain import at, figure, items, table, words
from spikeport.pages.step_chart import BOUNDS, PARTS, chart
from spikeport.pages.units import MAX_TABLE, NONE, count, number, percent, si

#: What bounds a step -> what that means.
MEANS = {
    "compute": "somas and outgoing packets of a core",
    "memory": "incoming packets and the synapses that they read",
    "traffic": "the way of a packet through the mesh",
    "barrier": "all cores agree that the step is over",
}


def time(result: Mapping[str, Any], sources: list[str]) -> dict[str, Any]:
    """Return what the section of time shows, already worded."""
    found = table(result, "time")
    shown = figures.known(found)
    return {
        "given": bool(found),
        "known": shown,
        "why": "" if shown else figures.why_not(found),
        "facts": facts(found) if shown else [],
        "chart": chart(found) if shown else None,
        "legend": [(name, colour, MEANS[name]) for name, colour in PARTS.items()],
        "bounds": bound_words(found) if shown else "",
        "cores": critical_cores(found),
        "budget": budget_words(found),
        "late": late_cores(found),
        "pressure": pressure_words(found),
        "routes": routes(found),
        "columns": columns(found),
        "source_numbers": _numbered(items(found, "sources"), sources),
        "notes": _notes(found),
    }


def facts(found: Any) -> list[tuple[str, str]]:
    """Return the figures that matter most, by name."""
    worst = ""
    if figure(found, "worst_step", "seconds") is not None:
        worst = (
            f"{si(figure(found, 'worst_step', 'seconds'), 's')}, step "
            f"{count(figure(found, 'worst_step', 'step'))} of sample "
            f"{count(figure(found, 'worst_step', 'sample'))}"
        )
    steps = figure(found, "latency", "steps")
    of_sample = "a sample, until its answer" + (
        "" if steps is None else f" ({number(steps)} steps)"
    )
    pairs = [
        ("a step, on average", figures.step_words(found)),
        ("the slowest step", worst or NONE),
        (of_sample, figures.latency_words(found)),
        ("samples", figures.throughput_words(found)),
        ("energy \N{MULTIPLICATION SIGN} delay", figures.delay_words(found)),
        ("model, cost column", f"{figures.model_words(found)}, {words(found, 'column')}"),
        ("uncertainty", _uncertainty(found)),
    ]
    return [(name, value) for name, value in pairs if value != NONE]


def bound_words(found: Any) -> str:
    """Say what bounds how many of the steps, and what the mean step is made of."""
    shares = [(name, figure(found, "bound", name)) for name in BOUNDS]
    said = ", ".join(f"{percent(share, 1)} {name}-bound" for name, share in shares if share)
    parts = [(name, figure(found, "parts", name)) for name in PARTS]
    made = ", ".join(f"{name} {si(part, 's')}" for name, part in parts if part)
    return "; ".join(
        part
        for part in (f"steps: {said}" if said else "", f"mean step: {made}" if made else "")
        if part
    )


def critical_cores(found: Any) -> list[dict[str, Any]]:
    """Return one row for each of the cores that end most steps."""
    rows = items(found, "critical_cores")[:MAX_TABLE]
    return [
        {
            "core": count(figure(row, "core")),
            "tile": figures.tile_words(row),
            "populations": ", ".join(
                f"{name}: {count(figure(size))}"
                for name, size in list(table(row, "populations").items())[:12]
            ),
            "share": percent(figure(row, "steps"), 1),
            "bar": min(max(figure(row, "steps") or 0.0, 0.0), 1.0),
            "seconds": si(figure(row, "seconds"), "s"),
        }
        for row in rows
    ]


def budget_words(found: Any) -> str:
    """Say whether every step ends within its budget; "" where there is none."""
    budget = table(found, "budget")
    seconds = figure(budget, "seconds")
    if seconds is None:
        return ""
    source = words(budget, "source")
    may = f"a step may take {si(seconds, 's')}" + (f" ({source})" if source else "")
    rate = figures.pace(figure(budget, "times"))
    mean = f"; the mean step is {rate}" if rate else ""
    if at(budget, "keeps_up") is True:
        return f"keeps up: {may}{mean}"
    return f"too slow in {percent(figure(budget, 'over'), 1)} of the steps: {may}{mean}"


def late_cores(found: Any) -> list[tuple[str, str, str]]:
    """Return (core, share of the steps, longest step) of the cores that are over the budget."""
    return [
        (
            count(figure(row, "core")),
            percent(figure(row, "share"), 1),
            si(figure(row, "worst_seconds"), "s"),
        )
        for row in items(found, "budget", "cores")[:MAX_TABLE]
    ]


def pressure_words(found: Any) -> str:
    """Say how many packets had to wait for room on the mesh."""
    blocked = figure(found, "pressure", "blocked_per_sample")
    if blocked is None:
        return ""
    if blocked == 0:
        return "no packet has to wait for room on the mesh"
    return f"{number(blocked)} packets per sample have to wait for room on the mesh"


def routes(found: Any) -> list[tuple[str, str, str]]:
    """Return (from, to, packets that wait per sample) of the fullest routes."""
    return [
        (_tile(row, "from"), _tile(row, "to"), number(figure(row, "blocked_per_sample")))
        for row in items(found, "pressure", "routes")[:MAX_TABLE]
    ]


def columns(found: Any) -> list[dict[str, str]]:
    """Return the time under every cost column, apart."""
    rows = []
    for name, column in table(found, "columns").items():
        row = {"name": str(name), "used": name == at(found, "column"), "why": ""}
        if not figures.known(column):
            rows.append(row | {"why": figures.why_not(column)})
            continue
        rows.append(
            row
            | {
                "model": figures.model_words(column),
                "step": figures.step_words(column),
                "latency": figures.latency_words(column),
                "throughput": figures.throughput_words(column),
                "delay": figures.delay_words(column),
            }
        )
    return rows


def _uncertainty(found: Any) -> str:
    share = figure(found, "uncertainty")
    if share is None:
        return NONE
    source = words(found, "uncertainty_source")
    return figures.spread((-share, share)) + (f": {source}" if source else "")


def _tile(row: Any, key: str) -> str:
    ends = [figure(end) for end in items(row, key)[:2]]
    return f"({', '.join(count(end) for end in ends)})" if ends else NONE


def _numbered(named: list[Any], sources: list[str]) -> list[int]:
    """Return the numbers of sources in the list at the end of the page."""
    numbers = (number_of(name, sources) for name in named)
    return list(dict.fromkeys(number for number in numbers if number is not None))


def _notes(found: Any) -> list[str]:
    return [str(note)[:400] for note in items(found, "notes")[:MAX_TABLE]]
