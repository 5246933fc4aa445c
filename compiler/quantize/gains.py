"""Decays that a register misses, and the gain that makes up for them.

A field of 12 bits misses a decay by up to half a 4096th, and a state that decays slowly sums up
over many steps: what it reaches is wrong by the same share. The neuron's answer to one spike is
what has to be kept, so both fields and one gain are chosen together: of the fields around the
true ones the pair whose answer, times its best gain, is nearest to the true answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.compiler.clocked import Membrane
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Arithmetic

HORIZON = 1 << 14  # steps of an answer that are looked at, at most


@dataclass(frozen=True, eq=False)
class Followed:
    """What replaces the decays of a population.

    Attributes:
        keep_u, keep_v: as registers hold them, (n,).
        gain: of the weights, (n,).
        gain_v: of what moves v itself, (n,).
    """

    keep_u: Array
    keep_v: Array
    gain: Array
    gain_v: Array


def follow_decays(cell: Membrane, arithmetic: Arithmetic) -> Followed:
    """Return the decays that registers hold and the gains with which they follow the true ones.

    Decays that no register holds (too slow, or growing) stay as they are: `quantize_decay`
    refuses them.
    """
    pairs = np.stack([cell.keep_u if cell.has_current else 0.0 * cell.keep_u, cell.keep_v], axis=1)
    kinds, which = np.unique(pairs, axis=0, return_inverse=True)
    found: Array = np.array([_follow(u, v, cell.has_current, arithmetic) for u, v in kinds])
    keep_u, keep_v, gain, gain_v = found.reshape(-1, 4)[which.ravel()].T.copy()
    return Followed(keep_u if cell.has_current else cell.keep_u.copy(), keep_v, gain, gain_v)


def _follow(
    keep_u: float, keep_v: float, has_current: bool, arithmetic: Arithmetic
) -> tuple[float, float, float, float]:
    unity = 1 << arithmetic.decay_bits
    fields_u = _around(1.0 - keep_u, unity, 1, unity) if has_current else [unity]
    fields_v = _around(1.0 - keep_v, unity, 0 if keep_v == 1 else 1, arithmetic.forgets)
    slowest = max(keep_u if has_current else 0.0, keep_v if keep_v < 1 else 0.0)
    if not (fields_u and fields_v) or not 0 <= slowest < 1:
        return keep_u, keep_v, 1.0, 1.0
    steps = int(np.clip(6 / (1.0 - slowest), 2, HORIZON))
    wanted = _answer(keep_u, keep_v, steps)
    best = (np.inf, keep_u, keep_v, 1.0)
    for u in fields_u:
        for v in fields_v:
            kept = 1.0 - u / unity, 1.0 - v / unity
            answer = _answer(*kept, steps)
            gain = float(wanted @ answer / (answer @ answer))
            best = min(best, (float(np.sum((wanted - gain * answer) ** 2)), *kept, gain))
    _, held_u, held_v, gain = best
    gain_v = float(_answer(0.0, keep_v, steps).sum() / _answer(0.0, held_v, steps).sum())
    return held_u, held_v, gain, gain_v


def _around(lost: float, unity: int, least: int, most: int) -> list[int]:
    """Return the fields just below and above a loss per step; none where no register holds it."""
    nearest = round(lost * unity)
    if nearest > unity or lost < 0 or (nearest < 1 and lost > 0):
        return []
    down = int(np.floor(lost * unity))
    return sorted({min(max(field, least), most) for field in (down, down + 1)})


def _answer(keep_u: float, keep_v: float, steps: int) -> Array:
    """Return v after each step of a neuron that got one spike, without threshold."""
    ages = np.arange(steps)
    if keep_u == keep_v:
        return np.asarray((ages + 1) * keep_v**ages)
    powers = keep_v ** (ages + 1) - keep_u ** (ages + 1)
    return np.asarray(powers / (keep_v - keep_u))
