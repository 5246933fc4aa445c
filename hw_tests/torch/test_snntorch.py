"""What snnTorch 1.0.0 does is what is read of it: every spike of every layer, in float64.

Networks are in double precision, so that no membrane comes closer to its threshold than the last
bits of a float64 and no cell may differ.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make torch-test")
snn = pytest.importorskip("snntorch", reason="needs snntorch: make torch-test")

from snntorch import surrogate, utils  # noqa: E402
from torch import nn  # noqa: E402

import spikeport as sp  # noqa: E402

RESETS = [
    {"reset_mechanism": mechanism, "reset_delay": delay}
    for mechanism in ("subtract", "zero", "none")
    for delay in (True, False)
]


class ByHand(nn.Module):
    """The class that snnTorch's tutorials write: a loop over time in forward."""

    def __init__(self, first, second):
        super().__init__()
        self.fc1 = nn.Linear(20, 30)
        self.lif1 = first
        self.fc2 = nn.Linear(30, 10)
        self.lif2 = second

    def forward(self, x):
        state1, state2, spikes = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in range(x.shape[0]):
            spk1, *state1 = self.lif1(self.fc1(x[step]), *as_list(state1))
            spk2, *state2 = self.lif2(self.fc2(spk1), *as_list(state2))
            spikes.append(spk2)
        return torch.stack(spikes)


class Recurrent(ByHand):
    """As it must be called with recurrent layers: they take their last spikes."""

    def forward(self, x):
        state1 = [x.new_zeros(x.shape[1], 30)] * len(self.lif1.reset_mem())
        state2 = [x.new_zeros(x.shape[1], 10)] * len(self.lif2.reset_mem())
        spikes = []
        for step in range(x.shape[0]):
            state1 = self.lif1(self.fc1(x[step]), *state1)
            state2 = self.lif2(self.fc2(state1[0]), *state2)
            spikes.append(state2[0])
        return torch.stack(spikes)


def step(x):
    """snnTorch's own surrogates answer in float32 only; this is what they do forward."""
    return (x > 0).to(x.dtype)


def as_list(state):
    return [state] if isinstance(state, torch.Tensor) else state


def strong(net, seed=0, factor=4.0):
    """Return the network in double precision, with weights that make it spike."""
    torch.manual_seed(seed)
    net = net.double()
    for layer in net.modules():
        if hasattr(layer, "spike_grad"):
            layer.spike_grad = step
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=factor / np.sqrt(parameter[0].numel()))
                parameter += 0.5 / np.sqrt(parameter[0].numel())
    return net


@pytest.fixture
def by_hand(equals, record, spikes):
    """Check a network whose forward takes (time, batch, 20) and loops over time."""

    def check(net, layers=("lif1", "lif2"), **more):
        x = spikes(40, 6, 20)
        network = sp.from_module(net, torch.from_numpy(spikes(12, 3, 20, seed=5)))
        told = record(net, layers, lambda: net(torch.from_numpy(x)))
        rasters = {name: np.stack(calls, axis=1) for name, calls in told.items()}
        equals(network, x.swapaxes(0, 1), rasters, **more)
        return network

    return check


@pytest.fixture
def step_by_step(equals, record, spikes):
    """Check a network of init_hidden=True layers, whose call is one step."""

    def check(net, shape, layers, steps=25, **more):
        x = spikes(steps, 4, *shape)
        network = sp.from_module(net, torch.from_numpy(spikes(3, *shape, seed=5)))
        utils.reset(net.eval())
        told = record(net, layers, lambda: [net(torch.from_numpy(one)) for one in x])
        rasters = {name: np.stack(calls, axis=1) for name, calls in told.items()}
        equals(network, x.swapaxes(0, 1), rasters, **more)
        return network

    return check


@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_leaky_under_every_reset(by_hand, reset):
    by_hand(strong(ByHand(snn.Leaky(beta=0.9, **reset), snn.Leaky(beta=0.7, **reset))))


@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_synaptic_under_every_reset(by_hand, reset):
    def layer():
        return snn.Synaptic(alpha=0.8, beta=0.9, **reset)

    by_hand(strong(ByHand(layer(), layer()), factor=2.0))


def test_what_was_learned_as_one_value_is_every_neurons(by_hand):
    net = strong(
        ByHand(
            snn.Leaky(beta=0.9, learn_beta=True, threshold=1.0, learn_threshold=True),
            snn.Leaky(beta=0.5, learn_beta=True),
        )
    )
    with torch.no_grad():
        net.lif1.beta.fill_(0.83)
        net.lif1.threshold.fill_(1.37)
        net.lif2.beta.fill_(1.4)  # snnTorch keeps it between 0 and 1 as it runs
    network = by_hand(net)
    assert network.nodes["lif1"].tau.shape == (30,)
    assert type(network.nodes["lif2"]).__name__ == "If"


def test_every_neuron_may_have_values_of_its_own(by_hand):
    rng = np.random.default_rng(2)
    beta = torch.from_numpy(rng.uniform(0.3, 1.0, 30))
    beta[3] = 1.0
    threshold = torch.from_numpy(rng.uniform(0.5, 1.5, 10))
    by_hand(strong(ByHand(snn.Leaky(beta=beta), snn.Synaptic(0.6, beta[:10], threshold=threshold))))


