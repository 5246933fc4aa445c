"""Xylo's relays repeat exactly, and echoes end a current that the network has not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

import spikeport as sp
from hw_tests.xylo_models import (
    DT,
    chip,
    compared,
    compiled,
    cuba,
    integrator,
    lasting,
    lif,
    near,
    net_of,
    spikes,
    with_delay,
)
from spikeport.compiler.errors import FitError
from spikeport.compiler.network import Conv2d, Flatten, Input, Linear, Network, Output
from spikeport.compiler.program import Program
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.lif import Lif

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("steps", [2, 4])
def test_a_relay_repeats_every_count_one_step_later(steps: int):
    x = spikes(most=15)
    net = with_delay(steps)
    image = compiled(net, x)
    traces = sp.run(image, x, kind="counts")
    relays = [name for name, pop in image.program.populations.items() if pop.kind == "Relay"]
    assert len(relays) == steps - 1  # the hidden layer's spikes are a step late by themselves
    sent = traces.spikes["h"].dense()
    assert sent.max() > 1
    for late, name in enumerate(relays, start=1):
        repeated = traces.spikes[name].dense()
        assert np.array_equal(repeated[:, late:], sent[:, :-late])
        assert not repeated[:, :late].any()
    assert near(net, spikes(), "o", compiled(net, spikes()))[1] < 0.05


def test_a_path_that_skips_a_layer_is_relayed_exactly():
    net = net_of()
    nodes = {
        **net.nodes,
        "h2": cuba(20),
        "f": Linear(np.eye(20, 60) * 0.3),
        "g": Linear(np.full((8, 20), 0.1)),
    }
    edges = (*net.edges, ("h", "f"), ("f", "h2"), ("h2", "g"), ("g", "o"))
    skipping = Network(nodes, edges, net.semantics)
    x = spikes()
    image = compiled(skipping, x)
    assert [pop.size for pop in image.program.populations.values() if pop.kind == "Relay"] == [60]
    assert near(skipping, x, "o", image)[1] < 0.05


# --- echoes ----------------------------------------------------------------------------------


def weighted_sum(program: Program, sent: dict[str, Array], post: str) -> Array:
    """Return half of what ends in a population without its echoes: the network's own current."""
    total = np.zeros((*next(iter(sent.values())).shape[:2], program.populations[post].size))
    for each in program.into(post):
        if not each.name.endswith("echo"):
            late = np.roll(sent[each.pre], each.delay_steps, axis=1)
            late[:, : each.delay_steps] = 0
            total += late @ (each.mantissa.T << each.exponent) / 2
    return total


@pytest.mark.parametrize(
    ("hidden", "readout"),
    [(lif(60, 0.5), lif(8, 1.0)), (integrator(60, 0.5), cuba(8)), (cuba(60), lif(8, 0.5))],
    ids=["both", "hidden", "readout"],
)
def test_an_echo_ends_the_current_to_the_last_bit(hidden: Any, readout: Any):
    x = spikes()
    net = net_of(hidden=hidden, readout=readout)
    image = compiled(net, x)
    traces = sp.run(image, x, probe=["h.u", "o.u"])
    sent = {name: events.dense().astype(np.int64) for name, events in traces.spikes.items()}
    sent["in"] = np.zeros((*sent["h"].shape[:2], 16), np.int64)
    sent["in"][:, : x.shape[1]] = x
    ended = [name for name in "ho" if net.nodes[name].nir_type != "CubaLIF"]
    for name in ended:
        assert traces.probes[f"{name}.u"].any()
        wanted = weighted_sum(image.program, sent, name)
        assert np.array_equal(traces.probes[f"{name}.u"], wanted)
    assert any(f"{', '.join(ended)}: no synaptic current lasts" in n for n in image.program.notes)


