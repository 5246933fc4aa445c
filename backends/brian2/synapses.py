"""Projections as Brian2 synapses: spikes travel as events with delays, numbers as sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.backends.brian2.groups import Placed, Stage, age, generator
from spikeport.compiler.clocked import Projection
from spikeport.compiler.kinds import Array


def connect_all(stage: Stage, placed: dict[str, Placed]) -> list[Any]:
    """Return the Brian2 objects of all projections.

    Each projection has a variable of its own in its target, so that what arrives is added in
    the order in which the network states its projections.
    """
    made: list[Any] = []
    for name in stage.clocked.neurons:
        for k, projection in enumerate(stage.clocked.into(name)):
            label = f"{placed[name].group.name}_in{k}"
            if sp.csr_matrix(projection.matrix).nnz:
                made += _connected(stage, placed, projection, f"arrived_{k}_post", label)
    return made


def _connected(
    stage: Stage, placed: dict[str, Placed], projection: Projection, target: str, label: str
) -> list[Any]:
    pre, post = placed[projection.pre], placed[projection.post]
    waits = age(stage.clocked, projection)
    if pre.sends_values:
        sent = f"sent_{waits}_pre" if waits else "sent_pre"
        model = f"weight : 1 (constant)\n{target} = weight * {sent} : 1 (summed)"
        synapses = _synapses(stage, pre.group, post.group, projection, label, model=model)
        (updater,) = synapses.summed_updaters.values()
        updater.when = post.slot("receive")
        return [synapses]
    live = _spiking(stage, pre.group, post, projection, target, waits, label)
    live.pre.when = pre.slot("send")
    return [live, *_replayed(stage, pre, post, projection, target, label)]


def _spiking(
    stage: Stage,
    source: Any,
    post: Placed,
    projection: Projection,
    target: str,
    waits: int,
    label: str,
) -> Any:
    return _synapses(
        stage, source, post.group, projection, label,
        model="weight : 1 (constant)", on_pre=f"{target} += weight", delay=waits * stage.dt,
    )  # fmt: skip


def _replayed(
    stage: Stage, pre: Placed, post: Placed, projection: Projection, target: str, label: str
) -> list[Any]:
    """Return a source for the spikes that were sent before this run and have not arrived."""
    history = stage.history.get(projection.pre)
    if history is None or not projection.delay:
        return []
    row, sample, neuron = np.nonzero(history[len(history) - projection.delay :])
    due = row < stage.steps
    index, step = (sample * pre.size + neuron)[due], row[due]
    if not index.size:
        return []
    source = generator(stage, index, step, pre.size, f"{label}_past", post.slot("receive"))
    synapses = _spiking(stage, source, post, projection, target, 0, f"{label}_replay")
    synapses.pre.when = post.slot("receive")
    synapses.pre.order = 1
    return [source, synapses]


def _synapses(
    stage: Stage, source: Any, target: Any, projection: Projection, label: str, **said: Any
) -> Any:
    """Return synapses from every sample's source neurons to the same sample's targets."""
    rows = sp.csr_matrix(projection.matrix, copy=True)  # to be sorted
    rows.sum_duplicates()
    weights = rows.tocoo()
    posts, pres = rows.shape
    synapses = stage.brian2.Synapses(
        source, target, namespace={}, clock=stage.clock, name=label, **said
    )
    synapses.connect(
        i=_blocks(weights.col, pres, stage.samples), j=_blocks(weights.row, posts, stage.samples)
    )
    synapses.weight = stage.tiled(np.asarray(weights.data, float))
    return synapses


def _blocks(index: Array, size: int, samples: int) -> Array:
    """Return the index in every sample's block, (samples * len(index),)."""
    return (np.arange(samples)[:, None] * size + index).ravel()
