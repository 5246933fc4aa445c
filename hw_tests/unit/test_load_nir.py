"""Real files load or are refused by name; what was mended is said; writing reads back."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import spikeport.models.neurons  # noqa: F401
from spikeport.compiler.errors import LoadError, SpikeportError
from spikeport.compiler.load.nir import read_network, write_network
from spikeport.compiler.network import Affine, AvgPool2d, Conv2d, Flatten, Input, Network, Output
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.compiler.semantics import Semantics, apply_settings, preset
from spikeport.models.neurons.lif import Lif

BATCHED = (
    "Input 'input': shape (1, 2, 34, 34) became (2, 34, 34), the leading (1,) is batch",
    "neurons '1': parameters of shape (1, 16, 16, 16) became (16, 16, 16), without batch",
    "neurons '3': parameters of shape (1, 16, 16, 16) became (16, 16, 16), without batch",
    "neurons '6': parameters of shape (1, 8, 8, 8) became (8, 8, 8), without batch",
    "Flatten '8': dimensions 1 to -1 became 0 to -1, its input (8, 4, 4) has no batch dimension",
    "neurons '10': parameters of shape (1, 256) became (256,), without batch",
    "neurons '12': parameters of shape (1, 10) became (10,), without batch",
    "Output 'output': shape (1, 10) became (10,), without batch",
)
FLATTEN = (BATCHED[4],)

#: File of the corpus -> (number of nodes, repairs).
LOADS: dict[str, tuple[int, tuple[str, ...]]] = {
    "047410e994_braille.nir": (7, ()),
    "111b0a44ee_braille.nir": (7, ()),
    "11a0ee4a0b_braille_zero.nir": (7, ()),
    "19004303a0_braille_flattened.nir": (7, ()),
    "3a3afb6f8d_lif_norse.nir": (3, ()),
    "5e2efd7b17_braille_noDelay_bias_zero.nir": (7, ()),
    "669fbfadd3_scnn_mnist.nir": (15, BATCHED),
    "82d89d4238_braille.nir": (7, ()),
    "89e0a618fc_cnn_sinabs.nir": (15, ()),
    "9122dac07e_scnn_mnist_batches.nir": (15, BATCHED),
    "ce5f8e1c23_lif_norse.nir": (4, ()),
    "e5ac832548_scnn_mnist.nir": (15, FLATTEN),
}
RECONNECT = "connect 'fc1' to 'lif1.input', connect 'lif1.output' to 'fc2'"
#: File of the corpus -> what its refusal says, in order.
REFUSED: dict[str, tuple[str, ...]] = {
    "24057376cf_braille_noDelay_bias_zero_subgraph.nir": ("'lif1'", "'lif'", "rename it to 'lif'"),
    "3049cfa197_Braille_snntorch.nir": ("not a NIR", "PyTorch pickle", "nir.write"),
    "3dbca46a2a_testconv2d+avgpool.nir": ("empty", "download it again"),
    "a7c67c3a7c_braille.nir": ("'lif1', which is not there", RECONNECT),
    "ac9b387893_scnn_mnist.nir": ("node '6' (IF)", "stride (2, 2) in SumPool2d '4'"),
    "aee771e1fb_braille_subtract_subgraph.nir": ("'lif1'", "'lif'", "rename it to 'lif'"),
    "c5db44fefd_braille_zero_subgraph.nir": ("'lif1'", "'lif'", "rename it to 'lif'"),
    "c777885bdf_braille_v2.nir": ("'lif1', which is not there", RECONNECT),
    "f4edd0a1bb_braille.nir": ("'lif1', which is not there", RECONNECT),
}


def mended(net) -> tuple[str, ...]:
    """Return the repairs without those that nearly every file needs."""
    usual = (" is not in the file for ", "single values of parameters ")
    return tuple(said for said in net.repairs if not any(words in said for words in usual))


def test_every_file_of_the_corpus_has_an_expected_outcome(cases: Path):
    found = {path.name for path in (cases / "nir_loader_corpus").glob("*.nir")}
    assert found == {*LOADS, *REFUSED}
    assert len(found) == 21


@pytest.mark.parametrize("name", LOADS)
def test_a_real_file_loads_and_says_what_was_mended(cases: Path, name: str):
    net = read_network(cases / "nir_loader_corpus" / name)
    assert (len(net.nodes), mended(net)) == LOADS[name]
    assert any("v_reset (taken as 0) is not in the file for" in said for said in net.repairs)
    assert list(net.shapes) == list(net.nodes)
    assert net.name == name


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_is_refused_with_its_name_the_node_and_what_to_do(cases: Path, name: str):
    with pytest.raises(SpikeportError) as caught:
        read_network(cases / "nir_loader_corpus" / name)
    message = str(caught.value)
    assert message.startswith(name)
    places = [message.find(words) for words in REFUSED[name]]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", [name for name in REFUSED if RECONNECT in REFUSED[name]])
def test_reconnecting_a_flattened_graph_as_advised_makes_it_load(
    cases: Path, tmp_path: Path, name: str
):
    path = writable_copy(cases / "nir_loader_corpus" / name, tmp_path)
    with h5py.File(path, "r+") as file:
        ends = {("fc1", "lif1"): ("fc1", "lif1.input"), ("lif1", "fc2"): ("lif1.output", "fc2")}
        edges = [(a.decode(), b.decode()) for a, b in file["node/edges"][()]]
        edges = [ends.get(edge, edge) for edge in edges if edge != ("lif1", "lif1")]
        replace_edges(file["node"], edges)
    net = read_network(path)
    assert net.into("lif1.lif") == ["fc1", "lif1.w_rec"]
    assert "lif1.input" not in net.nodes
    assert net.shapes["input"] == (12,)
    assert "leading (256,) is time or batch" in mended(net)[2]


def test_renaming_the_inner_node_as_advised_makes_it_load(cases: Path, tmp_path: Path):
    path = writable_copy(
        cases / "nir_loader_corpus" / "c5db44fefd_braille_zero_subgraph.nir", tmp_path
    )
    with h5py.File(path, "r+") as file:
        file.move("node/nodes/lif1/nodes/lif1", "node/nodes/lif1/nodes/lif")
    net = read_network(path)
    assert net.into("lif1.lif") == ["fc1", "lif1.lin"]
    assert net.out_of("lif1.lif") == ["lif1.lin", "fc2"]


def test_correcting_the_pools_as_advised_makes_it_load(cases: Path, tmp_path: Path):
    path = writable_copy(cases / "nir_loader_corpus" / "ac9b387893_scnn_mnist.nir", tmp_path)
    with h5py.File(path, "r+") as file:
        for name in ("4", "7"):
            file[f"node/nodes/{name}/stride"][:] = 2
    assert mended(read_network(path)) == BATCHED


def test_scalar_parameters_take_the_shape_of_the_input(cases: Path):
    net = read_network(cases / "nir_loader_corpus" / "3a3afb6f8d_lif_norse.nir")
    assert net.shapes["lif"] == (1000,)
    assert net.nodes["lif"].tau.shape == (1000,)
    assert set(net.nodes["lif"].tau) == {0.0024999999441206455}


def test_a_missing_reset_level_is_zero(cases: Path):
    net = read_network(cases / "nir_loader_corpus" / "ce5f8e1c23_lif_norse.nir")
    assert net.nodes["1"].v_reset.tolist() == [0.0]


def test_arrays_are_float64_and_cannot_be_written(cases: Path):
    net = read_network(cases / "nirpaper_cnn_sinabs" / "graph.nir")
    kernel = net.nodes["0"].weight
    assert kernel.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        kernel[0] = 1


@pytest.mark.parametrize("name", ["spikingjelly_conv_if", "snntorch_conv_lif_zero"])
def test_an_average_pool_of_another_tool_is_read(cases: Path, name: str):
    net = read_network(cases / name / "graph.nir")
    (pool,) = net.of_type(AvgPool2d)
    assert net.nodes[pool].kernel_size == net.nodes[pool].stride == (2, 2)
    assert net.nodes[pool].padding == (0, 0)


@pytest.mark.parametrize(
    ("padding", "wanted", "output"),
    [
        ("same", (1, 2), (2, 8, 8)),
        ("valid", (0, 0), (2, 6, 4)),
        (1, (1, 1), (2, 8, 6)),
        ((0, 2), (0, 2), (2, 6, 8)),
    ],
)
def test_padding_may_be_a_word_a_number_or_two(
    tmp_path: Path, padding: object, wanted: tuple[int, int], output: tuple[int, int, int]
):
    conv = nir.Conv2d(None, np.ones((2, 1, 3, 5)), (1, 1), padding, (1, 1), 1, np.zeros(2))
    conv.input_shape = (8, 8)  # nir's own check of the shape does not survive kernels like this
    write_chain(tmp_path / "conv.nir", (1, 8, 8), conv, output)
    node = read_network(tmp_path / "conv.nir").nodes["node"]
    assert isinstance(node, Conv2d)
    assert node.padding == wanted


def test_same_padding_of_an_even_kernel_sums_what_pytorch_sums(tmp_path: Path):
    # PyTorch pads the odd one behind: y[i] = w[0] x[i] + w[1] x[i + 1].
    weight = np.array([[[[2.0, 3.0]]]])
    conv = nir.Conv2d((1, 4), weight, (1, 1), "same", (1, 1), 1, np.zeros(1))
    write_chain(tmp_path / "conv.nir", (1, 1, 4), conv)
    net = read_network(tmp_path / "conv.nir")
    assert net.nodes["node"].weight.tolist() == [[[[0.0, 2.0, 3.0]]]]
    assert net.nodes["node"].padding == (0, 1)
    assert net.shapes["node"] == (1, 1, 4)


def test_a_stated_input_shape_that_is_wrong_is_refused_by_name(tmp_path: Path):
    conv = nir.Conv2d((9, 8), np.ones((2, 1, 3, 3)), (1, 1), (0, 0), (1, 1), 1, np.zeros(2))
    write_chain(tmp_path / "conv.nir", (1, 8, 8), conv, output=(2, 6, 6))
    with pytest.raises(LoadError, match=r"node 'node' says .* \(9, 8\), it gets \(8, 8\)"):
        read_network(tmp_path / "conv.nir")


def test_a_flatten_counted_without_batch_stays_as_it_is(tmp_path: Path):
    flatten = nir.Flatten({"input": np.array([2, 3, 4])}, start_dim=1, end_dim=-1)
    write_chain(tmp_path / "flat.nir", (2, 3, 4), flatten, output=(2, 12))
    net = read_network(tmp_path / "flat.nir")
    assert mended(net) == ()
    assert net.shapes["node"] == (2, 12)


def test_a_flatten_that_states_a_batch_is_counted_without_it(tmp_path: Path):
    flatten = nir.Flatten({"input": np.array([1, 2, 3, 4])}, start_dim=2, end_dim=-1)
    write_chain(tmp_path / "flat.nir", (2, 3, 4), flatten, output=(2, 12))
    net = read_network(tmp_path / "flat.nir")
    assert net.shapes["node"] == (2, 12)
    assert mended(net) == (
        "Flatten 'node': dimensions 2 to -1 became 1 to -1, its input (2, 3, 4) has no batch "
        "dimension",
    )


def test_nodes_that_lead_nowhere_are_left_out_and_named(tmp_path: Path):
    graph = chain((3,), nir.Linear(np.eye(3)))
    graph.nodes["spare"] = nir.Linear(np.eye(3))
    graph.edges.append(("input", "spare"))
    nir.write(tmp_path / "spare.nir", graph)
    net = read_network(tmp_path / "spare.nir")
    assert "spare" not in net.nodes
    assert mended(net) == ("ignored 'spare': it is not between an Input and an Output",)


def test_a_threshold_at_the_reset_level_is_a_warning(tmp_path: Path):
    ones = np.ones(2)
    write_chain(tmp_path / "lif.nir", (2,), nir.LIF(ones, ones, 0 * ones, 0 * ones, 0 * ones))
    (warning,) = mended(read_network(tmp_path / "lif.nir"))
    assert warning == (
        "warning: neurons 'node': v_threshold 0 is not above v_reset 0, so they may fire "
        "without input"
    )


def test_fields_that_a_type_does_not_have_are_ignored_aloud(tmp_path: Path):
    write_chain(tmp_path / "extra.nir", (2,), nir.Linear(np.eye(2)))
    with h5py.File(tmp_path / "extra.nir", "r+") as file:
        file["node/nodes/node/momentum"] = 0.9
    assert mended(read_network(tmp_path / "extra.nir")) == (
        "ignored fields of node 'node' (Linear): 'momentum'",
    )


def test_an_unknown_extension_is_refused_instead_of_running_its_placeholder(tmp_path: Path):
    placeholder = nir.Linear(np.eye(2), metadata={"spikeport.ext": "quadratic"})
    write_chain(tmp_path / "ext.nir", (2,), placeholder)
    with pytest.raises(LoadError, match="is an extension 'quadratic' that is not known"):
        read_network(tmp_path / "ext.nir")


def test_a_written_network_reads_back_the_same_with_its_semantics(tmp_path: Path):
    net = small_network().with_semantics(
        apply_settings(preset("snntorch"), ["refractory=1e-3", "lif.reset=subtract"])
    )
    write_network(net, tmp_path / "net.nir")
    again = read_network(tmp_path / "net.nir")
    assert list(again.nodes) == sorted(net.nodes)
    assert again.edges == net.edges
    assert again.repairs == ()
    assert again.nodes["fc"].weight.tolist() == net.nodes["fc"].weight.tolist()
    assert again.nodes["lif"].tau.tolist() == [0.02, 0.02]
    assert again.semantics.at("lif").reset == "subtract"
    assert again.semantics.refractory == 1e-3
    assert again.semantics.dt == 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["net.nir"]


def test_nir_itself_reads_what_was_written(tmp_path: Path):
    write_network(small_network(), tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    assert sorted(graph.nodes) == ["fc", "flat", "input", "lif", "output"]
    assert graph.metadata["spikeport"]["integration"] == "euler"


@pytest.mark.parametrize("name", ["nirpaper_cnn_sinabs", "nirpaper_braille_zero"])
def test_a_real_network_survives_writing(cases: Path, tmp_path: Path, name: str):
    net = read_network(cases / name / "graph.nir")
    write_network(net, tmp_path / "again.nir")
    again = read_network(tmp_path / "again.nir")
    assert again.shapes == net.shapes
    assert sorted(again.edges) == sorted(net.edges)
    for node, other in zip(net.nodes.values(), again.nodes.values(), strict=True):
        assert {key: np.asarray(value).tolist() for key, value in vars(node).items()} == {
            key: np.asarray(value).tolist() for key, value in vars(other).items()
        }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"integration": "magic"}, "integration=magic is not a value"),
        ({"dt": -1.0}, "dt=-1.0 is not a usable number"),
        ({"colour": "red"}, "unknown semantics field 'colour'"),
        ({"ghost.reset": "subtract"}, "node 'ghost', which is not there"),
    ],
)
def test_stored_semantics_that_make_no_sense_are_refused(
    tmp_path: Path, settings: dict[str, object], message: str
):
    graph = chain((2,), nir.Linear(np.eye(2)))
    graph.metadata = {"spikeport": settings}
    nir.write(tmp_path / "bad.nir", graph)
    with pytest.raises(LoadError, match=f"^bad.nir: metadata 'spikeport'.*{message}"):
        read_network(tmp_path / "bad.nir")


def test_a_file_without_semantics_has_no_dt(tmp_path: Path):
    write_chain(tmp_path / "plain.nir", (2,), nir.Linear(np.eye(2)))
    assert read_network(tmp_path / "plain.nir").semantics == Semantics()


def small_network() -> Network:
    lif = Lif(*(np.array(value) for value in (0.02, 1.0, 0.0, 1.0, 0.0)))
    return infer_shapes(
        Network(
            {
                "input": Input((1, 3)),
                "flat": Flatten(0, -1),
                "fc": Affine(np.arange(6.0).reshape(2, 3) / 7, np.array([0.1, -0.2])),
                "lif": lif,
                "output": Output((2,)),
            },
            (("input", "flat"), ("flat", "fc"), ("fc", "lif"), ("lif", "output")),
            name="small",
        )
    )


def chain(shape: tuple[int, ...], node: object, output: tuple[int, ...] | None = None) -> object:
    """Return input -> node -> LIF of single values -> output."""
    size = np.float64(1)
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "node": node,
        "end": nir.LIF(size, size, 0 * size, size, 0 * size),
        "output": nir.Output({"output": np.array(output or shape)}),
    }
    edges = [("input", "node"), ("node", "end"), ("end", "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def write_chain(
    path: Path, shape: tuple[int, ...], node: object, output: tuple[int, ...] | None = None
) -> None:
    nir.write(path, chain(shape, node, output))


def writable_copy(source: Path, folder: Path) -> Path:
    path = folder / source.name
    shutil.copyfile(source, path)
    return path


def replace_edges(group: h5py.Group, edges: list[tuple[str, str]]) -> None:
    del group["edges"]
    group.create_dataset("edges", data=np.array(edges, object), dtype=h5py.string_dtype())


def test_what_a_file_leaves_out_is_said_once_for_all_nodes(tmp_path: Path):
    one = np.ones(1)
    write_chain(tmp_path / "lif.nir", (3,), nir.LIF(one, one, 0 * one, one, 0 * one))
    with h5py.File(tmp_path / "lif.nir", "r+") as file:
        del file["node/nodes/node/v_reset"]
    net = read_network(tmp_path / "lif.nir")
    assert net.repairs == (
        "v_reset (taken as 0) is not in the file for 'node'",
        "single values of parameters hold for all neurons of 'end', 'node'",
    )
    assert net.nodes["node"].v_reset.tolist() == [0, 0, 0]


def test_an_absent_level_is_not_called_a_single_value(tmp_path: Path):
    three = np.ones(3)
    write_chain(tmp_path / "lif.nir", (3,), nir.LIF(three, three, 0 * three, three, 0 * three))
    with h5py.File(tmp_path / "lif.nir", "r+") as file:
        del file["node/nodes/node/v_reset"]
    (said,) = [r for r in read_network(tmp_path / "lif.nir").repairs if "'node'" in r]
    assert said == "v_reset (taken as 0) is not in the file for 'node'"
