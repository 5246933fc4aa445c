"""The noun `Image`: a Program with its place on a chip. It holds no bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.compiler.chip import Chip
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.program import Program


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
        core, tile_x, tile_y: where it is.
        compartments, in_axons, out_axons, synapses: counts.
        synaptic_memory_bits: by the chip's formula.
    """

    core: int
    tile_x: int
    tile_y: int
    compartments: int
    in_axons: int
    out_axons: int
    synapses: int
    synaptic_memory_bits: int


@dataclass(frozen=True, eq=False)
class Route:
    """Axons from a slice (or an input, source None) to a core.

    Attributes:
        pre: population name.
        source_core: core of the senders, -1 for inputs that come from the host.
        target_core: core of the synapses.
        neurons: which neurons of `pre` on that source core send there.
        synapses: how many synapses each of them has there.
        sparse: how many of these are in lists that store an index per synapse.
    """

    pre: str
    source_core: int
    target_core: int
    neurons: Array
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
        routes: every (sender core, receiver core, population) with its axons.
        cores: use of each core.
    """

    program: Program
    chip: Chip
    slices: tuple[Slice, ...]
    routes: tuple[Route, ...]
    cores: tuple[CoreUse, ...]

    @property
    def resources(self) -> Mapping[str, Any]:
        """Totals over all cores."""
        bits = [core.synaptic_memory_bits for core in self.cores]
        return {
            "cores": len(self.cores),
            "compartments": sum(core.compartments for core in self.cores),
            "synapses": sum(core.synapses for core in self.cores),
            "synaptic_memory_bits": sum(bits),
            "synaptic_memory_bits_fullest_core": max(bits, default=0),
            "in_axons": sum(core.in_axons for core in self.cores),
            "out_axons": sum(core.out_axons for core in self.cores),
        }
