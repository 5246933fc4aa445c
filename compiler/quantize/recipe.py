"""What the quantizer is asked for: bits and lists of weights, scales, rounding, corrections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

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

    def __post_init__(self) -> None:
        whole = isinstance(self.bits, tuple) and all(type(each) is int for each in self.bits)
        if not whole or len(self.bits) not in (1, 2) or not all(0 <= n <= 32 for n in self.bits):
            raise _no_way(self.bits, "bits are one or two whole numbers, 1 to 32")
        if self.lists not in LISTS:
            raise _no_way(self.lists, f"lists are {', '.join(LISTS)}")
        if not 0 < self.share <= 1:
            raise _no_way(self.share, "a share is above 0, and 1 at most")

    @property
    def is_split(self) -> bool:
        """Does a weight take two synapses."""
        return len(self.bits) > 1

    def __str__(self) -> str:
        first, *more = (str(each) for each in self.bits)
        second = f"+{more[0]}" if more else ""
        share = np.format_float_positional(self.share, trim="-")
        some = f"@{share}" if more and self.share < 1 else ""
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
        wishes = self.weights.values() if isinstance(self.weights, Mapping) else (None,)
        if not all(isinstance(each, Wish) for each in wishes):
            raise LoweringError(
                "the weights of a recipe are no wishes",
                "they map the names of projections to a Wish each",
                'write Recipe({"": parse_wish("8+8")})',
            )

    @property
    def looks_at_outputs(self) -> bool:
        """Does it need what the network does on calibration data, not only how far it goes."""
        return self.ranges in ("output", "raster") or self.rounding == "output" or self.correct

    def wish(self, projection: str) -> Wish:
        """Return how the weights of a projection are held."""
        return self.weights.get(projection, self.weights.get("", Wish()))


def parse_wish(text: str) -> Wish:
    """Return the Wish that a text such as `8`, `4:sign`, `8+8`, `8+8@0.25` says.

    Raises:
        LoweringError: it says none.

    >>> parse_wish("8+8@0.25:sign")
    Wish(bits=(8, 8), lists='sign', share=0.25)
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise _no_way(text, "it is BITS[+BITS[@SHARE]][:LISTS]")
    first, second, share, lists = found.groups()
    return Wish(
        tuple(int(each) for each in (first, second) if each),
        lists or "one",
        float(share) if share else 1.0,
    )


def _no_way(said: object, why: str) -> LoweringError:
    return LoweringError(
        f"no way of holding weights: {said!r}", why, "write 8, 4:sign, 8+8 or 8+8@0.25:sign-size"
    )
