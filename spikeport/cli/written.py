"""What `spikeport run` writes and prints of a run, whatever ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler.network import Shape
from spikeport.compiler.traces import Events, Traces
from spikeport.files import write_arrays


def written(
    traces: Traces,
    shapes: Mapping[str, Shape],
    probe: Sequence[str],
    analog: Sequence[str],
    out: Path | None,
) -> dict[str, Any]:
    """Write spikes and probes on the time axis of the input; returns their account.

    Args:
        traces: of a run.
        shapes: population of neurons -> its shape; others are left out.
        probe: `NAME.v` or `NAME.u` that were recorded.
        analog: outputs whose v is their answer.
        out: .npz that is not there yet; None writes nothing.
    """
    spiking = [name for name in shapes if name in traces.spikes]
    totals = {name: traces.total(name) for name in spiking}
    if out is not None:
        arrays = {name: traces.window(name, _smallest(traces.spikes[name])) for name in spiking}
        arrays |= {key: traces.probe_window(key) for key in probe}
        for key, array in arrays.items():
            name = key if key in shapes else key.rpartition(".")[0]
            if not key.endswith("]"):  # of some neurons there is no shape
                arrays[key] = array.reshape(*array.shape[:2], *shapes[name])
        write_arrays(out, arrays)
    return {
        **({"engine": traces.extra["engine"]} if "engine" in traces.extra else {}),
        "samples": traces.samples,
        "steps": traces.model_steps,
        "populations": {
            name: {"spikes": totals[name], "lag": traces.lags.get(name, 0)} for name in spiking
        },
        "analog": list(analog),
        "out": None if out is None else str(out),
    }


def _smallest(events: Events) -> np.dtype[Any]:
    """Return the smallest type that holds what was sent."""
    if events.count is None:
        return np.dtype(np.uint8)
    low, high = int(events.count.min(initial=0)), int(events.count.max(initial=1))
    return np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
