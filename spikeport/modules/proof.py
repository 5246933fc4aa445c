"""Does the network that was read do what the module did: every spike of the traced run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport import backends
from spikeport.compiler.errors import GraphError
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import to_clocked
from spikeport.modules.build import Graph
from spikeport.modules.parts import values
from spikeport.modules.trace import time_of

SAMPLES = 16  # of the batch that are compared
MOST = 0.01  # share of differing cells from which on it is not rounding any more


def prove(network: Network, graph: Graph) -> str:
    """Return a sentence on how many cells of the run differ.

    The module computes in float32 as a rule, the reference in float64: a neuron that comes as
    close to its threshold as float32 rounds may spike in one and not in the other.

    Raises:
        GraphError: so many cells differ that it is not rounding.
    """
    entering = {name: _entering(graph, name) for name in graph.entries}
    inputs = {name: x for name, x in entering.items() if x is not None}
    if len(inputs) < len(entering) or len({x.shape[:2] for x in inputs.values()}) != 1:
        return "not compared with the module: which axis of the sample is time cannot be seen"
    clocked = to_clocked(network)
    spiking = [name for name in graph.neurons if clocked.populations[name].cell.spiking]
    analog = [name for name in graph.neurons if name not in spiking]
    run = backends.find("reference").run(clocked, inputs, probe=[f"{name}.v" for name in analog])
    told = {name: _told(graph, name) for name in graph.neurons}
    wrong = {
        name: int((told[name] != run.spikes[name].dense().reshape(told[name].shape)).sum())
        for name in spiking
    }
    off = [
        float(np.abs(told[name] - run.probes[f"{name}.v"].reshape(told[name].shape)).max())
        for name in analog
    ]
    cells = sum(told[name].size for name in spiking)
    _check(network, wrong, cells, off)
    spikes = int(sum(told[name].sum() for name in spiking))
    sentence = (
        f"as read, compared with the module on the sample: {sum(wrong.values())} of {cells} cells "
        f"differ, {spikes} spikes in {next(iter(inputs.values())).shape[1]} steps"
    )
    if off:
        sentence += f"; readouts differ by at most {max(off):.2g}"
    return (
        f"{sentence}: a sample that makes spikes says more" if spiking and not spikes else sentence
    )


def _check(network: Network, wrong: Mapping[str, int], cells: int, off: list[float]) -> None:
    different = sum(wrong.values())
    if different <= MOST * cells and all(each < MOST for each in off):
        return
    first = next((name for name, count in wrong.items() if count), "a readout")
    raise GraphError(
        f"what was read of {network.name} does not do what the module does",
        f"{different} of {cells} cells differ on the sample, first in {first}",
        "do everything in modules, set every state anew inside forward, and give a sample as the "
        "network was trained on; prove=False leaves this comparison out",
    )


def _told(graph: Graph, name: str) -> Array:
    """Return what a neuron layer handed out, (samples, steps, n)."""
    calls = graph.trace.of(graph.neurons[name])
    arrays = [values(call.output) for call in calls]
    place = time_of(calls[0])
    axes = len(graph.shapes[name])
    found = arrays[0] if place is not None else np.stack(arrays, axis=1)
    return _by_sample(found, place, axes)


def _by_sample(array: Array, place: int | tuple[int, int] | None, axes: int) -> Array:
    """Return (samples, steps, n) of an array whose time is at `place`, see `Layer.time`."""
    own = array.shape[array.ndim - axes :]
    if isinstance(place, tuple):
        array = array.reshape(*place, *own)
    elif place == 0:
        array = array.swapaxes(0, 1)
    return array[:SAMPLES].reshape(*array[:SAMPLES].shape[:2], -1)


def _entering(graph: Graph, name: str) -> Array | None:
    """Return what entered an input, (samples, steps, n); None where time cannot be found."""
    entry = graph.entries[name]
    calls = graph.trace.of(entry.call.name)
    each = graph.steps.per_step[entry.call.name]
    neuron = graph.trace.of(next(iter(graph.neurons.values())))[0]
    place = time_of(neuron)
    if place is None and each:
        use = graph.steps.place(entry.call)[1]
        told = [values(call.inputs[0]) for call in calls[use::each]]
        return _by_sample(np.stack(told, axis=1), None, entry.axes)
    whole = values(calls[0].inputs[0])
    before = whole.ndim - entry.axes
    if before == 1 and place is None:  # one layer for all steps, and the same in each of them
        return _by_sample(np.repeat(whole[:, None], graph.steps.total, axis=1), None, entry.axes)
    if before == 1 and isinstance(place, int):  # batch and time are one axis here, in that order
        whole = whole.reshape(*neuron.output.shape[:2], *whole.shape[1:])
    elif before == 2 and place is None:
        fitting = [at for at in (0, 1) if whole.shape[at] == graph.steps.total]
        if len(fitting) != 1:
            return None
        place = fitting[0]
    elif before == 2 and isinstance(place, tuple):
        place = 1
    return _by_sample(whole, place, entry.axes)
