"""Faults to be planted in a Program, each with the row of attribution that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hw_tests.generate.healthy import Array, Healthy, apart
from spikeport.backends import emulator
from spikeport.compiler.program import Cell, Program, Synapses
from spikeport.data import Data


@dataclass(frozen=True, eq=False)
class Fault:
    """A Program with a fault, and what it is.

    Attributes:
        kind: for the table.
        causes: of attribution's row; several where a fault does several things.
        object: the other part of that row's name.
        program: with the fault in it.
        inputs: what the chip received, where that is the fault.
    """

    kind: str
    causes: tuple[str, ...]
    object: str
    program: Program
    inputs: dict[str, Array] | None = None


def _cells(well: Healthy) -> list[str]:
    program = well.image.program
    return [name for name in well.retimed.neurons if program.populations[name].kind != "Relay"]


def _with_cell(program: Program, name: str, **fields: Any) -> Program:
    population = program.populations[name]
    cell: Any = population.cell
    changed = replace(population, cell=replace(cell, **fields))
    return replace(program, populations={**program.populations, name: changed})


def _with_synapses(
    program: Program, one: Synapses, change: Callable[[Synapses], Synapses]
) -> Program:
    """Return the Program with every part of a projection changed."""
    whole = (
        change(each) if each.projection == one.projection else each for each in program.synapses
    )
    return replace(program, synapses=tuple(whole))


def _cell(well: Healthy, name: str) -> Cell:
    cell: Any = well.image.program.populations[name].cell
    return cell


def decay_off(well: Healthy, rng: np.random.Generator) -> Fault | None:
    """One decay of a population is 5 % too fast or too slow."""
    program, factor = well.image.program, float(rng.choice([0.95, 1.05]))
    options = [("decay_v", name) for name in _cells(well) if _cell(well, name).decay_v.any()]
    options += [
        ("decay_u", name)
        for name in _cells(well)
        if well.retimed.populations[name].cell.has_current
    ]
    if not options:
        return None
    which, name = options[int(rng.integers(len(options)))]
    plus = which == "decay_u"
    old = getattr(_cell(well, name), which) + plus
    if (old >= 4096).all():
        return None
    new = np.clip(np.rint(old * factor) - plus, 0, 4095).astype(np.int32)
    kind = f"{which.replace('_', ' of ')} off by 5 %"
    return Fault(kind, (which,), name, _with_cell(program, name, **{which: new}))


def few_bits(well: Healthy, rng: np.random.Generator) -> Fault | None:
    """The weights of one layer at 3 bits, or 2."""
    bits = int(rng.choice([2, 3]))
    each = _some(well, rng, lambda pre: pre != "constant")
    if each is None:
        return None
    return Fault(
        f"weights at {bits} bits", ("weights",), each.projection,
        _with_synapses(well.image.program, each, lambda part: _coarse(part, bits)),
    )  # fmt: skip


def _some(well: Healthy, rng: np.random.Generator, of: Callable[[str], bool]) -> Synapses | None:
    populations = well.image.program.populations
    known = [
        each
        for each in well.image.program.synapses
        if of(populations[each.pre].kind) and populations[each.post].kind != "Relay"
    ]
    return known[int(rng.integers(len(known)))] if known else None


def _coarse(each: Synapses, bits: int) -> Synapses:
    mantissa = each.mantissa
    data = mantissa.data if hasattr(mantissa, "indptr") else mantissa
    step = max(int(np.abs(data).max()) / ((1 << (bits - 1)) - 0.5), 1.0)
    coarse = (np.rint(np.rint(data / step) * step)).astype(np.int32)
    if not hasattr(mantissa, "indptr"):
        return each.with_mantissa(coarse)
    whole = mantissa.copy()
    whole.data = coarse
    return each.with_mantissa(whole)


def threshold_off(well: Healthy, rng: np.random.Generator) -> Fault:
    """The threshold of one population is doubled, or a tenth higher."""
    name = str(rng.choice(_cells(well)))
    factor = float(rng.choice([2.0, 1.1]))
    new = np.rint(_cell(well, name).v_threshold * factor).astype(np.int32)
    program = _with_cell(well.image.program, name, v_threshold=new)
    return Fault(f"threshold times {factor:g}", ("threshold",), name, program)


def bias_lost(well: Healthy, rng: np.random.Generator) -> Fault | None:
    """A bias is not there: its synapses are missing, or its register is zero."""
    program = well.image.program
    registers = [name for name in _cells(well) if _cell(well, name).bias_mantissa.any()]
    if registers and rng.random() < 0.5:
        name = str(rng.choice(registers))
        zero = np.zeros_like(_cell(well, name).bias_mantissa)
        return Fault("bias lost", ("bias",), name, _with_cell(program, name, bias_mantissa=zero))
    each = _some(well, rng, lambda pre: pre == "constant")
    if each is None:
        return None
    left = tuple(other for other in program.synapses if other.projection != each.projection)
    return Fault("bias lost", ("bias",), each.projection, replace(program, synapses=left))


def delayed(well: Healthy, rng: np.random.Generator) -> Fault | None:
    """A projection is one step late, or its delay is clipped to one step."""
    each = _some(well, rng, lambda pre: pre != "constant")
    if each is None:
        return None
    clipped = each.delay_steps > 1 and rng.random() < 0.7
    program = _with_synapses(
        well.image.program,
        each,
        lambda part: replace(part, delay_steps=1 if clipped else part.delay_steps + 1),
    )
    return Fault("delay clipped" if clipped else "delay + 1", ("delay",), each.projection, program)


def reset_changed(well: Healthy, rng: np.random.Generator) -> Fault:
    """Another kind of reset, or a pause after a spike."""
    name = str(rng.choice(_cells(well)))
    cell, program = _cell(well, name), well.image.program
    if rng.random() < 0.3:
        longer = (cell.refractory_steps + 2).astype(np.int32)
        program = _with_cell(program, name, refractory_steps=longer)
        return Fault("refractory + 2", ("reset",), name, program)
    other = "subtract" if cell.reset == "to_value" else "to_value"
    return Fault("reset changed", ("reset",), name, _with_cell(program, name, reset=other))


def too_large(well: Healthy, rng: np.random.Generator) -> Fault | None:
    """A population's scale is so large that u wraps or v saturates, by up to three bits."""
    name, more = str(rng.choice(_cells(well))), int(rng.integers(0, 4))
    most = 24 - int(_cell(well, name).v_threshold.max()).bit_length()
    for up in range(1, most):
        ran = emulator.run(louder(well.image.program, name, up), well.data.inputs)
        if ran.extra["overflows"][name] and apart(ran, well.emulator):
            loud = louder(well.image.program, name, min(up + more, most - 1))
            return Fault("scale too large", _left(loud, name, well.data), name, loud)
    return None


