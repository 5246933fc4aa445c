"""Why a neuron of the chip first spikes differently: its own story, one rounding at a time.

The neuron is stepped alone, in floats, with the chip's lags and the spikes that the reference
sent it, once as trained and once with one rounding put in: of its weights, its decays, its
threshold. The roundings that alone change that spike are the cause; where none does, it is
their sum, or the rounding of the state toward zero in every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked, Membrane
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.parity import Parity
from spikeport.compiler.pipeline import for_chip
from spikeport.compiler.program import Arithmetic, Cell, Program
from spikeport.data import Data
from spikeport.models.neurons import membrane


def explain(clocked: Clocked, image: Image, data: Data, parity: Parity) -> dict[str, Any] | None:
    """Return the cause of the first difference between reference and emulator.

    Returns:
        {"causes", "v_reference", "v_chip", "v_threshold", "text"}: v before a reset, in the
        network's own units, on the reference and with every rounding in; None without a
        difference, under --slow, and for neurons that are not of the integrate-and-fire family,
        in the network or on the chip.
    """
    first = parity.first_difference
    if image.program.slow > 1:
        return None
    if first is None or not isinstance(clocked.populations[first.population].membrane, Membrane):
        return None
    if not isinstance(image.program.populations[first.population].cell, Cell):
        return None
    from spikeport.backends import reference

    retimed = for_chip(clocked, image.chip, frozenset(data.host()), allow_skew=True)
    one = {name: x[first.sample : first.sample + 1] for name, x in data.inputs.items()}
    analog = [name for name in retimed.neurons if not retimed.populations[name].cell.spiking]
    ideal = reference.run(retimed, one, probe=[f"{name}.v" for name in analog])
    name = first.population
    neuron = int(np.ravel_multi_index(first.neuron, retimed.populations[name].shape))
    step = first.step + retimed.lags[name]
    sent = {pre: ideal.spikes[pre].dense()[0] for pre in retimed.populations if pre in ideal.spikes}
    sent |= {pre: _padded(one[pre][0], ideal.steps) for pre in data.host()}
    sent |= {pre: ideal.probes[f"{pre}.v"][0] for pre in analog}
    skewed = int(sent[name][step, neuron]) != int(first.expected)
    story = _story(retimed, image.program, name, neuron, sent)
    cell = story.cell
    decays, threshold = _with_decays(story, cell), _with_threshold(story, cell)
    spikes, trained = _run(story, cell, story.exact, step)
    alone = {
        "weight rounding": _run(story, cell, story.rounded, step),
        "decay rounding": _run(story, decays, story.exact, step),
        "threshold rounding": _run(story, threshold, story.exact, step),
    }
    everything = _with_threshold(story, decays)
    together, rounded = _run(story, everything, story.rounded, step)
    causes = [cause for cause, (other, _) in alone.items() if other != spikes]
    theta = float(cell.v_threshold[0])
    if skewed:
        causes = ["the edge that --allow-skew delays"]
    elif abs(trained - theta) <= 1e-9 * max(abs(theta), 1e-300):
        causes = ["tie at threshold", *causes]
    elif not causes and together != spikes:
        causes = ["all roundings together"]
    elif not causes:
        causes = ["the state, rounded toward zero in every step, or a different input"]
    level = float(cell.v_offset[0])  # all v below in the network's own units
    trained, rounded, theta = trained + level, rounded + level, theta + level
    return {
        "causes": causes,
        "v_reference": trained,
        "v_chip": rounded,
        "v_threshold": theta,
        "text": (
            f"{first} (emulator). v was {trained:.6g} against a threshold of {theta:.6g} in the "
            f"reference, {rounded:.6g} with the chip's rounding; cause: {', '.join(causes)}"
        ),
    }


Incoming = tuple[tuple[Array, Array, int], ...]  # weights, spikes (steps, pre), delay


@dataclass(frozen=True, eq=False)
class _Story:
    """One neuron and what arrives at it.

    Attributes:
        cell: its parameters as trained; `integer` those on the chip, of its whole population.
        arithmetic: of the chip.
        neuron: its number; `scale` from v in floats to v in integers.
        start: first step in which it moves.
        exact, rounded: what arrives, with weights as trained and as on the chip.
    """

    cell: Membrane
    integer: Cell
    arithmetic: Arithmetic
    neuron: int
    scale: float
    start: int
    exact: Incoming
    rounded: Incoming


def _story(
    retimed: Clocked, program: Program, name: str, neuron: int, sent: Mapping[str, Array]
) -> _Story:
    """Return the story of one neuron of a retimed network."""
    population, lowered = retimed.populations[name], program.populations[name]
    cell = _only(population.cell, neuron)
    scale = float(lowered.scale[neuron])
    gain = float((cell.gain_u * cell.gain_v)[0])
    integers = {each.name: each for each in program.into(name)}
    exact, rounded = [], []
    for projection in retimed.into(name):
        came = (sent[projection.pre], projection.delay)
        exact.append((_row(projection.matrix, neuron), *came))
        synapses = integers.get(projection.name)
        if synapses is None:  # written by the host: rounded only in its last bit
            rounded.append(exact[-1])
            continue
        full = _row(synapses.mantissa, neuron) * 2.0 ** (
            synapses.exponent + program.arithmetic.weight_shift
        )
        rounded.append((full * _unit(program, projection.pre) / scale / gain, *came))
    if lowered.cell is None:
        raise TypeError(f"{name!r} has no state on the chip")
    start = population.start_step
    ways = (tuple(exact), tuple(rounded))
    return _Story(cell, lowered.cell, program.arithmetic, neuron, scale, start, *ways)


def _unit(program: Program, pre: str) -> float:
    """Return how many units of its message a source sends per unit of the network."""
    sender = program.populations[pre]
    if sender.sends_spikes or sender.cell is None:
        return 1.0
    return float(sender.scale[0]) / (1 << sender.cell.message_shift)


def _run(story: _Story, cell: Membrane, incoming: Incoming, step: int) -> tuple[int, float]:
    """Step the neuron alone; return (spikes in `step`, v in it before a reset)."""
    state = membrane.start(cell, 1)
    spikes, before = 0, float(cell.v_initial[0])
    for t in range(story.start, step + 1):
        received = sum(float(row @ sent[t - delay]) for row, sent, delay in incoming if t >= delay)
        v = state["v"].copy()
        spikes = int(membrane.step(cell, state, np.full((1, 1), received))[0, 0])
        before = float((cell.keep_v * v + cell.gain_v * state["u"] + cell.drive_v)[0, 0])
    return spikes, before


def _with_decays(story: _Story, cell: Membrane) -> Membrane:
    """Return the parameters with the chip's decays."""
    unity = 1 << story.arithmetic.decay_bits
    keep_u = np.array([(unity - 1 - int(story.integer.decay_u[story.neuron])) / unity])
    keep_v = np.array([(unity - int(story.integer.decay_v[story.neuron])) / unity])
    return replace(cell, keep_v=keep_v, keep_u=keep_u if cell.has_current else cell.keep_u)


def _with_threshold(story: _Story, cell: Membrane) -> Membrane:
    """Return the parameters with the chip's threshold."""
    mantissa = float(story.integer.v_threshold[story.neuron])
    return replace(
        cell, v_threshold=np.array([mantissa * (1 << story.arithmetic.weight_shift) / story.scale])
    )


def _only(cell: Membrane, neuron: int) -> Membrane:
    """Return the parameters of one neuron."""
    one: dict[str, Any] = {
        name: value[neuron : neuron + 1].copy()
        for name, value in vars(cell).items()
        if isinstance(value, np.ndarray)
    }
    return replace(cell, **one)


def _padded(x: Array, steps: int) -> Array:
    """Return an input with zeros after its end, (steps, n)."""
    return np.concatenate([x[:steps], np.zeros((max(0, steps - len(x)), x.shape[1]))])


def _row(matrix: Any, neuron: int) -> Array:
    if sp.issparse(matrix):
        return np.asarray(sp.csr_matrix(matrix)[neuron].toarray()).ravel().astype(float)
    return np.asarray(matrix[neuron], float)
