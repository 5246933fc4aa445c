"""The emulator's brian2_loihi datapath against recordings of brian2_loihi 0.5.2, bit for bit.

Both programs mean the same machine, in other conventions. To compare them,

* decay: brian2_loihi takes the share that is lost, decay_I of 4096; the chip adds one to its
  register, so decay_I = decay_u + 1. decay_v is the same number in both.
* lag: a spike that LoihiSpikeGeneratorGroup fires in step t is added to I in step t, one that a
  neuron fires in step t in step t + 1 (delay 0). Here a spike always acts delay_steps >= 1 after
  its own step: so delay_steps = delay + 1, and the generator's step t + 1 is our input's step t.
* variables: u[t] is I after the synapses of step t (where LoihiStateMonitor reads it), v[t] is v
  at the end of step t, after reset. Both programs count steps from 0.
* a weight is rounded toward zero to its bits, then shifted by the exponent and rounded down by
  itself, then << 6, then clipped to +-(2**21 - 2**6).

The recording (by record_brian2_loihi.py, in an environment of its own) holds brian2_loihi's own
arguments and values; what stands above is done here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikeport.backends import emulator
from spikeport.compiler import fixed
from spikeport.compiler.program import BRIAN2_LOIHI, Cell, CellPopulation, Program, Synapses

SIGN_MODES = {1: "mixed", 2: "excitatory", 3: "inhibitory"}
LOWEST = np.iinfo(np.int32).min


@pytest.fixture(scope="module")
def recording():
    with np.load(Path(__file__).with_name("brian2_loihi.npz")) as file:
        arrays = dict(file)
    count = sum(name.endswith("/spec") for name in arrays)
    networks = [
        {name.partition("/")[2]: arrays[name] for name in arrays if name.startswith(f"{key}/")}
        for key in range(count)
    ]
    for each in networks:
        each["spec"] = json.loads(str(each["spec"]))
    return networks


def name_of(group):
    return f"group{group}" if group >= 0 else "generator"


def population(group):
    """Return a LoihiNeuronGroup as a population of ours."""

    def same(value):
        return np.full(group["N"], value, np.int32)

    cell = Cell(
        decay_u=same(group["decay_I"] - 1),
        decay_v=same(group["decay_v"]),
        v_threshold=same(group["threshold_v_mant"]),
        bias_mantissa=same(0),
        bias_exponent=same(0),
        v_reset=same(0),
        v_initial=same(0),
        v_min=same(LOWEST),
        refractory_steps=same(group["refractory"]),
    )
    return CellPopulation("CubaLIF", (group["N"],), cell, np.ones(group["N"]))


def synapses(number, projection, weight):
    """Return LoihiSynapses as a projection of ours."""
    mode, bits = SIGN_MODES[projection["sign_mode"]], projection["num_weight_bits"]
    return Synapses.of(
        name=f"w{number}",
        pre=name_of(projection["pre"]),
        post=name_of(projection["post"]),
        mantissa=fixed.truncate_weights(weight, mode, bits, "zero").astype(np.int32),
        exponent=projection["w_exp"],
        sign_mode=mode,
        weight_bits=bits,
        delay_steps=projection["delay"] + 1,
    )


def program_of(network):
    spec = network["spec"]
    sources = network["input"].shape[1]
    groups = {name_of(k): population(group) for k, group in enumerate(spec["groups"])}
    return Program(
        dt=1e-3,
        populations={
            "generator": CellPopulation("input", (sources,), None, np.ones(sources)),
            **groups,
        },
        synapses=tuple(
            synapses(k, each, network[f"weight/{k}"]) for k, each in enumerate(spec["projections"])
        ),
        outputs={"out": "group0"},
        lags={"group0": 0},
        arithmetic=BRIAN2_LOIHI,
    )


def emulate(network):
    """Return our Traces of a recorded network, over all of its steps."""
    program = program_of(network)
    x = network["input"][None, 1:]  # our step t is the generator's step t + 1
    probe = [f"{name}.{variable}" for name in program.neurons for variable in ("u", "v")]
    return emulator.run(program, {"generator": x}, steps=len(network["input"]), probe=probe)


def differences(network):
    """Return where our run differs from the recording: (variable, step, neuron)."""
    traces = emulate(network)
    found = []
    for k in range(len(network["spec"]["groups"])):
        name = name_of(k)
        for key, ours in (
            (f"I/{k}", traces.probes[f"{name}.u"][0]),
            (f"v/{k}", traces.probes[f"{name}.v"][0]),
            (f"spikes/{k}", traces.spikes[name].dense()[0]),
        ):
            found += [(key, *at) for at in np.argwhere(ours != network[key]).tolist()]
    return found


def test_every_current_voltage_and_spike_equals_brian2_loihi(recording):
    assert len(recording) >= 500
    wrong = {key: first for key, each in enumerate(recording) if (first := differences(each)[:3])}
    assert wrong == {}


def test_the_recording_reaches_what_it_is_for(recording):
    groups = [group for each in recording for group in each["spec"]["groups"]]
    projections = [each for network in recording for each in network["spec"]["projections"]]
    values = {
        variable: np.concatenate(
            [each[key].ravel() for each in recording for key in each if key.startswith(variable)]
        )
        for variable in ("I/", "v/", "spikes/")
    }
    assert {each["w_exp"] for each in projections} == set(range(-7, 8))
    assert {each["sign_mode"] for each in projections} == {1, 2, 3}
    assert {each["delay"] for each in projections} == set(range(6))
    assert {group["refractory"] for group in groups} == set(range(1, 6))
    assert {0, 131071} < {group["threshold_v_mant"] for group in groups}
    assert any(each["pre"] >= each["post"] >= 0 for each in projections)  # recurrent
    assert values["spikes/"].sum() > 4000
    assert values["I/"].max() > 2**31  # no wrap at 24 bits, nor at 32
    assert values["v/"].min() < -(2**23)  # no clip


def test_without_the_plus_one_on_decay_u_currents_differ(recording):
    """The convention is needed: with decay_u = decay_I most currents are others."""
    off_by_one = json.loads(json.dumps(recording[0]["spec"]))
    for group in off_by_one["groups"]:
        group["decay_I"] = min(group["decay_I"] + 1, 4096)
    assert differences({**recording[0], "spec": off_by_one})
