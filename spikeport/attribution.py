"""What quantization lost, and to what: every part of the chip replaced by itself, both ways.

A part is the weights of a projection, a decay, a threshold, a bias, a reset, a delay or a lag.
Put alone into the float reference it changes some cells; taken out of everything as on the chip
it gives some back. Where losses hide or amplify each other the two differ: they bound its share.
What is left between the chip's parameters in floats and its integers is the state's: rounded in
every step, or out of its bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import DataError, LoweringError
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.decode import needs_v, predictions
from spikeport.compiler.measure.dequantize import (
    check_kinds,
    dequantized,
    in_one_shape,
    without_floor,
)
from spikeport.compiler.measure.hybrid import (
    Part,
    cut,
    downstream,
    hybrid,
    parts_of,
    sent_by,
    touched,
)
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.compiler.program import Cell, Program
from spikeport.compiler.traces import Traces
from spikeport.data import Data, read_data, read_inputs

RUNS = 3  # of the reference on all samples: about what the whole table may cost
QUICK = 1e9  # weights times steps, samples and runs: a table of some seconds is always made
MOST_PARTS = 64  # beyond, parts of one layer are replaced together
MOST_WORK = 3e10  # of these: a minute or two
Group = tuple[str, str, tuple[Part, ...]]  # cause, object, parts


def attribute(
    network: Network | Clocked,
    noun: Program | Image,
    data: object,
    labels: Any = None,
    decode: str = "count",
    samples: int | None = None,
    pieces: int = 1,
    ran: Traces | None = None,
) -> dict[str, Any]:
    """Return the losses of a chip, each with its cause and its object, ranked.

    Args:
        network: in floats; a `Clocked` with the chip's delays (`for_chip`).
        noun: its integers; of a `Network` the Image, which knows its chip.
        data: what is run: a `Data`, or with a Network what `read_data` takes (spikes).
        labels: of its samples, for the accuracy; by default those of the data.
        decode: how a class is read.
        samples: how many to run; by default so many that the table costs about `RUNS` runs of the
            reference on all samples, one at least.
        pieces: samples that each one of the data holds, one after the other (streaming).
        ran: a run of the chip on the same data, to see what it received; None: it received them.

    Returns:
        {"samples", "cells", "different", "in_floats", "predictions", "accuracy", "rows", "note"}:
        cells that were compared, and that differ on the chip and with its parameters in floats;
        samples with another class; accuracy of reference and chip, or None. Each row is {"cause",
        "object", "alone", "without", "low", "high", "predictions_alone", "predictions_without",
        "accuracy_alone", "accuracy_without"}: cells, samples and accuracy lost to it alone, and
        won back without it; `low` and `high` are the bounds of its share of `different`.
        `rows` is empty, and `note` says why, where nothing differs or parts cannot be replaced.
    """
    program = noun.program if isinstance(noun, Image) else noun
    if program.slow > 1:
        return nothing("not taken apart under --slow: states are held between steps")
    data, retimed = _read(network, noun, data)
    labels = data.labels if labels is None else labels
    _check_asked(data, labels, samples, pieces)
    try:
        check_kinds(retimed, program)
        retimed = in_one_shape(retimed, program)
        chip = dequantized(retimed, program)
    except LoweringError as error:
        return nothing(f"not taken apart: {error.what}, {error.why}")
    groups = _groups(retimed, parts_of(retimed, chip))
    in_all = data.samples * pieces
    work = 2 * (len(groups) + 1) * data.steps // pieces * _weights(retimed)  # for each sample
    few = max(1, int(QUICK / max(work, 1)), RUNS * in_all // (2 * len(groups) + 2))
    few = min(in_all, samples or few)
    if samples is None and few * work > MOST_WORK:
        return nothing("not taken apart: it would take minutes. sp.attribute(..., samples=1) does")
    some = _first(data, few, pieces)
    received = _received(some, ran, program)
    groups += [("input", name, (("input", name),)) for name in received]
    bench = _Bench(retimed, chip, program, some, received, labels, decode, few if pieces > 1 else 1)
    found = bench.table(groups, few)
    if not found["rows"] and few < in_all:
        found["note"] += f", on the first {few} of {in_all} samples"
    return found


def _check_asked(data: Data, labels: Array | None, samples: int | None, pieces: int) -> None:
    if samples is not None and samples < 1:
        raise DataError(f"{samples} samples are none", "at least one is taken apart", "samples=1")
    if pieces < 1 or data.steps % pieces:
        raise DataError(
            f"{data.steps} steps are not {pieces} samples one after the other",
            "each has as many steps as another", "give the number of samples that were joined",
        )  # fmt: skip
    wanted = data.samples * pieces
    if labels is not None and len(labels) != wanted:
        raise DataError(
            f"there are {len(labels)} labels of {wanted} samples", "each sample has one",
            "give as many labels as samples",
        )  # fmt: skip


def _read(network: Network | Clocked, noun: Program | Image, data: object) -> tuple[Data, Clocked]:
    """Return the data, and the network with the chip's delays."""
    if isinstance(network, Clocked):
        if isinstance(data, Data):
            return data, network
        shapes = {name: network.populations[name].shape for name in network.inputs}
        return read_inputs(data, shapes), network
    if not isinstance(noun, Image):
        raise LoweringError(
            "a Program does not say which chip its delays are of",
            "the Network has to be retimed for that chip",
            "give the Image: sp.compile(net, chip, calibration=x)",
        )
    known = data if isinstance(data, Data) else read_data(data, network)
    host = frozenset(known.host())
    return known, for_chip(to_clocked(network), noun.chip, host, allow_skew=True)


