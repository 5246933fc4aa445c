"""The doctor finds what breaks NIR files, by name; what it mends runs as the whole graph does."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import spikeport as sp
from spikeport.cli import main
from spikeport.compiler.errors import LoadError, OutputError
from spikeport.compiler.load.mend import Change, Edit, apply, unclaimed
from spikeport.compiler.load.nir import write_network
from spikeport.compiler.network import Input, Network, Output
from spikeport.compiler.semantics import Semantics
from spikeport.graph_doctor.diagnose import diagnose
from spikeport.graph_doctor.examine import examine_graph
from spikeport.graph_doctor.fix import fix
from spikeport.graph_doctor.origin import origin
from spikeport.graph_doctor.platforms import other_platforms, table
from spikeport.models.neurons.izhikevich import Izhikevich

Edit_ = Callable[[h5py.File], None]
NODES = "node/nodes/"
RANDOM = np.random.default_rng(11)
W_IN, W_REC = RANDOM.normal(0.6, 0.5, (5, 3)), RANDOM.normal(0.1, 0.5, (5, 5))
W_OUT = RANDOM.normal(0.4, 0.6, (2, 5))
KERNEL = RANDOM.normal(0.2, 0.5, (3, 2, 3, 3))
DENSE = RANDOM.normal(0.2, 0.3, (4, 27))
SPIKES = RANDOM.integers(0, 2, (4, 30, 3)).astype(np.uint8)
IMAGES = RANDOM.integers(0, 2, (3, 20, 2, 6, 6)).astype(np.uint8)


def lif(*shape: int, **changes: Any) -> nir.LIF:
    one = np.ones(shape, np.float32)
    fields = {"tau": 1e-3 * one, "r": 10 * one, "v_leak": 0 * one, "v_threshold": one}
    return nir.LIF(**fields | changes, v_reset=np.zeros(shape, np.float32))


def inner() -> nir.NIRGraph:
    """Return a recurrent layer as a nested graph of five neurons."""
    nodes = {
        "input": nir.Input({"input": np.array([5])}),
        "lif": lif(5),
        "w_rec": nir.Linear(W_REC),
        "output": nir.Output({"output": np.array([5])}),
    }
    edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    return nir.NIRGraph(nodes, edges)


def recurrent(path: Path) -> Path:
    """Write input -> fc -> rec{input -> lif <-> w_rec, lif -> output} -> out -> output."""
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "fc": nir.Linear(W_IN),
        "rec": inner(),
        "out": nir.Linear(W_OUT),
        "last": lif(2),
        "output": nir.Output({"output": np.array([2])}),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes)), metadata={"author": "somebody"}))
    return path


def images(path: Path, shape: tuple[int, ...] = (2, 6, 6)) -> Path:
    """Write an image of 2 x 6 x 6 -> convolution -> pool -> Flatten -> 4 neurons."""
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "conv": nir.Conv2d((6, 6), KERNEL, (1, 1), (1, 1), (1, 1), 1, np.zeros(3)),
        "lif": lif(3, 6, 6),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1),
        "fc": nir.Linear(DENSE),
        "last": lif(4),
        "output": nir.Output({"output": np.array([4])}),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes))))
    return path


def put(place: str, value: Any) -> Edit_:
    def edit(file: h5py.File) -> None:
        if place in file:
            del file[place]
        if value is not None:
            file[place] = value

    return edit


def set_edges(edges: list[tuple[str, str]], graph: str = "node") -> Edit_:
    def edit(file: h5py.File) -> None:
        del file[f"{graph}/edges"]
        file.create_dataset(f"{graph}/edges", data=edges, dtype=h5py.string_dtype())

    return edit


def edges_of(file: h5py.File, graph: str = "node") -> list[tuple[str, str]]:
    return [(a.decode(), b.decode()) for a, b in file[f"{graph}/edges"][()]]


def more_edges(*more: tuple[str, str]) -> Edit_:
    return lambda file: set_edges([*edges_of(file), *more])(file)


def transposed(node: str, *axes: int) -> Edit_:
    place = f"{NODES}{node}/weight"
    return lambda file: put(place, file[place][()].transpose(axes))(file)


def batched(*nodes: str) -> Edit_:
    """Put a batch dimension of one before every parameter, and before the ports' shapes."""

    def edit(file: h5py.File) -> None:
        for node in nodes:
            for field in [name for name in file[NODES + node] if name not in ("type", "metadata")]:
                place = f"{NODES}{node}/{field}"
                old = file[place][()]
                new = [1, *old] if field in ("shape", "input_type") else old[None]
                put(place, np.array(new))(file)

    return edit


