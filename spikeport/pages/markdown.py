"""A result as a short Markdown page, for the summary of a CI run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages.attribution import attribution
from spikeport.pages.held import total_words
from spikeport.pages.markup import table_lines, text
from spikeport.pages.overflow import overflow_sentence
from spikeport.pages.plain import at, figure, items, printable, table, words
from spikeport.pages.sums import sums
from spikeport.pages.time_lines import baseline_lines, time_lines
from spikeport.pages.units import NONE, count, exact, percent, setting, si
from spikeport.pages.verdict import (
    WORDING,
    Verdict,
    chip_against_reference,
    difference,
    interval,
    spoken,
    verdicts,
)

MOST_CAUSES = 6  # in the summary
MOST_NOTES = 12  # in the summary; all of them are in report.json
MARKS = {
    "good": "\N{WHITE HEAVY CHECK MARK}",
    "fair": "\N{WARNING SIGN}",
    "bad": "\N{CROSS MARK}",
    "plain": "\N{HIGH VOLTAGE SIGN}",
    "absent": NONE,
}


def summary(result: Mapping[str, Any]) -> str:
    """Return the summary: verdicts, parity, budget, energy, time, resources, assumptions.

    Args:
        result: as `write_report` takes it, with finite numbers only.
    """
    result = printable(result)
    chip = at(result, "chip", "title") or at(result, "chip", "name") or "chip"
    sections = [
        [f"# {text(at(result, 'graph') or 'network')} on {text(chip)}"],
        table_lines(("", "", ""), map(_verdict, verdicts(result))),
        _budget(result),
        ["## Parity", *_parity(result)],
        _attribution(result),
        ["## Energy", *_energy(result)],
        time_lines(result),
        baseline_lines(result),
        ["## Resources", *_resources(result)],
        ["## Assumed", *_assumed(result)],
        _notes(result),
        [f"spikeport {text(at(result, 'spikeport') or '')}; all figures: `report.json`"],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _notes(result: Mapping[str, Any]) -> list[str]:
    notes = items(result, "notes")
    lines = [f"* {text(str(note)[:400])}" for note in notes[:MOST_NOTES]]
    more = [f"* {len(notes) - MOST_NOTES} more in report.json"] if len(notes) > MOST_NOTES else []
    return ["## Notes", *lines, *more] if lines else []


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    lines = "; ".join(text(line) for line in verdict.lines)
    return f"{MARKS[verdict.state]} {text(verdict.title)}", f"**{text(verdict.headline)}**", lines


def _budget(result: Mapping[str, Any]) -> list[str]:
    budget = at(result, "budget")
    if not budget:
        return []
    rows = (
        (
            MARKS["good" if at(item, "ok") else "bad"],
            text(at(item, "name")),
            *(text(exact(at(item, key))) for key in ("old", "new", "limit")),
        )
        for item in items(budget, "items")
    )
    verdict = "kept" if at(budget, "passed") else "broken"
    return [f"## Budget: {verdict}", "", *table_lines(("", "figure", "old", "new", "limit"), rows)]


def _parity(result: Mapping[str, Any]) -> list[str]:
    parity = table(result, "parity")
    lines = [f"* Chip and reference: {text(chip_against_reference(result))}."]
    first = at(parity, "emulator_vs_reference", "first_difference")
    if first:
        lines.append(f"* First difference: {text(difference(first, 'reference', 'emulator'))}.")
    if not at(parity, "lava_vs_emulator"):
        return [*lines, "* Lava and emulator: not run; not compared with silicon."]
    lava = verdicts(result)[1]
    lines.append(f"* Lava and emulator: {text('; '.join(lava.lines))}.")
    if lava.state == "good" and WORDING not in lava.lines:
        lines.append(f"* {text(WORDING)}.")
    return lines


def _attribution(result: Mapping[str, Any]) -> list[str]:
    """Return the causes that lost most; nothing where the result has none."""
    found = attribution(result)
    if not found["rows"]:
        return []
    head = ("cause", "object", "share of the cells that differ", "accuracy lost")
    lines = [
        tuple(text(row[key]) for key in ("cause", "object", "share", "points"))
        for row in found["rows"][:MOST_CAUSES]
    ]
    lead = text(found["lead"][:1].upper() + found["lead"][1:])
    return ["## What was lost, and to what", "", f"{lead}.", "", *table_lines(head, lines)]


def _energy(result: Mapping[str, Any]) -> list[str]:
    used = words(result, "energy", "column")
    columns = table(result, "energy", "columns") or (
        {used: table(result, "energy")} if used else {}
    )
    if at(result, "energy", "known") is False:
        return [f"Unknown: {text(words(result, 'energy', 'why'))}."]
    if not columns:
        return ["Not estimated."]
    kinds = dict.fromkeys(kind for column in columns.values() for kind in table(column, "by_kind"))
    head = ("per sample", *(text(f"{name} (used)" if name == used else name) for name in columns))
    rows = [
        ("**all**", *(f"**{si(figure(c, 'joules_per_sample'), 'J')}**" for c in columns.values())),
        ("interval", *(interval(column) for column in columns.values())),
    ]
    sums_ = sums(columns, table(result, "time", "columns"), used)
    if sums_:
        rows[0] = ("**all, dynamic**", *rows[0][1:])
        rows.append(("static", *(text(row["static"]) for row in sums_)))
        rows.append(("together", *(text(row["total"]) for row in sums_)))
    for kind in kinds:
        rows.append(
            (text(spoken(kind)), *(si(figure(c, "by_kind", kind), "J") for c in columns.values()))
        )
    return table_lines(head, rows)


def _resources(result: Mapping[str, Any]) -> list[str]:
    resources, limits = table(result, "resources"), table(result, "limits")
    rows = []
    for name, value in resources.items():
        limit = limits.get("cores") if name == "cores" else None
        if name == "synaptic_memory_bits_fullest_core":
            limit = limits.get("synaptic_memory_bits_per_core")
        share = f"{percent(value / limit)} of {count(limit)}" if limit and value is not None else ""
        rows.append((text(spoken(name)), total_words(name, value), share))
    rows.append(("recipe", text(at(result, "recipe") or "the default one"), ""))
    latency = at(result, "latency_steps")
    rows.append(("latency", f"{count(latency)} steps", ""))
    lines = table_lines(("", "used", "of the limit"), rows)
    told = overflow_sentence(result)
    return [*lines, "", text(told[:1].upper() + told[1:]) + "."] if told else lines


def _assumed(result: Mapping[str, Any]) -> list[str]:
    assumed = items(result, "assumed")
    if not assumed:
        return ["Nothing."]
    contract = table(result, "semantics")
    said = [
        text(field) + (f" = {text(setting(field, contract[field]))}" if field in contract else "")
        for field in map(str, assumed)
    ]
    return [f"{', '.join(said)} (change with `--set FIELD=VALUE`)"]
