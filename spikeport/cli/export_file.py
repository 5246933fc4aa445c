"""`spikeport export`: a bundle that runs on Lava without spikeport."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from spikeport import backends, verbs
from spikeport.cli.typed import typed
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import DataError
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.data import read_data
from spikeport.files import check_folder

Contract = tuple[str | None, float | None, Iterable[str]]


def export_file(
    graph: Path,
    chip: str,
    to: str,
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
    """Compile and write; returns what `export --json` prints.

    Raises:
        SpikeportError: see its message; nothing is written then.
    """
    net = verbs.load(graph, *said)
    for repair in net.repairs:
        say(repair)
    check_folder(out)
    if to != "lava":
        raise DataError(f"nothing can be written for {to!r}", "known is lava", "--to lava")
    target = backends.find(to)
    contract.require_said(net.semantics, typed())
    contract.require_dt(net.semantics, typed())
    calibration = None if data is None else read_data(data, net, kind)
    image = verbs.compile(
        net, chip, calibration, allow_skew=allow_skew, slow=slow, chips=chips, recipe=recipe
    )
    target.export(image, out.resolve())
    return {
        "chip": image.chip.name,
        "to": to,
        "calibrated": data is not None,
        "files": sorted(str(path) for path in out.iterdir()),
        "resources": dict(image.resources),
        "latency_steps": image.program.lags[image.program.output],
    }
