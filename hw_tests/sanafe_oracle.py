"""What SANA-FE says of an Image, beside what we say: energy, both timing models, events.

SANA-FE gets the same neurons on the same cores, in the order of their compartments, with the same
integer weights and thresholds; which of its units reads the synapses of a neuron follows from the
axons that reach its core.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import spikeport as sp
from hw_tests.sanafe_networks import ALL_BITS, Case
from spikeport.backends.emulator.mesh import mesh_time
from spikeport.compiler.image import Image
from spikeport.compiler.measure.energy import Cost
from spikeport.compiler.measure.mesh_time import Mesh
from spikeport.compiler.measure.messages import messages_of
from spikeport.compiler.measure.work import cores_of, work_of
from spikeport.compiler.traces import Traces

Arrays = dict[str, np.ndarray[Any, Any]]
RUNNER = Path(__file__).with_name("sanafe_run.py")


@dataclass(frozen=True, eq=False)
class Ours:
    """What we find for a network; arrays by step.

    Attributes:
        traces: of the run.
        simple, detailed: seconds.
        joules: dynamic energy till the end of each step, without the reset of states.
        costs: of the whole run, with the detailed model.
    """

    traces: Traces
    simple: np.ndarray[Any, Any]
    detailed: np.ndarray[Any, Any]
    joules: np.ndarray[Any, Any]
    cost: Cost


def ours_of(case: Case, prefixes: Sequence[int] = ()) -> Ours:
    """Return what we find, energy after each of some numbers of steps (and after all)."""
    traces = run(case.image, case.steps)
    simple = sp.cost(case.image, traces, column="sanafe", timing="simple")
    detailed = sp.cost(case.image, traces, column="sanafe", timing="detailed")
    assert simple.time is not None
    assert detailed.time is not None
    before = [
        joules_of(sp.cost(case.image, run(case.image, steps), column="sanafe"))
        for steps in prefixes
    ]
    joules = np.array([*before, joules_of(detailed)])
    return Ours(traces, simple.time.seconds[0], detailed.time.seconds[0], joules, detailed)


def run(image: Image, steps: int) -> Traces:
    """Run an image that biases drive."""
    return sp.run(image, np.zeros((1, steps, 1), np.uint8), steps=steps, count_cores=True)


def joules_of(cost: Cost) -> float:
    """Return the dynamic energy of a sample without resets, of which SANA-FE has none."""
    return sum(joules for kind, joules in cost.by("kind").items() if kind != "state_reset")


def network_of(image: Image, steps: int) -> Arrays:
    """Return the arrays that sanafe_run.py reads.

    Raises:
        ValueError: axons of both kinds of lists reach one core.
    """
    cores, populations = cores_of(image), image.program.populations
    start = np.concatenate([[0], np.cumsum(cores.sizes)])
    at = {n: start[cores.reach[n].home] + cores.slot[n] for n in image.program.neurons}
    size = int(start[-1])
    found = {name: np.zeros(size, np.int64) for name in ("threshold", "bias", "subtract")}
    for name, where in at.items():
        cell: Any = populations[name].cell
        found["threshold"][where] = cell.v_threshold
        found["bias"][where] = cell.bias_mantissa << (cell.bias_exponent - ALL_BITS)
        found["subtract"][where] = cell.reset == "subtract"
    kinds: dict[int, set[bool]] = {}
    for route in image.routes:
        kinds.setdefault(route.target_core, set()).update((route.sparse > 0).tolist())
        mixed = (route.sparse > 0) & (route.sparse < route.synapses)
        if len(kinds[route.target_core]) > 1 or mixed.any():
            raise ValueError(f"axons of both kinds reach core {route.target_core}")
    core = np.repeat(cores.numbers, cores.sizes)
    found["sparse"] = np.isin(core, [number for number, kind in kinds.items() if True in kind])
    edges = []
    for each in image.program.synapses:
        matrix = each.rows.tocoo()
        edges.append((at[each.pre][matrix.col], at[each.post][matrix.row], matrix.data))
    nothing = [(np.zeros(0, np.int64),) * 3]
    pre, post, weight = (np.concatenate(x) for x in zip(*(edges or nothing), strict=True))
    return found | {
        "core": core, "pre": pre, "post": post, "weight": weight, "steps": np.array(steps)
    }  # fmt: skip


def ask(python: str, networks: Sequence[Arrays], folder: Path) -> list[Arrays]:
    """Run networks on SANA-FE and return its answers."""
    asked, answered = folder / "networks.npz", folder / "answers.npz"
    named = {f"{n}/{key}": x for n, network in enumerate(networks) for key, x in network.items()}
    np.savez(asked, **named)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [python, str(RUNNER), str(asked), str(answered)],
        capture_output=True, text=True, check=False, env=clean, cwd=folder,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    with np.load(answered) as file:
        arrays = dict(file)
    return [
        {key.partition("/")[2]: x for key, x in arrays.items() if key.partition("/")[0] == str(n)}
        for n in range(len(networks))
    ]


def raster(image: Image, answer: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    """Return population -> spikes of SANA-FE, (steps, n) bool."""
    cores = cores_of(image)
    start = np.concatenate([[0], np.cumsum(cores.sizes)])
    everywhere = np.zeros((answer["simple"].size, int(start[-1])), bool)
    everywhere[answer["step"], answer["neuron"]] = True
    return {
        name: everywhere[:, start[cores.reach[name].home] + cores.slot[name]]
        for name in image.program.neurons
    }


def in_their_order(image: Image, traces: Traces, answer: Arrays) -> np.ndarray[Any, Any]:
    """Return seconds of the detailed model where a neuron sends in the order of SANA-FE's trace.

    That program sends the packets of a neuron in the order of its cores' addresses in memory, which
    differs from run to run; all else is our own: waits, service, routes, the order of neurons.
    """
    cores, times = cores_of(image), image.chip.costs["sanafe"].time
    (work,) = work_of(image, traces, cores)
    messages = messages_of(traces, cores, work, times)
    home = np.repeat(np.arange(cores.numbers.size), cores.sizes)
    target = np.searchsorted(cores.numbers, answer["sent_to"])
    theirs = answer["sent_in"], home[answer["sent_by"]], answer["sent_by"]
    as_sent = np.lexsort(theirs[::-1])  # by step, core, neuron; stable: as sent among these
    as_ours = np.lexsort((target, *theirs[::-1]))
    place = np.empty_like(as_ours)
    place[as_ours] = np.arange(as_ours.size)
    take = place[as_sent]
    assert np.array_equal(messages.target, target[as_ours])
    moved = replace(messages, target=messages.target[take], serve=messages.serve[take])
    figures = {kind: figure.value for kind, figure in times.figures.items()}
    x, y = image.chip.tile(cores.numbers)
    hops = figures["hop_east_west"], figures["hop_north_south"]
    found = mesh_time(moved, Mesh(x, y, *hops, times.link_buffer.whole))
    return np.asarray(found.seconds + times.barrier.at(np.unique(cores.numbers // 4).size))


@dataclass(frozen=True, eq=False)
class Agreement:
    """A network on both programs; differences are relative.

    Attributes:
        case, ours, theirs: what was compared.
        same_spikes, same_events: is every spike and every number of events equal.
        energy, simple: largest difference, after any step and of any step.
        detailed, detailed_step: difference of the sum of all steps, and the largest of a step.
        ordered, ordered_step: the same with the packets of a neuron in SANA-FE's order.
    """

    case: Case
    ours: Ours
    theirs: Arrays
    same_spikes: bool
    same_events: bool
    energy: float
    simple: float
    detailed: float
    detailed_step: float
    ordered: float
    ordered_step: float


def agreements(python: str, cases: Sequence[Case], folder: Path) -> list[Agreement]:
    """Run networks on both; small ones also for fewer steps, so that each step's energy shows."""
    answers = ask(python, [network_of(case.image, case.steps) for case in cases], folder)
    return [compared(case, theirs) for case, theirs in zip(cases, answers, strict=True)]


