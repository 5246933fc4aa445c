"""Record what the tools do and what is read of them, for tests without PyTorch.

    .venv-torch/bin/python hw_tests/golden/record_from_module.py

Each network goes through `from_module` into `from_module/NAME.nir`; beside it, in NAME.npz, are
random spikes `x` (sample, step, ...) and what each neuron layer of the tool's own module made of
them, in the tool's own precision.
"""

import warnings
from pathlib import Path

import numpy as np

with warnings.catch_warnings():  # the tools' own: PyTorch calls torch.jit.script old
    warnings.simplefilter("ignore")
    import norse.torch as norse
    import snntorch as snn
    import torch
    from sinabs import layers as sl
    from sinabs.activation import MembraneReset, SingleSpike
    from snntorch import utils
    from spikingjelly.activation_based import functional, layer, neuron

import spikeport as sp

HERE = Path(__file__).parent / "from_module"
nn = torch.nn


def snntorch_net(first, second):
    return nn.Sequential(nn.Linear(12, 16), first, nn.Linear(16, 6), second)


def norse_net():
    p = norse.LIFParameters(
        v_th=torch.tensor(0.7), tau_syn_inv=torch.tensor(150.0), v_reset=torch.tensor(-0.2)
    )
    box = norse.LIFBoxParameters(v_leak=torch.tensor(0.1), v_th=torch.tensor(0.6))
    return norse.SequentialState(
        nn.Linear(12, 16), norse.LIFCell(p, dt=1e-3), nn.Linear(16, 6), norse.LIFBoxCell(box)
    )


def sinabs_net():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False),
        sl.IAFSqueeze(num_timesteps=40, min_v_mem=-1.0),
        sl.SumPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 6),
        sl.LIFSqueeze(
            tau_mem=8.0, num_timesteps=40, spike_fn=SingleSpike, reset_fn=MembraneReset(),
            norm_input=False,
        ),
    )  # fmt: skip


def jelly_net():
    return nn.Sequential(
        layer.Linear(12, 16),
        neuron.LIFNode(tau=3.0, decay_input=False, v_reset=None),
        layer.Delay(2),
        layer.Linear(16, 6),
        neuron.ParametricLIFNode(v_reset=-0.3),
    )


def hidden(kind, *values, **more):
    return kind(*values, init_hidden=True, **more)


#: name -> (module, shape of a step, its neuron layers, (weights' spread, mean))
NETS = {
    "snntorch_subtract_later": (
        snntorch_net(hidden(snn.Leaky, 0.9), hidden(snn.Synaptic, 0.6, 0.8)), (12,), (1, 3),
    ),
    "snntorch_subtract_at_once": (
        snntorch_net(
            hidden(snn.Leaky, torch.linspace(0.3, 1.0, 16), reset_delay=False),
            hidden(snn.Leaky, 0.8, threshold=0.7, reset_delay=False),
        ), (12,), (1, 3),
    ),
    "snntorch_recurrent_zero": (
        snntorch_net(
            hidden(snn.RLeaky, 0.9, linear_features=16, reset_mechanism="zero"),
            hidden(snn.RSynaptic, 0.5, 0.8, all_to_all=False, V=0.3, reset_mechanism="zero"),
        ), (12,), (1, 3),
    ),
    "norse_cells": (norse_net(), (12,), (1, 3)),
    "sinabs_squeezed": (sinabs_net(), (1, 6, 6), (1, 5)),
    "spikingjelly_soft": (jelly_net(), (12,), (1, 4)),
}  # fmt: skip


def main():
    HERE.mkdir(exist_ok=True)
    for seed, (name, (net, shape, neurons)) in enumerate(NETS.items()):
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in net.parameters():
                if parameter.ndim > 1:
                    size = parameter[0].numel()
                    nn.init.normal_(parameter, 0.4 / size**0.5, 3 / size**0.5)
        rng = np.random.default_rng(seed)
        x = (rng.random((40, 3, *shape)) < 0.4).astype(np.float32)  # (step, sample, ...)
        told = watched(net, name, torch.from_numpy(x), neurons)
        sample = torch.from_numpy(x if name.startswith("sinabs") else x[0])
        if name.startswith("sinabs"):
            sample = sample.transpose(0, 1).reshape(120, *shape)
        network = sp.from_module(net, sample, name=name)
        file = HERE / f"{name}.nir"
        file.unlink(missing_ok=True)
        sp.write(network, file)
        rasters = {f"told.{layer}": raster.astype(np.uint8) for layer, raster in told.items()}
        np.savez_compressed(
            file.with_suffix(".npz"), x=x.swapaxes(0, 1).astype(np.uint8), **rasters
        )
        print(name, network.repairs[-1], {key: int(r.sum()) for key, r in rasters.items()})


def watched(net, name, x, neurons):
    """Return what each neuron layer makes of x, {layer: (sample, step, ...)}."""
    told = {str(n): [] for n in neurons}
    for n, calls in told.items():
        net[int(n)].register_forward_hook(
            lambda module, given, answer, calls=calls: calls.append(
                (answer[0] if isinstance(answer, tuple) else answer).detach().numpy()
            )
        )
    net.eval()
    if name.startswith("sinabs"):
        net(x.transpose(0, 1).reshape(120, *x.shape[2:]))
        return {n: calls[0].reshape(3, 40, *calls[0].shape[1:]) for n, calls in told.items()}
    state = None
    if name.startswith("snntorch"):
        utils.reset(net)
    if name.startswith("spikingjelly"):
        functional.reset_net(net)
    for step in x:
        if name.startswith("norse"):
            _, state = net(step, state)
        else:
            net(step)
    return {n: np.stack(calls, axis=1) for n, calls in told.items()}


if __name__ == "__main__":
    main()
