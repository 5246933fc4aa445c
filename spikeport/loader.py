"""Batches, as a DataLoader hands them out, as data for a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Input, Network, Shape
from spikeport.data import Data, read_inputs

ENCODINGS = ("constant", "rate")


def data_from(
    loader: Iterable[Any],
    network: Network,
    *,
    time_axis: int | None = None,
    encode: str | None = None,
    steps: int | None = None,
    kind: str = "spikes",
    samples: int | None = None,
    seed: int = 0,
) -> Data:
    """Return the samples of a loader, for `deploy`, `run` or `compile`.

    Args:
        loader: yields batches: x, or (x, labels). x is a tensor or array, (batch, ...) for
            images, or with a time axis among its first two; a tuple or a mapping of them for a
            network of several inputs.
        network: says the shapes; an axis of 1, or one that was flattened, may differ.
        time_axis: 0 for (time, batch, ...), 1 for (batch, time, ...). Without it the number of
            labels decides, where only one axis has it.
        encode: how images become spikes: `rate` (a pixel of 0 to 1 spikes with that probability
            in each step) or `constant` (it is a current, the same in each step).
        steps: how many steps an image is shown.
        kind: what values in time are: `spikes`, `counts` or `current`.
        samples: how many to take at most; by default all.
        seed: of `rate`.

    Raises:
        DataError: the shape does not fit, values are not of the kind, or something has to be
            said that cannot be seen.
    """
    shapes = {name: network.nodes[name].shape for name in network.of_type(Input)}
    taken: dict[str, list[Array]] = {name: [] for name in shapes}
    labels: list[Array] = []
    batches = _batches(loader, shapes, samples)
    timed = [_has_time(x, shapes[n], n, time_axis) for xs, _ in batches for n, x in xs.items()]
    if len(set(timed)) != 1:
        raise DataError(
            "the loader has no batches" if not timed else "only some of the batches have time",
            "every sample needs the same axes",
            "look at next(iter(loader))",
        )
    axis = _time_axis(batches, time_axis) if timed[0] else None
    if axis is None:
        kind = _check_encoding(encode, steps)
    elif encode is not None or steps is not None:
        raise DataError(
            "the data have a time axis already",
            f"it is axis {axis}, so there is nothing to encode",
            "leave encode= and steps= out",
        )
    rng = np.random.default_rng(seed)
    for xs, y in batches:
        for name, x in xs.items():
            in_time = (
                _shown(x, encode, steps or 0, rng) if axis is None else np.moveaxis(x, axis, 1)
            )
            taken[name].append(in_time.reshape(*in_time.shape[:2], *shapes[name]))
        if y is not None:
            labels.append(y)
    arrays: dict[str, Any] = {
        f"x.{name}": _joined(parts)[:samples] for name, parts in taken.items()
    }
    if labels:
        arrays["labels"] = np.concatenate(labels)[:samples]
    return read_inputs(arrays, shapes, kind, "kind=")


def _batches(
    loader: Iterable[Any], shapes: dict[str, Shape], samples: int | None
) -> list[tuple[dict[str, Array], Array | None]]:
    """Return ({input: x}, labels) per batch, as many as are needed."""
    found: list[tuple[dict[str, Array], Array | None]] = []
    seen = 0
    for batch in loader:
        x, y = batch if isinstance(batch, tuple | list) and len(batch) == 2 else (batch, None)
        xs = x if isinstance(x, dict) else dict(zip(shapes, _as_tuple(x, len(shapes)), strict=True))
        labels = None if y is None else _array(y).reshape(-1)
        found.append(({name: _array(xs[name]) for name in shapes}, labels))
        extents = next(iter(found[-1][0].values())).shape[:2]
        seen += min(extents, default=0) if labels is None else labels.size
        if samples is not None and seen >= samples:
            break
    return found


def _as_tuple(x: Any, wanted: int) -> tuple[Any, ...]:
    parts = tuple(x) if isinstance(x, tuple | list) else (x,)
    if len(parts) != wanted:
        raise DataError(
            f"a batch has {len(parts)} inputs, the network {wanted}",
            "",
            "let the loader yield ((x1, x2, ...), labels), in the order of the inputs",
        )
    return parts


def _array(value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _has_time(x: Array, shape: Shape, name: str, time_axis: int | None) -> bool:
    """Has a batch a time axis beside that of the samples.

    Raises:
        DataError: it fits neither way.
    """
    size = math.prod(shape)
    if time_axis is None and x.ndim > 1 and math.prod(x.shape[1:]) == size:
        return False
    if x.ndim > 2 and math.prod(x.shape[2:]) == size:
        return True
    raise DataError(
        f"a batch of {name!r} has the shape {x.shape}",
        f"the network takes {shape} in a step: (batch, {', '.join(map(str, shape))}) or with time "
        "as one of the first two axes",
        "reshape or transpose it in the loader",
    )


def _time_axis(batches: list[tuple[dict[str, Array], Array | None]], stated: int | None) -> int:
    """Return which of the first two axes is time.

    Raises:
        DataError: it was not said, and the labels do not show it.
    """
    if stated in (0, 1):
        return int(stated)
    possible = {0, 1}
    for xs, labels in batches:
        for x in xs.values():
            if labels is not None:
                possible &= {axis for axis in (0, 1) if x.shape[1 - axis] == labels.size}
    if stated is None and len(possible) == 1:
        return possible.pop()
    shape = next(iter(batches[0][0].values())).shape
    raise DataError(
        f"which axis of {shape} is time"
        + (" is not said" if stated is None else f" is 0 or 1, not {stated}"),
        "the number of labels fits both axes, or there are none"
        if possible
        else "no axis has as many entries as there are labels",
        "say time_axis=0 for (time, batch, ...) or time_axis=1 for (batch, time, ...)",
    )


def _check_encoding(encode: str | None, steps: int | None) -> str:
    """Return the kind of what an encoding makes.

    Raises:
        DataError: not said how images are shown, or for how long.
    """
    if encode not in ENCODINGS or steps is None or steps < 1:
        raise DataError(
            "the data have no time axis"
            + (
                f", and encode={encode!r}, steps={steps} do not say how they are shown"
                * bool(encode)
            ),
            "a spiking network is shown something in every step",
            "add steps=25 and encode='rate' (pixels of 0 to 1 become spikes) or encode='constant' "
            "(they are a current), as the network was trained",
        )
    return "current" if encode == "constant" else "spikes"


def _shown(x: Array, encode: str | None, steps: int, rng: np.random.Generator) -> Array:
    """Return images over time, (samples, steps, ...).

    Raises:
        DataError: values that are no probabilities.
    """
    if encode == "constant":
        return np.repeat(x[:, None].astype(float), steps, axis=1)
    if not ((x >= 0) & (x <= 1)).all():
        raise DataError(
            f"values from {x.min():g} to {x.max():g} are no probabilities",
            "encode='rate' lets a value spike that often, so it is between 0 and 1",
            "scale them in the loader, or use encode='constant'",
        )
    shape = (x.shape[0], steps, *x.shape[1:])
    return (rng.random(shape) < x[:, None]).astype(np.uint8)


def _joined(parts: list[Array]) -> Array:
    """Return all batches as one array.

    Raises:
        DataError: they have different numbers of steps.
    """
    lengths = sorted({part.shape[1] for part in parts})
    if len(lengths) > 1:
        raise DataError(
            f"the batches have from {lengths[0]} to {lengths[-1]} steps",
            "all samples of a run are stepped together",
            "pad them with zeros to one length in the loader's collate_fn",
        )
    return np.concatenate(parts)
