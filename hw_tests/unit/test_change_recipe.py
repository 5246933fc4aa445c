"""Settings on top of a recipe: what they change, what they are relative to, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from spikeport.compiler.errors import RecipeError
from spikeport.models.training.change_recipe import changed

PLAIN = {"network": "digits_mlp", "data": "digits", "epochs": 3}


def test_a_name_alone_becomes_a_part_with_that_name():
    found = changed(PLAIN, ["data.shift=2", "network.options.hidden=20"], Path())
    assert found["data"] == {"name": "digits", "shift": 2}
    assert found["network"] == {"name": "digits_mlp", "options": {"hidden": 20}}


def test_later_settings_win_and_the_recipe_itself_stays():
    assert changed(PLAIN, ["epochs=5", "epochs=7"], Path())["epochs"] == 7
    assert PLAIN["epochs"] == 3


def test_values_are_those_of_yaml():
    found = changed(PLAIN, ["rate=5e-3", "learn=[weights, tau]", "quantize=null"], Path())
    assert (found["rate"], found["learn"], found["quantize"]) == (5e-3, ("weights", "tau"), None)


def test_a_path_lies_beside_whoever_says_it(tmp_path: Path):
    (tmp_path / "net.nir").touch()
    assert changed(PLAIN, ["network=net.nir"], tmp_path)["network"] == str(tmp_path / "net.nir")
    assert changed(PLAIN, ["network=other.nir"], tmp_path)["network"] == "other.nir"


@pytest.mark.parametrize("text", ["epochs", "=3", "data.=3", "learn=[weights", "seed=!!python/x 1"])
def test_what_is_no_setting_is_refused(text: str):
    with pytest.raises(RecipeError, match="cannot read the setting"):
        changed(PLAIN, [text], Path())
