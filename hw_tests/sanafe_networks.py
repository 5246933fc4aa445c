"""Networks on which SANA-FE and we are compared, put on cores of loihi1.

Their neurons add up what comes and forget nothing, weights are above 0, and a spike either takes
the threshold off (which leaves something, for it must have been above it) or comes again and again
from a bias. So both programs find the same somas to update: SANA-FE looks at v alone, the chip at
u as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from spikeport.backends import find_chip
from spikeport.compiler.image import CoreUse, Image, Route, Slice
from spikeport.compiler.network import Convolution
from spikeport.compiler.passes.convolution import conv_matrix
from spikeport.compiler.place.place import place
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell

LOIHI = find_chip("loihi1")
SILENT = 131071  # a threshold that nothing here reaches
ALL_BITS = 6  # thresholds and weights stand so many bits higher than biases

Wire = tuple[int, int, Any]  # from a group, to a group, weights (post, pre) or one for all pairs


@dataclass(frozen=True, eq=False)
class Group:
    """Neurons on one core: with a bias of 1 and a threshold of 0 one spikes in every step."""

    core: int
    bias: Sequence[int]
    threshold: int = 0
    subtract: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """A network to compare, and what it varies."""

    varies: str
    name: str
    image: Image
    steps: int = 3


def spiking(core: int, count: int = 1, every: int = 1) -> Group:
    """Return neurons that spike in every step, or in every so many."""
    return Group(core, [1] * count, every - 1)


def hearing(core: int, count: int = 1) -> Group:
    """Return neurons that hear and never spike."""
    return Group(core, [0] * count, SILENT)


def tile(x: int, y: int, core: int = 0) -> int:
    """Return the number of a core of a tile."""
    return 4 * (4 * x + y) + core


def population(group: Group, shape: tuple[int, ...] = ()) -> CellPopulation:
    """Return neurons that forget nothing."""
    size = len(group.bias)
    cell = neutral_cell(
        size,
        v_threshold=np.full(size, group.threshold, np.int32),
        bias_mantissa=np.array(group.bias, np.int32),
        bias_exponent=np.full(size, ALL_BITS, np.int32),
        reset="subtract" if group.subtract else "to_value",
    )
    return CellPopulation("IF", shape or (size,), cell, np.ones(size))


def by_hand(groups: Sequence[Group], wires: Sequence[Wire] = (), sparse: bool = False) -> Image:
    """Return groups on their cores, with every axon that the wires need."""
    populations = {f"g{at}": population(group) for at, group in enumerate(groups)}
    synapses, routes, held = [], [], {group.core: 0 for group in groups}
    for number, (pre, post, given) in enumerate(wires):
        shape = (len(groups[post].bias), len(groups[pre].bias))
        weights = np.broadcast_to(np.asarray(given, np.int32), shape)
        synapses.append(Synapses.of(f"w{number}", f"g{pre}", f"g{post}", weights, 0, "mixed"))
        count = np.count_nonzero(weights, axis=0)
        neurons, core = np.flatnonzero(count), groups[post].core
        home = np.full(neurons.size, groups[pre].core)
        listed = count[neurons] * sparse
        routes.append(Route(f"g{pre}", core, neurons, home, count[neurons], listed))
        held[core] += int(count.sum())
    program = program_of(populations, synapses)
    slices = [Slice(f"g{k}", np.arange(len(g.bias)), g.core) for k, g in enumerate(groups)]
    uses = [
        CoreUse(core, 0, *(int(at[0]) for at in LOIHI.tile(np.array([core]))), held[core], {})
        for core in sorted(held)
    ]
    return Image(program, LOIHI, tuple(slices), tuple(routes), tuple(uses))


def program_of(populations: dict[str, CellPopulation], synapses: Sequence[Synapses]) -> Program:
    """Return a Program whose input nobody hears: biases drive it."""
    all_of = {"in": CellPopulation("input", (1,), None, np.ones(1)), **populations}
    return Program(
        1e-3, all_of, tuple(synapses), {"out": list(all_of)[-1]}, dict.fromkeys(all_of, 0)
    )


def micro() -> Iterator[Case]:
    """Yield networks of a few cores, each of which varies one thing."""
    yield Case("nothing", "one neuron asleep", by_hand([hearing(0)]))
    yield Case("nothing", "neurons asleep on 3 cores", by_hand([hearing(k, 5) for k in (0, 1, 9)]))
    for count in (1, 2, 8, 32, 256, 1024):
        yield pair("spiking neurons", f"{count} to another tile", spiking(0, count))
    for count in (1, 10, 100, 1000):
        yield pair("updated, silent", f"1 spikes, {count} do not", Group(0, [40] + [1] * count, 39))
    for count in (1, 10, 100, 1000):
        yield pair("asleep", f"1 spikes, {count} sleep", Group(0, [1] + [0] * count))
    busy = ([30] + [1, 0, 0, 1, 1] * 20) * 3
    yield pair("updated, silent", "3 spike, of 300 others 3 in 5 do not sleep", Group(0, busy, 29))
    for count in (1, 8, 64, 512, 1024):
        for sparse in (False, True):
            name = f"{count} {'sparse' if sparse else 'dense'} synapses"
            groups = [spiking(0), hearing(1, count)]
            yield Case("fan-out", name, by_hand(groups, [(0, 1, 3)], sparse))
    for count in (1, 2, 3, 5, 12, 31):
        groups = [spiking(0, 3), *(hearing(4 * (k + 1) % 128) for k in range(count))]
        wires = [(0, k + 1, 1) for k in range(count)]
        yield Case("target cores", str(count), by_hand(groups, wires))
    for x, y in [(0, 0), (1, 0), (3, 0), (7, 0), (0, 1), (0, 3), (2, 2), (7, 3)]:
        groups = [spiking(0), hearing(tile(x, y, 1))]
        yield Case("hops", f"{x} along x, {y} along y", by_hand(groups, [(0, 1, 1)]))
    groups = [spiking(tile(7, 3)), hearing(0)]
    yield Case("hops", "7 and 3 back", by_hand(groups, [(0, 1, 1)]))
    for count in (1, 2, 3, 4, 5, 28, 29, 32):
        groups = [spiking(4 * k) for k in range(count)]
        yield Case("tiles in use", str(count), by_hand(groups))
    for count in (1, 2, 4, 16, 64):
        groups = [*(spiking(k) for k in range(count)), hearing(127)]
        wires = [(k, count, 1) for k in range(count)]
        yield Case("senders to one core", str(count), by_hand(groups, wires))
    yield from crowded()
    yield from rhythms()


def pair(varies: str, name: str, group: Group) -> Case:
    """Return a core that sends to one neuron on the tile above."""
    return Case(varies, name, by_hand([group, hearing(tile(0, 1))], [(0, 1, 1)]))


def crowded() -> Iterator[Case]:
    """Yield networks with so many packets that some wait for others."""
    for count, fan in [(40, 20), (200, 20), (200, 100)]:
        groups = [*(spiking(tile(x, 0), count) for x in range(6)), hearing(tile(7, 0), fan)]
        wires = [(k, 6, 1) for k in range(6)]
        name = f"6 x {count} packets along one line, {fan} synapses each"
        yield Case("crowding", name, by_hand(groups, wires))
    groups = [spiking(tile(x, 0), 100) for x in range(8)]
    groups += [hearing(tile(x, 3), 30) for x in range(8)]
    wires = [(k, 15 - k, 1) for k in range(8)]
    yield Case("crowding", "8 streams that cross", by_hand(groups, wires))
    groups = [Group(tile(k // 4, k % 4), [1] * 40, 0) for k in range(12)]
    wires = [(a, b, 1) for a in range(12) for b in range(12) if a != b]
    yield Case("crowding", "12 cores, all to all", by_hand(groups, wires))


def rhythms() -> Iterator[Case]:
    """Yield networks whose steps differ, on cores and with fan-outs that were drawn."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        cores = rng.choice(128, 20, replace=False).tolist()
        groups = [
            Group(core, rng.integers(0, 4, size).tolist(), int(rng.integers(0, 9)), True)
            for core, size in zip(cores, rng.integers(2, 80, 20), strict=True)
        ]
        wires = []
        for pre, post in rng.choice(20, (40, 2)).tolist():
            if pre != post and not any(wire[:2] == (pre, post) for wire in wires):
                shape = len(groups[post].bias), len(groups[pre].bias)
                wires.append((pre, post, rng.integers(1, 3, shape) * (rng.random(shape) < 0.1)))
        name = f"20 cores, network {seed}"
        yield Case("rhythms", name, by_hand(groups, wires), 12)


