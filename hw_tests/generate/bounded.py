"""Random networks whose u and v come near the ends of their registers, for the proof of bounds.

Registers and weights drawn at random; the same with all weights shifted down, so that some
populations fit; float networks, and NIR graphs, quantized without calibration, by `sp.compile`
where the chip takes such networks.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import nir
import numpy as np

import spikeport as sp
from hw_tests.generate.graphs import random_graph
from hw_tests.generate.programs import random_program
from spikeport.backends import find_chip
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import SpikeportError
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.compiler.program import Program
from spikeport.compiler.quantize.quantize import quantize
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif

DT = 1e-3
SPIKES = (0, 1)


@dataclass(frozen=True, eq=False)
class Near:
    """A network and what its inputs send.

    Attributes:
        family: for the table.
        program: in integers.
        inputs: input -> (least, most), where that is less than messages hold; see `bounds`.
    """

    family: str
    program: Program
    inputs: dict[str, tuple[int, int]]


def near_the_ends(seed: int) -> Near:
    """Return the network of a seed."""
    rng = np.random.default_rng([seed, 6])
    match seed % 5:
        case 0:
            return Near("random registers", random_program(seed).program, {})
        case 1:
            program = random_program(seed).program
            return Near("random registers, less weight", _lighter(rng, program), {})
        case 2:
            return _quantized(rng, "loihi1")
        case 3:
            return _quantized(rng, str(rng.choice(["generic_graded", "speck2f"])))
        case _:
            return _from_graph(rng)


def _lighter(rng: np.random.Generator, program: Program) -> Program:
    """Return the network with every weight divided by the same power of two."""
    less = int(rng.integers(1, 16))
    synapses = tuple(replace(each, exponent=each.exponent - less) for each in program.synapses)
    return replace(program, synapses=synapses)


def _from_graph(rng: np.random.Generator) -> Near:
    """Return a random NIR graph in integers, for spikes."""
    name = str(rng.choice(["loihi1", "loihi1", "generic_graded"]))
    chip = _chip(name)
    while True:
        drawn = random_graph(rng, "loihi1")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.nir"
            nir.write(path, drawn.graph)
            net = sp.load(path, dialect="nir", settings=drawn.settings)
        try:
            program = quantize(for_chip(to_clocked(net), chip), chip, {}, {})
        except SpikeportError:  # a loop of counts needs calibration
            continue
        return Near(f"NIR graphs on {name}", program, dict.fromkeys(program.inputs, SPIKES))


def _quantized(rng: np.random.Generator, chip: str) -> Near:
    """Return a network of one to three layers, trained by nobody, in integers."""
    integrates = chip == "speck2f"
    nodes: dict[str, Any] = {"in": Input((int(rng.integers(1, 12)),))}
    edges, before, size = [], "in", nodes["in"].shape[0]
    for at in range(int(rng.integers(1, 4))):
        after = int(rng.integers(1, 16))
        spread = float(rng.choice([0.3, 1.0, 4.0])) / np.sqrt(size)
        weight = rng.normal(float(rng.choice([-0.3, 0.0, 0.5])) * spread, spread, (after, size))
        bias = rng.normal(0, 0.1, after) * (rng.random() < 0.5)
        has_bias = bool(bias.any()) and not integrates
        nodes[f"fc{at}"] = Affine(weight, bias) if has_bias else Linear(weight)
        nodes[f"n{at}"] = _neurons(rng, after, integrates)
        edges += [(before, f"fc{at}"), (f"fc{at}", f"n{at}")]
        if rng.random() < 0.3 and not integrates:
            nodes[f"rec{at}"] = Linear(rng.normal(0, spread, (after, after)))
            edges += [(f"n{at}", f"rec{at}"), (f"rec{at}", f"n{at}")]
        before, size = f"n{at}", after
    nodes["out"] = Output((size,))
    rules = [f"reset={rng.choice(['to_value', 'to_value', 'subtract'])}"]
    rules += [f"v_min={-float(rng.choice([0.0, 1.0, 5.0]))}"] * bool(rng.random() < 0.4)
    said = apply_settings(Semantics(dt=DT, dialect="nir"), rules)
    net = Network(nodes, (*edges, (before, "out")), said)
    target = _chip(chip)
    if integrates:  # its cores take maps only; the integers are the same
        program = quantize(for_chip(to_clocked(net), target), target, {}, {})
    else:
        program = sp.compile(net, target).program
    return Near(f"quantized for {chip}", program, dict.fromkeys(program.inputs, SPIKES))


@cache
def _chip(name: str) -> Chip:
    return find_chip(name)


def _neurons(rng: np.random.Generator, size: int, integrates: bool) -> Any:
    one = np.ones(size)
    theta = one * float(rng.choice([0.5, 1.0, 3.0]))
    tau = DT * float(rng.choice([2, 5, 20, 100])) * one
    kind = "IF" if integrates else str(rng.choice(["LIF", "LIF", "CubaLIF", "CubaLIF", "IF"]))
    if kind == "IF":
        return If(one / DT, theta, 0 * one)
    if kind == "LIF":
        return Lif(tau, tau / DT, 0 * one, theta, 0 * one)
    tau_syn = DT * float(rng.choice([2, 5, 20])) * one
    return CubaLif(tau, tau_syn, tau / DT, 0 * one, theta, 0 * one, tau_syn / DT)
