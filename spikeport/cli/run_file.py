"""`spikeport run`: one backend, its spikes and probes as arrays in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikeport import backends, verbs
from spikeport.cli.typed import typed
from spikeport.cli.written import written
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import DataError
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.probe import parse_probe
from spikeport.data import read_data
from spikeport.files import check_file

Contract = tuple[str | None, float | None, Iterable[str]]


def run_file(
    graph: Path,
    backend: str | None,
    x: Path,
    out: Path | None,
    chip: str,
    said: Contract,
    probe: Sequence[str],
    kind: str,
    allow_skew: bool,
    slow: int,
    chips: int,
    options: Mapping[str, Any],
    progress: Callable[[str, int, int], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run and write; returns what `run --json` prints.

    Raises:
        SpikeportError: see its message; nothing is written then.
    """
    net = verbs.load(graph, *said)
    for repair in net.repairs:
        say(repair)
    if out is not None:
        check_file(out)
    if backend is None:
        raise DataError(
            "it is not said what runs the graph",
            "the float reference and a chip's emulator answer differently",
            "--backend reference, brian2, emulator or lava",
        )
    backends.find(backend)
    contract.require_said(net.semantics, typed())
    contract.require_dt(net.semantics, typed())
    data = read_data(x, net, kind, "--input-kind")
    clocked = to_clocked(net)
    populations = {name: clocked.populations[name] for name in clocked.neurons}
    sizes = {name: each.size for name, each in populations.items()}
    for key in probe:
        parse_probe(key, sizes)
    noun: Any = net
    if backend not in verbs.FLOAT_BACKENDS:
        noun = verbs.compile(net, chip, data, allow_skew=allow_skew, slow=slow, chips=chips)
    elif slow > 1:
        raise DataError(f"--slow {slow}", f"{backend} has no chip steps", "--backend emulator")
    for note in clocked.notes if backend in verbs.FLOAT_BACKENDS else noun.program.notes:
        say(note)
    analog = [name for name in clocked.outputs.values() if populations[name].analog]
    probe = list(dict.fromkeys([*probe, *(f"{name}.v" for name in analog)]))

    def show(done: int, total: int) -> None:
        progress(backend, done, total)

    traces = verbs.run(noun, data, backend=backend, probe=probe, progress=show, **options)
    shapes = {name: each.shape for name, each in populations.items()}
    return {
        "backend": backend,
        **written(traces, shapes, probe, analog, out),
        "semantics": net.semantics.to_dict(),
        "assumed": list(net.semantics.assumed),
    }
