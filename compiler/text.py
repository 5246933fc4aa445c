"""`text(noun)`: a noun in a stable, readable form; golden files compare it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution, Network
from spikeport.compiler.program import Program


def text(noun: Network | Clocked | Program | Image) -> str:
    """Return a noun as text; equal nouns give equal text, floats show six digits."""
    forms = {Network: _network, Clocked: _clocked, Program: _program, Image: _image}
    lines = next(form for kind, form in forms.items() if isinstance(noun, kind))
    return "\n".join(lines(noun)) + "\n"  # type: ignore[operator]


def _network(net: Network) -> Iterator[str]:
    yield f"network {net.name}"
    for name, node in net.nodes.items():
        kind = getattr(node, "nir_type", type(node).__name__)
        shape = "x".join(map(str, net.shapes.get(name, ()))) or "?"
        yield f"  {name}: {kind} {shape} {_fields(node)}".rstrip()
    for source, target in sorted(net.edges):
        yield f"  {source} -> {target}"


def _fields(node: Any) -> str:
    shown = {name: value for name, value in vars(node).items() if name != "shape"}
    return "  ".join(f"{name} {_value(value)}" for name, value in shown.items())


def _clocked(clocked: Clocked) -> Iterator[str]:
    yield f"clocked {clocked.name}, dt {clocked.dt:g} s"
    for name, pop in clocked.populations.items():
        lag = clocked.lags[name]
        start = f"  start {pop.start_step}" if pop.start_step else ""
        yield f"  {name}: {pop.kind} {pop.size}, {pop.signal}, lag {lag}{start}"
        if pop.membrane is not None:
            yield f"    {_fields(pop.membrane)}"
    for each in clocked.projections:
        back = ", recurrent" if each.recurrent else ""
        weights = f"{each.name} {_value(each.matrix)}, delay {each.delay}{back}"
        yield f"  {each.pre} -> {each.post}: {weights}"
    yield from (f"  output {name}: {pop}" for name, pop in clocked.outputs.items())


def _program(program: Program) -> Iterator[str]:
    yield f"program {program.name}, dt {program.dt:g} s, {program.arithmetic}"
    for name, pop in program.populations.items():
        yield f"  {name}: {pop.kind} {pop.size}, lag {program.lags[name]}"
        if pop.cell is not None:
            yield f"    {_fields(pop.cell)}"
    for each in program.synapses:
        yield (
            f"  {each.pre} -> {each.post}: {each.name} {_value(each.mantissa)}, {each.sign_mode} "
            f"{each.weight_bits} bit, exponent {each.exponent}, delay {each.delay_steps}"
        )
    yield from (f"  output {name}: {pop}" for name, pop in program.outputs.items())


def _image(image: Image) -> Iterator[str]:
    yield from _program(image.program)
    yield f"placed on {image.chip.name}"
    for use in image.cores:
        held = ", ".join(
            f"{part.population} {part.neurons.size}"
            for part in image.slices
            if part.core == use.core
        )
        resources = ", ".join(f"{name} {used}" for name, (used, _) in use.held.items())
        yield (
            f"  tile ({use.tile_x},{use.tile_y}) core {use.core}: {held}; synapses "
            f"{use.synapses}, {resources}"
        )


def _value(value: Any) -> str:
    if sp.issparse(value):
        return f"{value.shape[0]}x{value.shape[1]} sparse {value.nnz} {_summary(value.data)}"
    if isinstance(value, np.ndarray):
        shape = "x".join(map(str, value.shape))
        return f"{shape} {_summary(value)}" if value.size > 8 else _list(value)
    if isinstance(value, Convolution):
        return f"kernel {_value(value.kernel)} stride {value.stride} padding {value.padding}"
    if isinstance(value, tuple) and any(isinstance(item, tuple) for item in value):
        return ", ".join(" ".join(map(_value, item)) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list(values: Array) -> str:
    return "[" + " ".join(_number(value) for value in values.ravel().tolist()) + "]"


def _summary(values: Array) -> str:
    if values.size == 0:
        return "empty"
    low, high = values.min().item(), values.max().item()
    if low == high:
        return f"all {_number(low)}"
    total = values.sum(dtype=np.int64 if values.dtype.kind in "biu" else float).item()
    return f"{_number(low)}..{_number(high)} sum {_number(total)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
