"""A training recipe: what a YAML file says, with defaults, as one frozen value."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from spikeport.compiler.errors import RecipeError
from spikeport.models.training.read_recipe import checked_recipe, read_recipe
from spikeport.models.training.recipe import TrainingRecipe

SHORT = {"network": "digits_mlp", "data": "digits", "epochs": 2}
WHOLE = """
network: {name: digits_mlp, options: {hidden: 64}}
data: {name: digits, options: {seed: 3}}
encoder: {name: bernoulli, options: {gain: 0.5}}
steps: 25
epochs: 30
batch: 32
seed: 7
learn: [weights, biases, tau]
optimiser:
  name: adamw
  rate: 1e-3
  schedule: {name: warmup_cosine, warmup: 2, end: 0.1}
  weight_decay: 1E-2
  clip: 1
  times: {tau: 0.1}
loss: {name: membrane, of: mean, scale: .5}
surrogate: {name: arctan, slope: 2}
regularise: {rate: {weight: 1, low: 0.01, high: 0.5}, synops: {weight: 0.1}}
decode: mem_mean
quantize: {chip: loihi1, weights: "4:sign", from_epoch: 20}
precision: float64
"""


def recipe(**more: object) -> TrainingRecipe:
    return checked_recipe(SHORT | more)


def test_a_file_says_everything_and_numbers_are_numbers(tmp_path):
    (tmp_path / "r.yaml").write_text(WHOLE)
    said = read_recipe(tmp_path / "r.yaml")
    assert said.optimiser.rate == 1e-3
    assert said.optimiser.weight_decay == 0.01
    assert said.optimiser.schedule.name == "warmup_cosine"
    assert said.loss.of == "mean"
    assert said.learn == ("weights", "biases", "tau")
    assert said.network.options == {"hidden": 64}
    assert said.quantize.weights == "4:sign"
    assert checked_recipe(said.plain()) == said


def test_the_recipe_in_the_documentation_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    block = page.split("<!-- recipe -->\n```yaml\n")[1].split("```")[0]
    (tmp_path / "r.yaml").write_text(block, encoding="utf-8")
    said = read_recipe(tmp_path / "r.yaml")
    missing = set(TrainingRecipe.model_fields) - set(said.model_fields_set)
    assert not missing, "it shows every field"


def test_a_name_alone_is_that_thing_with_its_defaults():
    assert recipe(loss="ttfs") == recipe(loss={"name": "ttfs"})
    assert recipe(optimiser={"name": "sgd", "schedule": "cosine"}) == recipe(
        optimiser={"name": "sgd", "schedule": {"name": "cosine", "end": 0.0}}
    )
    assert recipe().learn == ("weights", "biases")


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError):
        recipe().epochs = 3


def test_the_digest_sees_what_decides_and_not_where_the_data_lies():
    assert recipe().digest == recipe().digest
    assert recipe(seed=1).digest != recipe().digest
    here, there = ({"name": "digits", "folder": each} for each in ("here", "there"))
    assert recipe(data=here).digest == recipe(data=there).digest


@pytest.mark.parametrize(
    ("more", "key", "instead"),
    [
        ({"epoch": 3}, "epoch", "epochs"),
        ({"optimiser": {"name": "adam", "rte": 1e-3}}, "optimiser.rte", "rate"),
        ({"loss": {"name": "rate", "smothing": 0.1}}, "loss.smothing", "smoothing"),
        (
            {"optimiser": {"schedule": {"name": "step", "evry": 3, "every": 2}}},
            "optimiser.schedule.evry", "every",
        ),
        ({"regularise": {"rate": {"weight": 1, "lo": 0.1}}}, "regularise.rate.lo", "low"),
        ({"quantize": {"chip": "loihi1", "bits": "4", "weight": "4"}}, "quantize.bits", None),
    ],
)  # fmt: skip
def test_an_unknown_key_is_told_with_the_nearest_name(more, key, instead):
    with pytest.raises(RecipeError, match=f"unknown key '{key}'") as caught:
        recipe(**more)
    assert caught.value.exit_code == 2
    if instead:
        assert caught.value.fix == f"write '{instead}', or leave it out"


@pytest.mark.parametrize(
    ("more", "said", "instead"),
    [
        ({"loss": "rat"}, "loss cannot be 'rat'", "rate"),
        ({"loss": {"name": "membrane", "of": "maximum"}}, "loss.of cannot be", "max"),
        ({"optimiser": "adamm"}, "optimiser.name cannot be 'adamm'", "adam"),
        ({"learn": ["weight"]}, "learn.0 cannot be 'weight'", "weights"),
        ({"decode": "counts"}, "decode cannot be 'counts'", "count"),
        ({"surrogate": "arctam"}, "surrogate.name cannot be 'arctam'", "arctan"),
        ({"precision": "float16"}, "precision cannot be", None),
    ],
)
def test_an_unknown_choice_is_told_with_the_nearest_one(more, said, instead):
    with pytest.raises(RecipeError, match=said) as caught:
        recipe(**more)
    if instead:
        assert caught.value.fix == f"write '{instead}'"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"epochs": "3"}, "epochs"),
        ({"epochs": 0}, "epochs"),
        ({"batch": True}, "batch"),
        ({"seed": -1}, "seed"),
        ({"optimiser": {"rate": float("inf")}}, "optimiser.rate"),
        ({"optimiser": {"rate": 0}}, "optimiser.rate"),
        ({"optimiser": {"name": "adam", "weight_decay": 0.1}}, "choose adamw"),
        ({"optimiser": {"name": "adam", "momentum": 0.9}}, "momentum is for sgd"),
        ({"optimiser": {"schedule": {"name": "warmup_cosine", "warmup": 2}}}, "leaves none of 2"),
        ({"regularise": {"rate": {"weight": 1, "low": 0.6, "high": 0.5}}}, "low is above high"),
        ({"learn": []}, "learn is empty"),
        ({"network": 3}, "network"),
    ],
)
def test_a_wrong_value_is_told_by_its_key(more, said):
    with pytest.raises(RecipeError, match=said):
        recipe(**more)


def test_what_is_missing_is_named():
    with pytest.raises(RecipeError, match="'data' is missing"):
        checked_recipe({"network": "digits_mlp", "epochs": 1})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1\n", "no list of KEY: VALUE"),
        ("a: [1", "YAML: line"),
        ("a: &x 1\nb: *x", "anchors"),
        ("a: !!python/object:os.system x", "tag"),
        ("a: " + "x" * 200_000, "too large"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path, text, said):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=said):
        read_recipe(tmp_path / "r.yaml")


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"no\.yaml"):
        read_recipe(tmp_path / "no.yaml")
    with pytest.raises(RecipeError, match="not a file"):
        read_recipe(tmp_path)
