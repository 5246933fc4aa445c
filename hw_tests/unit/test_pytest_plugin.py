"""The pytest marker, in test files that are run by a pytest of their own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

import spikeport as sp
from spikeport import backends
from spikeport.backends import lava as _lava  # noqa: F401 - see everything_is_imported

pytest_plugins = ["pytester"]

#: The chip rounds this weight to its neighbour, which is as large as the threshold: no spike.
LOSSY = 1.0 + 1e-6
SAFE = 1.5


def write_net(folder: Path, weight: float) -> None:
    """Write two inputs with a neuron each that spikes with its input when weight > 1."""
    one, zero = np.ones(2), np.zeros(2)
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "fc": nir.Affine(np.eye(2) * weight, zero),
        "lif": nir.LIF(0.01 * one, 10 * one, zero, one, v_reset=zero),
        "output": nir.Output({"output": np.array([2])}),
    }
    nir.write(folder / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))


def write_data(folder: Path, **arrays: np.ndarray) -> None:
    """Write four samples, in which input 0 or input 1 spikes in one step of three."""
    x = np.zeros((4, 6, 2), np.uint8)
    labels = np.array([0, 1, 1, 0])
    x[np.arange(4), :, labels] = [1, 0, 0, 1, 0, 0]
    np.savez(folder / "test.npz", **({"x": x, "labels": labels} | arrays))


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported(tmp_path_factory):
    """Deploy once: the inner pytest forgets what it imports, and NumPy loads only once."""
    folder = tmp_path_factory.mktemp("warm")
    write_net(folder, SAFE)
    write_data(folder)
    sp.deploy(folder / "net.nir", data=folder / "test.npz", dialect="nir", dt=1e-3,
              backends_wanted=["emulator"])  # fmt: skip


@pytest.fixture
def folder(pytester):
    pytester.makeini("[pytest]\n")
    write_net(pytester.path, SAFE)
    write_data(pytester.path)
    return pytester.path


def run(pytester: pytest.Pytester, marker: str, body: str = "pass", argument: str = "") -> object:
    """Run one test under `@pytest.mark.parity(MARKER)`."""
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.parity({marker})\ndef test_net({argument}):\n    {body}\n"
    )
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs", "--strict-markers")


SAID = "graph='net.nir', data='test.npz', dialect='nir', dt=1e-3"


def test_the_marker_passes_and_gives_the_result(pytester, folder):
    result = run(
        pytester,
        f"{SAID}, tolerance='accuracy 0'",
        "assert parity_result['accuracy']['emulator'] == 1.0;"
        "assert parity_result['resources']['cores'] == 1;"
        "assert parity_result['parity']['lava_vs_emulator'] is None",
        "parity_result",
    )
    result.assert_outcomes(passed=1)
    assert not list(folder.glob("*/report.*"))


def test_lost_accuracy_fails_with_both_figures_and_the_first_difference(pytester, folder):
    write_net(folder, LOSSY)
    result = run(pytester, f"{SAID}, tolerance='accuracy 0'", "raise SystemExit('was run')")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*the chip loses * of accuracy (1.0000 to *), allowed are 0; first difference: {*'lif'*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*was run*")


def test_lost_accuracy_within_the_tolerance_passes(pytester, folder):
    write_net(folder, LOSSY)
    run(pytester, f"{SAID}, tolerance='accuracy 0.5'").assert_outcomes(passed=1)


@pytest.mark.parametrize("tolerance", ["speed 1", "accuracy", "accuracy -1", "accuracy nan", ""])
def test_an_unknown_tolerance_shows_a_right_one(pytester, folder, tolerance):
    result = run(pytester, f"{SAID}, tolerance={tolerance!r}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*unknown tolerance *: it is 'bit' or 'accuracy 0.01'*", "*fix: tolerance='accuracy 0.01'"]
    )


def test_data_without_labels_has_no_accuracy_to_compare(pytester, folder):
    np.savez(folder / "test.npz", x=np.load(folder / "test.npz")["x"])
    result = run(pytester, SAID)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the data has no labels*"])


@pytest.mark.parametrize("marker", ["'net.nir'", "", "graph='net.nir'", "data='test.npz'"])
def test_a_marker_without_graph_or_data_says_how_it_is_written(pytester, folder, marker):
    result = run(pytester, marker)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*names no graph or no data*", "*graph=?net.nir?, data=*"])


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("graph='gone.nir', data='test.npz'", "*gone.nir: there is no such file*"),
        ("graph='net.nir', data='test.npz'", "*what a time step means is unknown*"),
        (f"{SAID}, chip='loihi9'", "*unknown chip 'loihi9'*"),
    ],
)
def test_wrong_input_fails_with_its_message_and_no_traceback(pytester, folder, marker, words):
    result = run(pytester, marker)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([words, "*fix: *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_fixture_without_the_marker_says_so(pytester):
    pytester.makepyfile("def test_net(parity_result): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*parity_result needs @pytest.mark.parity(...)*"])


def test_paths_are_taken_from_the_folder_of_the_test(pytester, folder):
    (folder / "mine.yaml").write_text((backends.CHIPS / "loihi1.yaml").read_text())
    deep = folder / "deep"
    deep.mkdir()
    for name in ("net.nir", "test.npz", "mine.yaml"):
        (folder / name).rename(deep / name)
    (deep / "test_deep.py").write_text(
        f"import pytest\n@pytest.mark.parity({SAID}, chip='mine.yaml')\ndef test_net(): pass\n"
    )
    pytester.runpytest_inprocess("deep/test_deep.py").assert_outcomes(passed=1)


def test_a_machine_without_lava_skips_bit_unless_lava_is_required(pytester, folder, monkeypatch):
    monkeypatch.setenv("SPIKEPORT_LAVA_PYTHON", str(folder / "no-python"))
    monkeypatch.delenv("SPIKEPORT_REQUIRE", raising=False)
    run(pytester, f"{SAID}, tolerance='bit'").assert_outcomes(skipped=1)
    monkeypatch.setenv("SPIKEPORT_REQUIRE", "lava")
    run(pytester, f"{SAID}, tolerance='bit'").assert_outcomes(errors=1)


def test_bit_compares_with_lava(pytester, folder, lava):
    result = run(
        pytester,
        f"{SAID}, tolerance='bit'",
        "parity = parity_result['parity']['lava_vs_emulator'];"
        "assert parity['different'] == 0;"
        "assert parity['cells'] == 3 * 2 * 7 * 4",
        "parity_result",
    )
    result.assert_outcomes(passed=1)
