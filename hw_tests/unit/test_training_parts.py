"""What a training is made of: coordinates of what is learned, schedules, optimisers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("optax")

from spikeport.compiler.errors import RecipeError
from spikeport.compiler.semantics import Semantics
from spikeport.models.training.optimiser import optimiser, schedule
from spikeport.models.training.parameters import coordinates
from spikeport.models.training.recipe import OptimiserPart

EVERYTHING = ("weights", "biases", "tau", "thresholds", "delays")


def one_of_each() -> dict[str, np.ndarray]:
    return {
        "fc.weight": np.array([[0.5, -2.0]]),
        "fc.bias": np.array([0.25]),
        "lif.tau": np.array([3e-3]),
        "lif.v_threshold": np.array([-1.5]),
        "wait.delay": np.array([2e-3]),
        "lif.r": np.array([3.0]),
    }


def test_coordinates_lead_back_to_the_networks_own_units():
    held = coordinates(one_of_each(), EVERYTHING, Semantics(dt=1e-3))
    back = held.in_units(held.start(), np)
    assert set(back) == set(one_of_each()) - {"lif.r"}
    for name, value in back.items():
        assert value == pytest.approx(one_of_each()[name])


def test_a_step_of_one_means_the_same_for_any_network():
    held = coordinates(one_of_each(), EVERYTHING, Semantics(dt=1e-3))
    moved = {name: each - 3.0 for name, each in held.start().items()}
    got = held.in_units(held.held(moved, np), np)
    assert got["lif.tau"] > 1e-3  # never a step or less
    assert got["lif.v_threshold"] == pytest.approx(-1.5 * np.exp(-3))  # never another sign
    assert got["wait.delay"] == 0  # never into the future
    kept = 1 - 1e-3 / got["lif.tau"]  # what survives a step of Euler's: 2/3 before
    assert kept == pytest.approx(1 / (1 + np.exp(3 - np.log(2))))


def test_times_constants_in_tau_times_dt_are_read_as_such():
    said = Semantics(dt=1e-3, tau_unit="seconds_times_dt")
    held = coordinates({"lif.tau": np.array([3e-6])}, ("tau",), said)
    assert held.start()["lif.tau"] == pytest.approx(np.log(2))
    assert held.in_units(held.start(), np)["lif.tau"] == pytest.approx(3e-6)


def test_what_a_network_does_not_have_cannot_be_learned():
    with pytest.raises(RecipeError, match="has no delays") as caught:
        coordinates({"fc.weight": np.ones((1, 1))}, ("weights", "delays"), Semantics(dt=1e-3))
    assert "it has weights" in str(caught.value)
    with pytest.raises(RecipeError, match=r"lif\.tau cannot be learned"):
        coordinates({"lif.tau": np.array([1e-3])}, ("tau",), Semantics(dt=1e-3))


def rates_of(said: dict, at: tuple[int, ...]) -> list[float]:
    part = OptimiserPart.model_validate({"rate": 0.5, "schedule": said})
    function = schedule(part, batches=10, epochs=4)
    return [round(float(function(step)), 6) for step in at]


def test_schedules_follow_the_steps_of_all_epochs():
    assert rates_of({"name": "constant"}, (0, 39)) == [0.5, 0.5]
    assert rates_of({"name": "cosine", "end": 0.1}, (0, 20, 40)) == [0.5, 0.275, 0.05]
    assert rates_of({"name": "step", "every": 2, "factor": 0.1}, (19, 20, 40)) == [0.5, 0.05, 0.005]
    assert rates_of({"name": "warmup_cosine", "warmup": 1}, (0, 5, 10, 40)) == [0, 0.25, 0.5, 0]


def moved_by(said: dict, slopes: dict[str, float], steps: int = 1) -> dict[str, float]:
    """Return where parameters that start at 1 are after some steps with the same slopes."""
    kinds = {"fc.weight": "weights", "fc.bias": "biases", "wait.delay": "delays"}
    part = OptimiserPart.model_validate(said)
    method = optimiser(part, kinds, batches=10, epochs=1)
    params = dict.fromkeys(kinds, np.float32(1))
    state = method.init(params)
    for _ in range(steps):
        arrays = {name: np.array(slope, np.float32) for name, slope in slopes.items()}
        updates, state = method.update(arrays, state, params)
        params = {name: each + updates[name] for name, each in params.items()}
    return {name: round(float(each), 4) for name, each in params.items()}


SLOPES = {"fc.weight": 3.0, "fc.bias": 0.0, "wait.delay": 4.0}


def test_plain_descent_goes_down_the_slope_and_clipping_shortens_it():
    said = {"name": "sgd", "rate": 0.1}
    assert moved_by(said, SLOPES) == {"fc.weight": 0.7, "fc.bias": 1, "wait.delay": 0.6}
    clipped = moved_by(said | {"clip": 1}, SLOPES)
    assert clipped == {"fc.weight": 0.94, "fc.bias": 1, "wait.delay": 0.92}


def test_only_weights_decay():
    said = {"name": "sgd", "rate": 0.1, "weight_decay": 0.5}
    assert moved_by(said, dict.fromkeys(SLOPES, 0.0)) == {
        "fc.weight": 0.95, "fc.bias": 1, "wait.delay": 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "lion"])
def test_every_method_goes_down(name):
    after = moved_by({"name": name, "rate": 0.01}, SLOPES, steps=5)
    assert after["fc.weight"] < 1
    assert after["fc.bias"] == 1


def test_a_kind_can_move_faster():
    said = {"name": "sgd", "rate": 0.01, "times": {"delays": 10}}
    assert moved_by(said, SLOPES) == {"fc.weight": 0.97, "fc.bias": 1, "wait.delay": 0.6}
