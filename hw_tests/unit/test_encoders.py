"""Values become spikes: what each encoder sends, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.compiler.errors import DataError
from spikeport.models.data.encode import ENCODERS, encode

VALUES = np.array([[0.0, 0.25, 1.0], [0.5, 2.0, 0.005]], np.float32)


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def refused(*given: object, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        encode(*given, rng(), **options)
    return str(caught.value)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "delta"])
def test_steps_come_after_samples_and_the_seed_decides(name):
    values = VALUES.reshape(2, 3, 1)
    made = encode(name, values, 7, rng())
    assert made.shape == (2, 7, 3, 1)
    assert made.dtype == (np.float32 if name == "direct" else np.uint8)
    assert np.array_equal(made, encode(name, values, 7, rng()))


@pytest.mark.parametrize("name", ["bernoulli", "poisson"])
def test_other_seeds_send_other_spikes(name):
    values = np.full((1, 50), 0.5)
    assert not np.array_equal(encode(name, values, 9, rng(1)), encode(name, values, 9, rng(2)))


def test_bernoulli_spikes_as_often_as_the_value_says():
    steps = 10_000
    rates = encode("bernoulli", VALUES, steps, rng(), gain=0.5).mean(axis=1)
    expected = np.array([[0, 0.125, 0.5], [0.25, 1, 0.0025]])
    # Five standard deviations of a mean of that many draws.
    assert (np.abs(rates - expected) <= 5 * np.sqrt(expected * (1 - expected) / steps)).all()


def test_poisson_clips_to_one_spike_unless_counts_are_asked_for():
    steps = 10_000
    values = np.full((1, 1), 1.5)
    spikes = encode("poisson", values, steps, rng())
    counts = encode("poisson", values, steps, rng(), counts=True)
    assert spikes.max() == 1
    assert np.array_equal(spikes, np.minimum(counts, 1))
    assert abs(spikes.mean() - (1 - np.exp(-1.5))) < 5 * 0.42 / np.sqrt(steps)
    assert abs(counts.mean() - 1.5) < 5 * np.sqrt(1.5 / steps)
    assert encode("poisson", values, 3, rng(), gain=1e6, counts=True).tolist() == [[[255]] * 3]


def test_latency_sends_the_largest_value_first_and_the_smallest_not_at_all():
    spikes = encode("latency", VALUES, 5, rng())
    assert spikes.sum(axis=1).tolist() == [[0, 1, 1], [1, 1, 0]]
    assert spikes.argmax(axis=1).tolist() == [[0, 3, 0], [2, 0, 0]]
    assert encode("latency", VALUES, 5, rng(), threshold=0.3).sum() == 3
    assert encode("latency", np.ones((1, 1)), 1, rng()).tolist() == [[[1]]]


def test_delta_sends_rises_and_falls_on_channels_of_their_own():
    signal = np.array([0.0, 0.5, 0.5, 0.25, 0.5]).reshape(1, 5, 1)
    spikes = encode("delta", signal, 5, rng(), threshold=0.25)
    assert spikes.shape == (1, 5, 2, 1)
    # Strict: a change of exactly the threshold sends nothing.
    assert spikes[0, :, 0, 0].tolist() == [0, 1, 0, 0, 0]
    assert spikes[0, :, 1, 0].tolist() == [0, 0, 0, 0, 0]
    assert encode("delta", signal, 5, rng())[0, :, 1, 0].tolist() == [0, 0, 0, 1, 0]
    assert not encode("delta", np.ones((1, 5, 1)), 5, rng()).any()


def test_direct_current_is_the_value_in_every_step():
    made = encode("direct", VALUES, 3, rng(), gain=2)
    assert np.array_equal(made, np.stack([VALUES * 2] * 3, axis=1))


def test_a_wrong_name_is_answered_with_the_nearest():
    assert refused("bernouli", VALUES, 5) == (
        "there is no encoder 'bernouli': "
        "there are: bernoulli, poisson, latency, delta, direct\n"
        "  fix: did you mean 'bernoulli'?"
    )
    assert refused("poisson", VALUES, 5, count=True) == (
        "the encoder 'poisson' has no option 'count': there are: gain, counts\n"
        "  fix: did you mean 'counts'?"
    )


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "5"])
def test_steps_are_a_whole_number_from_one(steps):
    assert "cannot encode into" in refused("latency", VALUES, steps)


def test_values_and_signals_that_cannot_be_encoded_are_refused():
    assert "not all finite" in refused("bernoulli", np.array([[np.nan]]), 5)
    assert "a rate is negative" in refused("poisson", -VALUES, 5)
    told = refused("delta", np.zeros((1, 4, 2)), 5)
    assert "should be 5 steps" in told
    assert "fix: set steps to 4" in told
    assert encode("delta", np.zeros((1, 4, 2)), 4, rng()).shape == (1, 4, 2, 2)  # the advice works
