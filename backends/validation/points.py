"""Published points: what was measured, and the event counts that a prediction needs.

A file holds counts, operating conditions and published values, never what a cost column says of
them: that is computed from the chip's own file, so a figure changed there changes the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from spikeport.compiler.cost_column import EVENTS
from spikeport.compiler.errors import DataError
from spikeport.compiler.figure import Strict
from spikeport.compiler.load.plain_yaml import read_plain_yaml

FOLDER = Path(__file__).parent
ADVICE = "compare it with backends/validation/truenorth.yaml"
#: Largest count of events that is believed; beyond it a product of factors is a slip.
MOST = 1e18

Between = tuple[float, float]


class Events(Strict):
    """How many events of a kind happened: the product of what is published.

    Attributes:
        kind: event kind.
        factors: what is multiplied, by name; a pair is the lowest and the highest value.
    """

    kind: str
    factors: Mapping[str, float | Between] = Field(min_length=1)

    @model_validator(mode="after")
    def _countable(self) -> Events:
        if self.kind not in EVENTS:
            raise ValueError(f"{self.kind} is no event kind; known are {', '.join(EVENTS)}")
        for name, value in self.factors.items():
            low, high = value if isinstance(value, tuple) else (value, value)
            if not 0 <= low <= high:
                raise ValueError(f"{name} is {value}: from 0 on, and the lower end first")
        if not self.between[1] <= MOST:
            raise ValueError(f"there are {self.between[1]:g} events of {self.kind}")
        return self

    @property
    def between(self) -> Between:
        """Fewest and most events."""
        ends = [v if isinstance(v, tuple) else (v, v) for v in self.factors.values()]
        return math.prod(low for low, _ in ends), math.prod(high for _, high in ends)


class Point(Strict):
    """One published value, and what happened while it was obtained.

    Attributes:
        name: unique; title: what it is, in words.
        column: of the chip's cost columns, whose figures predict it.
        unit: J for a run, W where the events are counts per second.
        published: the value.
        obtained: `measured`, or `simulated` by somebody else's program or tables.
        conditions: under which it was obtained.
        events: of the run, or per second.
        static: power that flows whatever happens, as name -> how many times: `static_power` of
            the chip, or facts of the chip in W. Empty for an energy without it.
        elsewhere: why the column does not claim to hold there; "": it does.
        same_as: another point with the same measurement, which counts once.
        source, note: as everywhere.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{2,40}$")
    title: str = Field(min_length=4)
    column: str
    unit: Literal["J", "W"]
    published: float = Field(gt=0)
    obtained: Literal["measured", "simulated"]
    conditions: str = Field(min_length=4)
    events: tuple[Events, ...]
    static: Mapping[str, float] = {}
    elsewhere: str = ""
    same_as: str = ""
    source: str = Field(min_length=4)
    note: str = ""

    @model_validator(mode="after")
    def _power_is_power(self) -> Point:
        if self.static and self.unit != "W":
            raise ValueError("static power goes with a point in W")
        if any(times <= 0 for times in self.static.values()):
            raise ValueError("static power counts more than 0 times")
        if not self.events and not self.static:
            raise ValueError("nothing to predict it from: neither events nor static power")
        return self


class Fit(Strict):
    """Which constants of a column were fitted on what, and which points its interval knew.

    Attributes:
        constants: event kinds, `static_power`, facts of the chip.
        points: names of points here that they were fitted on.
        on: the same in words.
        width_knew: points that were known when the column's uncertainty was chosen.
    """

    column: str
    constants: tuple[str, ...]
    points: tuple[str, ...] = ()
    on: str = Field(min_length=4)
    width_knew: tuple[str, ...] = ()
    source: str = Field(min_length=4)


class NotReproduced(Strict):
    """A published value that public data does not allow to recompute."""

    name: str = Field(min_length=4)
    published: str = Field(min_length=1)
    why: str = Field(min_length=4)
    source: str = Field(min_length=4)


class Published(Strict):
    """Everything that is published of one chip."""

    chip: str
    points: tuple[Point, ...] = ()
    fits: tuple[Fit, ...] = ()
    not_reproduced: tuple[NotReproduced, ...] = ()

    @model_validator(mode="after")
    def _names_are_points(self) -> Published:
        names = [point.name for point in self.points]
        if len(set(names)) < len(names):
            raise ValueError("two points have one name")
        said = [name for fit in self.fits for name in (*fit.points, *fit.width_knew)]
        said += [point.same_as for point in self.points if point.same_as]
        unknown = sorted(set(said) - set(names))
        if unknown:
            raise ValueError(f"no point is called {unknown[0]}")
        return self

    def fitted_on(self, point: Point) -> list[str]:
        """Return the constants of the point's column that were fitted on it."""
        return [
            constant
            for fit in self.fits
            if fit.column == point.column and point.name in fit.points
            for constant in fit.constants
        ]

    def width_knew(self, point: Point) -> bool:
        """Was the point known when the uncertainty of its column was chosen."""
        return any(fit.column == point.column and point.name in fit.width_knew for fit in self.fits)


def read_published(path: Path) -> Published:
    """Read and check one file of published points.

    Raises:
        DataError: not a file, too large, tags or aliases in it, or not our schema.
    """
    content = read_plain_yaml(path, "a file of published points", DataError, ADVICE)
    try:
        return Published.model_validate(content)
    except ValidationError as error:
        first, others = error.errors()[0], error.error_count() - 1
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    more = f" (and {others} more)" if others else ""
    why = f"{where}: {first['msg']}{more}"[:300]
    raise DataError(f"{path.name} is not a file of published points", why, ADVICE)


def published() -> dict[str, Published]:
    """Return what is published of each chip that ships with points, by its name."""
    files = [read_published(path) for path in sorted(FOLDER.glob("*.yaml"))]
    return {each.chip: each for each in files}
