"""A recurrent layer with synaptic currents, for spike trains in which order and time matter."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from spikeport.compiler.semantics import Semantics
from spikeport.models.networks.parts import affine, drawn, graph, memory_of, source, target

DT = 1e-3
TAU_SYN, TAU_MEM = 5e-3, 5e-3  # short: what lasts longer than a burst is held by the loop
RATE = 0.03  # spikes per step, of inputs and of neurons
SHARE = 0.3  # of what moves a neuron at first, from its own layer: more of it never settles


def recurrent(
    *, seed: int = 0, inputs: int = 24, hidden: int = 64, classes: int = 6
) -> nir.NIRGraph:
    """Return inputs -> CubaLIF with weights among themselves -> CubaLIF, one for each class.

    Made for the task of `data/order.py`. A spike within the layer acts in the next step.

    Args:
        seed: of the weights.
        inputs: channels.
        hidden: neurons of the recurrent layer.
        classes: neurons of the output.
    """
    rng = np.random.default_rng(seed)
    memory = memory_of(1 - DT / TAU_SYN, 1 - DT / TAU_MEM, steps=100)
    among = np.sqrt(SHARE) * drawn(rng, (hidden, hidden), RATE, memory)
    nodes: dict[str, Any] = {
        "input": source(inputs),
        "hidden_weights": affine(rng, hidden, inputs, RATE, memory),
        "hidden": _cuba(hidden),
        "recurrent_weights": nir.Linear(among.astype(np.float32)),
        "output_weights": affine(rng, classes, hidden, RATE, memory),
        "output": _cuba(classes),
        "readout": target(classes),
    }
    edges = [
        ("input", "hidden_weights"),
        ("hidden_weights", "hidden"),
        ("hidden", "recurrent_weights"),
        ("recurrent_weights", "hidden"),
        ("hidden", "output_weights"),
        ("output_weights", "output"),
        ("output", "readout"),
    ]
    return graph(nodes, Semantics(dt=DT, dialect="nir"), edges)


def _cuba(size: int) -> nir.CubaLIF:
    """Return neurons of threshold 1 to whose current the input is added as it is."""
    levels = {
        "tau_syn": TAU_SYN, "tau_mem": TAU_MEM, "w_in": TAU_SYN / DT, "r": TAU_MEM / DT,
        "v_leak": 0, "v_threshold": 1, "v_reset": 0,
    }  # fmt: skip
    return nir.CubaLIF(**{key: np.full(size, value, np.float32) for key, value in levels.items()})
