"""How fast an Image is built, and how many bytes it takes.

    python -m hw_tests.bench.bench_build [--large]

Networks of 11 million synapses on loihi2, on as many chips as they need: a random recurrent one of
100 000 neurons from SciPy arrays, and dense layers from a .nir file. --large: one million neurons
with 110 million synapses from arrays, which takes minutes and 4 GB. CPU time of one process, the
least of several builds. Bytes at rest are what the arrays of the Image hold; `laid out` is what the
C engine keeps beside them once it has run.
"""

from __future__ import annotations

import argparse
import pickle
import resource
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import scipy.sparse as sparse

import spikeport as sp
from spikeport import verbs
from spikeport.backends.emulator.engines import is_built
from spikeport.compiler.image import Image
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.models.neurons.cuba_lif import CubaLif

FAN_IN = {"input": 10, "recurrent": 100}
LAYERS = (2048, 2048, 2048, 1300)
MOST_SECONDS = {"from arrays": 1.5, "from .nir": 5.0}
MOST_BYTES = 6.0


def random_rows(rng: np.random.Generator, post: int, pre: int, fan_in: int) -> sparse.csr_array:
    """Return float32 weights of `fan_in` sources each, some drawn twice."""
    sources = np.sort(rng.integers(0, pre, (post, fan_in), dtype=np.int32), axis=1)
    weights = rng.uniform(-0.2, 0.3, post * fan_in).astype(np.float32)
    starts = np.arange(post + 1, dtype=np.int32) * fan_in
    rows = sparse.csr_array((weights, sources.ravel(), starts), shape=(post, pre))
    rows.sum_duplicates()
    return rows


def recurrent(size: int) -> Network:
    """Return a random recurrent network from arrays."""
    rng = np.random.default_rng(2)

    def all_of(value: float) -> np.ndarray:
        return np.full(size, value)

    neurons = CubaLif(
        tau_syn=all_of(4e-3), tau_mem=all_of(16e-3), r=all_of(1.0), v_leak=all_of(0.0),
        v_threshold=all_of(1.0), v_reset=all_of(0.0), w_in=all_of(1.0),
    )  # fmt: skip
    nodes = {
        "in": Input((size // 10,)),
        "drive": Linear(random_rows(rng, size, size // 10, FAN_IN["input"])),
        "pop": neurons,
        "again": Linear(random_rows(rng, size, size, FAN_IN["recurrent"])),
        "out": Output((size,)),
    }
    edges = (("in", "drive"), ("drive", "pop"), ("pop", "again"), ("again", "pop"), ("pop", "out"))
    return Network(nodes, edges, name="recurrent")


def write_layers(path: Path) -> None:
    """Write dense layers as a NIR file."""
    rng = np.random.default_rng(3)
    nodes: dict[str, Any] = {"in": nir.Input(np.array(LAYERS[:1]))}
    for at, (pre, post) in enumerate(pairwise(LAYERS)):
        weight = rng.normal(0, pre**-0.5, (post, pre)).astype(np.float32)
        nodes[f"fc{at}"] = nir.Affine(weight, np.zeros(post, np.float32))
        ones = np.ones(post, np.float32)
        nodes[f"lif{at}"] = nir.LIF(tau=0.02 * ones, r=ones, v_leak=0 * ones, v_threshold=ones)
    nodes["out"] = nir.Output(np.array(LAYERS[-1:]))
    names = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(names))))


def built(make: Callable[[], Network], chips: int, times: int) -> tuple[float, Image]:
    """Return the least CPU seconds of several builds, and the Image."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        image = sp.compile(verbs.said(make(), "nir", 1e-3, ()), "loihi2", chips=chips)
        taken.append(time.process_time() - began)
    return min(taken), image


def said(what: str, seconds: float, image: Image) -> str:
    """Return a line of the table."""
    synapses = sum(each.count for each in image.program.synapses)
    bytes_at_rest = len(pickle.dumps((image.program, image.slices, image.cores), protocol=5))
    cells = [what, f"{synapses:,}", f"{len(image.cores):,}", f"{seconds:.2f} s"]
    most = MOST_SECONDS.get(what)
    cells.append("-" if most is None else f"{most} s: {'met' if seconds <= most else 'missed'}")
    share = bytes_at_rest / synapses
    cells += [f"{share:.2f}", f"{MOST_BYTES:g}: {'met' if share < MOST_BYTES else 'missed'}"]
    if is_built():
        from spikeport.backends.emulator.layout import layout_of

        cells.append(f"{layout_of(image.program).bytes / synapses:.2f}")
    return "  ".join(f"{cell:>12}" for cell in cells)


def main() -> None:
    """Build and print."""
    parser = argparse.ArgumentParser(description="Time from arrays, and from a file, to an Image.")
    parser.add_argument("--large", action="store_true", help="a million neurons too")
    large = parser.parse_args().large
    head = ("", "synapses", "cores", "CPU", "at most", "bytes each", "below", "laid out")
    print("  ".join(f"{cell:>12}" for cell in head))
    net = recurrent(100_000)
    print(said("from arrays", *built(lambda: net, 8, 3)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.nir"
        write_layers(path)
        print(said("from .nir", *built(lambda: sp.load(path), 8, 2)), flush=True)
    if large:
        many = recurrent(1_000_000)
        print(said("a million", *built(lambda: many, 64, 1)), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"largest resident set {peak / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
