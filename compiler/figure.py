"""Numbers of a chip description: each has a unit, a source and how it was obtained."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: How a number was obtained. `unverified` (recalled, no source found) is shown, never in a total.
Basis = Literal[
    "measured", "simulated", "fitted", "estimate", "code", "quoted", "page", "run", "derived",
    "unverified",
]  # fmt: skip


class Strict(BaseModel):
    """No unknown keys, no conversions, no changes, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Figure(Strict):
    """A number with its unit, its source and how it was obtained."""

    value: float | int
    unit: str
    source: str = Field(min_length=4)
    basis: Basis
    note: str = ""

    @property
    def whole(self) -> int:
        """The number as an integer."""
        return int(self.value)


class Range(Strict):
    """Smallest and largest integer, with the source."""

    low: int
    high: int
    source: str = Field(min_length=4)
    basis: Basis
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class Row(Strict):
    """One whole number per core, or a list of those that are allowed."""

    values: tuple[int, ...] = Field(min_length=1)
    unit: str
    source: str = Field(min_length=4)
    basis: Basis
    note: str = ""


class Fact(Strict):
    """Something published that nothing here computes with; shown with its source."""

    value: float | int | str | bool | tuple[float | int | str, ...]
    unit: str = ""
    source: str = Field(min_length=4)
    basis: Basis
    note: str = ""


class Counts(Strict):
    """Figures that count something: whole numbers above 0, but for those that may be 0."""

    may_be_zero: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _whole(self) -> Counts:
        for name, figure in self:
            smallest = 0 if name in self.may_be_zero else 1
            if isinstance(figure, Figure) and (figure.value < smallest or figure.value % 1):
                raise ValueError(f"{name} is {figure.value}, not a whole number >= {smallest}")
        return self
