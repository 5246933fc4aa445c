"""One recipe tried: quantized, placed, run on data, and held against the float reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from spikeport import backends
from spikeport.calibration import calibrate, seen_on
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import FitError, LoweringError
from spikeport.compiler.fabric import Lists
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.decode import needs_v, predictions
from spikeport.compiler.measure.parity import Parity, compare
from spikeport.compiler.pipeline import lower
from spikeport.compiler.place.counts import lists_in, marks
from spikeport.compiler.place.lists.memory import list_bits
from spikeport.compiler.program import Program
from spikeport.compiler.quantize.quantize import quantize
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.quantize.seen import Seen
from spikeport.compiler.traces import Traces
from spikeport.data import Data
from spikeport.prepared import Prepared

FEW = 2e9  # weights times steps and samples of one trial, beyond which it runs fewer samples
FEWEST = 8  # samples


@dataclass(frozen=True, eq=False)
class Trial:
    """What a recipe costs, and what is left of the network.

    Attributes:
        recipe: None where the chip takes none.
        memory: bits of synaptic memory, by the chip's formula; of a chip without one, the bits
            of all weights that are not zero.
        synapses, cores: how many.
        agreement: population -> share of its cells that are as in the reference.
        accuracy: None without labels.
        classes: samples with the reference's class; None where no class can be read.
        samples: that it ran.
        errors: projection -> root mean square of its weights' errors over that of the weights.
        parity: everything else that was compared.
        overflows: population -> cells that left their bits.
    """

    recipe: Recipe | None
    memory: int
    synapses: int
    cores: int
    agreement: Mapping[str, float]
    accuracy: float | None
    classes: int | None
    samples: int
    errors: Mapping[str, float]
    parity: Parity = field(repr=False)
    overflows: Mapping[str, int]

    @property
    def worst(self) -> tuple[str, float]:
        """The population that agrees least, and its share; none, 1.0 where none spikes."""
        return min(self.agreement.items(), key=lambda item: item[1], default=("", 1.0))


@dataclass(frozen=True, eq=False)
class _Ideal:
    """A run of the reference."""

    traces: Traces
    classes: Array | None


class Bench:
    """A network, a chip and data, on which recipes are tried."""

    def __init__(
        self, given: Prepared, chip: Chip, retimed: Clocked, calibration: Data, wants_seen: bool
    ) -> None:
        """Run the reference on calibration data; `some` of its samples are what trials run.

        Args:
            given: the network, and the data that what was found is measured on (`final`).
            chip: the target.
            retimed: the network with its delays.
            calibration: data that scales, roundings and recipes are chosen on.
            wants_seen: must a run be kept for recipes that look at outputs.

        Raises:
            DataError: `wants_seen`, and the calibration data says nothing of roundings.
        """
        self.given, self.chip, self.retimed = given, chip, retimed
        self.peaks = calibrate(given.clocked, calibration)
        self.seen: Seen | None = seen_on(retimed, calibration) if wants_seen else None
        weights = sum(each.matrix.size for each in retimed.projections)
        affordable = int(FEW / max(1, weights * given.data.steps))
        few = max(FEWEST, affordable)
        same = calibration is given.data
        self.final = given.data
        self.some = self.final if same and few >= self.final.samples else calibration.first(few)
        self._ideals: dict[int, _Ideal] = {}

    @property
    def projections(self) -> tuple[str, ...]:
        """Names of what has weights on the chip, those with most first."""
        found = [p for p in self.retimed.projections if p.pre not in self.given.data.host()]
        return tuple(p.name for p in sorted(found, key=lambda p: -p.matrix.size))

    def image(self, recipe: Recipe | None) -> Image:
        """Return the network as a recipe makes it.

        Raises:
            LoweringError, FitError: the recipe cannot be followed, or does not fit.
        """
        host = self.given.data.host()
        return lower(self.retimed, self.chip, self.peaks, host, self.given.chips, recipe, self.seen)

    def attempt(self, recipe: Recipe) -> tuple[Trial, Image] | None:
        """Return a trial on `some` data; None where the recipe cannot be followed or fitted."""
        try:
            image = self.image(recipe)
        except (LoweringError, FitError):
            return None
        return self.measure(image, recipe, self.some), image

    def weights(self, recipe: Recipe) -> tuple[dict[str, float], dict[str, int]]:
        """Return each projection's relative error and bits of its weights, without placing.

        Raises:
            LoweringError: the recipe cannot be followed.
        """
        host = self.given.data.host()
        program = quantize(self.retimed, self.chip, self.peaks, host, recipe, self.seen)
        bits: dict[str, int] = {}
        for each in program.synapses:
            known = bits.get(each.projection, 0)
            bits[each.projection] = known + each.count * each.weight_bits
        return errors_of(program), bits

    def measure(
        self,
        image: Image,
        recipe: Recipe | None,
        data: Data,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Trial:
        """Return what an image costs, and does on `some` or the `final` data."""
        ideal, given = self._ideal(data), self.given
        ran = backends.find("emulator").run(
            image, data.inputs, probe=given.probe, progress=progress,
            max_memory=given.max_memory,
        )  # fmt: skip
        parity = compare(ideal.traces, ran)
        classes = None if ideal.classes is None else predictions(ran, given.decode)
        right = None
        if classes is not None and data.labels is not None:
            right = float(np.mean(classes == data.labels))
        return Trial(
            recipe,
            memory_of(image),
            int(image.resources["synapses"]),
            int(image.resources["cores"]),
            {
                name: 1 - each.different / each.cells
                for name, each in parity.populations.items()
                if each.cells
            },
            right,
            None if classes is None else int(np.count_nonzero(classes == ideal.classes)),
            data.samples,
            errors_of(image.program),
            parity,
            {name: cells for name, cells in ran.extra["overflows"].items() if cells},
        )

    def accuracy(self, data: Data) -> float | None:
        """Return the float reference's accuracy on `some` or the `final` data; None: no labels."""
        classes = self._ideal(data).classes
        if classes is None or data.labels is None:
            return None
        return float(np.mean(classes == data.labels))

    def _ideal(self, data: Data) -> _Ideal:
        if id(data) not in self._ideals:
            given = self.given
            traces = backends.find("reference").run(given.clocked, data.inputs, probe=given.probe)
            readable = needs_v(given.decode) or traces.output in traces.spikes
            classes = predictions(traces, given.decode) if readable else None
            self._ideals[id(data)] = _Ideal(traces, classes)
        return self._ideals[id(data)]


