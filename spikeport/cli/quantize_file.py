"""The command `spikeport quantize`: its options, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.cli.options import (
    AsJson,
    ChipName,
    Chips,
    Decode,
    Dialect,
    Dt,
    Graph,
    InputKind,
    MaxMemory,
    Settings,
    Skew,
    Slow,
)
from spikeport.cli.output import emit, say
from spikeport.cli.recipe_options import Correct, Decays, Ranges, Rounding, Scales, Weights


def quantize(
    graph: Graph,
    chip: ChipName,
    data: Annotated[Path, typer.Option("--data", help=".npz with x, as for deploy")],
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", help="other data to choose scales, roundings and recipes on"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="file for the image, such as NET.image")
    ] = None,
    target_agreement: Annotated[
        float | None,
        typer.Option("--target-agreement", metavar="SHARE",
                     help="find the cheapest recipe with which so many cells of every population "
                     "agree, as 0.995; without a budget"),
    ] = None,
    target_accuracy: Annotated[
        float | None,
        typer.Option("--target-accuracy", metavar="SHARE",
                     help="the same for accuracy, as 0.97, or less than the reference, as -0.005"),
    ] = None,
    explore: Annotated[
        bool, typer.Option("--explore", help="show what each amount of memory buys")
    ] = False,
    budget_memory: Annotated[
        str | None,
        typer.Option("--budget-memory", metavar="SIZE",
                     help="with --explore: most synaptic memory, in bits, or as 32KiB"),
    ] = None,
    budget_cores: Annotated[
        int | None, typer.Option("--budget-cores", metavar="N", help="with --explore: most cores")
    ] = None,
    weights: Weights = None,
    scales: Scales = None,
    ranges: Ranges = None,
    rounding: Rounding = None,
    decays: Decays = None,
    correct: Correct = False,
    dialect: Dialect = None,
    dt: Dt = None,
    settings: Settings = None,
    input: InputKind = "spikes",
    decode: Decode = "count",
    allow_skew: Skew = False,
    slow: Slow = 1,
    chips: Chips = 1,
    max_memory: MaxMemory = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Quantize for a chip, say what is left and what it costs, or find the cheapest way.

    Bits, lists, error and memory of the weights, and what agrees with the float reference. A
    target or --explore tries many recipes; what the options say of weights is kept. Exit code 1:
    the target cannot be reached; the nearest recipe is shown.
    """
    from spikeport.cli.progress import progress_bars
    from spikeport.cli.show_quantized import price_words, print_quantized
    from spikeport.cli.typed import typed
    from spikeport.quantizing import quantize as quantize_graph
    from spikeport.recipe_words import recipe_of

    recipe = recipe_of(
        weights, correct, scales=scales, ranges=ranges, rounding=rounding, decays=decays
    )
    with progress_bars() as progress:
        result = quantize_graph(
            graph, chip, data, out, recipe=recipe, calibration=calibration,
            target_agreement=target_agreement, target_accuracy=target_accuracy, explore=explore,
            budget_memory=budget_memory, budget_cores=budget_cores, dialect=dialect, dt=dt,
            settings=settings or (), input=input, decode=decode, allow_skew=allow_skew, slow=slow,
            chips=chips, max_memory=max_memory, command=typed(), say=say, progress=progress,
        )  # fmt: skip
    emit(result) if json else print_quantized(result)
    if result["interrupted"]:
        raise typer.Exit(130)
    target = result["target"]
    if target is not None and not target["reached"]:
        say(
            f"error: no recipe that was tried reaches {target['wanted']:.3%} {target['by']}: the "
            f"nearest has {target['got']:.3%}, for {price_words(result['price'])}"
        )
        raise typer.Exit(1)
