"""What a sample takes in all: dynamic, static and host apart, by column, by chip, by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages import figures, svg
from spikeport.pages.plain import at, figure, items, table
from spikeport.pages.units import NONE, si

BAR = 100.0  # width of a stacked bar, in units of its drawing


def sums(columns: Mapping[str, Any], times: Mapping[str, Any], used: Any) -> list[dict[str, Any]]:
    """Return dynamic, static, both, and energy x delay under each column; [] where it is old.

    Args:
        columns: of the energy of a result.
        times: columns of its time.
        used: name of the column that leads.
    """
    if not any("static_joules_per_sample" in table(column) for column in columns.values()):
        return []
    return [
        {
            "name": name,
            "used": name == used,
            "dynamic": figures.dynamic_words(column),
            "static": _or_unknown(figures.static_words(column)),
            "total": _or_unknown(figures.total_words(column)),
            "delay": figures.delay_words(times.get(name) or at(column, "time")),
        }
        for name, column in columns.items()
    ]


def chips(energy: Any) -> list[tuple[str, str, float]]:
    """Return (chip, energy, share of the largest) of linked chips; [] where there is one alone."""
    rows = sorted(table(energy, "by_chip").items(), key=lambda row: (len(row[0]), row[0]))
    found = {name: figure(cost) or 0.0 for name, cost in rows}
    if len([name for name in found if not name.startswith("-")]) < 2:
        return []
    most = max(found.values())
    return [
        (
            "on no core" if name.startswith("-") else f"chip {name}",
            si(cost, "J"),
            max(cost, 0.0) / most if most > 0 else 0.0,
        )
        for name, cost in found.items()
    ]


def layers(energy: Any, colours: Mapping[str, str], without: str) -> list[dict[str, Any]]:
    """Return one row per population: its energy, and its event kinds as a bar.

    Args:
        energy: of a result; the ledger is looked at, or the sums where there is none.
        colours: kind -> colour class.
        without: a kind that hides the others and is left out of the bars, or "".
    """
    by_kind: dict[str, dict[str, float]] = {}
    for line in items(energy, "ledger"):
        parts = by_kind.setdefault(_name(at(line, "population")), {})
        kind = str(at(line, "kind"))
        parts[kind] = parts.get(kind, 0.0) + max(figure(line, "joules_per_sample") or 0.0, 0.0)
    totals = {
        _name(name): figure(cost) or 0.0 for name, cost in table(energy, "by_population").items()
    }
    rows = totals or {name: sum(parts.values()) for name, parts in by_kind.items()}
    drawn = {
        name: [(kind, cost) for kind, cost in by_kind.get(name, {}).items() if kind != without]
        for name in rows
    }
    most = max((sum(cost for _, cost in parts) for parts in drawn.values()), default=0.0)
    return [_layer(name, cost, drawn[name], colours, most) for name, cost in rows.items()]


def _layer(
    name: str,
    cost: float,
    parts: list[tuple[str, float]],
    colours: Mapping[str, str],
    most: float,
) -> dict[str, Any]:
    ordered = sorted(
        parts, key=lambda part: list(colours).index(part[0]) if part[0] in colours else -1
    )
    segments = [
        (segment, colours.get(segment.name, "kx"), _told(segment))
        for segment in svg.stacked(ordered, BAR / most if most > 0 else 0.0)
    ]
    return {
        "name": name,
        "cost": si(cost, "J"),
        "segments": segments,
        "told": ", ".join(told for _, _, told in segments),
    }


def _told(segment: svg.Segment) -> str:
    return f"{segment.name.replace('_', ' ')}: {si(segment.value, 'J')}"


def _name(population: Any) -> str:
    return "chip" if population in (None, "(chip)") else str(population)


def _or_unknown(said: str) -> str:
    return "unknown" if said == NONE else said
