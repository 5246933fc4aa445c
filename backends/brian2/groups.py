"""Populations as Brian2 groups: neurons, inputs and the constant, samples as blocks of neurons.

Every population has slots of its own in the network's schedule, in topological order, so that
what is sent with delay 0 is there before the next population's update.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from spikeport.backends.brian2.lowering import Lowered, lower
from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.kinds import Array

#: What happens to one population in a step, in this order; each is a slot `p0_receive`, ...
SLOTS = ("receive", "shift", "update", "clear", "threshold", "reset", "message", "send")
END = "end"
#: Slots that Brian2's groups name by themselves; nothing of ours happens in them.
USUAL = ("start", "groups", "thresholds", "synapses", "resets")


def schedule(populations: int) -> list[str]:
    """Return the slots of one step of the network."""
    own = [f"p{place}_{slot}" for place in range(populations) for slot in SLOTS]
    return [*USUAL, *own, END]


def age(clocked: Clocked, projection: Projection) -> int:
    """Return the steps that something sent waits in Brian2.

    What is sent to a population that has had its turn in this step reaches its next turn: one
    step of the delay is over then.
    """
    order = list(clocked.populations)
    ahead = order.index(projection.pre) < order.index(projection.post)
    return projection.delay - (not ahead)


@dataclass(frozen=True, eq=False)
class Stage:
    """What all groups of a run share.

    Attributes:
        brian2: the module.
        clock: Brian2's Clock.
        clocked: the network.
        samples, steps: extents of the run.
        history: population -> what it sent before the run, (D, samples, n); empty at the start.
    """

    brian2: Any
    clock: Any
    clocked: Clocked
    samples: int
    steps: int
    history: dict[str, Array]

    @property
    def dt(self) -> Any:
        """Seconds per step, with their unit."""
        return self.clocked.dt * self.brian2.second

    def tiled(self, values: Array) -> Array:
        """Return (n,) values for every sample, (samples * n,)."""
        return np.tile(values, self.samples)


@dataclass(frozen=True, eq=False)
class Placed:
    """A population in Brian2.

    Attributes:
        place: number of the population in the order of a step.
        group: a NeuronGroup or SpikeGeneratorGroup of samples * n neurons.
        size: n.
        sends_values: numbers, `sent` of its group; else spikes.
        moving: Brian2 objects that rest until the population's first step.
        others: the rest of them.
        lowered: of a population with state.
    """

    place: int
    group: Any
    size: int
    sends_values: bool
    moving: list[Any] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    lowered: Lowered | None = None

    def slot(self, what: str) -> str:
        """Return the name of one of this population's slots."""
        return f"p{self.place}_{what}"

    def regularly(self, code: str, what: str) -> Any:
        """Return the Brian2 object that runs `code` in one of this population's slots."""
        return self.group.run_regularly(code, when=self.slot(what), name=self.slot(what))


def place_all(stage: Stage, inputs: dict[str, Array]) -> dict[str, Placed]:
    """Return every population of the network in Brian2.

    Args:
        stage: of this run.
        inputs: input name -> (samples, steps, n).

    Raises:
        LoweringError: a kind of neuron that Brian2 is not told how to step; nothing is made then.
    """
    populations = stage.clocked.populations
    cells = {
        name: (populations[name].kind, populations[name].cell) for name in stage.clocked.neurons
    }
    lowered = {name: lower(name, *cell) for name, cell in cells.items()}
    placed = {}
    for place, (name, population) in enumerate(populations.items()):
        if name in lowered:
            placed[name] = _neurons(stage, place, name, lowered[name])
        elif population.kind == "input":
            placed[name] = _input(stage, place, name, inputs[name])
        else:
            placed[name] = _values(stage, place, name, "1", {})
    return placed


