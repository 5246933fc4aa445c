"""What both sides of `bench_train.py` share: their work, their clocks, and how they are asked.

A script is called as  SCRIPT FILE THREADS  in an environment of its own. It answers every line on
its standard input, `epoch` or `products`, with one line of JSON. NumPy is enough for this file.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import numpy as np

BATCH, STEPS, SCALE, RATE, SLOPE, BETA = 64, 25, 0.3, 1e-3, 25.0, 0.9
PRODUCTS = 20  # of which the fastest counts


class Work:
    """The samples and the weights that both start from.

    Attributes:
        spikes: uint8 (steps, samples, n).
        labels: (samples,).
        weights: two of (post, pre), and two biases, float32.
    """

    def __init__(self, path):
        with np.load(path) as held:
            shape = tuple(held["shape"])
            packed = np.unpackbits(held["spikes"], count=int(np.prod(shape)))
            self.spikes, self.labels = packed.reshape(shape), held["labels"]
            self.weights = [held[f"weight{at}"] for at in range(2)]
            self.biases = [held[f"bias{at}"] for at in range(2)]

    def batches(self):
        """Return slices of whole batches."""
        whole = len(self.labels) // BATCH
        return [slice(at * BATCH, (at + 1) * BATCH) for at in range(whole)]


def arguments():
    """Return (work, threads); from here on this process has so many cores."""
    path, threads = sys.argv[1], int(sys.argv[2])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    return Work(path), threads


def serve(epoch, products, **said):
    """Say what is known, then answer until the input ends.

    Args:
        epoch: () -> losses of its batches; this alone is timed.
        products: () -> nothing: the two products of a batch with the largest weights.
        said: about this side: `version`, `compile_s`.
    """
    _say(said)
    for line in sys.stdin:
        if line.strip() == "products":
            _say({"wall_s": min(_taken(products)[1]["wall_s"] for _ in range(PRODUCTS))})
        else:
            losses, taken = _taken(epoch)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            found = {"first_loss": losses[0], "loss": float(np.mean(losses)), "peak_bytes": peak}
            _say({**taken, **found})


def _taken(function):
    wall, cpu = time.perf_counter(), time.process_time()
    made = function()
    return made, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def _say(what):
    print("RESULT " + json.dumps(what), flush=True)