LAYERS = ((1, 32, 32), (16, 15, 15), (32, 13, 13), (64, 11, 11), (11, 9, 9))
THRESHOLDS = (64, 160, 1200, 3000, 6000, 6000)


def of_dvs_size(steps: int = 60) -> Case:
    """Return 18,678 neurons in the layers of SANA-FE's DVS gesture network, placed by us.

    Four convolutions of 3 x 3, the first with a stride of 2, and a dense layer, with weights of 1
    to 19. Biases drive two thirds of the first layer.
    """
    rng = np.random.default_rng(8)
    drive = np.zeros((32, 32), np.int64)
    drive[4:30, 3:30] = rng.integers(0, 24, (26, 27))
    biases = [
        drive.ravel().tolist(),
        *([0] * int(np.prod(shape)) for shape in LAYERS[1:]),
        [0] * 11,
    ]
    populations = {
        f"layer{k}": population(Group(0, bias, threshold, True), (*LAYERS, (11,))[k])
        for k, (bias, threshold) in enumerate(zip(biases, THRESHOLDS, strict=True))
    }
    synapses = []
    for k, (before, after) in enumerate(pairwise(LAYERS)):
        kernel = rng.integers(1, 20, (after[0], before[0], 3, 3))
        stride = (2, 2) if k == 0 else (1, 1)
        shape = Convolution(kernel, stride, (0, 0), (1, 1), 1, before, after)
        weights = conv_matrix(shape).astype(np.int32)
        synapses.append(Synapses.of(f"w{k}", f"layer{k}", f"layer{k + 1}", weights, 0, "mixed"))
    last = rng.integers(1, 20, (11, len(biases[4]))).astype(np.int32)
    synapses.append(Synapses.of("w4", "layer4", "layer5", last, 0, "mixed"))
    image = place(program_of(populations, synapses), LOIHI)
    return Case("size", "18,678 neurons, 3.6 million synapses", image, steps)
