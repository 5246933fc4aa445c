"""What a chip refuses: every kind by itself, and the limits beside it, all in one pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.errors import LoweringError, Refused
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.program import Cell
from spikeport.compiler.quantize.arithmetic import arithmetic_of
from spikeport.compiler.quantize.cell import always_spiking
from spikeport.compiler.semantics import preset
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif
from spikeport.models.neurons.membrane import start_integer, step_integer


def lif(size: int, v_leak: float = 0.0) -> Lif:
    one = np.ones(size)
    return Lif(one * 1e-2, one, one * v_leak, one, one * 0)


def chain(inputs: int, *layers: Lif | If, **semantics: object) -> Network:
    """Return input -> dense -> layer -> dense -> layer ... -> output."""
    nodes: dict[str, object] = {"input": Input((inputs,))}
    before = inputs
    for number, layer in enumerate(layers, 1):
        size = layer.v_threshold.size
        nodes[f"fc{number}"] = Linear(np.full((size, before), 0.5))
        nodes[f"n{number}"] = layer
        before = size
    nodes["output"] = Output((before,))
    said = replace(preset("nir"), dt=1e-3, **semantics)
    return Network(nodes, tuple(pairwise(nodes)), name="net").with_semantics(said)


def test_every_population_is_refused_by_itself():
    net = chain(3, lif(4), lif(2))
    with pytest.raises(Refused) as caught:
        sp.compile(net, chip="odin")
    assert [error.what for error in caught.value.refusals] == ["'n1' is a LIF", "'n2' is a LIF"]
    details = sp.check(net, "odin")["details"]
    assert [each["what"] for each in details] == [
        "'n1' is a LIF: odin runs IF, Relay",
        "'n2' is a LIF: odin runs IF, Relay",
    ]
    assert all("--chip generic_graded" in each["fix"] for each in details)
    assert sp.check(net, "generic_graded")["fits"]  # the advice works


def test_everything_that_one_population_does_wrong_is_named():
    net = chain(3, lif(4), reset="none", reset_when="next_step", refractory=1.0)
    with pytest.raises(Refused) as caught:
        sp.compile(net, chip="loihi1")
    assert [error.what for error in caught.value.refusals] == [
        "'n1' is reset by none",
        "'n1' is reset in the step after a spike",
        "'n1' is refractory for 1000 steps",
    ]
    assert "1 population of the network" in caught.value.what


def test_limits_are_told_beside_what_the_chip_cannot_do():
    wide = If(np.ones(1200), np.ones(1200), np.zeros(1200))
    verdict = sp.check(chain(40, wide, lif(9)), "xylo_audio2")
    figures = [(each["figure"], each["limit"]) for each in verdict["details"]]
    assert figures[:2] == [(None, None)] * 2  # reset to a value, twice
    assert (40, 16) in figures
    assert (9, 8) in figures
    assert any(figure == 1200 and limit == 1000 for figure, limit in figures)


def test_real_values_are_refused_where_a_bias_register_only_subtracts():
    net = chain(3, If(np.ones(2), np.ones(2), np.zeros(2)))
    x = np.full((1, 5, 3), 0.1)
    with pytest.raises(LoweringError, match="is moved up in every step: bias registers of odin"):
        sp.compile(net, chip="odin", calibration=x, kind="current")
    assert sp.compile(net, chip="loihi1", calibration=x, kind="current").program.host


def test_a_bias_neuron_without_a_positive_register_fires_at_zero():
    for name in ("odin", "loihi1", "spinnaker1"):
        chip = sp.chip(name)
        cell = always_spiking(chip, arithmetic_of(chip))
        assert isinstance(cell, Cell)
        state = start_integer(cell, 1)
        bias = (cell.bias_mantissa << cell.bias_exponent).astype(np.int64)
        for _ in range(3):
            nothing = np.zeros((1, 1), np.int64)
            assert step_integer(cell, arithmetic_of(chip), state, nothing, bias)[0].tolist() == [
                [1]
            ]
