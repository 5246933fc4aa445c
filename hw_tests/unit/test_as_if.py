"""What a chip that refuses a network would take: the reference's spikes, the chip's figures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.network import Affine, Input, Network, Output
from spikeport.models.neurons.lif import Lif
from spikeport.side_by_side import deploy_side_by_side

SAMPLES, STEPS, INPUTS, NEURONS = 3, 12, 20, 30


def network(neurons: int = NEURONS) -> Network:
    """A layer of leaky neurons, which neither TrueNorth nor ODIN has."""
    rng = np.random.default_rng(3)
    flat = np.ones(neurons)
    nodes = {
        "input": Input((INPUTS,)),
        "fc": Affine(rng.normal(0, 0.5, (neurons, INPUTS)), np.zeros(neurons)),
        "lif": Lif(flat * 1e-2, flat * 10, flat * 0, flat, flat * 0),
        "output": Output((neurons,)),
    }
    net = Network(nodes, tuple(pairwise(nodes)), name="leaky")
    return net.with_semantics(sp.Semantics(dt=1e-3, dialect="nir"))


def spikes() -> np.ndarray:
    return (np.random.default_rng(4).random((SAMPLES, STEPS, INPUTS)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def rows():
    found = deploy_side_by_side(
        network(), "loihi1,truenorth,odin,loihi2", spikes(), backends_wanted=("emulator",)
    )
    return {row["chip"]: row for row in found["chips"]}


def test_a_chip_that_refuses_has_an_estimate_apart_from_its_own_cost(rows):
    for name in ("truenorth", "odin"):
        row = rows[name]
        assert not row["fits"]
        assert (row["energy"], row["time"]) == (None, None)
        assert row["as_if"]["note"].startswith("an estimate as if the network fitted")
    assert "as_if" not in rows["loihi1"]
    assert rows["loihi1"]["energy"]["known"]


def test_on_truenorth_every_synapse_of_a_spike_is_an_event_and_a_step_is_a_tick(rows):
    """The weights are all there, so an input spike is 30 events; lif sends to nobody."""
    estimate = rows["truenorth"]["as_if"]
    events = spikes().sum() / SAMPLES * NEURONS
    assert estimate["energy"]["joules_per_sample"] == pytest.approx(events * 2.297e-12)
    assert estimate["time"]["latency"]["seconds"] == pytest.approx(STEPS * 1e-3)
    static = 0.06443 * STEPS * 1e-3
    assert estimate["energy"]["static_joules_per_sample"] == pytest.approx(static)
    assert any("Akopyan" in source for source in estimate["energy"]["sources"])


def test_on_odin_every_spike_that_enters_reads_a_row_of_256(rows):
    estimate = rows["odin"]["as_if"]
    packets = spikes().sum() / SAMPLES
    assert estimate["energy"]["joules_per_sample"] == pytest.approx(packets * 256 * 8.43e-12)
    assert estimate["time"]["latency"]["seconds"] == pytest.approx(packets * 513 / 75e6)


def test_more_neurons_than_there_are_cores_for_have_no_estimate():
    found = deploy_side_by_side(
        network(300), "loihi1,odin", spikes(), backends_wanted=("emulator",)
    )
    estimate = found["chips"][1]["as_if"]
    assert estimate["energy"] == estimate["time"]
    assert estimate["energy"]["why"] == ("its neurons take 2 cores of odin, of which there are 1")


def test_chips_without_figures_say_what_is_unknown_and_others_why_they_are_not_comparable(rows):
    assert rows["loihi2"]["energy"]["why"] == ("no energy per event has been published for loihi2")
    assert rows["loihi2"]["time"]["why"] == "no time per event has been published for loihi2"
    assert rows["loihi1"]["not_comparable"] == []
    assert rows["loihi2"]["not_comparable"] == []
    (reason,) = rows["truenorth"]["not_comparable"]
    assert "14 nm" in reason
    assert "28 nm" in reason
