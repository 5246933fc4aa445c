"""What the cores hold against their limits, in rows of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages.held import spoken_resource
from spikeport.pages.mesh import load_of
from spikeport.pages.plain import at, items, table
from spikeport.pages.units import count, percent, si

NOT_PUBLISHED = "none published"


def resources_of(result: Mapping[str, Any]) -> list[str]:
    """Return the names of the resources that cores of the result hold, in their order."""
    limits = table(result, "limits")
    return [name.removesuffix("_per_core") for name in limits if name.endswith("_per_core")]


def limit_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how much of each limit is used: cores of the chip, and each core's fullest."""
    rows = [("cores", at(result, "resources", "cores"), at(result, "limits", "cores"))]
    for name in resources_of(result):
        rows.append((spoken_resource(name), *_most_used(result, name)))
    return [
        {
            "name": name,
            "used": count(used),
            "limit": NOT_PUBLISHED if limit is None else count(limit),
            "share": used / limit if used is not None and limit else None,
        }
        for name, used, limit in rows
    ]


def core_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row of words per core; `held` follows `resources_of`."""
    names, limits = resources_of(result), table(result, "limits")
    return [
        {
            "number": at(core, "core"),
            "tile": _tile(core),
            "populations": ", ".join(
                f"{name}: {count(neurons)}" for name, neurons in table(core, "populations").items()
            ),
            "held": [count(at(core, name)) for name in names],
            "synapses": count(at(core, "synapses")),
            "load": percent(load_of(core, limits), 1),
            "joules": si(at(core, "joules_per_sample"), "J"),
        }
        for core in items(result, "cores")
    ]


def _most_used(result: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """Return (used, limit) of the core that is fullest of a resource."""
    common = at(result, "limits", f"{name}_per_core")
    found = [
        (at(core, name), table(core, "limits").get(name, common))
        for core in items(result, "cores")
        if at(core, name) is not None
    ]
    if not found:
        return at(result, "resources", f"{name}_fullest_core"), common
    return max(found, key=lambda pair: (pair[0] / pair[1] if pair[1] else 0.0, pair[0]))


def _tile(core: Any) -> str:
    chip = at(core, "chip")
    tile = f"{at(core, 'tile_x')}, {at(core, 'tile_y')}"
    return f"{tile} (chip {chip})" if chip else tile
