"""Arrays to drawing: SVG path strings and positions, no markup and no colour.

Everything here is a pure function of numbers. The page puts the strings into elements, names
the colours, and escapes what came out of a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport.pages.plain import at, items
from spikeport.pages.units import count, many

Cells = NDArray[np.int64]  # step * rows + row, sorted and without repetition

MAX_ROWS = 400
MAX_EVENTS = 20_000
PLOT_WIDTH, PLOT_HEIGHT = 984.0, 400.0
SMALLEST_ROW, LARGEST_ROW, SMALLEST_HEIGHT = 1.2, 14.0, 48.0
#: A chip's mark is at most so wide; the reference's, below it, is twice that.
MARK_WIDTH = 5.0
#: Sides of the smallest box that a differing cell gets, so that one among thousands is seen.
SMALLEST_BOX = 4.0


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in pixels, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Raster:
    """Reference and chip over each other; the paths are in cells, one unit per step and row.

    Attributes:
        width, height: of the plot, in pixels; `cell_width`, `cell_height` of one cell.
        reference, chip: horizontal strokes, one per event that both have.
        only_reference, only_chip: closed boxes, one per event that one side lacks.
        missing, extra: how many of those there are.
        spikes_reference, spikes_chip: events in the window, drawn or not.
        notes: what was left out of the drawing.
    """

    width: float
    height: float
    cell_width: float
    cell_height: float
    reference: str
    chip: str
    only_reference: str
    only_chip: str
    missing: int
    extra: int
    spikes_reference: int
    spikes_chip: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """One part of a bar, in pixels from its left end."""

    name: str
    x: float
    width: float
    value: float


def raster(record: Mapping[str, Any]) -> Raster:
    """Draw one population over one sample.

    The chip's events are shifted back by the population's lag, so that equal cells lie over
    each other. Events that fall outside of the window after that are counted in the notes.

    Args:
        record: `neurons`, `steps`, `lag`, and `reference` and `emulator` as events
            {"step": [...], "neuron": [...]}, each in its own time.
    """
    neurons = max(int(at(record, "neurons") or 0), 1)
    steps = max(int(at(record, "steps") or 0), 1)
    lag = int(at(record, "lag") or 0)
    reference, _ = events(at(record, "reference"), steps, neurons, 0)
    chip, outside = events(at(record, "emulator"), steps, neurons, lag)
    both = np.intersect1d(reference, chip, assume_unique=True)
    missing = np.setdiff1d(reference, chip, assume_unique=True)
    extra = np.setdiff1d(chip, reference, assume_unique=True)

    notes: list[str] = []
    shown = _busiest(neurons, both, np.concatenate([missing, extra]))
    if shown.size < neurons:
        notes.append(
            f"{shown.size} of {count(neurons)} neurons are shown: those that differ, "
            "then those that spike most"
        )
    if outside:
        notes.append(f"{many(outside, 'spike')} of the chip outside of the window")
    missing_shown, extra_shown, both_shown = (
        _rows(cells, neurons, shown) for cells in (missing, extra, both)
    )
    only_reference = _thin(missing_shown, MAX_EVENTS // 10)
    only_chip = _thin(extra_shown, MAX_EVENTS // 10)
    different = only_reference[0].size + only_chip[0].size
    same = _thin(both_shown, (MAX_EVENTS - different) // 2)
    drawn = 2 * same[0].size + different
    total = 2 * both_shown[0].size + missing_shown[0].size + extra_shown[0].size
    if drawn < total:
        notes.append(f"{count(drawn)} of {count(total)} events are drawn, evenly thinned out")

    width = min(max(14.0 * steps, 300.0), PLOT_WIDTH)
    row = min(max(PLOT_HEIGHT / shown.size, SMALLEST_ROW), LARGEST_ROW)
    height = max(shown.size * row, SMALLEST_HEIGHT)
    cell_width, cell_height = width / steps, height / shown.size
    length = min(1.0, 2.0 * MARK_WIDTH / cell_width)
    box = (max(length, SMALLEST_BOX / cell_width), max(1.0, SMALLEST_BOX / cell_height))
    return Raster(
        width=width,
        height=height,
        cell_width=cell_width,
        cell_height=cell_height,
        reference=strokes(*same, length),
        chip=strokes(*same, length / 2),
        only_reference=boxes(*only_reference, *box),
        only_chip=boxes(*only_chip, *box),
        missing=int(missing.size),
        extra=int(extra.size),
        spikes_reference=int(reference.size),
        spikes_chip=int(chip.size),
        x_ticks=tuple(
            Tick((step + 0.5) * cell_width, str(step)) for step in whole_ticks(steps - 1)
        ),
        y_ticks=tuple(
            Tick((row + 0.5) * cell_height, str(shown[row]))
            for row in whole_ticks(shown.size - 1, max(2, min(6, int(height / 30))))
        )
        if shown.size == neurons
        else (),
        notes=tuple(notes),
    )


def events(record: Any, steps: int, neurons: int, lag: int) -> tuple[Cells, int]:
    """Return the cells of a raster that hold a spike, and how many events lie outside of it."""
    step = np.asarray(items(record, "step"), np.int64) - lag
    neuron = np.asarray(items(record, "neuron"), np.int64)
    size = min(step.size, neuron.size)
    step, neuron = step[:size], neuron[:size]
    inside = (step >= 0) & (step < steps) & (neuron >= 0) & (neuron < neurons)
    cells = np.unique(step[inside] * neurons + neuron[inside])
    return cells, int(size - inside.sum())


def strokes(step: Cells, row: Cells, length: float) -> str:
    """Return one horizontal stroke per cell, in the middle of its row.

    >>> strokes(np.array([0, 3]), np.array([1, 2]), 1.0)
    'M0 1.5h1M3 2.5h1'
    """
    inset = (1.0 - length) / 2
    ends = f"h{_short(length)}"
    return "".join(
        f"M{_short(x + inset)} {y}.5{ends}"
        for x, y in zip(step.tolist(), row.tolist(), strict=True)
    )


def boxes(step: Cells, row: Cells, width: float, height: float) -> str:
    """Return one closed box per cell, `width` by `height` cells large, around its middle.

    >>> boxes(np.array([2]), np.array([0]), 1.0, 2.0)
    'M2 -0.5h1v2h-1z'
    """
    left, up = (1.0 - width) / 2, (1.0 - height) / 2
    shape = f"h{_short(width)}v{_short(height)}h-{_short(width)}z"
    return "".join(
        f"M{_short(x + left)} {_short(y + up)}{shape}"
        for x, y in zip(step.tolist(), row.tolist(), strict=True)
    )


def stacked(parts: Sequence[tuple[str, float]], scale: float) -> tuple[Segment, ...]:
    """Return the parts of a bar side by side, `scale` pixels per unit; empty ones are left out."""
    segments: list[Segment] = []
    x = 0.0
    for name, value in parts:
        if value > 0:
            segments.append(Segment(name, round(x, 2), round(value * scale, 2), value))
            x += value * scale
    return tuple(segments)


def whole_ticks(last: int, about: int = 6) -> list[int]:
    """Return about so many round whole numbers from 0 to `last`.

    >>> whole_ticks(24), whole_ticks(0)
    ([0, 5, 10, 15, 20], [0])
    """
    step = max(1, round(round_step(last / about))) if last > 0 else 1
    return list(range(0, last + 1, step))


def round_step(about: float) -> float:
    """Return the smallest of 1, 2, 5, 10, ... (times a power of ten) that is not below `about`."""
    if about <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(about))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= about * 0.999)


def _busiest(neurons: int, both: Cells, different: Cells) -> Cells:
    """Return the neurons to show, in order: all, or those that differ and then the busiest."""
    if neurons <= MAX_ROWS:
        return np.arange(neurons)
    differ = np.bincount(different % neurons, minlength=neurons)
    spikes = np.bincount(both % neurons, minlength=neurons)
    order = np.lexsort((np.arange(neurons), -spikes, -differ))
    return np.sort(order[:MAX_ROWS])


def _rows(cells: Cells, neurons: int, shown: Cells) -> tuple[Cells, Cells]:
    """Return step and row of the cells whose neuron is shown."""
    step, neuron = np.divmod(cells, neurons)
    row = np.full(neurons, -1)
    row[shown] = np.arange(shown.size)
    seen = row[neuron] >= 0
    return step[seen], row[neuron][seen]


def _thin(cells: tuple[Cells, Cells], most: int) -> tuple[Cells, Cells]:
    """Return at most `most` cells, evenly taken."""
    size = cells[0].size
    if size <= most:
        return cells
    taken = np.linspace(0, size - 1, most).astype(np.int64)
    return cells[0][taken], cells[1][taken]


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
