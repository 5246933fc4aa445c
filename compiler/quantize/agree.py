"""Scales and thresholds at which most spikes of the calibration data agree.

One population is stepped by itself, in the chip's integers, with what the populations before it
send on the chip (its own spikes, and those that come back to it, as the float network has them),
once for each candidate; neurons that share a threshold choose together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Population
from spikeport.compiler.kinds import STEPS, Array
from spikeport.compiler.program import Arithmetic, Cell, Synapses
from spikeport.compiler.quantize.scaling import Scaling
from spikeport.compiler.quantize.seen import Seen

SHARES = np.linspace(1.0, 0.75, 11)  # of the scale that was chosen
SHIFTS = np.arange(-8, 9) / 400  # of a threshold
WORK = 1 << 32  # weights times steps and samples, over all candidates
CELLS = 1 << 24  # of one run


@dataclass(frozen=True, eq=False)
class Lowering:
    """How a population is lowered, and what it is compared with.

    Attributes:
        name, pop: of the population, in floats.
        weights: scaling -> synapses.
        cell: scaling -> registers.
        arithmetic: of the chip.
        seen: the run of the float network.
        sent: population -> what it sends on the chip, (samples, steps, n), where it is known.
    """

    name: str
    pop: Population
    weights: Callable[[Scaling], list[Synapses]]
    cell: Callable[[Scaling], Cell]
    arithmetic: Arithmetic
    seen: Seen
    sent: Mapping[str, Array]

    def spikes(self, scaling: Scaling) -> Array:
        """Return what the population sends on the chip on all samples, (samples, steps, n)."""
        synapses, cell = self.weights(scaling), self.cell(scaling)
        sent = [
            _stepped(cell, self.arithmetic, _received(self, synapses, some)).astype(np.int16)
            for some in _chunks(self.seen, cell.v_threshold.size)
        ]
        return np.concatenate(sent)


def best_scale(lowering: Lowering, scaling: Scaling) -> Scaling:
    """Return the scaling, at most as large, at which most spikes of a population agree."""
    candidates = [
        replace(scaling, scale=scaling.scale * each) for each in _shares(lowering.pop, scaling)
    ]
    chosen = _chosen(lowering, scaling, candidates, same_weights=False)
    return replace(scaling, scale=_picked([each.scale for each in candidates], chosen))


def best_threshold(lowering: Lowering, scaling: Scaling) -> Scaling:
    """Return the scaling with thresholds shifted so that most spikes of a population agree."""
    theta = lowering.pop.cell.v_threshold
    mantissa = np.where(np.isfinite(theta), theta, 0.0) * scaling.scale
    shifts = np.unique(np.rint(np.multiply.outer(SHIFTS, mantissa)), axis=0).astype(np.int64)
    shifts = shifts[np.argsort(np.abs(shifts).sum(axis=1), kind="stable")]  # the least first
    candidates = [replace(scaling, threshold_shift=shift) for shift in shifts]
    chosen = _chosen(lowering, scaling, candidates, same_weights=True)
    return replace(scaling, threshold_shift=_picked(list(shifts), chosen))


def best_drive(lowering: Lowering, scaling: Scaling, meant: Array) -> Scaling:
    """Return the scaling with bias registers that make up for what weights lost on the average.

    An error of a weight whose source acts in so many steps moves v by so much a step; what acts
    always, a bias, by all of it. A bias register has 2^6 steps to a weight unit.

    Args:
        lowering: of the population.
        scaling: that it has.
        meant: what was to arrive in a step, in weight units, the average of each neuron, (n,).
    """
    cell = lowering.pop.cell
    synapses, seen = lowering.weights(scaling), lowering.seen
    sums = [
        _received(lowering, synapses, some).sum(axis=(0, 1)) for some in _chunks(seen, meant.size)
    ]
    left = meant - np.sum(sums, axis=0) / max(seen.traces.samples * seen.traces.steps, 1)
    rest = left / np.maximum(1.0 - cell.keep_u, 1e-3) if cell.has_current else left
    candidates = [
        replace(scaling, drive=share * rest * (1 << lowering.arithmetic.weight_shift))
        for share in (0.0, 0.5, 1.0)
    ]
    chosen = _chosen(lowering, scaling, candidates, same_weights=True)
    return replace(
        scaling, drive=_picked([np.broadcast_to(c.drive, rest.shape) for c in candidates], chosen)
    )


def _shares(pop: Population, scaling: Scaling) -> list[Array]:
    """Return factors of the scale of each neuron; thresholds stay whole."""
    theta = pop.cell.v_threshold
    if (theta != theta[0]).any() or not 0 < theta[0] < np.inf:
        return [np.full(theta.size, share) for share in SHARES]
    level = scaling.scale * theta
    over = level - np.floor(level + 1e-9)
    whole = np.maximum(np.floor(np.multiply.outer(SHARES, level - over) + 1e-9), 1.0)
    return [(each + over) / level for each in whole]


def _chosen(
    lowering: Lowering, scaling: Scaling, candidates: Sequence[Scaling], same_weights: bool
) -> Array:
    """Return for each neuron the number of the candidate with the fewest spikes that differ."""
    _, classes = np.unique(scaling.classes, return_inverse=True)
    classes = classes.ravel()
    wrong = np.empty((len(candidates), int(classes.max(initial=0)) + 1))
    synapses = lowering.weights(scaling)
    samples = _samples(synapses, len(candidates), classes.size, lowering.seen)
    some = slice(0, samples)
    wanted = lowering.seen.raster(lowering.name, some)
    alike = _received(lowering, synapses, some) if same_weights else None
    for k, each in enumerate(candidates):
        came = _received(lowering, lowering.weights(each), some) if alike is None else alike
        sent = _stepped(lowering.cell(each), lowering.arithmetic, came)
        wrong[k] = np.bincount(classes, (sent != wanted).sum(axis=(0, 1)), wrong.shape[1])
    return np.asarray(np.argmin(wrong, axis=0)[classes])


def _picked(tables: Sequence[Array], chosen: Array) -> Array:
    return np.asarray(np.stack(tables)[chosen, np.arange(chosen.size)])


def _samples(synapses: Sequence[Synapses], candidates: int, size: int, seen: Seen) -> int:
    """Return how many samples are looked at, one at least."""
    steps = max(seen.traces.steps, 1)
    weights = sum(each.count for each in synapses)
    most = min(WORK // max(weights * steps * candidates, 1), CELLS // max(steps * size, 1))
    return int(np.clip(most, 1, seen.traces.samples))


def _chunks(seen: Seen, size: int) -> list[slice]:
    """Return samples in groups of which a run fits into memory."""
    together = max(1, CELLS // max(seen.traces.steps * size, 1))
    return [slice(k, k + together) for k in range(0, seen.traces.samples, together)]


def _received(lowering: Lowering, synapses: Sequence[Synapses], samples: slice) -> Array:
    """Return what arrives in each step, in weight units, (samples, steps, n) int64."""
    total: Array | None = None
    for each in synapses:
        known = lowering.sent.get(each.pre)
        sent = lowering.seen.raster(each.pre, samples) if known is None else known[samples]
        flat = sent.reshape(-1, sent.shape[2])
        stored = each.stored.astype(np.float64)
        if sp.issparse(stored):
            sums = (sp.csr_array(stored) @ sp.csc_array(flat.T.astype(np.float64))).toarray().T
        else:
            sums = flat.astype(np.float64) @ stored.T
        whole = np.rint(sums).astype(np.int64) * each.step
        arrived = fixed.shift(whole, each.exponent).reshape(*sent.shape[:2], -1)
        late = np.zeros_like(arrived)
        if each.delay_steps < late.shape[1]:
            late[:, each.delay_steps :] = arrived[:, : late.shape[1] - each.delay_steps]
        total = late if total is None else total + late
    if total is None:
        raise ValueError("nothing arrives")  # the caller asks of populations with synapses only
    return total


def _stepped(cell: Cell, arithmetic: Arithmetic, came: Array) -> Array:
    """Return what a population sends, (samples, steps, n)."""
    steps = STEPS[Cell]
    state = steps.start(cell, came.shape[0])
    bias = cell.bias_mantissa.astype(np.int64) << cell.bias_exponent
    aligned = arithmetic.weight_exp_at == "synapse"
    sent = np.zeros(came.shape, np.int64)
    for t in range(cell.start_step, came.shape[1]):
        received = came[:, t] << arithmetic.weight_shift if aligned else came[:, t]
        sent[:, t], _ = steps.step(cell, arithmetic, state, received, bias)
    return sent
