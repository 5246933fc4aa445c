"""What a recipe asks for and a chip, or the network, does not have."""

from __future__ import annotations

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import LoweringError, nearest
from spikeport.compiler.fabric import Lists
from spikeport.compiler.quantize.arithmetic import LOIHI
from spikeport.compiler.quantize.recipe import Recipe, Wish


def check_recipe(recipe: Recipe, clocked: Clocked, chip: Chip, seen: bool) -> None:
    """Refuse a recipe that cannot be followed.

    Args:
        recipe: what was asked for.
        clocked: the retimed network.
        chip: the target.
        seen: is there a run on calibration data.

    Raises:
        LoweringError: what cannot be done, and what can.
    """
    names = {each.name for each in clocked.projections}
    for name, wish in recipe.weights.items():
        if name and name not in names:
            raise LoweringError(
                f"there are no weights {name!r}",
                f"projections are {', '.join(sorted(names)[:8])}",
                f"--weights {nearest(name, sorted(names))}={wish}",
            )
        _check_wish(name, wish, chip)
        _check_graded(name, wish, clocked)
    if recipe.looks_at_outputs and not seen:
        raise LoweringError(
            "the recipe looks at what the network does on data, and there is none",
            "rounding=output, ranges=output or raster, and correct need calibration data",
            "--data DATA.npz, or sp.compile(net, chip, calibration=x, recipe=recipe)",
        )


def _check_graded(name: str, wish: Wish, clocked: Clocked) -> None:
    for each in clocked.projections:
        graded = clocked.populations[each.pre].signal == "analog"
        if each.name == name and graded and (wish.is_split or wish.lists != "one"):
            raise LoweringError(
                f"the weights {name!r} cannot be in several lists ({wish})",
                f"{each.pre!r} sends values, and their sums have one exponent",
                f"--weights {name}={wish.bits[0]}",
            )


def _check_wish(name: str, wish: Wish, chip: Chip) -> None:
    most = chip.limits.weight_bits.whole
    whose = f"the weights {name!r}" if name else "the weights"
    held = [k for k in range(1, most + 1) if k != 7 or chip.arithmetic not in LOIHI]
    for bits in wish.bits:
        if bits and bits not in held:
            raise LoweringError(
                f"{whose} cannot have {bits} bits",
                f"{chip.name} holds {', '.join(map(str, held))}",
                f"--weights {name}{'=' if name else ''}{most}",
            )
    if (wish.is_split or wish.lists != "one") and not isinstance(chip.core, Lists):
        raise LoweringError(
            f"{whose} cannot be in several lists ({wish})",
            f"a core of {chip.name} holds one weight for a pair of neurons",
            f"--weights {name}{'=' if name else ''}{wish.bits[0] or most}",
        )
    if "sign" in wish.lists and chip.arithmetic not in LOIHI:
        raise LoweringError(
            f"{whose} cannot be in lists by sign",
            f"{chip.name} has one format of weights, with a sign",
            f"--weights {name}{'=' if name else ''}{wish.bits[0] or most}:size",
        )