def louder(program: Program, name: str, up: int) -> Program:
    """Return the Program with a population at 2**up times its scale."""
    population = program.populations[name]
    cell: Any = population.cell
    fields = {
        field: (getattr(cell, field).astype(np.int64) << up).astype(np.int32)
        for field in ("v_threshold", "v_reset", "v_initial", "bias_mantissa")
    }
    scale = population.scale * (1 << up)
    changed = replace(population, cell=replace(cell, **fields), scale=scale)
    synapses = tuple(
        replace(each, exponent=each.exponent + up) if each.post == name else each
        for each in program.synapses
    )
    populations = {**program.populations, name: changed}
    return replace(program, populations=populations, synapses=synapses)


def _left(program: Program, name: str, data: Data) -> tuple[str, ...]:
    """Return what left its bits: u, seen where it is wider, or v, seen at its very end."""
    wider = replace(program.arithmetic, overflow="saturate", state_bits=32)
    wide = emulator.run(replace(program, arithmetic=wider), data.inputs, probe=[f"{name}.u"])
    v = np.abs(emulator.run(program, data.inputs, probe=[f"{name}.v"]).probes[f"{name}.v"])
    wraps = bool((np.abs(wide.probes[f"{name}.u"]) > 1 << 23).any())
    clipped = bool((v == (1 << 23) - 1).any())
    return ("wrap",) * wraps + ("saturation",) * (clipped or not wraps)


def input_changed(well: Healthy, rng: np.random.Generator) -> Fault:
    """A twentieth of the input's spikes does not reach the chip."""
    name = str(rng.choice(well.image.program.inputs))
    x = np.asarray(well.data.inputs[name])
    lost = x * (rng.random(x.shape) > 0.05)
    inputs = {**well.data.inputs, name: lost.astype(x.dtype)}
    return Fault("input lost", ("input",), name, well.image.program, inputs)


def read_late(well: Healthy, rng: np.random.Generator) -> Fault:
    """A population is read one step late."""
    name, program = str(rng.choice(_cells(well))), well.image.program
    lags = {**program.lags, name: program.lags[name] + 1}
    return Fault("lag + 1", ("lag",), name, replace(program, lags=lags))


FAULTS = (
    decay_off, few_bits, threshold_off, bias_lost, delayed, reset_changed, too_large,
    input_changed, read_late,
)  # fmt: skip
