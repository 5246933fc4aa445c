"""`spikeport run`: one backend, its spikes and probes as arrays in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeport import backends, verbs
from spikeport.cli.typed import typed
from spikeport.compiler import semantics as contract
from spikeport.compiler.errors import DataError
from spikeport.compiler.pipeline import to_clocked
from spikeport.data import read_data
from spikeport.files import check_file, write_arrays

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
    slow: int,
    chips: int,
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
    contract.require_said(net.semantics, typed())
    contract.require_dt(net.semantics, typed())
    data = read_data(x, net, kind, "--input-kind")
    clocked = to_clocked(net)
    populations = {name: clocked.populations[name] for name in clocked.neurons}
    for key in probe:
        name, _, variable = key.rpartition(".")
        if name not in populations or variable not in ("u", "v"):
            raise DataError(
                f"there is nothing to probe at {key!r}",
                f"populations are {', '.join(list(populations)[:8])}; variables are u and v",
                f"--probe {next(iter(populations))}.v",
            )
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

    traces = verbs.run(noun, data, backend=backend, probe=probe, progress=show)
    spiking = [name for name in populations if name in traces.spikes]
    arrays = {name: traces.window(name) for name in spiking}
    arrays = {name: a.astype(np.min_scalar_type(a.max(initial=0))) for name, a in arrays.items()}
    arrays |= {key: traces.probe_window(key) for key in probe}
    totals = {name: int(arrays[name].sum(dtype=np.int64)) for name in spiking}
    for key, array in arrays.items():
        name = key if key in populations else key.rpartition(".")[0]
        arrays[key] = array.reshape(*array.shape[:2], *populations[name].shape)
    write_arrays(out, arrays)
    return {
        "backend": backend,
        "samples": traces.samples,
        "steps": traces.model_steps,
        "populations": {
            name: {"spikes": totals[name], "lag": traces.lags.get(name, 0)} for name in spiking
        },
        "analog": analog,
        "semantics": net.semantics.to_dict(),
        "assumed": list(net.semantics.assumed),
        "out": str(out),
    }
