"""The noun `Image`: a Program with its place on a chip. It holds no bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikeport.compiler.kinds import Array
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.program import Program

if TYPE_CHECKING:
    from spikeport.compiler.chip import Chip


@dataclass(frozen=True, eq=False)
class Slice:
    """Neurons of one population that live on one core.

    Attributes:
        population: name.
        neurons: their numbers in the population, int64, ascending.
        core: core number; the tile follows from the chip's topology.
    """

    population: str
    neurons: Array
    core: int

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True)
class CoreUse:
    """What one core holds, against its limits.

    Attributes:
        core: number; chips follow each other.
        chip: number of the chip.
        tile_x, tile_y: where the core is; x runs on over the chips.
        synapses: how many it holds.
        held: resource -> (how much is used, how much there is; None where it is not published).
    """

    core: int
    chip: int
    tile_x: int
    tile_y: int
    synapses: int
    held: Mapping[str, tuple[int, int | None]]

    @property
    def load(self) -> float:
        """Largest share of any limit, 0 .. 1."""
        return max((used / most for used, most in self.held.values() if most), default=0.0)

    def used(self, resource: str) -> int:
        """Return how much of a resource is used, 0 where the core has no such thing."""
        return self.held.get(resource, (0, None))[0]


@dataclass(frozen=True, eq=False)
class Route:
    """Axons of one population to one core: an entry for each neuron that sends there.

    Attributes:
        pre: population name.
        target_core: core of the synapses.
        neurons: which neurons of `pre` send there, int64 (n,), ascending.
        source_cores: core of each of them, -1 for inputs that come from the host, (n,).
        synapses: how many synapses each of them has there, (n,).
        sparse: how many of these are in lists that store an index per synapse, (n,).
    """

    pre: str
    target_core: int
    neurons: Array
    source_cores: Array
    synapses: Array
    sparse: Array

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, eq=False)
class Image:
    """A Program on cores.

    Attributes:
        program: what runs.
        chip: where.
        slices: population parts, by core.
        routes: for every population and core that it reaches, the axons; where they follow from
            the slices they are found again whenever somebody asks.
        cores: use of each core that is used, by number.
        chips: how many chips there are.
        plan: what only this chip's fabric has, a value of its own file in `place/`.
    """

    program: Program
    chip: Chip
    slices: tuple[Slice, ...]
    routes: Sequence[Route]
    cores: tuple[CoreUse, ...]
    chips: int = 1
    plan: Any = None

    @property
    def resources(self) -> Mapping[str, Any]:
        """Totals over all cores, by resource, and the fullest core's share of its limits."""
        names = dict.fromkeys(name for core in self.cores for name in core.held)
        bits = [core.used("synaptic_memory_bits") for core in self.cores]
        fullest = {"synaptic_memory_bits_fullest_core": max(bits)} if any(bits) else {}
        return {
            "cores": len(self.cores),
            "chips": self.chips,
            "synapses": sum(core.synapses for core in self.cores),
            **{name: sum(core.used(name) for core in self.cores) for name in names},
            **fullest,
            "fullest_core": max((core.load for core in self.cores), default=0.0),
        }
