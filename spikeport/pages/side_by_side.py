"""Several chips on one page: `index.html`, `index.json` and `index.md`, one row per chip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from spikeport.pages import figures
from spikeport.pages.held import memory_words, spoken_resource
from spikeport.pages.mesh import draw
from spikeport.pages.plain import at, figure, finite, items, printable, table, words
from spikeport.pages.units import NONE, count, many, percent, si, si_range

FILES = {"index_html": "index.html", "index_json": "index.json", "index_md": "index.md"}
#: Reasons in a table and on the page; all of them are in index.json.
MOST_REASONS, MOST_ON_PAGE = 2, 40
DELAY = "energy \N{MULTIPLICATION SIGN} delay"
COLUMNS = ("chip", "level", "takes it", "accuracy", "spikes", "cores", "memory", "fullest core",
           "steps late", "time per step", "time per sample", "energy per sample",
           DELAY)  # fmt: skip
AS_IF = "as if it fitted: "


def write_index(result: Mapping[str, Any], folder: Path) -> None:
    """Write the three files of a side by side into `folder`.

    Args:
        result: as `deploy_side_by_side` returns it.
        folder: made if it is not there.
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
    rows = items(shown, "chips")
    text: str = (
        environment()
        .get_template("side_by_side.html")
        .render(
            version=at(shown, "spikeport") or "",
            graph=at(shown, "graph") or "network",
            settings=settings(shown),
            verdict=verdict(shown),
            columns=COLUMNS,
            rows=[
                {"cells": cells(row), "report": at(row, "report"), "estimate": as_if_words(row)}
                | row
                for row in rows
            ],
            apart=not_comparable(rows),
            estimates=as_if_notes(rows),
            sentence=sentence,
            maps=[
                (row["chip"], draw(table(row, "mesh"), items(row, "cores"), table(row, "limits")))
                for row in rows
                if at(row, "mesh")
            ],
            refused=[
                (row["chip"], _on_one_line(row), _left_out(row)) for row in rows if not row["fits"]
            ],
            notes=[(row["chip"], items(row, "notes")) for row in rows if items(row, "notes")],
            energies=[
                (row["chip"], energy_source(row)) for row in rows if at(row, "energy", "known")
            ],
            command=at(shown, "command") or "",
        )
    )
    return text.rstrip() + "\n"


def summary(result: Mapping[str, Any]) -> str:
    """Return the table in Markdown, for the summary of a CI run."""
    from spikeport.pages.markup import table_lines, text

    shown = printable(result)
    rows = items(shown, "chips")
    body = [tuple(text(cell) for cell in cells(row).values()) for row in rows]
    below = [f"* {text(at(row, 'chip'))}, {text(as_if_words(row))}" for row in rows
             if as_if_words(row)]  # fmt: skip
    below += [f"* {text(line)}" for line in as_if_notes(rows)]
    below += [f"* {text(chip)}: {text(line)}" for chip, line in not_comparable(rows)]
    return "\n".join(
        [
            f"# {text(at(shown, 'graph') or 'network')} on several chips",
            "",
            f"{text(verdict(shown))}",
            "",
            *table_lines(COLUMNS, body),
            "",
            *([*below, ""] if below else []),
            f"spikeport {text(at(shown, 'spikeport') or '')}; all figures: `index.json`",
            "",
        ]
    )


