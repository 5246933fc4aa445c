"""The noun `Timing`: how long each step of a run takes on the chip, and what it waits for.

Asynchronous chips (`EventTimes`), by the models of hardware.md section 3.2, after SANA-FE:

* `simple`: a step takes as long as its slowest core, where a core takes its neurons and packets
  one after the other, and beside that what arrives one after the other:
      max(max over cores of soma + axon out, max over cores of axon in + synapses) + barrier
* `detailed`: packets leave in order, travel, wait for room and are served in turn
  (`mesh_time.py`); the last event ends the step.

Clocked chips (`CycleTime`) take the cycles of their events, chips with a tick (`TickTime`) always
the same time. What a column does not state is unknown, never another chip's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.cost_column import CycleTime, EventTimes, PlusMinus, TickTime
from spikeport.compiler.errors import ChipError
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.mesh_time import Mesh, MeshTime, Messages
from spikeport.compiler.measure.messages import messages_of
from spikeport.compiler.measure.work import SPREAD, Cores, Work, cores_of, counts_these, work_of
from spikeport.compiler.traces import Traces

MeshModel = Callable[[Messages, Mesh], MeshTime]
#: What a step waits for: somas and axons out, the tables and synapses of a target, the mesh.
BOUNDS = ("compute", "memory", "traffic")
NOTHING_STATED = "no time per event has been published for {}"
NO_COLUMN_TIME = "the column {} states no times"


@dataclass(frozen=True, eq=False)
class Timing:
    """Time of every step of a run.

    Attributes:
        model: `simple`, `detailed`, `tick` or `cycles`.
        seconds: of each step with its barrier, float64 (samples, steps).
        parts: `compute`, `memory`, `traffic` of the path that ends the step, (samples, steps).
        core: number of the core that ends it, -1 where nothing happens, int64 (samples, steps).
        barrier: seconds of the agreement that ends a step: (middle, lowest, highest).
        numbers: of the cores that are used.
        busy: mean seconds per step that each of them has work for, (cores,).
        over, worst: share of the steps in which each takes longer than the budget, its barrier
            included, and the longest of its steps in seconds, (cores,).
        plus_minus: relative uncertainty of everything but the barrier.
        uncertainty_source, source: of the figures.
        budget: seconds that a step may take; None: none was asked for.
        blocked: packets that had to wait for room, (samples, steps); None where the model has none.
        routes: (x, y, x, y) of source and target tile -> such packets, in the whole run.
        sources: of every figure that was used.
        notes: what is not exact.
    """

    model: str
    seconds: Array
    parts: Mapping[str, Array]
    core: Array
    barrier: tuple[float, float, float]
    numbers: Array
    busy: Array
    over: Array
    worst: Array
    plus_minus: PlusMinus
    uncertainty_source: str
    budget: float | None = None
    blocked: Array | None = None
    routes: Mapping[tuple[int, int, int, int], int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def seconds_per_run(self) -> float:
        """Mean over samples of the time of all steps."""
        return float(self.seconds.sum(axis=1).mean()) if self.seconds.size else 0.0

    @property
    def interval_per_run(self) -> tuple[float, float]:
        """Shortest and longest, every figure at its worst at once."""
        steps, (middle, least, most) = self.seconds.shape[1], self.barrier
        work = self.seconds_per_run - steps * middle
        low, high = self.plus_minus
        return work * (1 + low) + steps * least, work * (1 + high) + steps * most

    @property
    def bound(self) -> Array:
        """Index into `BOUNDS` of the largest part, int8 (samples, steps)."""
        parts = np.stack([self.parts[name] for name in BOUNDS])
        return np.asarray(np.argmax(parts, axis=0), np.int8)


def time_of(
    image: Image,
    traces: Traces,
    column: str,
    model: str | None,
    budget: float | None,
    mesh: MeshModel,
) -> tuple[Timing | None, str]:
    """Return how long the steps of a run take under a column, or None and why that is not known.

    Raises:
        ChipError: the column lacks the figures of the model that was asked for.
    """
    times = image.chip.costs[column].time
    check_model(image.chip, column, model)
    if times is None:
        return None, NO_COLUMN_TIME.format(column)
    if isinstance(times, TickTime):
        return _ticks(image, traces, times, budget), ""
    cores = cores_of(image)
    if isinstance(times, CycleTime):
        return _cycles(image, traces, times, cores, budget), ""
    barrier, unknown = barrier_of(image, times)
    if barrier is None:
        return None, unknown
    detailed = model != "simple" and times.link_buffer is not None
    return _events(image, traces, times, cores, barrier, budget, mesh if detailed else None), ""


def barrier_of(image: Image, times: EventTimes) -> tuple[tuple[float, float, float] | None, str]:
    """Return (middle, lowest, highest) seconds of a barrier over the chips of an Image, or why not.

    Between one chip, whose barrier depends on the tiles in use, and the fewest linked chips that
    were measured lies a line, in the number of chips, and the interval holds both its ends.
    """
    per_tile = image.chip.topology.cores_per_tile.whole
    tiles = len({use.core // per_tile for use in image.cores})
    own = times.barrier.at(max(tiles, 1) if image.chips == 1 else _all_tiles(image))
    if own is None:
        return None, f"the barrier of {tiles} tiles is not published"
    if image.chips == 1:
        return (own, own, own), ""
    linked = times.chip_barrier
    if linked is None:
        return None, "the barrier of linked chips is not published"
    if image.chips < linked.counts[0]:
        share = (image.chips - 1) / (linked.counts[0] - 1)
        return (own + share * (linked.seconds[0] - own), own, linked.seconds[0]), ""
    known = linked.at(image.chips)
    if known is None:
        return None, f"the barrier of more than {linked.counts[-1]} linked chips is not published"
    return (known, known, known), ""


def _all_tiles(image: Image) -> int:
    return image.chip.topology.tiles_x.whole * image.chip.topology.tiles_y.whole


def check_model(chip: Chip, column: str, model: str | None) -> None:
    """Refuse a model of time that does not exist, or that a column has no figures for.

    Raises:
        ChipError: says which it has.
    """
    if model is None:
        return
    if model not in ("simple", "detailed"):
        raise ChipError(
            f"there is no timing model {model!r}", "it is simple or detailed", "--timing simple"
        )
    times = chip.costs[column].time if column else None
    if not isinstance(times, EventTimes):
        raise ChipError(
            f"{chip.name} has no {model} model of time",
            f"the column {column} has no times of events" if column else "it has no cost column",
            "leave out --timing",
        )
    if model == "detailed" and times.link_buffer is None:
        raise ChipError(
            f"the column {column} of {chip.name} has no detailed model of time",
            "it states no buffers of the mesh (link_buffer)",
            "--timing simple",
        )


def _events(
    image: Image,
    traces: Traces,
    times: EventTimes,
    cores: Cores,
    barrier: tuple[float, float, float],
    budget: float | None,
    mesh_model: MeshModel | None,
) -> Timing:
    """Time an asynchronous chip; without `mesh_model` simply."""
    figures = {kind: float(figure.value) for kind, figure in times.figures.items()}
    kept = _Kept(traces, cores, budget, barrier[0])
    routes: dict[tuple[int, int, int, int], int] = {}
    mesh = _mesh(image, cores, figures, times)
    for work in work_of(image, traces, cores):
        sending, serving = _pipelines(work, cores, figures)
        kept.loads(work.first, np.maximum(sending, serving))
        if mesh_model is None:
            kept.simple(work.first, sending, serving)
            continue
        found = mesh_model(messages_of(traces, cores, work, times), mesh)
        kept.detailed(work.first, found)
        for ends, packets in found.routes.items():
            routes[ends] = routes.get(ends, 0) + packets
    lacking = [k for k in ("packet_in", "spike_out") if k not in figures]
    notes = [] if counts_these(traces, image, cores) else [SPREAD]
    if lacking:
        said = " and ".join(kind.replace("_", " ") for kind in lacking)
        notes.append(f"the column states no time of {said}: taken as none")
    if image.chips > 1:
        notes.append("a hop from chip to chip takes the time of one on a chip: none is published")
    sources = (*(f.source for f in times.figures.values()), times.barrier.source)
    return kept.timing(
        "simple" if mesh_model is None else "detailed",
        barrier,
        (-min(1.0, float(times.uncertainty.value)), float(times.uncertainty.value)),
        times.uncertainty.source,
        routes,
        sources,
        notes,
    )


def _pipelines(work: Work, cores: Cores, figures: Mapping[str, float]) -> tuple[Array, Array]:
    """Return the seconds that each core takes to send and to serve, (rows, cores) each."""

    def figure(kind: str, instead: float = 0.0) -> float:
        return figures.get(kind, instead)

    sending = (
        cores.sizes * figure("soma_access")
        + work.updates * figure("soma_update")
        + work.spikes * figure("spike_out")
        + work.packets * figure("packet")
    )
    read = figure("synaptic_op")
    serving = (
        work.packets_in * figure("packet_in")
        + work.dense * read
        + work.sparse * figure("synaptic_op_sparse", read)
    )
    return np.asarray(sending), np.asarray(serving)


def _mesh(image: Image, cores: Cores, figures: Mapping[str, float], times: EventTimes) -> Mesh:
    x, y = image.chip.tile(cores.numbers)
    buffer = 1 if times.link_buffer is None else times.link_buffer.whole
    return Mesh(
        np.asarray(x, np.int64), np.asarray(y, np.int64), figures.get("hop_east_west", 0.0),
        figures.get("hop_north_south", 0.0), buffer,
    )  # fmt: skip


def _ticks(image: Image, traces: Traces, times: TickTime, budget: float | None) -> Timing:
    """Time a chip whose steps all take one tick; what happens inside is not published."""
    shape, numbers = (traces.samples, traces.steps), cores_of(image).numbers
    nothing = np.zeros(shape)
    tick = float(times.tick.value)
    late = 0.0 if budget is None else float(tick > budget)
    return Timing(
        "tick", np.full(shape, tick), {name: nothing for name in BOUNDS},
        np.full(shape, -1), (0.0, 0.0, 0.0), numbers, np.zeros(numbers.size),
        np.full(numbers.size, late), np.full(numbers.size, tick),
        times.tick.plus_minus or (0.0, 0.0), times.tick.source, budget,
        sources=(times.tick.source,),
        notes=("a step is one tick, whatever happens in it; how full a tick is, is not published",),
    )  # fmt: skip


def _cycles(
    image: Image, traces: Traces, times: CycleTime, cores: Cores, budget: float | None
) -> Timing:
    """Time a clocked chip: the cycles of its events, one after the other."""
    cycles = {kind: float(figure.value) for kind, figure in times.cycles.items()}
    clock, kept = float(times.clock.value), _Kept(traces, cores, budget, 0.0)
    leaks = np.isin(cores.numbers, _leaking(image)) * cycles.get("leak_step", 0.0)
    for work in work_of(image, traces, cores):
        serving = (leaks + work.packets_in * cycles.get("packet_in", 0.0)) / clock
        kept.loads(work.first, serving)
        kept.simple(work.first, np.zeros_like(serving), serving)
    low, high = times.clock.plus_minus or (0.0, 0.0)
    every = (times.clock, *times.cycles.values())
    return kept.timing(
        "cycles", (0.0, 0.0, 0.0), (low, high), times.clock.source, {},
        tuple(figure.source for figure in every),
        ["events one after the other, each reads a whole row; the host gives them at once"],
    )  # fmt: skip


def _leaking(image: Image) -> list[int]:
    """Return the cores that hold a neuron with a leak."""
    found = []
    for part in image.slices:
        cell = image.program.populations[part.population].cell
        bias = getattr(cell, "bias_mantissa", None)
        if bias is not None and np.any(np.asarray(bias)[part.neurons]):
            found.append(part.core)
    return found


class _Kept:
    """What is kept of each step while its rows go by."""

    def __init__(self, traces: Traces, cores: Cores, budget: float | None, barrier: float) -> None:
        rows = traces.samples * traces.steps
        self.shape, self.cores, self.budget = (traces.samples, traces.steps), cores, budget
        self.barrier = barrier
        self.seconds = np.zeros(rows)
        self.parts = {name: np.zeros(rows) for name in BOUNDS}
        self.core = np.full(rows, -1, np.int64)
        self.blocked: Array | None = None
        self.busy, self.over, self.worst = (np.zeros(cores.numbers.size) for _ in range(3))

    def loads(self, first: int, taken: Array) -> None:
        """Add what each core takes in some rows, (rows, cores)."""
        rows = self.seconds.size
        self.busy += taken.sum(axis=0) / rows
        self.worst = np.maximum(self.worst, (taken + self.barrier).max(axis=0, initial=0.0))
        if self.budget is not None:
            self.over += (taken + self.barrier > self.budget).sum(axis=0) / rows

    def simple(self, first: int, sending: Array, serving: Array) -> None:
        """Take the slowest core of each row."""
        some = slice(first, first + len(sending))
        if not sending.shape[1]:
            return
        sends, serves = sending.max(axis=1), serving.max(axis=1)
        self.parts["compute"][some] = np.where(sends >= serves, sends, 0.0)
        self.parts["memory"][some] = np.where(sends >= serves, 0.0, serves)
        self.seconds[some] = np.maximum(sends, serves)
        slowest = np.where(sends >= serves, sending.argmax(axis=1), serving.argmax(axis=1))
        self.core[some] = np.where(self.seconds[some] > 0, self.cores.numbers[slowest], -1)

    def detailed(self, first: int, found: MeshTime) -> None:
        """Take what the mesh model found for some rows."""
        some = slice(first, first + found.seconds.size)
        self.seconds[some] = found.seconds
        for name in BOUNDS:
            self.parts[name][some] = getattr(found, name)
        known = found.core >= 0
        self.core[some] = np.where(known, self.cores.numbers[np.maximum(found.core, 0)], -1)
        if self.blocked is None:
            self.blocked = np.zeros(self.seconds.size, np.int64)
        self.blocked[some] = found.blocked

    def timing(
        self,
        model: str,
        barrier: tuple[float, float, float],
        plus_minus: PlusMinus,
        uncertainty_source: str,
        routes: Mapping[Any, int],
        sources: tuple[str, ...],
        notes: list[str],
    ) -> Timing:
        def shaped(rows: Array) -> Array:
            return rows.reshape(self.shape)

        return Timing(
            model, shaped(self.seconds + barrier[0]),
            {name: shaped(part) for name, part in self.parts.items()}, shaped(self.core), barrier,
            self.cores.numbers, self.busy, self.over, self.worst, plus_minus, uncertainty_source,
            self.budget, None if self.blocked is None else shaped(self.blocked), routes,
            tuple(dict.fromkeys(sources)), tuple(notes),
        )  # fmt: skip