def all_of(*edits: Edit_) -> Edit_:
    def edit(file: h5py.File) -> None:
        for each in edits:
            each(file)

    return edit


def flattened(file: h5py.File) -> None:
    """Do what an early exporter did: flatten `rec`, and let the edges go on naming it."""
    outer, within = edges_of(file), edges_of(file, NODES + "rec")
    for name in list(file[NODES + "rec/nodes"]):
        file.move(f"{NODES}rec/nodes/{name}", f"{NODES}rec.{name}")
    del file[NODES + "rec"]
    set_edges([*outer, *((f"rec.{a}", f"rec.{b}") for a, b in within)])(file)


def renamed(file: h5py.File) -> None:
    file.move(NODES + "rec/nodes/lif", NODES + "rec/nodes/lif1")


def without(node: str, *fields: str) -> Edit_:
    return all_of(*(put(f"{NODES}{node}/{field}", None) for field in fields))


def single(node: str) -> Edit_:
    """Leave one value of each parameter, without a shape."""

    def edit(file: h5py.File) -> None:
        for field in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
            place = f"{NODES}{node}/{field}"
            put(place, file[place][()].ravel()[0])(file)

    return edit


def no_shape(*ports: str) -> Edit_:
    empty = np.empty(0, np.int64)
    return all_of(*(put(f"{NODES}{port}/shape", empty) for port in ports))


POOL_STRIDE = put(NODES + "pool/stride", np.array([1, 1]))
FLATTEN_BATCH = all_of(
    put(NODES + "flat/start_dim", 1), put(NODES + "flat/input_type", np.zeros(4, np.int64))
)

#: What was done to a good file -> writer, edit, name of the finding, is it a guess.
BROKEN: dict[str, tuple[Callable[[Path], Path], Edit_, str, bool]] = {
    "flattened": (recurrent, flattened, "reconnect", False),
    "flattened, with a loop around": (
        recurrent, all_of(flattened, more_edges(("rec", "rec"))), "drop-edge", True,
    ),
    "edges name a node by another name": (recurrent, renamed, "rename-end", True),
    "an edge to nowhere": (recurrent, more_edges(("last", "ghost")), "drop-edge", True),
    "an edge from nowhere": (recurrent, more_edges(("ghost", "last")), "drop-edge", True),
    "an edge twice": (recurrent, more_edges(("fc", "rec")), "drop-duplicate", True),
    "single values": (recurrent, single("last"), "broadcast", False),
    "single values in a nested graph": (recurrent, single("rec/nodes/lif"), "broadcast", False),
    "no v_reset": (recurrent, without("last", "v_reset"), "fill-field", False),
    "no shape of the Input": (recurrent, no_shape("input"), "fill-shape", False),
    "no shape of the Output": (recurrent, without("output", "shape"), "fill-shape", False),
    "no shape inside": (
        recurrent, no_shape("rec/nodes/input", "rec/nodes/output"), "fill-shape", False,
    ),
    "an unknown field": (recurrent, put(NODES + "last/beta", 0.9), "move-field", False),
    "dense weights transposed, a square one among them": (
        recurrent,
        all_of(*(transposed(name, 1, 0) for name in ("fc", "rec/nodes/w_rec", "out"))),
        "transpose", True,
    ),
    "time before the shape": (
        recurrent, put(NODES + "input/shape", np.array([256, 3])), "drop-batch", False,
    ),
    "no input_shape": (images, without("conv", "input_shape"), "fill-input-shape", False),
    "no bias and no groups": (images, without("conv", "bias", "groups"), "fill-field", False),
    "batch before everything": (
        images, batched("input", "lif", "last", "output"), "drop-batch", False,
    ),
    "Flatten counted with batch": (images, FLATTEN_BATCH, "flatten-dims", False),
    "a pool of stride 1": (images, POOL_STRIDE, "pool-stride", True),
    "kernels (in, out, height, width)": (
        images, transposed("conv", 1, 0, 2, 3), "transpose", False,
    ),
    "kernels (height, width, in, out)": (
        images, transposed("conv", 2, 3, 1, 0), "transpose", False,
    ),
    "no shape of an image": (images, no_shape("input", "output"), "fill-shape", False),
    "old, batched and with single values": (
        images,
        all_of(
            single("lif"), without("last", "v_reset"), batched("input", "output"), FLATTEN_BATCH,
            without("conv", "input_shape"),
        ),
        "broadcast", False,
    ),
}  # fmt: skip


