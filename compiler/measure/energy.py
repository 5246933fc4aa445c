"""The noun `Cost`: integer event counts times the figures of one cost column.

Counts come from the run's counters and the Image's routes, so one run serves any placement, any
chip of the same arithmetic and any column. Dynamic, static and host energy stay apart. What has
an `unverified` figure is listed and left out of every sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.compiler.chip import Chip
from spikeport.compiler.cost_column import CostColumn, PlusMinus, Price
from spikeport.compiler.errors import ChipError
from spikeport.compiler.figure import Figure
from spikeport.compiler.image import Image
from spikeport.compiler.measure.events import WHOLE_CHIP, count_events, host_work
from spikeport.compiler.measure.mesh_time import mesh_time
from spikeport.compiler.measure.timing import MeshModel, Timing, time_of
from spikeport.compiler.traces import Traces

Interval = tuple[float, float]


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        population: whose events; the sender's for spikes, packets, hops and synaptic_ops.
        kind: event kind.
        core: where the energy is spent, -1 for the whole chip and for what the host sends.
        events_per_sample: mean count.
        joules_per_event: the figure used.
        plus_minus: relative uncertainty of that figure, lowest and highest.
        source, basis: of that figure.
    """

    population: str
    kind: str
    core: int
    events_per_sample: float
    joules_per_event: float
    plus_minus: PlusMinus
    source: str
    basis: str

    @property
    def joules(self) -> float:
        """Joules per sample."""
        return self.events_per_sample * self.joules_per_event

    @property
    def interval(self) -> Interval:
        """Lowest and highest joules per sample under the figure's uncertainty."""
        return around(self.joules, self.plus_minus)

    @property
    def counts(self) -> bool:
        """Is it in the sums: its figure has a source that somebody saw."""
        return self.basis != "unverified"


