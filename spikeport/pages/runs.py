"""Earlier runs on one page: `index.html`, `index.json` and `index.md`, one column per run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeport.pages import figures
from spikeport.pages.plain import figure, finite, items, pair, printable, words
from spikeport.pages.units import MINUS, NONE, SPACE, TIMES, count, many, number, percent

FILES = {"index_html": "index.html", "index_json": "index.json", "index_md": "index.md"}
NOT_EQUAL = "\N{NOT EQUAL TO}"
#: Figure -> (name, unit); a unit of "%" is a share, of "" a count.
ROWS = {
    "accuracy": ("accuracy", "%"),
    "cells_equal": ("cells equal to the reference", "%"),
    "cores": ("cores", ""),
    "seconds_per_step": ("time per step", "s"),
    "seconds_per_sample": ("time per sample", "s"),
    "samples_per_second": ("samples per second", "/"),
    "joules_per_sample": ("energy per sample, dynamic", "J"),
    "static_joules_per_sample": ("energy per sample, static", "J"),
    "joule_seconds": (f"energy {TIMES} delay", figures.JOULE_SECONDS),
}
#: What is text -> name of its row.
TEXTS = {"graph": "graph", "chip": "chip", "recipe": "recipe", "column": "cost column",
         "model": "model of time"}  # fmt: skip


def write_runs(result: Mapping[str, Any], folder: Path) -> None:
    """Write the three files into `folder`, which is made if it is not there.

    Args:
        result: as `report_side_by_side` returns it.
    """
    from spikeport.files import write_text
    from spikeport.pages import as_json

    values = finite(result)
    texts = {
        "index_html": page(values),
        "index_json": as_json(values),
        "index_md": summary(values),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / FILES[name], text)


def page(result: Mapping[str, Any]) -> str:
    """Return the whole page."""
    from spikeport.pages.html import environment, sentence

    shown = printable(result)
    rows = table_rows(shown)
    text: str = (
        environment()
        .get_template("runs.html")
        .render(
            version=words(shown, "spikeport"),
            title=title(shown),
            heads=heads(shown),
            rows=rows,
            reports=[words(run, "report") for run in items(shown, "runs")],
            differences=difference_lines(shown),
            unknown=unknown_lines(shown),
            mark=NOT_EQUAL,
            sentence=sentence,
            command=words(shown, "command", most=2000),
        )
    )
    return text.rstrip() + "\n"


def summary(result: Mapping[str, Any]) -> str:
    """Return the table in Markdown, for the summary of a CI run."""
    from spikeport.pages.markup import table_lines, text

    shown = printable(result)
    body = [
        (text(row["name"]), *(text(" ".join(cell["said"])) for cell in row["cells"]))
        for row in table_rows(shown)
    ]
    lines = [*difference_lines(shown), *unknown_lines(shown)]
    return "\n".join(
        [
            f"# {text(title(shown))}",
            "",
            *table_lines(("", *map(text, heads(shown))), body),
            "",
            *(f"* {text(line)}" for line in lines),
            *([""] if lines else []),
            f"spikeport {text(words(shown, 'spikeport'))}; all figures: `index.json`",
            "",
        ]
    )


def title(result: Mapping[str, Any]) -> str:
    """Return what is compared, in a few words."""
    runs = items(result, "runs")
    graphs = list(dict.fromkeys(words(run, "graph") for run in runs))
    return f"{', '.join(graphs[:3])}{' and others' if len(graphs) > 3 else ''}: " + many(
        len(runs), "run"
    )


def heads(result: Mapping[str, Any]) -> list[str]:
    """Return a short name of each run, with its number in front."""
    runs = enumerate(items(result, "runs"), 1)
    return [f"{place} {words(run, 'name', most=40)}" for place, run in runs]


def table_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row per figure: its name, and per run what is said and the length of a bar.

    Said are the figure, its difference to the first run, and a mark where the two are not
    comparable; the bar is the share of the largest run, None where there is nothing to draw.
    """
    runs = items(result, "runs")
    rows = [
        {"name": name, "cells": [_text_cell(run, key) for run in runs], "figure": False}
        for key, name in TEXTS.items()
    ]
    for key, (name, unit) in ROWS.items():
        most = max((figure(run, "figures", key) or 0.0 for run in runs), default=0.0)
        cells = [_cell(run, key, unit, most, place > 0) for place, run in enumerate(runs)]
        rows.append({"name": name, "cells": cells, "figure": True})
    return rows


def difference_lines(result: Mapping[str, Any]) -> list[str]:
    """Return what must not be held against the first run as if it were alike, and why."""
    return [
        f"run {place} {NOT_EQUAL} run 1: {words(line, 'why', most=1000)}"
        for place, run in enumerate(items(result, "runs"), 1)
        for line in items(run, "not_comparable")
    ]


def unknown_lines(result: Mapping[str, Any]) -> list[str]:
    """Return why energy or time is not known."""
    return [
        f"run {place}, {part} unknown: {why}"
        for place, run in enumerate(items(result, "runs"), 1)
        for part, why in ((part, words(run, "why", part)) for part in ("energy", "time"))
        if why
    ]


def _text_cell(run: Any, key: str) -> dict[str, Any]:
    default = "the default one" if key == "recipe" else NONE
    return {"said": [words(run, key) or default], "bar": None}


def _cell(run: Any, key: str, unit: str, most: float, later: bool) -> dict[str, Any]:
    value = figure(run, "figures", key)
    said = [_value(value, pair(run, "intervals", key), unit)]
    change = figure(run, "changes", key)
    if later and change is not None:
        said.append(f"({_points(change) if unit == '%' else _relative(change)})")
    if later and value is not None and key in _marked(run):
        said.append(NOT_EQUAL)
    bar = value / most if value is not None and value >= 0 and most > 0 else None
    return {"said": said, "bar": bar}


def _marked(run: Any) -> set[str]:
    """Return the figures of a run that are not comparable with the first's."""
    return {words(name) for line in items(run, "not_comparable") for name in items(line, "figures")}


def _value(value: float | None, interval: tuple[float, float] | None, unit: str) -> str:
    if value is None:
        return "unknown" if unit else NONE
    if unit == "%":
        return percent(value)
    if unit == "/":
        return number(value)
    return figures.ranged(value, interval, unit) if unit else count(value)


def _points(change: float) -> str:
    if change == 0:
        return "the same"
    return f"{100 * change:+.2f}{SPACE}points".replace("-", MINUS)


def _relative(change: float) -> str:
    return figures.change(1.0 + change, 1.0)
