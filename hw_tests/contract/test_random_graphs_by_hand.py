"""Random graphs mean to spikeport what they mean node by node: loader, folding, clock, reference.

The random graphs of test_random_graphs.py begin at the clocked network; this is the way there.
Sums are taken in another order here, so a neuron that meets its threshold exactly may go the
other way by rounding: of 1 000 graphs one does (seed 754, thirds of an AvgPool2d), none below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import spikeport as sp
from hw_tests.by_hand import run_by_hand
from hw_tests.fuzz_graphs import CHIPS
from hw_tests.generate.graphs import random_graph
from spikeport.backends import reference
from spikeport.compiler.pipeline import to_clocked

Array = np.ndarray[Any, Any]
ONE_STEP = ("feedforward_lag=1", "recurrent_lag=1", "recurrent_bias_at_start=true")


def whole_steps(graph: nir.NIRGraph, dt: float) -> None:
    """Round every Delay, so that it does not matter where the rounding is done."""
    for node in graph.nodes.values():
        if isinstance(node, nir.NIRGraph):
            whole_steps(node, dt)
        elif isinstance(node, nir.Delay):
            node.delay = np.rint(node.delay / dt) * dt


def first_difference(seed: int, path: Path) -> str:
    """Return how the reference differs from the graph done by hand, "" if it does not."""
    drawn = random_graph(np.random.default_rng(seed), CHIPS[seed % 2])
    settings = [*drawn.settings, *ONE_STEP]
    dt = next(float(text[3:]) for text in settings if text.startswith("dt="))
    whole_steps(drawn.graph, dt)
    sent, v = run_by_hand(drawn.graph, settings, drawn.inputs)
    nir.write(path, drawn.graph)
    clocked = to_clocked(sp.load(path, dialect="nir", settings=settings))
    inputs = {name: x.reshape(*x.shape[:2], -1) for name, x in drawn.inputs.items()}
    steps = next(iter(inputs.values())).shape[1]
    got = reference.run(clocked, inputs, steps, probe=[f"{name}.v" for name in sent])
    for name, raster in sent.items():
        if name in got.spikes and not np.array_equal(got.spikes[name].dense(), raster):
            return f"spikes of {name}"
        # Sums are taken in another order: a few units in the last place of what was added.
        largest = np.abs(v[name]).max(initial=0.0)
        if np.abs(got.probes[f"{name}.v"] - v[name]).max(initial=0.0) > 1e-9 * largest:
            return f"v of {name}"
    return ""


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_a_random_graph_is_what_its_nodes_are(first: int, tmp_path: Path):
    path = tmp_path / "graph.nir"
    found = {seed: first_difference(seed, path) for seed in range(first, first + 10)}
    assert {seed: what for seed, what in found.items() if what} == {}


def test_a_weight_that_folding_loses_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The comparison sees what it is for."""
    monkeypatch.setattr(nir.Scale, "to_dict", _without_scale)
    found = [first_difference(seed, tmp_path / "graph.nir") for seed in range(6)]
    assert any(found)


def _without_scale(node: nir.Scale) -> dict[str, Any]:
    return {"type": "Scale", "scale": np.ones_like(node.scale)}
