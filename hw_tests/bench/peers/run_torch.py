"""The same recurrence in plain PyTorch, float32; variants `1 thread`, `2 threads`.

What any library of spiking networks on PyTorch adds comes on top of this.
"""

from __future__ import annotations

from common import arguments, measure

import numpy as np  # isort: skip
import torch  # isort: skip
import torch.nn.functional as functions  # isort: skip
from workloads import DECAY_U, DECAY_V  # isort: skip

DENSE = 2e6  # a matrix of fewer entries is dense
KEPT_U, KEPT_V = 1 - DECAY_U / 4096, 1 - DECAY_V / 4096
MAPS = {0: (2, 34, 34), 1: (16, 16, 16), 2: (16, 16, 16), 3: (8, 8, 8)}  # of W3


def floats(array):
    """Return an array as a float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def pooled(spikes):
    """Return sums over 2 x 2."""
    return functions.avg_pool2d(spikes, 2) * 4


def convolutions(workload):
    """Return what W3's connections do to spikes."""
    kernels = [floats(workload.extra[f"kernel{at}"]) for at in range(3)]
    layers = [floats(workload.extra[f"layer{at}"].T) for at in range(2)]
    return [
        lambda spikes: functions.conv2d(spikes, kernels[0], stride=2, padding=1),
        lambda spikes: functions.conv2d(spikes, kernels[1], padding=1),
        lambda spikes: functions.conv2d(pooled(spikes), kernels[2], padding=1),
        lambda spikes: functions.linear(pooled(spikes).flatten(1), layers[0]),
        lambda spikes: functions.linear(spikes, layers[1]),
    ]


def applied(workload, number):
    """Return what a connection does to spikes."""
    pre, post, _, targets, weights = workload.connections[number]
    if workload.sizes[pre] * workload.sizes[post] <= DENSE:
        matrix = floats(workload.matrix(number).T)
        return lambda spikes: functions.linear(spikes, matrix)
    ends = np.stack([targets, workload.sources(number)])
    shape = workload.sizes[post], workload.sizes[pre]
    lists = torch.sparse_coo_tensor(torch.from_numpy(ends), floats(weights), shape)
    rows = lists.to_sparse_csr()
    return lambda spikes: (rows @ spikes.T).T


def build(workload):
    """Return (workload, input, what connections do, shapes, spikes so far)."""
    rasters = [workload.raster(sample) for sample in range(workload.samples)]
    inputs = floats(np.stack(rasters, 1))
    shapes = {at: (size,) for at, size in enumerate(workload.sizes)}
    if "kernel0" in workload.extra:
        shapes.update(MAPS)
        connections = convolutions(workload)
    else:
        connections = [applied(workload, at) for at in range(len(workload.connections))]
    inputs = inputs.view(workload.steps, workload.samples, *shapes[0])
    return workload, inputs, connections, shapes, [0.0] * len(shapes)


@torch.no_grad()
def run(model):
    """Take the steps."""
    workload, inputs, connections, shapes, totals = model
    cells = range(1, len(shapes))
    zeros = {at: torch.zeros((workload.samples, *shapes[at])) for at in cells}
    currents, potentials, arriving = dict(zeros), dict(zeros), dict(zeros)
    spikes = {}
    for given in inputs:
        for at in cells:
            currents[at] = currents[at] * KEPT_U + arriving[at]
            potential = potentials[at] * KEPT_V + currents[at]
            fires = potential > float(workload.thresholds[at])
            potentials[at] = potential.masked_fill(fires, 0.0)
            spikes[at] = fires.float()
            totals[at] += spikes[at].sum()
        spikes[0] = given
        arriving = {}
        for (pre, post, *_), apply in zip(workload.connections, connections):  # noqa: B905
            sent = apply(spikes[pre])
            arriving[post] = sent if post not in arriving else arriving[post] + sent


def main():
    given = arguments()
    torch.set_num_threads(int(given.variant.split()[0]))
    version = torch.__version__
    measure(given, build, run, lambda model: model[-1][1:], version=version)


if __name__ == "__main__":
    main()
