"""Random integer networks, and what brian2_loihi 0.5.2 made of them: writes brian2_loihi.npz.

brian2_loihi needs Python 3.10 and NumPy 1, so this script has an environment of its own and
imports nothing of spikeport:

    uv venv --python 3.10 .venv-brian2
    uv pip install --python .venv-brian2 brian2-loihi==0.5.2 brian2==2.6.0 numpy==1.24.4 \
        sympy==1.14.0 setuptools==69.5.1
    .venv-brian2/bin/python hw_tests/golden/record_brian2_loihi.py

Everything is stored as brian2_loihi takes and gives it; test_brian2_loihi.py translates. For
network K the file holds

    K/spec       JSON: `groups`, a dict of LoihiNeuronGroup's arguments each; `projections`,
                 LoihiSynapses' arguments and `pre`, `post`: numbers of groups, -1 the generator
    K/input      (steps, n) uint8: spikes of the generator at the step in which it fires
    K/weight/J   (post, pre) int16: `w` of projection J, before any rounding
    K/I/G        (steps, n): after the synapses of the step, before its decay
    K/v/G        (steps, n): at the end of the step
    K/spikes/G   (steps, n) uint8
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import brian2
import brian2_loihi
import numpy as np

SEED = 52
NETWORKS = 520
STEPS = 60
MIXED, EXCITATORY, INHIBITORY = 1, 2, 3
RANGE = {MIXED: (-256, 254), EXCITATORY: (0, 255), INHIBITORY: (-256, 0)}
GENERATOR = -1

Network = dict[str, Any]


def network(rng: np.random.Generator, number: int) -> Network:
    """Return a feed-forward (even `number`) or recurrent network with its input."""
    sources = int(rng.integers(2, 10))
    sizes = rng.integers(1, 7, rng.integers(2, 4)).tolist()
    pairs = [(post - 1, post) for post in range(len(sizes))]
    if number % 2:
        pairs += [(int(pre), int(pre)) for pre in rng.integers(0, len(sizes), 1)]
        pairs += [(len(sizes) - 1, 0)]
    if rng.random() < 0.5:
        pairs += [(GENERATOR, len(sizes) - 1)]
    projections = [
        projection(rng, pre, post, exponent=(number + 5 * k) % 15 - 7)
        for k, (pre, post) in enumerate(pairs)
    ]
    widths = [*sizes, sources]  # [GENERATOR] is the last
    fired = (rng.random((STEPS, sources)) < rng.uniform(0.05, 0.8)).astype(np.uint8)
    fired[0] = 0  # a spike of the generator acts at once: this one would come before our start
    return {
        "groups": [group(rng, size) for size in sizes],
        "projections": projections,
        "weight": [
            weights(rng, widths[each["post"]], widths[each["pre"]], each["sign_mode"])
            for each in projections
        ],
        "input": fired,
    }


def group(rng: np.random.Generator, size: int) -> dict[str, int]:
    """Return random arguments of a LoihiNeuronGroup, edges of the ranges included."""

    def decay(low: int) -> int:
        return int(rng.choice([low, 4096, rng.integers(low, 4097), rng.integers(low, 600)]))

    return {
        "N": size,
        "refractory": int(rng.integers(1, 6)),
        "threshold_v_mant": int(rng.choice([0, 131071, *(2 ** rng.uniform(2, 14, 10))])),
        "decay_v": decay(0),
        "decay_I": decay(1),  # 0, a current that never decays, is nothing that Loihi has
    }


def projection(rng: np.random.Generator, pre: int, post: int, exponent: int) -> dict[str, int]:
    """Return random arguments of LoihiSynapses."""
    return {
        "pre": pre,
        "post": post,
        "w_exp": exponent,
        "sign_mode": int(rng.integers(1, 4)),
        "num_weight_bits": int(rng.choice([8, 8, 8, rng.integers(1, 9)])),
        "delay": int(rng.integers(0, 6)),
    }


def weights(rng: np.random.Generator, post: int, pre: int, sign_mode: int) -> np.ndarray:
    """Return weights of a sign mode: all small, or over the whole range with its edges."""
    low, high = RANGE[sign_mode]
    drawn = rng.integers(low, high + 1, (post, pre))
    drawn = np.where(rng.random((post, pre)) < 0.1, rng.choice([low, high], (post, pre)), drawn)
    return drawn // 16 if rng.random() < 0.2 else drawn


def beyond(sign_mode: int, size: int, exponent: int = 7, decay_v: int = 0) -> Network:
    """Return a group whose I leaves 24 bits, or all its 32, and is wrapped nowhere."""
    low, high = RANGE[sign_mode]
    fired = np.ones((STEPS, size), np.uint8)
    fired[0] = 0
    neurons = {"N": 2, "refractory": 3, "threshold_v_mant": 131071, "decay_I": 1}
    synapses = {"pre": GENERATOR, "post": 0, "num_weight_bits": 8, "delay": 0}
    return {
        "groups": [{**neurons, "decay_v": decay_v}],
        "projections": [{**synapses, "w_exp": exponent, "sign_mode": sign_mode}],
        "weight": [np.full((2, size), low if sign_mode == INHIBITORY else high)],
        "input": fired,
    }


def run(net: Network) -> dict[str, list[np.ndarray]]:
    """Run a network in brian2_loihi and return I, v and spikes of every group."""
    steps, sources = net["input"].shape
    times, indices = np.nonzero(net["input"])
    generator = brian2_loihi.LoihiSpikeGeneratorGroup(sources, indices, times)
    groups = [brian2_loihi.LoihiNeuronGroup(**each) for each in net["groups"]]
    ends = [*groups, generator]
    synapses = []
    for each, matrix in zip(net["projections"], net["weight"], strict=True):
        arguments = {key: each[key] for key in each if key not in ("pre", "post")}
        made = brian2_loihi.LoihiSynapses(ends[each["pre"]], ends[each["post"]], **arguments)
        post, pre = np.indices(matrix.shape).reshape(2, -1)
        made.connect(i=pre, j=post)
        made.w = matrix.reshape(-1)
        synapses.append(made)
    current = [brian2_loihi.LoihiStateMonitor(each, "I") for each in groups]
    voltage = [brian2_loihi.LoihiStateMonitor(each, "v") for each in groups]
    fired = [brian2.SpikeMonitor(each) for each in groups]
    brian2_loihi.LoihiNetwork(*ends, *synapses, *current, *voltage, *fired).run(steps)
    rasters = [np.zeros((steps, each.N), np.uint8) for each in groups]
    for raster, monitor in zip(rasters, fired, strict=True):
        raster[np.rint(monitor.t / brian2.ms).astype(int), np.asarray(monitor.i)] = 1
    return {
        "I": [whole(each.I.T) for each in current],
        "v": [whole(each.v.T) for each in voltage],
        "spikes": rasters,
    }


def whole(values: np.ndarray) -> np.ndarray:
    """Return the floats as the integers that they are, in the smallest type that holds them."""
    found = np.asarray(values).astype(np.int64)
    if (found != values).any():
        raise ValueError("brian2_loihi gave a value that is no integer")
    fits = np.abs(found).max(initial=0) < 2**31
    return found.astype(np.int32 if fits else np.int64)


def record() -> None:
    """Run all networks and write brian2_loihi.npz."""
    brian2.prefs.codegen.target = "numpy"
    rng = np.random.default_rng(SEED)
    networks = [network(rng, number) for number in range(NETWORKS)]
    networks += [
        beyond(EXCITATORY, 40),
        beyond(INHIBITORY, 2, decay_v=4096),
        beyond(INHIBITORY, 8, exponent=-7),
        beyond(MIXED, 1),
    ]
    arrays: dict[str, np.ndarray] = {}
    for key, net in enumerate(networks):
        arrays[f"{key}/spec"] = np.array(
            json.dumps({"groups": net["groups"], "projections": net["projections"]})
        )
        arrays[f"{key}/input"] = net["input"]
        for number, matrix in enumerate(net["weight"]):
            arrays[f"{key}/weight/{number}"] = matrix.astype(np.int16)
        for name, values in run(net).items():
            for number, array in enumerate(values):
                arrays[f"{key}/{name}/{number}"] = array
    np.savez_compressed(Path(__file__).with_name("brian2_loihi.npz"), **arrays)


if __name__ == "__main__":
    record()
