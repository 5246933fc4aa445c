"""Where the tiles and cores of a chip are drawn.

Of a large system only the part that is used is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikeport.pages.plain import at, items
from spikeport.pages.units import count

MAX_TILES = 1024  # of a whole mesh; of a larger one the used part is drawn
WIDEST = 984.0
LARGEST_CORE, SMALLEST_CORE, CORE_WITH_TEXT = 27.0, 5.0, 20.0
GAP = 2.0
#: Room in a tile around its cores, and between tiles: of a mesh, and of one with many columns.
ROOM, NARROW, MANY_COLUMNS = (3.0, 6.0), (1.0, 3.0), 24


@dataclass(frozen=True)
class Grid:
    """Which tiles are drawn, and how large.

    Attributes:
        left, top, columns, rows: the drawn part of the mesh, in tiles.
        per_tile, side: cores of a tile, and how many stand beside each other.
        core, tile, pitch: sides of a core and a tile, and from tile to tile, in pixels.
        pad, between: room in a tile around its cores, and between tiles.
        note: what is not drawn, or an empty text.
    """

    left: int
    top: int
    columns: int
    rows: int
    per_tile: int
    side: int
    core: float
    tile: float
    pitch: float
    pad: float
    between: float
    note: str

    @property
    def width(self) -> float:
        """Of the drawing, in pixels."""
        return self.columns * self.pitch - self.between

    @property
    def height(self) -> float:
        """Of the drawing, in pixels."""
        return self.rows * self.pitch - self.between

    def corner(self, x: int, y: int) -> tuple[float, float]:
        """Return the upper left corner of a tile."""
        return (x - self.left) * self.pitch, (y - self.top) * self.pitch

    def centre(self, x: int, y: int) -> tuple[float, float]:
        """Return the middle of a tile."""
        left, top = self.corner(x, y)
        return left + self.tile / 2, top + self.tile / 2


def grid_of(mesh: Mapping[str, Any], cores: Sequence[Any], links: Sequence[Any]) -> Grid:
    """Return the part of the mesh that is drawn: all of it, or what is used of a large one."""
    chips = int(at(mesh, "chips") or 1)
    columns, rows = int(at(mesh, "tiles_x") or 1) * chips, int(at(mesh, "tiles_y") or 1)
    per_tile = int(at(mesh, "cores_per_tile") or 1)
    left = top = 0
    note = ""
    if columns * rows > MAX_TILES:
        ends = [(int(at(c, "tile_x") or 0), int(at(c, "tile_y") or 0)) for c in cores]
        ends += [tuple(items(link, key)) for link in links for key in ("from", "to")]
        ends = ends or [(0, 0)]
        left, top = min(x for x, _ in ends), min(y for _, y in ends)
        before = columns, rows
        columns, rows = (max(x for x, _ in ends) - left + 1), (max(y for _, y in ends) - top + 1)
        if (columns, rows) != before:
            drawn, whole = (f"{count(x)} by {count(y)}" for x, y in ((columns, rows), before))
            note = f"the used {drawn} of {whole} tiles are drawn"
    side = math.ceil(math.sqrt(per_tile))
    pad, between = ROOM if columns <= MANY_COLUMNS else NARROW
    room = (WIDEST / columns - between - 2 * pad - (side - 1) * GAP) / side
    core = min(max(room, SMALLEST_CORE), LARGEST_CORE)
    tile = side * core + (side - 1) * GAP + 2 * pad
    pitch = tile + between
    return Grid(left, top, columns, rows, per_tile, side, core, tile, pitch, pad, between, note)


def slot_of(core: Any, grid: Grid) -> tuple[int, int, int]:
    """Return (tile x, tile y, place in the tile) of a core."""
    number_ = int(at(core, "core") or 0)
    return int(at(core, "tile_x") or 0), int(at(core, "tile_y") or 0), number_ % grid.per_tile


def place_of(slot: tuple[int, int, int], grid: Grid) -> tuple[float, float]:
    """Return the upper left corner of a core."""
    x, y = grid.corner(slot[0], slot[1])
    row, column = divmod(slot[2], grid.side)
    step = grid.core + GAP
    return x + grid.pad + column * step, y + grid.pad + row * step
