"""What SpikingJelly 2.0.0 does is what is read of it: every spike of every layer."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make torch-test")
jelly = pytest.importorskip("spikingjelly.activation_based", reason="needs spikingjelly")

from spikingjelly.activation_based import functional, layer, neuron, surrogate  # noqa: E402
from torch import nn  # noqa: E402

import spikeport as sp  # noqa: E402


def strong(net, seed=0, factor=4.0):
    """Return the network in double precision, with weights that make it spike."""
    torch.manual_seed(seed)
    net = net.double()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=factor / np.sqrt(parameter[0].numel()))
                parameter += factor / 10 / np.sqrt(parameter[0].numel())
    return net


@pytest.fixture
def step_by_step(equals, record, spikes):
    """Check a network in step mode `s`: a call is one step."""

    def check(net, shape, names, **more):
        x = spikes(40, 4, *shape)
        network = sp.from_module(net, torch.from_numpy(spikes(3, *shape, seed=5)))
        functional.reset_net(net.eval())
        told = record(net, names, lambda: [net(torch.from_numpy(one)) for one in x])
        rasters = {name: np.stack(calls, axis=1) for name, calls in told.items()}
        equals(network, x.swapaxes(0, 1), rasters, **more)
        return network

    return check


NODES = {
    "IF": lambda reset: neuron.IFNode(v_threshold=1.2, v_reset=reset),
    "LIF": lambda reset: neuron.LIFNode(tau=3.0, v_threshold=0.9, v_reset=reset),
    "LIF without decay": lambda reset: neuron.LIFNode(tau=3.0, decay_input=False, v_reset=reset),
    "parametric": lambda reset: neuron.ParametricLIFNode(init_tau=2.5, v_reset=reset),
    "parametric without decay": lambda reset: neuron.ParametricLIFNode(
        decay_input=False, v_reset=reset
    ),
    "simple IF": lambda reset: neuron.SimpleIFNode(v_reset=reset),
}


@pytest.mark.parametrize("reset", [0.0, -0.3, 0.25, None])
@pytest.mark.parametrize("kind", NODES)
def test_nodes_under_every_reset(step_by_step, kind, reset):
    net = nn.Sequential(
        layer.Linear(20, 30), NODES[kind](reset), layer.Linear(30, 10), NODES[kind](reset)
    )
    network = step_by_step(strong(net), (20,), ["1", "3"])
    assert network.semantics.threshold == "greater_equal"
    assert network.semantics.reset == ("subtract" if reset is None else "to_value")


def test_simple_leaky_nodes_start_at_zero(step_by_step):
    node = neuron.SimpleLIFNode(tau=3.0, decay_input=True, v_reset=-0.4)
    network = step_by_step(strong(nn.Sequential(layer.Linear(20, 30), node)), (20,), ["1"])
    assert network.semantics.at("1").initial_v == 0.0


def test_a_learned_time_constant_is_the_sigmoid_of_w(step_by_step):
    net = strong(nn.Sequential(layer.Linear(20, 30), neuron.ParametricLIFNode(init_tau=2.0)))
    with torch.no_grad():
        net[1].w.fill_(-0.7)
    network = step_by_step(net, (20,), ["1"])
    assert network.nodes["1"].tau[0] == pytest.approx(1e-4 * (1 + np.exp(0.7)))


def test_a_step_at_the_threshold_itself_is_seen(step_by_step):
    """Whole weights and a whole threshold: v meets it exactly, and >= decides every time."""
    net = nn.Sequential(layer.Linear(20, 30, bias=False), neuron.IFNode(v_threshold=2.0))
    with torch.no_grad():
        net[0].weight.copy_(torch.randint(-1, 3, (30, 20), generator=torch.manual_seed(1)))
    step_by_step(net.double(), (20,), ["1"])


def test_multi_step_mode_with_convolutions_pools_and_delays(equals, record, spikes):
    net = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False),
        layer.BatchNorm2d(6),
        neuron.LIFNode(tau=2.0),
        layer.AvgPool2d(2),
        layer.Delay(3),
        layer.Flatten(),
        layer.Dropout(0.5),
        layer.Linear(96, 10),
        neuron.IFNode(v_reset=None, surrogate_function=surrogate.ATan()),
    )
    functional.set_step_mode(net, "m")
    net = strong(net, factor=6.0)
    rng = np.random.default_rng(3)
    net.train()(torch.from_numpy(rng.random((10, 4, 2, 8, 8))))
    functional.reset_net(net.eval())
    x = spikes(30, 4, 2, 8, 8)
    network = sp.from_module(net, torch.from_numpy(x[:20, :2]), dt=1e-3)
    told = record(net, ["2", "8"], lambda: net(torch.from_numpy(x)))
    rasters = {name: calls[0].swapaxes(0, 1) for name, calls in told.items()}
    equals(network, x.swapaxes(0, 1), rasters)
    assert network.nodes["4"].delay.max() == pytest.approx(3e-3)


def test_a_container_that_joins_time_and_batch(equals, record, spikes):
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(1, 4, 3), nn.AvgPool2d(2)),
        neuron.LIFNode(step_mode="m"),
        layer.SeqToANNContainer(nn.Flatten(), nn.Linear(36, 10)),
        neuron.LIFNode(step_mode="m"),
    )
    net = strong(net)
    x = spikes(30, 4, 1, 8, 8)
    network = sp.from_module(net, torch.from_numpy(x[:10, :2]))
    told = record(net, ["1", "3"], lambda: net(torch.from_numpy(x)))
    equals(
        network,
        x.swapaxes(0, 1),
        {name: calls[0].swapaxes(0, 1) for name, calls in told.items()},
    )
