"""All 16 primitives of NIR: read from a file, folded to the right numbers, written as they were."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some
from scipy.signal import correlate

import spikeport.models.neurons  # noqa: F401
from hw_tests.node_by_node import apply_alone
from spikeport.compiler.errors import GraphError, LoadError, SpikeportError
from spikeport.compiler.load.nir import read_network, write_network
from spikeport.compiler.network import (
    Affine,
    AvgPool2d,
    Conv1d,
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
from spikeport.compiler.passes.convolution import MOST_SYNAPSES
from spikeport.compiler.passes.fold_linear import fold_linear
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.compiler.text import text
from spikeport.models.neurons.i import I
from spikeport.models.neurons.lif import Lif
from spikeport.models.neurons.threshold import Threshold

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(11)
ONE = np.ones(2)

#: NIR type -> a node that takes the shape beside it.
PRIMITIVES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Affine": (nir.Affine(RNG.normal(size=(2, 3)), RNG.normal(size=2)), (3,)),
    "AvgPool2d": (nir.AvgPool2d(np.array([2, 2]), np.array([2, 1]), np.array([1, 0])), (2, 3, 4)),
    "Conv1d": (nir.Conv1d(7, RNG.normal(size=(4, 1, 3)), 2, 1, 2, 2, RNG.normal(size=4)), (2, 7)),
    "Conv2d": (
        nir.Conv2d((5, 4), RNG.normal(size=(4, 1, 2, 2)), 1, 1, 1, 2, RNG.normal(size=4)),
        (2, 5, 4),
    ),
    "CubaLI": (nir.CubaLI(ONE, ONE, ONE, ONE, ONE), (2,)),
    "CubaLIF": (nir.CubaLIF(ONE, ONE, ONE, ONE, 2 * ONE, 0 * ONE, ONE), (2,)),
    "Delay": (nir.Delay(np.array([0.001, 0.003])), (2,)),
    "Flatten": (nir.Flatten({"input": np.array([2, 3, 4])}, 0, 1), (2, 3, 4)),
    "I": (nir.I(ONE), (2,)),
    "IF": (nir.IF(ONE, ONE, 0 * ONE), (2,)),
    "LI": (nir.LI(ONE, ONE, ONE), (2,)),
    "LIF": (nir.LIF(ONE, ONE, 0 * ONE, ONE, 0 * ONE), (2,)),
    "Linear": (nir.Linear(RNG.normal(size=(2, 3))), (3,)),
    "Scale": (nir.Scale(np.array([[[2.0]], [[3.0]]])), (2, 3, 4)),
    "SumPool2d": (nir.SumPool2d(np.array([3, 2]), np.array([1, 2]), np.array([1, 1])), (2, 3, 4)),
    "Threshold": (nir.Threshold(ONE), (2,)),
}


def files_of(node: Any, shape: tuple[int, ...], path: Path) -> Path:
    """Write input -> node -> a readout of single values -> output of the shape by counting."""
    return write_chain(path, node, shape, chain(shape, node))


def write_chain(path: Path, node: Any, shape: tuple[int, ...], output: tuple[int, ...]) -> Path:
    """Write input -> node -> node `end`, a readout of single values -> output."""
    end = nir.LI(*(np.ones(1),) * 3)
    nodes = {"input": nir.Input({"input": np.array(shape)}), "node": node, "end": end}
    nodes["output"] = nir.Output({"output": np.array(output)})
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    return path


def chain(shape: tuple[int, ...], node: Any) -> tuple[int, ...]:
    """Return the shape behind a NIR node, by counting."""
    if isinstance(node, (nir.AvgPool2d, nir.SumPool2d)):
        return (shape[0], *spots(shape[1:], node.kernel_size, node.stride, node.padding, (1, 1)))
    if isinstance(node, nir.Conv1d):
        args = (node.weight.shape[2:], (node.stride,), (node.padding,), (node.dilation,))
        return (node.weight.shape[0], *spots(shape[1:], *args))
    if isinstance(node, nir.Conv2d):
        args = (node.weight.shape[2:], node.stride, node.padding, node.dilation)
        return (node.weight.shape[0], *spots(shape[1:], *args))
    if isinstance(node, nir.Flatten):
        return (shape[0] * shape[1], shape[2])
    return (node.weight.shape[0],) if hasattr(node, "weight") else shape


def spots(extents: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    return tuple(
        len(range(0, x + 2 * p - d * (k - 1), s))
        for x, k, s, p, d in zip(extents, kernel, stride, padding, dilation, strict=True)
    )


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_primitive_is_read_and_has_the_shape_that_counting_gives(tmp_path: Path, name: str):
    node, shape = PRIMITIVES[name]
    net = read_network(files_of(node, shape, tmp_path / "graph.nir"))
    assert getattr(net.nodes["node"], "nir_type", type(net.nodes["node"]).__name__) == name
    assert net.shapes["node"] == chain(shape, node)
    assert to_clocked(net.with_semantics(Semantics(dt=1e-3))).outputs == {"output": "end"}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_primitive_is_written_as_it_was_read(tmp_path: Path, name: str):
    net = read_network(files_of(*PRIMITIVES[name], tmp_path / "graph.nir"))
    (tmp_path / "again").mkdir()
    write_network(net, tmp_path / "again" / "graph.nir")
    assert text(read_network(tmp_path / "again" / "graph.nir")) == text(net)
    assert nir.read(tmp_path / "again" / "graph.nir", type_check=False).nodes.keys() == {*net.nodes}


def test_there_are_16_primitives_that_compute():
    assert len(PRIMITIVES) == 16
    beside = {"NIRNode", "NIRGraph", "Input", "Output", "Identity"}
    types = {name for name, kind in vars(nir.ir).items() if isinstance(kind, type)}
    assert {name for name in types if hasattr(getattr(nir, name, None), "to_dict")} - beside == {
        *PRIMITIVES
    }


# --- the numbers of stateless nodes ----------------------------------------------------------


def folded(shape: tuple[int, ...], *stateless: Any) -> tuple[Network, Weights]:
    """Fold input -> stateless -> LIF; return the shaped network and the one path in it."""
    names = [f"node{index}" for index in range(len(stateless))]
    nodes = {"in": Input(shape), **dict(zip(names, stateless, strict=True)), "n": lif()}
    net = infer_shapes(Network(nodes, tuple(itertools.pairwise(nodes))))
    (path,) = (each for each in fold_linear(net).nodes.values() if isinstance(each, Weights))
    return net, path


def lif() -> Lif:
    return Lif(*(np.array(value) for value in (0.02, 1.0, 0.0, 1.0, 0.0)))


def assert_computes_what_loops_compute(shape: tuple[int, ...], node: Any, seed: int = 0) -> Weights:
    net, path = folded(shape, node)
    x = np.random.default_rng(seed).integers(-4, 5, shape).astype(float)
    bias = sum((each for _, each in path.biases), np.zeros(path.matrix.shape[0]))
    wanted = apply_alone(node, x)
    assert net.shapes["n"] == wanted.shape
    # Some hundred products of numbers near one: 1e-9 is far above what rounding does.
    assert np.allclose(path.matrix @ x.ravel() + bias, wanted.ravel(), atol=1e-9)
    return path


@given(data=some.data())
@settings(max_examples=60, deadline=None)
def test_a_1d_convolution_of_any_geometry_is_the_same_as_in_loops(data: some.DataObject):
    few = some.integers(1, 3)
    groups, stride, dilation = data.draw(few), data.draw(few), data.draw(few)
    size, length = data.draw(some.integers(1, 4)), data.draw(some.integers(1, 9))
    padding = (data.draw(some.integers(0, 3)), data.draw(some.integers(0, 3)))
    assume(length + sum(padding) > dilation * (size - 1))
    rng = np.random.default_rng(data.draw(some.integers(0, 99)))
    weight = rng.normal(size=(2 * groups, data.draw(few), size))
    node = Conv1d(weight, rng.normal(size=2 * groups), stride, padding, dilation, groups)
    assert_computes_what_loops_compute((weight.shape[1] * groups, length), node)


@given(data=some.data())
@settings(max_examples=30, deadline=None)
def test_a_2d_convolution_with_more_padding_behind_is_the_same_as_in_loops(data: some.DataObject):
    few = some.tuples(some.integers(1, 3), some.integers(1, 3))
    more = data.draw(some.tuples(some.integers(0, 2), some.integers(0, 2)))
    size, stride, dilation, padding = (data.draw(few) for _ in range(4))
    spans = [d * (k - 1) for d, k in zip(dilation, size, strict=True)]
    assume(all(5 + 2 * p + m > s for p, m, s in zip(padding, more, spans, strict=True)))
    rng = np.random.default_rng(data.draw(some.integers(0, 99)))
    weight, bias = rng.normal(size=(2, 2, *size)), rng.normal(size=2)
    node = Conv2d(weight, bias, stride, padding, dilation, 1, more)
    path = assert_computes_what_loops_compute((2, 5, 5), node)
    assert (path.conv is None) == any(more), "chips pad both sides alike"


@pytest.mark.parametrize("node", [AvgPool2d, SumPool2d])
@pytest.mark.parametrize("stride", [(1, 2), (3, 1)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2)])
def test_pools_are_the_same_as_in_loops(node: Any, stride: Any, padding: Any):
    assert_computes_what_loops_compute((2, 6, 5), node((3, 2), stride, padding))


def test_an_average_divides_by_the_whole_window_padding_included():
    # PyTorch's count_include_pad: the corner of ones sees one of four cells.
    _, path = folded((1, 2, 2), AvgPool2d((2, 2), (2, 2), (1, 1)))
    assert (path.matrix @ np.ones(4)).tolist() == [0.25, 0.25, 0.25, 0.25]


def test_a_plain_1d_convolution_is_scipys_correlation():
    rng = np.random.default_rng(3)
    x, kernel = rng.normal(size=9), rng.normal(size=4)
    _, path = folded((1, 9), Conv1d(kernel[None, None], np.zeros(1), 1, (0, 0), 1, 1))
    assert np.allclose(path.matrix @ x, correlate(x, kernel, "valid"), atol=1e-12)


@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (4, 1), (2, 3), (4, 3), (5, 2)])
def test_same_padding_puts_the_odd_zero_behind(tmp_path: Path, size: int, dilation: int):
    # PyTorch: total = dilation * (kernel - 1), total // 2 zeros in front, the rest behind.
    rng = np.random.default_rng(size)
    kernel, x = rng.normal(size=size), rng.normal(size=8)
    total = dilation * (size - 1)
    padded = np.pad(x, (total // 2, total - total // 2))
    wanted = [sum(kernel * padded[at : at + total + 1 : dilation]) for at in range(8)]
    flat = nir.Conv1d(8, kernel[None, None], 1, "same", dilation, 1, np.zeros(1))
    square = nir.Conv2d(
        (1, 8), kernel[None, None, None], (1, 1), "same", (1, dilation), 1, np.zeros(1)
    )
    for name, node, shape in (("flat", flat, (1, 8)), ("square", square, (1, 1, 8))):
        read = read_network(write_chain(tmp_path / f"{name}.nir", node, shape, shape))
        _, path = folded(shape, read.nodes["node"])
        assert np.allclose(path.matrix @ x, wanted, atol=1e-12)
        write_network(read, tmp_path / f"{name}.nir")
        assert text(read_network(tmp_path / f"{name}.nir")) == text(read)


def test_padding_that_nir_cannot_say_is_refused_when_it_is_written(tmp_path: Path):
    node = Conv1d(np.ones((1, 1, 2)), np.zeros(1), 1, (0, 3), 1, 1)
    nodes = {"in": Input((1, 4)), "conv": node, "n": lif(), "out": Output((1, 6))}
    net = Network(nodes, tuple(itertools.pairwise(nodes)), name="odd")
    with pytest.raises(GraphError, match=r"'conv' \(Conv1d\) .*NIR pads both sides alike") as told:
        write_network(net, tmp_path / "odd.nir")
    assert told.value.fix == "begin the kernel with rows of zeros, and pad more in front"
    wider = Conv1d(np.array([[[0, 0, 0, 1.0, 1.0]]]), np.zeros(1), 1, (3, 3), 1, 1)
    assert (folded((1, 4), wider)[1].matrix != folded((1, 4), node)[1].matrix).sum() == 0
    mended = Network({**nodes, "conv": wider}, net.edges, name="odd")
    write_network(mended, tmp_path / "odd.nir")


# --- the last dimension ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 3), (4, 2, 3)])
def test_a_linear_acts_on_the_last_dimension_as_pytorchs_does(shape: tuple[int, ...]):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(5, 3)), rng.normal(size=5)
    for node in (Linear(weight), Affine(weight, bias)):
        path = assert_computes_what_loops_compute(shape, node)
        assert path.matrix.shape == (math.prod(shape[:-1]) * 5, math.prod(shape))


def test_an_input_of_two_dimensions_stays_where_everything_fits(tmp_path: Path):
    node = nir.Linear(np.ones((4, 3)))
    net = read_network(write_chain(tmp_path / "two.nir", node, (2, 3), (2, 4)))
    assert net.shapes == {"input": (2, 3), "node": (2, 4), "end": (2, 4), "output": (2, 4)}
    assert any("'node' acts on its last dimension" in said for said in net.repairs)


def test_an_input_with_time_in_front_loses_it_where_only_that_fits(tmp_path: Path):
    node = nir.Linear(np.ones((4, 3)))
    net = read_network(write_chain(tmp_path / "time.nir", node, (256, 3), (4,)))
    assert net.shapes == {"input": (3,), "node": (4,), "end": (4,), "output": (4,)}
    assert any("the leading (256,) is time or batch" in said for said in net.repairs)


# --- one value per channel -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2,), (2, 1, 1), (1, 2, 1, 1), (1, 2, 3, 4), (2, 3, 4)])
def test_values_per_channel_hold_for_all_places_of_it(tmp_path: Path, shape: tuple[int, ...]):
    values = np.arange(1.0, math.prod(shape) + 1).reshape(shape)
    node = nir.IF(values, values, 0 * values)
    delay = nir.Delay(values)
    scale = nir.Scale(values)
    wanted = np.broadcast_to(values if values.ndim != 1 else values[:, None, None], (1, 2, 3, 4))[0]
    for name, each in (("IF", node), ("Delay", delay), ("Scale", scale)):
        path = write_chain(tmp_path / f"{name}.nir", each, (2, 3, 4), (2, 3, 4))
        read = vars(read_network(path).nodes["node"])
        for value in read.values():
            if value.any():
                assert np.broadcast_to(value, (2, 3, 4)).tolist() == wanted.tolist()


def test_values_per_channel_that_could_be_per_column_are_refused(tmp_path: Path):
    conv = nir.Conv2d((3, 2), np.ones((2, 1, 1, 1)), 1, 0, 1, 1, np.zeros(2))
    nodes = {"input": nir.Input({"input": np.array([1, 3, 2])}), "conv": conv}
    nodes |= {"n": nir.IF(ONE, ONE, 0 * ONE), "output": nir.Output({"output": np.array([2, 3, 2])})}
    edges = list(itertools.pairwise(nodes))
    nir.write(tmp_path / "which.nir", nir.NIRGraph(nodes, edges, type_check=False))
    with pytest.raises(SpikeportError, match=r"its parameters have shape \(2,\), it gets"):
        read_network(tmp_path / "which.nir")


# --- the integrator and the threshold --------------------------------------------------------


def cell_of(node: Any, *said: str) -> Any:
    net = Network(
        {"in": Input((1,)), "n": node, "out": Output((1,))},
        (("in", "n"), ("n", "out")),
        apply_settings(Semantics(dt=0.5), said),
    )
    return to_clocked(net).populations["n"]


@pytest.mark.parametrize("integration", ["euler", "exact"])
def test_the_integrator_adds_r_dt_of_its_input_and_is_analog(integration: str):
    population = cell_of(I(np.array([3.0])), f"integration={integration}", "spike=count")
    cell = population.membrane
    assert (cell.keep_v[0], cell.gain_v[0], cell.drive_v[0]) == (1.0, 1.5, 0.0)
    assert (cell.spiking, cell.reset, population.signal) == (False, "none", "analog")
    assert cell_of(I(np.array([3.0])), "input_gain=unit").membrane.gain_v.tolist() == [1.0]


def test_the_threshold_keeps_nothing_whatever_is_said_about_neurons():
    loud = ("spike=count", "reset=subtract", "reset_when=next_step", "initial_v=0.7", "v_min=0.5",
            "refractory=3", "integration=exact", "input_gain=unit_current")  # fmt: skip
    population = cell_of(Threshold(np.array([0.25])), *loud)
    cell = population.membrane
    assert (cell.keep_v[0], cell.gain_v[0], cell.v_threshold[0]) == (0.0, 1.0, 0.25)
    assert (cell.reset, cell.reset_when, cell.v_reset[0]) == ("to_value", "same_step", 0.0)
    assert (cell.v_initial[0], cell.v_min[0], cell.refractory_steps[0]) == (0.0, -np.inf, 0)
    assert (population.signal, cell.threshold) == ("binary", "greater")


def test_the_threshold_may_be_reached_where_the_semantics_say_so():
    said = cell_of(Threshold(np.array([0.25])), "threshold=greater_equal").membrane.threshold
    assert said == "greater_equal"


# --- what is refused -------------------------------------------------------------------------


def conv1d(weight: Array, *rest: Any) -> Any:
    """Return a Conv1d that nir itself would not make."""
    node = nir.Conv1d(7, np.ones((2, 2, 3)), *rest)
    node.weight = weight
    return node


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            nir.AvgPool2d(*(np.array(each) for each in ([1 << 17, 1], [1, 1], [1 << 17, 0]))),
            r"\(AvgPool2d\): kernel_size is \(131072, 1\), so it is too large",
        ),
        (
            nir.Conv1d(7, np.ones((3, 1, 3)), 1, 0, 1, 2, np.ones(3)),
            r"groups is 2, which does not divide the 3 output",
        ),
        (
            nir.Conv1d(7, np.ones((2, 2, 3)), 2, "same", 1, 1, np.ones(2)),
            "padding is 'same', which needs stride 1, not 2",
        ),
        (conv1d(np.ones((2, 3)), 1, 0, 1, 1, np.ones(2)), r"weight has shape \(2, 3\)"),
        (nir.Delay(np.array([0.1, -0.2])), r"\(Delay\): delay is -0.2 to 0.1 seconds"),
        (nir.Delay(np.array([0.1, np.inf])), r"\(Delay\): delay is inf at index 1"),
        (nir.Delay(np.zeros(0)), "delay is empty"),
    ],
    ids=["pool", "groups", "same", "weight", "negative", "infinite", "empty"],
)
def test_a_node_that_cannot_be_is_refused_by_name(tmp_path: Path, node: Any, message: str):
    path = tmp_path / "bad.nir"
    nodes = {"input": nir.Input({"input": np.array([2, 7, 7])}), "node": node}
    nodes["output"] = nir.Output({"output": np.array([2, 7, 7])})
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    with pytest.raises(LoadError, match=f"^bad.nir: node 'node' .*{message}"):
        read_network(path)


@pytest.mark.parametrize(
    ("shape", "node"),
    [
        ((1, 1 << 20), Conv1d(np.ones((1, 1, 1 << 10)), np.zeros(1), 1, (512, 511), 1, 1)),
        ((1 << 10, 1 << 10), Linear(np.ones((1 << 9, 1 << 10)))),
        ((4, 256, 256), SumPool2d((128, 128), (1, 1), (64, 64))),
    ],
    ids=["convolution", "linear", "pool"],
)
def test_a_matrix_that_would_fill_the_memory_is_refused_by_name(shape: Any, node: Any):
    with pytest.raises(GraphError, match=r"node 'node0' .*its matrix has \d+ entries") as told:
        folded(shape, node)
    assert int(str(told.value.what).split()[-2]) > MOST_SYNAPSES


def test_flatten_before_a_linear_is_advised_only_where_it_helps():
    with pytest.raises(GraphError, match=r"put a Flatten \(start_dim 0\) before it"):
        folded((2, 3), Linear(np.ones((4, 6))))
    folded((2, 3), Flatten(0, -1), Linear(np.ones((4, 6))))
    with pytest.raises(GraphError, match="connect something of 5 elements"):
        folded((2, 3), Scale(np.ones(3)), Linear(np.ones((4, 5))))
