"""The noun `Chip`: limits, widths, kinds and cost figures of a target, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from spikeport.compiler.cost_column import CostColumn, Price
from spikeport.compiler.fabric import Core, Crossbar, Ensemble, Layers, Processor
from spikeport.compiler.figure import Counts, Fact, Figure, Range, Strict

#: Bits that the integers here can have.
WIDTHS = {
    "weight_bits": (1, 32), "state_bits": (2, 32), "decay_bits": (1, 30), "message_bits": (2, 32),
}  # fmt: skip
#: Arithmetics that are somebody's own: what their registers must say.
FIXED = {
    "lava": {"state_bits": 24, "decay_bits": 12},
    "nengo_loihi": {"state_bits": 24, "decay_bits": 12},
    "brian2_loihi": {"state_bits": 24, "decay_bits": 12},
    "graded": {"state_bits": 32, "decay_bits": 12},
    "xylo": {"state_bits": 16, "weight_bits": 8},
}
BUILT = {"axon_types": Crossbar, "xylo": Ensemble, "float": Processor}
UNKNOWN = "not given: as wide as any network needs"


def _wide(low: int, high: int) -> Range:
    return Range(low=low, high=high, source=UNKNOWN, basis="estimate")


def _bits(bits: int) -> Figure:
    return Figure(value=bits, unit="bit", source=UNKNOWN, basis="estimate")


class Topology(Counts):
    """Tiles in a mesh, cores in a tile; core c is on tile c // cores_per_tile, y fastest.

    Chips of a system stand in a row along x; `chips` is how many may be linked.
    """

    tiles_x: Figure
    tiles_y: Figure
    cores_per_tile: Figure
    chips: Figure | None = None


class Limits(Counts):
    """What one register can say; the quantizer and retiming read it.

    Attributes:
        weight_bits: of a weight; under `arithmetic: integer` the sign included.
        state_bits: of u and v, sign included.
        decay_bits: of a decay factor.
        message_bits: of a graded message or a count of spikes, sign included; None: spikes only.
        delay_steps: from a neuron's spike to its effect.
        input_delay_steps: the shortest from an input; None: as between neurons.
        weight_exponent: left shift of a projection's sum.
        threshold_mantissa, bias_mantissa, bias_exponent: registers of a neuron.
        refractory_steps: 1 loses no step.
    """

    may_be_zero = ("input_delay_steps",)

    weight_bits: Figure
    state_bits: Figure = _bits(32)
    decay_bits: Figure = _bits(12)
    message_bits: Figure | None = None
    delay_steps: Range
    input_delay_steps: Figure | None = None
    weight_exponent: Range = _wide(0, 0)
    threshold_mantissa: Range = _wide(0, (1 << 30) - 1)
    bias_mantissa: Range = _wide(-(1 << 30), 1 << 30)
    bias_exponent: Range = _wide(0, 0)
    refractory_steps: Range = _wide(1, 1)

    @model_validator(mode="after")
    def _computable(self) -> Limits:
        for name, (low, high) in WIDTHS.items():
            bits = getattr(self, name)
            if bits is not None and not low <= bits.value <= high:
                raise ValueError(
                    f"{name} is {bits.value}, what is computed with has {low} to {high}"
                )
        for name, value in self:
            if isinstance(value, Range) and max(-value.low, value.high) >= 1 << 31:
                raise ValueError(f"{name} is {value.low} to {value.high}, registers have 32 bits")
        for name in ("weight_exponent", "bias_mantissa", "bias_exponent"):
            value = getattr(self, name)
            if not value.low <= 0 <= value.high:
                raise ValueError(f"{name} is {value.low} to {value.high} and leaves out 0")
        if self.threshold_mantissa.high < 1 or self.delay_steps.low < 0:
            raise ValueError("a threshold has to reach 1, and no delay is below 0")
        if self.refractory_steps.low != 1:
            raise ValueError("refractory_steps begins at 1, which loses no step")
        return self


class Chip(Strict):
    """A chip that a network can be placed on.

    Attributes:
        name: what `--chip` takes.
        title: full name.
        level: `oracle-equal` (arithmetic tested against an outside implementation), `rules`
            (limits only) or `estimate`.
        kinds: neuron kinds (NIR names) that it runs.
        resets, reset_when: ways of resetting v that it runs, and when.
        thresholds: comparisons with the threshold: `greater`, `greater_equal`.
        signals: what a population may send to another: `binary`, `count`, `graded`.
        holds_state: can a population rest for some steps without its state moving (`--slow`).
        arithmetic: the emulator's datapath. `integer` is ours, with the widths of `limits`;
            `axon_types` the same with weights per axon type; `float` runs the reference; `none`
            is a description of limits alone, nothing is run.
        topology, limits, core: how many cores, what a register says, what a core holds.
        static_power: of one chip, in W; times the run time it is the static energy, which stands
            beside the dynamic one. None: unknown.
        costs: columns of energies and times by name; empty where nothing is published.
        default_cost: the column that reports lead with.
        facts: other published figures; shown, never computed with.
        notes: what this description leaves out.
    """

    name: str
    title: str
    level: Literal["oracle-equal", "rules", "estimate"]
    kinds: tuple[str, ...] = Field(min_length=1)
    resets: tuple[Literal["to_value", "subtract", "none", "subtract_snntorch"], ...] = Field(
        min_length=1
    )
    signals: tuple[Literal["binary", "count", "graded"], ...] = Field(min_length=1)
    arithmetic: Literal[
        "lava", "nengo_loihi", "brian2_loihi", "graded", "integer", "axon_types", "xylo", "float",
        "none",
    ]  # fmt: skip
    reset_when: tuple[Literal["same_step", "next_step"], ...] = Field(("same_step",), min_length=1)
    thresholds: tuple[Literal["greater", "greater_equal"], ...] = Field(("greater",), min_length=1)
    holds_state: bool = False
    topology: Topology
    limits: Limits
    core: Core
    static_power: Price | None = None
    costs: Mapping[str, CostColumn] = {}
    default_cost: str = ""
    facts: Mapping[str, Fact] = {}
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _column_exists(self) -> Chip:
        if self.costs and self.default_cost not in self.costs:
            raise ValueError(
                f"default_cost is {self.default_cost!r}, the costs are {', '.join(self.costs)}"
            )
        return self

    @model_validator(mode="after")
    def _runs_as_it_is_built(self) -> Chip:
        for arithmetic, fabric in BUILT.items():
            if (self.arithmetic == arithmetic) and not isinstance(self.core, fabric):
                raise ValueError(
                    f"arithmetic: {arithmetic} is for other cores than {self.core.fabric}"
                )
        if isinstance(self.core, Processor) and self.arithmetic != "float":
            raise ValueError("fabric: processor has arithmetic: float")
        for name, bits in FIXED.get(self.arithmetic, {}).items():
            if getattr(self.limits, name).value != bits:
                raise ValueError(
                    f"arithmetic: {self.arithmetic} has {name} {bits}; other widths have "
                    "arithmetic: integer"
                )
        if self.arithmetic in FIXED and self.limits.weight_bits.value > 8:
            raise ValueError(f"arithmetic: {self.arithmetic} has 8-bit weights at most")
        if self.limits.delay_steps.low == 0 and not isinstance(self.core, Layers | Processor):
            raise ValueError("delay_steps begins at 1 but for fabric: layers, which has no step")
        if self.arithmetic == "axon_types" and isinstance(self.core, Crossbar):
            types, weight = self.core.axon_types, self.core.type_weight_bits
            if types is None or weight is None or types.value > 4 or not 5 <= weight.value <= 9:
                raise ValueError("arithmetic: axon_types has up to 4 axon_types of 5 to 9 bits")
        if (self.arithmetic == "none") != (self.level == "rules"):
            raise ValueError("level: rules means arithmetic: none, and the other way round")
        return self

    @property
    def message_bits(self) -> int:
        """Width of a graded message, sign included; 0 where axons carry spikes."""
        return 0 if self.limits.message_bits is None else int(self.limits.message_bits.value)

    @property
    def input_delay(self) -> int:
        """Shortest delay of what an input sends, in steps."""
        stated = self.limits.input_delay_steps
        return self.limits.delay_steps.low if stated is None else stated.whole

    @property
    def cores(self) -> int:
        """Number of cores of one chip."""
        mesh = self.topology
        return mesh.tiles_x.whole * mesh.tiles_y.whole * mesh.cores_per_tile.whole

    @property
    def most_chips(self) -> int:
        """How many chips can be linked."""
        return 1 if self.topology.chips is None else self.topology.chips.whole

    def tile(self, core: Any) -> tuple[Any, Any]:
        """Return (x, y) of the tile of a core, or of an array of cores; x runs over all chips."""
        chip, on_chip = divmod(core, self.cores)
        tile = on_chip // self.topology.cores_per_tile.whole
        rows = self.topology.tiles_y.whole
        return chip * self.topology.tiles_x.whole + tile // rows, tile % rows
