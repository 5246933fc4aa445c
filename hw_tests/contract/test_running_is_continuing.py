"""A run of a + b steps equals a run of a, then b from its State, on every backend."""

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.semantics import preset
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.lif import Lif
from spikeport.verbs import run


def recurrent_net():
    """Two layers, the first recurrent with a current filter, with biases; 12 steps of it spike."""
    rng = np.random.default_rng(7)
    flat = np.ones(6)
    nodes = {
        "input": Input((4,)),
        "fc1": Affine(rng.normal(0.5, 1, (6, 4)), rng.normal(0, 0.2, 6)),
        "hidden": CubaLif(flat * 1e-3, flat * 5e-4, flat * 4, flat * 0, flat, flat * 0, flat * 2),
        "back": Linear(rng.normal(0, 0.6, (6, 6))),
        "fc2": Affine(rng.normal(0.3, 0.7, (3, 6)), rng.normal(0, 0.1, 3)),
        "out": Lif(np.full(3, 1e-3), np.full(3, 10.0), np.zeros(3), np.ones(3), np.zeros(3)),
        "output": Output((3,)),
    }
    edges = (
        ("input", "fc1"), ("fc1", "hidden"), ("hidden", "back"), ("back", "hidden"),
        ("hidden", "fc2"), ("fc2", "out"), ("out", "output"),
    )  # fmt: skip
    said = preset("nir")
    net = Network(nodes, edges, name="recurrent")
    return net.with_semantics(said).with_semantics(type(said)(**{**vars(said), "dt": 1e-4}))


def nouns(backend):
    net = recurrent_net()
    x = np.random.default_rng(3).integers(0, 2, (3, 20, 4)).astype(np.uint8)
    return (net if backend in ("reference", "brian2") else sp.compile(net, calibration=x)), x


@pytest.mark.parametrize("split", [1, 7, 19])
@pytest.mark.parametrize("backend", ["reference", "brian2", "emulator", "lava"])
def test_two_halves_equal_the_whole(backend, split, request):
    if backend in ("lava", "brian2"):
        request.getfixturevalue(backend)
        if backend == "lava" and split != 7:
            pytest.skip("one split is enough for Lava, which is slow to start")
    noun, x = nouns(backend)
    probe = ["hidden.v", "out.v", "hidden.u"]
    whole = run(noun, x, steps=20, backend=backend, probe=probe)
    first = run(noun, x[:, :split], steps=split, backend=backend, probe=probe)
    rest = run(
        noun, x[:, split:], steps=20 - split, state=first.state, backend=backend, probe=probe
    )
    assert whole.spikes["hidden"].total > 10
    assert whole.spikes["out"].total > 0
    for name in ("hidden", "out"):
        halves = [first.spikes[name].dense(), rest.spikes[name].dense()]
        assert np.array_equal(np.concatenate(halves, axis=1), whole.spikes[name].dense())
    for key in probe:
        halves = [first.probes[key], rest.probes[key]]
        assert np.array_equal(np.concatenate(halves, axis=1), whole.probes[key])
    for name, kept in whole.state.variables.items():
        for variable in ("u", "v"):
            assert np.array_equal(kept[variable], rest.state.variables[name][variable])


def test_a_forgotten_state_is_noticed():
    noun, x = nouns("emulator")
    whole = run(noun, x, steps=20)
    rest = run(noun, x[:, 7:], steps=13)
    assert not np.array_equal(rest.spikes["hidden"].dense(), whole.spikes["hidden"].dense()[:, 7:])


def test_lava_goes_on_from_the_emulators_state(lava):
    noun, x = nouns("emulator")
    whole = run(noun, x, steps=20, probe=["hidden.v"])
    first = run(noun, x[:, :9], steps=9)
    rest = run(noun, x[:, 9:], steps=11, state=first.state, backend="lava")
    assert np.array_equal(rest.probes["hidden.v"], whole.probes["hidden.v"][:, 9:])
