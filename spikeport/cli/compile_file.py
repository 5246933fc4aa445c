"""`spikeport compile`: a graph on the cores of a chip, as one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from spikeport import verbs
from spikeport.cli.typed import typed
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import DataError
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.data import read_data
from spikeport.files import check_file
from spikeport.saved import save_image

Contract = tuple[str | None, float | None, Iterable[str]]


def compile_file(
    graph: Path,
    chip: str,
    out: Path,
    said: Contract,
    data: Path | None,
    kind: str,
    allow_skew: bool,
    slow: int,
    chips: int,
    recipe: Recipe | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Compile and write; returns what `compile --json` prints.

    Raises:
        SpikeportError: see its message; nothing is written then.
    """
    if data is None and kind != "spikes":
        raise DataError(
            f"--input {kind} has no effect without data",
            "it says what the calibration data holds",
            "give the data too: --data X.npz",
        )
    net = verbs.load(graph, *said)
    for repair in net.repairs:
        say(repair)
    check_file(out)
    contract.require_said(net.semantics, typed())
    contract.require_dt(net.semantics, typed())
    calibration = None if data is None else read_data(data, net, kind)
    image = verbs.compile(
        net, chip, calibration, allow_skew=allow_skew, slow=slow, chips=chips, recipe=recipe
    )
    for note in image.program.notes:
        say(note)
    save_image(image, out)
    return {
        "graph": net.name,
        "chip": image.chip.name,
        "calibrated": data is not None,
        "resources": dict(image.resources),
        "latency_steps": image.program.lags[image.program.output],
        "bytes": out.stat().st_size,
        "out": str(out),
    }