def cells(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the words of one row, by column."""
    resources, time = table(row, "resources"), at(row, "time")
    said = (
        str(at(row, "chip")),
        str(at(row, "level")),
        takes(row),
        accuracy_words(row),
        spikes_words(row),
        _cores(resources),
        memory_words(resources) if resources else NONE,
        fullest_words(at(row, "fullest"), resources),
        NONE if at(row, "latency_steps") is None else many(row["latency_steps"], "step"),
        _time_words(time, figures.step_words),
        _time_words(time, figures.latency_words),
        both_words(row),
        _time_words(time, figures.delay_words),
    )
    return dict(zip(COLUMNS, said, strict=True))


def _on_one_line(row: Mapping[str, Any]) -> list[str]:
    """Return the first reasons against a chip, each with its fix behind it."""
    reasons = items(row, "violations")[:MOST_ON_PAGE]
    return ["; ".join(part.strip() for part in str(each).splitlines()) for each in reasons]


def takes(row: Mapping[str, Any]) -> str:
    """Say whether a chip takes the network, or the first reasons why not."""
    if at(row, "fits"):
        return "yes" if at(row, "ran") else f"yes ({at(row, 'why')})"
    reasons = [brief(each) for each in items(row, "violations")]
    more = len(reasons) - MOST_REASONS
    tail = f"; {count(more)} more" if more > 0 else ""
    return f"no: {'; '.join(reasons[:MOST_REASONS]) or 'nothing is known'}{tail}"


def brief(violation: Any) -> str:
    """Return a reason without the line that says what to do, and without its third part on.

    >>> brief("2 cannot run: a is a LIF; b is a LIF; c is an IF; d is an LI\\n  fix: retrain")
    '2 cannot run: a is a LIF; b is a LIF; 2 more'
    """
    parts = str(violation).split("\n", 1)[0].strip().split("; ")
    more = len(parts) - MOST_REASONS
    return "; ".join([*parts[:MOST_REASONS], *([f"{more} more"] if more > 0 else [])])


def accuracy_words(row: Mapping[str, Any]) -> str:
    """Say the accuracy on the chip, beside the reference's."""
    if not at(row, "ran"):
        return NONE
    ours, ideal = at(row, "accuracy", "emulator"), at(row, "accuracy", "reference")
    if ours is None:
        return "no labels"
    return f"{percent(ours)} (reference {percent(ideal)})"


def spikes_words(row: Mapping[str, Any]) -> str:
    """Say how many cells and spikes are as in the reference."""
    parity = at(row, "parity")
    if not parity:
        return NONE
    said = []
    if at(parity, "cells"):
        equal = 1 - (at(parity, "different") or 0) / parity["cells"]
        said.append(f"{percent(equal)} of cells equal")
    if at(parity, "spikes_repeated") is not None:
        said.append(f"{percent(parity['spikes_repeated'])} of spikes at their step")
    return ", ".join(said) or ("v compared" if at(parity, "analog") else "not compared")


def fullest_words(found: Any, resources: Mapping[str, Any]) -> str:
    """Say how full the fullest core is, and of what."""
    if found:
        share = percent(found["figure"] / found["limit"], 1)
        return f"{share} of {spoken_resource(found['resource'])}"
    share = at(resources, "fullest_core")
    return percent(share, 1) if share else ("no limit" if resources else NONE)


def energy_words(row: Mapping[str, Any]) -> str:
    """Say what a sample costs and by which column, or that it is not known."""
    energy = at(row, "energy")
    if not energy:
        return NONE
    if not at(energy, "known"):
        return "unknown"
    bounds = items(energy, "interval")
    interval = f", {si_range(bounds[0], bounds[1], 'J')}" if len(bounds) == 2 else ""
    return f"{si(at(energy, 'joules_per_sample'), 'J')} ({at(energy, 'column')}{interval})"


def both_words(row: Mapping[str, Any]) -> str:
    """Say the dynamic energy, and the static energy beside it."""
    static = figure(row, "energy", "static_joules_per_sample")
    said = energy_words(row)
    return said if static is None else f"{said}; static {si(static, 'J')}"


def as_if_words(row: Mapping[str, Any]) -> str:
    """Say what a chip that refuses the network would take if it fitted; "" where none knows.

    >>> as_if_words({"as_if": {"energy": {"joules_per_sample": 1e-6, "column": "a"}}})
    'as if it fitted: 1\xa0µJ dynamic, a; time not computed'
    """
    found = table(row, "as_if")
    if not found:
        return ""
    energy, time = at(found, "energy"), at(found, "time")
    said = figures.why_not(energy)
    if figures.known(energy):
        static = figure(energy, "static_joules_per_sample")
        beside = "" if static is None else f", {si(static, 'J')} static"
        said = f"{figures.dynamic_words(energy)} dynamic{beside}, {words(energy, 'column')}"
        bare = f"time {figures.why_not(time)}"
        said += "; " + (f"{figures.step_words(time)} per step, {figures.latency_words(time)} per "
                        "sample" if figures.known(time) else bare)  # fmt: skip
    delay = figures.delay_words(time)
    return AS_IF + said + ("" if delay == NONE else f"; {DELAY} {delay}")


def as_if_notes(rows: Iterable[Any]) -> list[str]:
    """Return what such estimates are worth, each note once."""
    notes = (words(row, "as_if", "note") for row in rows)
    return [note for note in dict.fromkeys(notes) if note]


def not_comparable(rows: Iterable[Any]) -> list[tuple[str, str]]:
    """Return (chip, why its figures must not be held against another's)."""
    return [(words(row, "chip"), words(line)) for row in rows
            for line in items(row, "not_comparable") if words(line)]  # fmt: skip


def _time_words(time: Any, say: Callable[[Any], str]) -> str:
    if not time:
        return NONE
    said = say(time) if figures.known(time) else NONE
    return "unknown" if said == NONE else said


def energy_source(row: Mapping[str, Any]) -> str:
    """Say whose figures an energy is, and what was left out of it."""
    energy = table(row, "energy")
    left_out = [kind.replace("_", " ") for kind in items(energy, "left_out")]
    without = f"; without {', '.join(left_out)} (unverified)" if left_out else ""
    return f"{at(energy, 'title') or at(energy, 'column')}{without}"


def verdict(result: Mapping[str, Any]) -> str:
    """Say how many chips take the network, and what the reference has."""
    rows = items(result, "chips")
    fits = sum(bool(at(row, "fits")) for row in rows)
    ideal = at(result, "reference", "accuracy")
    said = f"{fits} of {many(len(rows), 'chip')} take the network"
    return said if ideal is None else f"{said}; accuracy of the reference {percent(ideal)}"


def settings(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings that the rows hold for."""
    pairs = [
        ("dialect", at(result, "semantics", "dialect")),
        ("samples", count(at(result, "samples"))),
        ("steps", count(at(result, "steps"))),
        ("linked chips", count(at(result, "linked"))),
    ]
    return [(name, str(value)) for name, value in pairs if value]


def _cores(resources: Mapping[str, Any]) -> str:
    if not resources:
        return NONE
    linked = at(resources, "chips") or 1
    cores = count(at(resources, "cores"))
    return cores if linked == 1 else f"{cores} on {many(linked, 'chip')}"


def _left_out(row: Mapping[str, Any]) -> int:
    return max(0, len(items(row, "violations")) - MOST_ON_PAGE)
