"""SHD and SSC: lists in HDF5 files, read by the sample, and what is refused in such a file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from hw_tests.made_events import by_hand, message
from spikeport.compiler.errors import DataError, LoadError
from spikeport.models.data.events import Binning, Events
from spikeport.models.data.library import open_data

RNG = np.random.default_rng(4)
TIMES = [np.sort(RNG.random(count) * 1.3).astype(np.float16) for count in (50, 0, 700)]
UNITS = [RNG.integers(0, 700, len(each)).astype(np.uint16) for each in TIMES]


def write_shd(path: Path, times=None, units=None, labels=(3, 19, 0), **how: object) -> None:
    columns = {"times": (times or TIMES, np.float16), "units": (units or UNITS, np.uint16)}
    with h5py.File(path, "w") as file:
        for name, (lists, dtype) in columns.items():
            kind = h5py.vlen_dtype(dtype)
            made = file.create_dataset(f"spikes/{name}", (len(lists),), kind, **how)
            for index, each in enumerate(lists):
                made[index] = each
        file["labels"] = np.array(labels, np.uint16)
        file["extra/keys"] = ["zero", "one"]


@pytest.mark.parametrize(
    "how", [{}, {"chunks": (2,)}, {"chunks": (2,), "compression": "gzip"}], ids=str
)
def test_shd_is_read_by_the_sample(how, tmp_path):
    write_shd(tmp_path / "shd_train.h5", **how)
    data = open_data("shd", tmp_path, counts=True)
    train = data.split("train")
    assert (train.shape, train.labels.tolist(), data.classes) == ((100, 140), [3, 19, 0], 20)
    for index in (2, 0, 1):
        zero = np.zeros(len(TIMES[index]), np.int64)
        t = np.rint(TIMES[index].astype(float) * 1e6).astype(np.int64)
        events = Events(UNITS[index].astype(int), zero, t, zero)
        expected = by_hand(events, Binning(1, 700, 100, factor=5), 14_000)[:, 0, 0]
        assert expected.any() == (index != 1)
        assert np.array_equal(train.read(np.array([index]))[0], expected)


def test_a_sample_of_shd_needs_its_own_part_of_the_file_only(tmp_path):
    long = [np.zeros(200_000, np.float16), np.ones(3, np.float16)]
    units = [np.zeros(200_000, np.uint16), np.arange(3).astype(np.uint16)]
    write_shd(tmp_path / "shd_train.h5", long, units, (0, 1))
    train = open_data("shd", tmp_path).split("train")
    file = tmp_path / "shd_train.h5"
    raw = bytearray(file.read_bytes())
    # The first sample's heaps are destroyed; the second's are not, and are all that is read.
    for at in [at for at in range(0, len(raw) - 4, 8) if raw[at : at + 4] == b"GCOL"]:
        if struct.unpack_from("<Q", raw, at + 8)[0] > 200_000:
            raw[at : at + 4] = b"gone"
    file.write_bytes(raw)
    assert train.read(np.array([1])).sum() == 1
    with pytest.raises(LoadError, match=r"shd_train\.h5: list 0 is not where the file says"):
        train.read(np.array([0]))


def test_values_of_shd_that_cannot_be_are_refused(tmp_path):
    times = [np.array([0.1, value], np.float16) for value in (-0.1, np.nan, 0.2)]
    units = [np.array([1, unit], np.uint16) for unit in (1, 1, 700)]
    write_shd(tmp_path / "shd_train.h5", times, units)
    data = open_data("shd", tmp_path)
    assert "event 1 has t = -99976" in message(data, 0)
    assert "a time is not finite" in message(data, 1)
    assert "event 1 has x = 700: the sensor is 700 pixels wide" in message(data, 2)
    write_shd(tmp_path / "shd_train.h5", TIMES, [UNITS[1]] * 3)
    assert "different lengths: [0, 50]" in message(open_data("shd", tmp_path))


def replaced(name: str, make) -> str:
    def edit(file: h5py.File) -> None:
        del file[name]
        make(file)

    return edit


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (replaced("labels", lambda file: None), "there is no /labels: beside it are extra, spikes"),
        (
            replaced("labels", lambda file: file.update({"labels": h5py.SoftLink("/x")})),
            "/labels is a link",
        ),
        (
            replaced("labels", lambda file: file.update({"labels": h5py.ExternalLink("a", "b")})),
            "/labels is a link",
        ),
        (replaced("labels", lambda file: file.update({"labels": [1, 2]})), "3 units, 2 labels"),
        (replaced("labels", lambda file: file.update({"labels": [0.5] * 3})), "labels are float64"),
        (replaced("labels", lambda file: file.update({"labels": ["a"] * 3})), "another kind"),
        (replaced("labels", lambda file: file.update({"labels": [0, 1, 20]})), "the label 20"),
        (
            replaced("spikes/units", lambda file: file.update({"spikes/units": [1, 2, 3]})),
            "it is no SHD",
        ),
        (
            replaced(
                "labels", lambda file: file.create_dataset("labels", (1 << 40,), "i8", chunks=(99,))
            ),
            "/labels is too large",
        ),
        (replaced("labels", lambda file: file.create_dataset("labels", 3, "i8")), "never written"),
        (
            replaced(
                "labels", lambda file: file.create_dataset("labels", 3, "i8", fletcher32=True)
            ),
            "stored in another way",
        ),
        (
            replaced("labels", lambda file: file.create_dataset("labels", 3, "i8", chunks=(2,))),
            "chunks missing",
        ),
    ],
)
def test_an_shd_file_of_another_make_is_refused(edit, told, tmp_path):
    path = tmp_path / "shd_test.h5"
    write_shd(path)
    with h5py.File(path, "a") as file:
        edit(file)
    with pytest.raises((LoadError, DataError)) as caught:
        open_data("shd", tmp_path)
    assert told in str(caught.value)


def test_a_chunk_that_unpacks_to_more_is_cut_and_refused(tmp_path):
    path = tmp_path / "shd_test.h5"
    write_shd(path)
    with h5py.File(path, "a") as file:
        del file["labels"]
        made = file.create_dataset("labels", 4, "i8", chunks=(4,), compression="gzip")
        made.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 20)))
    with pytest.raises(LoadError, match="4 labels"):  # 32 bytes of it, and no more, are labels
        open_data("shd", tmp_path)


def test_a_truncated_or_foreign_shd_file_is_refused(tmp_path):
    path = tmp_path / "shd_test.h5"
    write_shd(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LoadError, match=r"shd_test\.h5: cannot read the file as HDF5"):
        open_data("shd", tmp_path)
    path.write_bytes(b"\x1f\x8b" + bytes(99))
    with pytest.raises(LoadError, match="gunzip it first"):
        open_data("shd", tmp_path)


def test_random_damage_is_refused_or_harmless(tmp_path):
    path = tmp_path / "shd_train.h5"
    write_shd(path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(9)
    refused = 0
    for _ in range(150):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 20)] = rng.integers(0, 256, 20)
        path.write_bytes(damaged.tobytes())
        try:
            open_data("shd", tmp_path).split("train").read(np.arange(3))
        except (LoadError, DataError):
            refused += 1
    assert refused > 20


def test_shd_and_ssc_have_folders_of_their_own(tmp_path):
    for name in ("shd_train.h5", "ssc_valid.h5"):
        write_shd(tmp_path / name)
    with pytest.raises(DataError, match="both SHD and SSC"):
        open_data("shd", tmp_path)
    (tmp_path / "shd_train.h5").unlink()
    data = open_data("shd", tmp_path)
    assert (list(data.splits), data.classes) == (["valid"], 35)
