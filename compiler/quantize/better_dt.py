"""A dt at which decay registers hit what they miss at this one: said, never chosen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.compiler.clocked import Clocked, Membrane
from spikeport.compiler.kinds import Array

COARSE = 0.01  # of a decay: where a register misses one by more, it is said
FACTORS = np.linspace(0.8, 1.25, 1801)


def dt_note(clocked: Clocked, bits: int) -> Iterator[str]:
    """Yield a sentence where a register misses a decay by a hundredth or more.

    Args:
        clocked: the network; all its decays change in proportion to dt, which holds for slow ones,
            the ones that registers miss.
        bits: of decay registers.
    """
    lost = _decays(clocked)
    if not lost.size:
        return
    worst = _misses(lost[:, None], bits).max(axis=0)
    now = float(worst.item())
    if now < COARSE:
        return
    missed = _misses(lost[:, None] * FACTORS, bits).max(axis=0)
    near = missed <= max(1.5 * float(missed.min()), COARSE / 10)
    factor = float(FACTORS[near][np.argmin(np.abs(FACTORS[near] - 1))])
    then = float(_misses(lost[:, None] * factor, bits).max())
    said = f"decay registers of {bits} bits miss a decay by up to {100 * now:.1f} %"
    if then < now / 2:
        yield (
            f"{said}; with --dt {clocked.dt * factor:.4g} by {100 * then:.2f} % at most, where the "
            "network may be stepped so; --decays gain makes up for it in part at this one"
        )
    else:
        yield f"{said}; --decays gain makes up for it in part"


def _decays(clocked: Clocked) -> Array:
    """Return the different shares of a state that are lost per step, without integrators."""
    found = []
    for name in clocked.neurons:
        cell = clocked.populations[name].membrane
        if isinstance(cell, Membrane):
            found.append(1.0 - cell.keep_v)
            found += [1.0 - cell.keep_u] if cell.has_current else []
    lost = np.unique(np.concatenate(found)) if found else np.zeros(0)
    return np.asarray(lost[(lost > 0) & (lost < 1)])


def _misses(lost: Array, bits: int) -> Array:
    """Return by which share of itself each decay is missed."""
    exact = lost * (1 << bits)
    return np.asarray(np.abs(np.rint(exact) - exact) / exact)
