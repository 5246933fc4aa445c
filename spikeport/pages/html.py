"""A result as one self-contained page: values for the template, and the template filled in.

The page loads nothing and runs nothing: style and drawings are inside it, and every text that
came out of a file is escaped by the template, which is the only place where markup is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages import svg, units
from spikeport.pages.plain import at, items, printable, table
from spikeport.pages.units import count, many, percent, si
from spikeport.pages.verdict import (
    analog_words,
    chip_against_reference,
    difference,
    interval,
    spoken,
    standing,
    verdicts,
)

#: Longest table and longest list of plots on the page; all of it is in report.json.
MAX_TABLE, MAX_PLOTS = 200, 16
BAR_WIDTH = 1000.0
#: A cost kind above this share of the whole hides the others: they get a scale of their own.
HIDING = 0.7

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

#: Event kinds in the order of a core's pipeline, with the colour class of each.
KINDS = {
    "soma_access": "k1",
    "soma_update": "k2",
    "spike_out": "k3",
    "synaptic_op": "k4",
    "synaptic_op_sparse": "k5",
    "synaptic_op_conv": "k6",
    "packet": "k7",
    "hop_east_west": "k8",
    "hop_north_south": "k9",
    "state_reset": "k0",
}

#: Limit of a core -> what a core of the result calls the same.
CORE_LIMITS = {
    "synaptic_memory_bits_per_core": ("synaptic_memory_bits", "synaptic memory, bit"),
    "compartments_per_core": ("compartments", "compartments"),
    "in_axons_per_core": ("in_axons", "in-axons"),
    "out_axons_per_core": ("out_axons", "out-axons"),
}


def page(result: Mapping[str, Any]) -> str:
    """Return the whole page.

    Args:
        result: as `write_report` takes it, with finite numbers only.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("spikeport.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html").render(view(printable(result)))
    return text.rstrip() + "\n"


