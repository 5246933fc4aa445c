"""Batches become data: what can be seen of them is seen, the rest has to be said."""

from pathlib import Path

import numpy as np
import pytest

import spikeport as sp
import spikeport.demo
from spikeport.compiler.network import Input, Network, Output

IMAGES = Network({"in": Input((1, 4, 4)), "out": Output((1, 4, 4))}, (("in", "out"),))
FLAT = Network({"in": Input((16,)), "out": Output((16,))}, (("in", "out"),))
TWO = Network(
    {"a": Input((3,)), "b": Input((2,)), "out": Output((3,))}, (("a", "out"), ("b", "out"))
)
RNG = np.random.default_rng(0)


def binary(*shape):
    return (RNG.random(shape) < 0.5).astype(np.float32)


def batches(*xs, labels=True):
    return [(x, np.arange(len(x)) % 10) if labels else x for x in xs]


def test_batches_are_joined_in_order():
    xs = binary(5, 7, 16), binary(3, 7, 16)
    data = sp.data_from(batches(*xs), FLAT)
    assert data.kind == "spikes"
    assert np.array_equal(data.inputs["in"], np.concatenate(xs))
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


def test_the_number_of_labels_shows_which_axis_is_time():
    x = binary(7, 5, 16)
    data = sp.data_from([(x, np.arange(5))], FLAT)
    assert np.array_equal(data.inputs["in"], x.swapaxes(0, 1))


def test_one_telling_batch_is_enough():
    x, y = binary(5, 5, 16), binary(5, 2, 16)
    data = sp.data_from([(x, np.arange(5)), (y, np.arange(2))], FLAT)
    assert np.array_equal(data.inputs["in"], np.concatenate([x, y], axis=1).swapaxes(0, 1))


@pytest.mark.parametrize(
    "loader", [batches(binary(5, 5, 16)), batches(binary(4, 7, 16), labels=False)]
)
def test_where_nothing_shows_it_time_has_to_be_said(loader):
    with pytest.raises(sp.errors.DataError, match=r"which axis of .* is time is not said"):
        sp.data_from(loader, FLAT)
    steps = [sp.data_from(loader, FLAT, time_axis=axis).steps for axis in (0, 1)]
    shape = np.shape(loader[0][0] if isinstance(loader[0], tuple) else loader[0])
    assert steps == list(shape[:2])


def test_images_are_flattened_or_unflattened_as_the_network_takes_them():
    x = binary(5, 7, 1, 4, 4)
    assert np.array_equal(sp.data_from(batches(x), FLAT).inputs["in"], x.reshape(5, 7, 16))
    assert np.array_equal(
        sp.data_from(batches(x.reshape(5, 7, 16)), IMAGES).inputs["in"], x.reshape(5, 7, 16)
    )


def test_images_are_shown_as_a_current():
    x = RNG.normal(size=(5, 1, 4, 4))
    data = sp.data_from(batches(x), IMAGES, encode="constant", steps=3)
    assert data.kind == "current"
    assert data.host() == {"in": True}
    assert np.array_equal(data.inputs["in"][:, 2], x.reshape(5, 16))


def test_images_are_shown_as_spikes_and_the_seed_decides():
    x = np.tile(np.linspace(0, 1, 16), (4, 1))
    one, again, other = (
        sp.data_from(batches(x), FLAT, encode="rate", steps=500, seed=seed).inputs["in"]
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    # 2000 draws each: five standard deviations of a mean are 5 * 0.5 / sqrt(2000)
    assert np.abs(one.mean(axis=(0, 1)) - x[0]).max() < 5 * 0.5 / np.sqrt(2000)


def test_no_more_is_read_than_is_wanted():
    def endless():
        while True:
            yield binary(4, 7, 16), np.arange(4)

    data = sp.data_from(endless(), FLAT, samples=6)
    assert data.samples == 6
    assert data.labels.tolist() == [0, 1, 2, 3, 0, 1]


def test_several_inputs_come_as_tuples_or_by_name():
    a, b = binary(4, 6, 3), binary(4, 6, 2)
    for x in ((a, b), {"b": b, "a": a}):
        data = sp.data_from([(x, np.arange(4))], TWO)
        assert np.array_equal(data.inputs["a"], a)
        assert np.array_equal(data.inputs["b"], b)


WRONG = {
    "images of unknown showing": (batches(binary(5, 16)), {}, "have no time axis"),
    "images for no time": (batches(binary(5, 16)), {"encode": "rate"}, "steps=None do not say"),
    "an unknown encoding": (
        batches(binary(5, 16)), {"encode": "poisson", "steps": 3}, "encode='poisson'",
    ),
    "encoding what is in time": (
        batches(binary(5, 7, 16)), {"encode": "rate", "steps": 3}, "have a time axis already",
    ),
    "pixels above 1": (
        batches(3 * binary(5, 16)), {"encode": "rate", "steps": 3}, "0 to 3 are no probabilities",
    ),
    "another shape": (batches(binary(5, 7, 15)), {}, r"has the shape \(5, 7, 15\)"),
    "no such axis": (batches(binary(5, 7, 16)), {"time_axis": 2}, "is 0 or 1, not 2"),
    "labels that fit no axis": ([(binary(5, 7, 16), np.arange(4))], {}, "no axis has as many"),
    "lengths that differ": (
        batches(binary(5, 7, 16), binary(5, 8, 16)), {}, "from 7 to 8 steps",
    ),
    "nothing": ([], {}, "no batches"),
    "values that are not spikes": (batches(0.5 * binary(5, 7, 16)), {}, "holds 0.5"),
    "one of two inputs": (
        [(binary(4, 6, 3), np.arange(4))], {"network": TWO}, "1 inputs, the network 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_refused_with_what_to_say(name):
    loader, options, message = WRONG[name]
    with pytest.raises(sp.errors.DataError, match=message) as caught:
        sp.data_from(loader, **{"network": FLAT, **options})
    assert caught.value.fix


def test_deploy_takes_them_and_reports_their_kind():
    folder = Path(spikeport.demo.__file__).parent
    recorded = np.load(folder / "digits.npz")
    net = sp.load(folder / "digits.nir")
    loader = [(recorded["x"][i : i + 16], recorded["labels"][i : i + 16]) for i in (0, 16)]
    data = sp.data_from(loader, net)
    result = sp.deploy(net, data=data, backends_wanted=["emulator"])
    assert (result["samples"], result["input"]) == (32, "spikes")
    assert result["accuracy"]["reference"] > 0.9
