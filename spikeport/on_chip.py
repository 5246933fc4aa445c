"""Where a network sits on a chip, as plain values: cores, limits, and the traffic between tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spikeport.compiler.image import Image, Route
from spikeport.compiler.measure.energy import Cost
from spikeport.compiler.measure.events import count_events
from spikeport.compiler.traces import Traces
from spikeport.timed import core_times

Tile = tuple[int, int]


def limits_of(image: Image) -> dict[str, int | None]:
    """Return what there is: cores of all chips, and per core the largest limit of each resource.

    A limit that is not published is None.
    """
    limits: dict[str, int | None] = {"cores": image.chip.cores * image.chips}
    for use in image.cores:
        for name, (_, most) in use.held.items():
            known = limits.get(f"{name}_per_core")
            limits[f"{name}_per_core"] = most if known is None else max(known, most or 0)
    return limits


def cores_of(
    image: Image, run: Traces, pieces: int, costs: Mapping[str, Cost], column: str
) -> list[dict[str, Any]]:
    """Return one row per core that is used: place, what it holds, events, energy and time."""
    chosen, times = costs.get(column), core_times(costs, column)
    joules = {} if chosen is None else chosen.by("core")
    events: dict[int, dict[str, float]] = {use.core: {} for use in image.cores}
    for (_, kind, core), count in count_events(image, run).items():
        if core in events:
            events[core][kind] = events[core].get(kind, 0.0) + count / pieces
    populations: dict[int, dict[str, int]] = {use.core: {} for use in image.cores}
    for part in image.slices:
        held = populations[part.core]
        held[part.population] = held.get(part.population, 0) + int(part.neurons.size)
    return [
        {
            "core": use.core,
            "chip": use.chip,
            "tile_x": use.tile_x,
            "tile_y": use.tile_y,
            "synapses": use.synapses,
            **{name: used for name, (used, _) in use.held.items()},
            "limits": {name: most for name, (_, most) in use.held.items()},
            "load": use.load,
            "populations": populations[use.core],
            "events_per_sample": events[use.core],
            "joules_per_sample": None if chosen is None else joules.get(use.core, 0.0),
            **times.get(use.core, {}),
        }
        for use in image.cores
    ]


def mesh_of(image: Image, run: Traces, pieces: int) -> dict[str, Any]:
    """Return the mesh and the packets per sample over each of its links.

    A packet goes along x first, then along y. What comes from the host enters at the core that
    it is for, what stays within a tile uses no link; both are counted apart.

    Returns:
        {"tiles_x", "tiles_y", "cores_per_tile", "chips", "links": [{"from", "to",
        "packets_per_sample"}], "busiest", "hops_per_sample", "within_tiles", "from_host"}.
    """
    between: dict[tuple[Tile, Tile], float] = {}
    from_host = 0.0
    for route in image.routes:
        target = image.chip.tile(route.target_core)
        for source, packets in _packets(run, route, pieces):
            if source < 0:
                from_host += packets
                continue
            ends = image.chip.tile(source), target
            between[ends] = between.get(ends, 0.0) + packets
    links: dict[tuple[Tile, Tile], float] = {}
    for (start, end), packets in between.items():
        for link in way(start, end):
            links[link] = links.get(link, 0.0) + packets
    rows: list[dict[str, Any]] = [
        {"from": list(start), "to": list(end), "packets_per_sample": packets}
        for (start, end), packets in sorted(links.items())
        if packets
    ]
    topology = image.chip.topology
    return {
        "tiles_x": topology.tiles_x.whole,
        "tiles_y": topology.tiles_y.whole,
        "cores_per_tile": topology.cores_per_tile.whole,
        "chips": image.chips,
        "links": rows,
        "busiest": max(rows, key=lambda row: row["packets_per_sample"], default=None),
        "hops_per_sample": sum(row["packets_per_sample"] for row in rows),
        "within_tiles": sum(p for (start, end), p in between.items() if start == end),
        "from_host": from_host,
    }


def way(start: Tile, end: Tile) -> Iterator[tuple[Tile, Tile]]:
    """Yield the links from a tile to another: along x, then along y.

    >>> list(way((0, 0), (1, 1)))
    [((0, 0), (1, 0)), ((1, 0), (1, 1))]
    """
    x, y = start
    while (x, y) != end:
        here = (x, y)
        if x != end[0]:
            x += 1 if end[0] > x else -1
        else:
            y += 1 if end[1] > y else -1
        yield here, (x, y)


def _packets(run: Traces, route: Route, pieces: int) -> Iterator[tuple[int, float]]:
    """Yield (source core, packets per sample) of a route, -1 for what comes from the host."""
    sent = run.counters[route.pre]["spikes"][:, route.neurons].mean(axis=0) / pieces
    by_core = np.bincount(route.source_cores + 1, weights=sent)
    yield from ((core - 1, packets) for core, packets in enumerate(by_core.tolist()) if packets)
