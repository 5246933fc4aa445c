"""Populations that only pass on what they get: an Output that sums, a Delay that closes a loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Membrane, Population
from spikeport.compiler.network import Shape

#: Kinds that take no time of their own: no lag leads into them.
WIRES = ("Delay", "Readout", "Relay")


def readout(shape: Shape, kind: str = "Readout") -> Population:
    """Return a population whose v is its input of this step, and is what it sends."""
    return Population(kind, shape, passing_on(math.prod(shape), "analog"), "analog")


def relay(shape: Shape) -> Population:
    """Return a population that spikes where its input is a spike of this step (above 0.5)."""
    return Population("Relay", shape, passing_on(math.prod(shape), "binary"))


def is_identity(matrices: list[Any]) -> bool:
    """Do these matrices add up to the identity, each row of it in one of them."""
    rows, columns = matrices[0].shape
    if rows != columns:
        return False
    entries = sum(sp.csr_matrix(each).nnz for each in matrices)
    if entries != rows:
        return False
    whole = sum((sp.csr_matrix(each) for each in matrices[1:]), sp.csr_matrix(matrices[0]))
    return bool((whole != sp.identity(rows, format="csr")).nnz == 0)


def passing_on(size: int, signal: str) -> Membrane:
    """Return the neuron that sends in each step what it heard: v is its input, and nothing stays.

    Args:
        size: how many.
        signal: `binary` (a spike where the input is above 0.5), `count` or `analog`.
    """
    zeros, ones = np.zeros(size), np.ones(size)
    threshold = {"binary": 0.5, "count": 1.0, "analog": np.inf}[signal]
    return Membrane(
        has_current=False,
        keep_u=zeros,
        gain_u=ones,
        keep_v=zeros,
        gain_v=ones,
        drive_v=zeros,
        v_threshold=np.full(size, threshold),
        v_reset=zeros,
        v_initial=zeros,
        v_min=np.full(size, -np.inf),
        refractory_steps=np.zeros(size, np.int64),
        reset="none" if signal == "analog" else "to_value",
        reset_when="same_step",
        spike="count" if signal == "count" else "binary",
        threshold="greater_equal" if signal == "count" else "greater",
        current_order="decay_add_v",
        v_offset=zeros,
        spiking=signal != "analog",
    )