@dataclass(frozen=True)
class Cost:
    """Energy and time per sample under one column.

    Attributes:
        column: name of the cost column; `title`, `source` say what it is.
        ledger: every count with its figure: the dynamic energy.
        uncertainty: relative, from the column, of figures that state none of their own.
        samples: how many samples the means are over.
        cores_per_chip: so that the ledger can be summed by chip.
        time: how long the steps took, or None, and then `time_unknown` says why.
        pieces: samples that one of the run holds.
        static_power: of one chip, or None where it is not known; `chips` are powered.
        host: what the host does for a sample, in counts: no joules are known for it.
    """

    column: str
    title: str
    source: str
    ledger: tuple[Entry, ...]
    uncertainty: Figure
    samples: int
    cores_per_chip: int
    time: Timing | None
    time_unknown: str
    pieces: int
    static_power: Price | None
    chips: int
    host: Mapping[str, float]

    @property
    def joules_per_sample(self) -> float:
        """Dynamic energy per sample, in joules."""
        return total(self.ledger)[0]

    @property
    def interval(self) -> Interval:
        """Lowest and highest dynamic joules per sample, every figure at its worst at once."""
        return total(self.ledger)[1]

    @property
    def left_out(self) -> list[str]:
        """Event kinds whose figure is unverified: in the ledger, in no sum."""
        return list(dict.fromkeys(entry.kind for entry in self.ledger if not entry.counts))

    @property
    def seconds_per_sample(self) -> float | None:
        """Time from the first step of a sample to its answer; None where it is not known."""
        return None if self.time is None else self.time.seconds_per_run / self.pieces

    @property
    def seconds_interval(self) -> Interval | None:
        """Shortest and longest time of a sample."""
        if self.time is None:
            return None
        low, high = self.time.interval_per_run
        return low / self.pieces, high / self.pieces

    @property
    def static_joules_per_sample(self) -> float | None:
        """Static power of all chips times the time of a sample; None where one is not known."""
        seconds = self.seconds_per_sample
        if seconds is None or not _is_seen(self.static_power):
            return None
        return seconds * self.watts

    @property
    def static_interval(self) -> Interval | None:
        """Lowest and highest static joules per sample: both intervals at their ends."""
        seconds = self.seconds_interval
        if seconds is None or self.static_power is None or not _is_seen(self.static_power):
            return None
        low, high = around(self.watts, self.static_power.plus_minus or (0.0, 0.0))
        return low * seconds[0], high * seconds[1]

    @property
    def watts(self) -> float:
        """Static power of all chips that are linked, 0 where it is not known."""
        return 0.0 if self.static_power is None else float(self.static_power.value) * self.chips

    @property
    def total_joules_per_sample(self) -> float | None:
        """Dynamic and static energy of a sample; the host's is in no sum."""
        static = self.static_joules_per_sample
        return None if static is None else self.joules_per_sample + static

    @property
    def total_interval(self) -> Interval | None:
        """Lowest and highest dynamic and static joules per sample."""
        static, dynamic = self.static_interval, self.interval
        return None if static is None else (dynamic[0] + static[0], dynamic[1] + static[1])

    @property
    def energy_delay(self) -> tuple[float, Interval, str] | None:
        """Joules times seconds of a sample, its interval, and which energy it is of."""
        seconds, between = self.seconds_per_sample, self.seconds_interval
        if seconds is None or between is None:
            return None
        joules, interval, of = self.joules_per_sample, self.interval, "dynamic"
        if self.total_joules_per_sample is not None and self.total_interval is not None:
            joules, interval = self.total_joules_per_sample, self.total_interval
            of = "dynamic and static"
        return joules * seconds, (interval[0] * between[0], interval[1] * between[1]), of

    def by(self, key: str) -> dict[Any, float]:
        """Return dynamic joules per sample by `kind`, `population`, `core` or `chip`."""
        sums: dict[Any, float] = {}
        for entry in self.ledger:
            if entry.counts:
                name = self._chip_of(entry) if key == "chip" else getattr(entry, key)
                sums[name] = sums.get(name, 0.0) + entry.joules
        return sums

    def _chip_of(self, entry: Entry) -> int:
        return WHOLE_CHIP if entry.core < 0 else entry.core // self.cores_per_chip

    def summary(self) -> dict[str, Any]:
        """Return plain values without the ledger."""
        return {
            "column": self.column,
            "title": self.title,
            "source": self.source,
            "joules_per_sample": self.joules_per_sample,
            "interval": list(self.interval),
            "static_joules_per_sample": self.static_joules_per_sample,
            "static_interval": _plain(self.static_interval),
            "total_joules_per_sample": self.total_joules_per_sample,
            "total_interval": _plain(self.total_interval),
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
    image: Image,
    traces: Traces,
    column: str | None = None,
    pieces: int | None = None,
    *,
    model: str | None = None,
    budget: float | None = None,
    mesh: MeshModel = mesh_time,
) -> Cost:
    """Return the energy and the time of a run under one cost column.

    Args:
        image: where everything is; the run may have been placed otherwise.
        traces: of an emulator run, with its counters.
        column: name; the chip's default where None.
        pieces: of a stream: how many samples each one of the run holds, one after the other
            without a reset; None where the state is reset before each sample.
        model: of time: `simple` or `detailed`; by default the most that the column has figures for.
        budget: seconds that a step may take, to find the cores that do not keep it.
        mesh: computes the detailed model.

    Raises:
        ChipError: no such column, or it lacks the figures of the model.
    """
    name = column_of(image.chip, column)
    figures = image.chip.costs[name]
    counts = count_events(image, traces)
    if pieces is None:
        counts["(chip)", "state_reset", WHOLE_CHIP] = float(image.chips)
    joined = pieces or 1
    time, unknown = time_of(image, traces, name, model, budget, mesh)
    return Cost(
        name, figures.title, figures.source,
        price(figures, {key: events / joined for key, events in counts.items()}),
        figures.uncertainty, traces.samples * joined, image.chip.cores,
        time, unknown, joined, image.chip.static_power, image.chips,
        host_work(image, traces, joined),
    )  # fmt: skip


def price(column: CostColumn, counts: Mapping[tuple[str, str, int], float]) -> tuple[Entry, ...]:
    """Return what events cost under a column; kinds that it has no figure for are not listed.

    Args:
        column: figures.
        counts: (population, event kind, core) -> events per sample.
    """
    return tuple(
        _entry(column, population, _priced_as(kind, column), core, events)
        for (population, kind, core), events in counts.items()
        if events and _priced_as(kind, column) in column.figures
    )


def total(entries: Iterable[Entry]) -> tuple[float, Interval]:
    """Return the sum of entries and its interval, without those whose figure is unverified."""
    seen = [entry for entry in entries if entry.counts]
    low, high = (sum(entry.interval[end] for entry in seen) for end in (0, 1))
    return sum(entry.joules for entry in seen), (low, high)


def around(value: float, plus_minus: PlusMinus) -> Interval:
    """Return the interval of a value under a relative uncertainty.

    >>> around(2.0, (-0.25, 0.5))
    (1.5, 3.0)
    """
    return value * (1 + plus_minus[0]), value * (1 + plus_minus[1])


def _entry(column: CostColumn, population: str, kind: str, core: int, events: float) -> Entry:
    figure = column.figures[kind]
    return Entry(
        population, kind, core, events, float(figure.value), column.plus_minus(figure),
        figure.source, figure.basis,
    )  # fmt: skip


def _priced_as(kind: str, column: CostColumn) -> str:
    """Return the event kind whose figure is used: sparse reads cost as others if none is known."""
    unknown = kind == "synaptic_op_sparse" and kind not in column.figures
    return "synaptic_op" if unknown else kind


def _is_seen(figure: Figure | None) -> bool:
    return figure is not None and figure.basis != "unverified"


def _plain(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)
