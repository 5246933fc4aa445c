"""Graded messages, counts and every reset kind: the emulator against Lava, in every value.

Lava has no process for such neurons, so they run in one of ours, written apart from the
emulator's step; sums, delays and messages are Lava's own. All networks share two Lava runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from hw_tests.graded_programs import (
    MESSAGE_BITS,
    TOP,
    Run,
    analog_rules,
    random_run,
    spiking_rules,
    ties,
)
from spikeport.backends import emulator
from spikeport.compiler.network import Delay, Input, Linear, Network, Output
from spikeport.compiler.program import GRADED, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.compiler.semantics import Semantics
from spikeport.compiler.traces import Traces
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li

DT = 1e-3
CUT = 7
RULES = [*spiking_rules(), *analog_rules()]


def random_runs() -> dict[str, Run]:
    """Return a network for every rule, each with another one beside it; some held, some slow."""
    rng = np.random.default_rng(11)
    runs = {}
    for number, rules in enumerate(RULES):
        beside = RULES[(7 * number + 3) % len(RULES)]
        runs[f"{rules} with {beside}"] = random_run(rng, rules, beside)
    for slow in (2, 3):
        run = random_run(rng, RULES[8], RULES[-2], slow=slow)
        runs[f"slow {slow}"] = replace(run, program=held(run.program, slow + 1))
    run = random_run(rng, RULES[3], RULES[-1])
    runs["held for five steps"] = replace(run, program=held(run.program, 5))
    return runs


def held(program: Program, start_step: int) -> Program:
    populations = dict(program.populations)
    late = replace(populations["a"].cell, start_step=start_step)
    return replace(program, populations=populations | {"a": replace(populations["a"], cell=late)})


def wrapping() -> Run:
    """Return sums of full messages that leave 32 bits, in one projection and over two."""
    size, row = 600, np.full((1, 600), 254, np.int32)
    left, right = row.copy(), row.copy()
    left[:, 300:], right[:, :300] = 0, 0
    loud = neutral_cell(
        size, v_initial=np.full(size, TOP, np.int32), spiking=False, reset="none",
        message_bits=MESSAGE_BITS, message_shift=1,
    )  # fmt: skip
    listener = neutral_cell(1, v_threshold=np.full(1, GRADED.never, np.int32))
    populations = {
        "in": CellPopulation("input", (1,), None, np.ones(1)),
        "a": CellPopulation("LI", (size,), loud, np.ones(size)),
        "one": CellPopulation("LI", (1,), listener, np.ones(1)),
        "two": CellPopulation("LI", (1,), listener, np.ones(1)),
        "up": CellPopulation("LI", (1,), listener, np.ones(1)),
        "down": CellPopulation("LI", (1,), listener, np.ones(1)),
    }
    synapses = (
        Synapses.of("whole", "a", "one", row, 0, "mixed"),
        Synapses.of("left", "a", "two", left, 0, "mixed"),
        Synapses.of("right", "a", "two", right, 0, "mixed"),
        Synapses.of("shifted", "a", "up", left, 3, "mixed"),
        Synapses.of("shifted down", "a", "down", row, -7, "mixed"),
    )
    program = Program(
        DT, populations, synapses, {"out": "one"}, {}, GRADED, message_bits=MESSAGE_BITS
    )
    return Run(program, {"in": np.zeros((1, 4, 1), np.int64)}, 4)


def compiled(kind: Any, said: Semantics, steps: int) -> Run:
    """Return a network whose second layer hears the first `steps` later, over relays."""
    rng = np.random.default_rng(2)
    nodes = {
        "in": Input((4,)), "f1": Linear(rng.normal(0.3, 1, (3, 4))), "a": kind,
        "late": Delay(np.array([0, 9, steps]) * DT), "f2": Linear(rng.normal(0.3, 1, (3, 3))),
        "b": integrators(), "out": Output((3,)),
    }  # fmt: skip
    row = list(nodes)
    edges = tuple(zip(row[:-1], row[1:], strict=True))  # noqa: RUF007
    x = np.zeros((2, steps + 20, 4), np.int64)
    x[:, :20] = rng.random((2, 20, 4)) < 0.5
    program = sp.compile(Network(nodes, edges, said), "generic_graded", calibration=x).program
    assert any(".relay" in name for name in program.populations)
    return Run(program, {"in": x}, steps + 20)


def integrators() -> If:
    one = np.ones(3)
    return If(one / DT, one, 0 * one)


def relayed() -> dict[str, Run]:
    one = np.ones(3)
    counts = Semantics(dt=DT, spike="count", reset="subtract", threshold="greater_equal")
    return {
        "relays of counts": compiled(integrators(), counts, 70),
        "relays of messages": compiled(Li(5 * DT * one, 3 * one, one), Semantics(dt=DT), 70),
    }


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    tied = {f"ties, {rules}": ties(rules) for rules in spiking_rules()}
    return {**random_runs(), **tied, "sums that wrap": wrapping(), **relayed()}


@pytest.fixture(scope="module")
def whole(lava: Any, runs: dict[str, Run]) -> dict[str, Traces]:
    """Lava's run of every network, and of its first steps, in one go."""
    jobs = [lava.Job(each.program, each.inputs, each.steps) for each in runs.values()]
    begun = [lava.Job(each.program, first(each), CUT) for each in pieces(runs).values()]
    answers = lava.run_many([*jobs, *begun])
    names = [*runs, *(f"first steps: {name}" for name in pieces(runs))]
    return dict(zip(names, answers, strict=True))


