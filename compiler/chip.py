"""The noun `Chip`: limits, widths, kinds and cost figures of a target, each with its source.

A chip is a YAML file. It is read without tags, anchors or aliases, so that it can neither run
code nor grow, and validated strictly: an unknown key is an error, a number is never text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from spikeport.compiler.errors import ChipError

LARGEST_FILE = 1 << 17  # bytes; ours are below 20 kB
DEEPEST = 12  # the schema has five levels, and the reader's time grows with the square
#: What a cost column can have a figure for; a misspelt kind would cost nothing in silence.
EVENTS = (
    "soma_access", "soma_update", "spike_out", "synaptic_op", "synaptic_op_sparse", "packet",
    "hop_east_west", "hop_north_south", "state_reset",
)  # fmt: skip
Basis = Literal["measured", "simulated", "fitted", "estimate", "code", "quoted", "run", "derived"]


class Strict(BaseModel):
    """No unknown keys, no conversions, no changes, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Figure(Strict):
    """A number with its unit, its source and how it was obtained."""

    value: float | int
    unit: str
    source: str = Field(min_length=4)
    basis: Basis


class Range(Strict):
    """Smallest and largest integer, with the source."""

    low: int
    high: int
    source: str = Field(min_length=4)
    basis: Basis

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class Counts(Strict):
    """Figures that count something: whole numbers above 0, but for those that may be 0."""

    may_be_zero: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _whole(self) -> Counts:
        for name, figure in self:
            smallest = 0 if name in self.may_be_zero else 1
            if isinstance(figure, Figure) and (figure.value < smallest or figure.value % 1):
                raise ValueError(f"{name} is {figure.value}, not a whole number >= {smallest}")
        return self


class Topology(Counts):
    """Tiles in a mesh, cores in a tile; core c is on tile c // cores_per_tile, y fastest."""

    tiles_x: Figure
    tiles_y: Figure
    cores_per_tile: Figure


class Limits(Counts):
    """What one core can hold, and what one field of it can say."""

    may_be_zero = ("group_overhead_bits", "delay_bits")

    compartments_per_core: Figure
    in_axons_per_core: Figure
    out_axons_per_core: Figure
    synaptic_memory_bits_per_core: Figure
    compartment_configs_per_core: Figure
    threshold_configs_per_core: Figure
    synaptic_memory_word_bits: Figure
    synapses_per_group: Figure
    group_overhead_bits: Figure
    index_bits: tuple[int, ...]
    delay_bits: Figure
    delay_steps: Range
    weight_exponent: Range
    decay_bits: Figure
    threshold_mantissa: Range
    bias_mantissa: Range
    bias_exponent: Range
    state_bits: Figure
    refractory_steps: Range
    message_bits: Figure | None = None


class CostColumn(Strict):
    """One coherent set of energy figures; two columns are never mixed."""

    title: str
    source: str
    uncertainty: Figure
    figures: Mapping[str, Figure]

    @model_validator(mode="after")
    def _known_events(self) -> CostColumn:
        unknown = [name for name in self.figures if name not in EVENTS]
        if unknown:
            raise ValueError(f"{unknown[0]} is no event kind; known are {', '.join(EVENTS)}")
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
        arithmetic: name of the emulator's datapath.
        static_power: of one chip; stated beside the dynamic energy, never added.
        costs: energy columns by name.
        default_cost: the column that reports lead with.
        notes: limits of this description.
    """

    name: str
    title: str
    level: Literal["oracle-equal", "rules", "estimate"]
    kinds: tuple[str, ...]
    resets: tuple[str, ...]
    signals: tuple[str, ...]
    arithmetic: Literal["lava", "nengo_loihi", "brian2_loihi", "graded"]
    reset_when: tuple[str, ...] = ("same_step",)
    thresholds: tuple[str, ...] = ("greater",)
    holds_state: bool = False
    topology: Topology
    limits: Limits
    static_power: Figure
    costs: Mapping[str, CostColumn]
    default_cost: str
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _column_exists(self) -> Chip:
        if self.default_cost not in self.costs:
            raise ValueError(
                f"default_cost is {self.default_cost!r}, the costs are {', '.join(self.costs)}"
            )
        return self

    @property
    def message_bits(self) -> int:
        """Width of a graded message, sign included; 0 where axons carry spikes."""
        return 0 if self.limits.message_bits is None else int(self.limits.message_bits.value)

    @property
    def cores(self) -> int:
        """Number of cores."""
        return int(
            self.topology.tiles_x.value
            * self.topology.tiles_y.value
            * self.topology.cores_per_tile.value
        )

    def tile(self, core: int) -> tuple[int, int]:
        """Return (x, y) of the tile that holds a core."""
        tile = core // int(self.topology.cores_per_tile.value)
        rows = int(self.topology.tiles_y.value)
        return tile // rows, tile % rows


def read_chip(path: Path) -> Chip:
    """Read and check a chip description.

    Raises:
        ChipError: not a file, too large, tags or aliases in it, or not our schema.
    """
    if path.exists() and not path.is_file():
        raise ChipError(f"cannot read the chip {path.name}", "it is not a file", "check the path")
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ChipError(
            f"cannot read the chip {path.name}", error.strerror or "", "check the path"
        ) from None
    if len(raw) > LARGEST_FILE:
        raise ChipError(
            f"{path.name} is too large for a chip description",
            f"more than {LARGEST_FILE} bytes",
            "start from a copy of loihi1.yaml",
        )
    try:
        text = raw.decode("utf8")
        content = _plain_yaml(text)
        return Chip.model_validate(_tuples(content))
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    except (YAMLError, ValueError, RecursionError) as error:
        why = _reason(error)
    raise ChipError(
        f"{path.name} is not a chip description", why, "compare it with loihi1.yaml"
    ) from None


def _plain_yaml(text: str) -> Any:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        tag = getattr(event, "tag", None)
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise ValueError("YAML anchors and aliases are not allowed: write the value out")
        if tag is not None and str(tag):
            raise ValueError(f"the YAML tag {tag} is not allowed: plain values only")
    return YAML(typ="safe", pure=True).load(text)


def _tuples(value: Any) -> Any:
    """Lists become tuples: strict validation does not convert."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return f"{where or 'the file'}: {first['msg']}{more}"[:300]
    if isinstance(error, YAMLError):
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        return f"YAML: {where}{' '.join(problem.split())}".replace("<", "").replace(">", "")[:200]
    return str(error)[:300] or type(error).__name__
