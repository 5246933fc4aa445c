"""How long a run takes on a chip, as plain values; what is not published is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.cost_column import TickTime
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.energy import Cost
from spikeport.compiler.measure.mesh_time import Mesh, MeshTime, Messages
from spikeport.compiler.measure.timing import BOUNDS, NOTHING_STATED, Timing

MOST_STEPS, MOST_CORES, MOST_ROUTES = 2000, 16, 16


def mesh_time(messages: Messages, mesh: Mesh) -> MeshTime:
    """Compute the detailed model with the C engine, or its specification where that is not here."""
    from spikeport.backends.emulator.mesh import mesh_time as fast

    return fast(messages, mesh)


def step_budget(chip: Chip, dt: float) -> tuple[float, str]:
    """Return the seconds that a step may take, and whose they are."""
    for column in chip.costs.values():
        if isinstance(column.time, TickTime):
            return float(column.time.tick.value), f"the tick of {chip.name}"
    return dt, "the time step of the network, in real time"


def time_of_run(
    image: Image, costs: Mapping[str, Cost], column: str, budget: tuple[float, str]
) -> dict[str, Any]:
    """Return the time of a run as plain values under the chosen column, the others beside it."""
    columns = {name: time_summary(each) for name, each in costs.items()}
    if not costs:
        return {"known": False, "why": NOTHING_STATED.format(image.chip.name), "columns": {}}
    chosen = costs[column]
    if chosen.time is None:
        return {"known": False, "why": chosen.time_unknown, "column": column, "columns": columns}
    time = chosen.time
    return {
        **columns[column],
        "column": column,
        "title": chosen.title,
        "source": chosen.source,
        "uncertainty": max(-time.plus_minus[0], time.plus_minus[1]),
        "uncertainty_source": time.uncertainty_source,
        "worst_step": _worst(time),
        "bound": {
            name: float((time.bound[_busy(time)] == at).mean()) if _busy(time).any() else 0.0
            for at, name in enumerate(BOUNDS)
        },
        "parts": {name: float(part.mean()) for name, part in time.parts.items()}
        | {"barrier": time.barrier[0]},
        "critical_cores": _critical(image, time),
        "steps": _steps(time),
        "budget": _budget(time, budget),
        "pressure": _pressure(time, chosen.samples),
        "columns": columns,
        "sources": list(time.sources),
        "notes": list(time.notes),
    }


def time_summary(chosen: Cost) -> dict[str, Any]:
    """Return what a column says of the time of a sample."""
    time, seconds, interval = chosen.time, chosen.seconds_per_sample, chosen.seconds_interval
    if time is None or seconds is None or interval is None:
        return {"known": False, "why": chosen.time_unknown}
    per_run, steps = time.interval_per_run, max(time.seconds.shape[1], 1)
    delay = chosen.energy_delay
    return {
        "known": True,
        "model": time.model,
        "seconds_per_step": time.seconds_per_run / steps,
        "interval": [end / steps for end in per_run],
        "latency": {
            "seconds": seconds,
            "interval": list(interval),
            "steps": time.seconds.shape[1] / chosen.pieces,
        },
        "throughput": {
            "samples_per_second": _inverse(seconds),
            "interval": [_inverse(interval[1]), _inverse(interval[0])],
        },
        "energy_delay": None
        if delay is None
        else {"joule_seconds": delay[0], "interval": list(delay[1]), "of": delay[2]},
    }


def core_times(costs: Mapping[str, Cost], column: str) -> dict[int, dict[str, float]]:
    """Return core -> mean busy seconds per step, and the share of the steps that it ends."""
    chosen = costs.get(column)
    if chosen is None or chosen.time is None or chosen.time.model == "tick":
        return {}
    time = chosen.time
    ended = _ended(time)
    return {
        int(core): {"seconds_per_step": float(busy), "critical_share": float(share)}
        for core, busy, share in zip(time.numbers, time.busy, ended, strict=True)
    }


def _ended(time: Timing) -> Array:
    """Return the share of the steps that each core ends."""
    cores = time.core[time.core >= 0]
    ended = np.bincount(np.searchsorted(time.numbers, cores), minlength=time.numbers.size)
    return np.asarray(ended / max(time.core.size, 1))


def _busy(time: Timing) -> Array:
    """Return in which steps a core had anything to do."""
    return time.core >= 0


def _worst(time: Timing) -> dict[str, Any] | None:
    if not time.seconds.size:
        return None
    sample, step = np.unravel_index(int(time.seconds.argmax()), time.seconds.shape)
    seconds = float(time.seconds[sample, step])
    return {"sample": int(sample), "step": int(step), "seconds": seconds}


def _critical(image: Image, time: Timing) -> list[dict[str, Any]]:
    """Return the cores that end most steps."""
    ended, uses = _ended(time), {use.core: use for use in image.cores}
    rows = []
    for at in np.argsort(-ended, kind="stable")[:MOST_CORES]:
        if not ended[at]:
            break
        use = uses[int(time.numbers[at])]
        held: dict[str, int] = {}
        for part in image.slices:
            if part.core == use.core:
                held[part.population] = held.get(part.population, 0) + int(part.neurons.size)
        rows.append(
            {
                "core": use.core,
                "chip": use.chip,
                "tile_x": use.tile_x,
                "tile_y": use.tile_y,
                "populations": held,
                "steps": float(ended[at]),
                "seconds": float(time.busy[at]),
            }
        )
    return rows


def _steps(time: Timing) -> list[dict[str, Any]]:
    """Return the steps, each over all samples; who ends it is of the slowest sample."""
    slowest = time.seconds.argmax(axis=0) if time.seconds.size else np.zeros(0, int)
    bound = time.bound
    rows = []
    for step in range(min(time.seconds.shape[1], MOST_STEPS)):
        core = int(time.core[slowest[step], step])
        rows.append(
            {
                "step": step,
                "seconds": float(time.seconds[:, step].mean()),
                "least": float(time.seconds[:, step].min()),
                "most": float(time.seconds[:, step].max()),
                **{name: float(part[:, step].mean()) for name, part in time.parts.items()},
                "barrier": time.barrier[0],
                "bound": BOUNDS[int(bound[slowest[step], step])] if core >= 0 else None,
                "core": core if core >= 0 else None,
            }
        )
    return rows


def _budget(time: Timing, budget: tuple[float, str]) -> dict[str, Any]:
    """Say whether steps end in time, and which cores are too slow by themselves."""
    seconds, whose = budget
    late = time.seconds > seconds
    over = time.over if time.over.any() else _ends_late(time, late)
    slow = np.argsort(-over, kind="stable")[:MOST_CORES]
    mean = float(time.seconds.mean()) if time.seconds.size else 0.0
    return {
        "seconds": seconds,
        "source": whose,
        "over": float(late.mean()) if late.size else 0.0,
        "keeps_up": not bool(late.any()),
        "times": seconds / mean if mean else None,
        "cores": [
            {
                "core": int(time.numbers[at]),
                "share": float(over[at]),
                "worst_seconds": float(time.worst[at]),
            }
            for at in slow
            if over[at]
        ],
    }


def _ends_late(time: Timing, late: Array) -> Array:
    """Return the share of the steps that each core ends too late, where none is slow alone."""
    cores = time.core[late & (time.core >= 0)]
    ended = np.bincount(np.searchsorted(time.numbers, cores), minlength=time.numbers.size)
    return np.asarray(ended / max(late.size, 1))


def _pressure(time: Timing, samples: int) -> dict[str, Any] | None:
    """Return how many packets waited for room on their way, and where most of them."""
    if time.blocked is None:
        return None
    most = sorted(time.routes.items(), key=lambda route: (-route[1], route[0]))[:MOST_ROUTES]
    return {
        "blocked_per_sample": float(time.blocked.sum() / max(samples, 1)),
        "routes": [
            {
                "from": [int(end) for end in ends[:2]],
                "to": [int(end) for end in ends[2:]],
                "blocked_per_sample": packets / max(samples, 1),
            }
            for ends, packets in most
        ],
    }


def _inverse(seconds: float) -> float | None:
    return 1.0 / seconds if seconds > 0 else None