def test_layers_may_be_reset_differently(by_hand):
    net = strong(
        ByHand(
            snn.Leaky(beta=0.9, reset_mechanism="zero"),
            snn.Leaky(beta=0.9, reset_mechanism="subtract", reset_delay=False),
        )
    )
    network = by_hand(net)
    kinds = {name: network.semantics.at(name).reset for name in network.neurons}
    assert kinds == {"lif1": "to_value", "lif2": "subtract_snntorch"}


@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_rleaky_with_weights_from_all_to_all_and_one_to_one(by_hand, reset):
    V = torch.from_numpy(np.random.default_rng(3).normal(0, 0.4, 10))
    net = Recurrent(
        snn.RLeaky(beta=0.9, linear_features=30, **reset),
        snn.RLeaky(beta=0.8, all_to_all=False, V=V, **reset),
    )
    by_hand(strong(net, factor=1.5))


@pytest.mark.parametrize("mechanism", ["subtract", "zero", "none"])
def test_rsynaptic(by_hand, mechanism):
    net = Recurrent(
        snn.RSynaptic(alpha=0.7, beta=0.9, linear_features=30, reset_mechanism=mechanism),
        snn.RSynaptic(alpha=0.6, beta=0.8, all_to_all=False, V=0.3, reset_mechanism=mechanism),
    )
    by_hand(strong(net, factor=1.2))


def test_rsynaptic_without_reset_delay_resets_late_all_the_same(by_hand):
    net = Recurrent(
        snn.RSynaptic(alpha=0.7, beta=0.9, linear_features=30, reset_delay=False),
        snn.RSynaptic(alpha=0.6, beta=0.8, all_to_all=False, V=0.3),
    )
    network = by_hand(strong(net, factor=1.2))
    assert "a step later, whatever reset_delay says" in network.repairs[0]


def test_a_sequential_of_hidden_states_with_a_convolution(step_by_step):
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, stride=2),
        snn.Leaky(beta=0.8, init_hidden=True, threshold=0.6),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 8, (3, 2), groups=2, bias=False),
        snn.Leaky(beta=0.8, init_hidden=True, threshold=0.3, reset_delay=False),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(48, 10),
        snn.Leaky(beta=0.5, init_hidden=True, output=True),
    )
    network = step_by_step(strong(net), (2, 16, 16), ["1", "4", "8"])
    assert network.nodes["input"].shape == (2, 16, 16)
    assert network.nodes["8"].v_threshold.shape == (10,)


def test_batch_norm_becomes_constant(step_by_step):
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.BatchNorm2d(6),
        snn.Leaky(beta=0.8, init_hidden=True),
        nn.Flatten(),
        nn.Linear(216, 40),
        nn.BatchNorm1d(40),
        snn.Leaky(beta=0.5, init_hidden=True),
    )
    net = strong(net).train()
    rng = np.random.default_rng(4)
    for _ in range(5):
        net(torch.from_numpy(rng.random((8, 2, 8, 8))))
    utils.reset(net)
    assert float(net[1].running_var.std()) > 0
    step_by_step(net.eval(), (2, 8, 8), ["2", "6"])


def test_one_dimensional_convolutions(step_by_step):
    net = nn.Sequential(
        nn.Conv1d(3, 6, 4, stride=2, padding=1, dilation=2),
        snn.Leaky(beta=0.8, init_hidden=True),
        nn.Conv1d(6, 4, 3, padding="same"),
        snn.Leaky(beta=0.8, init_hidden=True),
    )
    step_by_step(strong(net), (3, 20), ["1", "3"])


def test_the_module_is_left_as_it_was(spikes):
    net = nn.Sequential(nn.Linear(20, 10), nn.Dropout(0.5), snn.Leaky(beta=0.9, init_hidden=True))
    net = strong(net).train()
    x = torch.from_numpy(spikes(4, 20))
    net(x)
    before = net[2].mem.clone()
    sp.from_module(net, x)
    assert net.training
    assert net[1].training
    assert torch.equal(net[2].mem, before)
    assert not net[0]._forward_hooks
    assert not net[2]._forward_pre_hooks


def test_single_precision_differs_in_rounding_only_and_says_how_much(spikes):
    net = strong(ByHand(snn.Leaky(beta=0.9), snn.Leaky(beta=0.9))).float()
    net.lif1.spike_grad, net.lif2.spike_grad = surrogate.fast_sigmoid(), surrogate.atan()
    network = sp.from_module(net, torch.from_numpy(spikes(40, 6, 20)))
    assert (
        "as read, compared with the module on the sample: 0 of 9600 cells differ"
        in network.repairs[-1]
    )


def test_the_step_length_is_assumed_unless_it_is_said(spikes):
    net = strong(ByHand(snn.Leaky(beta=0.9), snn.Leaky(beta=0.9)))
    x = torch.from_numpy(spikes(5, 2, 20))
    assumed, said = sp.from_module(net, x), sp.from_module(net, x, dt=1e-3)
    assert (assumed.semantics.dt, assumed.semantics.assumed) == (1e-4, ("dt",))
    assert (said.semantics.dt, said.semantics.assumed) == (1e-3, ())
    assert said.nodes["lif1"].tau[0] == pytest.approx(1e-2)
