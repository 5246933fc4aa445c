"""What the quantizer is asked for: bits and lists of weights, scales, rounding, corrections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from spikeport.compiler.errors import LoweringError

LISTS = ("one", "row", "sign", "size", "sign-size")
SCALES = ("population", "neuron")
RANGES = ("largest", "percentile", "mse", "output", "raster")
ROUNDINGS = ("nearest", "output")
DECAYS = ("nearest", "gain")

_FORM = re.compile(r"(\d+)(?:\+(\d+)(?:@(\d*\.?\d+))?)?(?::([a-z-]+))?")


def _check_known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise LoweringError(
            f"unknown {name} {value!r}", f"known are {', '.join(known)}", f"--{name} {known[0]}"
        )


@dataclass(frozen=True)
class Wish:
    """How the weights of a projection are held.

    Attributes:
        bits: of a weight; of each of its two synapses, where it is split: the second holds what
            the first rounds away, with an exponent of its own. 0: as many as the chip has.
        lists: which weights share an exponent: all (`one`), those that end in one neuron (`row`),
            or those of one `sign` (8 bits each then, without one for the sign), of like `size`,
            or both. Weights of different exponents are in synapse lists of their own; each weight
            is still one synapse.
        share: of the neurons whose weights are split: those that gain most.
    """

    bits: tuple[int, ...] = (0,)
    lists: str = "one"
    share: float = 1.0

    @property
    def is_split(self) -> bool:
        """Does a weight take two synapses."""
        return len(self.bits) > 1

    def __str__(self) -> str:
        first, *more = (str(each) for each in self.bits)
        second = f"+{more[0]}" if more else ""
        some = f"@{self.share:g}" if more and self.share < 1 else ""
        return first + second + some + (f":{self.lists}" if self.lists != "one" else "")


@dataclass(frozen=True)
class Recipe:
    """How a network becomes integers; see `docs/quantize.md` for what each choice costs.

    Attributes:
        weights: projection -> Wish, "" for all that are not named.
        scales: one for each `population`, or for each `neuron` (its threshold takes it up; as
            many different ones as a core has thresholds).
        ranges: what the weights that a scale is chosen for are: the `largest` fits, or all but
            one in a thousand (`percentile`); or the scale with the smallest error of the weights
            (`mse`), of what they add to v (`output`), or with the fewest spikes that differ
            (`raster`), the last two on calibration data.
        rounding: of weights: to the `nearest`, or so that errors cancel in the `output`, on
            calibration data.
        decays: the `nearest` fields, or those that with a `gain` of the weights follow the
            impulse response best.
        correct: shift thresholds, and biases where there are any, so that the spikes of the
            calibration data agree best.
    """

    weights: Mapping[str, Wish] = field(default_factory=dict)
    scales: str = "neuron"
    ranges: str = "mse"
    rounding: str = "nearest"
    decays: str = "nearest"
    correct: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("scales", SCALES), ("ranges", RANGES), ("rounding", ROUNDINGS), ("decays", DECAYS)
        ):  # fmt: skip
            _check_known(name, getattr(self, name), known)

    @property
    def looks_at_outputs(self) -> bool:
        """Does it need what the network does on calibration data, not only how far it goes."""
        return self.ranges in ("output", "raster") or self.rounding == "output" or self.correct

    def wish(self, projection: str) -> Wish:
        """Return how the weights of a projection are held."""
        return self.weights.get(projection, self.weights.get("", Wish()))

    def with_wish(self, projection: str, wish: Wish) -> Recipe:
        """Return the recipe with another wish for one projection ("": for all not named)."""
        return replace(self, weights={**self.weights, projection: wish})


#: A scale for each population and plain rounding: the least that a chip can be asked for.
PLAIN = Recipe(scales="population", decays="nearest")


def parse_wish(text: str) -> Wish:
    """Return the Wish that a text such as `8`, `4:sign`, `8+8`, `8+8@0.25` says.

    Raises:
        LoweringError: it says none.

    >>> parse_wish("8+8@0.25:sign")
    Wish(bits=(8, 8), lists='sign', share=0.25)
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise LoweringError(
            f"no way of holding weights: {text!r}", "it is BITS[+BITS[@SHARE]][:LISTS]",
            "write 8, 4:sign, 8+8 or 8+8@0.25:sign-size",
        )  # fmt: skip
    first, second, share, lists = found.groups()
    wish = Wish(
        tuple(int(each) for each in (first, second) if each),
        lists or "one",
        float(share) if share else 1.0,
    )
    if wish.lists not in LISTS:
        raise LoweringError(
            f"no way of holding weights: {text!r}",
            f"lists are {', '.join(LISTS)}",
            "write 8:size or 8:sign-size",
        )
    if not all(1 <= each <= 32 for each in wish.bits) or not 0 < wish.share <= 1:
        raise LoweringError(
            f"no way of holding weights: {text!r}",
            "bits are 1 to 32, a share above 0, up to 1",
            "write 8 or 8+8@0.25",
        )
    return wish
