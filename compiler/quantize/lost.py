"""One row of what quantization lost."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array


def lost(
    name: str,
    what: str,
    bits: int,
    error: Array,
    size: float,
    detail: str,
    exponent: int | None = None,
) -> dict[str, Any]:
    """Return the row of an object's weights, threshold, bias or decay.

    Args:
        name: of the projection or population.
        what: `weights`, `threshold`, `bias`, `decay_u`, `decay_v`.
        bits: of the register.
        error: integers back in floats less the floats, any shape.
        size: what the error is relative to: the root mean square of weights, the largest of
            anything else.
        detail: in words.
        exponent: of the weights or biases.
    """
    rms = float(np.sqrt(np.mean(error**2))) if error.size else 0.0
    largest = float(np.abs(error).max(initial=0.0))
    return row_of(name, what, bits, rms, largest, size, detail, exponent)


def row_of(
    name: str,
    what: str,
    bits: int,
    rms: float,
    largest: float,
    size: float,
    detail: str,
    exponent: int | None = None,
) -> dict[str, Any]:
    """Return the same of an error that was summed up: its root mean square and the largest."""
    return {
        "object": name,
        "what": what,
        "bits": bits,
        "exponent": exponent,
        "error_rms": rms,
        "error_max": largest,
        "relative": (rms if what == "weights" else largest) / size if size else 0.0,
        "detail": detail,
    }


def few_left(losses: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of projections of which a neuron keeps few weights, or all are 0."""
    for row in losses:
        if row["what"] == "weights" and (row["starved"] or not row["weights"]):
            yield row


def cut_note(name: str) -> str:
    """Say of a population that its v may be cut off below."""
    return (
        f"v of {name!r} may be cut off far below, where it never came back from on the calibration "
        "data: that leaves more bits for its weights; such cells count as overflows"
    )


def lost_note(row: Mapping[str, Any]) -> str:
    """Say of a projection that few of its weights are left, why, and what helps."""
    name, weights = row["object"], row["weights"]
    if not weights:
        return f"all weights of {name!r} are 0: it does nothing"
    return (
        f"{row['starved']} neurons keep less than half of their weights of {name!r} "
        f"({weights - row['left']} of {weights} became 0): a few much larger ones set their scale. "
        f"Lists by size hold both: --weights {shlex.quote(f'{name}=8:size')}"
    )
