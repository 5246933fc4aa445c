"""The networks that `make bench` times: integers, made from seeds, the same for every simulator.

All simulators compute, in integers (`trunc` rounds toward zero):

    u = trunc(u * (4096 - DECAY_U) / 4096) + 64 * (sum of the weights of last step's spikes)
    v = trunc(v * (4096 - DECAY_V) / 4096) + u;  spike if v > 64 * threshold, and then v = 0

Weights are even and within 8 bits, delays are one step, population 0 is the input. NumPy is all
that is needed, from Python 3.8 on: the other simulators' processes import this file too.

    python hw_tests/bench/workloads.py FOLDER NAME...    writes FOLDER/NAME.npz where it is not
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

DECAY_U, DECAY_V = 1024, 256  # share of 4096 that is lost per step


class Workload:
    """Sizes, thresholds, connections and input spikes.

    Attributes:
        sizes, thresholds: of every population; the input's threshold is 0.
        connections: (pre, post, pointers, targets, weights): row i of the lists is what
            neuron i of population `pre` reaches; int64, int32 and int16.
        samples, steps: of the input.
        input_at, input_neurons: the neurons that fire in sample b at step t are
            input_neurons[input_at[b, t] : input_at[b, t + 1]].
        extra: kernels of a convolutional network, for simulators that convolve.
    """

    def __init__(self, name, sizes, thresholds, connections, spikes, extra=None):
        self.name = name
        self.sizes = [int(size) for size in sizes]
        self.thresholds = [int(each) for each in thresholds]
        self.connections = connections
        self.input_at, self.input_neurons = spikes
        self.samples, self.steps = self.input_at.shape[0], self.input_at.shape[1] - 1
        self.extra = extra or {}

    @property
    def synapses(self):
        """How many there are."""
        return sum(len(targets) for _, _, _, targets, _ in self.connections)

    def shortened(self, steps):
        """Return the same with the first steps alone; None: all of them."""
        if not steps or steps >= self.steps:
            return self
        kept = [self.input_neurons[at[0] : at[steps]] for at in self.input_at]
        before = np.cumsum([0] + [len(neurons) for neurons in kept])[:-1]
        at = self.input_at[:, : steps + 1] - self.input_at[:, :1] + before[:, None]
        given = self.name, self.sizes, self.thresholds, self.connections
        return Workload(*given, (at, np.concatenate(kept)), self.extra)

    def raster(self, sample=0):
        """Return the input of a sample, bool (steps, inputs)."""
        steps, neurons = self.events(sample)
        raster = np.zeros((self.steps, self.sizes[0]), bool)
        raster[steps, neurons] = True
        return raster

    def events(self, sample=0):
        """Return (steps, neurons) of the input spikes of a sample, ordered by step."""
        at = self.input_at[sample]
        return np.repeat(np.arange(self.steps), np.diff(at)), self.input_neurons[at[0] : at[-1]]

    def sources(self, number):
        """Return the sending neuron of every synapse of a connection."""
        pre, _, pointers, _, _ = self.connections[number]
        return np.repeat(np.arange(self.sizes[pre], dtype=np.int32), np.diff(pointers))

    def matrix(self, number):
        """Return the weights of a connection, dense, int32 (pre, post)."""
        pre, post, _, targets, weights = self.connections[number]
        matrix = np.zeros((self.sizes[pre], self.sizes[post]), np.int32)
        matrix[self.sources(number), targets] = weights
        return matrix

    def arrays(self):
        """Return name -> array of everything, as the file holds it."""
        found = {"sizes": np.array(self.sizes), "thresholds": np.array(self.thresholds)}
        for number, (pre, post, pointers, targets, weights) in enumerate(self.connections):
            found[f"ends{number}"] = np.array([pre, post])
            found[f"pointers{number}"] = pointers.astype(np.int64)
            found[f"targets{number}"] = targets.astype(np.int32)
            found[f"weights{number}"] = weights.astype(np.int16)
        found["input_at"], found["input_neurons"] = self.input_at, self.input_neurons
        found.update(("extra_" + key, array) for key, array in self.extra.items())
        return found

    def digest(self):
        """Return a hash of every bit."""
        total = hashlib.sha256()
        for key, array in sorted(self.arrays().items()):
            total.update(key.encode() + str(array.shape).encode() + array.astype("<i8").tobytes())
        return total.hexdigest()[:16]


# --- what the networks are made of


def even(rng, shape, low, high):
    """Return even integers from low to high."""
    return (2 * rng.integers(low // 2, high // 2 + 1, shape)).astype(np.int16)


def rows_of(matrix):
    """Return a dense (pre, post) matrix as lists."""
    pre, post = matrix.shape
    pointers = np.arange(pre + 1, dtype=np.int64) * post
    return pointers, np.tile(np.arange(post, dtype=np.int32), pre), matrix.ravel()


def random_spikes(rng, samples, steps, size, rate):
    """Return input spikes that are independent of each other."""
    at, neurons, begin = np.zeros((samples, steps + 1), np.int64), [], 0
    for sample in range(samples):
        fires = rng.random((steps, size)) < rate
        at[sample] = begin + np.concatenate([[0], np.cumsum(fires.sum(1))])
        neurons.append(np.nonzero(fires)[1].astype(np.int32))
        begin = at[sample, -1]
    return at, np.concatenate(neurons)


def chosen(rng, rows, targets, fan_out):
    """Return for each row so many different targets, ascending."""
    found = np.empty((rows, fan_out), np.int32)
    for row in found:
        row[:] = rng.choice(targets, fan_out, replace=False, shuffle=False)
    found.sort(axis=1)
    return found.ravel()


def spread_out(rng, rows, targets, fan_out):
    """Return for each row one random target in each of `fan_out` equal ranges, ascending."""
    width = targets // fan_out
    found = rng.integers(0, width, (rows, fan_out), dtype=np.int32)
    found += np.arange(fan_out, dtype=np.int32) * np.int32(width)
    return found.ravel()


def convolved(kernel, height, width, stride, pool):
    """Return the lists of a padded (1) convolution of a map, sum-pooled before by `pool`."""
    out, channels, size, _ = kernel.shape
    rows = (height // pool + 2 - size) // stride + 1
    columns = (width // pool + 2 - size) // stride + 1
    extents = channels, height, width, out, rows, columns
    _, y, x, _, row, column = np.ix_(*(np.arange(extent) for extent in extents))
    in_y, in_x = y // pool + 1 - row * stride, x // pool + 1 - column * stride
    reached = (in_y >= 0) & (in_y < size) & (in_x >= 0) & (in_x < size)
    channel, y, x, target, row, column = np.nonzero(np.broadcast_to(reached, extents))
    in_y, in_x = y // pool + 1 - row * stride, x // pool + 1 - column * stride
    counts = np.bincount((channel * height + y) * width + x, minlength=channels * height * width)
    pointers = np.concatenate([[0], np.cumsum(counts)])
    targets = ((target * rows + row) * columns + column).astype(np.int32)
    return pointers, targets, kernel[target, channel, in_y, in_x]


# --- the networks


def dense(name, samples):
    """W1: 784-512-256-10, dense, 100 steps."""
    rng = np.random.default_rng(1)
    sizes = [784, 512, 256, 10]
    matrices = [even(rng, sizes[at : at + 2], -60, 64) for at in range(3)]
    connections = [(at, at + 1, *rows_of(matrix)) for at, matrix in enumerate(matrices)]
    spikes = random_spikes(rng, samples, 100, sizes[0], 0.1)
    return Workload(name, sizes, [0, 6505, 2921, 1513], connections, spikes)


def recurrent(name, size, steps=1000, fan_out=100, choose=chosen):
    """W2: a recurrent network; every fifth neuron is inhibitory; a tenth as many inputs."""
    rng = np.random.default_rng(2)
    inputs = size // 10
    from_input = even(rng, inputs * fan_out, 150, 254)
    inhibitory = np.repeat(np.arange(size) % 5 == 0, fan_out)
    inhibition = even(rng, size * fan_out, 120, 240)
    weights = even(rng, size * fan_out, 10, 60)
    weights[inhibitory] = -inhibition[inhibitory]
    pointers = [np.arange(rows + 1, dtype=np.int64) * fan_out for rows in (inputs, size)]
    connections = [
        (0, 1, pointers[0], choose(rng, inputs, size, fan_out), from_input),
        (1, 1, pointers[1], choose(rng, size, size, fan_out), weights),
    ]
    spikes = random_spikes(rng, 1, steps, inputs, 0.05)
    return Workload(name, [inputs, size], [0, 5800], connections, spikes)


def convolutional(name):
    """W3: 2x34x34, convolutions of 16, 16 and 8 channels, 256-10; 300 steps."""
    rng = np.random.default_rng(3)
    kernels = [even(rng, (16, 2, 5, 5), -100, 124)]
    kernels += [even(rng, (channels, 16, 3, 3), -60, 64) for channels in (16, 8)]
    layers = [even(rng, (128, 256), -100, 110), even(rng, (256, 10), -100, 120)]
    # The last pooling is part of the first dense layer: 8 x 8 x 8 -> 8 x 4 x 4.
    channel, y, x = np.indices((8, 8, 8))
    pooled = (channel * 16 + y // 2 * 4 + x // 2).ravel()
    connections = [
        (0, 1, *convolved(kernels[0], 34, 34, 2, 1)),
        (1, 2, *convolved(kernels[1], 16, 16, 1, 1)),
        (2, 3, *convolved(kernels[2], 16, 16, 1, 2)),
        (3, 4, *rows_of(layers[0][pooled])),
        (4, 5, *rows_of(layers[1])),
    ]
    sizes = [2 * 34 * 34, 16 * 16 * 16, 16 * 16 * 16, 8 * 8 * 8, 256, 10]
    spikes = random_spikes(rng, 1, 300, sizes[0], 0.05)
    extra = {f"kernel{at}": kernel for at, kernel in enumerate(kernels)}
    extra.update((f"layer{at}", layer) for at, layer in enumerate(layers))
    return Workload(name, sizes, [0, 1769, 937, 3049, 6249, 5417], connections, spikes, extra)


def scaled(name, size):
    """Return W2's network of another size over 200 steps; targets are chosen in a faster way."""
    return recurrent(name, size, 200, choose=spread_out)


