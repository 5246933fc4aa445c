"""`spikeport run`: one backend, its spikes and probes as arrays in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from spikeport import backends, verbs
from spikeport.cli.files import check_file, write_arrays
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import DataError
from spikeport.data import read_data

Contract = tuple[str | None, float | None, Iterable[str]]


def run_file(
    graph: Path,
    backend: str,
    x: Path,
    out: Path,
    chip: str,
    said: Contract,
    probe: Sequence[str],
    kind: str,
    allow_skew: bool,
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
    check_file(out)
    backends.find(backend)
    again = f"spikeport run {net.name} --backend {backend} --input {x.name} --out {out.name}"
    contract.require_said(net.semantics, again)
    contract.require_dt(net.semantics, again)
    data = read_data(x, net, kind)
    noun: Any = net
    if backend != "reference":
        noun = verbs.compile(net, chip, data, allow_skew=allow_skew)
    for key in probe:
        if key.rpartition(".")[0] not in net.neurons:
            raise DataError(
                f"there is no neuron to probe at {key!r}",
                f"neurons are {', '.join(net.neurons[:8])}",
                f"--probe {net.neurons[0]}.v",
            )

    def show(done: int, total: int) -> None:
        progress(backend, done, total)

    traces = verbs.run(noun, data, backend=backend, probe=probe, progress=show)
    arrays = {}
    for name in traces.counters:
        if name in net.nodes:
            shape = traces.spikes[name].shape
            raster = traces.window(name)
            arrays[name] = raster.reshape(*raster.shape[:2], *shape).astype("u1")
    for key in probe:
        values = traces.probe_window(key)
        shape = traces.spikes[key.rpartition(".")[0]].shape
        arrays[key] = values.reshape(*values.shape[:2], *shape)
    write_arrays(out, arrays)
    return {
        "backend": backend,
        "samples": traces.samples,
        "steps": traces.model_steps,
        "populations": {
            name: {"spikes": traces.spikes[name].total, "lag": traces.lags.get(name, 0)}
            for name in traces.counters
            if name in net.nodes
        },
        "semantics": net.semantics.to_dict(),
        "assumed": list(net.semantics.assumed),
        "out": str(out),
    }
