"""What goes wrong in a training is told: what, why, and what to do."""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("optax")

import spikeport as sp
from spikeport.cli import main
from spikeport.compiler.errors import (
    CheckpointError,
    DataError,
    OutputError,
    RecipeError,
    TrainingError,
)
from spikeport.compiler.network import Affine, Input, Network, Output
from spikeport.compiler.semantics import Semantics
from spikeport.models.data.dataset import Dataset, still
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif
from spikeport.models.training.checkpoint import (
    Checkpoint,
    network_digest,
    read_checkpoint,
    write_checkpoint,
)
from spikeport.models.training.prepare import prepared
from spikeport.models.training.read_recipe import checked_recipe
from spikeport.models.training.watchdog import check_finite, epoch_warnings

RECIPE = {
    "network": "net.nir",
    "data": {"name": "order", "options": {"samples": 64}},
    "epochs": 3,
    "batch": 16,
}


def lif(size: int, threshold: float = 1.0) -> Lif:
    one = np.ones(size)
    return Lif(1e-3 * one, 10 * one, 0 * one, threshold * one, 0 * one)


def layers(pre: int, *cells: object, weight: float = 0.5, dt: float | None = 1e-4) -> Network:
    """Return a chain of layers that are connected all to all."""
    rng, nodes = np.random.default_rng(1), {"input": Input((pre,))}
    for number, cell in enumerate(cells, 1):
        post = cell.tau.size
        nodes[f"fc{number}"] = Affine(weight * rng.normal(size=(post, pre)), np.zeros(post))
        nodes[f"layer{number}"] = cell
        pre = post
    nodes["output"] = Output((pre,))
    said = Semantics(dt=dt, dialect="nir")
    return Network(nodes, tuple(pairwise(nodes)), semantics=said, name="net")


def pictures(classes: int = 3) -> Dataset:
    """Return 40 random pictures of 5 values, of which the first says the class."""
    rng = np.random.default_rng(2)
    labels = np.arange(40) % classes
    values = rng.random((40, 5))
    return Dataset("pictures", {"train": still(values, labels), "test": still(values, labels)},
                   classes, "made here")  # fmt: skip


STILL = {
    "network": "net", "data": "pictures", "encoder": "bernoulli", "steps": 5, "epochs": 4,
    "batch": 10,
}  # fmt: skip


def start(net: Network, **more: object):
    """Train a network on the pictures."""
    from spikeport.models.training.loop import run_training

    given = prepared(checked_recipe(STILL | more), net, pictures())
    said = []
    return run_training(given, None, lambda held: None, 1e9, lambda now: None, said.append), said


# --- before anything is computed -----------------------------------------------------------------


def test_a_network_without_dt_is_refused_with_how_to_say_it():
    with pytest.raises(RecipeError, match="does not say what a step is") as caught:
        prepared(checked_recipe(STILL), layers(5, lif(3), dt=None), pictures())
    assert "dt=1e-4" in caught.value.fix


def test_a_loss_of_spikes_needs_an_output_that_spikes():
    one = np.ones(3)
    net = layers(5, Li(1e-3 * one, one, 0 * one))
    with pytest.raises(DataError, match="decoder 'count' reads spikes"):
        prepared(checked_recipe(STILL), net, pictures())
    with pytest.raises(RecipeError, match="the loss 'rate' reads spikes") as caught:
        prepared(checked_recipe(STILL | {"decode": "mem_max"}), net, pictures())
    assert caught.value.fix == "loss: membrane"
    prepared(checked_recipe(STILL | {"decode": "mem_max", "loss": "membrane"}), net, pictures())


def test_an_output_needs_a_neuron_for_each_class():
    with pytest.raises(RecipeError, match=r"'layer1' has 2 neurons: .* has 3 classes"):
        prepared(checked_recipe(STILL), layers(5, lif(2)), pictures())


def test_samples_are_as_wide_as_the_input():
    with pytest.raises(RecipeError, match="have 5 values a step: the input 'input' of net has 7"):
        prepared(checked_recipe(STILL), layers(7, lif(3)), pictures())


def test_a_data_set_without_a_test_split_is_refused():
    data = pictures()
    half = Dataset("half", {"train": data.split("train")}, 3, "made here")
    with pytest.raises(DataError, match="half has no split 'test'"):
        prepared(checked_recipe(STILL), layers(5, lif(3)), half)


def test_an_unknown_option_of_an_encoder_is_refused_before_the_first_batch():
    said = {"encoder": {"name": "bernoulli", "options": {"gian": 2.0}}}
    with pytest.raises(DataError, match="gian") as caught:
        prepared(checked_recipe(STILL | said), layers(5, lif(3)), pictures())
    assert "gain" in str(caught.value)