def nothing(note: str) -> dict[str, Any]:
    """Return a table without rows, and why it has none."""
    return {
        "samples": 0, "cells": 0, "different": 0, "in_floats": 0, "predictions": 0,
        "accuracy": None, "rows": [], "note": note,
    }  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Ran:
    """A run: per population the spikes in its window, (samples, steps, n), and the classes."""

    windows: Mapping[str, Array]
    classes: Array | None

    def against(self, other: _Ran) -> _Score:
        cells = sum(
            int(np.count_nonzero(window != other.windows[name]))
            for name, window in self.windows.items()
        )
        changed = 0
        if self.classes is not None and other.classes is not None:
            changed = int(np.count_nonzero(self.classes != other.classes))
        return _Score(cells, changed)


@dataclass(frozen=True)
class _Score:
    cells: int
    predictions: int


@dataclass(frozen=True, eq=False)
class _Base:
    """A network that parts are replaced in, with what every population of it sent."""

    network: Clocked
    inputs: Mapping[str, Array]
    sent: Mapping[str, Array]
    ran: _Ran


class _Bench:
    """Runs hybrids of a network and its chip on the same samples.

    Only what lies behind a replaced part is run again: before it nothing can have changed.
    """

    def __init__(
        self,
        retimed: Clocked,
        chip: Clocked,
        program: Program,
        data: Data,
        received: Mapping[str, Array],
        labels: Any,
        decode: str,
        pieces: int,
    ) -> None:
        self.program, self.labels, self.decode, self.pieces = program, labels, decode, pieces
        self.model_steps = data.steps
        self.steps = data.steps + max(retimed.last_lag, chip.last_lag)
        self.probe = f"{retimed.output}.v" if needs_v(decode) else ""
        self.decodable = bool(self.probe) or not retimed.populations[retimed.output].analog
        self.ideal = self._base(retimed, data.inputs)
        self.everything = self._base(chip, {**data.inputs, **received})

    def table(self, groups: list[Group], samples: int) -> dict[str, Any]:
        """Return what `attribute` returns."""
        traces, on_chip = self._on_chip(self.program)
        total = on_chip.against(self.ideal.ran)
        if not total.cells:
            return nothing("every cell is as in the reference")
        rows = [self._row(*group, total.cells) for group in groups]
        overflowed = [name for name, cells in traces.extra["overflows"].items() if cells]
        inside = on_chip
        if overflowed:
            cause, inside = self._in_its_bits(overflowed)
            pair = inside, on_chip
            rows.append(self._as_row(cause, ", ".join(overflowed), pair, pair, total.cells))
        pair = self.everything.ran, inside
        rows.append(self._as_row("state", "all populations", pair, pair, total.cells))
        rows.sort(key=_size, reverse=True)
        accuracy = [self._accuracy(each) for each in (self.ideal.ran, on_chip)]
        return {
            "samples": samples,
            "cells": sum(window.size for window in on_chip.windows.values()),
            "different": total.cells,
            "in_floats": self.everything.ran.against(self.ideal.ran).cells,
            "predictions": total.predictions,
            "accuracy": None if accuracy[0] is None else accuracy,
            "rows": rows,
            "note": "",
        }

    def _row(self, cause: str, name: str, parts: tuple[Part, ...], most: int) -> dict[str, Any]:
        """Return what parts do alone, and what is won back without them."""
        ideal, everything = self.ideal, self.everything
        alone = self._replaced(ideal, everything, parts)
        without = self._replaced(everything, ideal, parts)
        return self._as_row(cause, name, (ideal.ran, alone), (without, everything.ran), most)

    def _as_row(
        self,
        cause: str,
        name: str,
        put_in: tuple[_Ran, _Ran],
        taken_out: tuple[_Ran, _Ran],
        most: int,
    ) -> dict[str, Any]:
        """Return a row from two pairs of runs, (without, with) the part; `most` cells differ."""
        ideal = self.ideal.ran
        alone = put_in[1].against(put_in[0])
        less, more = (each.against(ideal) for each in taken_out)
        gained = more.cells - less.cells
        bounds = sorted(min(max(cells / most, 0.0), 1.0) for cells in (alone.cells, gained))
        lost = [self._lost(*pair) for pair in (put_in, taken_out)]
        return {
            "cause": cause,
            "object": name,
            "alone": alone.cells,
            "without": gained,
            "low": bounds[0],
            "high": bounds[1],
            "predictions_alone": alone.predictions,
            "predictions_without": more.predictions - less.predictions,
            "accuracy_alone": lost[0],
            "accuracy_without": lost[1],
        }

    def _lost(self, before: _Ran, after: _Ran) -> float | None:
        pair = self._accuracy(before), self._accuracy(after)
        return None if pair[0] is None or pair[1] is None else pair[0] - pair[1]

    def _accuracy(self, ran: _Ran) -> float | None:
        if ran.classes is None or self.labels is None:
            return None
        few = min(ran.classes.size, len(self.labels))
        return float(np.mean(ran.classes[:few] == np.asarray(self.labels)[:few]))

    def _base(self, network: Clocked, inputs: Mapping[str, Array]) -> _Base:
        analog = [name for name in network.neurons if network.populations[name].analog]
        probe = {f"{name}.v" for name in analog} | ({self.probe} - {""})
        traces = self._run(network, inputs, sorted(probe))
        return _Base(network, inputs, sent_by(network, traces, inputs), self._seen(network, traces))

    def _replaced(self, base: _Base, donor: _Base, parts: tuple[Part, ...]) -> _Ran:
        """Return a run of `base` with parts of `donor`."""
        network = hybrid(base.network, donor.network, parts)
        kept: set[str] = set()
        sent = dict(base.sent)
        for part in parts:
            kept |= downstream(network, touched(network, part))
            if part[0] == "input":
                sent[part[1]] = donor.sent[part[1]]
        some = cut(network, kept)
        probe = [self.probe] if self.probe and network.output in kept else []
        traces = self._run(some, {name: sent[name] for name in some.inputs}, probe)
        seen = self._seen(some, traces)
        classes = base.ran.classes if network.output not in kept else seen.classes
        return _Ran({**base.ran.windows, **seen.windows}, classes)

    def _run(self, network: Clocked, inputs: Mapping[str, Array], probe: Sequence[str]) -> Traces:
        from spikeport.backends import reference

        traces = reference.run(network, inputs, steps=self.steps, probe=probe)
        if not self.probe or self.probe not in traces.probes:
            return traces
        v = traces.probes[self.probe] + network.populations[network.output].cell.v_offset
        return replace(traces, probes={**traces.probes, self.probe: v})

    def _seen(self, network: Clocked, traces: Traces) -> _Ran:
        """Return the windows of a run, and its classes where its output is among them."""
        traces = replace(traces, model_steps=self.model_steps, lags=dict(network.lags))
        names = [name for name in network.neurons if network.populations[name].kind != "Relay"]
        windows = {name: traces.window(name) for name in names if name in traces.spikes}
        classes = None
        if self.decodable and network.output in network.neurons:
            classes = predictions(traces, self.decode, self.pieces)
        return _Ran(windows, classes)

    def _on_chip(self, program: Program, probe: Sequence[str] = ()) -> tuple[Traces, _Ran]:
        """Run integers on what the chip received."""
        from spikeport.backends import emulator

        v = [self.probe] if self.probe else []
        inputs = {name: self.everything.inputs[name] for name in program.inputs}
        traces = emulator.run(program, inputs, steps=self.steps, probe=[*v, *probe])
        probes = dict(traces.probes)
        for key in v:
            probes[key] = program.populations[program.output].in_network_units(probes[key])
        traces = replace(traces, probes=probes)
        return traces, self._seen(self.everything.network, traces)

    def _in_its_bits(self, overflowed: list[str]) -> tuple[str, _Ran]:
        """Return how u or v left their bits, and a run in which they do not."""
        program, arithmetic = self.program, self.program.arithmetic
        wide = _widened(program)
        traces, ran = self._on_chip(wide, [f"{name}.u" for name in overflowed])
        largest = max(int(np.abs(traces.probes[f"{name}.u"]).max()) for name in overflowed)
        wraps = arithmetic.state_bits == 24 and arithmetic.overflow != "saturate"
        return "wrap" if wraps and largest > arithmetic.largest_state else "saturation", ran


