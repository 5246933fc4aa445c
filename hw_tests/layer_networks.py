"""Networks of convolutions and dense layers in integers, for chips that hold a layer per core."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

from spikeport.backends import find_chip
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError, Violation
from spikeport.compiler.image import Image
from spikeport.compiler.network import Convolution, SumPool2d
from spikeport.compiler.passes.convolution import conv_matrix, pool_matrix
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import Arithmetic, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell

SPECK, AKIDA = find_chip("speck2f"), find_chip("akida_akd1000")
SIXTEEN_BITS = Arithmetic("saturate", state_bits=16, weight_shift=0)


@dataclass(frozen=True)
class Spec:
    """A layer of a test: a convolution with `kernel` rows, or a dense one where that is 0."""

    channels: int
    kernel: int = 0
    stride: int = 1
    padding: int = 0
    pool: int = 1
    bias: bool = False
    threshold: Any = 100
    reads: str = ""  # "": the layer before
    weight: int = 3


@dataclass(frozen=True)
class Net:
    """A network of a test; the last layer is its output."""

    shape: tuple[int, int, int]
    layers: tuple[Spec, ...]
    bits: int = 8


def program(net: Net) -> Program:
    """Return a network in integers, with weights of 1 to `weight`."""
    rng = np.random.default_rng(3)
    populations = {"in": CellPopulation("input", net.shape, None, np.ones(1))}
    synapses: list[Synapses] = []
    maps = {"in": net.shape}
    before = "in"
    for number, spec in enumerate(net.layers):
        name, source = f"conv{number}", spec.reads or before
        channels, rows, columns = maps[source]
        small = (channels, rows // spec.pool, columns // spec.pool)
        matrix, after = weights(rng, spec, small)
        if spec.pool > 1:
            size = (spec.pool, spec.pool)
            matrix = matrix @ pool_matrix(SumPool2d(size, size, (0, 0)), maps[source])
        size = matrix.shape[0]
        threshold = np.resize(np.asarray(spec.threshold, np.int32), size)
        cell = neutral_cell(size, v_threshold=threshold, reset="subtract")
        populations[name] = CellPopulation("IF", after, cell, np.ones(size))
        whole = sparse.csr_matrix(matrix).astype(np.int32)
        synapses.append(Synapses.of(f"w{number}", source, name, whole, 0, "signed", net.bits, 0))
        if spec.bias:
            one = neutral_cell(1, bias_mantissa=np.ones(1, np.int32))
            populations.setdefault("one", CellPopulation("constant", (1,), one, np.ones(1)))
            column = np.repeat(np.arange(1, 1 + after[0]), size // after[0])[:, None] % 100
            bias = column.astype(np.int32)
            synapses.append(Synapses.of(f"b{number}", "one", name, bias, 0, "signed", 8, 0))
        maps[name], before = after, name
    lags = dict.fromkeys(populations, 0)
    return Program(
        1e-3, populations, tuple(synapses), {"out": before}, lags, SIXTEEN_BITS, name="net"
    )


def weights(rng: np.random.Generator, spec: Spec, shape: tuple[int, int, int]) -> Any:
    """Return (matrix, shape after it) of a layer on maps of a shape."""
    channels, rows, columns = shape
    if not spec.kernel:
        size = (spec.channels, channels * rows * columns)
        return sparse.csr_matrix(rng.integers(1, spec.weight + 1, size)), (spec.channels, 1, 1)
    kernel = rng.integers(1, spec.weight + 1, (spec.channels, channels, spec.kernel, spec.kernel))
    extents = [
        (extent + 2 * spec.padding - spec.kernel) // spec.stride + 1 for extent in (rows, columns)
    ]
    after = (spec.channels, *extents)
    pair = (spec.stride, spec.stride), (spec.padding, spec.padding)
    return conv_matrix(Convolution(kernel, *pair, (1, 1), 1, shape, after)), after


def placed(net: Net, chip: Chip = SPECK) -> Image:
    return verify(place(program(net), chip))


def violations(net: Net, chip: Chip = SPECK) -> list[Violation | str]:
    with pytest.raises(FitError) as caught:
        place(program(net), chip)
    return list(caught.value.found)


def only(found: list[Violation | str]) -> Any:
    assert len(found) == 1, found
    return found[0]


def extents(net: Net) -> tuple[int, int]:
    """Return rows and columns of the last layer's maps."""
    rows, columns = net.shape[1:]
    for each in net.layers:
        rows, columns = (
            (extent // each.pool + 2 * each.padding - each.kernel) // each.stride + 1
            if each.kernel else 1
            for extent in (rows, columns)
        )  # fmt: skip
    return rows, columns


def possible(net: Net) -> Net:
    """Return the network with kernels and pools that its maps are large enough for."""
    layers: list[Spec] = []
    for each in net.layers:
        side = min(extents(Net(net.shape, tuple(layers))))
        pool = each.pool if each.pool <= side else 1
        if each.kernel > side // pool + 2 * each.padding:
            each = replace(each, kernel=1, padding=0)
        layers.append(replace(each, pool=pool))
    return replace(net, layers=tuple(layers))


def followed(net: Net, violation: Violation | str) -> Net:
    """Return the network changed as a violation says."""
    text = str(violation)
    who = violation.object if isinstance(violation, Violation) else violation
    fix = text.rpartition(": ")[2]
    numbers = [int(number) for number in re.findall(r"'conv(\d+)'", fix if "' " in fix else who)]
    number = int(re.findall(r"'conv(\d+)'", who)[0]) if "'conv" in who else 0
    layers = list(net.layers)

    def change(at: int, **given: Any) -> None:
        layers[at] = replace(layers[at], **given)

    def give(at: int, channels: int) -> Net:
        """Let the layer `at` have fewer channels to read."""
        if at == 0:
            return replace(net, shape=(min(net.shape[0], channels), *net.shape[1:]))
        change(at - 1, channels=min(layers[at - 1].channels, channels))
        return replace(net, layers=tuple(layers))

    shown = re.search(r"use at most (\d+) channels(?: in 'conv(\d+)')?", fix)
    if shown:
        at = int(shown[2]) if shown[2] else number
        change(at, channels=int(shown[1]))
    fewer = re.search(r"give it at most (\d+) input channels", fix)
    if fewer:
        net = replace(net, layers=tuple(layers))
        return give(number, int(fewer[1]))
    if shown:
        return replace(net, layers=tuple(layers))
    if match := re.search(r"have at most (\d+) channels", fix):
        return give(number, int(match[1]))
    if match := re.search(r"use a kernel of at most (\d+)", fix):
        change(number, kernel=int(match[1]), padding=min(layers[number].padding, int(match[1]) - 1))
    elif match := re.search(r"pad by at most (\d+)", fix):
        change(number, padding=int(match[1]))
    elif match := re.search(r"use the stride (\d+)", fix):
        change(number, stride=int(match[1]))
    elif "pool it" in fix or "or pool them" in fix:
        change(number, pool=min(layers[number].pool * 2, 4) if layers[number].pool < 4 else 4)
        if layers[number].pool == 4 and net.layers[number].pool == 4:
            return replace(net, shape=(net.shape[0], net.shape[1] // 2, net.shape[2] // 2))
    elif "use a stride of 2" in fix:
        change(number, stride=min(8, layers[number].stride * 2))
    elif match := re.search(r"leave out or join (\d+)", fix):
        layers = layers[: -int(match[1])]
    elif "square of" in fix:
        side = min(net.shape[1:])
        return replace(net, shape=(net.shape[0], side, side))
    else:
        raise AssertionError(f"nothing to follow in {text} {numbers}")
    return replace(net, layers=tuple(layers))
