"""The emulator's Speck against recordings of sinabs' IAF in integers, and one scale per layer.

sinabs steps a network as we do here: all events of a step are added, then v is compared, layer
after layer. The chip handles events one by one, so equality with sinabs says that the integers
are right, not that single steps of the chip are. Recorded by hw_tests/sinabs_speck_oracle.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse

from spikeport.backends import emulator, find_chip, reference
from spikeport.compiler.errors import FitError, LoweringError
from spikeport.compiler.network import (
    Affine,
    Conv2d,
    Convolution,
    Flatten,
    Input,
    Linear,
    Network,
    Output,
    SumPool2d,
)
from spikeport.compiler.passes.convolution import conv_matrix, pool_matrix
from spikeport.compiler.pipeline import compile_network, to_clocked
from spikeport.compiler.place.place import place
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.quantize.arithmetic import arithmetic_of
from spikeport.compiler.quantize.cell import always_spiking, neutral_cell
from spikeport.compiler.quantize.peak import Peaks
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.if_ import If

SPECK = find_chip("speck2f")
ARITHMETIC = arithmetic_of(SPECK)
FORGETS = (1 << ARITHMETIC.decay_bits) - 1  # u is what arrives in the step
ALWAYS = always_spiking(SPECK, ARITHMETIC)


@pytest.fixture(scope="module")
def recordings():
    networks = []
    for path in sorted((Path(__file__).parents[1] / "golden" / "speck").glob("*.npz")):
        with np.load(path) as file:
            arrays = dict(file)
        found = {}
        for name, values in arrays.items():
            key, _, rest = name.partition("/")
            found.setdefault(key, {})[rest] = values
        networks += [{**each, "spec": json.loads(str(each["spec"]))} for each in found.values()]
    return networks


def matrix_of(layer, weight, shape):
    """Return (matrix, shape after it) of a recorded layer on maps of a shape."""
    pool = layer["pool"]
    channels, rows, columns = shape[0], shape[1] // pool, shape[2] // pool
    if "stride" in layer:
        stride, padding, size = layer["stride"], layer["padding"], weight.shape[2:]
        after = (
            len(weight),
            *(
                (extent + 2 * pad - taps) // step + 1
                for extent, pad, taps, step in zip(
                    (rows, columns), padding, size, stride, strict=True
                )
            ),
        )
        before = (channels, rows, columns)
        conv = Convolution(weight, tuple(stride), tuple(padding), (1, 1), 1, before, after)
        matrix = conv_matrix(conv)
    else:
        matrix, after = sparse.csr_matrix(weight.astype(np.int64)), (len(weight), 1, 1)
    if pool > 1:
        matrix = matrix @ pool_matrix(SumPool2d((pool, pool), (pool, pool), (0, 0)), shape)
    whole = sparse.csr_matrix(np.rint(matrix.toarray()).astype(np.int32))
    return whole, after


def program_of(network):
    """Return a recorded network as a Program for Speck: delays of 0, biases from a constant."""
    shape = network["input"].shape[1:]
    populations = {
        "in": CellPopulation("input", shape, None, np.ones(1)),
        "one": CellPopulation("constant", (1,), ALWAYS, np.ones(1)),
    }
    synapses, before = [], "in"
    for number, layer in enumerate(network["spec"]):
        name, weight = f"layer{number}", network[f"weight/{number}"]
        matrix, shape = matrix_of(layer, weight, shape)
        size = matrix.shape[0]
        floor = -ARITHMETIC.largest_state if layer["floor"] is None else layer["floor"]
        cell = neutral_cell(
            size,
            decay_u=np.full(size, FORGETS, np.int32),
            v_threshold=np.full(size, layer["threshold"], np.int32),
            v_min=np.full(size, floor, np.int32),
            reset=layer["reset"],
            spike=layer["spike"],
            threshold="greater_equal",
            message_bits=SPECK.message_bits if layer["spike"] == "count" else 0,
        )
        populations[name] = CellPopulation("IF", shape, cell, np.ones(size))
        bias = np.repeat(network[f"bias/{number}"], size // shape[0]).astype(np.int32)[:, None]
        synapses += [
            Synapses.of(f"w{number}", before, name, matrix, 0, "signed", 8, 0),
            Synapses.of(f"b{number}", "one", name, bias, 0, "signed", 8, 0),
        ]
        before = name
    lags = dict.fromkeys(populations, 0)
    return Program(
        1e-3, populations, tuple(synapses), {"out": before}, lags, ARITHMETIC,
        message_bits=SPECK.message_bits,
    )  # fmt: skip


def emulate(network, **more):
    program = program_of(network)
    x = network["input"].reshape(1, len(network["input"]), -1)
    layers = [name for name in program.neurons if name != "one"]
    return emulator.run(program, {"in": x}, probe=[f"{name}.v" for name in layers], **more)


def differences(network):
    """Return where our run differs from the recording: (variable, step, neuron)."""
    traces = emulate(network)
    found = [("overflow", name) for name, cells in traces.extra["overflows"].items() if cells]
    for number in range(len(network["spec"])):
        ours = traces.spikes[f"layer{number}"].dense()[0]
        for key, values in (
            (f"spikes/{number}", ours.reshape(len(ours), -1)),
            (f"v/{number}", traces.probes[f"layer{number}.v"][0]),
        ):
            wrong = np.argwhere(values != network[key]).tolist()
            found += [(key, *at) for at in wrong]
    return found


# --- against sinabs ----------------------------------------------------------------------------


def test_every_spike_count_and_v_equals_sinabs(recordings):
    assert len(recordings) >= 40
    wrong = {key: found[:3] for key, each in enumerate(recordings) if (found := differences(each))}
    assert wrong == {}


def test_the_recordings_reach_what_they_are_for(recordings):
    layers = [layer for each in recordings for layer in each["spec"]]
    counts = np.concatenate(
        [each[key].ravel() for each in recordings for key in each if key.startswith("spikes/")]
    )
    assert {(layer["spike"], layer["reset"]) for layer in layers} == {
        (spike, reset) for spike in ("count", "binary") for reset in ("subtract", "to_value")
    }
    assert {layer["pool"] for layer in layers} == {1, 2, 4}
    assert {"stride" in layer for layer in layers} == {True, False}
    assert {layer["floor"] is None for layer in layers} == {True, False}
    assert any(len(each["spec"]) == 4 for each in recordings)
    assert any(each["input"].max() > 1 for each in recordings)
    assert counts.max() > 15
    assert (counts > 0).mean() > 0.1


def test_every_recorded_network_is_placed_with_the_kernel_and_pooling_it_was_made_of(recordings):
    for network in recordings:
        program = program_of(network)
        plan = place(program, SPECK).plan
        for number, layer in enumerate(network["spec"]):
            weight, found = network[f"weight/{number}"], plan.layers[f"layer{number}"]
            if weight.any() and "stride" in layer:
                # Zeros at its edge, or too few outputs to tell, can make a kernel smaller.
                assert found.window.kernel[0] <= weight.shape[2] or found.after[1:] != (1, 1)
            assert min(found.sources.values()) >= layer["pool"] or not weight.any()


# --- delays of 0 -------------------------------------------------------------------------------


def test_running_on_is_continuing_where_layers_answer_at_once(recordings):
    for network in recordings[:10]:
        program = program_of(network)
        whole, first = emulate(network), emulate(network, steps=5)
        x = network["input"].reshape(1, len(network["input"]), -1)
        rest = emulator.run(program, {"in": x[:, 5:]}, state=first.state)
        for name, events in whole.spikes.items():
            joined = np.concatenate([first.spikes[name].dense(), rest.spikes[name].dense()], axis=1)
            assert np.array_equal(joined, events.dense())


def network_of(*, threshold="greater_equal", loop=False, **semantics):
    """Return in -> conv -> IF -> pool -> dense -> IF, in floats and with biases."""
    rng = np.random.default_rng(4)

    def neurons(*shape):
        return If(np.ones(shape), np.full(shape, 0.7), np.zeros(shape))

    conv = Conv2d(
        rng.uniform(-0.3, 0.4, (3, 2, 3, 3)), rng.uniform(-0.1, 0.1, 3), (1, 1), (1, 1), (1, 1), 1
    )
    nodes = {
        "in": Input((2, 8, 8)),
        "conv": conv,
        "a": neurons(3, 8, 8),
        "pool": SumPool2d((2, 2), (2, 2), (0, 0)),
        "flatten": Flatten(0, -1),
        "fc": Affine(rng.uniform(-0.3, 0.4, (4, 48)), rng.uniform(-0.1, 0.1, 4)),
        "b": neurons(4),
        "out": Output((4,)),
    }
    edges = list(pairwise(nodes))
    if loop:
        nodes["back"] = Linear(np.full((4, 4), 0.1))
        edges += [("b", "back"), ("back", "b")]
    said = Semantics(
        dt=1.0, input_gain="unit", reset="subtract", spike="count", threshold=threshold, **semantics
    )
    return Network(nodes, tuple(edges), said)


PEAKS = {name: Peaks(6.0, 8.0) for name in ("a", "b")}


# --- from a graph ------------------------------------------------------------------------------


def test_weights_biases_thresholds_and_states_of_a_layer_share_one_scale():
    image = compile_network(network_of(), SPECK, PEAKS)
    clocked = to_clocked(network_of())
    for name in ("a", "b"):
        population = image.program.populations[name]
        scale = population.scale[0]
        assert (population.scale == scale).all()
        assert (population.cell.v_threshold == np.rint(0.7 * scale)).all()
        for ours, floats in zip(image.program.into(name), clocked.into(name), strict=True):
            assert (ours.name, ours.exponent, ours.delay_steps) == (floats.name, 0, 0)
            dense = sparse.csr_matrix(floats.matrix).toarray()
            assert np.array_equal(ours.rows.toarray(), np.rint(dense * scale))


def test_no_layer_answers_later_than_its_input():
    program = compile_network(network_of(), SPECK, PEAKS).program
    assert set(program.lags.values()) == {0}
    assert program.last_lag == 0


def test_the_pool_between_two_layers_belongs_to_the_first():
    plan = compile_network(network_of(), SPECK, PEAKS).plan
    assert plan.layers["b"].sources == {"a": 2}
    assert plan.layers["b"].before == (3, 4, 4)
    assert plan.layers["b"].window.kernel == (4, 4)


def test_the_chip_counts_nearly_the_spikes_of_the_reference():
    net = network_of()
    image = compile_network(net, SPECK, PEAKS)
    x = (np.random.default_rng(5).random((4, 30, 128)) < 0.2).astype(float)
    ours = emulator.run(image, {"in": x}).spikes["b"].dense().sum(axis=1)
    floats = reference.run(to_clocked(net), {"in": x}).spikes["b"].dense().sum(axis=1)
    assert floats.sum() > 200
    assert np.abs(ours - floats).sum() <= 0.03 * floats.sum()  # weights of 8 bits


def test_a_loop_is_refused_by_name():
    with pytest.raises(LoweringError, match="loop: b -> b") as caught:
        compile_network(network_of(loop=True), SPECK, PEAKS)
    assert "no order" in str(caught.value)


def test_a_loop_in_a_program_is_refused_by_name_too():
    program = compile_network(network_of(), SPECK, PEAKS).program
    back = Synapses.of("back", "b", "b", np.ones((4, 4), np.int32), 0, "signed", 8, 0)
    with pytest.raises(FitError, match="b -> b is a loop"):
        place(replace(program, synapses=(*program.synapses, back)), SPECK)


def test_delays_are_refused_by_name_and_the_advice_removes_them():
    late = {"feedforward_lag": 1, "bias_at_start": False}
    with pytest.raises(LoweringError, match=r"'conv' \(1 step\)") as caught:
        compile_network(network_of(**late), SPECK, PEAKS)
    assert "--set feedforward_lag=0 --set bias_at_start=true" in caught.value.fix
    compile_network(network_of(feedforward_lag=0, bias_at_start=True), SPECK, PEAKS)
