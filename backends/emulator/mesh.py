"""The detailed model of the mesh: by the C engine where it was built, else by its specification."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.backends.emulator.engines import is_native
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure import mesh_time as specification
from spikeport.compiler.measure.mesh_time import Mesh, MeshTime, Messages, summed


def mesh_time(messages: Messages, mesh: Mesh) -> MeshTime:
    """Return how long each row takes; see `compiler/measure/mesh_time.py`."""
    if not is_native():
        return specification.mesh_time(messages, mesh)
    from spikeport.backends import _engine

    rows, packets = messages.offsets.size - 1, messages.source.size
    found, held = np.zeros((rows, 5)), np.zeros(packets, np.uint8)
    _engine.mesh_time(
        {
            "rows": rows,
            "packets": packets,
            "cores": messages.cores,
            "buffer": mesh.buffer,
            "offsets": _as(messages.offsets, np.int64),
            "source": _as(messages.source, np.int32),
            "target": _as(messages.target, np.int32),
            "wait": _as(messages.wait, np.float64),
            "serve": _as(messages.serve, np.float64),
            "rest": _as(messages.rest, np.float64),
            "x": _as(mesh.x, np.int32),
            "y": _as(mesh.y, np.int32),
            "hop": np.array([mesh.hop_x, mesh.hop_y], np.float64),
            "found": found,
            "held": held,
        }
    )
    return summed(messages, mesh, found, held.astype(bool))


def _as(values: Array, dtype: Any) -> Array:
    return np.ascontiguousarray(values, dtype)
