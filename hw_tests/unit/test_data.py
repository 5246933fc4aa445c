"""Recorded inputs and labels: what is taken, and what is refused with a place and a way out."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.compiler.errors import DataError
from spikeport.compiler.network import Input, Network, Output
from spikeport.data import read_data

ONE = Network({"input": Input((2, 3)), "output": Output((2, 3))}, (("input", "output"),), name="n")
TWO = Network(
    {"left": Input((2,)), "right": Input((3,)), "output": Output((2,))},
    (("left", "output"),),
    name="n",
)
X = np.random.default_rng(5).integers(0, 2, (4, 5, 2, 3)).astype(np.uint8)


def refused(source: object, net: Network = ONE, kind: str = "spikes") -> str:
    with pytest.raises(DataError) as caught:
        read_data(source, net, kind)
    return str(caught.value)


def test_samples_and_steps_come_first_and_shapes_are_flattened():
    data = read_data({"x": X, "labels": np.arange(4)}, ONE)
    assert (data.samples, data.steps, data.kind) == (4, 5, "spikes")
    assert data.inputs["input"].tolist() == X.reshape(4, 5, 6).tolist()
    assert data.labels.tolist() == [0, 1, 2, 3]
    assert data.labels.dtype == np.int64


def test_one_sample_may_leave_out_its_dimension():
    data = read_data(X[0], ONE)
    assert data.inputs["input"].tolist() == X[:1].reshape(1, 5, 6).tolist()


def test_a_file_is_read_like_a_mapping(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, labels=[1, 0, 1, 0])
    data = read_data(tmp_path / "d.npz", ONE)
    assert np.array_equal(data.inputs["input"].reshape(X.shape), X)
    assert data.labels.tolist() == [1, 0, 1, 0]
    assert read_data({"x": X}, ONE).labels is None


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float32, float])
def test_spikes_of_any_number_type_are_taken(dtype):
    data = read_data(X.astype(dtype), ONE)
    assert data.inputs["input"].dtype == np.uint8
    assert np.array_equal(data.inputs["input"].reshape(X.shape), X)


def test_two_inputs_are_named():
    left, right = X[..., 0], X[:, :, 0]
    data = read_data({"x.left": left, "x.right": right}, TWO)
    assert np.array_equal(data.inputs["left"], left)
    assert np.array_equal(data.inputs["right"], right)
    assert refused({"x": left}, TWO) == (
        "the data has no array 'x.left': it has 'x'\n"
        "  fix: save the input 'left' under the name 'x.left'"
    )
    assert "'x.right'" in refused({"x.left": left, "x": right}, TWO)


def test_one_input_may_be_named_too():
    assert np.array_equal(read_data({"x.input": X}, ONE).inputs["input"].reshape(X.shape), X)


def test_inputs_of_different_length_are_refused():
    assert "have different extents (samples, steps): [(4, 4), (4, 5)]" in refused(
        {"x.left": X[..., 0], "x.right": X[:, :4, 0]}, TWO
    )


@pytest.mark.parametrize(
    "shape", [(4, 5, 3, 2), (4, 5, 6), (4, 5, 2), (2, 3), (), (1, 4, 5, 2, 3), (6,)]
)
def test_a_wrong_shape_names_both_shapes(shape):
    text = refused(np.zeros(shape))
    assert f"has the shape {shape}" in text
    assert "(samples, steps, 2, 3)" in text


@pytest.mark.parametrize("shape", [(0, 5, 2, 3), (4, 0, 2, 3)])
def test_no_samples_and_no_steps_are_refused(shape):
    assert "is empty" in refused(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["spikes", "counts", "current"])
def test_values_that_are_not_finite_are_named_with_their_place(bad, kind):
    x = X.astype(float)
    x[2, 3, 1, 0] = bad
    text = refused(x, kind=kind)
    assert "holds NaN or infinity: first in sample 2, step 3, value 3" in text


@pytest.mark.parametrize(
    ("kind", "bad", "words"),
    [
        ("spikes", 0.5, "holds 0.5: spikes are 0 or 1 (sample 1, step 2, value 4)"),
        ("spikes", 2, "holds 2: spikes are 0 or 1"),
        ("spikes", -1, "holds -1: spikes are 0 or 1"),
        ("counts", 0.5, "holds 0.5: counts are whole numbers from 0 to 255"),
        ("counts", -1, "holds -1: counts are"),
        ("counts", 256, "holds 256: counts are"),
    ],
)
def test_values_that_are_not_of_the_kind_are_named_with_their_place(kind, bad, words):
    x = X.astype(float)
    x[1, 2, 1, 1] = bad
    assert words in refused(x, kind=kind)
    assert read_data(x, ONE, "current").inputs["input"][1, 2, 4] == bad


def test_the_advice_for_real_values_works():
    x = X * 0.5
    text = refused(x)
    assert "add --input current for real values" in text
    assert read_data(x, ONE, "current").inputs["input"].dtype == float
    text = refused(X * 3)
    assert "--input counts for several spikes a step" in text
    assert read_data(X * 3, ONE, "counts").inputs["input"].max() == 3


def test_an_unknown_kind_lists_the_known_ones():
    assert "known are spikes, counts, current" in refused(X, kind="voltage")


@pytest.mark.parametrize("x", [X.astype(object), X.astype(complex), X.astype(str), X.astype("V1")])
def test_arrays_of_no_numbers_are_refused(x):
    assert "numbers are needed" in refused(x)


def test_rows_of_different_length_are_refused():
    assert "its rows differ in length" in refused([[1, 0], [1]])


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 0],
        [0, 1, 0, 1, 0],
        [0, 1, 0, 0.5],
        [0, 1, 0, np.nan],
        [0, 1, 0, np.inf],
        ["a", "b", "c", "d"],
        np.zeros((4, 2)),
        np.array([0, 1, 0, None]),
        5,
    ],
    ids=str,
)
def test_labels_that_are_not_one_whole_number_per_sample_are_refused(labels):
    text = refused({"x": X, "labels": labels})
    assert "there are 4 samples, each with one whole number" in text


def test_labels_in_a_column_and_as_floats_are_taken():
    labels = np.array([[1.0], [0.0], [2.0], [1.0]])
    assert read_data({"x": X, "labels": labels}, ONE).labels.tolist() == [1, 0, 2, 1]


def test_a_missing_array_lists_what_is_there_and_how_to_name_it():
    assert refused({"spikes": X}) == (
        "the data has no array 'x.input' or 'x': it has 'spikes'\n"
        "  fix: save the input 'input' under the name 'x'"
    )


def test_real_values_say_whether_they_stay_the_same_over_a_sample():
    still = np.tile(X[:, :1] * 0.5, (1, 5, 1, 1))
    assert read_data(still, ONE, "current").host() == {"input": True}
    assert read_data(X * 0.5, ONE, "current").host() == {"input": False}
    assert read_data(X, ONE).host() == {}


def test_the_first_samples_keep_their_labels():
    data = read_data({"x": X, "labels": [3, 2, 1, 0]}, ONE).first(2)
    assert (data.samples, data.labels.tolist()) == (2, [3, 2])
    assert np.array_equal(data.inputs["input"].reshape(2, 5, 2, 3), X[:2])