def broken(folder: Path, what: str) -> Path:
    write, edit, _, _ = BROKEN[what]
    path = write(folder / "broken.nir")
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def raster(path: Path) -> Any:
    """Return the spikes of the last population, in snnTorch's steps."""
    net = sp.load(path, dialect="snntorch")
    x = SPIKES if net.nodes["input"].shape == (3,) else IMAGES
    return sp.run(net, x).window("last")


@pytest.mark.parametrize("what", BROKEN)
def test_each_fault_is_found_by_name_and_mended_to_the_graph_that_it_was(what, tmp_path):
    write, _, name, guess = BROKEN[what]
    path, out = broken(tmp_path, what), tmp_path / "mended.nir"
    found = diagnose(path)
    named = [each for each in found.findings if each.name == name]
    assert named, found.findings
    assert ("guess" in {each.repair for each in named}) == guess
    plain = fix(found, out, guess)
    assert (plain["written"], plain["nir"]) == (str(out), "yes")
    whole = raster(write(tmp_path / "whole.nir"))
    assert whole.any()
    assert raster(out).tolist() == whole.tolist()


@pytest.mark.parametrize("what", BROKEN)
def test_a_mended_file_is_a_whole_one(what, tmp_path):
    out = tmp_path / "mended.nir"
    fix(diagnose(broken(tmp_path, what)), out, guess=True)
    again = diagnose(out)
    assert (again.findings, again.changes) == ((), ())


@pytest.mark.parametrize("what", [what for what, row in BROKEN.items() if row[3]])
def test_a_guess_is_made_only_when_asked_for(what, tmp_path):
    out = tmp_path / "mended.nir"
    found = diagnose(broken(tmp_path, what))
    plain = fix(found, out, guess=False)
    assert found.errors
    assert "guesses" in plain["why_not"]
    assert any(change["guess"] for change in plain["changes"])
    assert [path.name for path in tmp_path.iterdir()] == ["broken.nir"]


def test_a_whole_file_is_left_alone(tmp_path):
    found = examine_graph(recurrent(tmp_path / "whole.nir"), tmp_path / "out.nir")
    assert (found["ok"], found["findings"]) == (True, [])
    assert found["fix"]["why_not"] == "there is nothing to mend"
    assert not (tmp_path / "out.nir").exists()


# --- what is written ------------------------------------------------------------------------------


def test_only_what_is_listed_changes_and_the_rest_keeps_every_bit(tmp_path):
    path, out = broken(tmp_path, "single values"), tmp_path / "mended.nir"
    plain = fix(diagnose(path), out, guess=False)
    assert [change["name"] for change in plain["changes"]] == ["broadcast"]
    assert plain["values_changed"] == 5
    with h5py.File(path) as old, h5py.File(out) as new:
        assert new["node/metadata/author"][()] == b"somebody"
        assert new[NODES + "fc/weight"].dtype == old[NODES + "fc/weight"].dtype
        assert (new[NODES + "fc/weight"][()] == old[NODES + "fc/weight"][()]).all()
        assert new[NODES + "last/tau"].dtype == np.float32
        assert new[NODES + "last/tau"][()].tolist() == [np.float32(1e-3)] * 2


