"""The face in Python, as the README shows it, and the examples, as people run them."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.errors import LoweringError, OutputError, SpikeportError
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.demo import run as demo
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "spikeport" / "demo"


@pytest.fixture(scope="module")
def x():
    return np.load(DEMO / "digits.npz")["x"][:12]


@pytest.fixture(scope="module")
def net():
    return sp.load(DEMO / "digits.nir", dialect="nir", dt=1e-4)


@pytest.fixture(scope="module")
def result(x):
    """What the README's last line returns, on a few samples and without Lava."""
    labels = np.load(DEMO / "digits.npz")["labels"][:12]
    return sp.deploy(
        DEMO / "digits.nir", data={"x": x, "labels": labels}, backends_wanted=["emulator"]
    )


def ending_in_li() -> Network:
    """Two inputs, two LIF neurons, two leaky readouts."""
    one, zero = np.ones(2), np.zeros(2)
    nodes = {
        "input": Input((2,)),
        "fc": Affine(2 * np.eye(2), zero),
        "lif": Lif(0.01 * one, 10 * one, zero, one, zero),
        "readout": Affine(np.eye(2), zero),
        "li": Li(0.05 * one, one, zero),
        "output": Output((2,)),
    }
    said = sp.Semantics(dt=1e-3, dialect="nir")
    return Network(nodes, tuple(pairwise(nodes)), name="voltages").with_semantics(said)


def in_turns() -> dict[str, np.ndarray]:
    """Four samples: input 0 early and input 1 late, or the other way round."""
    x = np.zeros((4, 12, 2), np.uint8)
    x[[0, 2], :6, 0] = x[[0, 2], 6:, 1] = 1
    x[[1, 3], :6, 1] = x[[1, 3], 6:, 0] = 1
    return {"x": x, "labels": np.array([1, 0, 1, 0])}


