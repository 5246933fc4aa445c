"""What a forward does between its layers is followed, or refused with what to do instead."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make torch-test")
snn = pytest.importorskip("snntorch", reason="needs snntorch: make torch-test")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import spikeport as sp  # noqa: E402
from spikeport.compiler.network import Delay  # noqa: E402


def step(x):
    return (x > 0).to(x.dtype)


def leaky(**more):
    return snn.Leaky(beta=0.9, spike_grad=step, **more)


class Net(nn.Module):
    """Layers with names, and a forward that each test gives: f(net, x) -> spikes of one step.

    `x` is (time, batch, ...); f may keep things of a step in net.kept.
    """

    def __init__(self, one_step, **layers):
        super().__init__()
        torch.manual_seed(0)
        for name, layer in layers.items():
            self.add_module(name, layer)
            if hasattr(layer, "weight"):
                size = layer.weight[0].numel()
                nn.init.normal_(layer.weight, mean=0.5 / size**0.5, std=3 / size**0.5)
        self.one_step = one_step
        self.double()

    def forward(self, x):
        self.kept = {}
        for layer in self.children():
            if hasattr(layer, "reset_mem"):
                layer.reset_mem()
        return torch.stack([self.one_step(self, each) for each in x])


def competing():
    with pytest.warns(UserWarning, match="Inhibition"):
        return leaky(inhibition=True)


def spikes_of(layer, x):
    return layer(x)[0]


@pytest.fixture
def follows(equals, record, spikes):
    def check(net, *shape, batch_first=False):
        x = spikes(25, 4, *shape)
        given = torch.from_numpy(x.swapaxes(0, 1).copy() if batch_first else x)
        sample = given[:2, :6] if batch_first else given[:6, :2]
        network = sp.from_module(net, sample)
        names = [name for name, each in net.named_children() if isinstance(each, snn.Leaky)]
        told = record(net, names, lambda: net(given))
        rasters = {name: np.stack(calls, axis=1) for name, calls in told.items()}
        equals(network, x.swapaxes(0, 1), rasters)
        return network

    return check


def test_functions_that_only_reshape(follows):
    def forward(net, x):
        s = spikes_of(net.lif1, net.conv(x.view(-1, 1, 6, 6)))
        return spikes_of(net.lif2, net.fc(torch.flatten(s, 1)))

    layers = {"conv": nn.Conv2d(1, 4, 3), "lif1": leaky(), "fc": nn.Linear(64, 10), "lif2": leaky()}
    network = follows(Net(forward, **layers), 1, 6, 6)
    assert network.into("fc") == ["lif1_flat"]


def test_residual_sums_in_place_or_not(follows):
    def forward(net, x):
        a = spikes_of(net.lif1, net.fc1(x))
        b = net.fc2(a)
        b += a
        c = spikes_of(net.lif2, b)
        return spikes_of(net.lif3, net.fc3(c) + a + net.fc4(x))

    layers = {f"fc{n}": nn.Linear(20, 20) for n in (1, 2, 3, 4)}
    layers |= {f"lif{n}": leaky() for n in (1, 2, 3)}
    network = follows(Net(forward, **layers), 20)
    assert sorted(network.into("lif2")) == ["fc2", "lif1"]
    assert sorted(network.into("lif3")) == ["fc3", "fc4", "lif1"]


def test_a_loop_written_by_hand(follows):
    def forward(net, x):
        before = net.kept.get("spikes", torch.zeros(x.shape[0], 12, dtype=x.dtype))
        net.kept["spikes"] = spikes_of(net.lif, net.fc(x) + net.back(before))
        return net.kept["spikes"]

    layers = {"fc": nn.Linear(20, 12), "back": nn.Linear(12, 12), "lif": leaky()}
    network = follows(Net(forward, **layers), 20)
    assert ("lif", "back") in network.edges
    assert not network.of_type(Delay)


def test_a_step_that_is_read_later_without_a_loop_is_a_delay(follows):
    def forward(net, x):
        before = net.kept.get("spikes", torch.zeros(x.shape[0], 12, dtype=x.dtype))
        net.kept["spikes"] = spikes_of(net.lif1, net.fc1(x))
        return spikes_of(net.lif2, net.fc2(before))

    layers = {
        "fc1": nn.Linear(20, 12), "lif1": leaky(), "fc2": nn.Linear(12, 12, bias=False),
        "lif2": leaky(),
    }  # fmt: skip
    network = follows(Net(forward, **layers), 20)
    assert network.nodes["lif1_later"].delay.max() == network.semantics.dt
    assert "reads lif1 a step later" in network.repairs[0]


def test_one_pool_and_one_flatten_used_in_many_places(follows):
    def forward(net, x):
        s = spikes_of(net.lif1, net.pool(net.conv1(x)))
        s = spikes_of(net.lif2, net.pool(net.conv2(s)))
        return spikes_of(net.lif3, net.fc(net.flatten(s)))

    layers = {
        "pool": nn.AvgPool2d(2), "flatten": nn.Flatten(), "conv1": nn.Conv2d(2, 4, 3),
        "conv2": nn.Conv2d(4, 4, 2), "fc": nn.Linear(16, 10),
        "lif1": leaky(), "lif2": leaky(threshold=0.5), "lif3": leaky(threshold=0.3),
    }  # fmt: skip
    network = follows(Net(forward, **layers), 2, 12, 12)
    assert {"pool", "pool_2"} <= set(network.nodes)


def test_weights_applied_to_all_steps_at_once(follows):
    class Ahead(Net):
        def forward(self, x):
            current = self.fc1(x)
            self.lif1.reset_mem()
            return torch.stack([self.lif1(each)[0] for each in current])

    follows(Ahead(None, fc1=nn.Linear(20, 30), lif1=leaky()), 20)


def test_batches_may_come_first(follows):
    class BatchFirst(Net):
        def forward(self, x):
            self.lif.reset_mem()
            return torch.stack([self.lif(self.fc(x[:, t]))[0] for t in range(x.shape[1])], dim=1)

    follows(BatchFirst(None, fc=nn.Linear(20, 30), lif=leaky()), 20, batch_first=True)


def test_an_image_that_is_shown_in_every_step(equals, record):
    class Static(Net):
        def forward(self, x):
            self.lif.reset_mem()
            current = self.fc(x.flatten(1))
            return torch.stack([self.lif(current)[0] for _ in range(15)])

    net = Static(None, fc=nn.Linear(64, 30), lif=leaky())
    x = np.random.default_rng(0).random((5, 1, 8, 8))
    network = sp.from_module(net, torch.from_numpy(x))
    assert network.nodes["input"].shape == (64,)
    told = record(net, ["lif"], lambda: net(torch.from_numpy(x)))
    shown = np.repeat(x.reshape(5, 1, 64), 15, axis=1)
    equals(network, shown, {"lif": np.stack(told["lif"], axis=1)}, kind="current")


def test_several_inputs_and_outputs(spikes):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(20, 10), nn.Linear(8, 10)
            self.lif, self.other = leaky(), leaky()

        def forward(self, seen, heard):
            self.lif.reset_mem(), self.other.reset_mem()
            pairs = [(self.left(s), self.right(h)) for s, h in zip(seen, heard, strict=True)]
            return [(self.lif(a + b)[0], self.other(b)[0]) for a, b in pairs]

    x, y = (torch.from_numpy(spikes(10, 3, n)) for n in (20, 8))
    network = sp.from_module(Two().double(), (x, y))
    assert [network.nodes[name].shape for name in ("seen", "heard")] == [(20,), (8,)]
    assert network.into("output_lif") == ["lif"]
    assert network.into("output_other") == ["other"]


def test_a_readout_by_weights_alone(spikes):
    net = Net(lambda net, x: net.fc2(spikes_of(net.lif, net.fc1(x))),
              fc1=nn.Linear(20, 12), lif=leaky(), fc2=nn.Linear(12, 4))  # fmt: skip
    network = sp.from_module(net, torch.from_numpy(spikes(10, 3, 20)))
    assert network.into("output") == ["fc2"]


def test_what_follows_the_network_is_left_out_and_said(spikes):
    net = Net(lambda net, x: net.soft(spikes_of(net.lif, net.fc(x))),
              fc=nn.Linear(20, 12), lif=leaky(), soft=nn.Softmax(1))  # fmt: skip
    network = sp.from_module(net, torch.from_numpy(spikes(10, 3, 20)))
    assert network.into("output") == ["lif"]
    assert network.repairs[0].startswith("soft (Softmax) is left out")


def encoded(net, x):
    return spikes_of(net.lif, net.fc(torch.rand_like(x).round()))


REFUSED = {
    "a function that takes maxima": (
        lambda net, x: spikes_of(net.lif, net.fc(F.max_pool1d(x, 2, 1, padding=1)[:, :20])),
        {}, "'fc' is given the result of an operation .*MaxPool2DWithIndices.*use nn.AvgPool2d",
    ),
    "a layer that takes maxima": (
        lambda net, x: spikes_of(net.lif, net.fc(net.top(x))),
        {"top": nn.MaxPool1d(1)}, "'top' .MaxPool1d. cannot be read: a maximum",
    ),
    "a rectifier": (
        lambda net, x: spikes_of(net.lif, net.relu(net.fc(x))),
        {"relu": nn.ReLU()}, "'relu' .ReLU. cannot be read: it is not linear",
    ),
    "a layer nobody knows": (
        lambda net, x: spikes_of(net.lif, net.gru(net.fc(x))[0]),
        {"gru": nn.GRU(20, 20)}, "'gru' .GRU. cannot be read: it is none of",
    ),
    "a factor": (
        lambda net, x: spikes_of(net.lif, net.fc(x) * 2),
        {}, r"'lif' is given the result of .*\(Mul\).*put the factor into the weights",
    ),
    "joined parts": (
        lambda net, x: spikes_of(net.lif, torch.cat([net.fc(x)[:, :10], net.fc(x)[:, 10:]], 1)),
        {}, r"\(Cat\)",
    ),
    "membranes between layers": (
        lambda net, x: spikes_of(net.lif, net.fc(net.first(x)[1])),
        {"first": leaky()}, "'fc' reads the state of 'first'.*only spikes travel",
    ),
    "an encoder inside": (encoded, {}, "'fc' is given a tensor that no layer made"),
    "one neuron layer in two places": (
        lambda net, x: spikes_of(net.lif, spikes_of(net.lif, net.fc(spikes_of(net.one, x)))),
        {"one": leaky()}, "'lif' is called 12 times, another one 6 times",
    ),
    "a layer of which the strongest neuron wins": (
        lambda net, x: spikes_of(net.lif, net.fc(spikes_of(net.one, x))),
        {"one": competing()}, "'one' .Leaky. cannot be read: only its strongest",
    ),
    "a state that is quantized": (
        lambda net, x: spikes_of(net.lif, net.fc(spikes_of(net.one, x))),
        {"one": leaky(state_quant=torch.round)}, "'one'.*its state is quantized",
    ),
    "spikes of another height": (
        lambda net, x: spikes_of(net.lif, net.fc(spikes_of(net.one, x))),
        {"one": leaky(graded_spikes_factor=2.0)}, "'one'.*graded_spikes_factor",
    ),
    "a surrogate that is not a step": (
        lambda net, x: spikes_of(net.lif, net.fc(spikes_of(net.one, x))),
        {"one": snn.Leaky(beta=0.9, spike_grad=torch.sigmoid)}, "'one'.*is not a step",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_with_what_to_do(name, spikes):
    forward, layers, message = REFUSED[name]
    net = Net(forward, **layers, fc=nn.Linear(20, 20), lif=leaky())
    with pytest.raises(sp.errors.GraphError, match=f"(?s){message}") as caught:
        sp.from_module(net, torch.from_numpy(spikes(6, 3, 20)))
    assert caught.value.fix


def test_a_network_without_spikes_is_none_of_ours():
    with pytest.raises(sp.errors.GraphError, match="no spiking layer was called"):
        sp.from_module(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.rand(2, 3))
    with pytest.raises(sp.errors.GraphError, match="a str is not a PyTorch module"):
        sp.from_module("net.pt", torch.rand(2, 3))


def test_a_sample_that_does_not_fit_is_told_with_pytorchs_own_words():
    net = nn.Sequential(nn.Linear(3, 4), leaky(init_hidden=True))
    with pytest.raises(sp.errors.GraphError, match=r"(?s)cannot be run on the sample.*mat1"):
        sp.from_module(net, torch.rand(2, 5))


def test_a_sample_without_a_batch_is_refused():
    net = nn.Sequential(nn.Linear(3, 4), leaky(init_hidden=True))
    with pytest.raises(sp.errors.GraphError, match=r"(?s)no axis is left for the batch.*unsqueeze"):
        sp.from_module(net, torch.rand(3))


def test_a_network_that_does_something_else_is_noticed(spikes):
    class Hidden(snn.Leaky):
        def forward(self, current):
            spikes, mem = super().forward(current)
            return spikes.roll(1, dims=1), mem

    torch.manual_seed(0)
    net = Net(lambda net, x: spikes_of(net.lif, net.fc(x)), fc=nn.Linear(20, 20),
              lif=Hidden(beta=0.9, spike_grad=step))  # fmt: skip
    x = torch.from_numpy(spikes(20, 3, 20))
    with pytest.raises(sp.errors.GraphError, match="does not do what the module does"):
        sp.from_module(net, x)
    assert sp.from_module(net, x, prove=False).repairs == ()
