"""What a chip holds, back in floats: a Program's parameters under its network's names.

Run as floats it is the chip without the rounding of its states: weights, decays, thresholds,
biases, levels, delays and lags are the chip's. `hybrid.py` mixes the two networks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Clocked, Membrane, Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import Arithmetic, Cell, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.merge import merge_parallel
from spikeport.compiler.quantize.scale import whole
from spikeport.compiler.rows import with_data

SAME = 1e-9  # relative difference up to which two values are one value in floats


def dequantized(retimed: Clocked, program: Program) -> Clocked:
    """Return the parameters of a Program in floats, in the units of its network.

    Args:
        retimed: the network that was quantized; its names and projections are kept.
        program: its integers. What the host writes into registers stays as trained.

    Raises:
        LoweringError: a population is on the chip of another kind, or not there.
    """
    projections = tuple(_projection(each, retimed, program) for each in retimed.projections)
    populations = {
        name: _population(name, pop, program) if pop.membrane is not None else pop
        for name, pop in retimed.populations.items()
    }
    lags = {name: program.lags.get(name, lag) for name, lag in retimed.lags.items()}
    return replace(retimed, projections=projections, populations=populations, lags=lags)


def check_kinds(retimed: Clocked, program: Program) -> None:
    """Refuse networks of other neurons than those that decay by a factor.

    Raises:
        LoweringError: a population is of a kind that has no parameters to take back.
    """
    for name in retimed.neurons:
        if not of_family(retimed, program, name):
            raise LoweringError(
                f"{name!r} cannot be replaced part by part",
                "only neurons that decay by a factor have parameters to take back",
                "compare whole runs: sp.compare",
            )


def of_family(retimed: Clocked, program: Program, name: str) -> bool:
    """Does a population decay by a factor, in the network and on the chip."""
    lowered = program.populations.get(name)
    family = isinstance(retimed.populations[name].membrane, Membrane)
    return family and lowered is not None and isinstance(lowered.cell, Cell)


def in_one_shape(retimed: Clocked, program: Program) -> Clocked:
    """Return the network with its Program's projections: some chips make parallel ones one."""
    known = {each.name for each in retimed.projections}
    made = {each.projection for each in program.synapses}
    return retimed if made <= known else merge_parallel(retimed)


def unit_of(program: Program, pre: str) -> Array:
    """Return how many units of its message each neuron of a source sends per unit of its own."""
    sender = program.populations[pre]
    if sender.cell is None or sender.sends_spikes:
        return np.ones(sender.size)
    scale = np.broadcast_to(sender.scale, (sender.size,))
    return np.asarray(scale / (1 << sender.cell.message_shift))


def written_by_host(projection: Projection, program: Program) -> bool:
    """Is this projection no synapse but something that the host adds to bias registers."""
    if projection.pre in program.host:
        return True
    targets = [
        target for host in program.host.values() for target in host.targets.get(projection.post, ())
    ]
    constant = program.populations[projection.pre].kind == "constant"
    return constant and any(each.lag == projection.delay for each in targets)


def effective(synapses: Synapses, arithmetic: Arithmetic) -> Any:
    """Return what one spike over each synapse adds to u, (post, pre), floats of integer units."""
    stored = synapses.mantissa
    if arithmetic.weight_exp_at == "synapse":

        def values(of: Array) -> Array:
            rounding = arithmetic.weight_truncation
            return fixed.effective_weights(of, synapses.exponent, rounding).astype(float)

    else:

        def values(of: Array) -> Array:
            return of * 2.0 ** (synapses.exponent + arithmetic.weight_shift)

    return with_data(stored, values(stored.data)) if sp.issparse(stored) else values(stored)


def without_floor(cell: Cell, arithmetic: Arithmetic) -> Cell:
    """Return registers for wider states: a floor that is the end of the narrow ones is none."""
    ends = cell.v_min <= -arithmetic.largest_state
    lowest = np.int32(-(1 << 31) + 1)
    return replace(cell, v_min=np.where(ends, lowest, cell.v_min).astype(np.int32))


