"""Shapes are inferred in linear time, right for odd kernels and groups, and strict."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from spikeport.compiler.errors import GraphError
from spikeport.compiler.network import (
    Affine,
    Conv2d,
    Flatten,
    Graph,
    Input,
    Linear,
    Network,
    Output,
    Scale,
    SumPool2d,
)
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.models.neurons.lif import Lif


@pytest.mark.parametrize("kernel", [(3, 3), (1, 5), (4, 2)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("padding", [(0, 0), (2, 1)])
@pytest.mark.parametrize("dilation", [(1, 1), (1, 2)])
def test_a_convolution_has_as_many_outputs_as_places_where_its_kernel_fits(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
):
    conv = Conv2d(np.ones((6, 2, *kernel)), np.zeros(6), stride, padding, dilation, groups=2)
    net = infer_shapes(after((4, 11, 13), conv))
    assert net.shapes["node"] == (
        6,
        *(
            places(extent, *each)
            for extent, *each in zip((11, 13), kernel, stride, padding, dilation, strict=True)
        ),
    )


def places(extent: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Count by trying every place."""
    last = dilation * (kernel - 1)
    return sum(start + last < extent + 2 * padding for start in range(0, extent + 99, stride))


@pytest.mark.parametrize(
    ("node", "shape", "wanted"),
    [
        (SumPool2d((2, 3), (2, 3), (0, 0)), (5, 7, 9), (5, 3, 3)),
        (SumPool2d((3, 3), (2, 2), (1, 1)), (5, 7, 9), (5, 4, 5)),
        (Flatten(0, -1), (2, 3, 4), (24,)),
        (Flatten(1, 2), (2, 3, 4), (2, 12)),
        (Flatten(-2, -1), (2, 3, 4), (2, 12)),
        (Scale(np.array(2.0)), (2, 3), (2, 3)),
        (Scale(np.ones((2, 1))), (2, 3), (2, 3)),
        (Linear(np.ones((4, 3))), (3,), (4,)),
        (Affine(np.ones((4, 3)), np.ones(4)), (3,), (4,)),
    ],
    ids=str,
)
def test_a_stateless_node_has_the_shape(
    node: object, shape: tuple[int, ...], wanted: tuple[int, ...]
):
    assert infer_shapes(after(shape, node)).shapes["node"] == wanted


@pytest.mark.parametrize(
    ("node", "shape", "message"),
    [
        (Linear(np.ones((4, 3))), (2,), r"weight \(4, 3\) takes \(3,\), it gets \(2,\)"),
        (Linear(np.ones((4, 6))), (2, 3), r"put a Flatten \(start_dim 0\) before it"),
        (SumPool2d((2, 2), (2, 2), (0, 0)), (4, 4), "takes .channels, height, width."),
        (SumPool2d((5, 5), (1, 1), (0, 0)), (1, 4, 4), r"kernel \(5, 5\) .* does not fit"),
        (Flatten(1, -1), (4,), "Flatten from dimension 1 to -1 does not fit"),
        (Scale(np.ones(3)), (2,), r"scale \(3,\) does not broadcast to \(2,\)"),
        (Scale(np.ones((1, 2))), (2,), r"scale \(1, 2\) does not broadcast to \(2,\)"),
        (
            Conv2d(np.ones((4, 2, 3, 3)), np.zeros(4), (1, 1), (0, 0), (1, 1), 2),
            (2, 8, 8),
            "groups 2 takes 4 channels, it gets",
        ),
    ],
)
def test_a_misfit_names_the_node_and_both_shapes(
    node: object, shape: tuple[int, ...], message: str
):
    with pytest.raises(GraphError, match=rf"(?s)^small: node 'node' .*{message}"):
        infer_shapes(after(shape, node))


def test_recurrent_edges_need_no_order():
    net = Network(
        {
            "back": Linear(np.ones((3, 3))),
            "lif": lif(),
            "in": Input((2,)),
            "fc": Linear(np.ones((3, 2))),
            "out": Output((3,)),
        },
        (("lif", "back"), ("back", "lif"), ("in", "fc"), ("fc", "lif"), ("lif", "out")),
    )
    assert infer_shapes(net).shapes == {
        "back": (3,),
        "lif": (3,),
        "in": (2,),
        "fc": (3,),
        "out": (3,),
    }


def test_inputs_of_different_shapes_are_refused_with_both():
    net = Network(
        {"a": Input((3,)), "b": Input((4,)), "lif": lif(), "out": Output((3,))},
        (("a", "lif"), ("b", "lif"), ("lif", "out")),
    )
    with pytest.raises(GraphError, match=r"node 'lif' .*'b' sends \(4,\), .* sends \(3,\)"):
        infer_shapes(net)


def test_parameters_are_spread_over_the_population_without_memory():
    net = infer_shapes(after((2000, 2000), lif()))
    tau = net.nodes["node"].tau
    assert tau.shape == (2000, 2000)
    assert tau.strides == (0, 0)


