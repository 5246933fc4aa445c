"""The noun `Cost`: integer event counts times the figures of one cost column.

Counts come from the run's counters and the Image's routes, never from averages, so one run
serves any column. Dynamic energy only; static power is stated beside, not added. What has an
`unverified` figure is listed and left out of every sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip, CostColumn
from spikeport.compiler.errors import ChipError
from spikeport.compiler.fabric import Processor
from spikeport.compiler.figure import Figure
from spikeport.compiler.image import Image, Route
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Program
from spikeport.compiler.traces import Traces


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        population: whose events; the sender's for spikes, packets, hops and synaptic_ops.
        kind: event kind.
        core: where the energy is spent, -1 for the whole chip.
        events_per_sample: mean count.
        joules_per_event: the figure used.
        source, basis: of that figure.
    """

    population: str
    kind: str
    core: int
    events_per_sample: float
    joules_per_event: float
    source: str
    basis: str

    @property
    def joules(self) -> float:
        """Joules per sample."""
        return self.events_per_sample * self.joules_per_event

    @property
    def counts(self) -> bool:
        """Is it in the sums: its figure has a source that somebody saw."""
        return self.basis != "unverified"


@dataclass(frozen=True)
class Cost:
    """Energy per sample under one column.

    Attributes:
        column: name of the cost column; `title`, `source` say what it is.
        ledger: every count with its figure.
        uncertainty: relative, from the column.
        samples: how many samples the means are over.
    """

    column: str
    title: str
    source: str
    ledger: tuple[Entry, ...]
    uncertainty: Figure
    samples: int

    @property
    def joules_per_sample(self) -> float:
        """Dynamic energy per sample, in joules."""
        return sum(entry.joules for entry in self.ledger if entry.counts)

    @property
    def left_out(self) -> list[str]:
        """Event kinds whose figure is unverified: in the ledger, in no sum."""
        return list(dict.fromkeys(entry.kind for entry in self.ledger if not entry.counts))

    @property
    def interval(self) -> tuple[float, float]:
        """Lowest and highest joules per sample under the column's uncertainty."""
        middle, share = self.joules_per_sample, float(self.uncertainty.value)
        return middle * (1 - share), middle * (1 + share)

    def by(self, key: str) -> dict[Any, float]:
        """Return joules per sample summed by `kind`, `population` or `core`."""
        sums: dict[Any, float] = {}
        for entry in self.ledger:
            if entry.counts:
                name = getattr(entry, key)
                sums[name] = sums.get(name, 0.0) + entry.joules
        return sums

    def summary(self) -> dict[str, Any]:
        """Return plain values without the ledger."""
        return {
            "column": self.column,
            "title": self.title,
            "source": self.source,
            "joules_per_sample": self.joules_per_sample,
            "interval": list(self.interval),
            "uncertainty": self.uncertainty.value,
            "uncertainty_source": self.uncertainty.source,
            "by_kind": self.by("kind"),
            "left_out": self.left_out,
        }


def column_of(chip: Chip, name: str | None) -> str:
    """Return the name of a cost column.

    Raises:
        ChipError: the chip has no such column.
    """
    name = name or chip.default_cost
    if not chip.costs:
        raise ChipError(
            f"what a run costs on {chip.name} is not known",
            "no energy per event has been published for it",
            "choose another chip for energy: --chip loihi1",
        )
    if name not in chip.costs:
        raise ChipError(
            f"{chip.name} has no cost column {name!r}",
            f"it has {', '.join(chip.costs)}",
            f"--cost {chip.default_cost}",
        )
    return name


def cost(
    image: Image, traces: Traces, column: str | None = None, pieces: int | None = None
) -> Cost:
    """Return the energy of a run under one cost column.

    Args:
        image: where everything is.
        traces: of an emulator run, with its counters.
        column: name; the chip's default where None.
        pieces: of a stream: how many samples each one of the run holds, one after the other
            without a reset; None where the state is reset before each sample.

    Raises:
        ChipError: no such column.
    """
    name = column_of(image.chip, column)
    figures = image.chip.costs[name]
    counts = count_events(image, traces)
    if pieces is None:
        counts["(chip)", "state_reset", -1] = 1.0
    pieces = pieces or 1
    ledger = tuple(
        _entry(figures, population, _priced_as(kind, figures), core, events / pieces)
        for (population, kind, core), events in counts.items()
        if events and _priced_as(kind, figures) in figures.figures
    )
    return Cost(
        name, figures.title, figures.source, ledger, figures.uncertainty, traces.samples * pieces
    )


