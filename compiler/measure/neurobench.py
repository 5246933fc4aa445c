"""NeuroBench's metrics of a run, by its definitions (NeuroBench/neurobench@e521c28)."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.image import Image
from spikeport.compiler.program import Program
from spikeport.compiler.traces import Traces


def neurobench(image: Image, traces: Traces, pieces: int = 1) -> dict[str, Any]:
    """Return footprint, sparsities and operations of a run, averages per sample.

    Biases are excluded from the operations; spikes make accumulates (ACs), real values and
    graded messages multiply-accumulates (MACs). Dense counts every synapse in every step.
    """
    program = image.program
    accumulates = multiplies = dense = synapses = possible = 0.0
    for each in program.synapses:
        if program.populations[each.pre].kind == "constant":
            continue
        mantissa = each.mantissa
        per_pre = np.asarray((mantissa != 0).sum(axis=0)).ravel()
        sent = traces.counters[each.pre]["spikes"].mean(axis=0)
        operations = float((sent * per_pre).sum())
        if _sends_values(traces, each.pre):
            multiplies += operations
        else:
            accumulates += operations
        synapses += float(per_pre.sum())
        possible += float(mantissa.shape[0] * mantissa.shape[1])
        dense += float(mantissa.shape[0] * mantissa.shape[1] * traces.model_steps)
    for host in program.host.values():
        times = 1 if host.static else traces.model_steps
        for target in chain.from_iterable(host.targets.values()):
            rows, columns = target.matrix.shape
            used = sp.csr_matrix(target.matrix).nnz
            multiplies += float(used * times)
            dense += float(rows * columns * traces.model_steps)
            synapses, possible = synapses + used, possible + rows * columns
    cells = [p for p in program.neurons if program.populations[p].kind != "constant"]
    spikes = sum(float(traces.counters[p]["spikes"].mean(axis=0).sum()) for p in cells)
    slots = sum(program.populations[p].size * _chances(program, traces, p) for p in cells)
    bits = sum(use.used("synaptic_memory_bits") for use in image.cores)
    return {
        "Footprint": bits // 8,
        "ConnectionSparsity": 1.0 - synapses / possible if possible else 0.0,
        "ActivationSparsity": 1.0 - spikes / slots if slots else 0.0,
        "SynapticOperations": {
            "Effective_MACs": multiplies / pieces,
            "Effective_ACs": accumulates / pieces,
            "Dense": dense / pieces,
        },
    }


def _chances(program: Program, traces: Traces, name: str) -> int:
    """Return how often a neuron could have sent; an analog one sends from the first step on."""
    spiking = program.populations[name].sends_spikes
    return traces.model_steps if spiking else traces.steps // traces.slow


def _sends_values(traces: Traces, pre: str) -> bool:
    """Did a population send more than spikes: an analog one, or one that counts them."""
    if pre not in traces.spikes:
        return True
    count = traces.spikes[pre].count
    return count is not None and int(count.max(initial=0)) > 1
