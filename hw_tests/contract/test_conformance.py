"""The committed support matrix is what the conformance suite finds: floats, and the page."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hw_tests.contract.conformance import suite
from hw_tests.contract.conformance.matrix import (
    AROUND,
    BACKENDS,
    as_json,
    as_page,
    matrix_of,
)
from hw_tests.generate.graphs import PRIMITIVES
from spikeport.compiler.semantics import CHOICES

DOCS = Path(__file__).resolve().parents[2] / "docs"
CASES = suite.all_cases()


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads((DOCS / "support.json").read_text())


def test_no_two_cases_have_one_name():
    assert len({case.name for case in CASES}) == len(CASES)


def test_there_is_a_case_for_every_reset_spike_and_order_of_a_step():
    said = {text.removeprefix("x.") for case in CASES for text in case.settings}
    plain = {
        "reset=to_value",
        "reset_when=same_step",
        "spike=binary",
        "threshold=greater",
        "integration=euler",
        "input_gain=per_equation",
        "current_order=decay_add_v",
    }
    fields = {text.partition("=")[0] for text in plain}
    wanted = {f"{field}={value}" for field in fields for value in CHOICES[field]}
    assert wanted - plain <= said
    assert {"refractory", "v_min", "initial_v"} <= {text.partition("=")[0] for text in said}


def test_every_primitive_runs_on_every_backend(committed: dict[str, Any]):
    assert list(committed) == [*PRIMITIVES, *AROUND]
    for primitive, cells in committed.items():
        found = {backend: cells[backend]["status"] for backend in BACKENDS}
        assert found == {
            "reference": "float-equal", "emulator": "exact", "lava": "exact",
            "brian2": "float-equal",
        }, primitive  # fmt: skip
        assert all(cells[backend]["tests"] > 0 for backend in BACKENDS)


def test_what_a_chip_refuses_is_in_the_note(committed: dict[str, Any]):
    cell = committed["LIF"]["emulator"]
    assert cell["variants"]["none"] == {"loihi1": "refused", "generic_graded": "exact"}
    assert "'x' is reset by none" in cell["note"]


def test_the_page_says_what_the_file_says(committed: dict[str, Any]):
    assert (DOCS / "support.md").read_text() == as_page(committed), "run: make support"
    assert (DOCS / "support.json").read_text() == as_json(committed)


def test_reference_and_brian2_agree_as_the_matrix_says(
    brian2: ModuleType, committed: dict[str, Any]
):
    findings = [finding for case in CASES for finding in suite.floats(case, brian2)]
    for primitive, cells in matrix_of(findings).items():
        for backend in ("reference", "brian2"):
            assert cells[backend] == committed[primitive][backend], f"{primitive}: make support"


def test_a_difference_in_one_spike_is_found(brian2: ModuleType):
    case = next(case for case in CASES if case.name == "LIF: to_value")

    class Late:
        """Brian2 with its input one step late."""

        @staticmethod
        def run(clocked, inputs, probe):
            late = {name: x[:, [-1, *range(x.shape[1] - 1)]] for name, x in inputs.items()}
            return brian2.run(clocked, late, probe=probe)

    assert {each.status for each in suite.floats(case, Late)} == {"different"}
