"""A result as one self-contained page: values for the template, and the template filled in.

The page loads nothing and runs nothing: style and drawings are inside it, and every text that
came out of a file is escaped by the template, which is the only place where markup is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from spikeport.pages import svg, units
from spikeport.pages.attribution import attribution
from spikeport.pages.baselines import baselines
from spikeport.pages.cores import core_rows, limit_rows, resources_of
from spikeport.pages.energy import energy, sources_of
from spikeport.pages.held import spoken_resource, total_words
from spikeport.pages.mesh import Drawing, draw
from spikeport.pages.overflow import HEAD, overflow_sentence, overflow_words
from spikeport.pages.plain import at, items, printable, table
from spikeport.pages.time import time
from spikeport.pages.units import count, many, percent, si
from spikeport.pages.verdict import (
    analog_words,
    chip_against_reference,
    difference,
    spoken,
    standing,
    verdicts,
)

#: Longest list of plots on the page; all of it is in report.json.
MAX_PLOTS = 16
STATE = {True: "kept between samples", False: "reset between samples"}

#: What each field of the semantics contract decides.
DECIDES = {
    "dt": "length of a time step",
    "integration": "how a time constant becomes a factor per step",
    "input_gain": "what scales the input",
    "tau_unit": "unit of the time constants in the file",
    "current_order": "order of current and membrane within a step",
    "reset": "what a spike does to v",
    "reset_when": "when it does so",
    "spike": "how many spikes a step can have",
    "threshold": "is v at the threshold a spike",
    "initial_v": "v before the first step",
    "v_min": "floor under v",
    "refractory": "time without integration after a spike",
    "recurrent_bias_at_start": "does a recurrent bias act in the first step",
    "bias_at_start": "do biases act in the first step",
    "feedforward_lag": "steps from a spike to the next population",
    "recurrent_lag": "steps from a spike back into its own population",
    "dialect": "the preset that fills in the rest",
}


def page(result: Mapping[str, Any]) -> str:
    """Return the whole page.

    Args:
        result: as `write_report` takes it, with finite numbers only.
    """
    text: str = environment().get_template("page.html").render(view(printable(result)))
    return text.rstrip() + "\n"


@cache
def environment() -> Any:
    """Return what fills in templates: every value is escaped, none may be missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("spikeport.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def view(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value that the template shows, already worded and measured out."""
    sources = sources_of(result)
    return {
        "version": at(result, "spikeport") or "",
        "graph": at(result, "graph") or "network",
        "chip": at(result, "chip", "title") or at(result, "chip", "name") or "chip",
        "level": at(result, "chip", "level"),
        "verdicts": verdicts(result),
        "settings": settings(result),
        "budget": budget(result),
        "against_reference": chip_against_reference(result),
        "standing": standing(result),
        "populations": populations(result),
        "differences": differences(result),
        "rasters": rasters(result),
        "rasters_left_out": max(0, len(items(result, "rasters")) - MAX_PLOTS),
        "energy": energy(result, sources),
        "time": time(result, sources),
        "baselines": baselines(result, sources),
        "mesh": mesh(result),
        "cores": core_rows(result),
        "held": [spoken_resource(name) for name in resources_of(result)],
        "limits": limit_rows(result),
        "resources": [
            (spoken(name), total_words(name, value))
            for name, value in table(result, "resources").items()
        ],
        "attribution": attribution(result),
        "losses": losses(result),
        "recipe": at(result, "recipe"),
        "overflow": overflow_words(result),
        "overflow_head": HEAD,
        "overflow_sentence": overflow_sentence(result),
        "overflow_of_spikes": at(result, "input") == "spikes",
        "semantics": semantics(result),
        "assumed": items(result, "assumed"),
        "neurobench": neurobench(result),
        "backends": backends(result),
        "repairs": items(result, "repairs"),
        "notes": items(result, "notes"),
        "sources": sources,
        "command": at(result, "command") or "",
        "files": table(result, "files"),
        "most": units.MAX_TABLE,
        "sentence": sentence,
        "count": count,
        "percent": percent,
        "none": units.NONE,
    }


def settings(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings that the figures hold for, as name and value."""
    latency = at(result, "latency_steps")
    pairs = [
        ("dialect", at(result, "semantics", "dialect") or None),
        ("dt", _maybe(at(result, "dt"), lambda dt: si(dt, "s"))),
        ("samples", _maybe(at(result, "samples"), count)),
        ("steps", _maybe(at(result, "steps"), count)),
        ("input", at(result, "input")),
        ("decode", at(result, "decode")),
        ("latency", _maybe(latency, lambda steps: many(steps, "step"))),
        ("state", _maybe(at(result, "stream"), lambda stream: STATE[bool(stream)])),
    ]
    return [(name, str(value)) for name, value in pairs if value is not None]


def budget(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was allowed and what came out, or None without a budget."""
    if not at(result, "budget"):
        return None
    rows = [
        {key: units.exact(at(item, key)) for key in ("name", "old", "new", "limit")}
        | {"ok": at(item, "ok")}
        for item in items(result, "budget", "items")
    ]
    return {"passed": at(result, "budget", "passed"), "rows": rows}


def populations(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row per population: what it is, its spikes, its differing cells."""
    reference = table(result, "parity", "emulator_vs_reference", "populations")
    analog = table(result, "parity", "emulator_vs_reference", "analog")
    lava = table(result, "parity", "lava_vs_emulator", "populations")
    rows = []
    for population in items(result, "populations"):
        name = at(population, "name")
        rows.append(
            {
                "name": name,
                "kind": at(population, "kind") or units.NONE,
                "shape": f" {units.TIMES} ".join(map(str, items(population, "shape"))),
                "neurons": count(at(population, "neurons")),
                "lag": count(at(population, "lag")),
                "reset": spoken(at(population, "reset") or units.NONE),
                "spikes": [
                    units.number(at(population, "spikes_per_sample", side))
                    for side in ("reference", "emulator", "lava")
                ],
                "against_reference": analog_words(name, analog[name])
                if name in analog
                else _cells(reference.get(name)),
                "against_lava": _cells(lava.get(name)),
            }
        )
    return rows


def differences(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (which two, where) of every population's first difference."""
    found = []
    for key, label, sides in (
        ("emulator_vs_reference", "chip and reference", ("reference", "emulator")),
        ("lava_vs_emulator", "Lava and emulator", ("emulator", "lava")),
    ):
        parts = table(result, "parity", key, "populations").values()
        firsts = [at(part, "first_difference") for part in parts]
        whole = at(result, "parity", key, "first_difference")
        firsts = [first for first in firsts if first] or ([whole] if whole else [])
        found += [(label, difference(first, *sides)) for first in firsts]
    return found


def rasters(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the drawing of each recorded raster, with its words."""
    drawn = []
    for record in items(result, "rasters")[:MAX_PLOTS]:
        plot = svg.raster(record)
        label = at(record, "label")
        drawn.append(
            {
                "plot": plot,
                "name": at(record, "population"),
                "about": [
                    many(at(record, "neurons"), "neuron"),
                    f"sample {at(record, 'sample')}",
                    *([f"label {label}"] if label is not None else []),
                    f"lag {count(at(record, 'lag'))}",
                ],
                "difference": _difference(plot),
                "lava": _lava_raster(record),
            }
        )
    return drawn


def mesh(result: Mapping[str, Any]) -> Drawing | None:
    """Return the drawings of the chip, or None where its mesh is not known."""
    if not at(result, "mesh"):
        return None
    return draw(table(result, "mesh"), items(result, "cores"), table(result, "limits"))


def losses(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each quantized thing lost, with a bar relative to the largest loss."""
    entries = items(result, "losses")
    most = max((at(entry, "relative") or 0 for entry in entries), default=0)
    return [
        {
            "object": at(entry, "object"),
            "what": spoken(at(entry, "what")),
            "bits": count(at(entry, "bits")),
            "exponent": units.number(at(entry, "exponent")),
            "rms": units.number(at(entry, "error_rms")),
            "max": units.number(at(entry, "error_max")),
            "relative": percent(at(entry, "relative")),
            "bar": (at(entry, "relative") or 0) / most if most else 0.0,
            "detail": at(entry, "detail") or "",
        }
        for entry in entries
    ]


def semantics(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the contract field by field, then what single nodes override."""
    contract = table(result, "semantics")
    assumed = set(map(str, items(result, "assumed")))
    rows = [
        (name, value, DECIDES.get(name, ""))
        for name, value in contract.items()
        if name not in ("nodes", "parameters", "assumed")
    ]
    for name, value in table(contract, "parameters").items():
        rows.append((name, value, "neuron parameter supplied by hand, in place of the file's"))
    for node, fields in table(contract, "nodes").items():
        for name, value in table(fields).items():
            rows.append((f"{node}.{name}", value, DECIDES.get(name, "")))
    return [
        {
            "name": name,
            "value": units.setting(name, value),
            "decides": decides,
            "assumed": name in assumed,
        }
        for name, value, decides in rows
    ]


def neurobench(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return NeuroBench's metrics under its own names."""
    rows = []
    for name, value in table(result, "neurobench").items():
        if isinstance(value, Mapping):
            rows += [(f"{name}: {part}", units.number(inner)) for part, inner in value.items()]
        else:
            unit = " bytes" if name == "Footprint" and value is not None else ""
            rows.append((name, f"{units.number(value)}{unit}"))
    return rows


def backends(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what ran and for how long, as name and sentence."""
    ran = table(result, "backends")
    lava = table(ran, "lava")
    rows = [
        (name, si(at(backend, "seconds"), "s"))
        for name, backend in ran.items()
        if name != "lava" and backend
    ]
    if not lava.get("ran"):
        why = lava.get("why")
        return [*rows, ("Lava", f"not run: {why}" if why else "not run")]
    processes = ", ".join(map(str, items(lava, "processes"))) or "not recorded"
    own = ", ".join(map(str, items(lava, "own_processes")))
    return [
        *rows,
        ("Lava", f"{lava.get('version') or ''}, {si(lava.get('seconds'), 's')}".lstrip(", ")),
        ("Lava's processes", processes),
        ("our own processes", own or "none: Lava's own code ran everything"),
    ]


def sentence(text: str) -> str:
    """Return `text` with a capital at its start and the rest as it is."""
    return text[:1].upper() + text[1:]


def _cells(parity: Any) -> str:
    cells, different = at(parity, "cells"), at(parity, "different")
    if not cells:
        return units.NONE
    return f"{count(different or 0)} of {count(cells)}"


def _difference(plot: svg.Raster) -> str:
    if plot.missing + plot.extra:
        return (
            f"{many(plot.missing + plot.extra, 'cell')} not equal: {count(plot.missing)} only in "
            f"the reference, {count(plot.extra)} only on the chip"
        )
    if plot.spikes_reference:
        return f"the same {many(plot.spikes_reference, 'spike')} on both sides"
    return "no spike on either side"


def _lava_raster(record: Mapping[str, Any]) -> str:
    """Say how Lava's raster compares with the emulator's; both are in the chip's time."""
    if at(record, "lava") is None:
        return "Lava: not run on this sample"
    lag = int(at(record, "lag") or 0)
    shape = max(int(at(record, "steps") or 0), 1), max(int(at(record, "neurons") or 0), 1)
    ours, theirs = (
        set(svg.events(at(record, side), *shape, lag)[0].tolist()) for side in ("emulator", "lava")
    )
    differing = len(ours ^ theirs)
    return f"Lava: {many(differing, 'cell')} not equal" if differing else "Lava: the same spikes"


def _maybe(value: Any, show: Any) -> Any:
    return None if value is None else show(value)
