"""Place a Program on cores that hold one layer each (Speck), or a share of one (Akida).

A population of neurons with what ends in it is one layer; sum pools belong to the layer that
sends. Where memories are counted in words of a kernel, layers are matched to cores; where they
are counted in bytes, a layer is split over cores by its output channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError, FitError, Violation
from spikeport.compiler.fabric import Layers
from spikeport.compiler.figure import Row
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.layers.find import Found, constants, layers_of, readers
from spikeport.compiler.place.layers.match import match_layers
from spikeport.compiler.place.layers.memory import (
    WORDS,
    Layer,
    entries_of,
    input_bytes,
    weight_bytes,
)
from spikeport.compiler.place.routes import Routes
from spikeport.compiler.program import Program

Share = tuple[str, Array, int]  # population, its neurons, core


@dataclass(frozen=True)
class LayerPlan:
    """What is written into cores that hold layers.

    Attributes:
        layers: population -> its maps, kernel, stride, padding and the pooling of its sources.
    """

    layers: Mapping[str, Layer]


def place_layers(program: Program, chip: Chip, chips: int) -> Image:
    """Return the Program with a layer per core; see `place`.

    The constant population has no core of its own: it stands for bias entries, and is counted
    with the first layer that has some.
    """
    core = _layers(chip)
    found: Found = []
    layers = layers_of(program, chip, core, found)
    wrong = {name for name in layers if any(_is_about(each, name) for each in found)}
    sound = {name: layer for name, layer in layers.items() if name not in wrong}
    if core.weight_bytes is not None:
        shares = _split(program, sound, core.weight_bytes.whole, found)
        there = chip.cores * chips
        if len(shares) > there:
            found.append(
                Violation(repr(program.name), "cores", len(shares), there,
                          "use fewer or smaller layers")
            )  # fmt: skip
    else:
        shares = _matched(program, layers, chip, core, chips, found)
    if found:
        raise FitError(
            f"{program.name} does not fit {chip.name}",
            found,
            "change the network as each line says, or choose a larger chip",
        )
    shares += _constants_beside(program, shares)
    slices = tuple(Slice(*share) for share in shares)
    uses = [_use(program, chip, core, share, layers) for share in shares if share[0] in layers]
    return Image(
        program,
        chip,
        slices,
        Routes(program, slices),
        tuple(sorted(uses, key=lambda use: use.core)),
        chips,
        LayerPlan(layers),
    )


def _layers(chip: Chip) -> Layers:
    if not isinstance(chip.core, Layers):
        raise TypeError(f"{chip.name} is not built of layers")
    return chip.core


def _is_about(violation: Violation | str, name: str) -> bool:
    who = violation.object if isinstance(violation, Violation) else violation
    return repr(name) in who


def _matched(
    program: Program,
    layers: dict[str, Layer],
    chip: Chip,
    core: Layers,
    chips: int,
    found: Found,
) -> list[Share]:
    """Return a core for each layer; adds what keeps them from one to `found`."""
    memory = {
        name: _per_core(row, chip, name) * chips
        for name in WORDS
        if (row := getattr(core, name)) is not None
    }
    if not layers:
        return []
    if not memory:
        memory = {"bias_entries": (1 << 62,) * (chip.cores * chips)}
    matched = match_layers(layers, memory, set(program.outputs.values()))
    found += matched.violations
    sizes = {name: program.populations[name].size for name in matched.core}
    return [(name, np.arange(sizes[name]), number) for name, number in matched.core.items()]


def _per_core(row: Row, chip: Chip, name: str) -> tuple[int, ...]:
    """Return one number for each core of a chip; one that is given alone is for all of them."""
    if len(row.values) == 1:
        return row.values * chip.cores
    if len(row.values) != chip.cores:
        raise ChipError(
            f"{name} of {chip.name} has {len(row.values)} values",
            f"the chip has {chip.cores} cores",
            "give one value for each core, or one for all",
        )
    return row.values


def _split(program: Program, layers: dict[str, Layer], limit: int, found: Found) -> list[Share]:
    """Return the shares of every layer, each as many output channels as a core's bytes hold."""
    shares: list[Share] = []
    for name, layer in layers.items():
        channels = layer.after[0]
        held = min(limit * 8 // (layer.before[0] * layer.taps * layer.weight_bits), channels)
        if held == 0:
            most = limit * 8 // (layer.taps * layer.weight_bits)
            found.append(
                Violation(f"one channel of {name!r}", "bytes of weights", weight_bytes(layer, 1),
                          limit, f"give it at most {most} input channels")
            )  # fmt: skip
            continue
        parts = -(-channels // held)
        bounds = np.arange(parts + 1) * channels // parts
        each = program.populations[name].size // channels
        for first, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            shares.append((name, np.arange(first * each, end * each), len(shares)))
    return shares


def _constants_beside(program: Program, shares: list[Share]) -> list[Share]:
    """Return a share for each constant population, on the core of its first reader."""
    core = {name: number for name, _, number in reversed(shares)}
    return [
        (name, np.arange(program.populations[name].size), core[readers(program, name)[0]])
        for name in constants(program)
    ]


def _use(
    program: Program, chip: Chip, core: Layers, share: Share, layers: Mapping[str, Layer]
) -> CoreUse:
    """Return what a core holds."""
    name, neurons, number = share
    layer = layers[name]
    held: dict[str, tuple[int, int | None]] = {"neurons": (neurons.size, None)}
    if core.weight_bytes is not None:
        channels = neurons.size * layer.after[0] // program.populations[name].size
        held["weight_bytes"] = weight_bytes(layer, channels), core.weight_bytes.whole
        most = None if core.input_bytes is None else core.input_bytes.whole
        held["input_bytes"] = input_bytes(layer, 1), most
    else:
        for resource, used in entries_of(layer).items():
            row = getattr(core, resource)
            most = None if row is None else _per_core(row, chip, resource)[number % chip.cores]
            held[resource] = used, most
    if core.destinations is not None:
        held["destinations"] = len(readers(program, name)), core.destinations.whole
    synapses = sum(each.rows[neurons].nnz for each in program.into(name))
    return CoreUse(number, number // chip.cores, *chip.tile(number), synapses, held)
