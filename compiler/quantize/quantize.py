"""From a retimed `Clocked` to a `Program`: each arithmetic has its way, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.program import Program
from spikeport.compiler.quantize.axon_types.axon_types import quantize_axon_types
from spikeport.compiler.quantize.membranes import quantize_membranes
from spikeport.compiler.quantize.peak import Peaks
from spikeport.compiler.quantize.recipe import Recipe, parse_wish
from spikeport.compiler.quantize.refuse import check_kinds
from spikeport.compiler.quantize.refuse_recipe import check_recipe
from spikeport.compiler.quantize.seen import Seen
from spikeport.compiler.quantize.xylo.xylo import quantize_xylo

Quantize = Callable[[Clocked, Chip, Mapping[str, Peaks], Mapping[str, bool]], Program]

#: `Chip.arithmetic` -> how a network becomes its integers; all others share one way.
ARITHMETICS: Mapping[str, Quantize] = {"axon_types": quantize_axon_types, "xylo": quantize_xylo}


def quantize(
    clocked: Clocked,
    chip: Chip,
    peaks: Mapping[str, Peaks],
    host: Mapping[str, bool],
    recipe: Recipe | None = None,
    seen: Seen | None = None,
) -> Program:
    """Return the Program of a retimed network.

    Args:
        clocked: in the chip's normal form and retimed (`pipeline.for_chip`).
        chip: whose widths are used.
        peaks: per population, from a run of the reference; where one is missing, a bound from
            the weights is used.
        host: inputs with real values -> is the value static over a sample.
        recipe: how; by default as it was trained for this chip, else a scale for each neuron,
            weights to the nearest.
        seen: a run of `clocked` on calibration data, where the recipe looks at outputs.

    Raises:
        LoweringError: something that the chip cannot do, by name and with what would work.
    """
    check_kinds(clocked, chip)
    if chip.arithmetic in ARITHMETICS:
        if recipe is not None:
            raise LoweringError(
                f"{chip.name} takes no recipe",
                f"its arithmetic ({chip.arithmetic}) leaves one way of quantizing, its own",
                "leave out --weights, --scales, --ranges, --rounding, --decays and --correct",
            )
        return ARITHMETICS[chip.arithmetic](clocked, chip, peaks, host)
    recipe = recipe or _as_trained(clocked, chip)
    check_recipe(recipe, clocked, chip, seen is not None)
    return quantize_membranes(clocked, chip, peaks, host, recipe, seen)


def _as_trained(clocked: Clocked, chip: Chip) -> Recipe:
    trained = clocked.trained
    if trained is None or trained.chip != chip.name:
        return Recipe()
    return Recipe({"": parse_wish(trained.weights)})