def compared(case: Case, theirs: Arrays) -> Agreement:
    """Compare what we find for a network with SANA-FE's answer."""
    small = theirs["neuron"].size < 20_000
    prefixes = range(1, case.steps) if small else ()
    ours = ours_of(case, prefixes)
    joules = np.cumsum(theirs["joules"])[[*(steps - 1 for steps in prefixes), -1]]
    ordered = in_their_order(case.image, ours.traces, theirs)
    sent = raster(case.image, theirs)
    seconds = theirs["detailed"]
    return Agreement(
        case,
        ours,
        theirs,
        all(np.array_equal(ours.traces.spikes[n].dense()[0] != 0, sent[n]) for n in sent),
        same_events(case.image, ours, theirs),
        _apart(ours.joules, joules),
        _apart(ours.simple, theirs["simple"]),
        float(ours.detailed.sum() / seconds.sum() - 1),
        _apart(ours.detailed, seconds),
        float(ordered.sum() / seconds.sum() - 1),
        _apart(ordered, seconds),
    )


def same_events(image: Image, ours: Ours, theirs: Arrays) -> bool:
    """Are updates, spikes and synapses equal in every step, packets and hops in sum."""
    (work,) = work_of(image, ours.traces, cores_of(image))
    by_step = {
        "updated": work.updates, "fired": work.spikes, "synapses": work.dense + work.sparse
    }  # fmt: skip
    events = {"packet": 0.0, "hop_east_west": 0.0, "hop_north_south": 0.0}
    for entry in ours.cost.ledger:
        events[entry.kind] = events.get(entry.kind, 0.0) + entry.events_per_sample
    hops = events["hop_east_west"] + events["hop_north_south"]
    totals = events["packet"] == theirs["packets"] and hops == theirs["hops"].sum()
    return bool(totals) and all(
        np.array_equal(found.sum(axis=1), theirs[name]) for name, found in by_step.items()
    )


def _apart(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    return float(np.abs(ours / theirs - 1).max())
