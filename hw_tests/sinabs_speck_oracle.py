"""Random layers of integrate-and-fire neurons, and what sinabs made of them: writes speck/*.npz.

sinabs is outside software (AGPL), so this script has an environment of its own and imports
nothing of spikeport:

    uv venv --python 3.11 .venv-sinabs
    uv pip install --python .venv-sinabs sinabs==3.1.3 torch numpy
    .venv-sinabs/bin/python hw_tests/sinabs_speck_oracle.py [FOLDER [NETWORKS [SEED]]]

Weights, biases, thresholds and floors are whole numbers as a Speck core holds them (weights and
biases 8 bits, thresholds and states 16), so sinabs' floats are exact. A network is a chain of
layers, each a sum pool (of 1: none), a convolution or dense layer, and sinabs.layers.IAF: with
several spikes per step or one, reset by subtraction or to zero. For network K a file holds

    K/spec       JSON: a dict for each layer: `pool`; `stride`, `padding`, absent for a dense
                 layer; `threshold`, `floor` (None: none), `spike`, `reset`
    K/input      (steps, channels, rows, columns) uint8: spikes, or counts of them
    K/weight/J   of layer J, (out, in, rows, columns) or (out, in) int8
    K/bias/J     (out,) int8
    K/spikes/J   (steps, neurons) int16: how many spikes in each step
    K/v/J        (steps, neurons) int16: after the step
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import sinabs.activation as sa
import sinabs.layers as sl
import torch

SEED = 2
NETWORKS = 56
STEPS = 10
SPIKES = {"count": sa.MultiSpike, "binary": sa.SingleSpike}
RESETS = {"subtract": sa.MembraneSubtract, "to_value": sa.MembraneReset}

Layer = dict[str, Any]


def layer(rng: np.random.Generator, shape: tuple[int, int, int], dense: bool) -> Layer:
    """Return a random layer on maps of this shape (channels, rows, columns)."""
    sizes = [size for size in (1, 2, 4) if min(shape[1:]) >= size]
    pool = int(rng.choice(sizes)) if rng.random() < 0.6 else 1
    channels, rows, columns = shape[0], shape[1] // pool, shape[2] // pool
    out = int(rng.integers(1, 6))
    made: Layer = {"pool": pool}
    if dense:
        taps: tuple[int, ...] = (out, channels * rows * columns)
    else:
        kernel = int(rng.integers(1, min(rows, columns, 5) + 1))
        made["stride"] = rng.choice([1, 1, 2], 2).tolist()
        made["padding"] = rng.integers(0, kernel, 2).tolist()
        taps = (out, channels, kernel, kernel)
    high = int(rng.choice([4, 30, 127]))
    made["weight"] = rng.integers(-high // 2, high + 1, taps)
    made["bias"] = rng.integers(-high // 2, high + 1, out) * int(rng.integers(0, 2))
    made["threshold"] = int(rng.integers(max(high // 2, 1), 6 * high))
    made["floor"] = int(rng.choice([0, -1, -high, -2000])) if rng.random() < 0.5 else None
    made["spike"], made["reset"] = rng.choice(list(SPIKES)), rng.choice(list(RESETS))
    return made


def module(each: Layer) -> torch.nn.Sequential:
    """Return a layer as sinabs has it."""
    weight = torch.tensor(each["weight"], dtype=torch.float64)
    parts: list[torch.nn.Module] = [sl.SumPool2d(each["pool"])] if each["pool"] > 1 else []
    if weight.ndim == 4:
        made: Any = torch.nn.Conv2d(
            *weight.shape[1::-1], weight.shape[2], each["stride"], each["padding"]
        )
    else:
        parts.append(torch.nn.Flatten())
        made = torch.nn.Linear(*weight.shape[::-1])
    made.weight.data = weight
    made.bias.data = torch.tensor(each["bias"], dtype=torch.float64)
    return torch.nn.Sequential(*parts, made)


def run(each: Layer, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the spikes and v of a layer that gets x (steps, ...), both (steps, ...).

    Raises:
        OverflowError: a state left 16 bits, which sinabs does not mind and a core would.
    """
    with torch.no_grad():
        arriving = module(each)(x.double())
        neurons = sl.IAF(
            spike_threshold=torch.tensor(float(each["threshold"]), dtype=torch.float64),
            spike_fn=SPIKES[each["spike"]],
            reset_fn=RESETS[each["reset"]](),
            min_v_mem=each["floor"],
            record_states=True,
        )
        spikes = neurons(arriving[None])[0]
    v = neurons.recordings["v_mem"][0]
    if (v[:-1] + arriving[1:]).abs().max() > 32767 or arriving.abs().max() > 32767:
        raise OverflowError("before the reset a state is no integer of 16 bits")
    return spikes, v


def whole(values: torch.Tensor) -> np.ndarray:
    """Return the floats as the 16-bit integers that they are, (steps, neurons)."""
    found = values.reshape(len(values), -1).numpy()
    if (found != np.rint(found)).any() or np.abs(found).max() > 32767:
        raise OverflowError("a value is no integer of 16 bits")
    return found.astype(np.int16)


def network(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a random network, its input and what it did.

    Raises:
        OverflowError: see `run`.
    """
    shape = (int(rng.integers(1, 3)), *rng.integers(4, 13, 2).tolist())
    most = int(rng.choice([1, 1, 3]))
    x = rng.integers(0, most + 1, (STEPS, *shape)) * (rng.random((STEPS, *shape)) < 0.4)
    arrays: dict[str, np.ndarray] = {"input": x.astype(np.uint8)}
    count = int(rng.integers(1, 5))
    sent, spec = torch.tensor(x, dtype=torch.float64), []
    for number in range(count):
        dense = sent.ndim < 4 or (number == count - 1 and rng.random() < 0.7)
        if sent.ndim < 4:
            sent = sent[:, :, None, None]
        each = layer(rng, tuple(sent.shape[1:]), dense)
        sent, v = run(each, sent)
        arrays[f"weight/{number}"] = each.pop("weight").astype(np.int8)
        arrays[f"bias/{number}"] = each.pop("bias").astype(np.int8)
        arrays[f"spikes/{number}"], arrays[f"v/{number}"] = whole(sent), whole(v)
        spec.append({key: str(value) if key in ("spike", "reset") else value
                     for key, value in each.items()})  # fmt: skip
    arrays["spec"] = np.array(json.dumps(spec))
    return arrays


def record(folder: Path, networks: int, seed: int) -> None:
    """Run so many networks that stay inside 16 bits and write them."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    made = 0
    while made < networks:
        try:
            found = network(rng)
        except OverflowError:
            continue
        arrays |= {f"{made}/{name}": values for name, values in found.items()}
        made += 1
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "networks.npz", **arrays)


if __name__ == "__main__":
    given = sys.argv[1:]
    record(
        Path(given[0]) if given else Path(__file__).parent / "golden" / "speck",
        int(given[1]) if len(given) > 1 else NETWORKS,
        int(given[2]) if len(given) > 2 else SEED,
    )
