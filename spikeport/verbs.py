"""The verbs: load, compile, run, compare, cost, check. Each takes a noun and returns a noun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spikeport.models.neurons  # noqa: F401 - registers the neuron kinds
from spikeport import backends
from spikeport.compiler import semantics as contract
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import ChipError, DataError, LoweringError
from spikeport.compiler.image import Image
from spikeport.compiler.network import Network
from spikeport.compiler.probe import parse_probe
from spikeport.compiler.program import Program
from spikeport.compiler.state import State
from spikeport.compiler.traces import Traces
from spikeport.data import Data, read_data, read_inputs

if TYPE_CHECKING:
    from spikeport.compiler.chip import Chip
    from spikeport.compiler.measure.energy import Cost
    from spikeport.compiler.measure.parity import Parity
    from spikeport.compiler.quantize.recipe import Recipe

#: Backends that run floats, a Network or Clocked; all others run a Program or Image.
FLOAT_BACKENDS = {"reference": "the reference", "brian2": "Brian2"}
Noun = Network | Clocked | Program | Image
Progress = Callable[[int, int], None]


def load(
    path: str | Path,
    dialect: str | None = None,
    dt: float | None = None,
    settings: Iterable[str] = (),
) -> Network:
    """Read a NIR graph and say what its steps mean.

    Args:
        path: a `.nir` file.
        dialect: preset of the tool that the graph comes from; without it the semantics stored
            in the file, if any.
        dt: seconds per step.
        settings: `FIELD=VALUE` or `NODE.FIELD=VALUE`; also neuron parameters that the file lost,
            such as `w_in=10`.

    Raises:
        LoadError: the file is not a readable NIR graph.
        GraphError: the graph is not a network.
        SemanticsError: unknown dialect, field or value.
    """
    from spikeport.compiler.load.nir import read_network

    return said(read_network(Path(path)), dialect, dt, settings)


def write(net: Network, path: str | Path, max_memory: str | int | None = None) -> None:
    """Write a Network as a NIR file, its semantics beside it in the metadata.

    `load` reads it back as it was, without a dialect; other tools read a plain NIR graph.

    Args:
        net: what is written.
        path: of the new file.
        max_memory: most that sparse weights may take as the dense ones that NIR has, in bytes or
            as `2GiB`; four fifths of what is free without it.

    Raises:
        OutputError: something is there already, or the folder is not.
        GraphError: the network holds nodes that NIR does not have.
        MemoryLimit: its sparse weights are too large as dense ones.
    """
    from spikeport.compiler.load.write_nir import write_network
    from spikeport.files import check_file

    write_network(net, check_file(Path(path)), max_memory)


def said(net: Network, dialect: str | None, dt: float | None, settings: Iterable[str]) -> Network:
    """Return the network with what was said of its steps; see `load`."""
    from spikeport.compiler.parameters import say

    if dialect is not None:
        net = net.with_semantics(contract.preset(dialect))
    if dt is not None:
        known = tuple(name for name in net.semantics.assumed if name != "dt")
        parsed = contract.parse_field("dt", dt)
        net = net.with_semantics(replace(net.semantics, dt=parsed, assumed=known))
    return say(net, settings)


def chip(name: str | Path) -> Chip:
    """Return a chip by name or by the path of a YAML file.

    Raises:
        ChipError: unknown, or not a chip description.
    """
    return backends.find_chip(str(name))


def compile(
    net: Network,
    chip: str | Path | Chip = "loihi1",
    calibration: object = None,
    kind: str = "spikes",
    allow_skew: bool = False,
    slow: int = 1,
    chips: int = 1,
    recipe: Recipe | None = None,
) -> Image:
    """Return a network as integers on the cores of a chip.

    Args:
        net: with complete semantics.
        chip: name, path or Chip.
        calibration: data as `read_data` takes it; scales are chosen so that u and v of the
            reference on these samples stay far inside the chip's range. Of a recipe that looks at
            outputs, the first 64 of them.
            Without it a bound from the weights is used.
        kind: `spikes`, `counts` or `current`.
        allow_skew: delay an edge of a loop that cannot be retimed (not exact).
        slow: chip steps per step of the network, where the chip can hold its state (exact).
        chips: how many chips are linked.
        recipe: how weights, scales and thresholds become integers; see `Recipe`.

    Raises:
        LoweringError, FitError: what the chip cannot do or hold, and what would work.
        ChipError: the chip is described by limits alone, or cannot be linked to so many others.
    """
    from spikeport.calibration import calibrate, seen_on
    from spikeport.compiler.chip import Chip
    from spikeport.compiler.pipeline import for_chip, lower, to_clocked

    target = chip if isinstance(chip, Chip) else backends.find_chip(str(chip))
    _check_runs(target)
    clocked = to_clocked(net)
    if calibration is None:
        retimed = for_chip(clocked, target, frozenset(), allow_skew, slow)
        return lower(retimed, target, {}, {}, chips, recipe)
    data = calibration if isinstance(calibration, Data) else read_data(calibration, net, kind)
    retimed = for_chip(clocked, target, frozenset(data.host()), allow_skew, slow)
    seen = seen_on(retimed, data) if recipe is not None and recipe.looks_at_outputs else None
    return lower(retimed, target, calibrate(clocked, data), data.host(), chips, recipe, seen)


def _check_runs(chip: Chip) -> None:
    """Refuse chips without integers to compile to."""
    if chip.arithmetic == "float":
        raise LoweringError(
            f"there is nothing to compile for {chip.name}",
            "a processor runs the float network as it is",
            "run the Network itself: --backend reference",
        )
    if chip.arithmetic == "none":
        raise ChipError(
            f"{chip.name} cannot be compiled for",
            "its description holds limits alone (level rules), no arithmetic",
            f"spikeport check NET --chip {chip.name}",
        )


def run(
    noun: Noun,
    x: object,
    steps: int | None = None,
    state: State | None = None,
    backend: str | None = None,
    probe: Sequence[str] = (),
    kind: str | None = None,
    progress: Progress = lambda done, total: None,
    **options: Any,
) -> Traces:
    """Run a noun and return its Traces; `traces.state` starts the next call.

    Args:
        noun: a Network or Clocked runs on the float reference (or in Brian2), a Program or
            Image on the emulator (or on Lava).
        x: data as `read_data` takes it, or a Data.
        steps: steps to take; by default until the output has answered.
        state: where to go on.
        backend: `reference`, `brian2`, `emulator` or `lava`, where the default is not meant.
        probe: `NAME.v` and `NAME.u` to record, `NAME.v[0,5,8:12]` of some neurons. Lava records
            all.
        kind: what the values of x are; by default spikes, or current where a Program expects
            real values.
        progress: called with (steps done, steps in all).
        options: of the emulator alone: `engine`, `threads`, `count_cores`, `max_memory`, as its
            `run` explains them.

    Raises:
        DataError, SemanticsError, BackendError, MissingError: see their messages.
        MemoryLimit: the emulator would take more memory than is allowed.
    """
    chosen = backends.find(
        backend or ("emulator" if isinstance(noun, Program | Image) else "reference")
    )
    if isinstance(noun, Network):
        from spikeport.compiler.pipeline import to_clocked

        inputs = (x if isinstance(x, Data) else read_data(x, noun, kind or "spikes")).inputs
        noun = to_clocked(noun)
    else:
        inputs = (x if isinstance(x, Data) else _data_for(noun, x, kind)).inputs
    if chosen.NAME in FLOAT_BACKENDS and not isinstance(noun, Clocked):
        raise LoweringError(
            f"{FLOAT_BACKENDS[chosen.NAME]} runs floats, not a Program",
            "a Program holds integers",
            "run the Network, or choose --backend emulator",
        )
    if chosen.NAME not in FLOAT_BACKENDS and isinstance(noun, Clocked):
        raise LoweringError(
            f"{chosen.NAME} runs integers, not a network in floats",
            "it has not been quantized for a chip",
            'compile it first: sp.compile(net, chip="loihi1", calibration=x)',
        )
    given = {name: value for name, value in options.items() if value is not None}
    if given and chosen.NAME != "emulator":
        raise DataError(
            f"--{next(iter(given)).replace('_', '-')} has no effect on {chosen.NAME}",
            "it is the emulator's own",
            "leave it out, or choose --backend emulator",
        )
    inner = noun.program if isinstance(noun, Image) else noun
    sizes = {name: inner.populations[name].size for name in inner.neurons}
    probes = [parse_probe(key, sizes) for key in probe]
    if chosen.NAME == "emulator":
        traces: Traces = chosen.run(
            noun, inputs, steps, state, probe=probe, progress=progress, **given
        )
        return traces
    whole = tuple(dict.fromkeys(f"{each.population}.{each.variable}" for each in probes))
    traces = chosen.run(noun, inputs, steps, state, probe=whole, progress=progress)
    some = {
        each.key: traces.probes[f"{each.population}.{each.variable}"][:, :, each.neurons]
        for each in probes
        if each.neurons is not None
    }
    return replace(traces, probes={**traces.probes, **some}) if some else traces


def _data_for(noun: Clocked | Program | Image, x: object, kind: str | None) -> Data:
    """Return data for a noun without Input nodes: its input populations say the shapes."""
    inner = noun.program if isinstance(noun, Image) else noun
    shapes = {name: inner.populations[name].shape for name in inner.inputs}
    hosted = isinstance(inner, Program) and bool(inner.host)
    return read_inputs(x, shapes, kind or ("current" if hosted else "spikes"))


def compare(expected: Traces, got: Traces, bits: bool = False) -> Parity:
    """Compare two runs: spikes at the lags that both state, or every bit of two integer runs."""
    from spikeport.compiler.measure.parity import compare as compare_spikes
    from spikeport.compiler.measure.parity import compare_bits

    return compare_bits(expected, got) if bits else compare_spikes(expected, got)


def cost(
    image: Image,
    traces: Traces,
    chip: str | Path | Chip | None = None,
    column: str | None = None,
    pieces: int | None = None,
    timing: str | None = None,
    budget: float | None = None,
) -> Cost:
    """Return the energy and time of an emulator run under one cost column, without a second run.

    Args:
        image: where everything is; the run may have been placed otherwise.
        traces: of the run; with `count_cores` it knows which somas were busy in which step.
        chip: whose figures and cores, where not the image's: it must compute with the same
            integers, and the program is placed anew where its cores are other ones.
        column: cost column; the chip's default where None.
        pieces: samples that follow each other without a reset in each sample of a streamed run.
        timing: model of time, `simple` or `detailed`; by default the most that the column has
            figures for.
        budget: seconds that a step may take, to find the cores that do not keep it.

    Raises:
        ChipError: the chip computes otherwise, or has no such column or model.
        FitError: the program does not fit the chip.
    """
    from spikeport.compiler.chip import Chip
    from spikeport.costed import cost_under

    target = chip if chip is None or isinstance(chip, Chip) else backends.find_chip(str(chip))
    return cost_under(image, traces, target, column, pieces, timing, budget)


def check(net: Network, chip: str | Path | Chip = "loihi1", chips: int = 1) -> dict[str, Any]:
    """Return whether a network fits so many chips, without data and without a dialect.

    Counts do not depend on the time step: where dt is unknown, one that suits the network's time
    constants stands in for it. Scales are those of a network that never overflows, so that no
    weight is rounded away.

    Returns:
        {"fits", "chip", "level", "violations", "details", "resources", "notes"}: a sentence for
        each violation; the same as {"object", "what", "figure", "limit", "fix"}; what is used;
        and what is not published, so not checked.

    Raises:
        ChipError: the chip cannot be linked to so many others.
    """
    from spikeport.compiler.chip import Chip
    from spikeport.fit import check_fit

    target = chip if isinstance(chip, Chip) else backends.find_chip(str(chip))
    return check_fit(net, target, chips)
