"""A recurrent network from arrays, which stays sparse: 20000 neurons with 50 inputs each."""

import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse

import spikeport as sp
from spikeport.compiler.network import Input, Linear, Output
from spikeport.models.neurons.cuba_lif import CubaLif

NEURONS, SOURCES, FAN_IN = 20_000, 1_000, 50
rng = np.random.default_rng(0)


def weights(post: int, pre: int, fan_in: int, low: float, high: float) -> scipy.sparse.csr_array:
    """Return random weights, a row per neuron, with `fan_in` of its sources each."""
    sources = rng.integers(0, pre, (post, fan_in))
    values = rng.uniform(low, high, post * fan_in).astype(np.float32)
    starts = fan_in * np.arange(post + 1)
    return scipy.sparse.csr_array((values, sources.ravel(), starts), shape=(post, pre))


one = np.ones(NEURONS)
neurons = CubaLif(
    tau_mem=20e-3 * one, tau_syn=5e-3 * one, r=one, v_leak=0 * one,
    v_threshold=one, v_reset=0 * one, w_in=one,
)  # fmt: skip
net = sp.Network(
    nodes={
        "in": Input((SOURCES,)),
        "from_in": Linear(weights(NEURONS, SOURCES, 10, 4, 8)),
        "loop": Linear(weights(NEURONS, NEURONS, FAN_IN, -1.5, 1)),
        "neurons": neurons,
        "out": Output((NEURONS,)),
    },
    edges=(
        ("in", "from_in"), ("from_in", "neurons"), ("neurons", "out"),
        ("neurons", "loop"), ("loop", "neurons"),
    ),
    semantics=sp.Semantics(dt=1e-3),
)  # fmt: skip
image = sp.compile(net, chip="loihi2", chips=8)
x = (rng.random((1, 100, SOURCES)) < 0.05).astype(np.uint8)
spikes = sp.run(image, x).spikes["neurons"].dense()

held = image.program.synapses
size = sum(s.stored.data.nbytes + s.stored.indices.nbytes + s.stored.indptr.nbytes for s in held)
count = sum(each.count for each in held)
print(f"{count} synapses in {size / count:.2f} bytes each, {int(spikes.sum())} spikes")

try:
    with tempfile.TemporaryDirectory() as folder:
        sp.write(net, Path(folder) / "net.nir", max_memory="1GiB")
except sp.errors.SpikeportError as error:
    print(error)
