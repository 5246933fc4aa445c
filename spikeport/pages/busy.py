"""The chip as a map of time: how long each core works per step, and which cores end the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spikeport.pages.grid import CORE_WITH_TEXT, Grid, place_of, slot_of
from spikeport.pages.plain import figure, table
from spikeport.pages.units import PREFIXES, count, percent, prefix_of, scaled, si

SHADES = 5


@dataclass(frozen=True)
class BusyCore:
    """A core: its square, its colour class 0 to 4, its words, and does it end any step."""

    x: float
    y: float
    shade: int
    label: str
    critical: bool
    title: str


@dataclass(frozen=True)
class Busy:
    """All cores that are used.

    Attributes:
        cores: the critical ones last, so that their outline is seen.
        unit: of the labels.
        limits: the least time of each shade, in words.
        critical: how many cores end a step.
    """

    cores: tuple[BusyCore, ...]
    unit: str
    limits: tuple[str, ...]
    critical: int


def busy(cores: Sequence[Any], grid: Grid) -> Busy | None:
    """Return the map of time, or None where no core says how long it works.

    Args:
        cores: rows of the cores that are used; `seconds_per_step` and `critical_share` are
            looked at.
        grid: where they are drawn.
    """
    most = max((figure(core, "seconds_per_step") or 0.0 for core in cores), default=0.0)
    if most <= 0:
        return None
    prefix = prefix_of(most)
    drawn = {slot_of(core, grid): _core(core, grid, most, prefix) for core in cores}
    ordered = sorted(drawn.items(), key=lambda item: (item[1].critical, item[0]))
    return Busy(
        cores=tuple(core for _, core in ordered),
        unit=f"{PREFIXES[prefix]}s",
        limits=tuple(si(most * shade / SHADES, "s") for shade in range(SHADES)),
        critical=sum(core.critical for core in drawn.values()),
    )


def _core(core: Any, grid: Grid, most: float, prefix: int) -> BusyCore:
    seconds = figure(core, "seconds_per_step")
    share = max(seconds or 0.0, 0.0) / most
    ends = figure(core, "critical_share") or 0.0
    told = "time not known" if seconds is None else f"{si(seconds, 's')} of work per step"
    said = [f"core {count(figure(core, 'core'))}: {told}"]
    if ends > 0:
        said.append(f"ends {percent(ends, 1)} of the steps")
    said.append(", ".join(list(map(str, table(core, "populations")))[:12]))
    label = scaled(seconds, prefix) if seconds and grid.core >= CORE_WITH_TEXT else ""
    return BusyCore(
        *place_of(slot_of(core, grid), grid),
        shade=min(int(share * SHADES), SHADES - 1),
        label=label if len(label) <= 4 else "",
        critical=ends > 0,
        title="; ".join(part for part in said if part),
    )
