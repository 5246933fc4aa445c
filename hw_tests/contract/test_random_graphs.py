"""Random graphs of every kind run on chip as they would without retiming, only later.

A sample of what `make fuzz` tries; `python -m hw_tests.fuzz_graphs` prints what was in them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nir
import numpy as np
import pytest

import spikeport as sp
from hw_tests.fuzz_graphs import CHIPS, try_graph
from hw_tests.generate.graphs import PRIMITIVES, random_graph
from hw_tests.unretimed import run_both
from spikeport.backends import find_chip
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import for_chip, to_clocked

DT = 1e-3
SAMPLE = range(120)
STRUCTURES = (
    "nested", "loops", "loops of several", "merges", "branches", "long delays", "several inputs",
    "several outputs", "rules per neuron",
)  # fmt: skip
pieces = pytest.mark.parametrize("first", SAMPLE[::10])


@pieces
def test_a_random_graph_equals_its_unretimed_integers_and_is_read_back(first: int, tmp_path: Path):
    tried = [try_graph(seed, tmp_path) for seed in range(first, first + 10)]
    assert {each.seed: each.trouble for each in tried if each.trouble} == {}
    spiked = sum(each.features["populations that spiked"] for each in tried)
    assert spiked > 0.6 * sum(each.features["populations"] for each in tried)


def test_the_sample_holds_every_primitive_and_every_structure():
    held: Counter[str] = Counter()
    for seed in SAMPLE:
        drawn = random_graph(np.random.default_rng(seed), CHIPS[seed % 2])
        held.update({name for name, count in drawn.features.items() if count})
    assert {name: held[name] for name in (*PRIMITIVES, *STRUCTURES) if held[name] < 4} == {}


def test_a_seed_draws_one_graph():
    first, second = (random_graph(np.random.default_rng(3), "generic_graded") for _ in range(2))
    assert first.settings == second.settings
    assert first.graph.edges == second.graph.edges
    assert all(np.array_equal(first.inputs[name], second.inputs[name]) for name in first.inputs)


@pytest.mark.parametrize("chip", CHIPS)
def test_random_graphs_are_small(chip: str, tmp_path: Path):
    for seed in range(1000, 1010):
        drawn = random_graph(np.random.default_rng(seed), chip)
        nir.write(tmp_path / "graph.nir", drawn.graph)
        net = sp.load(tmp_path / "graph.nir", dialect="nir", settings=drawn.settings)
        assert 2 <= len(net.neurons) <= 6
        assert max(int(np.prod(net.shapes[name])) for name in net.neurons) <= 60


# --- loops ------------------------------------------------------------------------------------


def ring(folder: Path, populations: int, delay_steps: int) -> Network:
    """A loop of populations without lag but for its last edge's: one step, and a Delay's."""
    rng = np.random.default_rng(populations)
    names = [f"n{k}" for k in range(populations)]
    one = np.ones(3)
    nodes: dict[str, nir.NIRNode] = {"in": nir.Input({"input": np.array([3])})}
    for name in names:
        nodes[name] = nir.LIF(4 * DT * one, 4 * one, 0 * one, one, 0 * one)
        nodes[f"w_{name}"] = nir.Linear(rng.uniform(0.2, 1.0, (3, 3)))
    nodes["back"] = nir.Linear(rng.normal(0, 0.5, (3, 3)))
    nodes["late"] = nir.Delay(np.full(3, delay_steps * DT))
    nodes["out"] = nir.Output({"output": np.array([3])})
    before = ["in", *names[:-1]]
    edges = [(a, f"w_{b}") for a, b in zip(before, names, strict=True)]
    edges += [(f"w_{name}", name) for name in names]
    edges += [(names[-1], "late"), ("late", "back"), ("back", "n0"), (names[-1], "out")]
    nir.write(folder / "ring.nir", nir.NIRGraph(nodes, edges, type_check=False))
    return sp.load(folder / "ring.nir", dialect="nir", dt=DT)


@pytest.mark.parametrize("populations", [2, 3, 5])
def test_a_loop_with_fewer_steps_than_hops_is_refused_with_the_edge_to_delay(
    populations: int, tmp_path: Path
):
    clocked = to_clocked(ring(tmp_path, populations, delay_steps=0))
    with pytest.raises(LoweringError) as caught:
        for_chip(clocked, find_chip("loihi1"))
    names = " -> ".join([*(f"n{k}" for k in range(populations)), "n0"])
    last = populations - 1
    assert f"the loop {names} cannot be retimed" in str(caught.value)
    assert f"n{last} -> n0 delayed by {last} more" in str(caught.value)


@pytest.mark.parametrize("populations", [2, 3, 5])
def test_the_advice_is_enough_and_no_more_than_that(populations: int, tmp_path: Path):
    chip = find_chip("loihi1")
    x = np.random.default_rng(0).integers(0, 2, (2, 30, 3)).astype(np.uint8)
    missing = populations - 1
    with pytest.raises(LoweringError, match=r"delayed by 1 more"):
        for_chip(to_clocked(ring(tmp_path, populations, missing - 1)), chip)
    both = run_both(to_clocked(ring(tmp_path, populations, missing)), chip, {"in": x}, {})
    assert both.different == []
    assert all(both.spikes.values())


# --- merges -----------------------------------------------------------------------------------


def skip(folder: Path, depth: int) -> Network:
    """A chain of populations, the last of which also reads the input itself."""
    rng = np.random.default_rng(depth)
    one = np.ones(4)
    nodes: dict[str, nir.NIRNode] = {"in": nir.Input({"input": np.array([4])})}
    edges = []
    for k in range(depth):
        nodes[f"w{k}"] = nir.Linear(rng.uniform(0.0, 1.0, (4, 4)))
        nodes[f"n{k}"] = nir.IF(one / DT, one, 0 * one)
        edges += [("in" if k == 0 else f"n{k - 1}", f"w{k}"), (f"w{k}", f"n{k}")]
    nodes["out"] = nir.Output({"output": np.array([4])})
    edges += [("in", f"n{depth - 1}"), (f"n{depth - 1}", "out")]
    nir.write(folder / "skip.nir", nir.NIRGraph(nodes, edges, type_check=False))
    return sp.load(folder / "skip.nir", dialect="nir", dt=DT)


@pytest.mark.parametrize("depth", [2, 6, 70])
def test_a_merge_of_unequal_lags_is_balanced(depth: int, tmp_path: Path):
    """At 70 the short way has to wait longer than the chip can delay a spike."""
    x = np.random.default_rng(1).integers(0, 2, (1, 20, 4)).astype(np.uint8)
    both = run_both(to_clocked(skip(tmp_path, depth)), find_chip("loihi1"), {"in": x}, {})
    assert both.different == []
    assert both.program.lags[f"n{depth - 1}"] == depth
    assert both.spikes[f"n{depth - 1}"] > 0
    longest = max(each.delay_steps for each in both.program.synapses)
    assert longest == min(depth, 62)


# --- states that stand still ------------------------------------------------------------------


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("level", [0.5, 0.75, -0.5])
def test_a_level_that_only_a_bias_holds_does_not_drift_before_the_first_step(
    chip: str, level: float, tmp_path: Path
):
    """In floats v stands still at v_leak; integers round, so the chip must not start early."""
    rng = np.random.default_rng(0)
    one = np.ones(3)
    nodes = {
        "in": nir.Input({"input": np.array([3])}),
        "first": nir.LIF(4 * DT * one, 4 * one, 0 * one, one, 0 * one),
        "w": nir.Linear(rng.uniform(0.2, 1.0, (3, 3))),
        "second": nir.CubaLIF(2 * DT * one, 8 * DT * one, 8 * one, level * one, one, 0 * one, one),
        "out": nir.Output({"output": np.array([3])}),
    }
    edges = [("in", "first"), ("first", "w"), ("w", "second"), ("second", "out")]
    nir.write(tmp_path / "rest.nir", nir.NIRGraph(nodes, edges, type_check=False))
    said = [f"second.initial_v={level}"]
    clocked = to_clocked(sp.load(tmp_path / "rest.nir", dialect="nir", dt=DT, settings=said))
    x = rng.integers(0, 2, (1, 20, 3)).astype(np.uint8)
    assert run_both(clocked, find_chip(chip), {"in": x}, {}).different == []