def test_a_difference_that_is_not_listed_is_noticed():
    before = {"node": {"a": np.ones(2), "b": np.zeros(1)}}
    listed = Change("test", "", "", "", "", (Edit(("node", "a"), np.zeros(2)),))
    secret = Change("test", "", "", "", "", (Edit(("node", "b"), np.ones(1)),))
    after = apply(before, [listed])
    assert unclaimed(before, after, [listed]) == (set(), set())
    assert unclaimed(before, apply(after, [secret]), [listed]) == ({("node", "b")}, set())
    assert unclaimed(before, before, [listed]) == (set(), {("node", "a")})


def test_a_change_that_does_nothing_stops_the_writing(tmp_path):
    found = diagnose(broken(tmp_path, "single values"))
    same = Change("idle", "", "", "", "", (Edit(("version",), nir.version),))
    object.__setattr__(found, "changes", (*found.changes, same))
    with pytest.raises(LoadError, match="/version is listed as changed and is as it was"):
        fix(found, tmp_path / "out.nir", guess=False)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.nir"]


def test_nothing_is_overwritten(tmp_path):
    path = broken(tmp_path, "single values")
    content = path.read_bytes()
    with pytest.raises(OutputError, match=r"^broken\.nir exists already"):
        examine_graph(path, path)
    (tmp_path / "link.nir").symlink_to("nowhere.nir")
    with pytest.raises(OutputError, match=r"^link\.nir exists already"):
        examine_graph(path, tmp_path / "link.nir")
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_refused_and_nothing_is_left(tmp_path):
    path = broken(tmp_path, "single values")
    with pytest.raises(OutputError, match="does not exist"):
        examine_graph(path, tmp_path / "none" / "out.nir")
    assert [each.name for each in tmp_path.iterdir()] == ["broken.nir"]


# --- what is not mended ---------------------------------------------------------------------------


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    path = recurrent(tmp_path / "bad.nir")
    with h5py.File(path, "r+") as file:
        put(NODES + "last/tau", np.array([1e-3, -1.0]))(file)
        put(NODES + "fc/weight", np.full((5, 3), np.nan))(file)
        put(NODES + "out/type", "Izhikevich")(file)
        more_edges(("last", "ghost"))(file)
        single("rec/nodes/lif")(file)
    found = examine_graph(path, tmp_path / "out.nir", guess=True)
    assert [(each["severity"], each["name"], each["node"]) for each in found["findings"]] == [
        ("error", "refused", "fc"),
        ("error", "refused", "last"),
        ("error", "refused", "out"),
        ("error", "drop-edge", "ghost"),
    ]
    assert found["fix"]["why_not"] == "something has to be mended by hand first"
    assert [each.name for each in tmp_path.iterdir()] == ["bad.nir"]
    assert all(row["runs"] is False for row in found["platforms"]["ours"])


def test_a_kernel_that_fits_in_two_orders_is_not_turned(tmp_path):
    kernel = RANDOM.normal(size=(3, 2, 2, 3))
    nodes = {
        "input": nir.Input({"input": np.array([2, 6, 6])}),
        "conv": nir.Conv2d((6, 6), kernel, (1, 1), (0, 0), (1, 1), 1, np.zeros(3)),
        "lif": lif(3, 5, 4),
        "output": nir.Output({"output": np.array([3, 5, 4])}),
    }
    path = tmp_path / "bad.nir"
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    with h5py.File(path, "r+") as file:  # 2 x 3 x 2 x 3: (in, out, h, w), or (h, w, in, out)
        transposed("conv", 1, 0, 2, 3)(file)
    found = diagnose(path)
    assert not [change for change in found.changes if change.name == "transpose"]
    assert [each.repair for each in found.errors] == ["by hand"]