def view(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value that the template shows, already worded and measured out."""
    sources = _sources(result)
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
        "mesh": mesh(result),
        "cores": [_core(core, result) for core in items(result, "cores")],
        "limits": limits(result),
        "resources": [
            (spoken(name), count(value)) for name, value in table(result, "resources").items()
        ],
        "losses": losses(result),
        "semantics": semantics(result),
        "assumed": items(result, "assumed"),
        "neurobench": neurobench(result),
        "backends": backends(result),
        "repairs": items(result, "repairs"),
        "notes": items(result, "notes"),
        "sources": sources,
        "command": at(result, "command") or "",
        "files": table(result, "files"),
        "most": MAX_TABLE,
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


def energy(result: Mapping[str, Any], sources: list[str]) -> dict[str, Any]:
    """Return the bars, the shares and the ledger of the energy."""
    used = at(result, "energy", "column")
    columns = table(result, "energy", "columns")
    if not columns and used:
        columns = {used: table(result, "energy")}
    kinds = _kinds(columns)
    biggest = _hiding(columns)
    panels = [_panel(columns, "", used), _panel(columns, biggest, used) if biggest else None]
    by_population = table(result, "energy", "by_population")
    most = max((cost or 0 for cost in by_population.values()), default=0)
    ledger = items(result, "energy", "ledger")
    return {
        "panels": [panel for panel in panels if panel],
        "columns": columns,
        "used": used,
        "kinds": [
            {
                "name": spoken(kind),
                "colour": colour,
                "costs": [
                    _cost_and_share(at(column, "by_kind", kind), at(column, "joules_per_sample"))
                    for column in columns.values()
                ],
            }
            for kind, colour in kinds.items()
        ],
        "totals": [si(at(column, "joules_per_sample"), "J") for column in columns.values()],
        "by_population": [
            (name, si(cost, "J"), (cost or 0) / most if most else 0.0)
            for name, cost in by_population.items()
        ],
        "ledger": [
            {
                "population": at(entry, "population"),
                "kind": spoken(at(entry, "kind")),
                "events": units.number(at(entry, "events_per_sample")),
                "each": si(at(entry, "joules_per_event"), "J"),
                "cost": si(at(entry, "joules_per_sample"), "J"),
                "basis": at(entry, "basis") or units.NONE,
                "source": sources.index(at(entry, "source")) + 1 if at(entry, "source") else None,
            }
            for entry in ledger[:MAX_TABLE]
        ],
        "ledger_left_out": max(0, len(ledger) - MAX_TABLE),
        "static": at(result, "energy", "static"),
    }


def mesh(result: Mapping[str, Any]) -> svg.Mesh | None:
    """Return the core map, or None where the chip's mesh is not known."""
    if not at(result, "mesh"):
        return None
    full = at(result, "limits", "synaptic_memory_bits_per_core") or 0
    return svg.mesh(table(result, "mesh"), items(result, "cores"), full)


def limits(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how much of each limit is used: cores of the chip, and the fullest core."""
    cores = items(result, "cores")
    rows = [("cores", at(result, "resources", "cores"), at(result, "limits", "cores"))]
    for limit, (key, words) in CORE_LIMITS.items():
        values = [at(core, key) for core in cores if at(core, key) is not None]
        used = max(values, default=at(result, "resources", f"{key}_fullest_core"))
        rows.append((words, used, at(result, "limits", limit)))
    return [
        {
            "name": name,
            "used": count(used),
            "limit": count(limit),
            "share": used / limit if used is not None and limit else None,
        }
        for name, used, limit in rows
    ]


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


def _sources(result: Mapping[str, Any]) -> list[str]:
    """Return every source once: those of the result, then those that only a figure names."""
    named = [
        *items(result, "energy", "sources"),
        *(at(column, "source") for column in table(result, "energy", "columns").values()),
        *(at(entry, "source") for entry in items(result, "energy", "ledger")),
    ]
    return list(dict.fromkeys(source for source in named if source))


def _kinds(columns: Mapping[str, Any]) -> dict[str, str]:
    """Return kind -> colour class for every kind that costs something, in pipeline order."""
    named = {kind for column in columns.values() for kind in table(column, "by_kind")}
    known = [kind for kind in KINDS if kind in named]
    others = sorted(named - set(KINDS))
    return {kind: KINDS[kind] for kind in known} | {kind: "kx" for kind in others}


def _hiding(columns: Mapping[str, Any]) -> str:
    """Return the kind that hides the others in some column, or an empty text."""
    for column in columns.values():
        kinds = {kind: cost or 0 for kind, cost in table(column, "by_kind").items()}
        biggest = max(kinds, key=lambda kind: kinds[kind], default="")
        if biggest and 0 < sum(kinds.values()) * HIDING < kinds[biggest] < sum(kinds.values()):
            return biggest
    return ""


def _panel(columns: Mapping[str, Any], without: str, used: Any) -> dict[str, Any] | None:
    """Return one bar per cost column on a common axis, leaving out one kind."""
    bars = []
    for name, column in columns.items():
        costs = {kind: cost or 0 for kind, cost in table(column, "by_kind").items()}
        parts = [(kind, costs[kind]) for kind in _kinds(columns) if kind in costs]
        parts = [(kind, cost) for kind, cost in parts if kind != without]
        bounds = items(column, "interval")
        bars.append((name, column, parts, bounds if len(bounds) == 2 and not without else []))
    most = max(
        (max([sum(c for _, c in parts), *bounds]) for _, _, parts, bounds in bars), default=0
    )
    if most <= 0:
        return None
    step = svg.round_step(most / 5)
    scale = BAR_WIDTH / (1.02 * most)
    colours = _kinds(columns)
    return {
        "without": spoken(without),
        "width": BAR_WIDTH,
        "ticks": [
            svg.Tick(index * step * scale, si(index * step, "J"))
            for index in range(int(1.02 * most / step) + 1)
        ],
        "bars": [
            {
                "name": name,
                "used": name == used,
                "title": at(column, "title") or "",
                "total": si(sum(cost for _, cost in parts), "J"),
                "interval": interval(column) if bounds else "",
                "segments": [
                    (segment, colours[segment.name], spoken(segment.name), si(segment.value, "J"))
                    for segment in svg.stacked(parts, scale)
                ],
                "whisker": [bound * scale for bound in bounds],
            }
            for name, column, parts, bounds in bars
        ],
    }


def _core(core: Any, result: Mapping[str, Any]) -> dict[str, Any]:
    full = at(result, "limits", "synaptic_memory_bits_per_core")
    bits = at(core, "synaptic_memory_bits")
    return {
        "number": at(core, "core"),
        "tile": f"{at(core, 'tile_x')}, {at(core, 'tile_y')}",
        "populations": ", ".join(
            f"{name}: {count(neurons)}" for name, neurons in table(core, "populations").items()
        ),
        "compartments": count(at(core, "compartments")),
        "in_axons": count(at(core, "in_axons")),
        "out_axons": count(at(core, "out_axons")),
        "synapses": count(at(core, "synapses")),
        "memory": percent(bits / full if full and bits is not None else None, 1),
        "joules": si(at(core, "joules_per_sample"), "J"),
    }


def _cells(parity: Any) -> str:
    cells, different = at(parity, "cells"), at(parity, "different")
    if not cells:
        return units.NONE
    return f"{count(different or 0)} of {count(cells)}"


def _cost_and_share(cost: Any, total: Any) -> tuple[str, str]:
    return si(cost, "J"), percent(cost / total if cost is not None and total else None, 1)


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