def test_every_public_name_is_there():
    for name in sp.__all__:
        assert getattr(sp, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = sp.nonsense


def test_importing_is_light_and_submodules_do_not_hide_functions():
    code = """
import sys
import spikeport as sp
heavy = [name for name in ("numpy", "scipy", "pydantic", "h5py", "nir", "rich") if name in sys.modules]
assert not heavy, heavy
import spikeport.deployment, spikeport.verbs, spikeport.pages.report, spikeport.compiler.errors
import spikeport.compiler.measure.parity, spikeport.cli.app
assert all(callable(getattr(sp, name)) for name in sp.__all__ if name != "errors")
assert sp.errors.SpikeportError
assert type(sp.deploy) is type(sp.report) is type(sp.compare) is type(lambda: None)
"""  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_example_from_load_to_report(net, x, tmp_path):
    image = sp.compile(net, chip="loihi1", calibration=x)
    chip, ideal = sp.run(image, x), sp.run(net, x)
    parity = sp.compare(ideal, chip)
    cost = sp.cost(image, chip, column="davies2018")
    saved = sp.report(parity, cost).save(tmp_path / "out")

    assert (parity.expected, parity.got) == ("reference", "emulator")
    assert 0 < parity.different < 0.1 * parity.cells
    assert {name: each.lag for name, each in parity.populations.items()} == {
        "hidden": 1, "output": 2,
    }  # fmt: skip
    assert cost.interval[0] < cost.joules_per_sample < cost.interval[1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip
    report = json.loads(Path(saved["report_json"]).read_text())
    assert report["parity"]["emulator_vs_reference"]["different"] == parity.different
    assert report["energy"]["joules_per_sample"] == cost.joules_per_sample
    with pytest.raises(OutputError, match="is in use"):
        sp.report(parity, cost).save(tmp_path / "out")


def test_deploy_completes_the_part_of_a_report_but_overwrites_no_whole_one(net, x, tmp_path):
    parity = sp.compare(sp.run(net, x), sp.run(sp.compile(net, calibration=x), x))
    out = tmp_path / "out"
    sp.report(parity).save(out)
    sp.deploy(net, data=x, out=out, backends_wanted=["emulator"])
    assert json.loads((out / "report.json").read_text())["complete"] is True
    with pytest.raises(OutputError, match="is in use"):
        sp.deploy(net, data=x, out=out, backends_wanted=["emulator"])


def test_the_verbs_agree_with_deploy(net, x, result):
    image = sp.compile(net, calibration=x)
    chip = sp.run(image, x)
    parity = sp.compare(sp.run(net, x), chip)
    whole = result["parity"]["emulator_vs_reference"]
    assert (whole["cells"], whole["different"]) == (parity.cells, parity.different)
    assert result["energy"]["joules_per_sample"] == sp.cost(image, chip).joules_per_sample
    assert result["resources"] == image.resources
    assert sp.check(net)["resources"]["cores"] == result["resources"]["cores"]


def test_deploy_returns_what_deploy_json_promises(result):
    promised = {
        "semantics", "latency_steps", "samples", "accuracy", "parity", "resources", "energy",
        "files",
    }  # fmt: skip
    assert promised <= result.keys()
    assert {"reference", "emulator", "lava"} <= result["accuracy"].keys()
    assert {"emulator_vs_reference", "lava_vs_emulator"} <= result["parity"].keys()
    against = result["parity"]["emulator_vs_reference"]
    assert {"cells", "different", "first_difference"} <= against.keys()
    assert {"cores", "synaptic_memory_bits"} <= result["resources"].keys()
    assert {"column", "joules_per_sample", "interval", "by_kind"} <= result["energy"].keys()
    assert result["samples"] == 12
    assert result["latency_steps"] == 2
    assert result["accuracy"]["lava"] is result["parity"]["lava_vs_emulator"] is None
    assert result["backends"]["lava"] == {"ran": False, "why": "not asked for (--backends)"}
    assert result["semantics"]["dt"] == 1e-4


def test_the_result_is_plain_and_strict_json(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_without_labels_accuracy_is_null(net, x):
    result = sp.deploy(net, data=x, backends_wanted=["emulator"])
    assert result["accuracy"]["reference"] is result["accuracy"]["emulator"] is None
    assert result["files"] == {}


def test_a_network_on_its_way_keeps_its_state(net, x):
    image = sp.compile(net, calibration=x)
    whole = sp.run(image, x, steps=25)
    first = sp.run(image, x[:, :10], steps=10)
    rest = sp.run(image, x[:, 10:], steps=15, state=first.state)
    for name in image.program.neurons:
        halves = [each.spikes[name].dense() for each in (first, rest)]
        assert np.array_equal(np.concatenate(halves, axis=1), whole.spikes[name].dense())


def test_a_stream_is_one_run_without_a_reset_and_counts_per_sample(net, x):
    data = {"x": x, "labels": np.arange(len(x)) % 10}
    reset = sp.deploy(net, data=data, backends_wanted=["emulator"])
    stream = sp.deploy(net, data=data, backends_wanted=["emulator"], stream=True)
    assert stream["stream"] is True
    assert (stream["samples"], stream["steps"]) == (12, 25)
    assert 0 <= stream["accuracy"]["emulator"] <= 1
    spent = reset["energy"]["joules_per_sample"] - 5.94e-6
    assert stream["energy"]["joules_per_sample"] == pytest.approx(spent, rel=0.1)
    assert "state_reset" in reset["energy"]["by_kind"]
    assert "state_reset" not in stream["energy"]["by_kind"]
    assert any("streamed" in note for note in stream["notes"])
    assert any("one reset of the chip is charged" in note for note in reset["notes"])


@pytest.mark.parametrize(("decode", "right"), [("mem_last", 1.0), ("mem_mean", 0.0)])
def test_a_network_that_ends_in_voltages_is_decoded_from_them(decode, right):
    """The input that came last has the higher v at the end, the first one the higher mean."""
    result = sp.deploy(ending_in_li(), data=in_turns(), decode=decode, backends_wanted=["emulator"])
    assert result["accuracy"]["reference"] == result["accuracy"]["emulator"] == right
    assert [row["population"] for row in result["rasters"]] == ["lif"]


def test_counting_spikes_of_a_readout_says_what_to_do_and_that_works():
    with pytest.raises(SpikeportError, match="the output 'li' does not spike") as caught:
        sp.deploy(ending_in_li(), data=in_turns(), backends_wanted=["emulator"])
    decode = re.fullmatch("--decode (.*)", caught.value.fix).group(1)
    sp.deploy(ending_in_li(), data=in_turns(), decode=decode, backends_wanted=["emulator"])


def test_first_differences_of_a_network_with_a_readout_are_explained():
    net = ending_in_li()
    nodes = dict(net.nodes)
    nodes["fc"] = Affine(np.array([[0.31, 0.0371], [0.0133, 0.29]]), np.zeros(2))
    weak = Network(nodes, net.edges, name="weak").with_semantics(net.semantics)
    x = np.random.default_rng(0).integers(0, 2, (20, 400, 2)).astype(np.uint8)
    against = sp.deploy(weak, data=x, backends_wanted=["emulator"])["parity"][
        "emulator_vs_reference"
    ]
    assert against["different"] > 0
    assert against["explanation"]["causes"]


def test_integers_and_floats_are_not_run_on_each_others_backend(net, x):
    with pytest.raises(LoweringError, match="the reference runs floats"):
        sp.run(sp.compile(net, calibration=x), x, backend="reference")
    with pytest.raises(LoweringError, match="emulator runs integers") as caught:
        sp.run(net, x, backend="emulator")
    assert 'sp.compile(net, chip="loihi1", calibration=x)' in caught.value.fix


@pytest.mark.parametrize("bad", [0.5, math.nan, -1, 2])
def test_an_image_refuses_what_no_axon_can_carry(net, x, bad):
    image, wrong = sp.compile(net, calibration=x), x.astype(float)
    wrong[1, 2, 3] = bad
    with pytest.raises(SpikeportError, match="the input 'input' in the data holds"):
        sp.run(image, wrong)


def test_a_wrong_backend_a_wrong_probe_and_no_data_are_refused(net, x):
    with pytest.raises(SpikeportError, match="unknown backend 'loihi'"):
        sp.run(net, x, backend="loihi")
    with pytest.raises(SpikeportError, match="unknown backend 'loihi'"):
        sp.deploy(net, data=x, backends_wanted=["emulator", "loihi"])
    with pytest.raises(SpikeportError, match=r"nothing to probe at 'hidden\.w'"):
        sp.run(net, x, probe=["hidden.w"])
    with pytest.raises(SpikeportError, match="there is no data to run"):
        sp.deploy(net)


# --- where a report goes -----------------------------------------------------------------------


def saved(net, x, out: Path) -> list[str]:
    files = sp.deploy(net, data=x, out=out, backends_wanted=["emulator"])["files"]
    assert all(Path(path).is_file() for path in files.values())
    return sorted(path.name for path in out.iterdir())


def test_a_report_goes_into_a_new_an_empty_a_linked_and_the_present_folder(
    net, x, tmp_path, monkeypatch
):
    names = ["report.html", "report.json", "report.md"]
    empty, here = tmp_path / "empty", tmp_path / "here"
    empty.mkdir()
    here.mkdir()
    (tmp_path / "link").symlink_to(empty)
    assert saved(net, x, tmp_path / "new" / "deep") == names
    assert saved(net, x, tmp_path / "link") == names
    monkeypatch.chdir(here)
    assert saved(net, x, Path()) == names
    assert sorted(path.name for path in here.iterdir()) == names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "here", "link", "new"]


def test_a_report_goes_nowhere_else(net, x, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    used = tmp_path / "used"
    used.mkdir()
    (used / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for out, words in (
        ("file", "is a file"), ("file/below", "is a file"), ("dangling", "is a file"),
        ("used", "is in use"), ("n" * 300, "File name too long"),
    ):  # fmt: skip
        with pytest.raises(OutputError, match=words):
            sp.deploy(net, data=x, out=tmp_path / out, backends_wanted=["emulator"])
    assert sorted(tmp_path.rglob("*")) == before


# --- examples ----------------------------------------------------------------------------------


def example(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_example_prints_parity_and_energy():
    first, second = example("examples/deploy_digits.py").splitlines()
    assert re.fullmatch(r"\d+ of 275000 cells differ; first: spikes of \w+\[\d+\] in .*", first)
    assert re.fullmatch(r"\d\.\d\de-06 J per sample on 1 core", second)


def test_the_streaming_example_is_equal_in_every_population():
    lines = example("examples/stream.py").splitlines()
    assert {"hidden: equal", "output: equal"} <= set(lines)
    assert all(line.endswith(": equal") for line in lines)


def test_the_sparse_example_runs_in_few_bytes_and_is_refused_as_a_nir_file():
    first, second, third = example("examples/sparse_network.py").splitlines()
    told = re.fullmatch(r"(\d+) synapses in (\d\.\d\d) bytes each, (\d+) spikes", first)
    assert int(told[1]) > 1_100_000
    assert float(told[2]) < 6
    assert int(told[3]) > 20_000
    assert second.startswith("network: NIR has dense weights only")
    assert "--max-memory 7GiB" in third


def test_the_ci_example_passes():
    assert "1 passed" in example(
        "-m", "pytest", "-p", "no:cacheprovider", "examples/test_parity_in_ci.py"
    )


def test_the_training_example_trains_a_network_that_deploys(tmp_path):
    pytest.importorskip("sklearn")
    said = example("examples/train_digits.py", "--epochs", "1", "--out", str(tmp_path))
    told = float(re.search(r"accuracy on 540 held-out samples (\d+\.\d+)%", said).group(1))
    assert told > 30
    result = sp.deploy(
        tmp_path / "digits.nir", data=tmp_path / "digits.npz", backends_wanted=["emulator"]
    )
    assert result["accuracy"]["reference"] == pytest.approx(told / 100, abs=5e-5)


def test_check_needs_no_dt_even_where_time_constants_lie_far_apart():
    one = np.ones(2)
    wide = CubaLif(2.0 * one, 1e-3 * one, one, 0 * one, one, 0 * one, one)
    nodes = {"in": Input((2,)), "w": Linear(np.eye(2)), "n": wide, "out": Output((2,))}
    net = Network(nodes, (("in", "w"), ("w", "n"), ("n", "out")))
    assert sp.check(net)["fits"] is True


def test_the_demo_replaces_its_own_report_and_no_other(tmp_path, net, x, monkeypatch):
    monkeypatch.setattr(demo, "deploy", lambda *_, **given: {"command": given["command"]})
    demo.run_demo(tmp_path / "own", print, print)
    demo.run_demo(tmp_path / "own", print, print)
    sp.deploy(net, data=x, out=tmp_path / "other", backends_wanted=["emulator"])
    with pytest.raises(OutputError, match="is in use"):
        demo.run_demo(tmp_path / "other", print, print)
