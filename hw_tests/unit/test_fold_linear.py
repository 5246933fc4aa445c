"""Folding leaves every value as it was: against plain loops, node by node."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from hw_tests.node_by_node import apply_alone
from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import (
    Affine,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Network,
    Output,
    Scale,
    SumPool2d,
    Weights,
)
from spikeport.compiler.passes.convolution import conv_matrix
from spikeport.compiler.passes.fold_linear import fold_linear
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.models.neurons.lif import Lif

Array = np.ndarray[Any, Any]


# --- the oracle: each node by itself, in loops -----------------------------------------------


def arriving(net: Network, name: str, sent: Mapping[str, Array]) -> Array:
    """Return what arrives at a node of the original graph, walking back edge by edge."""
    total: Any = 0.0
    for source in net.into(name):
        if source in sent:
            total = total + sent[source]
        else:
            total = total + apply_alone(net.nodes[source], arriving(net, source, sent))
    return np.asarray(total)


def arriving_folded(net: Network, name: str, sent: Mapping[str, Array]) -> Array:
    """Return what arrives at a population after folding: one matrix per path."""
    total = np.zeros(int(np.prod(net.shapes[name])))
    for path in net.into(name):
        weights = net.nodes[path]
        assert isinstance(weights, Weights)
        (source,) = net.into(path)
        total += weights.matrix @ sent[source].ravel() + steady_bias(weights)
    return total


def steady_bias(weights: Weights) -> Any:
    """Return the sum of a path's biases, once all of them act."""
    return sum((bias for _, bias in weights.biases), np.zeros(weights.matrix.shape[0]))


def assert_same_values(net: Network, seed: int = 0) -> Network:
    """Fold, compare what arrives at every population, return the folded network."""
    net = infer_shapes(net)
    folded = fold_linear(net)
    rng = np.random.default_rng(seed)
    sent = {
        name: rng.integers(-3, 4, net.shapes[name]).astype(float)
        for name in [*net.of_type(Input), *net.neurons]
    }
    for name in net.neurons:
        wanted = arriving(net, name, sent)
        # Sums of at most some hundred products of numbers near one: 1e-9 is far above rounding.
        assert np.allclose(arriving_folded(folded, name, sent), wanted.ravel(), atol=1e-9), name
    return folded


def lif(size: int | tuple[int, ...] = 1) -> Lif:
    one = np.ones(size)
    return Lif(one * 1e-3, one, 0 * one, one, 0 * one)


def chain(shape: tuple[int, ...], *stateless: Any) -> Network:
    """input -> node0 -> node1 ... -> lif."""
    names = [f"node{index}" for index in range(len(stateless))]
    nodes = {"input": Input(shape), **dict(zip(names, stateless, strict=True)), "lif": lif(())}
    return Network(nodes, tuple(itertools.pairwise(nodes)))


