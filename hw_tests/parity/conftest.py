"""What the parity tests share: random integer networks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


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
