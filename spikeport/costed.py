"""What a run costs, as plain values; a chip without figures says that its energy is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.compiler.chip import Chip
from spikeport.compiler.measure.energy import Cost

NOT_PUBLISHED = "no energy per event has been published for {}"
ALL_UNVERIFIED = "no figure of the column {} has a source that was seen (basis unverified)"


def static_of(chip: Chip) -> str:
    """Say what the dynamic figures leave out."""
    static = chip.static_power
    if static is None:
        return "Dynamic energy only; static power is not known."
    doubt = ", unverified" if static.basis == "unverified" else ""
    return (
        f"Dynamic energy only. Static power is not added: {static.value:g} {static.unit} per chip "
        f"({static.source}{doubt}) times the run time, which is not modelled here."
    )


def energy_of(chip: Chip, costs: Mapping[str, Cost], column: str) -> dict[str, Any]:
    """Return the energy of a run on a chip, or why it is not known."""
    if not costs:
        return {"known": False, "why": NOT_PUBLISHED.format(chip.name), "static": static_of(chip)}
    return energy_plain(costs, costs[column], static_of(chip))


def energy_plain(costs: Mapping[str, Cost], chosen: Cost, static: str = "") -> dict[str, Any]:
    """Return costs as plain values: the chosen column's ledger, the others' sums beside it."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in chosen.ledger:
        line = lines.setdefault(
            (entry.population, entry.kind),
            {
                "population": entry.population,
                "kind": entry.kind,
                "events_per_sample": 0.0,
                "joules_per_event": entry.joules_per_event,
                "joules_per_sample": 0.0,
                "source": entry.source,
                "basis": entry.basis,
            },
        )
        line["events_per_sample"] += entry.events_per_sample
        line["joules_per_sample"] += entry.joules
    sources = {entry.source for cost in costs.values() for entry in cost.ledger}
    known = not chosen.ledger or any(entry.counts for entry in chosen.ledger)
    plain = {
        "known": known,
        **chosen.summary(),
        "by_population": chosen.by("population"),
        "ledger": list(lines.values()),
        "columns": {name: each.summary() for name, each in costs.items()},
        "static": static,
        "sources": sorted(sources | {each.uncertainty.source for each in costs.values()}),
    }
    if not known:
        why = ALL_UNVERIFIED.format(chosen.column)
        plain |= {"why": why, "joules_per_sample": None, "interval": None}
    return plain
