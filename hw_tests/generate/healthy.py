"""Networks on a chip that nothing is wrong with: random ones by seed, and real graphs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import spikeport as sp
from spikeport.backends import emulator, reference
from spikeport.calibration import Watch
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.image import Image
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.pipeline import for_chip, lower, to_clocked
from spikeport.compiler.program import Program, Synapses
from spikeport.compiler.semantics import apply_settings, preset
from spikeport.compiler.traces import Traces
from spikeport.data import Data, read_data
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif

Array = np.ndarray[Any, Any]
DT = 1e-4
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
REAL = ("digits", "braille", "cnn")


@dataclass(frozen=True, eq=False)
class Healthy:
    """A network on a chip without a fault, and its data.

    Attributes:
        name: for the table.
        clocked, retimed, image: the nouns.
        data: a few samples.
        reference, emulator: runs of them.
        lost: cells in which they differ.
    """

    name: str
    clocked: Clocked
    retimed: Clocked
    image: Image
    data: Data
    reference: Traces
    emulator: Traces
    lost: int


def healthy(name: str, net: Network, data: Data, fine: bool) -> Healthy:
    """Return a network on Loihi, calibrated on its data; `fine`: with weights of 17 bits."""
    clocked, chip, watch = to_clocked(net), sp.chip("loihi1"), Watch()
    ideal = reference.run(clocked, data.inputs, watch=watch)
    retimed = for_chip(clocked, chip)
    image = lower(retimed, chip, watch.peaks(clocked, data), data.host())
    if fine:
        image = replace(image, program=fine_weights(image.program, retimed))
    ours = emulator.run(image, data.inputs)
    label = f"{name}, {'17' if fine else '8'} bits"
    return Healthy(label, clocked, retimed, image, data, ideal, ours, apart(ideal, ours))


def fine_weights(program: Program, retimed: Clocked) -> Program:
    """Return the Program with weights rounded to whole units of what u adds, exponent 0."""
    made, stored = [], {each.projection for each in program.synapses}
    for each in retimed.projections:
        if each.name not in stored:  # the host's
            continue
        cell = retimed.populations[each.post].cell
        unit = program.populations[each.post].scale / (1 << program.arithmetic.weight_shift)
        rows = (unit * cell.gain_u * cell.gain_v)[:, None]
        whole = (
            sparse.csr_array(each.matrix.multiply(rows)) if sparse.issparse(each.matrix) else None
        )
        if whole is None:
            whole = np.rint(each.matrix * rows).astype(np.int32)
        else:
            whole.data = np.rint(whole.data).astype(np.int32)
            whole = whole.astype(np.int32)
        name, delay = each.name, each.delay
        made.append(
            Synapses.of(name, each.pre, each.post, whole, 0, "signed", 32, delay_steps=delay)
        )
    return replace(program, synapses=tuple(made))


def apart(one: Traces, other: Traces) -> int:
    """Return in how many cells two runs differ."""
    names = [name for name in one.state.variables if name in one.spikes and name in other.spikes]
    return sum(int(np.count_nonzero(one.window(n) != other.window(n))) for n in names)


def drawn(rng: np.random.Generator, fine: bool) -> Healthy:
    """Return a random network of layers, half of them with weights that a chip holds exactly."""
    kind = str(rng.choice(["LIF", "CubaLIF", "IF"]))
    plain, loop = bool(rng.random() < 0.5), bool(rng.random() < 0.3)
    sizes = [int(size) for size in rng.integers(8, 25, int(rng.integers(3, 5)))]
    nodes: dict[str, Any] = {"in": Input((sizes[0],))}
    edges, before = [], "in"
    for depth, (pre, post) in enumerate(pairwise(sizes)):
        weight, name = f"fc{depth}", f"{kind.lower()}{depth}"
        bias = rng.choice([-1, 0, 1], post) / 8 if plain else rng.normal(0, 0.08, post)
        nodes[weight] = Affine(_weights(rng, post, pre, plain), bias)
        nodes[name] = _neurons(rng, kind, post, plain)
        edges += [(before, weight), (weight, name)]
        if loop and depth == 0:
            nodes["loop"] = Linear(_weights(rng, post, post, plain) / 2)
            edges += [(name, "loop"), ("loop", name)]
        before = name
    if rng.random() < 0.3:
        nodes["skip"] = Linear(_weights(rng, sizes[-1], sizes[0], plain) / 2)
        edges += [("in", "skip"), ("skip", before)]
    nodes["out"] = Output((sizes[-1],))
    edges.append((before, "out"))
    reset = str(rng.choice(["to_value", "subtract"]))
    said = apply_settings(preset("nir"), [f"dt={DT}", f"reset={reset}"])
    net = Network(nodes, tuple(edges), said, name="drawn")
    x = (rng.random((6, 60, sizes[0])) < rng.uniform(0.1, 0.35)).astype(np.uint8)
    shape = f"{'recurrent ' if loop else ''}{kind}"
    return healthy(shape, net, read_data(x, net), fine)


def _weights(rng: np.random.Generator, post: int, pre: int, plain: bool) -> Array:
    if plain:
        return np.asarray(rng.integers(-2, 5, (post, pre)) / 8.0)
    return np.asarray(rng.normal(0.12, 0.35, (post, pre)))


def _neurons(rng: np.random.Generator, kind: str, size: int, plain: bool) -> Any:
    one = np.ones(size)
    steps = [float(2 ** rng.integers(2, 5)) if plain else rng.uniform(3, 20) for _ in "mu"]
    if kind == "IF":
        return If(one / DT, one, 0 * one)
    if kind == "LIF":
        return Lif(steps[0] * DT * one, steps[0] * one, 0 * one, one, 0 * one)
    return CubaLif(
        steps[0] * DT * one, steps[1] * DT * one, steps[0] / 3 * one, 0 * one, one, 0 * one,
        steps[1] / 3 * one,
    )  # fmt: skip


@cache
def real(name: str, fine: bool) -> Healthy:
    """Return one of the real graphs, on few samples."""
    if name == "digits":
        folder = CASES / "trained_snntorch_digits_lif"
        stored = np.load(folder / "eval.npz")
        shape = stored["shape"]
        x = np.unpackbits(stored["packed"])[: np.prod(shape)].reshape(shape)[:40]
        net = sp.load(folder / "graph.nir", dialect="snntorch", dt=DT)
    elif name == "braille":
        folder = CASES / "nirpaper_braille_zero"
        x = np.load(folder / "input.npz")["x"][:6]
        net = sp.load(folder / "graph.nir", dialect="nir", dt=DT)
    else:
        folder = CASES / "nirpaper_cnn_sinabs"
        x = np.load(folder / "input.npz")["x"][None, :30]
        net = sp.load(folder / "graph.nir", dialect="nir", dt=1.0)
    return healthy(name, net, read_data(x, net), fine)
