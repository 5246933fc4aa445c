"""The committed support matrix is what the conformance suite finds: emulator and Lava."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hw_tests.contract.conformance import suite
from hw_tests.contract.conformance.matrix import matrix_of
from hw_tests.contract.conformance.suite import Finding, Placed

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads((DOCS / "support.json").read_text())


@pytest.fixture(scope="module")
def ran() -> tuple[list[Finding], list[Placed]]:
    """What the emulator made of every case."""
    findings: list[Finding] = []
    placed: list[Placed] = []
    for case in suite.all_cases():
        found, taken = suite.integers(case)
        findings += found
        placed += taken
    return findings, placed


def test_the_emulator_equals_unretimed_integers_as_the_matrix_says(
    ran: tuple[list[Finding], list[Placed]], committed: dict[str, Any]
):
    for primitive, cells in matrix_of(ran[0]).items():
        assert cells["emulator"] == committed[primitive]["emulator"], f"{primitive}: make support"


def test_lava_equals_the_emulator_as_the_matrix_says(
    ran: tuple[list[Finding], list[Placed]], lava: ModuleType, committed: dict[str, Any]
):
    findings, placed = ran
    spoiled = _spoiled(next(each for each in placed if each.case.name == "LIF: to_value"))
    *found, wrong = suite.lava([*placed, spoiled])
    assert wrong.status == "different", "a changed threshold must show"
    for primitive, cells in matrix_of([*findings, *found]).items():
        assert cells["lava"] == committed[primitive]["lava"], f"{primitive}: make support"


def _spoiled(placed: Placed) -> Placed:
    """Return the same with what the emulator found for a network with another threshold."""
    program = placed.both.program
    pop = program.populations["x"]
    assert pop.cell is not None
    cell = replace(pop.cell, v_threshold=(pop.cell.v_threshold // 2).astype(np.int32))
    populations = {**program.populations, "x": replace(pop, cell=cell)}
    image = replace(placed.both.image, program=replace(program, populations=populations))
    return replace(placed, both=replace(placed.both, image=image))