def _widened(program: Program) -> Program:
    """Return the Program with states of 32 bits, which nothing leaves."""
    arithmetic = replace(program.arithmetic, overflow="saturate", state_bits=32)
    populations = {
        name: replace(pop, cell=without_floor(pop.cell, program.arithmetic))
        if isinstance(pop.cell, Cell)
        else pop
        for name, pop in program.populations.items()
    }
    return replace(program, arithmetic=arithmetic, populations=populations)


def _size(row: Mapping[str, Any]) -> tuple[float, float]:
    return row["alone"] + row["without"], row["predictions_alone"] + row["predictions_without"]


def _groups(retimed: Clocked, parts: list[Part]) -> list[Group]:
    """Return what is replaced together: single parts, or all of a layer where there are many."""
    if len(parts) <= MOST_PARTS:
        return [(*part, (part,)) for part in parts]
    layers: dict[str, list[Part]] = {}
    for part in parts:
        layers.setdefault(touched(retimed, part), []).append(part)
    return [("layer", name, tuple(each)) for name, each in layers.items()]


def _weights(network: Clocked) -> int:
    """Return how many weights a step multiplies."""
    matrices = [each.matrix for each in network.projections]
    return sum(int(m.nnz) if sp.issparse(m) else int(m.size) for m in matrices)


def _first(data: Data, samples: int, pieces: int) -> Data:
    """Return the first samples; of a stream, the steps of as many."""
    if pieces == 1:
        return data.first(samples)
    steps = data.steps // pieces * samples
    return Data({name: x[:, :steps] for name, x in data.inputs.items()}, None, data.kind)


def _received(data: Data, ran: Traces | None, program: Program) -> dict[str, Array]:
    """Return the inputs of the chip that are not those of the data, by name."""
    found: dict[str, Array] = {}
    for name, x in data.inputs.items():
        if ran is None or name in program.host or name not in ran.spikes:
            continue
        got = ran.spikes[name].dense()[: x.shape[0], : x.shape[1]]
        if not np.array_equal(got, x):
            found[name] = got
    return found
