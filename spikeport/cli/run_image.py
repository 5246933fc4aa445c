"""`spikeport run` on a saved image: what it sends, as totals and as arrays in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikeport import verbs
from spikeport.cli.written import written
from spikeport.compiler.errors import DataError
from spikeport.compiler.program import Program
from spikeport.data import Data, read_inputs
from spikeport.files import check_file
from spikeport.saved import load_image


def run_image(
    path: Path,
    backend: str | None,
    x: Path,
    out: Path | None,
    compiled: dict[str, Any],
    probe: Sequence[str],
    kind: str | None,
    options: Mapping[str, Any],
    progress: Callable[[str, int, int], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run and write; returns what `run --json` prints.

    Args:
        path: of a saved image.
        compiled: options that say how a graph is compiled, and what was typed; none fits here.
        backend, x, out, probe, kind, options, progress, say: as for a graph.

    Raises:
        SpikeportError: see its message; nothing is written then.
    """
    given = [name for name, value in compiled.items() if value]
    if given:
        raise DataError(
            f"{given[0]} has no effect on a saved image",
            "it says how a graph is compiled, and this one is",
            f"leave {' and '.join(given)} out, or give it to spikeport compile",
        )
    if out is not None:
        check_file(out)
    image = load_image(path)
    program = image.program
    data = _data(program, x, kind)
    for note in program.notes:
        say(note)
    neurons = {name: program.populations[name] for name in program.neurons}
    shapes = {name: each.shape for name, each in neurons.items() if each.kind != "constant"}
    analog = [
        name
        for name in dict.fromkeys(program.outputs.values())
        if not program.populations[name].sends_spikes
    ]
    probe = list(dict.fromkeys([*probe, *(f"{name}.v" for name in analog)]))
    chosen = backend or "emulator"

    def show(done: int, total: int) -> None:
        progress(chosen, done, total)

    traces = verbs.run(image, data, backend=chosen, probe=probe, progress=show, **options)
    account = written(traces, shapes, probe, analog, out)
    return {"image": path.name, "backend": chosen, **account}


def _data(program: Program, x: Path, kind: str | None) -> Data:
    """Return the data of a program's inputs.

    Raises:
        DataError: they are not of the kind that it was compiled for.
    """
    if kind == "current" and not program.host:
        raise DataError(
            f"{program.name} was compiled for spikes",
            "real values need the host's part of the first layer, which it has not",
            "compile it with --data DATA.npz --input current",
        )
    shapes = {name: program.populations[name].shape for name in program.inputs}
    kind = kind or ("current" if program.host else "spikes")
    return read_inputs(x, shapes, kind, "--input-kind")
