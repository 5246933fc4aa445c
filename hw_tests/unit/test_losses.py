"""Losses and regularisers: their values on spike trains written by hand, and their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from spikeport.models.training import losses  # noqa: E402
from spikeport.models.training.read_recipe import checked_recipe  # noqa: E402
from spikeport.models.training.recipe import Regularise  # noqa: E402
from spikeport.models.training.regularisers import (  # noqa: E402
    operation_share,
    penalty,
    rate_bounds,
)

#: Four steps, one sample, two neurons: the first spikes in steps 1 and 2, the second in step 3.
SPIKES = np.array([[0, 1, 1, 0], [0, 0, 0, 1]], float).T[:, None]
LABEL = np.array([0])


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def softmax_loss(*logits: float) -> float:
    """Return the cross entropy of the first of some logits."""
    return -logits[0] + math.log(sum(map(math.exp, logits)))


def test_the_rate_loss_is_the_cross_entropy_of_scaled_counts():
    assert losses.rate(SPIKES, LABEL, scale=0.5) == pytest.approx(softmax_loss(1.0, 0.5))


def test_smoothing_spreads_a_share_of_the_label_over_all_classes():
    right, wrong = softmax_loss(2, 1), softmax_loss(1, 2)
    smooth = losses.rate(SPIKES, LABEL, smoothing=0.2)
    assert smooth == pytest.approx(0.9 * right + 0.1 * wrong)


def test_the_count_target_is_the_squared_distance_of_rates():
    got = losses.count_target(SPIKES, LABEL, right=0.8, wrong=0.05)
    assert got == pytest.approx(((0.5 - 0.8) ** 2 + (0.25 - 0.05) ** 2) / 2)


@pytest.mark.parametrize(("of", "logits"), [("last", (4, 1)), ("max", (4, 9)), ("mean", (2, 3))])
def test_the_membrane_loss_reads_the_last_the_largest_or_the_mean_v(of, logits):
    v = np.array([[1, 1, 2, 4], [0, 9, 2, 1]], float).T[:, None]
    assert losses.membrane(v, LABEL, of, scale=0.5) == pytest.approx(
        softmax_loss(*(each / 2 for each in logits))
    )


def test_the_time_to_the_first_spike_counts_the_steps_before_it():
    silent = np.zeros((4, 1, 1))
    trains = np.concatenate([SPIKES, silent, silent + 1, 3 * SPIKES[..., :1]], axis=2)
    assert losses.first_spike(trains)[0].tolist() == [1, 3, 4, 0, 1]


def test_the_first_spike_loss_prefers_the_label_to_be_first():
    assert losses.ttfs(SPIKES, LABEL, scale=0.5) == pytest.approx(softmax_loss(-0.5, -1.5))


def test_equal_trains_have_no_van_rossum_distance():
    assert losses.van_rossum(SPIKES, SPIKES) == 0


def test_one_spike_that_is_missing_costs_the_energy_of_the_kernel():
    spike = np.zeros((200, 1, 1))
    spike[3] = 1
    energy = 1 / (1 - math.exp(-2 / 5)) / 5  # sum of e^(-2 k / tau), divided by tau
    assert losses.van_rossum(spike, 0 * spike, tau=5.0) == pytest.approx(energy)


def test_a_spike_costs_more_the_later_it_comes():
    target, cost = np.zeros((30, 1, 1)), []
    target[5] = 1
    for late in (0, 1, 4, 12):
        cost.append(float(losses.van_rossum(np.roll(target, late, axis=0), target)))
    assert cost == sorted(cost)
    assert cost[0] == 0
    assert len(set(cost)) == 4


def test_the_target_of_a_label_is_a_regular_train_of_its_neuron():
    trains = losses.label_trains(np.array([1, 0]), steps=6, n=3, period=3)
    assert trains.sum(0).tolist() == [[0, 2, 0], [2, 0, 0]]
    assert trains[:, 0, 1].tolist() == [0, 0, 1, 0, 0, 1]


ALL = ("rate", "count_target", {"name": "membrane", "of": "mean"}, "ttfs", "van_rossum")


@pytest.mark.parametrize("said", ALL, ids=str)
def test_gradients_are_the_slopes_of_finite_differences(said):
    part = checked_recipe({"network": "n", "data": "d", "epochs": 1, "loss": said}).loss
    loss = losses.loss_of(part)
    rng = np.random.default_rng(4)
    sent, labels = rng.uniform(0.1, 0.9, (6, 3, 4)), np.array([0, 2, 3])
    away = rng.normal(size=sent.shape)

    def along(step: float) -> float:
        moved = sent + step * away
        return loss(moved, moved, labels)

    expected = float(along(1e-5) - along(-1e-5)) / 2e-5
    assert jax.grad(along)(0.0) == pytest.approx(expected, rel=1e-6)


def test_the_first_spike_has_a_gradient_where_trains_are_0_and_1():
    slopes = np.asarray(jax.grad(lambda s: losses.first_spike(s)[0, 0])(SPIKES))[:, 0, 0]
    # Without its spike in step 1 the neuron would come in step 2; a spike in step 0 gains one.
    assert slopes.tolist() == [-1, -1, 0, 0]


def test_rates_within_their_bounds_cost_nothing():
    assert rate_bounds(SPIKES, 0.25, 0.5) == 0
    assert rate_bounds(SPIKES, 0.35, 1.0) == pytest.approx(0.1**2 / 2)
    assert rate_bounds(SPIKES, 0.0, 0.2) == pytest.approx((0.3**2 + 0.05**2) / 2)


def test_synaptic_operations_are_a_share_of_those_of_a_network_that_always_spikes():
    fan_out = {"a": np.array([10, 30])}
    assert operation_share({"a": SPIKES}, fan_out) == pytest.approx((2 * 10 + 30) / (4 * 40))
    assert operation_share({"a": 0 * SPIKES + 1}, fan_out) == 1


def test_a_penalty_is_the_sum_of_what_the_recipe_weighs():
    said = Regularise.model_validate({"rate": {"weight": 2, "high": 0.2}, "synops": {"weight": 3}})
    fan_out = {"a": np.array([10, 30])}
    expected = 2 * rate_bounds(SPIKES, 0, 0.2) + 3 * operation_share({"a": SPIKES}, fan_out)
    assert penalty(said, {"a": SPIKES}, fan_out) == pytest.approx(float(expected))
    assert penalty(Regularise(), {"a": SPIKES}, fan_out) == 0
