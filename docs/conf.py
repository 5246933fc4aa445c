"""How Sphinx builds these pages: `make docs`."""

import re
from importlib.metadata import version as installed
from typing import Any

project = "spikeport"
author = "the spikeport authors"
copyright = author
release = version = installed("spikeport")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Spiking networks to neuromorphic chips, with proof"}

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
myst_heading_anchors = 3
# README is also read where these pages are not: its links are relative to the repository.
suppress_warnings = ["myst.xref_missing"]


def keep_signs(_app: Any, _what: str, _name: str, _obj: Any, _opts: Any, lines: list[str]) -> None:
    """Let |x| be a magnitude and (samples, *n) a shape, not reStructuredText's own signs."""
    lines[:] = [re.sub(r"(?<![`\\])(\||\*(?=\w+[),]))(?=\w)", r"\\\1", line) for line in lines]


def setup(app: Any) -> None:
    """Connect what these pages need; Sphinx calls it."""
    app.connect("autodoc-process-docstring", keep_signs)