def pieces(runs: dict[str, Run]) -> dict[str, Run]:
    """Return the networks that are run in two pieces: those of 16 steps."""
    return {name: each for name, each in runs.items() if each.steps == 16}


def first(run: Run) -> dict[str, Any]:
    return {name: x[:, :CUT] for name, x in run.inputs.items()}


def last(run: Run) -> dict[str, Any]:
    return {name: x[:, CUT:] for name, x in run.inputs.items()}


def emulated(run: Run, inputs: Any = None, steps: int = 0, state: Any = None) -> Traces:
    probe = [f"{name}.{variable}" for name in run.program.neurons for variable in "uv"]
    given = run.inputs if inputs is None else inputs
    return emulator.run(run.program, given, steps or run.steps, state, probe)


def differences(ours: Traces, theirs: Traces) -> list[str]:
    """Return in which u, v, spikes, messages and states two runs differ."""
    found = [key for key in ours.probes if not same(ours.probes[key], theirs.probes[key])]
    for name, events in ours.spikes.items():
        if not same(events.dense(), theirs.spikes[name].dense()):
            found.append(f"spikes of {name}")
    for name, sent in ours.state.history.items():
        if not same(sent, theirs.state.history[name]):
            found.append(f"what {name} sent last")
    for name, variables in ours.state.variables.items():
        found += [
            f"{key} that {name} keeps"
            for key, value in variables.items()
            if not same(value, theirs.state.variables[name][key])
        ]
    return found


def same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other))


def test_every_kind_of_neuron_equals_lava_in_every_value(
    runs: dict[str, Run], whole: dict[str, Traces]
):
    found = {name: differences(emulated(each), whole[name]) for name, each in runs.items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert len(found) > 40
    sent = {name: sum(e.total for e in whole[name].spikes.values()) for name in runs}
    assert sum(total > 20 for total in sent.values()) > 35, "they are lively"


def test_a_run_goes_on_from_lavas_state_and_from_the_emulators(
    lava: Any, runs: dict[str, Run], whole: dict[str, Traces]
):
    parts = pieces(runs)
    states = [whole[f"first steps: {name}"].state for name in parts]
    states += [emulated(each, first(each), CUT).state for each in parts.values()]
    jobs = [
        lava.Job(each.program, last(each), 16 - CUT, state)
        for each, state in zip([*parts.values()] * 2, states, strict=True)
    ]
    answers = lava.run_many(jobs)
    for name, one, other in zip(parts, answers, answers[len(parts) :], strict=False):
        assert differences(one, other) == [], name
        for key, values in one.probes.items():
            assert same(values, whole[name].probes[key][:, CUT:]), (name, key)
        owed = whole[f"first steps: {name}"].state.variables
        assert owed["a"].keys() >= {"u", "v", "refractory", "pending"}
    pending = [state.variables["a"]["pending"].any() for state in states]
    assert sum(pending) > 5, "some states hold spikes that still have to reset v"


def test_the_notes_say_which_neurons_ran_in_a_process_of_ours(
    runs: dict[str, Run], whole: dict[str, Traces]
):
    for name, each in runs.items():
        assert len(whole[name].notes) == len(each.program.neurons)
        assert "(states of 32 bits)" in whole[name].notes[0]
        assert "SpikeportNeuron" in whole[name].extra["own_processes"]
