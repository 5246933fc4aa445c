"""The semantics contract: what a NIR graph does not say about a time step, as a value.

NIR defines neurons in continuous time. How time is stepped is each tool's own affair, and one
graph scores 95 % in one tool and 48 % in another. `Semantics` states it, field by field, with
overrides per node. Nothing is guessed: a field comes from the file, from a named preset, from
a flag, or loading is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from spikeport.compiler.errors import SemanticsError

CHOICES: dict[str, tuple[str, ...]] = {
    "integration": ("euler", "exact"),
    "input_gain": ("per_equation", "unit", "unit_current"),
    "tau_unit": ("seconds", "seconds_times_dt"),
    "current_order": ("decay_add_v", "add_v_decay", "v_decay_add", "add_decay_v"),
    "reset": ("to_value", "subtract", "none", "subtract_snntorch"),
    "reset_when": ("same_step", "next_step"),
    "spike": ("binary", "count"),
    "threshold": ("greater", "greater_equal"),
}
NUMBERS = ("dt", "initial_v", "v_min", "refractory")
FLAGS = ("recurrent_bias_at_start", "bias_at_start")
STEPS = ("feedforward_lag", "recurrent_lag")
#: Fields that belong to the whole network; all the others can differ from node to node.
GLOBAL = ("dt", "tau_unit", *STEPS)
#: Every field that a setting can name.
FIELD_NAMES = (*NUMBERS, *CHOICES, *FLAGS, *STEPS)


@dataclass(frozen=True)
class Semantics:
    """How one time step is taken; the defaults are NIR's own words under forward Euler.

    Attributes:
        dt: seconds per time step, > 0; None until somebody says it.
        integration: `euler` x <- (1 - dt/tau) x + (dt/tau) in, or `exact`
            x <- e^(-dt/tau) x + (1 - e^(-dt/tau)) in.
        input_gain: `per_equation` as above; `unit` adds the input unscaled, to the current and
            to v; `unit_current` does so for the synaptic current only (norse's LIFCell).
        tau_unit: `seconds`, or `seconds_times_dt` (norse 1.1.0 writes tau * dt).
        current_order: `decay_add_v` (decay, add input, v sees it), `add_v_decay` (add, v sees
            it, decay), `v_decay_add` (v sees the last step's), `add_decay_v` (rockpool: add,
            decay, v sees it).
        reset, reset_when: what a spike does to v (`to_value`, `subtract`, `none`) and when.
            `subtract_snntorch` is snnTorch's subtraction without delay: a neuron that is still
            above threshold after it must reach twice the threshold to spike again.
        spike, threshold: `binary` or `count` (floor(v / threshold) spikes a step); `greater`
            (strict, NIR's own) or `greater_equal`.
        initial_v: v before the first step; None is v_reset.
        v_min: v is clamped from below; None is no clamp.
        refractory: seconds without integration after a spike.
        recurrent_bias_at_start: does a recurrent layer's bias act in the first step.
        feedforward_lag, recurrent_lag: steps between a spike and its effect on the next
            population.
        bias_at_start: do biases act in the first step; not where a tool sends its spikes a step
            after they arose, so that all that a population does is late, not its inputs alone.
        nodes: {node name: {field: value}} where a node differs.
        parameters: neuron parameters that were supplied by hand, {`w_in` or `NODE.w_in`: value};
            a list for reports, the network's nodes hold these values already.
        assumed: fields that a preset filled with a constructor default of its tool.
        dialect: name of the preset, for the report.
    """

    dt: float | None = None
    integration: str = "euler"
    input_gain: str = "per_equation"
    tau_unit: str = "seconds"
    current_order: str = "decay_add_v"
    reset: str = "to_value"
    reset_when: str = "same_step"
    spike: str = "binary"
    threshold: str = "greater"
    initial_v: float | None = None
    v_min: float | None = None
    refractory: float = 0.0
    recurrent_bias_at_start: bool = True
    feedforward_lag: int = 0
    recurrent_lag: int = 1
    bias_at_start: bool = True
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    dialect: str = ""

    def at(self, node: str) -> Semantics:
        """Return the semantics of one node: the default with that node's overrides."""
        return replace(self, nodes={}, **self.nodes.get(node, {}))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as `--json` prints them and NIR metadata stores them."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "assumed"}
        nodes = {name: dict(over) for name, over in self.nodes.items()}
        return values | {"nodes": nodes, "parameters": dict(self.parameters)}


#: What each tool always does, and which of its constructor options are assumed.
PRESETS: dict[str, Semantics] = {
    "nir": Semantics(dialect="nir", assumed=("integration", "reset", "reset_when")),
    "snntorch": Semantics(
        dt=1e-4, dialect="snntorch", assumed=("dt", "reset", "reset_when", "initial_v")
    ),
    "norse": Semantics(
        tau_unit="seconds_times_dt", input_gain="unit_current", current_order="add_v_decay",
        dialect="norse", assumed=("tau_unit", "current_order"),
    ),
    "spikingjelly": Semantics(
        threshold="greater_equal", dialect="spikingjelly", assumed=("reset",)
    ),
    "sinabs": Semantics(
        integration="exact", input_gain="unit", threshold="greater_equal", spike="count",
        reset="subtract", dialect="sinabs", assumed=("input_gain", "spike", "reset", "v_min"),
    ),
    "rockpool": Semantics(
        integration="exact", input_gain="unit", threshold="greater_equal", spike="count",
        reset="subtract", current_order="add_decay_v", dialect="rockpool", assumed=("spike",),
    ),
    # spyx.nn: a spike is read off the v of the step before, and taken off in the step after.
    "spyx": Semantics(
        input_gain="unit", reset="subtract", reset_when="next_step", feedforward_lag=1,
        bias_at_start=False, dialect="spyx", assumed=("input_gain", "reset_when"),
    ),
    # lava.proc.lif, floating point: a Dense delivers in the step after the spike.
    "lava": Semantics(feedforward_lag=1, dialect="lava", assumed=("input_gain",)),
    # lava.lib.dl.slayer: cuba neurons; a block delays its output by a step (delay_shift).
    "lava-dl": Semantics(
        input_gain="unit", threshold="greater_equal", feedforward_lag=1, bias_at_start=False,
        dialect="lava-dl", assumed=("input_gain", "feedforward_lag", "bias_at_start"),
    ),
}  # fmt: skip


def preset(dialect: str) -> Semantics:
    """Return the preset of a tool.

    Raises:
        SemanticsError: no such preset.
    """
    if dialect not in PRESETS:
        raise SemanticsError(
            f"unknown dialect {dialect!r}",
            f"known are {', '.join(PRESETS)}",
            "choose one of them, or take nir and describe the rest with --set FIELD=VALUE",
        )
    return PRESETS[dialect]


def parse_field(name: str, value: Any) -> Any:
    """Return `value` as field `name` wants it, from text or from a NumPy scalar.

    Raises:
        SemanticsError: unknown field, or a value that it cannot take.
    """
    value = _plain(value)
    if name in CHOICES:
        if value in CHOICES[name]:
            return value
        raise SemanticsError(
            f"{name}={value} is not a value of {name}",
            f"it is one of {', '.join(CHOICES[name])}",
            f"--set {name}={CHOICES[name][0]}",
        )
    if name in FLAGS:
        flags = {"true": True, "false": False, "1": True, "0": False}
        if str(value).lower() in flags:
            return flags[str(value).lower()]
        raise SemanticsError(f"{name}={value} is not true or false", fix=f"--set {name}=true")
    if name in STEPS:
        if str(value) in ("0", "1", "0.0", "1.0"):
            return int(float(value))
        raise SemanticsError(f"{name}={value}", "a lag is 0 or 1 steps", f"--set {name}=1")
    if name in NUMBERS:
        return _parse_number(name, value)
    raise SemanticsError(
        f"unknown semantics field {name!r}",
        f"known are {', '.join(FIELD_NAMES)}",
        "check the spelling",
    )


def _plain(value: Any) -> Any:
    """Return text or a Python number for what HDF5 and NumPy hand out."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if getattr(value, "size", 0) == 1 else value


def _parse_number(name: str, value: Any) -> float | None:
    if name in ("initial_v", "v_min") and (value is None or value == "none"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    limits = {"dt": number > 0, "refractory": number >= 0}
    if not math.isfinite(number) or not limits.get(name, True):
        raise SemanticsError(
            f"{name}={value} is not a usable number",
            "dt is a finite number of seconds above 0; the others are finite, refractory is not "
            "below 0",
            f"--set {name}=1e-4" if name != "dt" else "--dt 1e-4",
        )
    return number


def apply_settings(semantics: Semantics, settings: Iterable[str]) -> Semantics:
    """Apply `FIELD=VALUE` and `NODE.FIELD=VALUE` texts, in order; what is set is not assumed.

    Node names may hold dots: the field is what follows the last one.

    Raises:
        SemanticsError: malformed text, unknown field, wrong value.

    >>> apply_settings(Semantics(), ["reset=subtract", "lif1.lif.threshold=greater_equal"]).nodes
    {'lif1.lif': {'threshold': 'greater_equal'}}
    """
    for text in settings:
        node, name, value = split_setting(text)
        parsed = parse_field(name, value)
        if node:
            semantics = _override(semantics, node, name, parsed)
        else:
            stays = tuple(field for field in semantics.assumed if field != name)
            semantics = replace(semantics, assumed=stays, **{name: parsed})
    return semantics


def split_setting(text: str) -> tuple[str, str, str]:
    """Return node (or ""), name and value of a setting.

    Raises:
        SemanticsError: malformed text.

    >>> split_setting("lif1.lif.threshold=greater_equal")
    ('lif1.lif', 'threshold', 'greater_equal')
    """
    target, equals, value = text.rpartition("=")
    node, dot, name = target.strip().rpartition(".")
    if not equals or not name or (dot and not node):
        raise SemanticsError(
            f"cannot read the setting {text!r}",
            "it has the form FIELD=VALUE or NODE.FIELD=VALUE",
            "--set reset=subtract",
        )
    return node, name, value.strip()


def _override(semantics: Semantics, node: str, name: str, value: Any) -> Semantics:
    if name in GLOBAL:
        raise SemanticsError(
            f"{name} cannot be set for node {node!r}",
            "it belongs to the whole network",
            f"--set {name}={value}",
        )
    over = {**semantics.nodes.get(node, {}), name: value}
    return replace(semantics, nodes={**semantics.nodes, node: over})


def from_metadata(stored: Mapping[str, Any]) -> Semantics:
    """Return the semantics kept in a NIR graph's metadata under the key `spikeport`.

    `nodes` are stored as flat `NODE.FIELD` keys beside the plain fields.

    Raises:
        SemanticsError: a stored field is unknown or has a value that it cannot take.
    """
    texts = []
    for key, value in stored.items():
        if key == "dialect" or value is None:
            continue
        texts.append(f"{key}={_plain(value)}")
    dialect = str(_plain(stored.get("dialect", "")))
    return replace(apply_settings(Semantics(), texts), dialect=dialect or "file")


def to_metadata(semantics: Semantics) -> dict[str, Any]:
    """Return the flat strings and numbers that `from_metadata` reads back."""
    flat: dict[str, Any] = {"dialect": semantics.dialect}
    for name in (*NUMBERS, *CHOICES, *STEPS):
        value = getattr(semantics, name)
        if value is not None:
            flat[name] = value
    flat |= {name: str(getattr(semantics, name)).lower() for name in FLAGS}
    for node, over in semantics.nodes.items():
        flat |= {
            f"{node}.{name}": "none" if value is None else str(value)
            for name, value in over.items()
        }
    return flat


def require_said(semantics: Semantics, command: str = "") -> None:
    """Check that somebody said what a step means.

    Raises:
        SemanticsError: neither the file nor a preset nor a flag did.
    """
    if not semantics.dialect:
        raise SemanticsError(
            "what a time step means is unknown",
            "NIR files do not say how neurons are stepped and reset, and tools disagree",
            f"name the tool that the graph comes from ({', '.join(PRESETS)}): "
            f"{command} --dialect nir".replace("  ", " "),
        )


def require_dt(semantics: Semantics, command: str = "") -> float:
    """Return dt.

    Raises:
        SemanticsError: nobody said what a time step is.
    """
    if semantics.dt is None:
        raise SemanticsError(
            "the length of a time step is unknown",
            "NIR files do not carry dt and neither --dt nor the file's metadata gives it",
            f"add --dt SECONDS, as in {command} --dt 1e-4".replace("  ", " "),
        )
    return semantics.dt