# --- while it learns -----------------------------------------------------------------------------


def test_a_parameter_that_is_no_number_stops_with_the_step_and_its_name():
    said = {"optimiser": {"name": "sgd", "rate": 1e9, "weight_decay": 1e9}}
    with pytest.raises(TrainingError, match=r"in step \d of epoch 0, .*'fc1\.weight'"):
        start(layers(5, lif(3)), **said)


def test_a_loss_that_overflows_stops_with_the_step():
    said = {"loss": {"name": "membrane", "scale": 1e9}, "decode": "mem_max"}
    with pytest.raises(TrainingError, match=r"in step 0 of epoch 0, whose loss is inf"):
        start(layers(5, lif(3), weight=1e30), **said)


def test_an_output_that_stays_silent_is_an_error_that_names_what_is_silent():
    said = {"optimiser": {"name": "sgd", "rate": 1e-9}}
    with pytest.raises(TrainingError, match="the output 'layer2' stays silent") as caught:
        start(layers(5, lif(4, 1e3), lif(3, 1e3)), **said)
    assert "epochs 0 and 1" in str(caught.value)
    assert "layer1, layer2" in str(caught.value)
    assert "v_threshold" in caught.value.fix


def test_a_saturated_layer_is_named_once_and_not_an_error():
    net = layers(5, lif(4, -1.0), lif(3))
    trained, said = start(net, epochs=2, optimiser={"name": "sgd", "rate": 1e-9})
    assert [each.split(" (")[0].split(":")[0] for each in said] == ["layer1 is saturated"]
    assert trained.last.warnings == tuple(said)
    assert all(row["warnings"] for row in trained.last.history)


def row(epoch: int, loss: float, **activity: float) -> dict:
    return {"epoch": epoch, "loss": loss, "activity": activity}


def test_a_loss_that_grows_is_named_with_the_epochs():
    rows = [row(0, 1.0, out=0.1), row(1, 0.4, out=0.1), row(2, 1.5, out=0.1)]
    (said,) = epoch_warnings(rows, rows[-1]["activity"], "out")
    assert said.startswith("the loss diverges: 1.5 in epoch 2, 0.4 in epoch 1")
    assert epoch_warnings(rows[:2], rows[1]["activity"], "out") == []


def test_a_silent_output_may_wake_up_in_the_second_epoch():
    rows = [row(0, 1.0, out=0.0), row(1, 1.0, out=0.1)]
    (said,) = epoch_warnings(rows[:1], rows[0]["activity"], "out")
    assert said.startswith("out is silent: no spike in epoch 0")
    assert epoch_warnings(rows, rows[1]["activity"], "out") == []


def test_the_first_parameter_that_is_no_number_is_named():
    check_finite(0, 0, 1.0, [], [])
    with pytest.raises(
        TrainingError, match=r"in step 7 of epoch 2, whose loss is nan: the gradient of .a\.b."
    ):
        check_finite(2, 7, float("nan"), ["a.b", "c.d"], ["a.b"])
    with pytest.raises(TrainingError, match=r"'c\.d' is not finite after it"):
        check_finite(2, 7, 1.0, [], ["c.d"])
    with pytest.raises(TrainingError, match="the loss itself overflowed"):
        check_finite(2, 7, float("inf"), [], [])


# --- checkpoints and folders ---------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    """A checkpoint on disk, with its recipe and the digest of its network."""
    recipe, path = checked_recipe(STILL), tmp_path / "checkpoint.npz"
    held = Checkpoint(1, 2, {"fc.weight": np.ones((2, 2), np.float32)}, (np.zeros(3),))
    write_checkpoint(path, held, recipe, "abc")
    return path, recipe


def test_a_checkpoint_comes_back_as_it_was(kept):
    path, recipe = kept
    held = read_checkpoint(path, recipe, "abc")
    assert (held.epoch, held.batch) == (1, 2)
    assert held.moved["fc.weight"].dtype == np.float32
    assert held.leaves[0].tolist() == [0, 0, 0]


