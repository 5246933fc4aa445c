"""What tests share: the folder of real graphs, where this checkout has one beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

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
