"""What `chips` prints: the table of all, or one with every figure, its source and its basis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikeport import backends
from spikeport.compiler.chip import Chip
from spikeport.compiler.cost_column import Points, StepTime
from spikeport.compiler.errors import counted, printable
from spikeport.compiler.figure import Fact, Figure, Range, Row
from spikeport.fit import unpublished

#: Parts of a description that hold figures.
PARTS = ("topology", "limits", "core")
#: Text fields that come first.
HEAD = ("name", "title", "level", "kinds", "resets", "reset_when", "thresholds", "signals",
        "holds_state", "arithmetic")  # fmt: skip


def listed() -> list[dict[str, Any]]:
    """Return one row per chip that is shipped."""
    return [_row(backends.find_chip(name)) for name in backends.chip_names()]


def _row(chip: Chip) -> dict[str, Any]:
    return {
        "name": chip.name,
        "title": chip.title,
        "level": chip.level,
        "cores": chip.cores,
        "kinds": list(chip.kinds),
        "arithmetic": chip.arithmetic,
        "energy": bool(chip.costs),
        "time": any(column.time is not None for column in chip.costs.values()),
        "chips": chip.most_chips,
    }


def figures(name: str) -> dict[str, Any]:
    """Return a chip with every figure.

    Returns:
        The text fields, "figures": rows of {"part", "name", "value", "unit", "source", "basis",
        "note", "verified"}, "not_published", "costs" (column -> title, source), "notes".

    Raises:
        ChipError: unknown, or not a chip description.
    """
    chip = backends.find_chip(name)
    head = {key: getattr(chip, key) for key in HEAD}
    return {
        **{key: list(value) if isinstance(value, tuple) else value for key, value in head.items()},
        "cores": chip.cores,
        "fabric": chip.core.fabric,
        "figures": list(_all(chip)),
        "not_published": unpublished(chip.core),
        "default_cost": chip.default_cost or None,
        "costs": {
            key: {"title": column.title, "source": column.source}
            for key, column in chip.costs.items()
        },
        "notes": list(chip.notes),
    }


def _all(chip: Chip) -> Iterator[dict[str, Any]]:
    """Yield every figure of a chip in the order of its file."""
    for part in PARTS:
        for name, value in getattr(chip, part):
            if isinstance(value, Figure | Range | Row):
                yield _plain(part, name, value)
    if chip.static_power is not None:
        yield _plain("", "static_power", chip.static_power)
    for key, column in chip.costs.items():
        yield _plain(f"costs.{key}", "uncertainty", column.uncertainty)
        for name, value in column.figures.items():
            yield _plain(f"costs.{key}", name, value)
        if column.time is not None:
            yield from _times(f"costs.{key}.time", column.time)
    for name, fact in chip.facts.items():
        yield _plain("facts", name, fact)


def _times(part: str, time: StepTime) -> Iterator[dict[str, Any]]:
    for name, value in time:
        if isinstance(value, Figure | Points):
            yield _plain(part, name, value)
        elif isinstance(value, Mapping):
            for kind, figure in value.items():
                yield _plain(part, kind, figure)


def _plain(part: str, name: str, value: Figure | Range | Row | Fact | Points) -> dict[str, Any]:
    number: Any
    if isinstance(value, Range):
        number, unit = [value.low, value.high], ""
    elif isinstance(value, Points):
        pairs = zip(value.counts, value.seconds, strict=True)
        number, unit = ", ".join(f"{count}: {seconds:g}" for count, seconds in pairs), "s"
    elif isinstance(value, Row):
        number, unit = list(value.values), value.unit
    else:
        number, unit = value.value, value.unit
    return {
        "part": part,
        "name": name,
        "value": list(number) if isinstance(number, tuple) else number,
        "unit": unit,
        "source": value.source,
        "basis": value.basis,
        "note": "; ".join(each for each in (_doubt(value), value.note) if each),
        "verified": value.basis != "unverified",
    }


def _doubt(value: Figure | Range | Row | Fact | Points) -> str:
    """Say the uncertainty that a figure states of itself, and how a table goes on."""
    if isinstance(value, Points):
        return f"by count, {'a line between' if value.between == 'line' else 'holds till the next'}"
    around = getattr(value, "plus_minus", None)
    return "" if around is None else f"{around[0]:+.0%} to {around[1]:+.0%}"


def print_listed(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print two lines per chip: what it is, and the neurons that it runs."""
    widths = {key: max(len(str(row[key])) for row in rows) for key in ("name", "level", "cores",
                                                                       "arithmetic")}  # fmt: skip
    print(
        f"{'name':<{widths['name']}}  {'level':<{widths['level']}}  "
        f"{'cores':>{max(widths['cores'], 5)}}  {'arithmetic':<{widths['arithmetic']}}  "
        "energy   time     title"
    )
    for row in rows:
        energy, time = ("known  " if row[key] else "unknown" for key in ("energy", "time"))
        print(
            printable(
                f"{row['name']:<{widths['name']}}  {row['level']:<{widths['level']}}  "
                f"{row['cores']:>{max(widths['cores'], 5)}}  "
                f"{row['arithmetic']:<{widths['arithmetic']}}  {energy}  {time}  {row['title']}"
            )
        )
        print(printable(f"{'':<{widths['name']}}  runs {', '.join(row['kinds'])}"))


def print_figures(plain: Mapping[str, Any]) -> None:
    """Print every figure of a chip; what no source was found for is marked."""
    cores = counted(plain["cores"], "core")
    print(printable(f"{plain['name']}: {plain['title']} ({plain['level']}), {cores}"))
    for key in HEAD[3:]:
        value = plain[key]
        said = ", ".join(value) if isinstance(value, list) else {True: "yes", False: "no"}.get(
            value, value
        )  # fmt: skip
        print(printable(f"  {key.replace('_', ' ')}: {said}"))
    part = None
    for row in plain["figures"]:
        if row["part"] != part:
            part = row["part"]
            print(printable(f"{part or 'power'}"))
            column = plain["costs"].get(part.removeprefix("costs."))
            if column is not None:
                print(printable(f"  {column['title']} [{column['source']}]"))
        basis = row["basis"] if row["verified"] else "UNVERIFIED"
        note = f"; {row['note']}" if row["note"] else ""
        print(
            printable(
                f"  {row['name']}: {_number(row['value'])} {row['unit']}".rstrip()
                + f"  [{basis}: {row['source']}{note}]"
            )
        )
    if plain["not_published"]:
        names = ", ".join(name.replace("_", " ") for name in plain["not_published"])
        print(printable(f"not published, so not checked: {names}"))
    if not plain["costs"]:
        print("energy: unknown (nothing published)")
    for note in plain["notes"]:
        print(printable(f"note: {note}"))


def _number(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(map(str, value)) if len(value) == 2 else ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
