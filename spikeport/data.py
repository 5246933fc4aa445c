"""Recorded inputs and labels: read, checked, brought to (samples, steps, n)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Input, Network, Shape

KINDS = ("spikes", "counts", "current")


@dataclass(frozen=True, eq=False)
class Data:
    """What a network is shown.

    Attributes:
        inputs: input name -> (samples, steps, n), float64 for `current`, else uint8 or int32.
        labels: (samples,) int64, or None.
        kind: `spikes`, `counts` or `current`.
    """

    inputs: Mapping[str, Array]
    labels: Array | None
    kind: str

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(next(iter(self.inputs.values())).shape[0])

    @property
    def steps(self) -> int:
        """Steps per sample."""
        return int(next(iter(self.inputs.values())).shape[1])

    def host(self) -> dict[str, bool]:
        """Return the real-valued inputs -> does the value stay the same over each sample."""
        if self.kind != "current":
            return {}
        return {name: bool((x == x[:, :1]).all()) for name, x in self.inputs.items()}

    def first(self, samples: int) -> Data:
        """Return the first samples only."""
        labels = None if self.labels is None else self.labels[:samples]
        return Data({name: x[:samples] for name, x in self.inputs.items()}, labels, self.kind)


def read_data(source: object, net: Network, kind: str = "spikes", flag: str = "--input") -> Data:
    """Return data for a network, whose Input nodes say the shapes; see `read_inputs`."""
    shapes = {name: net.nodes[name].shape for name in net.of_type(Input)}
    return read_inputs(source, shapes, kind, flag)


def read_inputs(
    source: object, shapes: Mapping[str, Shape], kind: str = "spikes", flag: str = "--input"
) -> Data:
    """Return data for inputs of these shapes.

    Args:
        source: path of an .npz with `x` (sample, step, *shape) or `x.NAME` per input, and
            optional `labels`; or an array; or a mapping of arrays with those names.
        shapes: input name -> shape without sample and step.
        kind: what the values are: `spikes` (0 or 1), `counts` (whole, >= 0) or `current`.
        flag: option that names the kind, for messages.

    Raises:
        LoadError: the file is not a readable .npz.
        DataError: a missing input, a wrong shape, NaN, or values that are not of the kind.
    """
    if kind not in KINDS:
        raise DataError(f"unknown input kind {kind!r}", f"known are {', '.join(KINDS)}")
    arrays, where = _arrays(source)
    found = {
        name: _one_input(_pick(arrays, name, len(shapes), where), shape, name, where, kind, flag)
        for name, shape in shapes.items()
    }
    extents = {x.shape[:2] for x in found.values()}
    if len(extents) > 1:
        raise DataError(
            f"the inputs in {where} have different extents (samples, steps): {sorted(extents)}",
            "all inputs are stepped together",
            "cut or pad them to one length",
        )
    return Data(found, _labels(arrays, where, next(iter(extents))[0]), kind)


def _arrays(source: object) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, (str, Path)):
        from spikeport.compiler.load.arrays import read_arrays

        return read_arrays(Path(source)), Path(source).name
    if isinstance(source, Mapping):
        return source, "the data"
    return {"x": source}, "the data"


def _pick(arrays: Mapping[str, Any], name: str, inputs: int, where: str) -> Array:
    keys = [f"x.{name}"] + (["x"] if inputs == 1 else [])
    for key in keys:
        if key in arrays:
            return _array(arrays[key], key, where)
    raise DataError(
        f"{where} has no array {' or '.join(repr(key) for key in keys)}",
        f"it has {', '.join(repr(key) for key in list(arrays)[:8]) or 'nothing'}",
        f"save the input {name!r} under the name {keys[-1]!r}",
    )


def _array(value: object, key: str, where: str) -> Array:
    try:
        return np.asarray(value)
    except ValueError:
        raise DataError(
            f"{key!r} in {where} is not an array", "its rows differ in length"
        ) from None


def _one_input(
    x: Array, shape: tuple[int, ...], name: str, where: str, kind: str, flag: str
) -> Array:
    wanted = f"(samples, steps{''.join(f', {extent}' for extent in shape)})"
    if x.dtype.kind not in "biuf":
        raise DataError(f"the values of {name!r} in {where} are {x.dtype}", "numbers are needed")
    given = x.shape
    if x.ndim == len(shape) + 1:
        x = x[None]
    if x.ndim != len(shape) + 2 or x.shape[2:] != tuple(shape):
        raise DataError(
            f"the input {name!r} in {where} has the shape {given}",
            f"the graph takes {wanted}",
            "reshape or transpose it; one sample may leave out the first dimension",
        )
    if x.shape[0] == 0 or x.shape[1] == 0:
        raise DataError(f"the input {name!r} in {where} is empty: {x.shape}", f"needs {wanted}")
    flat = x.reshape(x.shape[0], x.shape[1], -1)
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        at = np.argwhere(~np.isfinite(flat))[0]
        raise DataError(
            f"the input {name!r} in {where} holds NaN or infinity",
            f"first in sample {at[0]}, step {at[1]}, value {at[2]}",
            "remove or replace these values",
        )
    if kind == "current":
        return flat.astype(float)
    return _whole(flat, name, where, kind, flag)


def _whole(x: Array, name: str, where: str, kind: str, flag: str) -> Array:
    high = 1 if kind == "spikes" else 255
    if x.dtype.kind != "b":
        wrong = (x < 0) | (x > high) | (x != np.rint(x))
        if wrong.any():
            at = np.argwhere(wrong)[0]
            raise DataError(
                f"the input {name!r} in {where} holds {x[tuple(at)]:g}",
                f"{kind} are {'0 or 1' if high == 1 else 'whole numbers from 0 to 255'} "
                f"(sample {at[0]}, step {at[1]}, value {at[2]})",
                f"add {flag} current for real values, or {flag} counts for several spikes a step",
            )
    return x.astype(np.uint8)


def _labels(arrays: Mapping[str, Any], where: str, samples: int) -> Array | None:
    if "labels" not in arrays:
        return None
    labels = _array(arrays["labels"], "labels", where).ravel()
    if (
        labels.size != samples
        or labels.dtype.kind not in "biuf"
        or not np.isfinite(labels).all()
        or (labels != np.rint(labels)).any()
    ):
        raise DataError(
            f"labels in {where} are {labels.size} values of {labels.dtype}",
            f"there are {samples} samples, each with one whole number",
            "save labels with shape (samples,)",
        )
    return labels.astype(np.int64)
