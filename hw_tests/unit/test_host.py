"""Real-valued inputs that the host writes into bias registers, in every arrangement."""

from __future__ import annotations

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.errors import LoweringError, SemanticsError
from spikeport.compiler.network import Affine, Delay, Input, Linear, Network, Output
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif

NIR = Semantics(dt=1e-3, dialect="nir")


def ones(size=1):
    return np.ones(size)


def compared(nodes, edges, x, semantics=NIR, kind="current", chip="loihi1"):
    """Return the parity of reference and chip on the data that the chip was calibrated with."""
    net = Network(nodes, edges, semantics)
    image = sp.compile(net, chip, calibration=x, kind=kind)
    return sp.compare(sp.run(net, x, kind=kind), sp.run(image, x, kind=kind))


def alone(cell, size=1):
    nodes = {"in": Input((size,)), "a": cell, "out": Output((size,))}
    return nodes, (("in", "a"), ("a", "out"))


def test_a_current_that_comes_by_two_ways_of_different_length_comes_twice():
    x = np.random.default_rng(0).random((1, 40, 2))
    nodes = {
        "in": Input((2,)), "late": Delay(np.array([0, 5e-3])), "fc": Linear(np.eye(2)),
        "a": If(1e3 * ones(2), 5 * ones(2), 0 * ones(2)), "out": Output((2,)),
    }  # fmt: skip
    edges = (("in", "late"), ("late", "fc"), ("fc", "a"), ("a", "out"))
    parity = compared(nodes, edges, x)
    assert parity.different == 0
    assert parity.populations["a"].spikes_expected > 5


@pytest.mark.parametrize("first", ["late", "prompt"])
def test_a_bias_acts_with_the_input_that_it_stands_beside(first):
    rng = np.random.default_rng(1)
    x = {"x.i1": rng.random((1, 30, 1)), "x.i2": rng.random((1, 30, 1))}
    nodes = {
        "i1": Input((1,)), "i2": Input((1,)), "late": Delay(np.array([5e-3])),
        "b": Affine(np.eye(1), np.array([0.7])), "a": If(1e3 * ones(), 2 * ones(), 0 * ones()),
        "out": Output((1,)),
    }  # fmt: skip
    late = (("i1", "late"), ("late", "a"))
    prompt = (("i2", "b"), ("b", "a"))
    edges = (*late, *prompt) if first == "late" else (*prompt, *late)
    parity = compared(nodes, (*edges, ("a", "out")), x)
    assert parity.different == 0
    assert parity.populations["a"].spikes_expected > 5


def test_registers_hold_a_drive_that_is_larger_than_the_input():
    small = np.where(np.arange(60) % 2, 0.2, 0.19).reshape(1, 60, 1)
    leaking = Lif(20e-3 * ones(), ones(), 0.9 * ones(), ones(), 0 * ones())
    assert compared(*alone(leaking), small).different == 0
    large = 3 + 0.1 * np.random.default_rng(2).random((1, 60, 1))
    far = Lif(10e-3 * ones(), ones(), 0 * ones(), ones(), -10 * ones())
    assert compared(*alone(far), large).different == 0


def test_calibration_sees_the_current_that_v_sees():
    x = 8 * np.random.default_rng(3).random((1, 300, 1))
    fast = CubaLif(10e-3 * ones(), 1.05e-3 * ones(), ones(), 0 * ones(), ones(), 0 * ones(), ones())
    norse = Semantics(
        dt=1e-3, dialect="norse", current_order="add_v_decay", input_gain="unit_current"
    )
    parity = compared(*alone(fast), x, norse)
    assert parity.populations["a"].spikes_got == parity.populations["a"].spikes_expected
    assert parity.repeated > 0.9  # registers are 12 bits wide, so some are a step off


def test_a_neuron_that_meets_its_threshold_at_rest_spikes_in_every_step_or_is_refused():
    x = (np.random.default_rng(4).random((1, 30, 1)) < 0.3).astype(float)
    always = alone(Lif(10e-3 * ones(), ones(), 0 * ones(), 0 * ones(), 0 * ones()))
    said = Semantics(dt=1e-3, dialect="nir", threshold="greater_equal")
    parity = compared(*always, x, said, "spikes", "generic_graded")
    assert (parity.different, parity.populations["a"].spikes_expected) == (0, 30)
    with pytest.raises(LoweringError, match="the threshold of 'a' is not above its reset level"):
        compared(*always, x, said, "spikes")


def test_spikes_are_not_counted_in_multiples_of_nothing():
    never = alone(Lif(10e-3 * ones(), ones(), 0 * ones(), 0 * ones(), 0 * ones()))
    said = Semantics(dt=1e-3, dialect="nir", spike="count", reset="subtract")
    with pytest.raises(SemanticsError, match="spike=count with the threshold 0 of neuron 0"):
        compared(*never, np.zeros((1, 3, 1)), said, "spikes", "generic_graded")
