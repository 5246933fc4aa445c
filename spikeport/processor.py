"""A conventional processor as a target: it runs the reference itself, in floats.

Nothing is quantized and nothing can be lost; what is left to say is how many operations a step
takes when every weight and every neuron is computed, whoever spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.place import place
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.traces import Traces

NOTE = (
    "a processor runs the float reference itself; its energy is an op count times a constant: "
    "every weight and every neuron in every step, no memory traffic and no idle time"
)
WHY_NO_LAVA = "Lava has no such arithmetic: a processor runs the float reference itself"


def on_processor(clocked: Clocked, chip: Chip, chips: int = 1) -> Image:
    """Return a network as it is on a processor.

    Raises:
        ChipError: the chip cannot be linked to so many others.
    """
    program = structure_of(clocked)
    return place(replace(program, notes=(*program.notes, NOTE)), chip, chips)


def structure_of(clocked: Clocked) -> Program:
    """Return a network as a Program that says where weights are, not what they are."""
    populations = {
        name: CellPopulation(
            pop.kind,
            pop.shape,
            pop.membrane,  # type: ignore[arg-type]  # a float cell: the reference steps it
            np.ones(pop.size),
        )
        for name, pop in clocked.populations.items()
    }
    synapses = tuple(
        Synapses.of(
            each.name, each.pre, each.post, _where(each.matrix), 0, "signed", 32, each.delay
        )
        for each in clocked.projections
    )
    return Program(
        dt=clocked.dt,
        populations=populations,
        synapses=synapses,
        outputs=clocked.outputs,
        lags={name: clocked.lags.get(name, 0) for name in populations},
        repairs=clocked.repairs,
        notes=clocked.notes,
        name=clocked.name,
    )


def as_run_there(ideal: Traces, inputs: Mapping[str, Array], image: Image) -> Traces:
    """Return the reference's run as the processor's, with the counters that costs need."""
    sent = {name: np.count_nonzero(x, axis=1).astype(np.int64) for name, x in inputs.items()}
    steady = {
        name: np.full((ideal.samples, pop.size), ideal.steps)
        for name, pop in image.program.populations.items()
        if name not in sent
    }
    counters = {name: {"spikes": count} for name, count in (steady | sent).items()}
    return replace(ideal, source="emulator", counters=counters | dict(ideal.counters), seconds=0.0)


def _where(matrix: object) -> sp.csr_matrix:
    """Return 1 for each weight that is not zero, int32."""
    pattern = sp.csr_matrix(matrix, dtype=np.float64, copy=True)
    pattern.eliminate_zeros()
    pattern.sort_indices()  # now, because a Program cannot be changed
    pattern.data = np.ones_like(pattern.data, dtype=np.int32)
    return pattern.astype(np.int32)
