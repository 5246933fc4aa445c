"""A pytest marker: deploy a graph in a test, and fail when parity is lost.

    @pytest.mark.parity(graph="net.nir", chip="loihi1", data="test.npz", tolerance="accuracy 0.01")
    def test_net_survives_the_chip(parity_result):
        assert parity_result["resources"]["cores"] <= 2

`tolerance` is `bit` (the emulator equals Lava in every u, v and spike; needs Lava) or
`accuracy NUMBER` (the chip loses at most so much of the reference's accuracy). Other keyword
arguments go to `spikeport.deploy` (dialect, dt, settings, input, decode ...). Relative paths are
taken from the test's folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

RESULT = pytest.StashKey[dict[str, Any]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "parity(graph, chip, data, tolerance, **deploy): deploy a graph; fail when parity is lost",
    )


@pytest.fixture
def parity_result(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The result of the deployment that this test's `parity` marker asked for."""
    node = request.node
    if RESULT not in node.stash:
        pytest.fail("parity_result needs @pytest.mark.parity(...)", pytrace=False)
    result: dict[str, Any] = node.stash[RESULT]
    return result


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Deploy what the marker names, before the test runs."""
    marker = item.get_closest_marker("parity")
    if marker is None:
        return
    from spikeport.compiler.errors import MissingError, SpikeportError

    options = dict(marker.kwargs)
    tolerance = str(options.pop("tolerance", "accuracy 0.01"))
    missing = broken = ""
    try:
        broken = _check(item, tolerance, options)
    except MissingError as error:
        missing = str(error)
    except SpikeportError as error:
        broken = str(error)
    if missing and "lava" not in os.environ.get("SPIKEPORT_REQUIRE", ""):
        pytest.skip(missing)
    if missing or broken:
        pytest.fail(missing or broken, pytrace=False)


def _check(item: pytest.Item, tolerance: str, options: dict[str, Any]) -> str:
    """Deploy, keep the result, and return what is broken, or an empty text."""
    from spikeport.compiler.errors import DataError
    from spikeport.deployment import deploy

    kind, _, number = tolerance.partition(" ")
    if kind not in ("bit", "accuracy") or (kind == "accuracy" and not _is_number(number)):
        raise DataError(
            f"unknown tolerance {tolerance!r}", "it is 'bit' or 'accuracy 0.01'",
            "tolerance='accuracy 0.01'",
        )  # fmt: skip
    folder = Path(item.path).parent
    if not {"graph", "data"} <= options.keys():
        raise DataError(
            "the marker parity names no graph or no data", "it takes keywords",
            '@pytest.mark.parity(graph="net.nir", data="test.npz")',
        )  # fmt: skip
    graph, data = (_beside(folder, options.pop(name)) for name in ("graph", "data"))
    if "baseline" in options:
        options["baseline"] = _beside(folder, options["baseline"])
    chip = options.pop("chip", "loihi1")
    if str(chip).endswith((".yaml", ".yml")):
        chip = _beside(folder, chip)
    wanted = ("emulator", "lava") if kind == "bit" else ("emulator",)
    result = deploy(graph, chip, data, backends_wanted=wanted, **options)
    item.stash[RESULT] = result
    if result["budget"] is not None and not result["budget"]["passed"]:
        return f"budget broken: {[i for i in result['budget']['items'] if not i['ok']]}"
    if kind == "bit":
        parity = result["parity"]["lava_vs_emulator"]
        return f"Lava differs: {parity['first_difference']}" if parity["different"] else ""
    accuracy = result["accuracy"]
    if accuracy["reference"] is None:
        raise DataError("the data has no labels", "accuracy is compared", "add an array labels")
    lost = accuracy["reference"] - accuracy["emulator"]
    if lost <= float(number):
        return ""
    return (
        f"the chip loses {lost:.4f} of accuracy ({accuracy['reference']:.4f} to "
        f"{accuracy['emulator']:.4f}), allowed are {number}; first difference: "
        f"{result['parity']['emulator_vs_reference']['first_difference']}"
    )


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False


def _beside(folder: Path, value: Any) -> Any:
    """Return a path relative to the test's folder; other values as they are."""
    return folder / value if isinstance(value, str | Path) else value
