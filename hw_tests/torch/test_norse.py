"""What norse 1.1.0 does is what is read of it: every spike of every layer."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make torch-test")
norse = pytest.importorskip("norse.torch", reason="needs norse: make torch-test")

from norse.torch.functional.reset import reset_subtract  # noqa: E402
from torch import nn  # noqa: E402

import spikeport as sp  # noqa: E402

DT = 2e-3


def tensors(**values):
    return {name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()}


def strong(net, seed=0, factor=5.0):
    """Return the network in double precision, with weights that make it spike."""
    torch.manual_seed(seed)
    net = net.double()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("weight", "weights")):
                nn.init.normal_(parameter, std=factor / np.sqrt(parameter[0].numel()))
                parameter += factor / 10 / np.sqrt(parameter[0].numel())
    return net


@pytest.fixture
def step_by_step(equals, record, spikes):
    """Check a SequentialState of cells: a call is one step, its state goes into the next."""

    def check(net, shape, layers, steps=60, **more):
        x = spikes(steps, 4, *shape)
        network = sp.from_module(net, torch.from_numpy(spikes(3, *shape, seed=5)))

        def go():
            state = None
            for one in x:
                _, state = net(torch.from_numpy(one), state)

        told = record(net, layers, go)
        rasters = {name: np.stack(calls, axis=1) for name, calls in told.items()}
        equals(network, x.swapaxes(0, 1), rasters, **more)
        return network

    return check


def box(**values):
    return norse.LIFBoxCell(norse.LIFBoxParameters(**values), dt=DT)


def cuba(**values):
    return norse.LIFCell(norse.LIFParameters(**values), dt=DT)


def test_lif_box_cells(step_by_step):
    first = box(**tensors(tau_mem_inv=80.0, v_th=0.7))
    second = box(**tensors(tau_mem_inv=150.0, v_leak=0.1, v_reset=-0.3, v_th=0.9))
    net = norse.SequentialState(nn.Linear(20, 30), first, nn.Linear(30, 10), second)
    network = step_by_step(strong(net), (20,), ["1", "3"])
    assert network.semantics.dt == DT
    assert network.semantics.assumed == ()
    assert network.semantics.at("3").initial_v == pytest.approx(0.1)
    assert network.nodes["1"].tau[0] == pytest.approx(1 / 80)  # and not tau * dt


def test_lif_box_cells_that_subtract(step_by_step):
    cell = box(**tensors(tau_mem_inv=100.0), reset_method=reset_subtract)
    net = norse.SequentialState(nn.Linear(20, 30), cell, nn.Linear(30, 10), box())
    network = step_by_step(strong(net), (20,), ["1", "3"])
    assert network.semantics.at("1").reset == "subtract"
    assert network.semantics.at("3").reset == "to_value"


def test_lif_box_cells_with_values_of_their_own(step_by_step):
    rng = np.random.default_rng(3)
    cell = box(**tensors(tau_mem_inv=rng.uniform(50, 200, 30), v_th=rng.uniform(0.5, 1, 30)))
    net = norse.SequentialState(nn.Linear(20, 30), cell)
    step_by_step(strong(net), (20,), ["1"])


def test_lif_cells(step_by_step):
    first = cuba(**tensors(tau_mem_inv=80.0, tau_syn_inv=120.0))
    second = cuba(**tensors(tau_mem_inv=150.0, tau_syn_inv=200.0, v_reset=-0.4, v_th=0.8))
    net = norse.SequentialState(nn.Linear(20, 30), first, nn.Linear(30, 10), second)
    step_by_step(strong(net, factor=2.0), (20,), ["1", "3"])


def test_a_convolution_and_pools(step_by_step):
    net = norse.SequentialState(
        nn.Conv2d(2, 6, 3), cuba(), nn.LPPool2d(1, 2), nn.Flatten(), nn.Linear(54, 10), box()
    )
    step_by_step(strong(net), (2, 8, 8), ["1", "5"])


def test_integrate_and_fire_cells(step_by_step):
    cell = norse.IAFCell(norse.IAFParameters(**tensors(v_th=1.3, v_reset=0.2)), dt=DT)
    step_by_step(strong(norse.SequentialState(nn.Linear(20, 30), cell)), (20,), ["1"])


def test_recurrent_cells(step_by_step):
    net = norse.SequentialState(
        norse.LIFRecurrentCell(20, 30, norse.LIFParameters(**tensors(v_th=0.8)), dt=DT),
        norse.LIFRecurrentCell(30, 10, norse.LIFParameters(**tensors(v_th=0.8)), dt=DT),
    )
    step_by_step(strong(net, factor=2.0), (20,), ["0", "1"])


def test_layers_that_step_by_themselves(equals, record, spikes):
    net = strong(
        norse.SequentialState(
            norse.Lift(nn.Conv2d(2, 4, 3)),
            nn.Flatten(2),
            norse.LIF(norse.LIFParameters(**tensors(v_th=0.5)), dt=DT),
            norse.LIFRecurrent(144, 10, norse.LIFParameters(**tensors(v_th=0.5)), dt=DT),
        ),
        factor=3.0,
    )
    x = spikes(50, 4, 2, 8, 8)
    network = sp.from_module(net, torch.from_numpy(x[:20, :2]))
    told = record(net, ["2", "3"], lambda: net(torch.from_numpy(x)))
    rasters = {name: calls[0].swapaxes(0, 1) for name, calls in told.items()}
    equals(network, x.swapaxes(0, 1), rasters)


def test_readouts_that_do_not_spike(spikes, record):
    rates = tensors(tau_syn_inv=150.0, tau_mem_inv=90.0, v_leak=0.2)
    leaky = norse.LICell(norse.LIParameters(**rates), dt=DT)
    spiking = box(**tensors(tau_mem_inv=100.0))
    net = strong(norse.SequentialState(nn.Linear(20, 30), spiking, nn.Linear(30, 5), leaky))
    x = spikes(40, 3, 20)
    network = sp.from_module(net, torch.from_numpy(x[0]))
    state, readout = None, []
    for one in x:
        v, state = net(torch.from_numpy(one), state)
        readout.append(v.detach().numpy())
    ours = sp.run(network, x.swapaxes(0, 1), probe=["3.v"]).probes["3.v"]
    np.testing.assert_allclose(ours, np.stack(readout, axis=1), rtol=1e-9, atol=1e-12)
    assert np.abs(ours).max() > 0.1


def test_dt_must_be_the_same_everywhere(spikes):
    net = norse.SequentialState(nn.Linear(20, 4), box(), norse.LIFBoxCell(dt=1e-3))
    with pytest.raises(
        sp.errors.SemanticsError, match=r"do not agree .* 0.002 s in 1, 0.001 s in 2"
    ):
        sp.from_module(net, torch.rand(3, 20))
    with pytest.raises(sp.errors.SemanticsError, match="leave dt= out"):
        sp.from_module(norse.SequentialState(*list(net)[:2]), torch.rand(3, 20), dt=1e-3)
