"""Hostile saved images: one message with the file's name, exit code 2, no time, no memory."""

from __future__ import annotations

import io
import os
import pickle
import random
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import spikeport as sp
from hw_tests.contract.test_every_chip import network
from hw_tests.image_edits import edited, leaves, parts_of, put, put_together
from spikeport.compiler.errors import LoadError, SpikeportError
from spikeport.compiler.load.files import IMAGE
from spikeport.compiler.load.image_bytes import LARGEST_HEADER, PREAMBLE

CHIPS = ("loihi1", "truenorth", "speck2f", "xylo_audio3")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A saved image for each of some chips, by the chip's name."""
    folder = tmp_path_factory.mktemp("good")
    for name in CHIPS:
        sp.save_image(sp.compile(network(sp.chip(name)), name), folder / f"{name}.image")
    return {name: folder / f"{name}.image" for name in CHIPS}


def refused(path):
    """Return the message about a file; it names the file, once."""
    with pytest.raises(LoadError) as caught:
        sp.load_image(path).chip  # noqa: B018 - the placement is checked when it is asked for
    assert str(caught.value).startswith(f"{path.name}: ")
    assert str(caught.value).count(path.name) == 1
    assert caught.value.exit_code == 2
    return str(caught.value)


def bad(folder, content):
    (folder / "bad.image").write_bytes(content)
    return folder / "bad.image"


