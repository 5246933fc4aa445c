"""Training as people do it: a folder with a network and a card, and the same bits after a kill."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("optax")
pytest.importorskip("sklearn")

import spikeport as sp  # noqa: E402
from spikeport.cli import main  # noqa: E402
from spikeport.compiler.errors import Interrupted  # noqa: E402
from spikeport.compiler.network import Affine, Delay, Input, Network, Output  # noqa: E402
from spikeport.compiler.semantics import Semantics  # noqa: E402
from spikeport.models.data.batches import batches  # noqa: E402
from spikeport.models.data.library import open_data  # noqa: E402
from spikeport.models.neurons.lif import Lif  # noqa: E402
from spikeport.models.training.card import as_markdown  # noqa: E402
from spikeport.models.training.loop import Standing  # noqa: E402
from spikeport.models.training.read_recipe import checked_recipe  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RECIPE = {
    "network": {"name": "digits_mlp", "options": {"hidden": 32}},
    "data": "digits",
    "encoder": "bernoulli",
    "steps": 3,
    "epochs": 2,
    "batch": 128,
    "seed": 3,
    "optimiser": {"name": "adamw", "rate": 3e-2, "schedule": "cosine", "weight_decay": 1e-2},
    "loss": {"name": "rate", "smoothing": 0.1},
    "surrogate": {"name": "fast_sigmoid", "slope": 5},
}
NAMES = ["card.json", "card.md", "checkpoint.npz", "log.jsonl", "net.nir"]
#: Whole batches of 128 in the 1257 samples to learn from.
BATCHES = 9
KILLED = """
import json, os, signal, sys
import spikeport as sp

def kill(now):
    if (now.epoch, now.batch) == (0, 3):
        os.kill(os.getpid(), signal.SIGKILL)

recipe, out = sys.argv[1:]
sp.train(json.loads(recipe), out, checkpoint_every=0, progress=kill)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nobody interrupted: its folder, result and what a progress bar was told."""
    out, seen = tmp_path_factory.mktemp("whole") / "out", []
    return out, sp.train(RECIPE, out, progress=seen.append), seen


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return what a checkpoint holds but for the text."""
    with np.load(folder / "checkpoint.npz") as file:
        return {name: file[name] for name in file.files if name != "about"}


def rows(folder: Path) -> list[dict]:
    """Return the log without how long it took."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def encoded_tests(recipe: dict) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the test split as it is encoded after each epoch."""
    split = open_data("digits").split("test")
    return batches(
        split, recipe["batch"], encoder="bernoulli", steps=recipe["steps"], seed=recipe["seed"],
        shuffle=False,
    )  # fmt: skip


def assert_equal_bits(one: Path, other: Path) -> None:
    first, second = arrays(one), arrays(other)
    assert list(first) == list(second)
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert first[name].tobytes() == second[name].tobytes(), name
    assert rows(one) == rows(other)
    assert (one / "net.nir").exists()
    assert (other / "net.nir").exists()


def test_a_training_learns_and_its_folder_holds_all_of_it(whole):
    out, done, _ = whole
    assert sorted(path.name for path in out.iterdir()) == NAMES
    first, last = done.history
    assert last["loss"] < first["loss"]
    assert last["test_accuracy"] > 0.3  # ten classes
    assert done.card["accuracy"]["test"] == last["test_accuracy"]
    assert json.loads((out / "card.json").read_text()) == done.card
    assert [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] == [
        dict(row) for row in done.history
    ]


def test_the_network_comes_out_with_its_semantics_and_scores_what_the_card_says(whole):
    out, done, _ = whole
    net = sp.load(out / "net.nir")
    assert net.semantics == done.network.semantics
    assert net.semantics.dt == 1e-4
    for name, node in net.nodes.items():
        if isinstance(node, Affine):
            assert np.array_equal(node.weight, done.network.nodes[name].weight)
    hits = 0
    for x, labels in encoded_tests(RECIPE):
        spikes = sp.run(net, x).window("output")
        hits += int((spikes.sum(1).argmax(1) == labels).sum())
    assert hits / 540 == done.card["accuracy"]["test"]


def test_the_card_says_what_it_was_trained_on_and_how(whole):
    _, done, _ = whole
    card = done.card
    assert card["data"]["name"] == "digits"
    assert "scikit-learn" in card["data"]["source"]
    assert (card["data"]["train"], card["data"]["test"]) == (1257, 540)
    assert card["seed"] == 3
    assert checked_recipe(card["recipe"]).digest == card["recipe_sha256"]
    assert card["seconds"]["all"] > card["seconds"]["compile"] > 0
    page = as_markdown(card)
    assert f"test {card['accuracy']['test']:.2%}" in page
    assert "rate: 0.03" in page


def test_the_recipe_on_the_page_is_the_recipe(whole, tmp_path):
    out, done, _ = whole
    block = (out / "card.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "again.yaml").write_text(block)
    from spikeport.models.training.read_recipe import read_recipe

    assert read_recipe(tmp_path / "again.yaml").digest == done.card["recipe_sha256"]


def test_progress_is_told_after_each_step(whole):
    _, done, seen = whole
    assert [(now.epoch, now.batch) for now in seen] == [
        (epoch, batch) for epoch in (0, 1) for batch in range(1, BATCHES + 1)
    ]
    assert seen[-1].loss == done.history[-1]["loss"]
    assert seen[-1].accuracy == done.history[-1]["train_accuracy"]


def test_a_training_that_was_killed_and_interrupted_ends_in_the_same_bits(whole, tmp_path):
    out = tmp_path / "out"
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(RECIPE), str(out)],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint.npz", "log.jsonl"]

    def press(now: Standing) -> None:
        if (now.epoch, now.batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"before batch \d of epoch 1") as caught:
        sp.train(RECIPE, out, resume=True, progress=press)
    assert caught.value.exit_code == 130
    assert "--resume" in caught.value.fix
    assert signal.getsignal(signal.SIGINT) is before

    done = sp.train(RECIPE, out, resume=True)
    assert_equal_bits(out, whole[0])
    for name, node in done.network.nodes.items():
        if isinstance(node, Affine):
            assert np.array_equal(node.weight, whole[1].network.nodes[name].weight)