def _neurons(stage: Stage, place: int, name: str, lowered: Lowered) -> Placed:
    population = stage.clocked.populations[name]
    group = stage.brian2.NeuronGroup(
        stage.samples * population.size,
        model=_model(stage, name, lowered),
        threshold=lowered.threshold or None,
        reset=lowered.reset if lowered.threshold else None,
        namespace={},
        clock=stage.clock,
        name=f"p{place}",
    )
    for key, values in (*lowered.parameters.items(), *lowered.state.items()):
        setattr(group, key, stage.tiled(values))
    made = Placed(place, group, population.size, bool(lowered.message), lowered=lowered)
    made.moving.append(made.regularly(lowered.update, "update"))
    arrivals = [f"arrived_{k} = 0" for k in range(len(stage.clocked.into(name)))]
    if arrivals:
        made.others.append(made.regularly("\n".join(arrivals), "clear"))
    if lowered.threshold:
        made.moving.extend((group.thresholder["spike"], *group.resetter.values()))
        group.thresholder["spike"].when = made.slot("threshold")
        for resetter in group.resetter.values():
            resetter.when = made.slot("reset")
    if lowered.message:
        _remember(stage, made, name)
        code = f"sent = {lowered.message}"
        made.moving.append(made.regularly(code, "message"))
    return made


def _input(stage: Stage, place: int, name: str, values: Array) -> Placed:
    """Return a source of spikes, or of values where there is one that is not 0 or 1."""
    sent = [values, stage.history[name]] if name in stage.history else [values]
    size = stage.clocked.populations[name].size
    if any(np.any((each != 0) & (each != 1)) for each in sent):
        flat = np.moveaxis(values, 1, 0).reshape(stage.steps, -1)
        stimulus = stage.brian2.TimedArray(flat, dt=stage.dt, name=f"stimulus_{place}")
        return _values(stage, place, name, "stimulus(t, i)", {"stimulus": stimulus})
    sample, step, neuron = np.nonzero(values)
    group = generator(stage, sample * size + neuron, step, size, f"p{place}", f"p{place}_threshold")
    return Placed(place, group, size, False)


def generator(stage: Stage, index: Array, step: Array, size: int, name: str, slot: str) -> Any:
    """Return a group that spikes as it is told.

    Args:
        stage: of this run.
        index: who spikes, sample * size + neuron.
        step: when, of one length with `index`.
        size: neurons of one sample.
        name: for Brian2.
        slot: where in a step.
    """
    return stage.brian2.SpikeGeneratorGroup(
        stage.samples * size,
        index,
        step * stage.dt,
        clock=stage.clock,
        when=slot,
        name=name,
    )


def _values(stage: Stage, place: int, name: str, message: str, namespace: dict[str, Any]) -> Placed:
    """Return a population without state that sends the number `message`."""
    size = stage.clocked.populations[name].size
    group = stage.brian2.NeuronGroup(
        stage.samples * size,
        model=_registers(stage, name),
        namespace=namespace,
        clock=stage.clock,
        name=f"p{place}",
    )
    made = Placed(place, group, size, True)
    _remember(stage, made, name)
    code = f"sent = {message}"
    made.others.append(made.regularly(code, "message"))
    return made


def _model(stage: Stage, name: str, lowered: Lowered) -> str:
    """Return the equations of a population: what it holds and what it has received."""
    arrived = [f"arrived_{k}" for k in range(len(stage.clocked.into(name)))]
    unit = {"f": "1", "i": "integer", "b": "boolean"}
    lines = [f"{key} : {unit[values.dtype.kind]}" for key, values in lowered.state.items()]
    lines += [
        f"{key} : {unit[values.dtype.kind]} (constant)"
        for key, values in lowered.parameters.items()
    ]
    lines += [f"{key} : 1" for key in arrived]
    lines += [f"received = {' + '.join(arrived) or '0.0'} : 1"]
    return "\n".join([*lines, _registers(stage, name) if lowered.message else ""])


def _registers(stage: Stage, name: str) -> str:
    """Return the equations of what is sent, and of what was for as long as it is on its way."""
    return "\n".join(f"{key} : 1" for key in _sent(stage, name))


def _sent(stage: Stage, name: str) -> list[str]:
    clocked = stage.clocked
    ages = [age(clocked, each) for each in clocked.projections if each.pre == name]
    return ["sent", *(f"sent_{k}" for k in range(1, max(ages, default=0) + 1))]


def _remember(stage: Stage, made: Placed, name: str) -> None:
    """Let a sender of values remember what it sent, also before this run."""
    registers = _sent(stage, name)
    history = stage.history.get(name, ())
    for register, values in zip(registers, history[::-1], strict=False):
        setattr(made.group, register, values.ravel())
    shifts = [f"{older} = {newer}" for newer, older in pairwise(registers)]
    if shifts:
        code = "\n".join(reversed(shifts))
        made.others.append(made.regularly(code, "shift"))
