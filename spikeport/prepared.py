"""What every chip of a deployment shares: the network, its data, and the run of the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeport import backends
from spikeport.budget import Budget, parse_budget, read_baseline
from spikeport.calibration import Watch
from spikeport.compiler import semantics as contract
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import DataError
from spikeport.compiler.measure.decode import check_decoder, needs_v
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.traces import Traces
from spikeport.data import Data, read_data
from spikeport.files import check_folder, check_report_folder
from spikeport.verbs import load, said

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network and its data, checked, before any chip is looked at.

    Attributes:
        net, clocked: the nouns.
        data: what is run; one long sample where it is streamed.
        pieces: samples that were joined into it without a reset; None without streaming.
        labels: of the original samples, or None.
        probe: what is recorded of the outputs, `NAME.v`.
        folder: for the report, or None.
        budget, baseline: what must not get worse, and than what.
        decode, allow_skew, slow, chips: what was asked for.
        wanted: backends by name; None: Lava where it is found.
        lava_samples: how many samples Lava runs.
        max_memory: what a run of the emulator may take.
        column: cost column; None: each chip's own.
        timing: model of time; None: the most that a column has figures for.
        command: what was typed.
        recipe: how weights become integers; None: the default.
    """

    net: Network
    clocked: Clocked
    data: Data
    pieces: int | None
    labels: Any
    probe: tuple[str, ...]
    folder: Path | None
    budget: tuple[Budget, ...]
    baseline: dict[str, Any] | None
    decode: str
    allow_skew: bool
    slow: int
    chips: int
    wanted: tuple[str, ...] | None
    lava_samples: int | None
    max_memory: str | int | None
    column: str | None
    timing: str | None
    command: str
    recipe: Recipe | None = None


@dataclass(frozen=True, eq=False)
class Reference:
    """A run of the float reference on all samples, and what it reached."""

    traces: Traces
    watch: Watch


def prepare(
    graph: str | Path | Network,
    chip: str,
    data: object = None,
    out: str | Path | None = None,
    *,
    dialect: str | None = None,
    dt: float | None = None,
    settings: Iterable[str] = (),
    input: str = "spikes",
    decode: str = "count",
    stream: bool = False,
    allow_skew: bool = False,
    slow: int = 1,
    chips: int = 1,
    backends_wanted: Sequence[str] | None = None,
    lava_samples: int | None = None,
    max_memory: str | int | None = None,
    column: str | None = None,
    timing: str | None = None,
    baseline: str | Path | None = None,
    fail_on: str = "",
    command: str = "",
    recipe: Recipe | None = None,
    say: Say = lambda text: None,
    several: bool = False,
) -> Prepared:
    """Read and check everything that was asked for but the chip; see `deploy` for the arguments.

    `several` chips share the folder, so it cannot complete a part of a report.

    Raises:
        SpikeportError: wrong input.
    """
    net = graph if isinstance(graph, Network) else load(graph)
    net = said(net, dialect, dt, settings)
    for repair in net.repairs:
        say(repair)
    checked = check_folder if several else check_report_folder
    folder = None if out is None else checked(Path(out))
    budget = parse_budget(fail_on)
    old = read_baseline(baseline, budget)
    again = command or f"spikeport deploy {net.name} --chip {chip}"
    contract.require_said(net.semantics, again)
    contract.require_dt(net.semantics, again)
    samples = data if isinstance(data, Data) else read_data(_required(data), net, input)
    wants_v = needs_v(decode)
    for name in backends_wanted or ():
        backends.find(name)
    clocked = to_clocked(net)
    if samples.labels is not None:
        membrane = clocked.populations[clocked.output].membrane
        check_decoder(decode, clocked.output, membrane is None or membrane.spiking)
    pieces, labels = samples.samples if stream else None, samples.labels
    shown = {clocked.output} if wants_v else set()
    shown |= {name for name in clocked.outputs.values() if clocked.populations[name].analog}
    return Prepared(
        net, clocked, _streamed(samples) if stream else samples, pieces, labels,
        tuple(f"{name}.v" for name in sorted(shown)), folder, budget, old, decode, allow_skew,
        slow, chips, None if backends_wanted is None else tuple(backends_wanted), lava_samples,
        max_memory, column, timing, command, recipe,
    )  # fmt: skip


def run_reference(given: Prepared, progress: Progress) -> Reference:
    """Run the reference on all samples; what it reaches calibrates every chip's scales."""
    watch = Watch()
    traces: Traces = backends.find("reference").run(
        given.clocked,
        given.data.inputs,
        probe=given.probe,
        watch=watch,
        progress=lambda done, total: progress("reference", done, total),
    )
    return Reference(traces, watch)


def _required(data: object) -> object:
    if data is None:
        raise DataError(
            "there is no data to run", "accuracy and energy are measured on data",
            "add --data DATA.npz with an array x (sample, step, ...)",
        )  # fmt: skip
    return data


def _streamed(data: Data) -> Data:
    """Return all samples joined into one: the state is never reset."""
    joined = {name: x.reshape(1, -1, x.shape[2]) for name, x in data.inputs.items()}
    return Data(joined, None, data.kind)
