"""Why a neuron of the chip first spikes differently: its own story, one rounding at a time.

The neuron is stepped alone, in floats, with the chip's lags and the spikes that the reference
sent it, once as trained and once with one rounding put in: of its weights, its decays, its
threshold. The roundings that alone change that spike are the cause; where none does, it is
their sum, or the rounding of the state toward zero in every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler import fixed
from spikeport.compiler.clocked import Clocked, Membrane
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.parity import Parity
from spikeport.compiler.pipeline import for_chip
from spikeport.compiler.program import Cell, Program
from spikeport.data import Data
from spikeport.models.neurons import membrane


def explain(clocked: Clocked, image: Image, data: Data, parity: Parity) -> dict[str, Any] | None:
    """Return the cause of the first difference between reference and emulator.

    Returns:
        {"causes", "v_reference", "v_chip", "v_threshold", "text"}: v before a reset, in the
        network's own units, on the reference and with every rounding in; None without a
        difference.
    """
    first = parity.first_difference
    if first is None or data.kind == "current":
        return None
    from spikeport.backends import reference

    retimed = for_chip(clocked, image.chip, allow_skew=True)
    one = {name: x[first.sample : first.sample + 1] for name, x in data.inputs.items()}
    ideal = reference.run(retimed, one)
    name = first.population
    neuron = int(np.ravel_multi_index(first.neuron, retimed.populations[name].shape))
    step = first.step + retimed.lags[name]
    skewed = int(ideal.spikes[name].dense()[0, step, neuron]) != int(first.expected)
    sent = {pre: events.dense()[0] for pre, events in ideal.spikes.items()}
    story = _Neuron(retimed, image.program, name, neuron, sent)
    spikes, trained = story.run(step)
    alone = {
        "weight rounding": story.run(step, weights=True),
        "decay rounding": story.run(step, decays=True),
        "threshold rounding": story.run(step, threshold=True),
    }
    together, rounded = story.run(step, weights=True, decays=True, threshold=True)
    causes = [cause for cause, (other, _) in alone.items() if other != spikes]
    if skewed:
        causes = ["the edge that --allow-skew delays"]
    if not causes:
        causes = (
            ["all roundings together"]
            if together != spikes
            else ["the state, rounded toward zero in every step, or a different input"]
        )
    return {
        "causes": causes,
        "v_reference": trained,
        "v_chip": rounded,
        "v_threshold": story.threshold,
        "text": (
            f"{first} (emulator). v was {trained:.6g} against a threshold of "
            f"{story.threshold:.6g} in the reference, {rounded:.6g} with the chip's rounding; "
            f"cause: {', '.join(causes)}"
        ),
    }


class _Neuron:
    """One neuron with what arrives at it, ready to be stepped with some roundings."""

    def __init__(
        self,
        retimed: Clocked,
        program: Program,
        name: str,
        neuron: int,
        sent: Mapping[str, Array],
    ) -> None:
        self.cell = _only(retimed.populations[name].cell, neuron)
        self.start = retimed.populations[name].start_step
        self.integer = program.populations[name].cell
        self.neuron = neuron
        self.scale = float(program.populations[name].scale[neuron])
        self.exact: list[tuple[Array, Array, int]] = []
        self.rounded: list[tuple[Array, Array, int]] = []
        gain = float((self.cell.gain_u * self.cell.gain_v)[0])
        integers = {each.name: each for each in program.into(name)}
        for projection in retimed.into(name):
            spikes = sent[projection.pre]
            row = _row(projection.matrix, neuron)
            self.exact.append((row, spikes, projection.delay))
            synapses = integers[projection.name]
            units = _row(synapses.mantissa, neuron) * 2.0**synapses.exponent
            weight = units * (1 << fixed.WEIGHT_SHIFT) / self.scale / gain
            self.rounded.append((weight, spikes, projection.delay))

    @property
    def threshold(self) -> float:
        """As trained, in the network's units."""
        return float(self.cell.v_threshold[0])

    def run(
        self, step: int, weights: bool = False, decays: bool = False, threshold: bool = False
    ) -> tuple[int, float]:
        """Return (spikes in `step`, v in it before a reset)."""
        cell = self._with(decays, threshold)
        incoming = self.rounded if weights else self.exact
        state = membrane.start(cell, 1)
        spikes, before = 0, float(cell.v_initial[0])
        for t in range(self.start, step + 1):
            received = sum(
                float(row @ sent[t - delay]) for row, sent, delay in incoming if t >= delay
            )
            v = state["v"].copy()
            spikes = int(membrane.step(cell, state, np.full((1, 1), received))[0, 0])
            seen = state["u"]
            before = float((cell.keep_v * v + cell.gain_v * seen + cell.drive_v)[0, 0])
        return spikes, before

    def _with(self, decays: bool, threshold: bool) -> Membrane:
        cell, integer = self.cell, self.integer
        if integer is None:
            return cell
        if decays:
            keep_u, keep_v = _keeps(integer, self.neuron)
            cell = replace(cell, keep_v=keep_v, keep_u=keep_u if cell.has_current else cell.keep_u)
        if threshold:
            level = float(integer.v_threshold[self.neuron]) * (1 << fixed.WEIGHT_SHIFT)
            cell = replace(cell, v_threshold=np.array([level / self.scale]))
        return cell


def _keeps(integer: Cell, neuron: int) -> tuple[Array, Array]:
    return (
        np.array([(4095 - int(integer.decay_u[neuron])) / 4096]),
        np.array([(4096 - int(integer.decay_v[neuron])) / 4096]),
    )


def _only(cell: Membrane, neuron: int) -> Membrane:
    """Return the parameters of one neuron."""
    one: dict[str, Any] = {
        name: value[neuron : neuron + 1].copy()
        for name, value in vars(cell).items()
        if isinstance(value, np.ndarray)
    }
    return replace(cell, **one)


def _row(matrix: Any, neuron: int) -> Array:
    if sp.issparse(matrix):
        return np.asarray(sp.csr_matrix(matrix)[neuron].toarray()).ravel().astype(float)
    return np.asarray(matrix[neuron], float)
