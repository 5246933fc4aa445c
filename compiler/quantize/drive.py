"""Real-valued inputs: what the host computes and writes into bias registers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Membrane, Projection
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import HostCurrent, HostTarget
from spikeport.compiler.quantize.scale import HEADROOM, Peaks
from spikeport.compiler.quantize.weights import scaled_rows


def host_target(
    projection: Projection,
    cell: Membrane,
    gain: Array,
    offset: Array,
    scale: float,
    peak: Peaks,
) -> HostTarget:
    """Return what the host does for one population."""
    full = scale * (1 << fixed.WEIGHT_SHIFT)
    largest = HEADROOM * peak.drive * full
    exponent = max(0, int(np.ceil(np.log2(max(largest, 1.0) / 4095))))
    return HostTarget(
        matrix=scaled_rows(projection.matrix, gain),
        offset=offset,
        gain=np.full(gain.size, full),
        keep=cell.keep_u.copy() if cell.has_current else np.zeros(gain.size),
        exponent=min(exponent, 7),
        lag=projection.delay,
    )


def sum_targets(first: HostTarget | None, second: HostTarget) -> HostTarget:
    """Return what two projections from one input do together."""
    if first is None:
        return second
    total = first.matrix + second.matrix
    matrix = total if sp.issparse(total) else np.asarray(total)
    return replace(first, matrix=matrix, offset=first.offset + second.offset)


def host_note(host: HostCurrent) -> str:
    """Say what the host does for a real-valued input."""
    where = ", ".join(host.targets)
    if host.static:
        return f"the static current {host.name!r} is one bias register per sample in {where}"
    return (
        f"the current {host.name!r} changes over time: the host computes the first layer "
        f"({where}) and writes bias registers every step; its energy is not counted"
    )
