"""Train the demo network: handwritten digits as spike trains, 64 inputs, one hidden layer, 10 LIFs.

In goes scikit-learn's digits data (extra `train`); out come `digits.nir` and `digits.npz`, which
`spikeport demo` deploys. The training is back-propagation through time with a surrogate gradient,
written out in NumPy. Each layer steps as NIR's LIF does under forward Euler with r = tau / dt:

    v <- keep v + W x + b,   spike when v > 1 (strictly), then v = 0 in the same step

    python examples/train_digits.py --out spikeport/demo

One seed gives one data file everywhere, and the same network on the same machine; elsewhere its
last digits can differ, because float sums depend on the BLAS library and its threads.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import numpy.typing as npt

from spikeport.compiler.semantics import Semantics, to_metadata

Array = npt.NDArray[np.float64]

STEPS = 25
HELD_OUT = 540
DT, TAU = 1e-4, 1e-3
KEEP = 1 - DT / TAU
#: Sharpness of the fast sigmoid whose slope, 1 / (1 + SLOPE |v - 1|)^2, stands in for a spike's.
SLOPE = 5.0
#: AdamW's learning rate at the start (it falls to 0 as a cosine) and its weight decay.
RATE, DECAY = 0.005, 0.2
#: Spike counts times this are the logits; labels are smoothed. Both keep the network unsure.
LOGIT_PER_SPIKE, SMOOTHING = 0.3, 0.1


@dataclass
class Layer:
    """An Affine and the LIF neurons behind it, with Adam's two moments for each parameter."""

    weight: Array
    bias: Array

    def __post_init__(self) -> None:
        self.moments = [np.zeros((2, *p.shape)) for p in (self.weight, self.bias)]

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return spikes and v before reset, (step, sample, n), for input (step, sample, m)."""
        v_all = x @ self.weight.T + self.bias
        spikes = np.zeros_like(v_all)
        v = np.zeros_like(v_all[0])
        for t in range(len(x)):
            v = v_all[t] = KEEP * v + v_all[t]
            spikes[t] = v > 1
            v = v * (1 - spikes[t])
        return spikes, v_all

    def backward(self, slope_s: Array, spikes: Array, v: Array) -> Array:
        """Return dL/d(W x + b) from dL/d(spikes); the reset itself is taken as a constant."""
        slope_i = slope_s / (1 + SLOPE * np.abs(v - 1)) ** 2
        for t in range(len(v) - 2, -1, -1):
            slope_i[t] += KEEP * (1 - spikes[t]) * slope_i[t + 1]
        return slope_i

    def adam(self, x: Array, slope_i: Array, step: int, rate: float) -> None:
        """Take one step of Adam (Kingma and Ba 2015) in place, then let the weights decay."""
        slopes = np.tensordot(slope_i, x, ((0, 1), (0, 1))), slope_i.sum((0, 1))
        for parameter, slope, moments in zip(
            (self.weight, self.bias), slopes, self.moments, strict=True
        ):
            moments *= np.array([0.9, 0.999]).reshape(2, *[1] * slope.ndim)
            moments += np.stack([0.1 * slope, 0.001 * slope**2])
            mean, square = moments[0] / (1 - 0.9**step), moments[1] / (1 - 0.999**step)
            parameter -= rate * mean / (np.sqrt(square) + 1e-8)
        self.weight *= 1 - rate * DECAY


def poisson(pixels: Array, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return 0/1 spikes, (sample, STEPS, 64): a pixel fires with its grey value as probability."""
    return (rng.random((len(pixels), STEPS, 64)) < pixels[:, None]).astype(np.uint8)


def accuracy(layers: list[Layer], x: npt.NDArray[np.uint8], labels: Array) -> float:
    s = x.swapaxes(0, 1).astype(float)
    for layer in layers:
        s, _ = layer.forward(s)
    return float((s.sum(0).argmax(1) == labels).mean())


def train(
    pixels: Array, labels: Array, hidden: int, epochs: int, rng: np.random.Generator
) -> list[Layer]:
    sizes = (64, hidden, 10)
    layers = [Layer(rng.normal(0, 1 / np.sqrt(m), (n, m)), np.zeros(n)) for m, n in pairwise(sizes)]
    target = (1 - SMOOTHING) * np.eye(10)[labels] + SMOOTHING / 10
    step = 0
    for epoch in range(epochs):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        order = rng.permutation(len(pixels))
        spikes = poisson(pixels, rng)
        hits = 0
        for batch in np.array_split(order, len(order) // 64):
            step += 1
            x = spikes[batch].swapaxes(0, 1).astype(float)
            s1, v1 = layers[0].forward(x)
            s2, v2 = layers[1].forward(s1)
            counts = s2.sum(0)
            hits += int((counts.argmax(1) == labels[batch]).sum())
            likely = np.exp(LOGIT_PER_SPIKE * counts)
            likely /= likely.sum(1, keepdims=True)
            slope = np.broadcast_to((likely - target[batch]) / len(batch), s2.shape)
            slope2 = layers[1].backward(slope, s2, v2)
            slope1 = layers[0].backward(slope2 @ layers[1].weight, s1, v1)
            layers[1].adam(s1, slope2, step, rate)
            layers[0].adam(x, slope1, step, rate)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}/{epochs}  training accuracy {hits / len(order):.2%}")
    return layers


def to_nir(layers: list[Layer]) -> nir.NIRGraph:
    """Return the network as NIR means it, with its time step and dialect in the metadata."""
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([64])})}
    for name, layer in zip(("hidden", "output"), layers, strict=True):
        n = len(layer.bias)
        affine = nir.Affine(layer.weight.astype(np.float32), layer.bias.astype(np.float32))
        constants = {"tau": TAU, "r": TAU / DT, "v_leak": 0, "v_threshold": 1, "v_reset": 0}
        lif = nir.LIF(**{key: np.full(n, value, np.float32) for key, value in constants.items()})
        nodes |= {f"{name}_weights": affine, name: lif}
    nodes["readout"] = nir.Output({"output": np.array([10])})
    chain = list(nodes)
    told = to_metadata(Semantics(dt=DT, dialect="nir"))
    edges = list(pairwise(chain))
    return nir.NIRGraph(nodes, edges, metadata={"spikeport": told})


def main() -> None:
    from sklearn.datasets import load_digits

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    demo = Path(__file__).resolve().parent.parent / "spikeport" / "demo"
    parser.add_argument("--out", type=Path, default=demo, help="folder for the two files")
    parser.add_argument("--hidden", type=int, default=100, help="neurons in the hidden layer")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()

    started = time.perf_counter()
    rng = np.random.default_rng(options.seed)
    digits = load_digits()
    order = rng.permutation(len(digits.data))
    pixels, labels = digits.data[order] / 16, digits.target[order]
    layers = train(pixels[HELD_OUT:], labels[HELD_OUT:], options.hidden, options.epochs, rng)
    x, held_out = poisson(pixels[:HELD_OUT], rng), labels[:HELD_OUT].astype(np.uint8)

    options.out.mkdir(parents=True, exist_ok=True)
    nir.write(options.out / "digits.nir", to_nir(layers))
    np.savez_compressed(options.out / "digits.npz", x=x, labels=held_out)
    print(f"accuracy on {len(x)} held-out samples {accuracy(layers, x, held_out):.2%}")
    size = sum((options.out / f"digits.{kind}").stat().st_size for kind in ("nir", "npz"))
    took = time.perf_counter() - started
    print(f"wrote digits.nir and digits.npz to {options.out}: {size / 1e3:.0f} kB in {took:.0f} s")


if __name__ == "__main__":
    main()
