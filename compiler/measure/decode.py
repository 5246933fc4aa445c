"""Decoders: from the output population's traces to a class per sample. Ties: lowest index."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array
from spikeport.compiler.traces import Traces


def _ttfs(spikes: Array) -> Array:
    """Return scores that are larger the earlier a neuron spikes first."""
    steps = spikes.shape[1]
    fired = (spikes > 0).any(axis=1)
    return np.where(fired, steps - np.argmax(spikes > 0, axis=1), 0)


#: Decoders of spikes, (samples, steps, n) -> scores (samples, n).
OF_SPIKES: Mapping[str, Callable[[Array], Array]] = {
    "count": lambda spikes: spikes.sum(axis=1),
    "ttfs": _ttfs,
}
#: Decoders of v.
OF_V: Mapping[str, Callable[[Array], Array]] = {
    "mem_last": lambda v: v[:, -1],
    "mem_max": lambda v: v.max(axis=1),
    "mem_mean": lambda v: v.mean(axis=1),
}
DECODERS = (*OF_SPIKES, *OF_V)


def needs_v(decode: str) -> bool:
    """Does this decoder read v of the output population.

    Raises:
        DataError: no such decoder.
    """
    if decode not in DECODERS:
        raise DataError(
            f"unknown decoder {decode!r}", f"known are {', '.join(DECODERS)}", "--decode count"
        )
    return decode in OF_V


def check_decoder(decode: str, output: str, spiking: bool) -> None:
    """Check that a decoder finds what it reads.

    Raises:
        DataError: no such decoder, or one of spikes for a population that has none.
    """
    if not needs_v(decode) and not spiking:
        raise DataError(
            f"the decoder {decode!r} reads spikes", f"the output {output!r} does not spike",
            f"--decode {next(iter(OF_V))}",
        )  # fmt: skip


def predictions(traces: Traces, decode: str, pieces: int = 1) -> Array:
    """Return the class of each sample, (samples * pieces,), int64.

    Args:
        traces: of a run.
        decode: name of the decoder.
        pieces: samples that each one of the run holds, one after the other (streaming).

    Raises:
        DataError: see `check_decoder`.
    """
    check_decoder(decode, traces.output, traces.output in traces.spikes)
    if needs_v(decode):
        window, decoder = traces.probe_window(f"{traces.output}.v"), OF_V[decode]
    else:
        window, decoder = traces.window(traces.output), OF_SPIKES[decode]
    samples, steps, size = window.shape
    cut = window.reshape(samples * pieces, steps // pieces, size)
    return np.asarray(np.argmax(decoder(cut), axis=1))


def accuracy(traces: Traces, labels: Array | None, decode: str, pieces: int = 1) -> float | None:
    """Return the share of samples whose decoded class is the label; None without labels.

    Where there are fewer labels than samples, the first samples count.
    """
    if labels is None:
        return None
    classes = predictions(traces, decode, pieces)
    few = min(classes.size, labels.size)
    return float(np.mean(classes[:few] == labels[:few]))
