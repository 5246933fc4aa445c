"""The command `spikeport validate-energy`: published measurements against the cost columns."""

from __future__ import annotations

from typing import Annotated

import typer

from spikeport.cli.options import AsJson
from spikeport.cli.output import emit, say


def validate_energy(
    chip: Annotated[
        str | None,
        typer.Option("--chip", help="one chip alone: its name, or path of a YAML file with that "
                     "name in it (all)", show_default=False),
    ] = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Recompute published energies from their event counts and the figures of the chips.

    Predicted, interval, published, error of each point; which points were used for a fit, so that
    they prove nothing; which cannot be recomputed, and why. Exit code 1: a point that counts lies
    outside of its interval.
    """
    from spikeport.validation import validate

    plain = validate(chip)
    if json:
        emit(plain)
    else:
        from spikeport.cli.show_validation import print_validated

        print_validated(plain)
    missed = plain["summary"]["outside"]
    if missed:
        say(f"error: outside of the interval: {', '.join(missed)}")
        raise typer.Exit(1)
