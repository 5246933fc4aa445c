"""What the parity tests share: Lava if it is there, and random integer networks."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from spikeport.compiler.errors import MissingError


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
def networks() -> ModuleType:
    """The random networks of hw_tests/golden/record_lava.py, and its reader of recordings."""
    name = "spikeport_record_lava"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "golden" / "record_lava.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