def test_resuming_what_is_done_gives_the_same_network_without_a_step(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "out")
    seen = []
    done = sp.train(RECIPE, tmp_path / "out", resume=True, progress=seen.append)
    assert not seen
    assert_equal_bits(tmp_path / "out", whole[0])
    assert done.card["accuracy"] == whole[1].card["accuracy"]


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """A function that types words in a folder with a recipe: exit code, stdout, stderr."""
    (tmp_path / "r.yaml").write_text(json.dumps(RECIPE | {"epochs": 1}))
    monkeypatch.chdir(tmp_path)

    def run(words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spikeport", *words.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def test_the_command_prints_the_card_and_nothing_else_on_stdout(typed, tmp_path):
    code, out, err = typed("train r.yaml --out done --json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "done" / "card.json").read_text())
    code, out, err = typed("train r.yaml --out done --resume")
    assert (code, err) == (0, "")
    assert out.startswith("digits_mlp on digits: test accuracy")
    code, out, err = typed("train r.yaml --out done")
    assert (code, out) == (2, "")
    assert "--resume goes on with it, --force replaces it" in err


def test_the_shipped_recipes_are_listed(typed):
    code, out, err = typed("train --list --json")
    assert (code, err) == (0, "")
    assert isinstance(json.loads(out), list)


# --- other networks ----------------------------------------------------------------------------


def one_layer(path: Path, *more: tuple[str, object]) -> Network:
    """Write a layer of ten LIF neurons for the 64 pixels, and return it."""
    rng, one = np.random.default_rng(5), np.ones(10)
    nodes = {
        "input": Input((64,)),
        **dict(more),
        "fc": Affine(rng.normal(0, 0.4, (10, 64)), 0 * one),
        "lif": Lif(1e-3 * one, 10 * one, 0 * one, one, 0 * one),
        "output": Output((10,)),
    }
    net = Network(nodes, tuple(pairwise(nodes)), semantics=Semantics(dt=1e-4, dialect="nir"))
    sp.write(net, path)
    return net


def test_everything_that_can_be_learned_is_learned_in_float64(tmp_path):
    net = one_layer(tmp_path / "net.nir", ("wait", Delay(np.full(64, 1.4e-4))))
    (tmp_path / "r.yaml").write_text(
        json.dumps(
            RECIPE
            | {
                "network": "net.nir", "epochs": 1,
                "learn": ["weights", "biases", "tau", "thresholds", "delays"],
                "decode": "mem_max", "precision": "float64",
                "regularise": {"rate": {"weight": 1}, "synops": {"weight": 1}},
            }
        )
    )  # fmt: skip
    done = sp.train(tmp_path / "r.yaml")
    assert set(done.card["parameters"]) == {
        "wait.delay", "fc.weight", "fc.bias", "lif.tau", "lif.v_threshold",
    }  # fmt: skip
    for name, field in (("fc", "weight"), ("fc", "bias"), ("lif", "tau"), ("lif", "v_threshold"),
                        ("wait", "delay")):  # fmt: skip
        before, after = (getattr(each.nodes[name], field) for each in (net, done.network))
        assert (np.asarray(before) != np.asarray(after)).any(), f"{name}.{field}"
    assert not jax.config.jax_enable_x64


def test_integers_from_an_epoch_on_resume_to_the_same_bits_and_are_the_chips(tmp_path):
    kept = []

    def copy(now: Standing) -> None:
        if (now.epoch, now.batch) == (1, 3):
            kept.append(shutil.copytree(tmp_path / "out", tmp_path / "cut"))

    one_layer(tmp_path / "net.nir")
    said = RECIPE | {
        "network": "net.nir",
        "quantize": {"chip": "loihi1", "weights": "4", "from_epoch": 1},
    }
    whole = sp.train(said, tmp_path / "out", beside=tmp_path, checkpoint_every=0, progress=copy)
    for name in ("card.json", "card.md", "net.nir"):
        assert not (kept[0] / name).exists()
    sp.train(said, kept[0], beside=tmp_path, resume=True)
    assert_equal_bits(tmp_path / "out", kept[0])

    net = sp.load(tmp_path / "out" / "net.nir")
    image = sp.compile(net, "loihi1")
    hits = 0
    for x, labels in encoded_tests(said):
        spikes = sp.run(image, x).window("lif")
        hits += int((spikes.sum(1).argmax(1) == labels).sum())
    assert hits / 540 == whole.card["accuracy"]["test"]


def test_the_example_trains_a_network_that_the_chip_keeps(capsys):
    runpy.run_path(str(ROOT / "examples" / "train_a_network.py"), run_name="__main__")
    floats, chip = re.findall(r"test accuracy (\d+\.\d)%", capsys.readouterr().out)
    assert float(floats) > 50
    assert abs(float(floats) - float(chip)) < 5