def test_a_nested_input_takes_its_shape_from_the_graph_before_it(tmp_path):
    def layer(weight: np.ndarray) -> nir.NIRGraph:
        post, pre = weight.shape
        nodes = {
            "input": nir.Input({"input": np.array([pre])}),
            "fc": nir.Linear(weight),
            "lif": lif(post),
            "output": nir.Output({"output": np.array([post])}),
        }
        return nir.NIRGraph(nodes, list(pairwise(nodes)))

    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "one": layer(W_IN),
        "two": layer(W_OUT),
        "output": nir.Output({"output": np.array([2])}),
    }
    path, out = tmp_path / "net.nir", tmp_path / "mended.nir"
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes))))
    with h5py.File(path, "r+") as file:
        no_shape("one/nodes/output", "two/nodes/input")(file)
    assert fix(diagnose(path), out, guess=False)["nir"] == "yes"
    with h5py.File(out) as file:
        assert file[NODES + "one/nodes/output/shape"][()].tolist() == [5]
        assert file[NODES + "two/nodes/input/shape"][()].tolist() == [5]


def test_a_field_that_nir_does_not_have_is_kept_in_the_metadata(tmp_path):
    out = tmp_path / "mended.nir"
    fix(diagnose(broken(tmp_path, "an unknown field")), out, guess=False)
    assert nir.read(out).nodes["last"].metadata["beta"] == 0.9


def test_a_missing_node_that_something_needs_is_not_made_up(tmp_path):
    path = recurrent(tmp_path / "bad.nir")
    with h5py.File(path, "r+") as file:
        del file[NODES + "fc"]
    (error,) = diagnose(path).by_hand
    assert "needs a node 'fc', which is not there" in error.what


def test_unequal_wishes_for_the_shape_of_an_input_are_not_decided(tmp_path):
    path = recurrent(tmp_path / "bad.nir")
    with h5py.File(path, "r+") as file:
        no_shape("input")(file)
        file.copy(NODES + "fc", NODES + "other")
        put(NODES + "other/weight", np.ones((5, 4)))(file)
        more_edges(("input", "other"), ("other", "rec"))(file)
    (error,) = diagnose(path).by_hand
    assert error.node == "input"


# --- who wrote it, who can run it -----------------------------------------------------------------

EXPORTERS = ("snntorch", "norse", "sinabs", "spikingjelly", "rockpool")


def exporter_cases(cases: Path) -> dict[Path, str]:
    found = {}
    for path in sorted(cases.glob("*/graph.nir")):
        words = path.parent.name.removeprefix("trained_").split("_")
        if words[0] in EXPORTERS:
            found[path] = words[0]
    return found


def test_the_likeliest_tool_is_the_one_that_wrote_each_case_and_dt_is_its_dt(cases):
    expected = exporter_cases(cases)
    assert len(expected) > 20
    for path, tool in expected.items():
        likely = origin(diagnose(path).tree)["tools"][0]
        meta = json.loads((path.parent / "meta.json").read_text())
        assert likely["dialect"] == tool, path.parent.name
        assert likely["dt"] == meta["dt"], path.parent.name
        assert likely["evidence"]


def test_numbers_of_steps_are_not_taken_for_seconds(cases):
    path = cases / "nir_loader_corpus" / "19004303a0_braille_flattened.nir"
    wrote = origin(diagnose(path).tree)
    assert wrote["tools"] == []
    assert "steps and decay factors" in wrote["doubts"][0]