def test_a_lif_network_runs_with_nearly_every_count_of_the_reference():
    x, unseen = spikes(), spikes(99)
    net = net_of(hidden=lif(60, 0.5), readout=lif(8, 1.0))
    image = compiled(net, x)
    cells, counts = near(net, unseen, "h", image)
    assert cells > 0.98
    assert counts < 0.01
    ideal, found = compared(net, unseen, "o", image)
    assert np.mean(ideal == found) > 0.97
    assert (ideal.sum(axis=1).argmax(axis=1) == found.sum(axis=1).argmax(axis=1)).all()
    (use,) = image.cores
    assert use.held["inputs"] == (16, 16)
    assert use.held["hidden"] == (60 + 16 + 60, 1000)


def over_a_map(kind: Any) -> Network:
    """Return a convolution over 4 x 4 pixels, so a sparse matrix, and a dense readout."""
    rng = np.random.default_rng(1)
    conv = Conv2d(rng.normal(0.1, 0.3, (2, 1, 3, 3)), np.zeros(2), (1, 1), (1, 1), (1, 1), 1)
    one = np.ones((2, 4, 4))
    tau, zero = lasting(3) * one, 0 * one
    lasts = CubaLif(tau, tau, one, zero, one, zero, one)
    hidden = lasts if kind is CubaLif else Lif(tau, one, zero, one, zero)
    nodes = {
        "in": Input((1, 4, 4)), "conv": conv, "h": hidden, "flat": Flatten(0, -1),
        "fc": Linear(rng.normal(0.05, 0.1, (4, 32))), "o": cuba(4), "out": Output((4,)),
    }  # fmt: skip
    return Network(nodes, tuple(pairwise(nodes)), net_of().semantics)


@pytest.mark.parametrize("kind", [CubaLif, Lif])
def test_a_convolution_runs_with_weights_in_sparse_rows(kind: type):
    x = spikes().reshape(20, 80, 1, 4, 4)
    net = over_a_map(kind)
    image = compiled(net, x)
    (weights,) = (each for each in image.program.synapses if each.name == "conv")
    assert sparse.issparse(weights.mantissa)
    assert abs(weights.mantissa).max() > 60
    assert near(net, x, "h", image)[1] < 0.02


def test_an_integrator_runs_and_its_leak_of_one_unit_is_a_loss_with_a_figure():
    x, unseen = spikes(), spikes(99)
    net = net_of(hidden=integrator(60, 0.5), readout=integrator(8, 1.0))
    image = compiled(net, x)
    assert near(net, unseen, "h", image)[1] < 0.03
    (lost,) = (
        row for row in image.program.losses if row["object"] == "h" and row["what"] == "dash_mem"
    )
    assert lost["error_max"] == 2.0**-15


def test_a_current_that_is_gone_in_a_step_is_ended_like_none():
    one = np.ones(60)
    h = cuba(60)
    gone = CubaLif(h.tau_mem, 1e-9 * one, h.r, h.v_leak, 0.5 * one, h.v_reset, h.w_in)
    x = spikes()
    net = net_of("current_order=decay_add_v", hidden=gone)
    image = compiled(net, x)
    assert any("h: no synaptic current lasts" in note for note in image.program.notes)
    assert near(net, x, "h", image)[1] < 0.01


def test_rockpools_network_without_currents_runs_on_xylo(cases):
    folder = cases / "rockpool_ff_lif"
    net = sp.load(folder / "graph.nir", dialect="rockpool", dt=DT)
    image = compiled(net, spikes(3, 30, 100), chip())
    assert near(net, spikes(4, 30, 100), "1_LIFNeuronTorch", image)[1] < 0.03


def test_a_sinabs_network_only_needs_fewer_inputs(cases):
    net = sp.load(cases / "sinabs_ff_lif_nonorm" / "graph.nir", dialect="sinabs", dt=1.0)
    with pytest.raises(FitError) as caught:
        sp.compile(net, chip())
    assert [(each.figure, each.limit) for each in caught.value.found] == [(20, 16)]
