"""What a network was trained for: a chip, and the scale that each population had there.

Weights that were trained in a chip's integers lie on a grid. Only with the scales of the training
does the quantizer find that grid again, so a network carries them, in its file's metadata too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.errors import LoadError, LoweringError, printable
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.quantize.recipe import parse_wish

KEY = "spikeport.trained"  # of a graph's metadata
PREFIX = "scale."  # of a population's name there


@dataclass(frozen=True, eq=False)
class Trained:
    """The chip of a training in integers.

    Attributes:
        chip: name of the chip.
        scales: population -> weight units per float unit of v, (n,) float64.
        weights: how weights were held, as `recipe.parse_wish` reads it.
    """

    chip: str
    scales: Mapping[str, Array]
    weights: str

    def __post_init__(self) -> None:
        freeze_fields(self)


def to_metadata(trained: Trained) -> dict[str, str]:
    """Return the flat strings that `from_metadata` reads back, to the last bit."""
    scales = {f"{PREFIX}{name}": _text(scale) for name, scale in trained.scales.items()}
    return {"chip": trained.chip, "weights": trained.weights, **scales}


def _text(scale: Array) -> str:
    """Return runs of equal values: `12.5*100 13.5*20`."""
    starts = np.flatnonzero(np.r_[True, scale[1:] != scale[:-1]])
    lengths = np.diff(np.r_[starts, scale.size])
    return " ".join(
        f"{value!r}*{n}" for value, n in zip(scale[starts].tolist(), lengths, strict=True)
    )


def from_metadata(stored: Any, sizes: Mapping[str, int]) -> Trained:
    """Return what a file says.

    Args:
        stored: the group `spikeport.trained` of its metadata.
        sizes: name of every neuron node -> number of neurons.

    Raises:
        LoadError: it is not what `to_metadata` writes, or names no population of this network.
    """
    if not isinstance(stored, Mapping) or not {"chip", "weights"} <= stored.keys():
        raise _damaged("it names no chip, or no bits of weights")
    scales = {}
    for key, text in stored.items():
        name = key.removeprefix(PREFIX)
        if key in ("chip", "weights"):
            continue
        if not key.startswith(PREFIX) or name not in sizes:
            raise _damaged(f"{printable(key)[:60]!r} is the scale of no population here")
        scales[name] = _scale(_said(text), sizes[name], name)
    chip, weights = (printable(_said(stored[key]))[:60] for key in ("chip", "weights"))
    try:
        parse_wish(weights)
    except LoweringError as error:
        raise _damaged(error.what) from None
    return Trained(chip, scales, weights)


def _said(value: Any) -> str:
    value = value.item() if getattr(value, "size", 0) == 1 else value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _scale(text: str, size: int, name: str) -> Array:
    values, lengths = [], []
    for run in text.split():
        value, _, length = run.partition("*")
        try:
            values.append(float(value))
            lengths.append(int(length))
        except ValueError:
            raise _damaged(f"the scale of {name!r} holds {printable(run)[:40]!r}") from None
    good = all(math.isfinite(v) and v > 0 for v in values) and all(n > 0 for n in lengths)
    if not good or sum(lengths) != size:
        raise _damaged(f"the scale of {name!r} is not {size} numbers above 0")
    return np.repeat(np.asarray(values), lengths)


def _damaged(why: str) -> LoadError:
    return LoadError(
        f"the metadata '{KEY}' is damaged", why, "remove it, or write the network again"
    )
