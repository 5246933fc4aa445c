"""The examples in docstrings run, in the one copy of each module that everybody imports."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def modules():
    for folder in ("compiler", "models", "backends", "spikeport"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if ">>> " in path.read_text():
                yield ".".join(parts if folder == "spikeport" else ("spikeport", *parts))


@pytest.mark.parametrize("name", list(modules()))
def test_examples_in_docstrings_run(name):
    tried = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried.attempted, f"{name} shows an example that doctest does not find"
    assert not tried.failed
