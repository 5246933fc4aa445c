"""What `validate-energy` prints; the same cells make the table in docs/validation.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeport.pages.units import MINUS, SPACE, percent, si, si_range

HEAD = ("point", "chip, column", "predicted", "interval", "published", "error", "verdict")


def print_validated(plain: Mapping[str, Any]) -> None:
    """Print the points as a table, then what lies behind them and what is missing."""
    console = Console()
    table = Table()
    for place, name in enumerate(HEAD):
        table.add_column(name, justify="right" if 2 <= place <= 5 else "left", overflow="fold")
    for point in plain["points"]:
        table.add_row(*(escape(cell) for cell in cells(point)))
    console.print(table)
    for line in said(plain):
        console.print(escape(line), highlight=False, soft_wrap=True)
    for title, lines in (
        ("points", notes(plain)),
        ("what was fitted on what", fits(plain)),
        ("not reproduced", missing(plain)),
    ):
        console.print(f"\n{title}", highlight=False)
        for name, words in lines:
            console.print(f"  {escape(name)}: {escape(words)}", highlight=False, soft_wrap=True)


def cells(point: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words of one point, as `HEAD` has them."""
    unit, (low, high), (least, most) = point["unit"], point["range"], point["interval"]
    errors = [value / point["published"] - 1 for value in (low, high)]
    predicted = si(point["predicted"], unit) if low == high else si_range(low, high, unit)
    return (
        point["name"],
        f"{point['chip']}, {point['column']}",
        predicted,
        f"{si_range(least, most, unit)}, {_width(point['half_width'])}",
        si(point["published"], unit),
        " to ".join(dict.fromkeys(_error(error) for error in errors)),
        verdict(point),
    )


def _width(share: float) -> str:
    return f"\N{PLUS-MINUS SIGN}{percent(share, 1)}"


def _error(error: float) -> str:
    """Return a relative error with its sign, in hundredths of a per cent."""
    shown = f"{100 * error:+.2f}"
    shown = "0.00" if float(shown) == 0 else shown.replace("-", MINUS)
    return f"{shown}{SPACE}%"


def verdict(point: Mapping[str, Any]) -> str:
    """Say whether a point lies inside, and whether that counts."""
    if point["fitted"]:
        return "fitted, not counted"
    where = "inside" if point["inside"] else "OUTSIDE"
    return where if point["counted"] else f"{where}, not counted"


def said(plain: Mapping[str, Any]) -> list[str]:
    """Return the sums in sentences."""
    found = plain["summary"]
    lines = [f"Counted as validation: {found['counted']}; inside: {found['inside']}."]
    if found["counted"]:
        lines[0] += (
            f" Largest error {percent(found['largest_error'], 1)}, "
            f"widest interval {_width(found['widest'])}."
        )
    if found["not_counted_outside"]:
        names = ", ".join(found["not_counted_outside"])
        lines.append(f"Measured, not counted and outside: {names}.")
    return lines


def notes(plain: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and text of what each point needs to be understood."""
    return [(point["name"], _described(point)) for point in plain["points"]]


def _described(point: Mapping[str, Any]) -> str:
    why = point["why_not_counted"]
    told = [
        f"{point['title']}; {point['conditions']}.",
        f"Not counted: {why}." if why else "",
        point["note"],
        f"[{point['source']}]",
    ]
    return " ".join(part for part in told if part)


def fits(plain: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return column and text of every fit."""
    return [
        (
            f"{fit['chip']}, {fit['column']}",
            f"{', '.join(fit['constants'])}: {fit['fitted_on']} [{fit['source']}]",
        )
        for fit in plain["fits"]
    ]


def missing(plain: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and reason of everything that is not reproduced."""
    return [
        (
            f"{row['chip']}, {row['name']}",
            f"{row['published']}: {row['why']} [{row['source']}]",
        )
        for row in plain["not_reproduced"]
    ]
