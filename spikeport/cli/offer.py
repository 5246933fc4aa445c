"""What is said beside a refusal: where an estimate can be had all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def estimate_offered(chip: str | None) -> Iterator[None]:
    """Where one chip refuses a network, name the command that estimates it as if it fitted."""
    from spikeport.compiler.errors import FitError, LoweringError

    try:
        yield
    except (FitError, LoweringError):
        from spikeport import backends
        from spikeport.as_if import is_priced
        from spikeport.cli.output import say

        if chip is not None and is_priced(backends.find_chip(chip)):
            say(f"what it would take if it fitted is beside another chip: --chip loihi1,{chip}")
        raise
