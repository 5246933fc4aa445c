"""Every structure of a graph: nested, branching, merging, cyclic; several inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import spikeport.models.neurons  # noqa: F401
from hw_tests.node_by_node import Steps
from spikeport.backends import reference
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.errors import GraphError, LoadError, SpikeportError
from spikeport.compiler.load.nir import read_network, write_network
from spikeport.compiler.network import (
    Affine,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Network,
    Output,
    Scale,
)
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.compiler.text import text
from spikeport.models.neurons.i import I
from spikeport.models.neurons.lif import Lif
from spikeport.models.neurons.threshold import Threshold

DT = 1e-3
IN, OUT = Input((2,)), Output((2,))


def pairs(edges: str) -> tuple[tuple[str, str], ...]:
    """Return edges that are written `a>b b>c`."""
    return tuple(tuple(edge.split(">")) for edge in edges.split())  # type: ignore[misc]


def network(nodes: dict[str, Any], edges: str, *said: str) -> Network:
    semantics = apply_settings(Semantics(dt=DT, dialect="nir"), said)
    return Network(nodes, pairs(edges), semantics, name="graph.nir")


def lif(size: int = 2) -> Lif:
    one = np.ones(size)
    return Lif(2 * DT * one, one, 0 * one, 0.4 * one, 0 * one)


def shown(clocked: Clocked, data: dict[str, Any], steps: int) -> dict[str, Any]:
    """Return what every Output shows, (steps, n), spikes or values."""
    given = {name: each[None] for name, each in data.items()}
    spiking = {
        name: clocked.populations[population].cell.spiking
        for name, population in clocked.outputs.items()
    }
    analog = [clocked.outputs[name] for name, spikes in spiking.items() if not spikes]
    traces = reference.run(clocked, given, steps, probe=[f"{each}.v" for each in analog])
    return {
        name: traces.spikes[population].dense()[0]
        if spiking[name]
        else traces.probes[f"{population}.v"][0]
        for name, population in clocked.outputs.items()
    }


def assert_equals_the_slow_one(net: Network, late: str = "") -> Clocked:
    """Compare what the Outputs show with the graph stepped node by node."""
    net = infer_shapes(flatten_graphs(net))
    rng = np.random.default_rng(5)
    data = {
        name: rng.integers(0, 2, (6, *net.shapes[name])).astype(float)
        for name in net.of_type(Input)
    }
    slow = Steps(net, data, DT, frozenset(pairs(late)))
    clocked = to_clocked(net)
    for name, values in shown(clocked, data, 9).items():
        wanted = [slow.sent(name, t).ravel() for t in range(9)]
        assert np.allclose(values, wanted, atol=1e-12), name
    return clocked


# --- nested graphs ---------------------------------------------------------------------------


def two_ports() -> Graph:
    """Return a graph with Inputs a and b, and Outputs sum and twice (of b)."""
    nodes = {
        "a": IN, "b": IN, "n": I(np.ones(2) / DT), "two": Scale(np.array(2.0)),
        "sum": OUT, "twice": OUT,
    }  # fmt: skip
    return Graph(nodes, pairs("a>n b>n n>sum b>two two>twice"))


def test_an_edge_to_one_of_several_inputs_names_it():
    net = network(
        {"x": IN, "y": IN, "sub": two_ports(), "o": OUT, "p": OUT},
        "x>sub.a y>sub.b sub.sum>o sub.twice>p",
    )
    flat = flatten_graphs(net)
    assert list(flat.nodes) == ["x", "y", "sub.n", "sub.two", "o", "p"]
    assert set(flat.edges) == set(pairs("x>sub.n y>sub.n y>sub.two sub.n>o sub.two>p"))
    assert_equals_the_slow_one(net)


def test_an_edge_may_name_a_port_of_a_graph_in_a_graph():
    inner = Graph({"sub": two_ports(), "end": OUT}, pairs("sub.sum>end"))
    net = network({"x": IN, "y": IN, "g": inner, "o": OUT}, "x>g.sub.a y>g.sub.b g>o")
    assert set(flatten_graphs(net).edges) >= set(pairs("x>g.sub.n y>g.sub.n g.sub.n>o"))
    assert_equals_the_slow_one(net)


@pytest.mark.parametrize(
    ("edges", "message", "mended"),
    [
        ("x>sub y>sub.b sub.sum>o sub.twice>p", "'sub' has 2 Input nodes", "x>sub.a"),
        ("x>sub.a y>sub.b sub>o sub.twice>p", "'sub' has 2 Output nodes", "sub.sum>o"),
    ],
)
def test_an_edge_that_does_not_say_which_port_is_refused_with_their_names(
    edges: str, message: str, mended: str
):
    nodes = {"x": IN, "y": IN, "sub": two_ports(), "o": OUT, "p": OUT}
    with pytest.raises(GraphError, match=f"nested graph {message}") as told:
        flatten_graphs(network(nodes, edges))
    assert mended.replace(">o", "").removeprefix("x>") in told.value.fix
    wrong = next(e for e in edges.split() if e.split(">")[0] == "sub" or e.split(">")[1] == "sub")
    flatten_graphs(network(nodes, edges.replace(wrong, mended)))


def test_two_ways_through_nested_graphs_add_up():
    wire = Graph({"i": IN, "o": OUT}, pairs("i>o"))
    net = network({"x": IN, "a": wire, "b": wire, "out": OUT}, "x>a x>b x>out a>out b>out")
    (out,) = shown(to_clocked(net), {"x": np.array([[1.0, 0.5]])}, 1).values()
    assert out.tolist() == [[3.0, 1.5]]
    assert_equals_the_slow_one(net)


def test_an_edge_that_is_there_twice_once_graphs_are_opened_is_refused():
    inner = Graph({"i": IN, "n": lif(), "o": OUT}, pairs("i>n n>o"))
    nodes = {"x": IN, "sub": inner, "out": OUT}
    with pytest.raises(GraphError, match=r"two edges lead from 'x' to 'sub\.i'"):
        flatten_graphs(network(nodes, "x>sub x>sub.i sub>out"))
    assert flatten_graphs(network(nodes, "x>sub.i sub>out"))


def nested_file(path: Path, edges: list[tuple[str, str]]) -> Path:
    """Write x, y -> a graph with two Inputs and two Outputs -> o, p."""
    one, two = np.ones(2), np.array([2])
    inner = {
        "a": nir.Input({"input": two}), "b": nir.Input({"input": two}),
        "n": nir.LIF(one, one, 0 * one, one, 0 * one), "s": nir.Scale(one),
        "c": nir.Output({"output": two}), "d": nir.Output({"output": two}),
    }  # fmt: skip
    sub = nir.NIRGraph(inner, list(pairs("a>n b>s n>c s>d")), type_check=False)
    nodes = {
        "x": nir.Input({"input": two}), "y": nir.Input({"input": two}), "sub": sub,
        "o": nir.Output({"output": two}), "p": nir.Output({"output": two}),
    }  # fmt: skip
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    return path


def test_a_file_with_a_graph_of_two_inputs_and_two_outputs_loads(tmp_path: Path):
    edges = list(pairs("x>sub.a y>sub.b sub.c>o sub.d>p"))
    net = read_network(nested_file(tmp_path / "two.nir", edges))
    assert set(net.edges) == set(pairs("x>sub.n y>sub.s sub.n>o sub.s>p"))


@pytest.mark.parametrize(
    ("edges", "message", "fix"),
    [
        ("x>sub y>sub.b sub.c>o sub.d>p", "'sub' has 2 Input nodes", "'sub.a' or 'sub.b'"),
        ("x>sub.z y>sub.b sub.c>o sub.d>p", "needs a node 'sub.z'", "'sub.a' or 'sub.b', which"),
        ("x>sub.a y>sub.b sub.q>o sub.d>p", "needs a node 'sub.q'", "'sub.c' or 'sub.d', which"),
    ],
)
def test_a_file_that_does_not_say_which_port_is_refused_with_their_names(
    tmp_path: Path, edges: str, message: str, fix: str
):
    path = nested_file(tmp_path / "which.nir", list(pairs(edges)))
    with pytest.raises(SpikeportError, match=rf"^which\.nir: .*{message}") as told:
        read_network(path)
    assert fix in told.value.fix


# --- outputs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "kind"),
    [
        ("x>n n>out", "LIF"),
        ("x>n n>flat flat>out", "LIF"),
        ("x>n n>wait wait>out", "Relay"),
        ("x>n n>late late>wait wait>out", "Relay"),
        ("x>out", "Readout"),
        ("x>n n>w w>out", "Readout"),
        ("x>n x>m n>out m>out", "Readout"),
        ("x>n n>out x>out", "Readout"),
        ("x>i i>wait wait>out", "Readout"),
        ("x>n n>fc fc>out", "Readout"),
        ("x>n n>wait n>late wait>out late>out", "Readout"),
    ],
)
def test_an_output_is_a_population_of_its_own_unless_it_shows_one(edges: str, kind: str):
    nodes = {
        "x": IN, "n": lif(), "m": lif(), "i": I(np.ones(2)), "flat": Flatten(0, -1),
        "wait": Delay(np.array(2 * DT)), "late": Delay(np.array([DT, 3 * DT])),
        "w": Linear(np.ones((2, 2))), "fc": Affine(np.eye(2), np.array([0.0, 0.5])), "out": OUT,
    }  # fmt: skip
    used = {
        name: node for name, node in nodes.items() if name in " ".join(edges.split(">")).split()
    }
    clocked = to_clocked(network(used, edges))
    assert clocked.outputs == {"out": "out" if kind in ("Relay", "Readout") else "n"}
    population = clocked.populations[clocked.output]
    assert population.kind == kind
    assert population.signal == ("analog" if kind == "Readout" else "binary")


def test_a_count_is_not_relayed_as_a_spike():
    nodes = {"x": IN, "n": lif(), "wait": Delay(np.array(DT)), "out": OUT}
    clocked = to_clocked(network(nodes, "x>n n>wait wait>out", "spike=count"))
    assert clocked.populations["out"].kind == "Readout"


def test_halves_of_two_populations_are_no_relay():
    nodes = {
        "x": IN, "n": lif(), "m": lif(), "left": Scale(np.array([1.0, 0.0])),
        "right": Scale(np.array([0.0, 1.0])), "out": OUT,
    }  # fmt: skip
    clocked = to_clocked(network(nodes, "x>n x>m n>left m>right left>out right>out"))
    assert clocked.populations["out"].kind == "Readout"


def test_a_relay_shows_the_spikes_as_they_were_and_a_readout_the_sum_of_its_inputs():
    nodes = {"x": IN, "n": Threshold(np.zeros(2)), "wait": Delay(np.array(2 * DT))}
    net = network({**nodes, "out": OUT, "all": OUT}, "x>n n>wait wait>out wait>all x>all")
    clocked = assert_equals_the_slow_one(net)
    assert [clocked.populations[name].kind for name in ("out", "all")] == ["Relay", "Readout"]


@pytest.mark.parametrize("lag", [0, 1])
def test_an_output_is_a_wire_and_not_a_layer(lag: int):
    net = network(
        {"x": IN, "n": lif(), "w": Linear(np.eye(2)), "two": Scale(np.array(2.0)), "out": OUT},
        "x>w w>n n>two two>out",
        f"feedforward_lag={lag}",
    )
    assert {p.post: p.delay for p in to_clocked(net).projections} == {"n": lag, "out": 0}


# --- branches, merges, loops -----------------------------------------------------------------

STRUCTURES = {
    "branches and a merge": "x>a x>b a>w b>w w>n n>out",
    "a merge at a neuron": "x>n y>n n>out",
    "a residual connection": "x>n n>w w>m n>m m>out",
    "a skip from the input": "x>n n>m x>m m>out",
    "a merge at an output": "x>n y>m n>out m>out x>out",
    "two outputs of one node": "x>w w>out w>n n>last",
    "input straight into output": "x>out y>n n>last",
    "a delayed branch": "x>wait x>w wait>m w>m m>out",
    "a filter": "x>a a>wait wait>b b>a a>n n>out",
}
NODES: dict[str, Any] = {
    "x": IN,
    "y": IN,
    "a": Scale(np.array([1.5, -0.5])),
    "b": Scale(np.array(0.5)),
    "w": Affine(np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.25, 0.0])),
    "wait": Delay(np.array([2 * DT, DT])),
    "n": Threshold(np.array([0.25, 0.5])),
    "m": I(np.array([1.0, -2.0]) / DT),
    "out": OUT,
    "last": OUT,
}


def structure(name: str) -> Network:
    ends = {end for pair in pairs(STRUCTURES[name]) for end in pair}
    return network({key: node for key, node in NODES.items() if key in ends}, STRUCTURES[name])


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_sends_what_its_nodes_send_one_by_one(name: str):
    assert_equals_the_slow_one(structure(name))


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_is_written_as_it_was_read(tmp_path: Path, name: str):
    write_network(structure(name), tmp_path / "graph.nir")
    first = read_network(tmp_path / "graph.nir")
    write_network(first, tmp_path / "graph.nir")
    again = read_network(tmp_path / "graph.nir")
    assert text(again) == text(first)
    assert [said for said in again.repairs if "single values" not in said] == []
    assert (again.semantics, set(again.edges)) == (first.semantics, set(structure(name).edges))


@pytest.mark.parametrize("edges", ["n>n", "n>b b>n"], ids=["itself", "a scale"])
def test_a_neuron_may_act_on_itself_one_to_one(edges: str):
    ends = {end for pair in pairs(edges) for end in pair} | {"x", "out"}
    nodes = {key: node for key, node in NODES.items() if key in ends}
    net = network(nodes, f"x>n {edges} n>out")
    last = edges.split()[-1]
    clocked = assert_equals_the_slow_one(net, late=last)
    (back,) = [each for each in clocked.projections if each.recurrent]
    assert (back.delay, back.matrix.nnz) == (1, 2)


def test_a_loop_through_two_populations_and_a_nested_graph_is_late_once():
    inner = Graph({"i": IN, "m": Threshold(np.zeros(2)), "o": OUT}, pairs("i>m m>o"))
    net = network(
        {"x": IN, "n": Threshold(np.array([0.5, 1.5])), "g": inner, "out": OUT},
        "x>n n>g g>n g>out",
    )
    clocked = assert_equals_the_slow_one(net, late="g.m>n")
    assert sum(each.delay for each in clocked.projections) == 1


# --- what is refused -------------------------------------------------------------------------


def changed(path: Path, edges: str) -> Path:
    with h5py.File(path, "r+") as file:
        del file["node/edges"]
        file.create_dataset("node/edges", data=pairs(edges), dtype=h5py.string_dtype())
    return path


def test_a_loop_with_neither_neuron_nor_delay_is_refused_and_a_delay_helps(tmp_path: Path):
    write_network(structure("a filter"), tmp_path / "loop.nir")
    path = changed(tmp_path / "loop.nir", "x>a a>b b>a a>wait wait>n n>out")
    with pytest.raises(LoadError, match=r"loop \(cycle\) without state: '[ab]' to '[ab]'") as told:
        read_network(path)
    assert "a Delay into the loop" in told.value.fix
    changed(path, STRUCTURES["a filter"])
    assert read_network(path)


def test_fan_in_of_unequal_shapes_is_refused_with_both():
    nodes = {"x": IN, "z": Input((3,)), "n": Threshold(np.array(1.0)), "out": OUT}
    with pytest.raises(
        GraphError, match=r"'n' gets .* different shapes: 'z' sends \(3,\), .*\(2,\)"
    ):
        to_clocked(network(nodes, "x>n z>n n>out"))
    fitted = {**nodes, "w": Linear(np.ones((2, 3)))}
    assert to_clocked(network(fitted, "x>n z>w w>n n>out"))


def test_a_nested_graph_without_an_output_is_refused_where_an_edge_leaves_it():
    inner = Graph({"i": IN, "n": lif()}, pairs("i>n"))
    with pytest.raises(GraphError, match="'g' has 0 Output nodes") as told:
        flatten_graphs(network({"x": IN, "g": inner, "out": OUT}, "x>g g>out"))
    assert told.value.fix == "give 'g' an Output"
