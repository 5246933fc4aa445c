"""What was typed, so that a message can repeat it with what was missing."""

from __future__ import annotations

import shlex
import sys

from spikeport.compiler.errors import printable


def typed() -> str:
    """Return the command line as text that a shell takes."""
    return printable(shlex.join(["spikeport", *sys.argv[1:]]))
