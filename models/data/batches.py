"""Batches of a split, the same ones whenever the same numbers are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError, counted
from spikeport.compiler.kinds import Array
from spikeport.models.data.augment import check_shift, shifted
from spikeport.models.data.dataset import Split
from spikeport.models.data.encode import encode


def batches(
    split: Split,
    batch: int,
    *,
    encoder: str | None = None,
    steps: int | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    epoch: int = 0,
    first: int = 0,
    shuffle: bool = True,
    shift: int = 0,
) -> Iterator[tuple[Array, Array]]:
    """Yield batches of input and labels.

    Batch number b depends on (seed, epoch, b) and the batch size alone, so that training goes on
    in the middle of an epoch bit for bit: `first` leaves out those before it without reading
    them. Shuffled, an epoch has whole batches only; otherwise all samples come in their order,
    the last batch may be smaller.

    Args:
        split: of a data set.
        batch: samples in a batch.
        encoder: of ENCODERS, for a split of still values; a timed one takes none.
        steps: to encode into; None is a timed split's own number.
        options: of the encoder.
        seed, epoch: whole numbers from 0.
        first: number of the first batch to yield.
        shuffle: in another order in each epoch.
        shift: images of still values are moved by up to so many pixels, see `augment.py`.

    Yields:
        x (k, steps, n), samples flattened in C order: uint8, float32 for direct current; and
        int64 labels (k,).

    Raises:
        DataError: an encoder missing, unknown or not needed, steps that the split does not have,
            or fewer samples than a whole batch.
    """
    _check(split, batch, encoder, steps, options or {}, shuffle)
    for name, number in {"seed": seed, "epoch": epoch, "first": first}.items():
        if number < 0:
            raise DataError(f"{name} is {number}", fix=f"give a {name} from 0")
    check_shift(() if split.timed and shift else split.shape, shift)
    return _batches(
        split, batch, encoder, steps, dict(options or {}), seed, epoch, first, shuffle, shift
    )


def _batches(
    split: Split,
    batch: int,
    encoder: str | None,
    steps: int | None,
    options: dict[str, Any],
    seed: int,
    epoch: int,
    first: int,
    shuffle: bool,
    shift: int,
) -> Iterator[tuple[Array, Array]]:
    order = np.arange(len(split))
    if shuffle:
        order = np.random.default_rng([seed, epoch, 0]).permutation(order)
        order = order[: len(order) // batch * batch]
    for number in range(first, -(-len(order) // batch)):
        indices = order[number * batch : (number + 1) * batch]
        x = split.read(indices)
        if encoder is not None and steps is not None:
            # 0 ordered the epoch, so that batches begin at 1.
            rng = np.random.default_rng([seed, epoch, 1 + number])
            if shift:
                x = shifted(x, shift, rng)
            x = encode(encoder, x, steps, rng, **options)
        yield x.reshape(len(x), x.shape[1], -1), split.labels[indices]


def _check(
    split: Split,
    batch: int,
    encoder: str | None,
    steps: int | None,
    options: Mapping[str, Any],
    shuffle: bool,
) -> None:
    if batch < 1:
        raise DataError(f"a batch of {batch} samples", fix="give a batch size from 1")
    if shuffle and len(split) < batch:
        raise DataError(
            f"no whole batch of {batch} samples",
            f"the split has {counted(len(split), 'sample')}",
            f"use a batch size up to {len(split)}",
        )
    if not split.timed:
        if encoder is None or steps is None:
            raise DataError(
                "still values need an encoder and steps", fix="encoder='bernoulli', steps=25"
            )
        # Unknown names are told before the first batch is asked for, on no sample.
        encode(encoder, np.zeros((0, *split.shape)), steps, np.random.default_rng(0), **options)
        return
    if encoder is not None:
        raise DataError(
            f"the encoder {encoder!r} is not needed", "the samples are spikes", "leave it out"
        )
    if steps not in (None, split.shape[0]):
        raise DataError(
            f"the samples have {counted(split.shape[0], 'step')}, not {steps}",
            "they were binned when the data set was opened",
            f"open the data set with steps={steps}, or leave steps out",
        )
