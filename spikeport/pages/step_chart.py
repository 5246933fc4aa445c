"""Time per step as a drawing: positions and words, no markup and no colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeport.pages.plain import figure, items, words
from spikeport.pages.svg import Tick, round_step, whole_ticks
from spikeport.pages.units import count, many, si

WIDTH, HEIGHT = 940.0, 170.0
MAX_BARS, WIDEST_BAR, GAP_SHARE = 320, 28.0, 0.15
#: Parts of a step from the bottom of a bar up, each with its colour class.
PARTS = {"compute": "k1", "memory": "k4", "traffic": "k7", "barrier": "k0"}
BOUNDS = ("compute", "memory", "traffic")
#: A budget this many times above the highest bar is said, and not drawn.
BUDGET_IN_SIGHT = 1.5


@dataclass(frozen=True)
class Part:
    """One part of a bar: its colour class and where it is, in pixels from the top."""

    colour: str
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One step, or the slowest of a few: its parts, its whisker and its words.

    Attributes:
        x, width: in pixels.
        parts: from the bottom up.
        whisker: y of the longest and of the shortest sample, or None.
        bound: colour class of what bounds the step, or "".
        title: for the tooltip.
    """

    x: float
    width: float
    parts: tuple[Part, ...]
    whisker: tuple[float, float] | None
    bound: str
    title: str

    @property
    def middle(self) -> float:
        """X of the middle, in pixels."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Chart:
    """All steps.

    Attributes:
        width, height: of the plot, in pixels.
        bars: from left to right.
        x_ticks, y_ticks: steps, and seconds.
        budget: y of the time that a step may take, or None where it is out of sight.
        fixed: is there time that is none of the parts.
        notes: what is not drawn.
    """

    width: float
    height: float
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    budget: float | None
    fixed: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Step:
    """The plain values of a step, checked."""

    row: Any
    seconds: float
    least: float
    most: float
    parts: tuple[float, ...]

    @property
    def rest(self) -> float:
        """Seconds that are none of the parts: a tick says nothing of its inside."""
        rest = self.seconds - sum(self.parts)
        return rest if rest > 1e-6 * self.seconds else 0.0

    @property
    def top(self) -> float:
        """The highest thing that is drawn."""
        return max(self.seconds, self.most, sum(self.parts))


def chart(time: Any) -> Chart | None:
    """Draw the steps of a time, or None where there is none to draw.

    Args:
        time: of a result; `steps` and `budget` are looked at.
    """
    steps = [step for step in map(_step, items(time, "steps")) if step is not None]
    highest = max((step.top for step in steps), default=0.0)
    if highest <= 0:
        return None
    together = -(-len(steps) // MAX_BARS)
    shown = [
        max(steps[first : first + together], key=lambda step: step.seconds)
        for first in range(0, len(steps), together)
    ]
    budget = figure(time, "budget", "seconds")
    in_sight = budget is not None and 0 < budget <= BUDGET_IN_SIGHT * highest
    top = 1.02 * max(highest, budget if in_sight and budget is not None else 0.0)
    pitch = min(WIDTH / len(shown), WIDEST_BAR)
    tick = round_step(top / 4)
    last = len(shown) - 1
    return Chart(
        width=pitch * len(shown),
        height=HEIGHT,
        bars=tuple(_bar(step, place, pitch, top) for place, step in enumerate(shown)),
        x_ticks=tuple(
            Tick((at + 0.5) * pitch, _number(shown[at]))
            for at in whole_ticks(last, max(4, min(12, int(pitch * len(shown) / 60))))
        ),
        y_ticks=tuple(
            Tick(_height(index * tick, top), si(index * tick, "s"))
            for index in range(int(top / tick) + 1)
        ),
        budget=_height(budget, top) if in_sight and budget is not None else None,
        fixed=any(step.rest for step in shown),
        notes=(f"each bar is the slowest of {many(together, 'step')}",) if together > 1 else (),
    )


def _step(row: Any) -> _Step | None:
    seconds = figure(row, "seconds")
    if seconds is None or seconds < 0:
        return None
    least, most = figure(row, "least"), figure(row, "most")
    parts = tuple(max(figure(row, name) or 0.0, 0.0) for name in PARTS)
    low = seconds if least is None else max(min(least, seconds), 0.0)
    return _Step(row, seconds, low, seconds if most is None else max(most, seconds), parts)


def _bar(step: _Step, place: int, pitch: float, top: float) -> Bar:
    parts, below = [], 0.0
    for colour, seconds in zip((*PARTS.values(), "kx"), (*step.parts, step.rest), strict=True):
        if seconds > 0:
            above = below + seconds
            parts.append(Part(colour, _height(above, top), HEIGHT * seconds / top))
            below = above
    gap = pitch * GAP_SHARE if pitch > 4 else 0.0
    spreads = step.most > step.least
    bound = words(step.row, "bound")
    return Bar(
        x=place * pitch + gap / 2,
        width=pitch - gap,
        parts=tuple(parts),
        whisker=(_height(step.most, top), _height(step.least, top)) if spreads else None,
        bound=PARTS[bound] if bound in BOUNDS else "",
        title=_title(step),
    )


def _title(step: _Step) -> str:
    """Return what is known of a step, for the tooltip."""
    said = [f"step {_number(step)}: {si(step.seconds, 's')}"]
    if step.most > step.least:
        said.append(f"{si(step.least, 's')} to {si(step.most, 's')} over the samples")
    said += [
        f"{name} {si(part, 's')}" for name, part in zip(PARTS, step.parts, strict=True) if part
    ]
    bound, core = words(step.row, "bound"), figure(step.row, "core")
    if bound:
        said.append(f"{bound}-bound")
    if core is not None:
        said.append(f"ended by core {count(core)}")
    return "; ".join(said)


def _number(step: _Step) -> str:
    number = figure(step.row, "step")
    return count(number)


def _height(seconds: float, top: float) -> float:
    """Return y in pixels from the top."""
    return HEIGHT * (1.0 - seconds / top)
