"""Options that say how a network becomes integers; none of them: the default recipe."""

from __future__ import annotations

from typing import Annotated

import typer

Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", metavar="[PROJECTION=]HOW",
                 help="how weights are held: bits, of two synapses each as 8+8 or 8+8@0.25 (of a "
                 "quarter of the neurons), in lists as 8:sign-size; repeat"),
]  # fmt: skip
Scales = Annotated[
    str | None, typer.Option("--scales", help="one for each neuron (default) or population")
]
Ranges = Annotated[
    str | None,
    typer.Option("--ranges", help="scales by largest, percentile or mse (default) of the weights; "
                 "by output or raster on data"),
]  # fmt: skip
Rounding = Annotated[
    str | None,
    typer.Option("--rounding", help="of weights: nearest (default), or output: errors cancel, on "
                 "data"),
]  # fmt: skip
Decays = Annotated[
    str | None,
    typer.Option("--decays", help="nearest (default), or gain: weights make up for the rounding"),
]
Correct = Annotated[
    bool,
    typer.Option("--correct", help="shift thresholds and biases until spikes agree, on data"),
]
