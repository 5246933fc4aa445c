"""Random Programs by seed: every datapath, kind of neuron, width and shape of weights, and delay.

Nothing here is quantized from floats: registers and weights are drawn, so that networks hold what
no training would give them, and sums come to the ends of every width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from hw_tests.generate.cells import random_cell
from spikeport.backends import find_chip
from spikeport.compiler.chip import Chip
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.place.routes import Routes
from spikeport.compiler.program import (
    BRIAN2_LOIHI,
    GRADED,
    LAVA,
    NENGO_LOIHI,
    XYLO,
    Arithmetic,
    Cell,
    CellPopulation,
    HostCurrent,
    HostTarget,
    Program,
    Synapses,
)

Array = np.ndarray[Any, Any]
ARITHMETICS = {
    "lava": LAVA,
    "graded": GRADED,
    "nengo-loihi": NENGO_LOIHI,
    "brian2-loihi": BRIAN2_LOIHI,
    "xylo": XYLO,
    "saturate 24": Arithmetic("saturate"),
    "twos complement 24": Arithmetic("twos_complement"),
    "saturate 8": Arithmetic("saturate", state_bits=8, weight_shift=0, decay_bits=7),
    "saturate 12": Arithmetic("saturate", state_bits=12, weight_shift=0),
    "saturate 16": Arithmetic("saturate", state_bits=16, weight_shift=3, decay_bits=8),
    "saturate 24, decay 16": Arithmetic("saturate", weight_shift=2, decay_bits=16),
    "unlimited": Arithmetic("unlimited", state_bits=32, weight_shift=0, decay_bits=10),
}
SIZES = (1, 1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 255, 257, 300)
MAPS = (
    (2, 3, 5),
    (3, 4, 4),
    (8, 4, 4),
    (16, 4, 4),
    (17, 3, 5),
    (4, 8, 8),
    (6, 1, 1),
    (4, 13, 13),
    (2, 14, 14),
)
WEIGHTS = {
    "int8": (-128, 127, 1),
    "even": (-128, 127, 2),
    "unsigned": (0, 255, 1),
    "negative": (-255, 0, 1),
    "little": (-3, 4, 1),
    "16 bits": (-32768, 32767, 1),
    "2**21": (-(1 << 21), 1 << 21, 1),
    "one big": (300, 300, 1),
    "powers": (-1, 1, 1024),  # with an exponent of 7 one spike is 2**23
}


@dataclass(frozen=True)
class Style:
    """What a network is drawn for, beside everything else.

    Attributes:
        late: delays up to 62 steps.
        lasting: more steps than a byte counts.
        flood: everything spikes into currents that never decay.
        maps: large populations that reach neighbours by weights of 8 bits.
    """

    late: bool
    lasting: bool
    flood: bool
    maps: bool


@dataclass(frozen=True, eq=False)
class Drawn:
    """A network and how it is run.

    Attributes:
        seed: repeats it.
        arithmetic: name of the datapath.
        noun: a Program, or an Image whose cores are counted.
        inputs: input -> (samples, model steps, n).
        steps: of the chip, in all.
        cuts: lengths of the runs that the whole is also taken in, one after the other.
        kinds: what projections hold, for the table.
    """

    seed: int
    arithmetic: str
    noun: Program | Image
    inputs: dict[str, Array]
    steps: int
    cuts: tuple[int, ...]
    kinds: tuple[str, ...]

    @property
    def program(self) -> Program:
        """The network."""
        return self.noun.program if isinstance(self.noun, Image) else self.noun


def random_program(seed: int) -> Drawn:
    """Return the network of a seed, its inputs and its cuts."""
    rng = np.random.default_rng(seed)
    names = [*ARITHMETICS, "saturate 24"]
    name = names[seed % len(names)] if rng.random() < 0.75 else "lava"
    arithmetic = ARITHMETICS[name]
    counted = arithmetic in (GRADED, XYLO) or rng.random() < 0.15
    bits = int(rng.choice([5, 16, 24])) if counted and arithmetic != XYLO else 5 * counted
    slow = int(rng.choice([1, 1, 1, 1, 1, 2, 3]))
    style = Style(*(rng.random(4) < (0.1, 0.02, 0.06, 0.08)).tolist())
    populations, kinds = _populations(rng, arithmetic, bits, slow, style)
    if style.flood:
        populations = {key: _undecaying(pop) for key, pop in populations.items()}
    synapses, more = _synapses(rng, populations, arithmetic, style)
    host = {} if arithmetic == XYLO or rng.random() < 0.85 else _host(rng, populations)
    neurons = [each for each, pop in populations.items() if pop.cell is not None]
    program = Program(
        1e-3, populations, synapses, {"out": neurons[-1]}, {}, arithmetic, host, bits, slow=slow
    )
    model_steps = int(rng.integers(62, 80)) if style.late else int(rng.integers(1, 24))
    if style.lasting:
        model_steps = 256 + int(rng.integers(0, 20))
    steps = model_steps * slow + int(rng.choice([0, 0, 3]))
    samples = 1 if style.lasting else int(rng.choice([1, 1, 2, 2, 3]))
    placed = rng.random() < 0.3
    return Drawn(
        seed,
        name,
        _placed(rng, program) if placed else program,
        _inputs(rng, program, samples, model_steps, style),
        steps,
        _cuts(rng, steps),
        (*kinds, *more, *(key for key, on in vars(style).items() if on), *["placed"] * placed),
    )


def _populations(
    rng: np.random.Generator, arithmetic: Arithmetic, bits: int, slow: int, style: Style
) -> tuple[dict[str, CellPopulation], list[str]]:
    kinds = []
    populations = {}
    sizes = SIZES[-3:] if style.maps else SIZES
    if arithmetic == XYLO and not style.maps:
        sizes = SIZES[:8]  # NumPy walks through its events
    for at in range(int(rng.choice([1, 1, 2]))):
        shape = _shape(rng, sizes, style)
        populations[f"in{at}"] = CellPopulation("input", shape, None, np.ones(1))
    for at in range(int(rng.choice([1, 2, 3]))):
        shape = _shape(rng, sizes, style)
        size = int(np.prod(shape))
        cell = random_cell(rng, size, arithmetic, bits, slow)
        populations[f"n{at}"] = CellPopulation("LIF", shape, cell, np.ones(size))
        if len(shape) == 3:
            kinds.append("population of three axes")
    return populations, kinds


def _undecaying(population: CellPopulation) -> CellPopulation:
    if not isinstance(population.cell, Cell):
        return population
    return replace(population, cell=replace(population.cell, decay_u=0 * population.cell.decay_u))


def _shape(rng: np.random.Generator, sizes: Sequence[int], style: Style) -> tuple[int, ...]:
    if len(sizes) == len(SIZES) and rng.random() < 0.25:
        return MAPS[int(rng.integers(len(MAPS)))]
    if style.maps and rng.random() < 0.5:
        return MAPS[int(rng.choice([-2, -1]))]
    return (int(rng.choice(sizes)),)


def _synapses(
    rng: np.random.Generator,
    populations: dict[str, CellPopulation],
    how: Arithmetic,
    style: Style,
) -> tuple[tuple[Synapses, ...], list[str]]:
    names = list(populations)
    targets = [name for name, pop in populations.items() if pop.cell is not None]
    ends = [(names[0], targets[0])]
    ends += [
        (str(rng.choice(names)), str(rng.choice(targets))) for _ in range(int(rng.integers(0, 5)))
    ]
    found, kinds = [], []
    loud = rng.random() < 0.3  # all exponents high: sums leave every width
    for at, (pre, post) in enumerate(ends):
        kind = str(rng.choice(list(WEIGHTS)))
        form = str(rng.choice(["dense", "dense", "csr", "csr matrix"]))
        exponent = int(rng.integers(4, 8)) if loud else int(rng.integers(-7, 8))
        if rng.random() < 0.3:
            exponent = 7 * (kind == "powers")
        delay = int(rng.choice([1, 1, 1, 2, 3, 5, 17]))
        if style.late:
            delay = int(rng.integers(1, 63))
        if how == GRADED and rng.random() < 0.3:
            exponent = -int(rng.integers(8, 14))
        if style.maps:
            kind = str(rng.choice(["int8", "even", "unsigned", "negative"]))
        if style.flood:
            kind, exponent = str(rng.choice(["unsigned", "unsigned", "negative"])), 7
        if how == XYLO:
            kind, exponent = str(rng.choice(["int8", "even", "little"])), max(exponent, 0)
        weights, structure = _weights(rng, populations[pre], populations[post], kind, style)
        made: Any = weights if form == "dense" else sp.csr_array(weights)
        made = sp.csr_matrix(weights) if form == "csr matrix" else made
        found.append(
            Synapses.of(f"s{at}", pre, post, made, exponent, "signed", 32, delay_steps=delay)
        )
        kinds += [f"weights {kind}", f"structure {structure}", form, f"exponent {exponent}"]
        kinds += ["delay above 17"] * (delay > 17) + ["loop"] * (pre == post)
    return tuple(found), kinds


def _weights(
    rng: np.random.Generator, pre: CellPopulation, post: CellPopulation, kind: str, style: Style
) -> tuple[Array, str]:
    low, high, step = WEIGHTS[kind]
    weights = rng.integers(low, high + 1, (post.size, pre.size)) * step
    if rng.random() < 0.15:  # the ends of the range only
        weights = rng.choice([low * step, high * step], weights.shape)
    forms = ["dense", "sparse", "sparser", "runs", "maps", "empty"]
    if style.flood or style.maps:
        forms = ["dense"] if style.flood else ["runs", "maps"]
    structure = str(rng.choice(forms))
    if structure == "sparse":
        weights *= rng.random(weights.shape) < rng.choice([0.03, 0.2, 0.5])
    elif structure == "sparser":
        weights *= rng.random(weights.shape) < 0.01
    elif structure == "runs":
        weights *= _runs(rng, post.size, pre.size)
    elif structure == "maps":
        weights *= _neighbours(pre, post)
    elif structure == "empty":
        weights *= 0
        if rng.random() < 0.7:
            structure = "one synapse"
            weights[-1, -1] = rng.choice([low, high]) * step
    return weights.astype(np.int32), structure


def _runs(rng: np.random.Generator, post: int, pre: int) -> Array:
    """Return a mask in which every source reaches a few stretches of neighbours."""
    mask = np.zeros((post, pre), bool)
    long = int(rng.choice([4, 9, 16, 17]))
    for source in range(pre):
        for first in rng.integers(0, post, int(rng.integers(0, 3))):
            mask[first : first + long, source] = True
    return mask


def _neighbours(pre: CellPopulation, post: CellPopulation) -> Array:
    """Return the mask of a 3 x 3 convolution from one map to another, cut or wrapped to fit."""
    rows, columns = post.shape[-2:] if len(post.shape) == 3 else (1, post.size)
    at = np.arange(post.size)
    where = np.stack([at // columns % rows, at % columns])
    far = np.abs(where[:, :, None] - where[:, None, np.arange(pre.size) % post.size])
    return (far <= 1).all(axis=0)


def _host(
    rng: np.random.Generator, populations: dict[str, CellPopulation]
) -> dict[str, HostCurrent]:
    """Return an input of real values for the last population; changes `populations`."""
    post = next(reversed(populations))
    inputs, size = int(rng.integers(1, 5)), populations[post].size
    populations["real"] = CellPopulation("input", (inputs,), None, np.ones(1))
    target = HostTarget(
        matrix=rng.normal(size=(size, inputs)),
        offset=rng.normal(size=size),
        gain=np.full(size, float(rng.choice([10.0, 3000.0]))),
        keep=np.full(size, float(rng.choice([0.0, 0.5]))),
        exponent=int(rng.integers(0, 8)),
        lag=int(rng.integers(0, 3)),
        register=4095,
    )
    return {"real": HostCurrent("real", bool(rng.random() < 0.3), {post: (target,)})}


def _inputs(
    rng: np.random.Generator, program: Program, samples: int, steps: int, style: Style
) -> dict[str, Array]:
    rate = rng.choice([0.0, 0.02, 0.2, 0.6, 1.0], p=[0.03, 0.22, 0.35, 0.2, 0.2])
    rate = 1.0 if style.flood else rate
    inputs = {}
    for name in program.inputs:
        size, most = program.populations[name].size, program.largest_message(name)
        x = (rng.random((samples, steps, size)) < rate).astype(np.int64)
        if name in program.host:
            x = rng.normal(size=x.shape)
        elif most > 1:
            values = rng.integers(1, min(most, int(rng.choice([3, 15, most]))) + 1, x.shape)
            x *= np.where(rng.random(x.shape) < 0.05, most, values)
            if program.arithmetic == GRADED and rng.random() < 0.5:
                x *= rng.choice([-1, 1], x.shape)
        inputs[name] = x
    return inputs


def _cuts(rng: np.random.Generator, steps: int) -> tuple[int, ...]:
    """Return lengths that sum to `steps`; of short runs often all are 1."""
    if steps <= 8 and rng.random() < 0.6:
        return (1,) * steps
    cuts, left = [], steps
    while left:
        cuts.append(min(left, int(rng.choice([1, 2, 7, 20, 64]))))
        left -= cuts[-1]
    return tuple(cuts)


def _placed(rng: np.random.Generator, program: Program) -> Image:
    """Return the Program with its neurons dealt out to cores, some of which hold nothing."""
    cores = int(rng.choice([1, 3, 40, 3000]))
    numbers = np.sort(rng.choice(2 * cores, cores, replace=False))
    slices = []
    used = set()
    for name in program.neurons:
        size = program.populations[name].size
        home = (
            rng.choice(numbers, size)
            if rng.random() < 0.5
            else numbers[np.sort(rng.integers(0, cores, size))]
        )
        for core in np.unique(home):
            slices.append(Slice(name, np.flatnonzero(home == core), int(core)))
            used.add(int(core))
    spare = set(numbers.tolist() if cores > 1000 else numbers[:1].tolist())
    routes = Routes(program, tuple(slices))
    uses = tuple(CoreUse(core, 0, 0, 0, 0, {}) for core in sorted(used | spare))
    return Image(program, _chip(), tuple(slices), routes, uses)


@cache
def _chip() -> Chip:
    return find_chip("loihi1")
