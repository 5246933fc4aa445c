"""Surrogates: forward the spikes of every run, backward the published derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikeport.compiler.errors import DataError
from spikeport.models.neurons.spiking import EXACT
from spikeport.models.training.lag import LONGEST, learned_delay, whole_steps
from spikeport.models.training.surrogate import SURROGATES, surrogate

jax = pytest.importorskip("jax")

V = np.array([-2.0, -0.0, 0.0, 0.49, 0.5, 0.75, 1.0, 1.0 + 2**-52, 1.5, 2.0, 7.3])
names = pytest.mark.parametrize("name", SURROGATES)


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


@names
@pytest.mark.parametrize("condition", ["greater", "greater_equal"])
@pytest.mark.parametrize("theta", [1.0, 0.5, -0.5, 0.0])
def test_forward_a_surrogate_is_the_exact_step(name: str, condition: str, theta: float):
    got = surrogate(name).above(jax.numpy.asarray(V), np.asarray(theta), condition)
    assert got.tolist() == EXACT.above(V, np.asarray(theta), condition).tolist()


@pytest.mark.parametrize("condition", ["greater", "greater_equal"])
@pytest.mark.parametrize("theta", [1.0, 0.5])
def test_forward_counts_are_the_exact_counts(condition: str, theta: float):
    got = surrogate().multiples(jax.numpy.asarray(V), np.asarray(theta), condition)
    assert got.tolist() == EXACT.multiples(V, np.asarray(theta), condition).tolist()


def slope_at(name: str, slope: float | None, v: float, theta: float, of: int = 0) -> float:
    spiking = surrogate(name, slope)
    found = jax.grad(lambda v, theta: spiking.above(v, theta, "greater"), of)(v, theta)
    return float(found)


@pytest.mark.parametrize(
    ("name", "slope", "x", "expected"),
    [
        ("fast_sigmoid", None, 0.0, 1.0),
        ("fast_sigmoid", None, 0.04, 0.25),  # 1 / (1 + 25 * 0.04)^2
        ("fast_sigmoid", 10.0, -0.1, 0.25),
        ("arctan", None, 0.0, 1.0),
        ("arctan", None, 1 / math.pi, 0.5),  # (2/2) / (1 + (pi/2 * 2 / pi)^2)
        ("arctan", 4.0, -1 / (2 * math.pi), 1.0),
        ("triangle", None, 0.25, 0.75),
        ("triangle", None, -0.25, 0.75),
        ("triangle", None, 1.5, 0.0),
        ("triangle", 0.5, 1.0, 0.25),
    ],
)
def test_backward_it_is_the_formula_of_its_source(name, slope, x, expected):
    assert slope_at(name, slope, 1.0 + x, 1.0) == pytest.approx(expected)


@names
@pytest.mark.parametrize("theta", [2.0, 1e-3, -4.0])
def test_in_other_units_the_derivative_is_that_of_v_over_theta(name: str, theta: float):
    same = slope_at(name, None, 1.1, 1.0)
    v = theta + 0.1 * abs(theta)
    assert slope_at(name, None, v, theta) == pytest.approx(same / abs(theta))
    assert slope_at(name, None, v, theta, of=1) == pytest.approx(-same / abs(theta))


@names
def test_a_threshold_of_zero_or_none_has_a_finite_derivative(name: str):
    assert math.isfinite(slope_at(name, None, 0.5, 0.0))
    assert slope_at(name, None, 0.5, math.inf) == 0


def test_counts_move_with_v_from_half_a_threshold_on():
    def count(v, theta):
        return surrogate().multiples(v, theta, "greater")

    assert jax.grad(count)(2.6, 2.0) == 0.5
    assert jax.grad(count, 1)(2.6, 2.0) == pytest.approx(-2.6 / 4)
    assert jax.grad(count)(0.9, 2.0) == 0


def test_no_derivative_goes_through_what_is_stopped():
    assert jax.grad(lambda v: surrogate().stopped(v) * v)(3.0) == 3.0


def test_an_unknown_surrogate_names_the_nearest():
    with pytest.raises(DataError, match="unknown surrogate 'arctangent'") as caught:
        surrogate("arctangent")
    assert "surrogate: {name: arctan}" in str(caught.value)


@pytest.mark.parametrize("slope", [0.0, -1.0, math.nan, math.inf])
def test_a_slope_is_above_zero(slope: float):
    with pytest.raises(DataError, match="the slope of a surrogate is"):
        surrogate("triangle", slope)


# --- delays -----------------------------------------------------------------------------------

PULSE = np.zeros((20, 1, 1))
PULSE[4] = 1.0


@pytest.mark.parametrize("dt", [1e-3, 1e-4, 2.5e-3, 2.0**-10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_halves_of_a_step_round_up_in_any_units(dt: float, dtype: type):
    halves = np.arange(20)
    seconds = ((halves + 0.5) * dt).astype(dtype)
    assert whole_steps(seconds / dt).tolist() == (halves + 1).tolist()
    x = np.broadcast_to(PULSE[:1] * 0, (30, 1, 20)).astype(dtype).copy()
    x[0] = 1
    later = learned_delay(jax.numpy.asarray(x), jax.numpy.asarray(seconds) / dtype(dt))
    assert np.argmax(np.asarray(later)[:, 0], axis=0).tolist() == (halves + 1).tolist()


def test_every_whole_delay_is_itself_and_longer_ones_the_longest():
    asked = np.arange(-3.0, 70.0)
    x = np.zeros((150, 1, asked.size))
    x[[0, 40], 0] = 1.0
    expected = np.zeros_like(x)
    for k, delay in enumerate(np.clip(asked, 0, LONGEST).astype(int)):
        expected[[delay, delay + 40], 0, k] = 1.0
    assert np.array_equal(learned_delay(jax.numpy.asarray(x), asked), expected)


@pytest.mark.parametrize(("start", "wanted"), [(2.0, 4), (6.0, 4), (0.0, 2), (0.0, 1), (3.4, 5)])
def test_descent_draws_a_delay_to_where_its_spike_is_wanted(start: float, wanted: int):
    """Towards a spike that is wanted, as far as the slope of the loss goes there."""

    def loss(delay):
        return -learned_delay(jax.numpy.asarray(PULSE), delay)[4 + wanted, 0, 0]

    assert np.sign(-jax.grad(loss)(start)) == np.sign(wanted - start)


def test_a_delay_of_zero_moves_as_fast_as_one_beside_it():
    def loss(delay):
        return -learned_delay(jax.numpy.asarray(PULSE), delay)[6, 0, 0]

    assert jax.grad(loss)(0.0) == pytest.approx(jax.grad(loss)(1e-9))
