"""What `spikeport run` writes and prints of a run, whatever ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler.network import Shape
from spikeport.compiler.traces import Traces
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
    arrays = {name: traces.window(name) for name in spiking}
    arrays = {name: a.astype(np.min_scalar_type(a.max(initial=0))) for name, a in arrays.items()}
    arrays |= {key: traces.probe_window(key) for key in probe}
    totals = {name: int(arrays[name].sum(dtype=np.int64)) for name in spiking}
    for key, array in arrays.items():
        name = key if key in shapes else key.rpartition(".")[0]
        if not key.endswith("]"):  # of some neurons there is no shape
            arrays[key] = array.reshape(*array.shape[:2], *shapes[name])
    if out is not None:
        write_arrays(out, arrays)
    return {
        "samples": traces.samples,
        "steps": traces.model_steps,
        "populations": {
            name: {"spikes": totals[name], "lag": traces.lags.get(name, 0)} for name in spiking
        },
        "analog": list(analog),
        "out": None if out is None else str(out),
    }