def test_nothing_in_a_checkpoint_is_pickled(kept):
    with np.load(kept[0], allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"optimiser": {"rate": 0.5}}, r"optimiser\.rate was 0\.001 and is 0\.5"),
        ({"loss": "ttfs"}, r"loss\.name was 'rate' and is 'ttfs'"),
        ({"quantize": {"chip": "loihi1"}}, "quantize was None"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused_with_the_field(kept, more, said):
    with pytest.raises(CheckpointError, match=said) as caught:
        read_checkpoint(kept[0], checked_recipe(STILL | more), "abc")
    assert "--force" in caught.value.fix


def test_a_checkpoint_of_another_network_is_refused(kept):
    path, recipe = kept
    with pytest.raises(CheckpointError, match="another network"):
        read_checkpoint(path, recipe, "abd")
    one, other = (layers(5, lif(3), weight=each) for each in (1.0, 1.5))
    digests = {network_digest(net, {"w": net.nodes["fc1"].weight}) for net in (one, other)}
    assert len(digests) == 2


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "missing", "pickle", "fields"])
def test_what_is_no_checkpoint_is_refused(kept, damage):
    path, recipe = kept
    raw = path.read_bytes()
    path.unlink()
    if damage == "pickle":
        np.savez(path, about=np.array([{}], object))
    elif damage == "fields":
        np.savez(path, about=np.array("{}"))
    elif damage != "missing":
        path.write_bytes({"text": b"hello", "cut": raw[: len(raw) // 2], "empty": b""}[damage])
    with pytest.raises(CheckpointError, match=r"checkpoint\.npz is not a checkpoint"):
        read_checkpoint(path, recipe, "abc")


def test_a_checkpoint_with_arrays_of_another_network_is_refused():
    from spikeport.models.training.loop import run_training

    given = prepared(checked_recipe(STILL), layers(5, lif(3)), pictures())
    held = Checkpoint(0, 1, {"fc1.weight": np.ones((2, 2), np.float32)}, ())
    with pytest.raises(CheckpointError, match="does not fit"):
        run_training(given, held, lambda held: None, 1e9, lambda now: None, lambda text: None)


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """A function that writes a recipe, types words, and returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    sp.write(layers(24, lif(6)), tmp_path / "net.nir")

    def run(words: str, **more: object) -> tuple[int, str, str]:
        Path("r.yaml").write_text(json.dumps(RECIPE | more))
        monkeypatch.setattr(sys, "argv", ["spikeport", *words.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def test_a_typo_in_a_recipe_ends_with_2_and_following_the_advice_mends_it(typed):
    code, out, err = typed("train r.yaml --out o", epoch=1)
    assert (code, out) == (2, "")
    assert "r.yaml: unknown key 'epoch'" in err
    better = re.search(r"write '(\w+)'", err).group(1)
    assert checked_recipe(RECIPE | {better: 1}).epochs == 1
    assert not Path("o").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"network": "digits_mpl"}, "network: digits_mlp"),
        ({"network": "gone.nir"}, "gone.nir"),
        ({"data": "ordr"}, "order"),
        ({"learn": ["delays"]}, "the network has no delays"),
        ({"batch": 1000}, "batch"),
        ({"encoder": "bernoulli"}, "encoder"),
    ],
)
def test_wrong_input_ends_with_2_before_anything_is_made(typed, more, said):
    code, out, err = typed("train r.yaml --out o", **more)
    assert (code, out) == (2, "")
    assert said in err
    assert not Path("o").exists()


def test_without_jax_the_exit_code_is_3_and_the_extra_is_named(typed, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    code, out, err = typed("train r.yaml --out o")
    assert (code, out) == (3, "")
    assert 'pip install "spikeport[train]"' in err


def test_a_folder_with_something_else_is_left_alone_even_with_force(typed):
    Path("o").mkdir()
    Path("o/thesis.tex").write_text("mine")
    for words in ("", " --force"):
        code, _, err = typed(f"train r.yaml --out o{words}")
        assert code == 2
        assert "is in use" in err
    assert Path("o/thesis.tex").read_text() == "mine"


def test_a_folder_with_a_training_asks_for_resume_or_force(typed):
    Path("o").mkdir()
    Path("o/log.jsonl").write_text("")
    code, _, err = typed("train r.yaml --out o")
    assert code == 2
    assert "--resume goes on with it, --force replaces it" in err
    code, _, err = typed("train r.yaml --out o --resume")
    assert code == 2
    assert "checkpoint.npz is not a checkpoint: it is not there" in err


def test_resume_and_force_exclude_each_other(tmp_path):
    with pytest.raises(OutputError, match="exclude each other"):
        sp.train(STILL, tmp_path / "o", resume=True, force=True)


def test_the_command_says_what_it_needs(typed):
    assert "RECIPE.yaml is missing" in typed("train --out o")[2]
    assert "--out is missing" in typed("train r.yaml")[2]