def _projection(projection: Projection, retimed: Clocked, program: Program) -> Projection:
    """Return a projection with the weights and the delay of its synapses."""
    stored = [each for each in program.into(projection.post) if each.projection == projection.name]
    if not stored:
        if written_by_host(projection, program):
            return projection
        return replace(projection, matrix=projection.matrix * 0.0, conv=None)
    post, cell = program.populations[projection.post], retimed.populations[projection.post].cell
    gain = np.broadcast_to(post.scale, (post.size,)) * cell.gain_u * cell.gain_v
    rows = np.divide(1.0, gain, out=np.zeros(post.size), where=gain != 0)
    columns = unit_of(program, projection.pre)
    total: Any = None
    for each in stored:
        part = effective(each, program.arithmetic)
        total = part if total is None else total + part
    if sp.issparse(total):
        matrix: Any = sp.csr_matrix(sp.diags(rows) @ sp.csr_matrix(total) @ sp.diags(columns))
    else:
        matrix = np.asarray(total) * rows[:, None] * columns
    matrix = projection.matrix + _snapped(matrix - projection.matrix, projection.matrix)
    delay = max(each.delay_steps for each in stored)
    return replace(projection, matrix=matrix, delay=delay, conv=None)


def _snapped(apart: Any, trained: Any) -> Any:
    """Return differences without those that are rounding in floats: ties depend on them."""
    if sp.issparse(apart):
        apart = sp.csr_matrix(apart)
        apart.data[np.abs(apart.data) <= SAME * np.abs(trained.data).max(initial=0.0)] = 0.0
        return apart
    apart = np.asarray(apart)
    return np.where(np.abs(apart) <= SAME * np.abs(trained), 0.0, apart)


def _population(name: str, pop: Population, program: Program) -> Population:
    """Return a population with its registers in floats."""
    lowered = program.populations[name]
    cell, integer = pop.cell, lowered.cell
    if not (isinstance(cell, Membrane) and isinstance(integer, Cell)):
        raise LoweringError(f"{name!r} on the chip has no parameters to take back")
    arithmetic = program.arithmetic
    full, unity = np.broadcast_to(lowered.scale, (pop.size,)), 1 << arithmetic.decay_bits
    v_threshold, threshold, initial = _threshold(cell, integer, lowered, arithmetic)
    top = arithmetic.largest_state
    made = replace(
        cell,
        keep_u=(unity - 1 - integer.decay_u) / unity if cell.has_current else cell.keep_u,
        keep_v=(unity - integer.decay_v) / unity,
        drive_v=integer.bias_mantissa * 2.0**integer.bias_exponent / full,
        v_threshold=v_threshold,
        threshold=threshold,
        v_reset=integer.v_reset / full,
        v_initial=initial / full,
        v_min=np.where(integer.v_min <= -top, -np.inf, integer.v_min / full),
        refractory_steps=np.asarray(integer.refractory_steps, np.int64) - 1,
        reset=integer.reset,
        reset_when=integer.reset_when if cell.spiking else cell.reset_when,
        spike=integer.spike,
    )
    return replace(pop, membrane=made, start_step=integer.start_step)


def _threshold(
    cell: Membrane, integer: Cell, lowered: CellPopulation, arithmetic: Arithmetic
) -> tuple[Array, str, Array]:
    """Return the threshold in floats, how it is compared, and v before the first step.

    An integrator without decay meets `>=` by `>` one mantissa lower, or by a start one unit
    higher (`quantize/cell.py`): that is undone here, or parts replaced alone would see it. Sums
    of weights in floats are not quite whole, so a tie is judged a billionth aside.
    """
    initial = np.asarray(integer.v_initial, float)
    if not cell.spiking:
        return cell.v_threshold, cell.threshold, initial
    mantissa, how = integer.v_threshold.astype(float), integer.threshold
    if how == "greater" and cell.threshold == "greater_equal" and whole(cell):
        if cell.reset == "subtract":
            initial = initial - 1
        else:
            mantissa = mantissa + 1
        how = "greater_equal"
    theta = mantissa * (1 << arithmetic.weight_shift) / lowered.scale
    if how == "greater_equal" or whole(cell):
        aside = -SAME / 2 if how == "greater_equal" else SAME / 2
        theta = theta + aside * np.abs(theta)
    return theta, how, initial
