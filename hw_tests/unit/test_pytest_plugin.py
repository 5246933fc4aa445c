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

#: Eight bits that reach to 1000 have no 1.5 between 0 and their first step.
LOSSY, SAFE = 1000.0, 0.0


def write_net(folder: Path, large: float) -> None:
    """Write two neurons that spike with their input; a third input, never used, has one weight."""
    one, zero = np.ones(2), np.zeros(2)
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "fc": nir.Affine(np.array([[1.5, 0, large], [0, 1.5, large]]), zero),
        "lif": nir.LIF(0.01 * one, 10 * one, zero, one, v_reset=zero),
        "output": nir.Output({"output": np.array([2])}),
    }
    nir.write(folder / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))


def write_data(folder: Path, **arrays: np.ndarray) -> None:
    """Write four samples, in which input 0 or input 1 spikes in one step of three."""
    x = np.zeros((4, 6, 3), np.uint8)
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


def run(pytester: pytest.Pytester, *markers: str, body: str = "pass") -> pytest.RunResult:
    """Run one test under each `@pytest.mark.parity(MARKER)`."""
    pytester.makepyfile(
        "import pytest\n"
        + "".join(
            f"@pytest.mark.parity({marker})\ndef test_{k}(parity_result): {body}\n"
            for k, marker in enumerate(markers)
        )
    )
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs", "--strict-markers")


SAID = "graph='net.nir', data='test.npz', dialect='nir', dt=1e-3"


def test_the_marker_passes_and_gives_the_result(pytester, folder):
    result = run(
        pytester,
        f"{SAID}, tolerance='accuracy 0'",
        body="assert parity_result['accuracy']['emulator'] == 1.0;"
        "assert parity_result['resources']['cores'] == 1;"
        "assert parity_result['parity']['lava_vs_emulator'] is None",
    )
    result.assert_outcomes(passed=1)
    assert not list(folder.glob("*/report.*"))


def test_lost_accuracy_fails_with_both_figures_and_the_first_difference(pytester, folder):
    write_net(folder, LOSSY)
    result = run(pytester, f"{SAID}, tolerance='accuracy 0'", body="raise SystemExit('was run')")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*the chip loses * of accuracy (1.0000 to *), allowed are 0; first difference: {*'lif'*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*was run*")


def test_lost_accuracy_within_the_tolerance_passes(pytester, folder):
    write_net(folder, LOSSY)
    run(pytester, f"{SAID}, tolerance='accuracy 0.5'").assert_outcomes(passed=1)


def test_an_unknown_tolerance_shows_a_right_one(pytester, folder):
    wrong = ["speed 1", "accuracy", "accuracy -1", "accuracy nan", ""]
    result = run(pytester, *(f"{SAID}, tolerance={text!r}" for text in wrong))
    result.assert_outcomes(errors=5)
    for text in wrong:
        result.stdout.fnmatch_lines(
            [
                f"unknown tolerance {text!r}: it is 'bit' or 'accuracy 0.01'",
                "  fix: tolerance='accuracy 0.01'",
            ]
        )


def test_data_without_labels_has_no_accuracy_to_compare(pytester, folder):
    np.savez(folder / "test.npz", x=np.load(folder / "test.npz")["x"])
    result = run(pytester, SAID)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the data has no labels*"])


def test_a_marker_without_graph_or_data_says_how_it_is_written(pytester, folder):
    result = run(pytester, "'net.nir'", "", "graph='net.nir'", "data='test.npz'")
    result.assert_outcomes(errors=4)
    text = result.stdout.str()
    assert text.count("the marker parity names no graph or no data: it takes keywords\n") == 4
    assert text.count('fix: @pytest.mark.parity(graph="net.nir", data="test.npz")\n') == 4


def test_wrong_input_fails_with_its_message_and_no_traceback(pytester, folder):
    result = run(
        pytester,
        "graph='gone.nir', data='test.npz'",
        "graph='net.nir', data='test.npz'",
        f"{SAID}, chip='loihi9'",
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "gone.nir: there is no such file",
            "  fix: *",
            "what a time step means is unknown*",
            "  fix: *",
            "unknown chip 'loihi9'*",
            "  fix: *",
        ]
    )
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
        body="parity = parity_result['parity']['lava_vs_emulator'];"
        "assert parity['different'] == 0;"
        "assert parity['cells'] == 3 * 2 * 7 * 4",
    )
    result.assert_outcomes(passed=1)
