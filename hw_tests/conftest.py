"""What tests share: the folder of real graphs, Lava's interpreter and Brian2, where they are."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from spikeport.compiler.errors import MissingError

# The suite tries the same examples in every run; `make fuzz` tries new ones.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.register_profile("fuzz", deadline=None)
settings.load_profile(os.environ.get("SPIKEPORT_EXAMPLES", "suite"))

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


@pytest.fixture(scope="session")
def sanafe() -> str:
    """The interpreter that has SANA-FE; skips without one, fails if one is required."""
    python = os.environ.get("SPIKEPORT_SANAFE_PYTHON", "")
    if not python:
        reason = "no interpreter with sanafe: set SPIKEPORT_SANAFE_PYTHON"
        if "sanafe" in os.environ.get("SPIKEPORT_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    return python


@pytest.fixture(scope="session")
def brian2() -> ModuleType:
    """The Brian2 backend; skips without Brian2, fails if it is required."""
    from spikeport.backends import brian2
    from spikeport.backends.brian2.environment import load

    try:
        load()
    except MissingError as error:
        if "brian2" in os.environ.get("SPIKEPORT_REQUIRE", ""):
            pytest.fail(f"SPIKEPORT_REQUIRE asks for Brian2: {error}")
        pytest.skip(str(error))
    return brian2


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`: write what is instead of comparing with what was."""
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files")


class Golden(str):
    """The text of a golden file; under --update-golden it becomes what it is compared with."""

    path: Path
    update: bool

    def __eq__(self, other: object) -> bool:
        if self.update and not str.__eq__(self, other):
            self.path.write_text(str(other), encoding="utf-8")
            return True
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """A function from the name of a file beside the test to its text."""

    def read(name: str) -> Golden:
        path = request.path.parent / name
        found = Golden(path.read_text(encoding="utf-8") if path.exists() else "")
        found.path, found.update = path, request.config.getoption("--update-golden")
        return found

    return read
