"""A training recipe: everything that decides what comes out of a training, as one frozen value.

`docs/training.md` says what each choice does; the formulas are in `losses.py`, `regularisers.py`
and `optimiser.py`. Nothing here computes anything, and nothing needs jax.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1, lt=1 << 31)]
Above = Annotated[float, Field(gt=0, le=1e9)]
NotBelow = Annotated[float, Field(ge=0, le=1e9)]
Name = Annotated[str, Field(min_length=1, max_length=400)]
Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Options = Mapping[str, Any]
Learned = Literal["weights", "biases", "tau", "thresholds", "delays"]


def _named(value: Any) -> Any:
    """A name alone stands for that thing with its default options."""
    return {"name": value} if isinstance(value, str) else value


class Part(BaseModel):
    """A part of a recipe: unknown keys and numbers in quotes are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class NetworkPart(Part):
    """A network of `models/networks` with its sizes as `options`, or the path of a .nir file."""

    name: Name
    options: Options = Field(default_factory=dict)


class DataPart(Part):
    """Which data set; `options` are those of its reader in `models/data`.

    Images to learn from are moved by up to `shift` pixels, another way in each epoch.
    """

    name: Name
    folder: Name | None = None
    options: Options = Field(default_factory=dict)
    shift: Annotated[int, Field(ge=0)] = 0


class EncoderPart(Part):
    """How still values become spikes; `options` are those of the encoder."""

    name: str
    options: Options = Field(default_factory=dict)


class Constant(Part):
    """The learning rate stays."""

    name: Literal["constant"]


class Cosine(Part):
    """The learning rate falls to the share `end` of itself along half a cosine."""

    name: Literal["cosine"]
    end: Share = 0.0


class WarmupCosine(Part):
    """The learning rate rises from 0 during `warmup` epochs, then falls as `cosine`."""

    name: Literal["warmup_cosine"]
    warmup: Count = 1
    end: Share = 0.0


class Stairs(Part):
    """The learning rate is multiplied with `factor` every `every` epochs."""

    name: Literal["step"]
    every: Count
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1


Schedule = Annotated[
    Annotated[Constant | Cosine | WarmupCosine | Stairs, Field(discriminator="name")],
    BeforeValidator(_named),
]


class OptimiserPart(Part):
    """How parameters move; see `optimiser.py`."""

    name: Literal["adam", "adamw", "sgd", "rmsprop", "lion"] = "adam"
    rate: Above = 1e-3
    schedule: Schedule = Constant(name="constant")
    weight_decay: NotBelow = 0.0
    clip: Above | None = None
    times: Mapping[Learned, Above] = Field(default_factory=dict)
    momentum: Share = 0.0

    @model_validator(mode="after")
    def _fits(self) -> OptimiserPart:
        if self.weight_decay and self.name == "adam":
            raise ValueError("adam has no weight_decay: choose adamw")
        if self.momentum and self.name != "sgd":
            raise ValueError("momentum is for sgd")
        return self


class RateLoss(Part):
    """Cross entropy of spike counts."""

    name: Literal["rate"]
    scale: Above = 1.0
    smoothing: Share = 0.0


class CountTargetLoss(Part):
    """Squared distance of firing rates, in spikes per step, from two targets."""

    name: Literal["count_target"]
    right: NotBelow = 0.8
    wrong: NotBelow = 0.05


class MembraneLoss(Part):
    """Cross entropy of v."""

    name: Literal["membrane"]
    of: Literal["last", "max", "mean"] = "max"
    scale: Above = 1.0
    smoothing: Share = 0.0


class FirstSpikeLoss(Part):
    """Cross entropy of the times to the first spike, negated."""

    name: Literal["ttfs"]
    scale: Above = 1.0
    smoothing: Share = 0.0


class VanRossumLoss(Part):
    """Distance from target trains: a spike of the label's neuron in every `period`-th step."""

    name: Literal["van_rossum"]
    tau: Above = 5.0
    period: Count = 4


Loss = Annotated[
    Annotated[
        RateLoss | CountTargetLoss | MembraneLoss | FirstSpikeLoss | VanRossumLoss,
        Field(discriminator="name"),
    ],
    BeforeValidator(_named),
]


class SurrogatePart(Part):
    """What stands in for the slope of a spike; see `surrogate.py`."""

    name: Literal["fast_sigmoid", "arctan", "triangle"] = "fast_sigmoid"
    slope: Above | None = None


class RateBounds(Part):
    """Firing rates of hidden neurons, in spikes per step, are kept between two bounds."""

    weight: NotBelow
    low: NotBelow = 0.0
    high: NotBelow = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> RateBounds:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class FewOperations(Part):
    """Synaptic operations cost something."""

    weight: NotBelow


class Regularise(Part):
    """What is added to the loss."""

    rate: RateBounds | None = None
    synops: FewOperations | None = None


class QuantizePart(Part):
    """From which epoch on (0 is the first) the forward pass has a chip's integers.

    `weights` is a wish as `spikeport quantize --weights` takes it, such as `4` or `8:sign`.
    """

    chip: Name
    weights: Name | None = None
    from_epoch: Annotated[int, Field(ge=0)] = 0


class TrainingRecipe(Part):
    """Everything that decides what comes out of a training; times in epochs, rates per step.

    The test split is run after every `test_every`-th epoch and after the last.
    """

    network: Annotated[NetworkPart, BeforeValidator(_named)]
    data: Annotated[DataPart, BeforeValidator(_named)]
    encoder: Annotated[EncoderPart | None, BeforeValidator(_named)] = None
    steps: Count | None = None
    epochs: Count
    test_every: Count = 1
    batch: Count = 64
    seed: Annotated[int, Field(ge=0)] = 0
    learn: tuple[Learned, ...] = ("weights", "biases")
    optimiser: Annotated[OptimiserPart, BeforeValidator(_named)] = OptimiserPart()
    loss: Loss = RateLoss(name="rate")
    surrogate: Annotated[SurrogatePart, BeforeValidator(_named)] = SurrogatePart()
    regularise: Regularise = Regularise()
    decode: Literal["count", "ttfs", "mem_last", "mem_max", "mem_mean"] = "count"
    quantize: QuantizePart | None = None
    precision: Literal["float32", "float64"] = "float32"

    @model_validator(mode="after")
    def _fits(self) -> TrainingRecipe:
        if not self.learn:
            raise ValueError("learn is empty: name what shall change, such as weights")
        if self.quantize is not None and self.quantize.from_epoch >= self.epochs:
            raise ValueError(
                f"quantize begins with epoch {self.quantize.from_epoch}, and the last one is "
                f"{self.epochs - 1}"
            )
        warmup = getattr(self.optimiser.schedule, "warmup", 0)
        if warmup >= self.epochs and warmup:
            raise ValueError(f"a warmup of {warmup} epochs leaves none of {self.epochs}")
        return self

    def plain(self) -> dict[str, Any]:
        """Return plain values, as the card and the checkpoint hold them."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides what comes out; where the data lies does not."""
        return hashlib.sha256(
            json.dumps(decisive(self.plain()), sort_keys=True).encode()
        ).hexdigest()


def decisive(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain recipe without what differs from machine to machine, or only looks on."""
    whole = {key: value for key, value in plain.items() if key != "test_every"}
    return {**whole, "data": {k: v for k, v in plain["data"].items() if k != "folder"}}
