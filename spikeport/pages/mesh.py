"""The chip as drawings: how full and how busy each core is, and the traffic between its tiles.

Pure functions from the plain values of a result to positions and words; `mesh.html` puts them
into elements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikeport.pages.busy import Busy, busy
from spikeport.pages.grid import CORE_WITH_TEXT, Grid, grid_of, place_of, slot_of
from spikeport.pages.held import spoken_resource
from spikeport.pages.plain import at, items, table
from spikeport.pages.svg import Tick, whole_ticks
from spikeport.pages.units import count, number, percent

MAX_LINKS = 3000  # the busiest ones
THINNEST, THICKEST = 1.0, 8.0


@dataclass(frozen=True)
class Core:
    """A core that is used: its square, its colour class 0 to 4, and its words."""

    x: float
    y: float
    share: float
    shade: int
    label: str
    title: str


@dataclass(frozen=True)
class Link:
    """Traffic from a tile to its neighbour: a stroke beside the line between their middles."""

    path: str
    width: float
    busiest: bool
    title: str


@dataclass(frozen=True)
class Drawing:
    """The drawings of a chip.

    Attributes:
        grid: sizes.
        tiles, empty: paths of all tiles, and of the cores that are not used.
        cores: those that are used.
        all_cores: how many are drawn.
        busy: how long each core works per step, or None where that is not known.
        links: the traffic; `traffic` says it in words.
        x_ticks, y_ticks: numbers of columns and rows.
        borders: path of the lines between chips.
        notes: what is not drawn.
    """

    grid: Grid
    tiles: str
    empty: str
    cores: tuple[Core, ...]
    all_cores: int
    busy: Busy | None
    links: tuple[Link, ...]
    traffic: tuple[str, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    borders: str
    notes: tuple[str, ...]


def draw(mesh: Mapping[str, Any], cores: Sequence[Any], limits: Mapping[str, Any]) -> Drawing:
    """Draw a chip.

    Args:
        mesh: `tiles_x`, `tiles_y`, `cores_per_tile`, `chips`, `links`, `busiest` of a result.
        cores: rows of the cores that are used.
        limits: `RESOURCE_per_core` of a result, for cores that do not say their own.
    """
    links = [link for link in items(mesh, "links") if len(items(link, "from")) == 2]
    grid = grid_of(mesh, cores, links)
    used = {slot_of(core, grid): _core(core, grid, limits) for core in cores}
    places = [
        (grid.left + column, grid.top + row)
        for row in range(grid.rows)
        for column in range(grid.columns)
    ]
    slots = [(x, y, index) for x, y in places for index in range(grid.per_tile)]
    shown = sorted(links, key=lambda link: -(at(link, "packets_per_sample") or 0))[:MAX_LINKS]
    most = at(shown[0], "packets_per_sample") if shown else 0
    left_out = len(links) - len(shown)
    return Drawing(
        grid=grid,
        tiles="".join(_square(*grid.corner(x, y), grid.tile) for x, y in places),
        empty="".join(_square(*place_of(s, grid), grid.core) for s in slots if s not in used),
        cores=tuple(used[slot] for slot in sorted(used)),
        all_cores=len(slots),
        busy=busy(cores, grid),
        links=tuple(_link(link, grid, most, link is shown[0]) for link in reversed(shown)),
        traffic=traffic_words(mesh),
        x_ticks=tuple(
            Tick(grid.corner(grid.left + at_, 0)[0] + grid.tile / 2, str(grid.left + at_))
            for at_ in whole_ticks(grid.columns - 1, max(6, min(grid.columns, 24)))
        ),
        y_ticks=tuple(
            Tick(grid.corner(0, grid.top + at_)[1] + grid.tile / 2, str(grid.top + at_))
            for at_ in whole_ticks(grid.rows - 1, max(6, min(grid.rows, 24)))
        ),
        borders=_borders(mesh, grid),
        notes=tuple(
            note
            for note in (
                grid.note,
                f"{count(left_out)} links with less traffic are not drawn" if left_out else "",
            )
            if note
        ),
    )


def load_of(core: Any, limits: Mapping[str, Any]) -> float:
    """Return the largest share of any limit that a core uses."""
    if at(core, "load") is not None:
        return float(core["load"])
    own = table(core, "limits")
    shares = [
        (at(core, name) or 0) / most
        for name, most in (
            own or {k.removesuffix("_per_core"): v for k, v in limits.items() if k != "cores"}
        ).items()
        if most
    ]
    return max(shares, default=0.0)


def traffic_words(mesh: Mapping[str, Any]) -> tuple[str, ...]:
    """Say where most packets go, and what uses no link."""
    busiest = at(mesh, "busiest")
    said = []
    if busiest:
        start, end = (", ".join(map(str, items(busiest, key))) for key in ("from", "to"))
        said.append(
            f"busiest link: tile ({start}) to ({end}), "
            f"{number(at(busiest, 'packets_per_sample'))} packets per sample"
        )
        hops = number(at(mesh, "hops_per_sample"))
        said.append(f"all links together: {hops} packets times hops per sample")
    elif at(mesh, "links") is not None:
        said.append("no packet leaves its tile")
    for key, words in (("within_tiles", "stay within a tile"), ("from_host", "come from the host")):
        if at(mesh, key):
            said.append(f"{number(mesh[key])} packets per sample {words}")
    return tuple(said)


def _core(core: Any, grid: Grid, limits: Mapping[str, Any]) -> Core:
    share = load_of(core, limits)
    tiny = 0 < share < 0.01
    label = ("<1" if tiny else f"{100 * share:.0f}") if grid.core >= CORE_WITH_TEXT else ""
    return Core(
        *place_of(slot_of(core, grid), grid),
        share,
        min(int(share * 5), 4),
        label,
        _title(core, share),
    )


def _title(core: Any, share: float) -> str:
    """Return what a core holds, for the tooltip."""
    where = f"tile {at(core, 'tile_x')}, {at(core, 'tile_y')}"
    chip = at(core, "chip")
    populations = table(core, "populations")
    parts = [f"{name}: {count(size)}" for name, size in list(populations.items())[:12]]
    if len(populations) > 12:
        parts.append(f"{len(populations) - 12} more populations")
    for name, most in table(core, "limits").items():
        of = f" of {count(most)}" if most else ""
        parts.append(f"{spoken_resource(name)} {count(at(core, name))}{of}")
    where += f", chip {chip}" if chip else ""
    said = f"core {at(core, 'core')} ({where}): {percent(share, 1)} full"
    return "; ".join([said, *parts])


def _link(link: Any, grid: Grid, most: float, busiest: bool) -> Link:
    start, end = items(link, "from"), items(link, "to")
    packets = at(link, "packets_per_sample") or 0
    (x, y), (to_x, to_y) = grid.centre(*start), grid.centre(*end)
    along = math.hypot(to_x - x, to_y - y) or 1.0
    aside = min(4.0, grid.tile / 6)  # so that both directions of a link are seen
    dx, dy = -(to_y - y) / along * aside, (to_x - x) / along * aside
    path = f"M{_short(x + dx)} {_short(y + dy)}L{_short(to_x + dx)} {_short(to_y + dy)}"
    share = packets / most if most else 0.0
    ends = " to ".join(f"({', '.join(map(str, tile))})" for tile in (start, end))
    title = f"tile {ends}: {number(packets)} packets per sample"
    return Link(path, THINNEST + (THICKEST - THINNEST) * share, busiest, title)


def _borders(mesh: Mapping[str, Any], grid: Grid) -> str:
    """Return vertical lines between chips that stand beside each other."""
    width, chips = int(at(mesh, "tiles_x") or 1), int(at(mesh, "chips") or 1)
    edges = (width * chip for chip in range(1, chips))
    return "".join(
        f"M{_short(grid.corner(edge, grid.top)[0] - grid.between / 2)} 0v{_short(grid.height)}"
        for edge in edges
        if grid.left < edge < grid.left + grid.columns
    )


def _square(x: float, y: float, size: float) -> str:
    side = _short(size)
    return f"M{_short(x)} {_short(y)}h{side}v{side}h-{side}z"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