def conv(rng: np.random.Generator, outputs: int, channels: int, size: Any, **given: Any) -> Conv2d:
    groups = given.pop("groups", 1)
    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)} | given
    kernel = rng.normal(size=(outputs, channels // groups, *size))
    return Conv2d(kernel, rng.normal(size=outputs), groups=groups, **plain)


# --- chains ----------------------------------------------------------------------------------


@given(data=some.data())
@settings(max_examples=60, deadline=None)
def test_a_convolution_of_any_geometry_is_the_same_as_in_loops(data: some.DataObject):
    pair = some.tuples(some.integers(1, 3), some.integers(1, 3))
    groups = data.draw(some.sampled_from([1, 2, 3]))
    channels, outputs = (
        groups * data.draw(some.integers(1, 2)),
        groups * data.draw(some.integers(1, 2)),
    )
    size, stride, dilation = data.draw(pair), data.draw(pair), data.draw(pair)
    padding = data.draw(some.tuples(some.integers(0, 3), some.integers(0, 3)))
    extent = data.draw(some.tuples(some.integers(1, 7), some.integers(1, 7)))
    fits = [
        e + 2 * p - d * (s - 1) for e, p, d, s in zip(extent, padding, dilation, size, strict=True)
    ]
    assume(min(fits) >= 1)
    rng = np.random.default_rng(data.draw(some.integers(0, 99)))
    node = conv(
        rng,
        outputs,
        channels,
        size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    folded = assert_same_values(chain((channels, *extent), node))
    weights = folded.nodes["node0"]
    assert (conv_matrix(weights.conv) != weights.matrix).nnz == 0


@given(data=some.data())
@settings(max_examples=60, deadline=None)
def test_a_chain_of_random_nodes_folds_to_what_it_computed(data: some.DataObject):
    rng = np.random.default_rng(data.draw(some.integers(0, 999)))
    shape: tuple[int, ...] = (2, 5, 4)
    nodes: list[Any] = []
    for kind in data.draw(
        some.lists(some.sampled_from(["scale", "pool", "conv", "one"]), max_size=3)
    ):
        if min(shape[1:]) < 2:
            break
        if kind == "conv":
            nodes.append(conv(rng, 2, 2, (2, 1), padding=(1, 0), stride=(1, 2)))
        elif kind == "pool":
            nodes.append(SumPool2d((2, 2), (2, 1), (0, 0)))
        else:
            nodes.append(Scale(rng.normal(size=shape if kind == "scale" else ())))
        shape = infer_shapes(chain((2, 5, 4), *nodes)).shapes["lif"]
    if data.draw(some.booleans()):
        size = int(np.prod(shape))
        nodes.append(Flatten(0, -1))
        nodes.append(Affine(rng.normal(size=(3, size)), rng.normal(size=3)))
        nodes.append(Scale(rng.normal(size=3)))
        nodes.append(Linear(rng.normal(size=(2, 3))))
    assume(nodes)
    folded = assert_same_values(chain((2, 5, 4), *nodes))
    (path,) = folded.of_type(Weights)
    assert folded.nodes[path].made_of == tuple(f"node{i}" for i in range(len(nodes)))


def test_pooling_with_padding_and_overlap_sums_each_window_of_each_channel():
    assert_same_values(chain((3, 5, 7), SumPool2d((3, 2), (2, 1), (1, 1))))


def test_a_scale_per_channel_is_broadcast_over_rows_and_columns():
    assert_same_values(chain((2, 3, 4), Scale(np.array([[[2.0]], [[-3.0]]]))))


def test_biases_pass_through_everything_that_follows():
    first = Affine(np.eye(2), np.array([1.0, 10.0]))
    second = Affine(np.array([[1.0, 1.0], [2.0, 0.0]]), np.array([0.5, 0.0]))
    folded = assert_same_values(chain((2,), first, Scale(np.array([3.0, 1.0])), second))
    assert steady_bias(folded.nodes["node2"]).tolist() == [13.5, 6.0]


def test_the_bias_of_a_convolution_is_that_of_its_channel_in_every_place():
    node = Conv2d(np.zeros((2, 1, 1, 1)), np.array([5.0, 7.0]), (1, 1), (0, 0), (1, 1), 1)
    folded = assert_same_values(chain((1, 2, 2), node))
    assert steady_bias(folded.nodes["node0"]).tolist() == [5, 5, 5, 5, 7, 7, 7, 7]
    assert folded.nodes["node0"].matrix.nnz == 0


# --- merges, branches, direct edges ----------------------------------------------------------


def test_several_edges_into_one_node_add_up_before_it():
    net = Network(
        {
            "a": Input((2,)),
            "b": Input((2,)),
            "one": Affine(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0])),
            "sum": Affine(np.array([[1.0, -1.0]]), np.array([0.25])),
            "lif": lif(()),
            "out": Output((1,)),
        },
        (("a", "one"), ("one", "sum"), ("b", "sum"), ("sum", "lif"), ("lif", "out")),
    )
    folded = assert_same_values(net)
    assert folded.of_type(Weights) == ["sum:a", "sum:b"]
    biases = [folded.nodes[name].biases for name in folded.of_type(Weights)]
    ((seconds, bias),) = [each for found in biases for each in found]  # once, not once per source
    assert (seconds, bias.tolist()) == (0.0, [0.25])


def test_two_ways_from_one_population_become_one_matrix():
    net = Network(
        {
            "a": Input((2,)),
            "one": Linear(np.array([[1.0, 2.0], [3.0, 4.0]])),
            "two": Scale(np.array([10.0, 100.0])),
            "sum": Flatten(0, 0),
            "lif": lif(()),
            "out": Output((2,)),
        },
        (
            ("a", "one"), ("a", "two"), ("a", "sum"), ("one", "sum"), ("two", "sum"),
            ("sum", "lif"), ("lif", "out"),
        ),
    )  # fmt: skip
    folded = assert_same_values(net)
    (path,) = folded.of_type(Weights)
    assert np.asarray(folded.nodes[path].matrix).tolist() == [[12.0, 2.0], [3.0, 105.0]]


def test_one_node_that_feeds_two_populations_is_there_for_both():
    net = Network(
        {
            "a": Input((2,)),
            "fc": Affine(np.array([[1.0, 2.0]]), np.array([3.0])),
            "left": lif(()),
            "right": lif(()),
            "out": Output((1,)),
            "out2": Output((1,)),
        },
        (("a", "fc"), ("fc", "left"), ("fc", "right"), ("left", "out"), ("right", "out2")),
    )
    folded = assert_same_values(net)
    assert [folded.into(name) for name in ("left", "right")] == [["fc"], ["fc'"]]
    assert [steady_bias(folded.nodes[name]).tolist() for name in ("fc", "fc'")] == [[3.0], [3.0]]


def test_an_edge_between_neurons_is_an_identity_and_so_are_skip_and_self_connections():
    net = Network(
        {"in": Input((3,)), "a": lif(()), "b": lif(()), "out": Output((3,))},
        (("in", "a"), ("a", "b"), ("in", "b"), ("b", "b"), ("b", "out")),
    )
    folded = assert_same_values(net)
    for name in folded.of_type(Weights):
        assert folded.nodes[name].matrix.toarray().tolist() == np.eye(3).tolist()
        assert folded.nodes[name].biases == ()
    assert folded.of_type(Weights) == ["in->a", "a->b", "in->b", "b->b"]


@given(seed=some.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_random_graphs_with_branches_merges_and_loops_keep_their_values(seed: int):
    rng = np.random.default_rng(seed)
    nodes: dict[str, Any] = {"in": Input((3,))}
    edges: list[tuple[str, str]] = []
    for index in range(int(rng.integers(1, 9))):
        kinds = (
            Linear(rng.normal(size=(3, 3))),
            Affine(rng.normal(size=(3, 3)), rng.normal(size=3)),
            Scale(rng.normal(size=3)),
            Flatten(0, -1),
            lif(()),
        )
        before = list(nodes)
        name = f"n{index}"
        nodes[name] = kinds[rng.integers(len(kinds))]
        many = int(rng.integers(1, min(3, len(before)) + 1))
        edges += [(str(source), name) for source in rng.choice(before, many, replace=False)]
    nodes |= {"last": lif(()), "out": Output((3,))}
    edges += [(f"n{index}", "last")]
    for name in [n for n in nodes if isinstance(nodes[n], Lif) and n != "last"]:
        if rng.random() < 0.5:
            edges += [("last", name)]
    assert_same_values(Network(nodes, (*edges, ("last", "out"))), seed)


# --- geometry --------------------------------------------------------------------------------


def geometry_after(*nodes: Any) -> Any:
    folded = assert_same_values(chain((2, 4, 3), *nodes))
    return folded.nodes[f"node{len(nodes) - 1}"]


def test_a_flatten_or_one_number_behind_a_convolution_keep_it_a_convolution():
    node = conv(np.random.default_rng(0), 3, 2, (2, 3), padding=(1, 1), stride=(2, 1))
    weights = geometry_after(node, Scale(np.array(-2.0)), Flatten(0, -1))
    assert np.array_equal(weights.conv.kernel, node.weight * -2.0)
    assert (weights.conv.input_shape, weights.conv.output_shape) == ((2, 4, 3), (3, 3, 3))
    assert np.array_equal(conv_matrix(weights.conv).toarray(), weights.matrix)  # dense by now


@pytest.mark.parametrize(
    "nodes",
    [
        (
            conv(np.random.default_rng(1), 2, 2, (2, 2)),
            Scale(np.arange(1.0, 13.0).reshape(2, 3, 2)),
        ),
        (Scale(np.array(2.0)), conv(np.random.default_rng(1), 2, 2, (2, 2))),
        (SumPool2d((2, 2), (1, 1), (0, 0)), conv(np.random.default_rng(1), 2, 2, (2, 2))),
        (conv(np.random.default_rng(1), 2, 2, (2, 2)), SumPool2d((2, 2), (1, 1), (0, 0))),
        (
            conv(np.random.default_rng(1), 2, 2, (2, 2)),
            conv(np.random.default_rng(2), 1, 2, (2, 1)),
        ),
        (conv(np.random.default_rng(1), 2, 2, (2, 2)), Flatten(0, -1), Linear(np.ones((2, 12)))),
        (SumPool2d((2, 2), (1, 1), (0, 0)),),
    ],
    ids=lambda nodes: "+".join(type(node).__name__ for node in nodes),
)
def test_anything_else_is_a_matrix_and_no_convolution(nodes: tuple[Any, ...]):
    assert geometry_after(*nodes).conv is None


def test_two_convolutions_that_meet_are_a_matrix_and_no_convolution():
    rng = np.random.default_rng(3)
    net = Network(
        {
            "in": Input((1, 3, 3)),
            "c1": conv(rng, 1, 1, (1, 1)),
            "c2": conv(rng, 1, 1, (1, 1)),
            "join": Flatten(0, -1),
            "lif": lif(()),
            "out": Output((9,)),
        },
        (
            ("in", "c1"), ("in", "c2"), ("c1", "join"), ("c2", "join"),
            ("join", "lif"), ("lif", "out"),
        ),
    )  # fmt: skip
    folded = assert_same_values(net)
    (path,) = folded.of_type(Weights)
    assert folded.nodes[path].conv is None


def test_a_full_matrix_is_kept_dense_and_a_pooled_one_sparse():
    full = np.arange(1.0, 33.0).reshape(2, 16)
    dense = geometry_like(
        (1, 4, 4), SumPool2d((1, 1), (1, 1), (0, 0)), Flatten(0, -1), Linear(full)
    )
    pooled = geometry_like((1, 4, 4), SumPool2d((2, 2), (2, 2), (0, 0)))
    assert isinstance(dense.matrix, np.ndarray)
    assert sparse.issparse(pooled.matrix)


def geometry_like(shape: tuple[int, ...], *nodes: Any) -> Any:
    return assert_same_values(chain(shape, *nodes)).nodes[f"node{len(nodes) - 1}"]


# --- outputs ---------------------------------------------------------------------------------


def test_an_output_shows_the_population_behind_its_flatten():
    net = Network(
        {"in": Input((1, 2, 2)), "lif": lif(()), "flat": Flatten(0, -1), "out": Output((4,))},
        (("in", "lif"), ("lif", "flat"), ("flat", "out")),
    )
    assert fold_linear(infer_shapes(net)).into("out") == ["lif"]


@pytest.mark.parametrize(
    ("nodes", "edges", "paths"),
    [
        ({"fc": Linear(np.eye(3))}, (("lif", "fc"), ("fc", "out")), ["fc"]),
        ({"two": Scale(np.array(2.0))}, (("lif", "two"), ("two", "out")), ["two"]),
        ({}, (("in", "out"),), ["in->out"]),
        ({"flat": Flatten(0, -1)}, (("in", "flat"), ("flat", "out")), ["flat"]),
        (
            {"lif2": lif(()), "sum": Flatten(0, -1)},
            (("in", "lif2"), ("lif", "sum"), ("lif2", "sum"), ("sum", "out")),
            ["sum:lif", "sum:lif2"],
        ),
        ({"lif2": lif(())}, (("in", "lif2"), ("lif", "out"), ("lif2", "out")), ["lif", "lif2"]),
    ],
    ids=["linear", "scale", "input", "flat input", "sum of two", "two populations"],
)
def test_an_output_of_anything_but_one_population_gets_weights_of_its_own(
    nodes: dict[str, Any], edges: tuple[tuple[str, str], ...], paths: list[str]
):
    given = {"in": Input((3,)), "lif": lif(()), **nodes, "out": Output((3,))}
    folded = fold_linear(infer_shapes(Network(given, (("in", "lif"), *edges))))
    assert [path.removesuffix("->out") for path in folded.into("out")] == [
        path.removesuffix("->out") for path in paths
    ]
    assert all(isinstance(folded.nodes[path], Weights) for path in folded.into("out"))


def test_a_loop_without_a_neuron_is_refused_by_name():
    net = Network(
        {
            "in": Input((3,)),
            "one": Linear(np.eye(3)),
            "two": Scale(np.ones(3)),
            "lif": lif(()),
            "out": Output((3,)),
        },
        (("in", "one"), ("one", "two"), ("two", "one"), ("two", "lif"), ("lif", "out")),
    )
    with pytest.raises(GraphError, match="the nodes one, two form a loop without state"):
        fold_linear(infer_shapes(net))
