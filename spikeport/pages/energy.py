"""Energy on the page: bars per cost column, shares, the ledger; or why it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages import svg, units
from spikeport.pages.figures import host_words, spread
from spikeport.pages.plain import at, figure, items, pair, table, words
from spikeport.pages.sums import chips, layers, sums
from spikeport.pages.units import percent, si
from spikeport.pages.verdict import interval, spoken

BAR_WIDTH = 1000.0
LONGEST_SOURCE = 2000  # characters
#: A cost kind above this share of the whole hides the others: they get a scale of their own.
HIDING = 0.7

#: Event kinds in the order of a core's pipeline, with the colour class of each.
KINDS = {
    "soma_access": "k1",
    "soma_update": "k2",
    "spike_out": "k3",
    "synaptic_op": "k4",
    "synaptic_op_sparse": "k5",
    "synaptic_op_conv": "k6",
    "crossbar_op": "k4",
    "dense_synaptic_op": "k4",
    "packet": "k7",
    "packet_in": "ka",
    "hop_east_west": "k8",
    "hop_north_south": "k9",
    "state_reset": "k0",
}


def energy(result: Mapping[str, Any], sources: list[str]) -> dict[str, Any]:
    """Return the sums, the bars, the shares and the ledger of the energy."""
    used = words(result, "energy", "column")
    columns = table(result, "energy", "columns")
    if not columns and used:
        columns = {used: table(result, "energy")}
    kinds = _kinds(columns)
    biggest = _hiding(columns)
    panels = [_panel(columns, "", used), _panel(columns, biggest, used) if biggest else None]
    ledger = items(result, "energy", "ledger")
    return {
        "panels": [panel for panel in panels if panel],
        "columns": columns,
        "used": used,
        "kinds": [
            {
                "name": spoken(kind),
                "colour": colour,
                "costs": [
                    _cost_and_share(
                        figure(column, "by_kind", kind), figure(column, "joules_per_sample")
                    )
                    for column in columns.values()
                ],
            }
            for kind, colour in kinds.items()
        ],
        "totals": [si(figure(column, "joules_per_sample"), "J") for column in columns.values()],
        "sums": sums(columns, table(result, "time", "columns"), used),
        "layers": layers(at(result, "energy"), kinds, biggest),
        "layers_without": spoken(biggest),
        "chips": chips(at(result, "energy")),
        "host": host_words(at(result, "energy")),
        "not_comparable": [str(line) for line in items(result, "energy", "not_comparable")],
        "ledger": [
            {
                "population": words(entry, "population") or "chip",
                "kind": spoken(words(entry, "kind")),
                "events": units.number(figure(entry, "events_per_sample")),
                "each": si(figure(entry, "joules_per_event"), "J"),
                "spread": _spread(entry),
                "cost": si(figure(entry, "joules_per_sample"), "J"),
                "interval": _interval(entry),
                "basis": words(entry, "basis") or units.NONE,
                "source": number_of(at(entry, "source"), sources),
            }
            for entry in ledger[: units.MAX_TABLE]
        ],
        "ledger_left_out": max(0, len(ledger) - units.MAX_TABLE),
        "static": words(result, "energy", "static", most=2000),
        "why": words(result, "energy", "why"),
        "left_out": [spoken(str(kind)) for kind in items(result, "energy", "left_out")],
    }


def sources_of(result: Mapping[str, Any]) -> list[str]:
    """Return every source once: those of the result, then those that only a figure names."""
    named = [
        *items(result, "energy", "sources"),
        *(at(column, "source") for column in table(result, "energy", "columns").values()),
        *(at(entry, "source") for entry in items(result, "energy", "ledger")),
        *items(result, "time", "sources"),
        *(at(row, "source") for row in items(result, "baselines", "rows")),
    ]
    texts = (words(source, most=LONGEST_SOURCE) for source in named)
    return list(dict.fromkeys(text for text in texts if text))


def number_of(source: Any, sources: list[str]) -> int | None:
    """Return the number of a source in the list at the end of the page, or None."""
    text = words(source, most=LONGEST_SOURCE)
    return sources.index(text) + 1 if text in sources else None


def _kinds(columns: Mapping[str, Any]) -> dict[str, str]:
    """Return kind -> colour class for every kind that costs something, in pipeline order."""
    named = {kind for column in columns.values() for kind in table(column, "by_kind")}
    known = [kind for kind in KINDS if kind in named]
    others = sorted(named - set(KINDS))
    return {kind: KINDS[kind] for kind in known} | {kind: "kx" for kind in others}


def _costs(column: Any) -> dict[str, float]:
    """Return kind -> joules, without those below 0: nothing gives energy back."""
    return {
        str(kind): max(figure(cost) or 0.0, 0.0) for kind, cost in table(column, "by_kind").items()
    }


def _hiding(columns: Mapping[str, Any]) -> str:
    """Return the kind that hides the others in some column, or an empty text."""
    for column in columns.values():
        kinds = _costs(column)
        biggest = max(kinds, key=lambda kind: kinds[kind], default="")
        if biggest and 0 < sum(kinds.values()) * HIDING < kinds[biggest] < sum(kinds.values()):
            return biggest
    return ""


def _panel(columns: Mapping[str, Any], without: str, used: Any) -> dict[str, Any] | None:
    """Return one bar per cost column on a common axis, leaving out one kind."""
    bars = []
    for name, column in columns.items():
        costs = _costs(column)
        parts = [(kind, costs[kind]) for kind in _kinds(columns) if kind in costs]
        parts = [(kind, cost) for kind, cost in parts if kind != without]
        bounds = pair(column, "interval")
        bars.append((name, column, parts, bounds if bounds is not None and not without else ()))
    most = max(
        (max([sum(c for _, c in parts), *bounds]) for _, _, parts, bounds in bars), default=0
    )
    if most <= 0:
        return None
    step = svg.round_step(most / 5)
    scale = BAR_WIDTH / (1.02 * most)
    colours = _kinds(columns)
    return {
        "without": spoken(without),
        "width": BAR_WIDTH,
        "ticks": [
            svg.Tick(index * step * scale, si(index * step, "J"))
            for index in range(int(1.02 * most / step) + 1)
        ],
        "bars": [
            {
                "name": name,
                "used": name == used,
                "title": words(column, "title"),
                "total": si(sum(cost for _, cost in parts), "J"),
                "interval": interval(column) if bounds else "",
                "segments": [
                    (segment, colours[segment.name], spoken(segment.name), si(segment.value, "J"))
                    for segment in svg.stacked(parts, scale)
                ],
                "whisker": [bound * scale for bound in bounds],
            }
            for name, column, parts, bounds in bars
        ],
    }


def _spread(entry: Any) -> str:
    ends = pair(entry, "plus_minus")
    return "" if ends is None else spread(ends)


def _interval(entry: Any) -> str:
    ends = pair(entry, "interval")
    return units.NONE if ends is None else units.si_range(*ends, "J")


def _cost_and_share(cost: float | None, total: float | None) -> tuple[str, str]:
    return si(cost, "J"), percent(cost / total if cost is not None and total else None, 1)
