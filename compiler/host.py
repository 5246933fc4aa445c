"""What the host computes for real-valued inputs: bias registers, per sample and step.

A chip without analog input takes a static current as one bias per sample; for a current that
changes, the first affine layer runs on the host, which writes bias registers every step.
Emulator and Lava are given the same integers: this is the host's arithmetic, not the chip's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.program import HostTarget, Program


def host_biases(
    program: Program, inputs: Mapping[str, Array], steps: int, first: int = 0
) -> dict[str, Array]:
    """Return population -> integer added to v per step, int64, (samples, steps, n).

    Args:
        program: its `host` says what to compute.
        inputs: every input from its very beginning, (samples, input steps, n), float; after
            the end a static input stays, another one is zero.
        steps: how many steps to return.
        first: number of the first step returned.
    """
    biases: dict[str, Array] = {}
    for name, host in program.host.items():
        x = np.asarray(inputs[name], float)
        for post, targets in host.targets.items():
            for target in targets:
                drive = _drive(target, x, steps, first, host.static)
                biases[post] = biases.get(post, 0) + drive
    return biases


def _drive(target: HostTarget, x: Array, steps: int, first: int, static: bool) -> Array:
    samples = x.shape[0]
    total = first + steps
    wanted = np.zeros((samples, total, target.gain.size))
    current = np.zeros((samples, target.gain.size))
    for t in range(target.lag, total):
        at = min(t - target.lag, x.shape[1] - 1) if static else t - target.lag
        row = x[:, at] if at < x.shape[1] else np.zeros_like(x[:, 0])
        current = target.keep * current + np.asarray((target.matrix @ row.T).T) + target.offset
        wanted[:, t] = current
    mantissa = np.rint(wanted[:, first:] * target.gain / (1 << target.exponent))
    mantissa = np.clip(mantissa, -target.register, target.register)
    result: Any = mantissa.astype(np.int64) << target.exponent
    return np.asarray(result)