def test_a_tool_is_never_named_without_evidence(tmp_path):
    path = recurrent(tmp_path / "net.nir")
    with h5py.File(path, "r+") as file:
        for node in ("last", "rec/nodes/lif"):
            place = f"{NODES}{node}/r"
            put(place, np.linspace(0.11, 0.47, file[place].size))(file)
        file.move(NODES + "rec/nodes/w_rec", NODES + "rec/nodes/back")
        edges = [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")]
        set_edges(edges, NODES + "rec")(file)
    wrote = origin(diagnose(path).tree)
    assert (wrote["tools"], wrote["try"]) == ([], "")


def tree(**nodes: dict[str, Any]) -> dict[str, Any]:
    return {"node": {"type": "NIRGraph", "nodes": nodes, "edges": []}}


def claims(found: dict[str, Any]) -> dict[str, tuple[bool, list[str]]]:
    rows = other_platforms(found)
    return {row["name"]: (row["claims"], row["missing"] + row["because"]) for row in rows}


def test_a_platform_that_reads_no_such_node_says_which():
    found = claims(tree(a={"type": "Affine"}, d={"type": "Delay"}, n={"type": "CubaLIF"}))
    assert found["SpiNNaker2"] == (False, ["Delay"])
    assert found["Nengo"] == (False, ["CubaLIF", "Delay"])


def test_a_platform_may_insist_on_values():
    leaky = {"type": "LI", "r": np.array([1.0, 2.0]), "v_leak": np.zeros(2)}
    assert claims(tree(li=leaky))["sinabs"] == (False, ["'li': r is not 1"])
    assert claims(tree(li=leaky | {"r": np.ones(2)}))["sinabs"] == (True, [])
    mixed = {"type": "LIF", "tau": np.array([1.0, 2.0])}
    assert not claims(tree(lif=mixed))["SpikingJelly"][0]


def test_an_extension_is_not_taken_for_the_node_that_holds_its_place(tmp_path):
    one = np.ones(2)
    cells = Izhikevich(0.02 * one, 0.2 * one, -65 * one, 8 * one, 30 * one)
    nodes = {"in": Input((2,)), "n": cells, "out": Output((2,))}
    semantics = Semantics(dt=5e-4, dialect="nir")
    net = Network(nodes, (("in", "n"), ("n", "out")), semantics)
    write_network(net, tmp_path / "net.nir")
    found = examine_graph(tmp_path / "net.nir")
    assert (found["ok"], found["findings"]) == (True, [])
    assert found["summary"]["types"] == {"Input": 1, "Output": 1, "extension izhikevich": 1}
    assert found["summary"]["semantics"]["dt"] == 5e-4
    assert {row["claims"] for row in found["platforms"]["others"]} == {False}
    ours = {row["name"]: row["runs"] for row in found["platforms"]["ours"]}
    assert (ours["spikeport, floats"], ours["spikeport, loihi1"]) == (True, False)


def test_the_claims_are_those_of_nirs_table():
    reads = {row.name: len(row.reads) for row in table().rows}
    assert (reads["SpiNNaker2"], reads["Lava"], reads["sinabs"], reads["Rockpool"]) == (9, 8, 8, 5)
    assert all(source.commit and source.seen for source in table().sources.values())


def test_our_own_rows_are_tried_and_say_why_not(cases):
    found = examine_graph(cases / "sinabs_conv_iaf_multispike" / "graph.nir")
    rows = {row["name"]: row for row in found["platforms"]["ours"]}
    assert rows["spikeport, floats"]["runs"] is True
    assert rows["spikeport, loihi1"]["runs"] is False
    assert "several spikes per step" in rows["spikeport, loihi1"]["because"][0]


# --- the corpus -----------------------------------------------------------------------------------

#: File -> the one that its authors wrote when the fault had been found.
LATER = {
    "c777885bdf_braille_v2.nir": "111b0a44ee_braille.nir",
    "c5db44fefd_braille_zero_subgraph.nir": "11a0ee4a0b_braille_zero.nir",
    "24057376cf_braille_noDelay_bias_zero_subgraph.nir": "5e2efd7b17_braille_noDelay_bias_zero.nir",
    "a7c67c3a7c_braille.nir": "19004303a0_braille_flattened.nir",
    "f4edd0a1bb_braille.nir": "19004303a0_braille_flattened.nir",
    "ac9b387893_scnn_mnist.nir": "89e0a618fc_cnn_sinabs.nir",
}


def values(net: sp.Network) -> list[dict[str, Any]]:
    """Return what the nodes hold, without names and in the order of their values."""
    plain = [
        {key: np.asarray(value).tolist() for key, value in vars(node).items()}
        | {"": str(type(node))}
        for node in net.nodes.values()
    ]
    return sorted(plain, key=str)


@pytest.mark.parametrize("name", LATER)
def test_a_mended_file_is_the_one_that_its_authors_wrote_later(name, cases, tmp_path):
    corpus, out = cases / "nir_loader_corpus", tmp_path / "mended.nir"
    assert fix(diagnose(corpus / name), out, guess=True)["nir"] == "yes"
    mended, later = sp.load(out), sp.load(corpus / LATER[name])
    assert values(mended) == values(later)
    assert len(mended.edges) == len(later.edges)


def test_all_files_of_the_corpus_that_hold_a_graph_are_read_by_nir_afterwards(cases, tmp_path):
    unread = []
    for path in sorted((cases / "nir_loader_corpus").glob("*.nir")):
        try:
            plain = fix(diagnose(path), tmp_path / path.name, guess=True)
        except LoadError:
            unread.append(path.name)
            continue
        assert plain["nir"] == "yes", path.name
        nir.read(tmp_path / path.name)
    assert unread == ["3049cfa197_Braille_snntorch.nir", "3dbca46a2a_testconv2d+avgpool.nir"]


# --- the command ----------------------------------------------------------------------------------


def doctor(monkeypatch, capsys, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["spikeport", "doctor", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_the_command_explains_and_exits_1_until_the_file_is_mended(tmp_path, monkeypatch, capsys):
    path, out = broken(tmp_path, "flattened"), tmp_path / "mended.nir"
    code, text, said = doctor(monkeypatch, capsys, path)
    assert code == 1
    assert "error reconnect 'rec'" in text
    assert "looks like snntorch: 'rec.w_rec': recurrent layers" in text
    assert "tau / r is 0.0001 s for every neuron: r = tau / dt" in text
    assert "try first: --dialect snntorch" in text
    assert "  yes  snnTorch (simulator)" in text
    assert said.startswith("error: broken.nir: edges from 'fc' to 'rec'")
    code, text, said = doctor(monkeypatch, capsys, path, "--fix", out)
    assert (code, said) == (0, "")
    assert "reconnect 'rec': " in text
    assert doctor(monkeypatch, capsys, out)[0] == 0


def test_json_is_one_object_with_all_of_it(tmp_path, monkeypatch, capsys):
    path = broken(tmp_path, "a pool of stride 1")
    code, text, _ = doctor(monkeypatch, capsys, path, "--json", "--fix", tmp_path / "out.nir")
    plain = json.loads(text)
    assert code == 1
    assert (plain["graph"], plain["ok"], plain["counts"]["error"]) == ("broken.nir", False, 1)
    assert plain["summary"]["types"]["SumPool2d"] == 1
    assert plain["fix"]["written"] is None
    assert plain["fix"]["changes"][0]["name"] == "pool-stride"


def test_without_a_graph_it_is_the_machine_that_is_examined(monkeypatch, capsys):
    code, text, _ = doctor(monkeypatch, capsys)
    assert code == 0
    assert text.startswith("spikeport: ")
    assert "extras:" in text


def test_the_machine_says_which_jax_trains_and_where(monkeypatch, capsys):
    jax = pytest.importorskip("jax")
    _, text, _ = doctor(monkeypatch, capsys, "--json")
    said = json.loads(text)["train"]
    assert said == {"jax": jax.__version__, "device": jax.devices()[0].platform}


def test_a_jax_that_cannot_be_imported_is_missing_with_the_reason(tmp_path, monkeypatch, capsys):
    (tmp_path / "jax.py").write_text("raise ImportError('jaxlib is too old')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    _, text, _ = doctor(monkeypatch, capsys)
    assert "missing: jax does not work: ImportError: jaxlib is too old" in text
    assert 'fix: pip install --force-reinstall "spikeport[train]"' in text


def test_a_file_without_a_graph_exits_2(tmp_path, monkeypatch, capsys):
    (tmp_path / "empty.nir").touch()
    code, text, said = doctor(monkeypatch, capsys, tmp_path / "empty.nir")
    assert (code, text) == (2, "")
    assert said.startswith("error: empty.nir: the file is empty")


def test_fix_needs_a_graph(monkeypatch, capsys):
    code, text, said = doctor(monkeypatch, capsys, "--fix", "out.nir")
    assert (code, text) == (2, "")
    assert "there is no graph to fix" in said