def errors_of(program: Program) -> dict[str, float]:
    """Return the relative error of each projection's weights."""
    return {
        row["object"]: float(row["relative"]) for row in program.losses if row["what"] == "weights"
    }


def memory_of(image: Image) -> int:
    """Return an image's bits of synaptic memory; see `Trial.memory`."""
    known = image.resources.get("synaptic_memory_bits")
    return int(known) if known else sum(memory_by_projection(image).values())


def memory_by_projection(image: Image) -> dict[str, int]:
    """Return how many bits the weights of each projection take, all of their lists together."""
    core = image.chip.core
    counted = isinstance(core, Lists) and core.synaptic_memory_bits is not None
    held: dict[str, int] = {}
    for each in image.program.synapses:
        bits = each.count * each.weight_bits
        if counted and isinstance(core, Lists):
            parts = [part.neurons for part in image.slices if part.population == each.post]
            sizes = np.array([part.size for part in parts])
            bounds = np.append(0, np.cumsum(sizes)).tolist()
            ones = marks(each.stored, int(sizes.max(initial=1)))
            found = lists_in(ones, np.concatenate(parts), bounds)
            delayed = each.delay_steps > 1
            bits = int(
                list_bits(found.data, found.indptr, sizes, each.weight_bits, delayed, core)[0].sum()
            )
        held[each.projection] = held.get(each.projection, 0) + bits
    return held
