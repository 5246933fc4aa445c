"""Published points recomputed: event counts times the figures of a chip's cost column.

Counts, conditions and published values come from `backends/validation/*.yaml`, figures and their
uncertainty from the chip's own file, sums from `compiler/measure/energy.py`. A point counts as
validation only if it was measured, if no constant of the prediction was fitted on it, if the
column claims to hold there, and once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeport import backends
from spikeport.backends.validation.points import Fit, Point, Published, published
from spikeport.compiler.chip import Chip
from spikeport.compiler.cost_column import PlusMinus
from spikeport.compiler.errors import ChipError, DataError, nearest
from spikeport.compiler.measure.energy import Interval, around, column_of, price, total

WHOLE = -1  # not one core of it
KNEW = (
    "The width of the interval was chosen knowing this point: that it lies inside proves no more "
    "than the error says."
)


@dataclass(frozen=True)
class Prediction:
    """What a cost column says of a point.

    Attributes:
        between: lowest and highest value, where the counts themselves are a range.
        interval: the same, widened by the uncertainty of every figure.
    """

    between: Interval
    interval: Interval

    @property
    def value(self) -> float:
        """The middle of the range."""
        return (self.between[0] + self.between[1]) / 2

    @property
    def half_width(self) -> float:
        """Half of the interval, relative to the value."""
        return (self.interval[1] - self.interval[0]) / (2 * self.value)


def predict(point: Point, chip: Chip) -> Prediction:
    """Return what the figures of a chip say of a published point.

    Fewest events with the lowest figures make the lower end, most with the highest the upper one.

    Raises:
        ChipError: the chip lacks the column, or a figure that the point needs.
    """
    least, low = _dynamic(point, chip, 0)
    most, high = _dynamic(point, chip, 1)
    static = [_static(point, chip, name, times) for name, times in point.static.items()]
    watts = sum(value for value, _ in static)
    ends = [sum(around(value, plus_minus)[end] for value, plus_minus in static) for end in (0, 1)]
    return Prediction((least + watts, most + watts), (low[0] + ends[0], high[1] + ends[1]))


def _dynamic(point: Point, chip: Chip, end: int) -> tuple[float, Interval]:
    column = chip.costs[column_of(chip, point.column)]
    counts: dict[tuple[str, str, int], float] = {}
    for each in point.events:
        if each.kind not in column.figures:
            raise ChipError(
                f"{point.name} cannot be predicted",
                f"the column {point.column} of {chip.name} has no figure for {each.kind}",
                "give the column that figure",
            )
        key = (point.name, each.kind, WHOLE)
        counts[key] = counts.get(key, 0.0) + each.between[end]
    return total(price(column, counts))


def _static(point: Point, chip: Chip, name: str, times: float) -> tuple[float, PlusMinus]:
    """Return a static power in W and its uncertainty; facts have that of the chip's own power."""
    own = chip.static_power
    figure = own if name == "static_power" else chip.facts.get(name)
    if figure is None or figure.unit != "W" or not isinstance(figure.value, int | float):
        raise ChipError(
            f"{point.name} cannot be predicted",
            f"{chip.name} has no power {name} in W",
            f"give it under {'static_power' if name == 'static_power' else 'facts'}",
        )
    plus_minus = (own.plus_minus if own is not None else None) or (0.0, 0.0)
    return times * float(figure.value), plus_minus


def validate(name: str | None = None) -> dict[str, Any]:
    """Recompute every published point that public data allows.

    Args:
        name: of a chip, or path of its file, to see that one alone; None: all.

    Returns:
        {"points": [...], "not_reproduced": [...], "fits": [...], "summary": {...}}, plain values.

    Raises:
        ChipError: unknown chip, or one without a figure that a point needs.
        DataError: nothing is published of the chip.
    """
    files = published()
    chips = {chip: backends.find_chip(chip) for chip in files} if name is None else {}
    if name is not None:
        chip = _known(backends.find_chip(name), files)
        chips[chip.name] = chip
    shown = [(chip, files[key]) for key, chip in chips.items()]
    points = [judged(point, said, chip) for chip, said in shown for point in said.points]
    return {
        "points": points,
        "not_reproduced": [
            {"chip": said.chip, **row.model_dump()}
            for _, said in shown
            for row in said.not_reproduced
        ],
        "fits": [_fit(said.chip, fit) for _, said in shown for fit in said.fits],
        "summary": summary(points),
    }


def _known(chip: Chip, files: Mapping[str, Published]) -> Chip:
    if chip.name not in files:
        raise DataError(
            f"no published point of {chip.name} can be recomputed",
            f"there are points of {', '.join(files)}",
            f"--chip {nearest(chip.name, files)}",
        )
    return chip


def judged(point: Point, said: Published, chip: Chip) -> dict[str, Any]:
    """Return a point with its prediction, and whether and why it counts."""
    prediction = predict(point, chip)
    low, high = prediction.interval
    fitted = said.fitted_on(point)
    why_not = _why_not(point, fitted)
    notes = [point.note, KNEW if said.width_knew(point) and not fitted else ""]
    return {
        "name": point.name,
        "title": point.title,
        "chip": said.chip,
        "column": point.column,
        "unit": point.unit,
        "counted": not why_not,
        "why_not_counted": why_not,
        "obtained": point.obtained,
        "conditions": point.conditions,
        "counts": {each.kind: list(each.between) for each in point.events},
        "predicted": prediction.value,
        "range": list(prediction.between),
        "interval": [low, high],
        "half_width": prediction.half_width,
        "published": point.published,
        "error": prediction.value / point.published - 1,
        "inside": low <= point.published <= high,
        "fitted": fitted,
        "source": point.source,
        "note": " ".join(note for note in notes if note),
    }


def _why_not(point: Point, fitted: list[str]) -> str:
    """Say why a point is no validation; "" where it is."""
    if point.obtained == "simulated" and not fitted:
        return "a simulator's result, not a measurement"
    if fitted:
        figures = ", ".join(fitted)
        return f"{figures} {'was' if len(fitted) == 1 else 'were'} taken from it or fitted on it"
    again = f"the measurement of {point.same_as}, which counts once" if point.same_as else ""
    return "; ".join(why for why in (point.elsewhere, again) if why)


def _fit(chip: str, fit: Fit) -> dict[str, Any]:
    """Return a fit as plain values; `fitted_on` has it in words."""
    named = f" ({', '.join(fit.points)})" if fit.points else ""
    return {
        "chip": chip,
        "column": fit.column,
        "constants": list(fit.constants),
        "fitted_on": fit.on + named,
        "points": list(fit.points),
        "width_knew": list(fit.width_knew),
        "source": fit.source,
    }


def summary(points: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many points count, how many of those lie inside, and what else lies outside.

    Returns:
        {"counted", "inside", "largest_error" (of either end where a prediction is a range),
        "widest" (half-width), "outside": names of counted points, "not_counted_outside": names of
        measured points that are not counted and missed}.
    """
    counted = [point for point in points if point["counted"]]
    others = [p for p in points if not p["counted"] and p["obtained"] == "measured"]
    return {
        "counted": len(counted),
        "inside": sum(point["inside"] for point in counted),
        "largest_error": max((_worst(point) for point in counted), default=None),
        "widest": max((point["half_width"] for point in counted), default=None),
        "outside": [point["name"] for point in counted if not point["inside"]],
        "not_counted_outside": [point["name"] for point in others if not point["inside"]],
    }


def _worst(point: Mapping[str, Any]) -> float:
    return float(max(abs(end / point["published"] - 1) for end in point["range"]))
