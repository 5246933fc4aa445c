"""From a retimed `Clocked` to the integers of SynSense Xylo.

The chip takes what arrives, lets it decay, and adds it to v in the same step:

    u <- keep_u (u + W' s),   v <- keep_v v + u + bias,   keep = 1 - 2**-dash

In our normal form what arrives does not decay at once, so W' = W gain_u gain_v / keep_u. Where the
chip's keep_u is another one, weights are larger by the same ratio as the current is shorter: a
spike moves as much charge, and under a reset by subtraction charge is what is counted. Spikes are
counted and v loses the threshold as often; a weight has 8 bits, a matrix one shift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.kinds import Array
from spikeport.compiler.program import XYLO, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.lost import lost
from spikeport.compiler.quantize.merge import merge_parallel
from spikeport.compiler.quantize.peak import Peaks, bound_of_weights
from spikeport.compiler.quantize.scaled import Scaled
from spikeport.compiler.quantize.weights import scaled_rows, values_of
from spikeport.compiler.quantize.xylo.cell import (
    HIDDEN_SPIKES,
    INPUT_SPIKES,
    LARGEST,
    LARGEST_DASH,
    OUTPUT_SPIKES,
    XyloCell,
)
from spikeport.compiler.quantize.xylo.echo import add_echoes
from spikeport.compiler.quantize.xylo.refuse import notes_of, refuse
from spikeport.compiler.quantize.xylo.relays import KINDS, SHIFTS_APART, bias_neuron, relay
from spikeport.compiler.quantize.xylo.scale import (
    INPUT,
    OUTPUT,
    RECURRENT,
    Wanted,
    choose_scales,
)

ROOM = 1.25  # calibrated peaks may grow so much before a state saturates, which is no wrap


@dataclass(frozen=True, eq=False)
class Plan:
    """How a population's floats become integers, but for the scale.

    Attributes:
        incoming: (which matrix of the chip, projection, its weights as they add to u, must they
            be even).
        dash_syn, dash_mem: (n,) int32.
        peak: what u and v reach.
        headroom: by how much they may exceed it.
        instant: does an echo end its current.
    """

    incoming: tuple[tuple[str, Projection, Any, bool], ...]
    dash_syn: Array
    dash_mem: Array
    peak: Peaks
    headroom: float
    instant: bool

    @property
    def kept(self) -> tuple[Array, Array]:
        """Shares of current and voltage that stay per step."""
        return _kept(self.dash_syn), _kept(self.dash_mem)


def quantize_xylo(
    clocked: Clocked, chip: Chip, peaks: Mapping[str, Peaks], host: Mapping[str, bool]
) -> Program:
    """Return the Program of a retimed network; see `quantize`.

    Raises:
        LoweringError: something that the chip cannot do, by name and with what would work.
    """
    if host:
        raise LoweringError(
            f"the input {next(iter(host))!r} is a current",
            f"{chip.name} takes spikes, and its bias registers do not pass the synaptic current",
            "turn it into spikes before the network, or --chip loihi1",
        )
    clocked, instant, echoes = add_echoes(clocked)
    outputs = set(clocked.outputs.values())
    merged = merge_parallel(clocked).projections
    matrix_of = _matrix_of(clocked, outputs)
    cells = [name for name in clocked.neurons if clocked.populations[name].kind not in KINDS]
    plans: dict[str, Plan] = {}
    notes = [] if peaks else ["no calibration: the scales leave room for all inputs at once"]
    for name in cells:
        pop = clocked.populations[name]
        into = [each for each in merged if each.post == name]
        plans[name] = plan = _plan(
            pop, into, matrix_of, peaks.get(name), echoes if name in instant else None
        )
        refuse(name, pop, plan.peak, name in outputs, chip)
        notes += notes_of(name, clocked, plan.kept, plan.peak, name in outputs)
    relayed = len(cells) < len(clocked.neurons)
    shifts, scales = _chosen(clocked, plans, outputs, relayed, chip)
    populations: dict[str, CellPopulation] = {}
    synapses: list[Synapses] = []
    losses: list[dict[str, Any]] = []
    for name, pop in clocked.populations.items():
        cell: Any = None
        scale, offset = np.ones(pop.size), np.zeros(1)
        if pop.kind == "constant":
            cell = bias_neuron()
        elif name in plans:
            scale, offset = scales[name], pop.cell.v_offset.copy()
            for which, each, matrix, even in plans[name].incoming:
                made, lost = _synapses(each, matrix, scale, shifts[which], even)
                synapses.append(made)
                losses += [] if each.pre in echoes else [lost]  # an echo loses what it answers
            cell = _cell(name, pop, plans[name], scale, name in outputs, losses)
        elif pop.kind != "input":
            into = [each for each in merged if each.post == name]
            cell, repeated = relay(name, pop, into, shifts, matrix_of)
            synapses += repeated
        populations[name] = CellPopulation(pop.kind, pop.shape, cell, scale, offset)
    said = ", ".join(f"{which} {shift}" for which, shift in shifts.items())
    return Program(
        dt=clocked.dt,
        populations=populations,
        synapses=tuple(synapses),
        outputs=clocked.outputs,
        lags=clocked.lags,
        arithmetic=XYLO,
        message_bits=INPUT_SPIKES.bit_length() + 1,
        losses=tuple(losses),
        repairs=clocked.repairs,
        notes=(*clocked.notes, f"left shift of each weight matrix: {said}", *notes),
        name=clocked.name,
        slow=clocked.slow,
    )


def _chosen(
    clocked: Clocked, plans: Mapping[str, Plan], outputs: set[str], relayed: bool, chip: Chip
) -> tuple[dict[str, int], dict[str, Array]]:
    """Return the shift of each matrix and the scale of each neuron; readouts stand apart."""
    wanted = {name: _wanted(clocked.populations[name], plan, chip) for name, plan in plans.items()}
    ended = any(plan.instant for name, plan in plans.items() if name not in outputs)

    def allow(shifts: Mapping[str, int]) -> bool:
        """Relays and echoes need shifts of input and recurrence that suit each other."""
        further = shifts.get(INPUT, 0) - shifts.get(RECURRENT, 0)
        if ended and INPUT in shifts:
            return further == 1
        return not relayed or abs(further) <= SHIFTS_APART

    shifts = {INPUT: 0, RECURRENT: 0, OUTPUT: 0}
    scales: dict[str, Array] = {}
    for is_output in (False, True):
        side = {name: each for name, each in wanted.items() if (name in outputs) == is_output}
        chosen = choose_scales(side, chip, allow)
        shifts |= chosen[0]
        scales |= chosen[1]
    return shifts, scales


def _matrix_of(clocked: Clocked, outputs: set[str]) -> Callable[[Projection], str]:
    """Return the function from a projection to the matrix of the chip that holds it."""

    def which(projection: Projection) -> str:
        if clocked.populations[projection.pre].kind == "input":
            return INPUT
        return OUTPUT if projection.post in outputs else RECURRENT

    return which


def _plan(
    pop: Population,
    into: list[Projection],
    matrix_of: Callable[[Projection], str],
    peak: Peaks | None,
    echoes: frozenset[str] | None,
) -> Plan:
    """Return how a population becomes integers; `echoes` where they end its current."""
    cell = pop.cell
    dash_syn, dash_mem = _dash(cell.keep_u, 1), _dash(cell.keep_v, 0)
    gain = cell.gain_u * cell.gain_v
    headroom = 1.0 if peak is None else ROOM  # a bound needs none
    if peak is None:
        peak = bound_of_weights(cell, [Scaled(each.matrix, gain) for each in into], cut=True)
    kept = _kept(dash_syn)
    lost = np.maximum(1.0 - cell.keep_u, 2.0**-LARGEST_DASH)
    arriving = gain * (1.0 - kept) / lost / kept
    incoming = []
    for each in into:
        which, matrix = matrix_of(each), scaled_rows(each.matrix, arriving)
        # Half of what arrives has to be what the echo brings; from inputs the shift sees to it.
        even = echoes is not None and which != INPUT and each.pre not in echoes
        incoming.append((which, each, matrix, even))
    return Plan(tuple(incoming), dash_syn, dash_mem, peak, headroom, echoes is not None)


def _dash(keep: Array, least: int) -> Array:
    """Return the shift whose loss is nearest by ratio; 0 would hide a current from v."""
    with np.errstate(divide="ignore"):
        exact = -np.log2(1.0 - keep)
    return np.asarray(np.clip(np.rint(exact), least, LARGEST_DASH), np.int32)


def _kept(dash: Array) -> Array:
    return np.asarray(1.0 - 2.0 ** -dash.astype(float))


def _wanted(pop: Population, plan: Plan, chip: Chip) -> Wanted:
    cell = pop.cell
    bounds = np.minimum(LARGEST, chip.limits.threshold_mantissa.high) / cell.v_threshold
    most = 1.5 if plan.instant else 1.0  # half of the last step's current is still there
    u, v = plan.peak.of_each(pop.size)
    reach = (most * plan.headroom * u / plan.kept[0], plan.headroom * v)
    for level in reach:  # u is largest before it decays
        bounds = np.minimum(bounds, LARGEST / np.maximum(level, 1e-300))
    drive = np.maximum(np.abs(cell.drive_v), 1e-300)
    bounds = np.minimum(bounds, chip.limits.bias_mantissa.high / drive)
    matrices = tuple((which, matrix, even) for which, _, matrix, even in plan.incoming)
    steps = 2.0 ** (plan.dash_mem + (0 if plan.instant else plan.dash_syn))
    return Wanted(matrices, cell.v_threshold, bounds, steps)


def _synapses(
    projection: Projection, matrix: Any, scale: Array, shift: int, even: bool
) -> tuple[Synapses, dict[str, Any]]:
    """Return a projection in integers, and what it lost."""
    step = 2 if even else 1
    scaled = scaled_rows(matrix, scale / 2.0**shift / step)
    low, high = -128 // step, 127 // step
    if sp.issparse(scaled):
        whole = scaled.copy()
        whole.data = np.clip(np.rint(scaled.data), low, high) * step
        whole = sp.csr_matrix(whole.astype(np.int32))
        error = scaled_rows(whole.astype(float), 2.0**shift / scale) - matrix
        whole.eliminate_zeros()
        whole.sort_indices()
    else:
        whole = np.clip(np.rint(scaled), low, high).astype(np.int32) * np.int32(step)
        error = whole * (2.0**shift / scale)[:, None] - matrix
    values, wrong = values_of(matrix), values_of(error)
    rms = float(np.sqrt(np.mean(values**2))) if values.size else 0.0
    count = np.count_nonzero(values_of(whole))
    detail = f"signed, {count} of {values.size} not zero"
    row = lost(projection.name, "weights", 8, wrong, rms, detail, shift)
    made = Synapses.of(
        projection.name, projection.pre, projection.post, whole, shift, "signed", 8,
        projection.delay,
    )  # fmt: skip
    return made, row


def _cell(
    name: str,
    pop: Population,
    plan: Plan,
    scale: Array,
    is_output: bool,
    losses: list[dict[str, Any]],
) -> XyloCell:
    """Return the registers of a population; adds what they lost to `losses`."""
    cell = pop.cell
    for what, dash, keep in (
        ("dash_syn", plan.dash_syn, cell.keep_u),
        ("dash_mem", plan.dash_mem, cell.keep_v),
    ):
        detail = f"shift {dash.min()} to {dash.max()}"
        row = lost(name, what, 4, _kept(dash) - keep, 1.0, detail)
        relative = np.abs(_kept(dash) - keep) / np.maximum(1.0 - keep, 2.0**-LARGEST_DASH)
        losses.append(row | {"relative": float(relative.max(initial=0.0))})
    exact = cell.v_threshold * scale
    at_once = np.floor(exact + 1e-9) + 1 if cell.threshold == "greater" else np.rint(exact)
    threshold = np.clip(at_once, 1, LARGEST).astype(np.int32)
    size = float(cell.v_threshold.max(initial=0.0))
    detail = f"{threshold.min()} to {threshold.max()}"
    wrong = threshold / scale - cell.v_threshold
    losses.append(lost(name, "threshold", 15, wrong, size, detail))
    bias = np.rint(cell.drive_v * scale).astype(np.int32)
    if bias.any():
        wrong, size = bias / scale - cell.drive_v, float(np.abs(cell.drive_v).max())
        losses.append(lost(name, "bias", 16, wrong, size, "register on v"))
    most = OUTPUT_SPIKES if is_output else HIDDEN_SPIKES
    return XyloCell(plan.dash_syn, plan.dash_mem, threshold, bias, most)