MADE = {
    "w1": lambda name: dense(name, 1),
    "w1b64": lambda name: dense(name, 64),
    "w2_1k": lambda name: recurrent(name, 1_000),
    "w2_10k": lambda name: recurrent(name, 10_000),
    "w2_100k": lambda name: recurrent(name, 100_000),
    "w3": convolutional,
    "scale_10k": lambda name: scaled(name, 10_000),
    "scale_30k": lambda name: scaled(name, 30_000),
    "scale_100k": lambda name: scaled(name, 100_000),
    "scale_300k": lambda name: scaled(name, 300_000),
    "scale_1m": lambda name: scaled(name, 1_000_000),
}


# --- files


def write(workload, folder):
    """Write a workload into a folder; an interrupted writer leaves nothing that is read."""
    path = Path(folder) / (workload.name + ".npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez(str(unfinished), **workload.arrays())
    unfinished.replace(path)


def read(folder, name):
    """Return a workload that was written."""
    with np.load(str(Path(folder) / (name + ".npz"))) as file:
        found = {key: file[key] for key in file.files}
    connections = []
    while f"ends{len(connections)}" in found:
        at = len(connections)
        pre, post = (int(end) for end in found[f"ends{at}"])
        lists = (found[key + str(at)] for key in ("pointers", "targets", "weights"))
        connections.append((pre, post, *lists))
    extra = {key[6:]: array for key, array in found.items() if key.startswith("extra_")}
    spikes = found["input_at"], found["input_neurons"]
    return Workload(name, found["sizes"], found["thresholds"], connections, spikes, extra)


def ensure(folder, name):
    """Make a workload and write it, where its file is not there; return its steps."""
    path = Path(folder) / (name + ".npz")
    if not path.exists():
        write(MADE[name](name), folder)
    with np.load(str(path)) as file:
        return file["input_at"].shape[1] - 1


if __name__ == "__main__":
    for each in sys.argv[2:]:
        print("RESULT " + json.dumps({"workload": each, "steps": ensure(sys.argv[1], each)}))
