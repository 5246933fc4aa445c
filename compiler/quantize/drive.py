"""Real-valued inputs: what the host computes and writes into bias registers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Membrane, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import HostCurrent, HostTarget
from spikeport.compiler.quantize.peak import HEADROOM
from spikeport.compiler.quantize.scaling import Scaling
from spikeport.compiler.quantize.weights import scaled_rows


def host_target(
    projection: Projection, cell: Membrane, scaling: Scaling, offset: Array, chip: Chip
) -> HostTarget:
    """Return what the host does for one population.

    Raises:
        LoweringError: the drive does not fit the registers, and no other scale can be chosen.
    """
    family = isinstance(cell, Membrane)
    full, drive, gain = scaling.full, scaling.peak.drive, scaling.gain
    largest = float(full.max(initial=0.0))
    top, high = chip.limits.bias_mantissa.high, chip.limits.bias_exponent.high
    exponent = max(0, int(np.ceil(np.log2(max(HEADROOM * drive * largest, 1.0) / top))))
    if exponent > high and not family:  # the scale of the others leaves room for it
        raise LoweringError(
            f"{projection.name!r} moves v of {projection.post!r} by up to {drive:g} a step",
            f"bias registers that the host writes hold {(top << high) / largest / HEADROOM:g} with "
            f"{HEADROOM:g} times the room of the calibration data",
            f"use a dt at least {np.ceil(20 * 2.0 ** (exponent - high - 1)) / 10:g} times shorter",
        )
    return HostTarget(
        matrix=scaled_rows(projection.matrix, gain),
        offset=offset,
        gain=full,
        keep=cell.keep_u.copy() if family and cell.has_current else np.zeros(gain.size),
        exponent=min(exponent, high),
        lag=projection.delay,
        register=top,
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