def zipped(name, content):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(name, content)
    return held.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"spikeport image", "this is not a saved image: it looks like a text file"),
        (IMAGE, "the file is truncated"),
        (b"hello", "it looks like a text file"),
        (bytes(4096), "it looks like something unknown"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "it looks like an HDF5 file"),
        (pickle.dumps([1]), "it looks like a Python pickle"),
        (zipped("../../evil.npy", b"x"), "it looks like a zip or .npz archive"),
        (PREAMBLE.pack(IMAGE, 2, 0, 32) + bytes(32), "this image has format 2"),
        (PREAMBLE.pack(IMAGE, 1, 0, 1 << 63) + bytes(64), "it declares a header of 92233720"),
        (PREAMBLE.pack(IMAGE, 1, 0, LARGEST_HEADER + 1), "it declares a header of 16777217"),
        (put_together(b"\xff\xfe", []), "its header cannot be read"),
        (put_together(b"[]", []), "its header cannot be read"),
        (put_together(b"[" * 100_000, []), "its header cannot be read"),
        (put_together(b'{"noun": 1, "noun": 2, "arrays": []}', []), "a key is there twice"),
        (put_together(b'{"noun": NaN, "arrays": []}', []), "NaN is not a number"),
        (put_together({"noun": {}, "arrays": []}, []), "it does not hold an image"),
        (put_together({"noun": {}, "arrays": [["O", [1]]]}, []), "has the type 'O'"),
        (put_together({"noun": {}, "arrays": [["f8", [-1]]]}, []), "an array has the shape [-1]"),
        (put_together({"noun": {}, "arrays": [["f8", [True]]]}, []), "has the shape [True]"),
        (put_together({"noun": {}, "arrays": [["f8", [0, 1 << 60]]]}, []), "has the shape [0, 11"),
        (put_together({"noun": {}, "arrays": [["f8", [1 << 36]]]}, []), "its arrays end at byte"),
        (put_together({"noun": {}, "arrays": [["i1", [1]] * 2]}, [np.ones(1)]), "cannot be read"),
    ],
)
def test_files_that_are_no_images(content, message, tmp_path):
    assert message in refused(bad(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.image")
    (tmp_path / "folder.image").mkdir()
    assert "not a regular file" in refused(tmp_path / "pipe.image")
    assert "this is a folder" in refused(tmp_path / "folder.image")
    assert "there is no such file" in refused(tmp_path / "nowhere.image")


def test_every_truncation_is_refused(good, tmp_path):
    raw = good["loihi1"].read_bytes()
    for end in [*range(1, 64), *range(64, len(raw), 97), len(raw) - 1]:
        refused(bad(tmp_path, raw[:end]))
    refused(bad(tmp_path, raw + b"\0"))


def test_every_flipped_bit_is_seen(good, tmp_path):
    raw = good["loihi1"].read_bytes()
    for at in [*range(32), *range(32, len(raw), 89)]:
        flipped = bytearray(raw)
        flipped[at] ^= 1 << at % 8
        refused(bad(tmp_path, bytes(flipped)))


def field(*at):
    """Return an edit that puts a value somewhere below the noun."""

    def edit(value):
        return lambda header, arrays: put(header["noun"], at, value)

    return edit


def program(*at):
    return field("program", *at)


POPULATION = ("populations", "map", 1, 1)
SIZES = program(*POPULATION, "shape")
CELL = (*POPULATION, "cell")
WEIGHTS = ("synapses", 0)


def array(*at):
    """Return an edit that makes another array of one, named by its place in the noun."""

    def edit(change):
        def apply(header, arrays):
            tree = header["noun"]
            for key in at:
                tree = tree[key]
            arrays[tree["array"]] = change(arrays[tree["array"]])

        return apply

    return edit


def first_is(value):
    def change(values):
        values.reshape(-1)[0] = value
        return values

    return change


CSR = {"csr_array": [0, 0, 0], "shape": [7, 6]}


def sparse(data, indices, indptr, shape=(7, 6)):
    """Return an edit that makes the first weights sparse, of these arrays."""

    def apply(header, arrays):
        at = len(arrays)
        arrays += [np.array(each, kind) for each, kind in zip(
            (data, indices, indptr), (np.int8, np.int32, np.int32), strict=True)]  # fmt: skip
        stored = {"csr_array": [at, at + 1, at + 2], "shape": list(shape)}
        put(header["noun"], ("program", *WEIGHTS, "stored"), stored)

    return apply


ROWS = [0, 1, 1, 1, 1, 1, 1, 1]

WRONG = {
    "nothing of that name": (program("is")("os.system"), "there is nothing called 'os.system'"),
    "a float cell": (program(*CELL, "is")("Membrane"), "there is nothing called 'Membrane'"),
    "another noun": (field("program")({"is": "Slice"}), "a Slice has other fields"),
    "no noun": (field("program")(3), "3 stands for a Program"),
    "a field too many": (program("more")(1), "a Program has other fields: more"),
    "an unknown form": (program("dt")({"pickle": "x"}), "an entry has the fields pickle"),
    "text for a number": (program("dt")("1"), "dt of a Program is '1'"),
    "an infinite dt": (program("dt")({"float": "inf"}), "dt of a Program is inf"),
    "dt of 0": (program("dt")(0.0), "dt is 0.0"),
    "an array that is not there": (program(*CELL, "decay_u")({"array": 999}), "no array 999"),
    "a negative array": (program(*CELL, "decay_u")({"array": -1}), "no array -1"),
    "a name twice": (program("lags")({"map": [["a", 0], ["a", 0]]}), "a name is there twice"),
    "a key that is an array": (program("lags")({"map": [[{"map": []}, 0]]}), "that are none"),
    "a name with markup": (program("name")("<script>"), "is not safe to print"),
    "a name that moves the cursor": (program("name")("\x1b[2J"), "is not safe to print"),
    "no name": (program("name")(""), "is not safe to print"),
    "a huge population": (SIZES([1 << 31]), "has more than 2147483647 neurons"),
    "a population that overflows": (SIZES([1 << 32, 1 << 32]), "has more than"),
    "a negative population": (SIZES([-7]), "has the shape (-7,)"),
    "a population of no extent": (SIZES([]), "has the shape ()"),
    "another size": (SIZES([8]), "the scale of 'a' has another length"),
    "an input with a cell": (program(*POPULATION, "kind")("input"), "which does not fit its cell"),
    "a wrong dtype": (array("program", *CELL, "decay_u")(np.int64), "is int64, not int32"),
    "floats": (array("program", *CELL, "decay_u")(np.float64), "is float64, not int32"),
    "a large decay": (array("program", *CELL, "decay_u")(first_is(4096)), "outside 0 to 4095"),
    "a negative threshold": (array("program", *CELL, "v_threshold")(first_is(-1)), "outside 0"),
    "a large shift": (array("program", *CELL, "bias_exponent")(first_is(32)), "outside 0 to 31"),
    "a short array": (array("program", *CELL, "v_reset")(lambda a: a[:6]), "no row of 7 whole"),
    "NaN in a scale": (array("program", *POPULATION, "scale")(first_is(np.nan)), "NaN"),
    "an unknown reset": (program(*CELL, "reset")("explode"), "reset of 'a' is none of to_value"),
    "a shift of messages": (program(*CELL, "message_shift")(64), "not from 0 to 31"),
    "an unknown datapath": (program("arithmetic", "overflow")("trap"), "overflow of the datapath"),
    "100 bits": (program("arithmetic", "state_bits")(100), "state_bits of the datapath is 100"),
    "a sender that is not there": (program(*WEIGHTS, "pre")("x"), "does not lead from a popul"),
    "an input as target": (program(*WEIGHTS, "post")("input"), "does not lead from a population"),
    "a delay below 0": (program(*WEIGHTS, "delay_steps")(-1), "delay_steps of 'to_a' is -1"),
    "a huge delay": (program(*WEIGHTS, "delay_steps")(1 << 40), "delay_steps of 'to_a' is 1099"),
    "a huge exponent": (program(*WEIGHTS, "exponent")(400), "exponent of 'to_a' is 400"),
    "a step that is no power": (program(*WEIGHTS, "step")(3), "not a power of two"),
    "weights of floats": (array("program", *WEIGHTS, "stored")(np.float64), "not int32"),
    "a matrix of another shape": (array("program", *WEIGHTS, "stored")(np.transpose), "is (6, 7)"),
    "weights too large": (
        array("program", *WEIGHTS, "stored")(lambda a: np.full(a.shape, 300, np.int16)),
        "a weight of 'to_a' is outside",
    ),
    "an index outside": (sparse([1], [6], ROWS), "has an index outside its 6 columns"),
    "an index below 0": (sparse([1], [-1], ROWS), "has an index outside its 6 columns"),
    "rows that go back": (sparse([1, 1], [0, 1], [0, 2, 1, 2, 2, 2, 2, 2]), "do not follow"),
    "rows beyond the end": (sparse([1], [0], [0, 9, 9, 9, 9, 9, 9, 1]), "do not follow"),
    "too few rows": (sparse([1], [0], [0, 1]), "has not 7 rows of int32 indices"),
    "indices twice": (sparse([1, 1], [2, 2], [0, 2, 2, 2, 2, 2, 2, 2]), "not in order"),
    "more indices than values": (sparse([1], [0, 1], ROWS), "has not as many indices as values"),
    "a negative shape": (sparse([1], [0], ROWS, (-7, 6)), "has the shape (-7, 6)"),
    "a huge shape": (sparse([1], [0], ROWS, (7, 1 << 40)), "has the shape (7, 1099511627776)"),
    "nothing to read out": (program("outputs")({"map": []}), "nothing is read out"),
    "an output that is no neuron": (program("outputs")({"map": [["o", "input"]]}), "not a neuron"),
    "a lag below 0": (program("lags", "map", 1, 1)(-5), "the lag of 'a' is -5"),
    "no lags": (program("lags")({"map": []}), "not every population has a lag"),
    "no slow steps": (program("slow")(0), "slow of the program is 0"),
    "a current for nobody": (
        program("host")({"map": [["z", {"is": "HostCurrent", "name": "z", "static": True,
                                        "targets": {"map": []}}]]}),
        "the host does not read 'z'",
    ),
    "no slices": (field("slices")([]), "is in no slice"),
    "a slice elsewhere": (field("slices", 0, "core")(99), "is on core 99, which is not there"),
    "a slice of nobody": (field("slices", 0, "population")("x"), "a slice holds no neurons of 'x'"),
    "a neuron outside": (array("slices", 0, "neurons")(lambda a: a + 7), "that are not there"),
    "a core below 0": (field("cores", 0, "core")(-1), "not in the order of their numbers"),
    "cores that are no list": (field("cores")({"map": []}), "stands for a"),
    "a chip that is none": (field("chip")({"name": "mine"}), "what it holds cannot be read"),
    "a chip without a source": (field("chip", "limits", "weight_bits", "source")(""), "source"),
    "more than the chip has": (field("chips")(1 << 20), "1048576 chips are used"),
    "a smaller chip": (field("chip", "core", "compartments", "value")(5), "is said to have 1024"),
    "a plan that is none": (field("plan")({"is": "LayerPlan"}), "a LayerPlan has other fields"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_content_that_no_compiler_makes(name, good, tmp_path):
    edit, message = WRONG[name]
    said = refused(edited(parts_of(good["loihi1"]), edit, tmp_path / "bad.image"))
    assert message in said
    assert "spikeport compile" in said


def test_the_parts_put_together_as_they_were_are_read(good, tmp_path):
    for path in good.values():
        again = edited(parts_of(path), lambda header, arrays: None, tmp_path / path.name)
        assert sp.load_image(again).chip == sp.load_image(path).chip


VALUES = (
    None, True, -1, 0, 2, 63, 1 << 20, 1 << 31, 1 << 62, -(1 << 70), 1.5, 1e308, "", "a", "none",
    "<b>", [], {}, {"array": 0}, {"map": []}, {"float": "nan"}, {"is": "Cell"},
)  # fmt: skip


def drawn(rng):
    """Return an edit that changes one value, or one array, anywhere."""

    def edit(header, arrays):
        if rng.random() < 0.6:
            put(header["noun"], rng.choice(leaves(header["noun"])[1:]), rng.choice(VALUES))
            return
        number = rng.randrange(len(arrays))
        values = arrays[number].reshape(-1)
        if rng.random() < 0.5 and values.size:
            largest = np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).max
            values[rng.randrange(values.size)] = rng.choice([-1, 0, 7, largest, -largest])
        else:
            arrays[number] = values[: rng.randrange(values.size + 1)]

    return edit


@pytest.mark.parametrize("name", CHIPS)
def test_random_edits_are_refused_or_harmless(name, good, tmp_path):
    rng = random.Random(name)
    parts, x = parts_of(good[name]), np.ones((1, 4, 6), np.uint8)
    read = 0
    for _ in range(120):
        path = edited(parts, drawn(rng), tmp_path / "bad.image")
        try:
            image = sp.load_image(path)
            sp.run(image, x, steps=4)
            read += bool(image.chip)
        except SpikeportError:
            continue
    assert 5 < read < 60  # notes, names of chips, weights: what may be anything


def test_a_refused_placement_stays_refused(good, tmp_path):
    edit = field("chips")(0)
    image = sp.load_image(edited(parts_of(good["loihi1"]), edit, tmp_path / "bad.image"))
    for _ in range(2):
        with pytest.raises(LoadError, match="0 chips are used"):
            image.plan  # noqa: B018


def test_the_command_line_says_it_once_and_writes_nothing(good, tmp_path):
    raw = good["loihi1"].read_bytes()
    path = bad(tmp_path, raw[:-1])
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 4, 6), np.uint8))
    before = sorted(tmp_path.iterdir())
    words = ["run", path, "--data", tmp_path / "x.npz", "--out", tmp_path / "out.npz", "--json"]
    code = "from spikeport.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: bad.image: the image is truncated or damaged: ")
    assert len(done.stderr.splitlines()) == 2
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_declares_much_takes_no_memory(tmp_path):
    header = {"noun": {}, "arrays": [["f8", [1 << 28]]]}
    path = bad(tmp_path, put_together(header, []))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
