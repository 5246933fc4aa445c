"""`spikeport quantize`, and the options of a recipe in every command that takes them."""

from __future__ import annotations

import json
import re
import shlex
import sys
from itertools import pairwise

import nir
import numpy as np
import pytest

import spikeport as sp
from spikeport.cli import main
from spikeport.cli.show_quantized import print_quantized
from spikeport.compiler.errors import DataError, LoweringError
from spikeport.compiler.quantize.recipe import Recipe, parse_wish
from spikeport.targets import bits_of, read_asked

SAID = "--dialect nir --dt 1e-4"
QUANTIZE = f"quantize net.nir --chip loihi1 --data data.npz {SAID}"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a network of two layers and data for it, in which commands are run."""
    rng = np.random.default_rng(0)

    def leaky(size):
        one = np.ones(size)
        return nir.LIF(8e-4 * one, 8 * one, 0 * one, one, v_reset=0 * one)

    nodes = {
        "input": nir.Input({"input": np.array([16])}),
        "fc1": nir.Linear(rng.normal(0.1, 0.4, (12, 16))),
        "a": leaky(12),
        "fc2": nir.Linear(rng.normal(0.2, 0.5, (4, 12))),
        "b": leaky(4),
        "output": nir.Output({"output": np.array([4])}),
    }
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    x = (rng.random((8, 40, 16)) < 0.3).astype(np.uint8)
    labels = np.arange(8) % 4
    np.savez(tmp_path / "data.npz", x=x, labels=labels)
    np.savez(tmp_path / "bare.npz", x=x)
    np.savez(tmp_path / "silent.npz", x=0 * x, labels=labels)
    np.savez(tmp_path / "full.npz", x=x | 1, labels=labels)
    np.savez(tmp_path / "other.npz", x=x[::-1], labels=labels[::-1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def spikeport(here, monkeypatch, capsys):
    """A function that types words and returns the exit code, stdout and stderr."""

    def typed(words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spikeport", *shlex.split(words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return typed


def plain(spikeport, words: str):
    code, out, err = spikeport(f"{words} --json")
    assert code in (0, 1), err
    return code, json.loads(out), err


def test_it_says_what_the_default_recipe_keeps_and_costs(spikeport):
    code, found, _ = plain(spikeport, QUANTIZE)
    assert code == 0
    assert [row["name"] for row in found["populations"]] == ["a", "b"]
    assert [row["projection"] for row in found["weights"]] == ["fc1", "fc2"]
    assert found["price"]["times"] == 1.0
    assert found["measured"]["agreement"] == min(row["agreement"] for row in found["populations"])
    assert found["measured"]["memory_bits"] == sum(row["memory_bits"] for row in found["weights"])
    assert found["target"] is found["explore"] is found["out"] is None
    assert found["calibrated_on"] == "the same data"


def test_people_get_the_same_as_tables(spikeport):
    code, out, _ = spikeport(f"{QUANTIZE} --weights fc1=8+8")
    assert code == 0
    assert "cells that agree" in out
    assert re.search(r"fc1\W+8\+8\W+16\W+2\W", out)
    assert "times the plain network's" in out
    assert "recipe: --weights fc1=8+8" in out


def test_a_recipe_costs_what_its_image_takes(spikeport, here):
    words = f"{QUANTIZE} --weights 8+8 --rounding output --out two.image"
    code, found, _ = plain(spikeport, words)
    image = sp.load_image(here / "two.image")
    assert code == 0
    assert found["price"]["times"] > 1.9
    assert found["measured"]["memory_bits"] == image.resources["synaptic_memory_bits"]
    assert found["bytes"] == (here / "two.image").stat().st_size
    assert [row["lists"] for row in found["weights"]] == [2, 2]


def test_the_image_is_the_one_that_compile_makes_of_the_pasted_options(spikeport, here):
    plain(spikeport, f"{QUANTIZE} --weights 5 --weights fc2=8:sign --out ours.image")
    compiled = "compile net.nir --chip loihi1 --data data.npz --out theirs.image"
    code, _, err = spikeport(f"{compiled} {SAID} --weights 5 --weights fc2=8:sign")
    assert code == 0, err
    assert (here / "ours.image").read_bytes() == (here / "theirs.image").read_bytes()


@pytest.mark.parametrize("command", ["deploy", "export --to lava"])
def test_deploy_and_export_follow_a_recipe(spikeport, here, command):
    words = f"{command} net.nir --chip loihi1 --data data.npz {SAID}"
    more = " --backends emulator" if command == "deploy" else ""
    memory = []
    for place, recipe in enumerate(("", "--weights 3", "--weights 8+8 --rounding output")):
        code, out, err = spikeport(f"{words}{more} {recipe} --out out{place} --json")
        assert code == 0, err
        memory.append(json.loads(out)["resources"]["synaptic_memory_bits"])
    assert memory[1] < memory[0] < memory[2]


def test_deploy_in_python_takes_a_recipe(here):
    recipe = sp.Recipe({"": sp.Wish((4,))}, correct=True)
    asked = {"dialect": "nir", "dt": 1e-4, "backends_wanted": ["emulator"]}
    found = sp.deploy(here / "net.nir", data=here / "data.npz", recipe=recipe, **asked)
    plainly = sp.deploy(here / "net.nir", data=here / "data.npz", **asked)
    held, before = (each["resources"]["synaptic_memory_bits"] for each in (found, plainly))
    assert held < before


def test_a_target_is_bought_as_cheaply_as_was_found(spikeport):
    code, found, _ = plain(spikeport, f"{QUANTIZE} --target-agreement 0.98")
    target = found["target"]
    assert code == 0
    assert target["reached"]
    assert target["wanted"] == pytest.approx(0.98)
    assert found["measured"]["agreement"] >= 0.98
    again = plain(spikeport, f"{QUANTIZE} {found['measured']['options']}")[1]
    assert again["measured"]["memory_bits"] == found["measured"]["memory_bits"]
    assert again["measured"]["agreement"] == found["measured"]["agreement"]


def test_a_target_out_of_reach_ends_with_1_and_the_nearest(spikeport, here):
    words = f"{QUANTIZE} --weights fc1=2 --target-agreement 1 --out no.image"
    code, found, err = plain(spikeport, words)
    assert code == 1
    assert not found["target"]["reached"]
    assert "no recipe that was tried reaches 100.000% agreement: the nearest has" in err
    assert "times the plain network's" in err
    assert found["target"]["limited_by"][0]["object"] in ("fc1", "a")
    assert found["out"] is None
    assert not (here / "no.image").exists()


def test_an_accuracy_may_be_said_as_a_loss(spikeport):
    code, found, _ = plain(spikeport, f"{QUANTIZE} --target-accuracy -0.25")
    ideal = found["measured"]["reference_accuracy"]
    assert code == 0
    assert found["target"]["by"] == "accuracy"
    assert found["target"]["wanted"] == pytest.approx(ideal - 0.25)
    assert found["measured"]["accuracy"] >= ideal - 0.25
    assert found["price"]["times"] < 1


def test_a_table_marks_the_best_within_the_budget(spikeport):
    code, found, _ = plain(spikeport, f"{QUANTIZE} --explore --budget-memory 4000")
    table = found["explore"]
    rows, best = table["rows"], table["rows"][table["best"]]
    assert code == 0
    for cheap, dear in pairwise(rows):
        assert cheap["memory_bits"] < dear["memory_bits"]
        assert cheap["agreement"] < dear["agreement"]
    assert best == [row for row in rows if row["memory_bits"] <= 4000][-1]
    assert best["options"] == found["measured"]["options"]
    assert {row["projection"] for row in table["sensitivity"]} == {"fc1", "fc2"}
    assert set(table["sensitivity"][0]["held"]) == {"4", "8+8:sign"}


def interrupted(here, after, **asked):
    """Search until so many recipes were tried."""

    def impatient(what, done, total):
        if what == "recipes" and done == after:
            raise KeyboardInterrupt

    return sp.quantize(
        here / "net.nir", data=here / "data.npz", dialect="nir", dt=1e-4, explore=True,
        progress=impatient, **asked,
    )  # fmt: skip


def test_the_table_is_printed_with_options_to_paste(here, capsys):
    print_quantized(interrupted(here, 30))
    out = capsys.readouterr().out
    assert "30 recipes on 8 samples of the data" in out
    assert "no other takes less memory or cores and agrees more" in out
    assert "One projection held otherwise" in out
    assert re.search(r"\* .*--weights", out)


def test_what_was_found_on_other_data_is_measured_on_this(spikeport):
    found = plain(spikeport, f"{QUANTIZE} --calibration other.npz --target-agreement 0.95")[1]
    assert found["calibrated_on"] == "other data"
    assert found["samples"] == 8


def test_ctrl_c_leaves_the_best_so_far_and_writes_nothing(here):
    found = interrupted(here, 6, out=here / "no.image")
    assert found["interrupted"]
    assert found["explore"]["rows"]
    assert found["explore"]["tried"] == 6
    assert not (here / "no.image").exists()


def test_a_chip_with_one_way_is_measured(spikeport):
    words = QUANTIZE.replace("loihi1", "xylo_audio3")
    said = "--set reset=subtract --set spike=count"
    code, found, _ = plain(spikeport, f"{words} {said}")
    assert code == 0
    assert found["measured"]["options"] == ""


WRONG = {
    "--target-agreement 1.5": "no share of cells can be 1.5",
    "--target-agreement 0": "no share of cells can be 0",
    "--target-accuracy 0": "no target: an accuracy of 0",
    "--target-accuracy 0.9 --data bare.npz": "there is no accuracy without labels",
    "--target-accuracy 0.9 --calibration bare.npz": "the calibration data has no array 'labels'",
    "--target-agreement 0.9 --target-accuracy 0.9": "there are two targets",
    "--target-accuracy 0.99": "is more than the float reference has: ",
    "--target-agreement nan": "a target of agreement is a number, not nan",
    "--target-agreement 0.9 --explore": "a target and the whole table are two searches",
    "--target-agreement 0.9 --budget-memory 6KiB": "a target and a budget exclude each other",
    "--target-accuracy -0.1 --budget-cores 2": "a target and a budget exclude each other",
    "--budget-cores 3": "a budget has no effect on one recipe",
    "--explore --budget-cores 0": "a budget of 0 cores",
    "--explore --budget-memory 10": "no recipe takes at most 10 bits of synaptic memory",
    "--explore --budget-memory much": "it is a whole number of bits above 0, or has a unit of byt",
    "--explore --budget-memory 60000.0": "no size of synaptic memory: '60000.0'",
    "--explore --budget-memory 0": "no size of synaptic memory: '0'",
    "--explore --budget-memory -1": "no size of synaptic memory: '-1'",
    "--explore --budget-memory nan": "no size of synaptic memory: 'nan'",
    "--explore --data silent.npz": "the calibration data holds no spike",
    "--explore --calibration silent.npz": "the calibration data holds no spike",
    "--weights fc3=4": "there are no weights 'fc3'",
    "--weights 9": "the weights cannot have 9 bits",
    "--weights fc1=nine": "no way of holding weights: 'nine'",
    "--weights 8:colour": "'colour'",
    "--scales pair": "unknown scales 'pair'",
    "--weights 4 --explore": "nothing is left to search",
    "--explore --chip xylo_audio3": "xylo_audio3 cannot run 2 populations",
    "--explore --chip xylo_audio3 --set reset=subtract --set spike=count": "takes no recipe",
    "--decays gain --chip xylo_audio3 --set reset=subtract --set spike=count": "--decays and --c",
    "--explore --chip truenorth": "'a' is a LIF, truenorth runs IF, Relay",
    "--explore --chip arm_cortex_a": "there is nothing to quantize for arm_cortex_a",
    "--chip akida_akd1000": "akida_akd1000 cannot be run",
    "--calibration nowhere.npz": "nowhere.npz",
    "--out net.nir": "net.nir exists",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_input_is_one_message_and_ends_with_2(spikeport, here, options):
    before = sorted(here.iterdir())
    code, out, err = spikeport(f"{QUANTIZE} {options}")
    messages = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2, (out, err)
    assert len(messages) == 1
    assert WRONG[options] in (err if "--" in WRONG[options] else messages[0])
    assert "  fix: " in err or "known are" in err
    assert out == ""
    assert sorted(here.iterdir()) == before


def test_the_smallest_budget_in_the_message_is_one_that_works(spikeport):
    _, _, err = spikeport(f"{QUANTIZE} --explore --budget-memory 10")
    advice = re.search(r"fix: (--budget-memory \d+ --budget-cores \d+)", err)[1]
    code, found, _ = plain(spikeport, f"{QUANTIZE} --explore {advice}")
    assert code == 0
    assert found["explore"]["rows"][found["explore"]["best"]]["cores"] == 1


@pytest.mark.parametrize("command", ["compile --out a.image", "export --to lava --out a"])
def test_a_recipe_that_looks_at_outputs_needs_data(spikeport, command):
    code, _, err = spikeport(f"{command} net.nir --chip loihi1 {SAID} --rounding output")
    assert code == 2
    assert "the recipe looks at what the network does on data, and there is none" in err
    assert "--data DATA.npz" in err


def test_a_processor_takes_no_recipe(spikeport):
    code, _, err = spikeport(
        f"deploy net.nir --chip arm_cortex_a --data data.npz {SAID} --weights 4 --out a"
    )
    assert code == 2
    assert "arm_cortex_a takes no recipe" in err


def test_several_chips_use_a_recipe_where_they_take_one(spikeport):
    words = f"deploy net.nir --chip loihi1,arm_cortex_a --data data.npz {SAID}"
    rows = []
    for recipe in ("--out a", "--out b --weights 3"):
        code, out, err = spikeport(f"{words} --backends emulator {recipe} --json")
        assert code == 0, err
        rows.append(json.loads(out)["chips"])
    (before, processor), (held, same) = rows
    memory = "synaptic_memory_bits"
    assert held["resources"][memory] < before["resources"][memory]
    assert same["ran"]
    assert same["resources"] == processor["resources"]
    assert same["notes"] == ["takes no recipe: it ran as it is", *processor["notes"]]
    assert held["notes"] == before["notes"]
    assert "arm_cortex_a takes no recipe: it ran as it is" in err


def test_a_recipe_that_no_chip_takes_is_refused(spikeport):
    chips = "--chip arm_cortex_a,truenorth,akida_akd1000"
    code, _, err = spikeport(f"deploy net.nir {chips} --data data.npz {SAID} --weights 4 --out a")
    assert code == 2
    assert "none of the chips takes a recipe" in err


def test_the_accuracy_of_the_reference_can_be_asked_for_and_no_more(spikeport):
    _, _, err = spikeport(f"{QUANTIZE} --target-accuracy 0.99")
    most = re.search(r"ask for at most (0\.\d+)", err)[1]
    code, found, _ = plain(spikeport, f"{QUANTIZE} --target-accuracy {most}")
    assert float(most) == pytest.approx(found["measured"]["reference_accuracy"], abs=1e-4)
    assert found["target"]["wanted"] == pytest.approx(float(most))
    assert code == (0 if found["target"]["reached"] else 1)


def test_the_default_recipe_says_the_bits_that_it_holds(spikeport):
    default, named = (
        [row["held"] for row in plain(spikeport, f"{QUANTIZE} {words}")[1]["weights"]]
        for words in ("", "--weights fc2=5")
    )
    assert default == ["8", "8"]
    assert named == ["8", "5"]


def test_it_says_how_many_samples_chose_what(spikeport, here):
    x = (np.random.default_rng(1).random((70, 10, 16)) < 0.3).astype(np.uint8)
    np.savez(here / "many.npz", x=x)
    found = [
        plain(spikeport, f"{QUANTIZE} {words}")[1]["calibration_samples"]
        for words in ("--calibration many.npz", "--calibration many.npz --rounding output")
    ]
    assert found == [{"scales": 70, "outputs": None}, {"scales": 70, "outputs": 64}]
    _, out, _ = spikeport(f"{QUANTIZE} --calibration many.npz --rounding output")
    assert "calibrated on other data: ranges of u and v on 70 samples, what looks at" in out


def test_targets_may_be_text_in_python():
    assert read_asked("0.9", None, False, None, None).agreement == 0.9
    assert read_asked(None, None, True, 60_000, "3").cores == 3
    for wrong in ("most", [0.9]):
        with pytest.raises(DataError, match="a target of accuracy is a number"):
            read_asked(None, wrong, False, None, None)


def test_every_command_explains_the_options_of_a_recipe(spikeport):
    for command in ("quantize", "deploy", "compile", "export"):
        _, out, _ = spikeport(f"{command} --help")
        for option in ("--weights", "--scales", "--ranges", "--rounding", "--decays", "--correct"):
            assert option in out


def test_quantize_in_python_needs_data(here):
    with pytest.raises(DataError, match="there is no data to run"):
        sp.quantize(here / "net.nir", dialect="nir", dt=1e-4)


def test_a_recipe_is_kept_by_the_search(here):
    recipe = Recipe({"fc1": parse_wish("4")})
    found = sp.quantize(
        here / "net.nir", data=here / "data.npz", dialect="nir", dt=1e-4, recipe=recipe,
        target_agreement=0.9,
    )  # fmt: skip
    rows = {row["projection"]: row["held"] for row in found["weights"]}
    assert rows["fc1"] == "4"


@pytest.mark.parametrize(("text", "bits"), [("60000", 60_000), ("1KiB", 8192), ("2 kB", 16_000)])
def test_a_size_is_bits_or_has_a_unit_of_bytes(text, bits):
    assert bits_of(text) == bits


def test_everything_that_is_held_must_be_named_to_search(here):
    with pytest.raises(LoweringError, match="nothing is left to search"):
        sp.quantize(
            here / "net.nir", data=here / "data.npz", dialect="nir", dt=1e-4, explore=True,
            recipe=Recipe({"fc1": parse_wish("4"), "fc2": parse_wish("4")}),
        )  # fmt: skip
