"""What sinabs 3.1.3 does is what is read of it: every spike of every layer."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make torch-test")
layers = pytest.importorskip("sinabs.layers", reason="needs sinabs: make torch-test")

from sinabs.activation import (  # noqa: E402
    MaxSpike,
    MembraneReset,
    MembraneSubtract,
    MultiSpike,
    SingleSpike,
)  # fmt: skip
from torch import nn  # noqa: E402

import spikeport as sp  # noqa: E402


def strong(net, seed=0, factor=3.0):
    """Return the network with random weights that make it spike.

    sinabs makes its spikes in float32, so the network stays in it; the seeds are such that no
    neuron comes so close to its threshold that float64 decides otherwise.
    """
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=factor / np.sqrt(parameter[0].numel()))
                parameter += factor / 10 / np.sqrt(parameter[0].numel())
    return net


@pytest.fixture
def all_steps(equals, record, spikes):
    """Check a network that takes (batch, time, ...)."""

    def check(net, shape, names, kind="spikes", **more):
        x = spikes(4, 40, *shape)
        network = sp.from_module(net, torch.from_numpy(spikes(2, 12, *shape, seed=5)).float())
        told = record(net, names, lambda: net(torch.from_numpy(x).float()))
        equals(network, x, {name: calls[0] for name, calls in told.items()}, kind, **more)
        return network

    return check


@pytest.fixture
def squeezed(equals, record, spikes):
    """Check a network that takes (batch * time, ...)."""

    def check(net, shape, names, **more):
        x = spikes(4 * 40, *shape)
        network = sp.from_module(net, torch.from_numpy(spikes(2 * 40, *shape, seed=5)).float())
        told = record(net, names, lambda: net(torch.from_numpy(x).float()))
        rasters = {
            name: calls[0].reshape(4, 40, *calls[0].shape[1:]) for name, calls in told.items()
        }
        equals(network, x.reshape(4, 40, *shape), rasters, **more)
        return network

    return check


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("spike_fn", [SingleSpike, MultiSpike, MaxSpike(1)], ids=str)
@pytest.mark.parametrize("reset", [MembraneSubtract(), MembraneReset()], ids=str)
def test_lif(all_steps, norm, spike_fn, reset):
    def lif(tau):
        return layers.LIF(tau, spike_fn=spike_fn, reset_fn=reset, norm_input=norm)

    net = nn.Sequential(nn.Linear(20, 30), lif(8.0), nn.Linear(30, 10), lif(5.0))
    network = all_steps(strong(net, factor=12.0 if norm else 3.0), (20,), ["1", "3"])
    multiple = spike_fn is MultiSpike
    assert network.semantics.spike == ("count" if multiple else "binary")


@pytest.mark.parametrize("norm", [True, False])
def test_lif_with_a_synaptic_current(all_steps, norm):
    def lif():
        return layers.LIF(8.0, tau_syn=4.0, norm_input=norm, spike_fn=SingleSpike, min_v_mem=-1.0)

    net = nn.Sequential(nn.Linear(20, 30), lif(), nn.Linear(30, 10), lif())
    all_steps(strong(net, factor=4.0 if norm else 1.0), (20,), ["1", "3"])


def test_lif_with_values_of_their_own(all_steps):
    rng = np.random.default_rng(1)
    tau = torch.from_numpy(rng.uniform(3, 20, 30)).float()
    threshold = torch.from_numpy(rng.uniform(0.5, 2, 30)).float()
    lif = layers.LIF(tau, spike_threshold=threshold, train_alphas=True, norm_input=False)
    all_steps(strong(nn.Sequential(nn.Linear(20, 30), lif)), (20,), ["1"])


def test_iaf_with_a_lowest_v(all_steps):
    net = nn.Sequential(
        nn.Linear(20, 30), layers.IAF(min_v_mem=-0.5), nn.Linear(30, 10), layers.IAF()
    )
    network = all_steps(strong(net), (20,), ["1", "3"])
    assert network.semantics.at("1").v_min == -0.5
    assert network.semantics.at("3").v_min is None


def test_squeezed_layers_between_convolutions_and_sum_pools(squeezed):
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        layers.IAFSqueeze(num_timesteps=40, min_v_mem=-1.0),
        layers.SumPool2d(2),
        nn.Conv2d(6, 8, 3, bias=False),
        layers.IAFSqueeze(num_timesteps=40, spike_fn=SingleSpike, reset_fn=MembraneReset()),
        nn.Flatten(),
        nn.Linear(72, 10),
        layers.LIFSqueeze(tau_mem=10.0, num_timesteps=40, norm_input=False),
    )
    network = squeezed(strong(net), (2, 10, 10), ["1", "4", "7"])
    assert network.nodes["input"].shape == (2, 10, 10)
    assert network.semantics.at("4").spike == "binary"
    assert network.semantics.at("7").spike == "count"


def test_repeated_layers_and_merges(all_steps):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = layers.Repeat(nn.Conv2d(2, 4, 3, padding=1))
            self.first = layers.IAF()
            self.left = layers.Repeat(nn.Conv2d(4, 4, 1))
            self.right = layers.Repeat(nn.Conv2d(4, 4, 3, padding=1))
            self.merge = layers.Merge()
            self.last = layers.IAF()

        def forward(self, x):
            x = self.first(self.conv(x))
            return self.last(self.merge(self.left(x), self.right(x)))

    network = all_steps(strong(Branches(), factor=2.0), (2, 6, 6), ["first", "last"])
    assert sorted(network.into("last")) == ["left.module", "right.module"]


def test_recurrent_layers_whose_bias_is_silent_at_first(all_steps):
    around = nn.Linear(30, 30)
    lif = layers.LIFRecurrent(6.0, around, norm_input=False, spike_fn=SingleSpike)
    net = nn.Sequential(nn.Linear(20, 30), lif)
    net = strong(net, factor=1.5)
    with torch.no_grad():
        around.bias += 0.3
    network = all_steps(net, (20,), ["1"])
    assert network.semantics.at("1").recurrent_bias_at_start is False


def test_a_readout_without_spikes(spikes):
    net = nn.Sequential(nn.Linear(20, 30), layers.IAF(), nn.Linear(30, 5), layers.ExpLeak(7.0))
    x = spikes(3, 40, 20)
    network = sp.from_module(strong(net), torch.from_numpy(x).float())
    told = net(torch.from_numpy(x).float()).detach().numpy()
    ours = sp.run(network, x, probe=["3.v"]).probes["3.v"]
    np.testing.assert_allclose(ours, told, rtol=1e-4, atol=1e-4)  # the tool is in float32
    assert np.abs(ours).max() > 1
