"""What tests share: the folder of real graphs and Lava's interpreter, where they are there."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

from spikeport.compiler.errors import MissingError

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with cases and bad inputs; tests that need it are skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("no shared folder beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def cases(shared: Path) -> Path:
    """Real graphs and recordings of other tools."""
    return shared / "cases"


@pytest.fixture(scope="session")
def lava() -> ModuleType:
    """The Lava backend; skips without an interpreter for it, fails if one is required."""
    from spikeport.backends import lava
    from spikeport.backends.lava.environment import find_python

    try:
        find_python()
    except MissingError as error:
        if "lava" in os.environ.get("SPIKEPORT_REQUIRE", ""):
            pytest.fail(f"SPIKEPORT_REQUIRE asks for Lava: {error}")
        pytest.skip(str(error))
    return lava