def count_events(image: Image, traces: Traces) -> dict[tuple[str, str, int], float]:
    """Return (population, event kind, core) -> events per sample of a run.

    `soma_access` every neuron in every step; `soma_update` where it had something to do;
    `spike_out` per spike; `synaptic_op` per non-zero weight read, at its core, apart for lists
    that store indices; `packet` per spike and receiving core; hops per packet. On a processor
    `dense_synaptic_op`, every weight in every step, and nothing else but `soma_access`.
    """
    if isinstance(image.chip.core, Processor):
        return _count_dense(image, traces)
    counts: dict[tuple[str, str, int], float] = {}

    def add(population: str, kind: str, core: int, events: float) -> None:
        key = (population, kind, core)
        counts[key] = counts.get(key, 0.0) + events

    for part in image.slices:
        counters = traces.counters[part.population]
        add(part.population, "soma_access", part.core, float(part.neurons.size * traces.steps))
        add(part.population, "soma_update", part.core, _mean(counters["active"], part.neurons))
        add(part.population, "spike_out", part.core, _mean(counters["spikes"], part.neurons))
    for route in image.routes:
        sent = traces.counters[route.pre]["spikes"][:, route.neurons].mean(axis=0)
        dense = float((sent * (route.synapses - route.sparse)).sum())
        add(route.pre, "synaptic_op", route.target_core, dense)
        sparse = float((sent * route.sparse).sum())
        add(route.pre, "synaptic_op_sparse", route.target_core, sparse)
        east, north = _hops(image, route)
        for kind, events in (
            ("packet", sent), ("hop_east_west", sent * east), ("hop_north_south", sent * north)
        ):  # fmt: skip
            by_core = np.bincount(route.source_cores + 1, weights=events)  # -1: from the host
            for core in np.flatnonzero(by_core):
                add(route.pre, kind, int(core) - 1, float(by_core[core]))
    return counts


def _count_dense(image: Image, traces: Traces) -> dict[tuple[str, str, int], float]:
    """Return what a processor does in each step, whoever spikes: every neuron, every weight."""
    counts: dict[tuple[str, str, int], float] = {}
    for part in image.slices:
        events = float(part.neurons.size * traces.steps)
        counts[part.population, "soma_access", part.core] = events
    for each in image.program.synapses:
        key = (each.pre, "dense_synaptic_op", 0)
        counts[key] = counts.get(key, 0.0) + float(each.count * traces.steps)
    return counts


def _priced_as(kind: str, column: CostColumn) -> str:
    """Return the event kind whose figure is used: sparse reads cost as others if none is known."""
    unknown = kind == "synaptic_op_sparse" and kind not in column.figures
    return "synaptic_op" if unknown else kind


def _mean(counter: Array, neurons: Array) -> float:
    return float(counter[:, neurons].sum(axis=1).mean())


def _entry(column: CostColumn, population: str, kind: str, core: int, events: float) -> Entry:
    figure = column.figures[kind]
    return Entry(population, kind, core, events, float(figure.value), figure.source, figure.basis)


def _hops(image: Image, route: Route) -> tuple[Array, Array]:
    """Return hops east-west and north-south, (n,); what comes from the host enters at the core."""
    inside = route.source_cores >= 0
    x, y = image.chip.tile(route.source_cores)
    to_x, to_y = image.chip.tile(route.target_core)
    return np.abs(to_x - x) * inside, np.abs(to_y - y) * inside


def neurobench(image: Image, traces: Traces, pieces: int = 1) -> dict[str, Any]:
    """Return NeuroBench's metrics of a run, by its definitions (averages per sample).

    Biases are excluded from the operations; spikes make accumulates (ACs), real values and
    graded messages multiply-accumulates (MACs). Dense counts every synapse in every step.
    """
    program = image.program
    accumulates = multiplies = dense = synapses = possible = 0.0
    for each in program.synapses:
        if program.populations[each.pre].kind == "constant":
            continue
        mantissa = each.mantissa
        per_pre = np.asarray((mantissa != 0).sum(axis=0)).ravel()
        sent = traces.counters[each.pre]["spikes"].mean(axis=0)
        operations = float((sent * per_pre).sum())
        if _sends_values(traces, each.pre):
            multiplies += operations
        else:
            accumulates += operations
        synapses += float(per_pre.sum())
        possible += float(mantissa.shape[0] * mantissa.shape[1])
        dense += float(mantissa.shape[0] * mantissa.shape[1] * traces.model_steps)
    for host in program.host.values():
        times = 1 if host.static else traces.model_steps
        for target in chain.from_iterable(host.targets.values()):
            rows, columns = target.matrix.shape
            used = sp.csr_matrix(target.matrix).nnz
            multiplies += float(used * times)
            dense += float(rows * columns * traces.model_steps)
            synapses, possible = synapses + used, possible + rows * columns
    cells = [p for p in program.neurons if program.populations[p].kind != "constant"]
    spikes = sum(float(traces.counters[p]["spikes"].mean(axis=0).sum()) for p in cells)
    slots = sum(program.populations[p].size * _chances(program, traces, p) for p in cells)
    bits = sum(use.used("synaptic_memory_bits") for use in image.cores)
    return {
        "Footprint": bits // 8,
        "ConnectionSparsity": 1.0 - synapses / possible if possible else 0.0,
        "ActivationSparsity": 1.0 - spikes / slots if slots else 0.0,
        "SynapticOperations": {
            "Effective_MACs": multiplies / pieces,
            "Effective_ACs": accumulates / pieces,
            "Dense": dense / pieces,
        },
    }


def _chances(program: Program, traces: Traces, name: str) -> int:
    """Return how often a neuron could have sent; an analog one sends from the first step on."""
    spiking = program.populations[name].sends_spikes
    return traces.model_steps if spiking else traces.steps // traces.slow


def _sends_values(traces: Traces, pre: str) -> bool:
    """Did a population send more than spikes: an analog one, or one that counts them."""
    if pre not in traces.spikes:
        return True
    count = traces.spikes[pre].count
    return count is not None and int(count.max(initial=0)) > 1
