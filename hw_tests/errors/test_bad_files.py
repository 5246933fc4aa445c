"""Hostile and broken files: one message with the file's name, in bounded time and memory."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import pickle
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import spikeport.models.neurons  # noqa: F401
from spikeport.compiler.errors import LoadError, SpikeportError
from spikeport.compiler.load.arrays import read_arrays
from spikeport.compiler.load.nir import read_network

Edit = Callable[[h5py.File], None]
NODES = "node/nodes/"


def good_file(path: Path) -> Path:
    """Write 3 inputs -> fc1 -> 4 lif1 -> fc2 -> 2 lif2 -> output."""

    def lif(count: int) -> nir.LIF:
        one = np.ones(count)
        return nir.LIF(tau=0.01 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)

    def affine(post: int, pre: int) -> nir.Affine:
        return nir.Affine(np.arange(1.0, post * pre + 1).reshape(post, pre), np.zeros(post))

    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "fc1": affine(4, 3),
        "lif1": lif(4),
        "fc2": affine(2, 4),
        "lif2": lif(2),
        "output": nir.Output({"output": np.array([2])}),
    }
    names = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(names))))
    return path


def bad_file(folder: Path, edit: Edit) -> Path:
    path = good_file(folder / "bad.nir")
    with h5py.File(path, "r+", libver="latest") as file:
        edit(file)
    return path


def put(place: str, value: object) -> Edit:
    def edit(file: h5py.File) -> None:
        if place in file:
            del file[place]
        if value is not None:
            file[place] = value

    return edit


def declare(place: str, shape: tuple[int, ...], **storage: object) -> Edit:
    def edit(file: h5py.File) -> None:
        del file[place]
        file.create_dataset(place, shape=shape, dtype="f4", **storage)

    return edit


def add_edge(source: str, target: str) -> Edit:
    def edit(file: h5py.File) -> None:
        edges = [*file["node/edges"][()].tolist(), [source, target]]
        del file["node/edges"]
        file.create_dataset("node/edges", data=edges, dtype=h5py.string_dtype())

    return edit


def rename(name: str, other: str) -> Edit:
    def edit(file: h5py.File) -> None:
        file.move(NODES + name, NODES + other)
        edges = file["node/edges"][()].tolist()
        edges = [[other if end == name.encode() else end for end in edge] for edge in edges]
        del file["node/edges"]
        file.create_dataset("node/edges", data=edges, dtype=h5py.string_dtype())

    return edit


def nest(depth: int) -> Edit:
    def edit(file: h5py.File) -> None:
        file.create_group(NODES + "lif1/metadata/" + "/".join("x" * depth))

    return edit


def external_storage(file: h5py.File) -> None:
    del file[NODES + "lif1/tau"]
    secret = Path(file.filename).with_name("secret.bin")
    secret.write_bytes(np.full(4, 1234.5, "f4").tobytes())
    stored = [(str(secret), 0, 16)]
    file.create_dataset(NODES + "lif1/tau", shape=(4,), dtype="f4", external=stored)


def virtual_dataset(file: h5py.File) -> None:
    # The source is a pipe: a reader that merely opens it waits for ever.
    pipe = Path(file.filename).with_name("pipe.h5")
    os.mkfifo(pipe)
    layout = h5py.VirtualLayout(shape=(4,), maxshape=(None,), dtype="f4")
    source = h5py.VirtualSource(str(pipe), "v", shape=(4,), maxshape=(None,))
    layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    del file[NODES + "lif1/tau"]
    file.create_virtual_dataset(NODES + "lif1/tau", layout)


def reference(file: h5py.File) -> None:
    file[NODES + "lif1/metadata/ref"] = np.array([file["node"].ref], h5py.ref_dtype)


def chunk_with(file: h5py.File, place: str, stored: bytes, chunk: int, deflates: int) -> None:
    """Write a dataset of one chunk whose stored bytes are given."""
    del file[place]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((chunk,))
    for _ in range(deflates):
        plist.set_deflate(9)
    space = h5py.h5s.create_simple((chunk,))
    kind = h5py.h5t.IEEE_F32LE
    dataset = h5py.h5d.create(file.id, place.encode(), kind, space, dcpl=plist)
    dataset.write_direct_chunk((0,), stored)


def deflated_twice(file: h5py.File) -> None:
    stored = zlib.compress(zlib.compress(bytes(4 << 20)))
    chunk_with(file, NODES + "fc2/bias", stored, 1 << 20, deflates=2)


def chunk_that_grows(file: h5py.File) -> None:
    # HDF5 unpacks the stream to its end: 256 MiB for a chunk that declares 1 MiB.
    stored = zlib.compress(bytes(256 << 20), 9)
    chunk_with(file, NODES + "fc2/bias", stored, 1 << 18, deflates=1)


def loop_of_scales(file: h5py.File) -> None:
    for name in ("s1", "s2"):
        file[NODES + f"{name}/type"] = "Scale"
        file[NODES + f"{name}/scale"] = np.ones(4)
    for edge in (("fc1", "s1"), ("s1", "s2"), ("s2", "s1"), ("s2", "lif1")):
        add_edge(*edge)(file)


def node_of_no_end(kind: str, field: str, shape: tuple[int, ...]) -> Edit:
    """Put a node between fc1 and lif1 that declares far more than the file holds."""

    def edit(file: h5py.File) -> None:
        file[NODES + "big/type"] = kind
        chunks = (1, *(min(each, 1024) for each in shape[1:]))
        place = NODES + f"big/{field}"
        file.create_dataset(place, shape=shape, dtype="f4", chunks=chunks, compression="gzip")
        for edge in (("fc1", "big"), ("big", "lif1")):
            add_edge(*edge)(file)

    return edit


def padded_without_end(file: h5py.File) -> None:
    """Put a Conv1d in front whose padding alone makes a thousand million places."""
    values = {"type": "Conv1d", "weight": np.ones((1, 1, 1)), "bias": np.zeros(1), "stride": 1}
    values |= {"padding": 1 << 30, "dilation": 1, "groups": 1}
    for field, value in values.items():
        file[NODES + f"big/{field}"] = value
    put(NODES + "input/shape", [1, 3])(file)
    for edge in (("input", "big"), ("big", "lif1")):
        add_edge(*edge)(file)


def one_string_many_times(file: h5py.File) -> None:
    file.create_dataset(
        NODES + "lif1/metadata/names", data=["x"] * 600_000, dtype=h5py.string_dtype()
    )


LIF1, LIF2, FC1, FC2 = (NODES + name + "/" for name in ("lif1", "lif2", "fc1", "fc2"))

#: What is wrong -> how the file is made, and words of the message.
HOSTILE: dict[str, tuple[Edit, str]] = {
    "external link": (
        put(FC1 + "bias", h5py.ExternalLink("secret.h5", "/v")),
        "/node/nodes/fc1/bias is an external link",
    ),
    "soft link": (put(LIF2 + "metadata", h5py.SoftLink("/node/nodes")), "lif2.*soft link"),
    "external storage": (external_storage, "lif1/tau has external storage"),
    "virtual dataset": (virtual_dataset, "lif1/tau is a virtual dataset"),
    "reference": (reference, "lif1/metadata/ref has a type that a graph does not use"),
    "hard link to a group above": (
        lambda file: put(LIF1 + "metadata", file["node/nodes"])(file),
        "second link to an object.*loop",
    ),
    "2 TiB": (
        declare(FC2 + "weight", (1 << 20, 1 << 19), chunks=(1024, 1024), compression="gzip"),
        "fc2/weight is too large.*shape",
    ),
    "a size that the file does not hold": (
        declare(FC2 + "weight", (4096, 4096), chunks=(1024, 1024), compression="gzip"),
        "fc2/weight is too large for what the file holds",
    ),
    "chunks of 64 MiB": (
        declare(FC2 + "bias", (2,), maxshape=(None,), chunks=(1 << 24,)),
        "fc2/bias is stored in chunks that are too large",
    ),
    "millions of chunks": (
        declare(FC2 + "bias", (1_000_000,), chunks=(1,)),
        "fc2/bias is stored in too many chunks",
    ),
    "deflated twice": (deflated_twice, "fc2/bias is compressed twice"),
    "a chunk that grows": (chunk_that_grows, "fc2/bias has a chunk that unpacks to more"),
    "an unknown filter": (
        declare(FC2 + "bias", (2,), chunks=(2,), scaleoffset=2),
        "compressed in an unknown way.*HDF5 filter 6",
    ),
    "a record": (
        put(FC1 + "bias", np.zeros(4, [("a", "f4"), ("b", "f4")])),
        "fc1/bias has a type that a graph does not use",
    ),
    "deep groups": (nest(40), "nested too deep"),
    "a Delay without end": (
        node_of_no_end("Delay", "delay", (1 << 14, 1 << 14)),
        "big/delay is too large",
    ),
    "a Conv1d kernel without end": (
        node_of_no_end("Conv1d", "weight", (1 << 10, 1 << 10, 1 << 9)),
        "big/weight is too large",
    ),
    "an extension's parameter without end": (
        node_of_no_end("LIF", "metadata/a", (1 << 14, 1 << 14)),
        "metadata/a is too large",
    ),
    "padding without end": (padded_without_end, "'big' is too large.*the limit is"),
    "many strings": (one_string_many_times, "too many strings"),
}

WRONG: dict[str, tuple[Edit, str]] = {
    "type exec": (put(LIF2 + "type", "exec"), "node 'lif2' has the unknown type 'exec'"),
    "type missing": (put(LIF2 + "type", None), "node 'lif2' has no type"),
    "type not text": (put(LIF2 + "type", 7), "node 'lif2' has no type"),
    "fields of another type": (put(LIF2 + "type", "Delay"), r"'lif2' \(Delay\): delay is missing"),
    "NaN": (put(LIF2 + "v_leak", np.array([0, np.nan])), "'lif2'.*v_leak is nan at index 1"),
    "infinity": (put(FC1 + "bias", np.full(4, np.inf)), "'fc1'.*bias is inf .*not finite"),
    "tau below zero": (put(LIF2 + "tau", np.array([0.02, -0.02])), "'lif2'.*tau is -0.02 at"),
    "tau zero": (put(LIF2 + "tau", 0.0), "'lif2'.*tau is 0, it must be above 0"),
    "text for a number": (put(LIF2 + "tau", "fast"), "'lif2'.*tau is not a number"),
    "a field missing": (put(LIF2 + "tau", None), "'lif2'.*tau is missing"),
    "a group for a field": (
        lambda file: (put(LIF2 + "tau", None)(file), file.create_group(LIF2 + "tau"))[0],
        "'lif2'.*tau is not a number",
    ),
    "unlike parameters": (put(LIF2 + "tau", np.ones(3)), "'lif2'.*parameters of different shapes"),
    "bias too long": (put(FC1 + "bias", np.ones(5)), r"'fc1'.*bias has shape \(5,\)"),
    "weight too wide": (put(FC2 + "weight", np.ones((2, 5))), r"'fc2'.*takes \(5,\), it gets"),
    "edge twice": (add_edge("lif1", "fc2"), "duplicate edge from 'lif1' to 'fc2'"),
    "edge from nowhere": (add_edge("phantom", "fc2"), "a node 'phantom', which is not there"),
    "edge to nowhere": (add_edge("lif2", "ghost"), "a node 'ghost', which is not there"),
    "loop of scales": (loop_of_scales, "loop .cycle. without state: '(s1' to 's2|s2' to 's1)"),
    "edges of threes": (put("node/edges", [["a", "b", "c"]]), "edges .* are not pairs of names"),
    "edges missing": (put("node/edges", None), "the graph 'node' has no edges"),
    "edges of numbers": (put("node/edges", np.ones((3, 2))), "are not pairs of names"),
    "no Output": (put(NODES + "output", None), "'output', which is not there"),
    "no graph": (put("node", None), "without a NIR graph"),
    "nothing leads to the Output": (
        put("node/edges", [["input", "fc1"], ["fc1", "lif1"]]),
        "nothing leads to node 'output'",
    ),
    "Input without end": (put(NODES + "input/shape", [1 << 30, 4]), "'input'.*too large"),
    "Input of nothing": (put(NODES + "input/shape", [0]), "'input'.*must be from 1"),
    "markup in a name": (
        rename("lif2", "<b onclick=alert(1)>lif"),
        r"not safe to print \('\?b onclick=alert\(1\)\?lif'\)",
    ),
    "control characters in a name": (rename("lif2", "lif\x1b[2J"), "not safe to print"),
    "a name that runs backwards": (rename("lif2", "lif\u202e"), "not safe to print"),
    "a long name": (rename("lif2", "x" * 300), "a name in /node/nodes is too long"),
}


@pytest.mark.parametrize("fault", [*HOSTILE, *WRONG])
def test_a_bad_graph_is_refused_with_the_files_name_and_the_fault(tmp_path: Path, fault: str):
    edit, words = {**HOSTILE, **WRONG}[fault]
    path = bad_file(tmp_path, edit)
    with pytest.raises(SpikeportError, match=rf"(?s)^bad\.nir: .*{words}") as caught:
        read_network(path)
    message = str(caught.value)
    assert len(message) < 1500
    assert not {"<", ">", "\x1b"} & set(message)


def test_the_file_that_the_bad_ones_are_made_of_is_good(tmp_path: Path):
    net = read_network(good_file(tmp_path / "good.nir"))
    assert (len(net.nodes), net.repairs) == (6, ())


def test_faults_are_found_without_asserts_too(tmp_path: Path):
    faults = ("NaN", "tau below zero", "edge twice", "loop of scales", "2 TiB", "bias too long")
    paths = []
    for index, fault in enumerate(faults):
        folder = tmp_path / str(index)
        folder.mkdir()
        paths.append(str(bad_file(folder, {**HOSTILE, **WRONG}[fault][0])))
    program = (
        "import sys, spikeport.models.neurons\n"
        "from pathlib import Path\n"
        "from spikeport.compiler.errors import SpikeportError\n"
        "from spikeport.compiler.load.nir import read_network\n"
        "for path in sys.argv[1:]:\n"
        "    try: read_network(Path(path)); print('accepted', path)\n"
        "    except SpikeportError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-c", program, *paths], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["refused"] * len(faults)


def test_bombs_take_no_memory(tmp_path: Path):
    resource = pytest.importorskip("resource")
    bombs = []
    for index, fault in enumerate(("2 TiB", "deflated twice", "a chunk that grows")):
        folder = tmp_path / str(index)
        folder.mkdir()
        bombs.append(bad_file(folder, HOSTILE[fault][0]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in bombs:
        with pytest.raises(LoadError):
            read_network(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10  # kB; the smallest bomb is 256 MiB


def test_a_heap_that_does_not_move_on_is_refused(tmp_path: Path):
    content = bytearray(good_file(tmp_path / "heap.nir").read_bytes())
    first = content.index(b"GCOL\x01") + 16
    content[first : first + 16] = bytes(16)  # HDF5 itself never ends here
    (tmp_path / "heap.nir").write_bytes(content)
    with pytest.raises(LoadError, match=r"^heap\.nir: .*the strings stored at byte"):
        read_network(tmp_path / "heap.nir")


def test_a_string_that_states_gigabytes_is_refused(tmp_path: Path):
    content = bytearray(good_file(tmp_path / "long.nir").read_bytes())
    heap = content.index(b"GCOL\x01")
    place = content.index(heap.to_bytes(8, "little"))
    content[place - 4 : place] = b"\xff\xff\xff\x7f"
    (tmp_path / "long.nir").write_bytes(content)
    with pytest.raises(LoadError, match=r"^long\.nir: .*too much text"):
        read_network(tmp_path / "long.nir")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.75, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float):
    whole = good_file(tmp_path / "good.nir").read_bytes()
    (tmp_path / "cut.nir").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(LoadError, match=r"^cut\.nir: .*(HDF5|truncated)"):
        read_network(tmp_path / "cut.nir")


def test_damage_anywhere_is_an_error_of_ours_or_harmless(tmp_path: Path):
    whole = good_file(tmp_path / "good.nir").read_bytes()
    random = np.random.default_rng(5)
    for _ in range(300):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), 8):
            damaged[at] = random.integers(256)
        (tmp_path / "damaged.nir").write_bytes(damaged)
        with contextlib.suppress(SpikeportError):
            read_network(tmp_path / "damaged.nir")


def torch_pickle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"{}\n", "looks like a text file"),
        (torch_pickle(), "looks like a PyTorch pickle"),
        (pickle.dumps({}), "looks like a Python pickle"),
        (b"\x1f\x8b\x08" + bytes(20), "looks like a gzip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "cannot read the file as HDF5"),
    ],
)
def test_a_file_that_is_something_else_is_called_what_it_looks_like(
    tmp_path: Path, content: bytes, words: str
):
    (tmp_path / "other.nir").write_bytes(content)
    with pytest.raises(LoadError, match=rf"^other\.nir: .*{words}"):
        read_network(tmp_path / "other.nir")


def test_what_is_not_a_file_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.nir")
    with pytest.raises(LoadError, match=r"^pipe\.nir: this is not a regular file"):
        read_network(tmp_path / "pipe.nir")
    with pytest.raises(LoadError, match=r"^zero: this is not a regular file"):
        read_network(Path("/dev/zero"))
    with pytest.raises(LoadError, match="this is a folder"):
        read_network(tmp_path)
    with pytest.raises(LoadError, match=r"^none\.nir: there is no such file"):
        read_network(tmp_path / "none.nir")


def header(descr: str, shape: object) -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def archive_of(path: Path, *members: tuple[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_plain_arrays_are_read_as_numpy_reads_them(tmp_path: Path):
    arrays = {
        "x": np.arange(6, dtype=">i4").reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "flag": np.array(True),
        "none": np.empty((0, 3), np.float16),
    }
    np.savez_compressed(tmp_path / "good.npz", **arrays)
    found = read_arrays(tmp_path / "good.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].tolist() == array.tolist()
        assert found[name].shape == array.shape


def test_an_npy_file_is_one_array_called_x(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.eye(2))
    assert read_arrays(tmp_path / "x.npy")["x"].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_arrays_that_nobody_asks_for_may_be_of_any_type(tmp_path: Path):
    np.savez(tmp_path / "mixed.npz", x=np.ones(2), note=np.array("made by hand"))
    assert list(read_arrays(tmp_path / "mixed.npz", names=["x", "y"])) == ["x"]
    with pytest.raises(LoadError, match=r"^mixed\.npz: array 'note' has the type str384"):
        read_arrays(tmp_path / "mixed.npz")


class Touch:
    """Writes a file when unpickled."""

    def __reduce__(self):
        return (open, ("pwned", "w"))


NPZ: dict[str, tuple[tuple[tuple[str, bytes], ...], str]] = {
    "pickle": (
        (("x.npy", header("|O", (1,)) + pickle.dumps(Touch())),),
        "array 'x' holds Python objects .a pickle.",
    ),
    "terabytes": ((("x.npy", header("<f8", (1 << 40,))),), "array 'x' is too large"),
    "values missing": ((("x.npy", header("<f8", (9,)) + bytes(8)),), "needs 72 bytes, it holds 8"),
    "values left over": ((("x.npy", header("<u1", (1,)) + bytes(8)),), "needs 1 bytes, it holds 8"),
    "negative shape": ((("x.npy", header("<f8", (-1,))),), "impossible shape"),
    "shape of floats": ((("x.npy", header("<f8", (1.5,))),), "truncated or damaged"),
    "records": ((("x.npy", header([("a", "<f8")], (1,)) + bytes(8)),), "has the type"),
    "complex": ((("x.npy", header("<c8", (1,)) + bytes(8)),), "has the type complex64"),
    "header of brackets": (
        (("x.npy", b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000),),
        "truncated or damaged",
    ),
    "header without end": (
        (("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{"),),
        "truncated or damaged",
    ),
    "not an array": ((("x.npy", b"hello"),), "truncated or damaged"),
    "climbing name": ((("../x.npy", header("<u1", ())),), "'../x.npy' is not an array"),
    "markup in a name": ((("<b>.npy", header("<u1", ())),), "is not an array"),
    "a program": ((("x.py", b"print()"),), "'x.py' is not an array"),
}


@pytest.mark.parametrize("fault", NPZ)
def test_a_bad_archive_is_refused_with_its_name_and_the_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    monkeypatch.chdir(tmp_path)
    members, words = NPZ[fault]
    with pytest.raises(LoadError, match=rf"^bad\.npz: .*{words}"):
        read_arrays(archive_of(tmp_path / "bad.npz", *members))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_given_twice_is_refused(tmp_path: Path):
    one = header("<u1", (1,)) + b"\0"
    path = archive_of(tmp_path / "bad.npz", ("x.npy", one), ("x.npy", one))
    with pytest.raises(LoadError, match=r"^bad\.npz: duplicate array 'x'"):
        read_arrays(path)


def test_an_encrypted_array_is_refused(tmp_path: Path):
    path = archive_of(tmp_path / "bad.npz", ("x.npy", header("<u1", ()) + b"\0"))
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"^bad\.npz: array 'x' is encrypted"):
        read_arrays(path)


def test_an_archive_packed_with_a_rare_method_is_refused(tmp_path: Path):
    one = header("<u1", (1,)) + b"\0"
    path = archive_of(tmp_path / "bad.npz", ("x.npy", one), packed=zipfile.ZIP_BZIP2)
    with pytest.raises(LoadError, match="compressed in an unknown way"):
        read_arrays(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path):
    size = 300 << 20
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as member,
    ):
        member.write(header("|u1", (size,)))
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(LoadError, match=r"^bomb\.npz: array 'x' is packed too tightly"):
        read_arrays(tmp_path / "bomb.npz")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_archive_is_refused(tmp_path: Path, share: float):
    np.savez(tmp_path / "good.npz", x=np.arange(1000))
    whole = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(LoadError, match=r"^cut\.npz: .*truncated"):
        read_arrays(tmp_path / "cut.npz")


def test_values_that_were_changed_are_noticed(tmp_path: Path):
    np.savez(tmp_path / "bad.npz", x=np.arange(1000))
    content = bytearray((tmp_path / "bad.npz").read_bytes())
    content[1000] ^= 1
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(LoadError, match=r"array 'x' is truncated or damaged: Bad CRC"):
        read_arrays(tmp_path / "bad.npz")


def test_a_text_file_is_not_an_archive(tmp_path: Path):
    (tmp_path / "data.npz").write_text("1,2,3\n")
    with pytest.raises(LoadError, match=r"^data\.npz: .*looks like a text file"):
        read_arrays(tmp_path / "data.npz")
