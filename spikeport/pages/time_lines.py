"""Time and baselines of a result in Markdown, for the summary of a CI run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages import figures
from spikeport.pages.markup import table_lines, text
from spikeport.pages.plain import figure, items, table, words
from spikeport.pages.time import bound_words, budget_words, columns, critical_cores, pressure_words
from spikeport.pages.units import number, si

MOST_CORES = 4  # in the summary; all of them are in report.json


def time_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the section of time; nothing where the result is from before there was one."""
    found = table(result, "time")
    if not found:
        return []
    if not figures.known(found):
        why = figures.why_not(found)
        return ["## Time", f"{text(why[:1].upper() + why[1:])}."]
    rows = [_column(row) for row in columns(found)]
    said = [bound_words(found), _critical(found), budget_words(found), pressure_words(found)]
    return [
        "## Time",
        *table_lines(("", "a step", "a sample", "samples", "energy x delay", "model"), rows),
        "",
        *(f"* {text(line[:1].upper() + line[1:])}." for line in said if line),
    ]


def baseline_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the section of baselines, without their caveats; nothing where there are none."""
    rows = [
        (
            text(words(row, "name")),
            text(words(row, "counts")),
            number(figure(row, "operations")),
            si(figure(row, "joules_per_sample"), "J"),
        )
        for row in items(result, "baselines", "rows")
    ]
    if not rows:
        return []
    head = ("the same operations on", "counts", "operations", "per sample")
    note = "Estimates from operation counts; caveats and sources: `report.json`."
    return ["## Baselines", note, "", *table_lines(head, rows)]


def _column(row: Mapping[str, Any]) -> tuple[str, ...]:
    name = text(f"{row['name']} (used)" if row["used"] else row["name"])
    if row["why"]:
        return (name, text(row["why"]), "", "", "", "")
    keys = ("step", "latency", "throughput", "delay", "model")
    return (name, *(text(row[key]) for key in keys))


def _critical(found: Any) -> str:
    cores = critical_cores(found)[:MOST_CORES]
    ends = ", ".join(f"core {row['core']} ({row['share']})" for row in cores)
    return f"steps are ended by {ends}" if ends else ""
