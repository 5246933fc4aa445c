"""The simulator that trains gives the spikes of the NumPy reference, and in integers the chip's."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

pytest.importorskip("jax")

import spikeport as sp
from hw_tests.contract.conformance import suite
from hw_tests.fuzz_training import try_network
from hw_tests.trained_runs import spikes_for, unlike_reference
from spikeport.compiler.errors import LoadError
from spikeport.compiler.network import Network

CASES = suite.all_cases()
DT = 1e-3
#: Graphs of other tools, with the preset of the tool.
REAL = {
    "nirpaper_lif": "nir",
    "snntorch_ff_lif_zero": "snntorch",
    "snntorch_ff_lif_subtract_delay": "snntorch",
    "snntorch_rec_rsynaptic_zero": "snntorch",
    "spikingjelly_conv_if": "spikingjelly",
    "sinabs_ff_lif_norm": "sinabs",
    "sinabs_conv_iaf_multispike": "sinabs",
    "norse_ff_lifbox": "norse",
}


@pytest.mark.parametrize("part", range(8))
def test_jax_equals_numpy_on_every_conformance_graph(part: int, tmp_path: Path):
    wrong = {}
    for case in CASES[part::8]:
        nir.write(tmp_path / "case.nir", case.graph)
        net = sp.load(tmp_path / "case.nir", dialect="nir", settings=case.settings)
        wrong[case.name] = unlike_reference(net, case.inputs)
    assert {name: each for name, each in wrong.items() if each} == {}
    assert len(wrong) >= len(CASES) // 8


def real_graph(cases: Path, name: str) -> Network:
    """Return a graph of another tool, with dt where its preset knows none."""
    paths = sorted((cases / name).rglob("*.nir"))
    if not paths:
        pytest.skip(f"no graph in {name}")
    dialect = REAL[name]
    try:
        net = sp.load(paths[0], dialect=dialect)
        return net if net.semantics.dt else sp.load(paths[0], dialect=dialect, dt=DT)
    except LoadError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", REAL)
def test_jax_equals_numpy_on_graphs_of_other_tools(name: str, cases: Path):
    net = real_graph(cases, name)
    inputs = spikes_for(net, np.random.default_rng(0), samples=2, steps=12)
    assert unlike_reference(net, inputs) == []


@pytest.mark.parametrize("first", [0, 12])
def test_random_graphs_are_equal_in_floats_and_in_integers(first: int, tmp_path: Path):
    tried = [try_network(seed, tmp_path) for seed in range(first, first + 12)]
    assert {each.seed: each.trouble for each in tried if each.trouble} == {}
    assert all(each.floats for each in tried)
    assert sum(each.integers and each.spikes > 0 for each in tried) >= 2