def test_parameters_per_channel_are_spread_over_its_places():
    per_channel = Lif(np.array([[[0.1]], [[0.2]]]), *(np.array(1.0),) * 4)
    net = infer_shapes(after((2, 1, 3), per_channel))
    assert net.nodes["node"].tau.tolist() == [[[0.1, 0.1, 0.1]], [[0.2, 0.2, 0.2]]]


def test_parameters_of_another_number_of_neurons_are_refused():
    wrong = Lif(np.ones(3), *(np.array(1.0),) * 4)
    with pytest.raises(
        GraphError, match=r"'node' \(LIF\): its parameters have shape \(3,\), it gets \(2,\)"
    ):
        infer_shapes(after((2,), wrong))


def test_a_population_without_end_is_refused():
    with pytest.raises(GraphError, match="node 'in' is too large"):
        infer_shapes(after((1 << 20, 1 << 20), lif()))


def test_a_neuron_whose_size_nobody_knows_is_named():
    net = Network(
        {"in": Input((1,)), "out": Output((1,)), "lost": lif()},
        (("in", "out"),),
    )
    with pytest.raises(GraphError, match="size of node 'lost' cannot be known"):
        infer_shapes(net)


def test_an_output_of_another_shape_is_refused():
    net = Network({"in": Input((2,)), "out": Output((3,))}, (("in", "out"),))
    with pytest.raises(GraphError, match=r"'out' .*has shape \(3,\), it gets \(2,\)"):
        infer_shapes(net)


def test_time_grows_with_the_network_not_with_its_square():
    def seconds(length: int) -> float:
        nodes = {"in": Input((1,))} | {f"n{index}": lif() for index in range(length)}
        names = list(nodes)
        net = Network(nodes, tuple(itertools.pairwise(names)))
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            infer_shapes(net)
            taken.append(time.perf_counter() - start)
        return min(taken)

    assert seconds(8000) < 40 * seconds(1000)  # 64 times if it were the square


def test_nested_graphs_become_names_with_dots():
    inner = Graph(
        {"in": Input((2,)), "n": lif(), "w": Linear(np.eye(2)), "out": Output((2,))},
        (("in", "n"), ("n", "w"), ("w", "n"), ("n", "out")),
    )
    net = Network(
        {"in": Input((2,)), "sub": inner, "out": Output((2,))},
        (("in", "sub"), ("sub", "out")),
    )
    flat = infer_shapes(flatten_graphs(net))
    assert list(flat.nodes) == ["in", "sub.n", "sub.w", "out"]
    assert set(flat.edges) == {
        ("in", "sub.n"),
        ("sub.n", "sub.w"),
        ("sub.w", "sub.n"),
        ("sub.n", "out"),
    }


def test_graphs_in_graphs_are_opened_to_the_bottom():
    graph = Graph({"in": Input((1,)), "n": lif(), "out": Output((1,))}, (("in", "n"), ("n", "out")))
    for name in ("c", "b"):
        ends = {"in": Input((1,)), "out": Output((1,))}
        graph = Graph({**ends, name: graph}, (("in", name), (name, "out")))
    net = Network({"i": Input((1,)), "a": graph, "o": Output((1,))}, (("i", "a"), ("a", "o")))
    flat = flatten_graphs(net)
    assert list(flat.nodes) == ["i", "a.b.c.n", "o"]
    assert flat.edges == (("i", "a.b.c.n"), ("a.b.c.n", "o"))


def test_a_nested_graph_that_only_passes_on_vanishes():
    wire = Graph({"in": Input((1,)), "out": Output((1,))}, (("in", "out"),))
    net = Network({"i": Input((1,)), "w": wire, "o": Output((1,))}, (("i", "w"), ("w", "o")))
    assert flatten_graphs(net).edges == (("i", "o"),)


def test_a_nested_graph_with_two_inputs_is_refused_by_name():
    two = Graph({"a": Input((1,)), "b": Input((1,)), "out": Output((1,))}, (("a", "out"),))
    net = Network({"i": Input((1,)), "two": two}, (("i", "two"),))
    with pytest.raises(GraphError, match="nested graph 'two' has 2 Input nodes"):
        flatten_graphs(net)


def test_two_nodes_of_one_name_after_opening_are_refused():
    inner = Graph({"n": lif()}, ())
    net = Network({"a.n": lif(), "a": inner}, ())
    with pytest.raises(GraphError, match=r"two nodes are called 'a\.n'"):
        flatten_graphs(net)


def lif() -> Lif:
    return Lif(*(np.array(value) for value in (0.02, 1.0, 0.0, 1.0, 0.0)))


def after(shape: tuple[int, ...], node: object) -> Network:
    """Return input -> node."""
    return Network({"in": Input(shape), "node": node}, (("in", "node"),), name="small")
