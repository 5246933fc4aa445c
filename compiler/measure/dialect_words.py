"""A setting in the fewest words: the nearest preset, and what must be set beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from spikeport.compiler.measure.dialect_block import FIELDS, HOPELESS, Block, Candidate
from spikeport.compiler.measure.dialect_space import Axes, changed_all
from spikeport.compiler.network import Network
from spikeport.compiler.semantics import (
    FIELD_NAMES,
    GLOBAL,
    PRESETS,
    Semantics,
    apply_settings,
    split_setting,
)

WORTH = 1.1  # where no setting reproduces, one that saves less than a tenth is left out
LOCAL = tuple(name for name in FIELDS if name not in GLOBAL)


@dataclass(frozen=True)
class Saying:
    """A setting as a person types it.

    Attributes:
        dialect: preset, or "" for what the file itself says.
        dt: of `--dt`; None where the preset or the file has it.
        settings: texts of `--set`.
        late: steps by which the recording answers later than the model.
        semantics: what it comes to.
    """

    dialect: str
    dt: float | None
    settings: tuple[str, ...]
    late: int
    semantics: Semantics

    @property
    def flags(self) -> tuple[str, ...]:
        """Command line flags."""
        flags = ["--dialect", self.dialect] if self.dialect else []
        flags += [] if self.dt is None else ["--dt", f"{self.dt:.12g}"]
        for text in self.settings:
            flags += ["--set", text]
        return (*flags, "--late", str(self.late)) if self.late else tuple(flags)

    def __str__(self) -> str:
        return " ".join(self.flags)


def sayings(
    net: Network, blocks: Sequence[Block], found: Candidate, fixed: frozenset[str], given: Semantics
) -> tuple[Saying, tuple[Saying, ...]]:
    """Return the shortest way to say a setting, and how other tools would come to it.

    Args:
        net: prepared.
        blocks: every recorded population.
        found: complete, with what nodes need for themselves.
        fixed: fields that somebody set by hand: they are said again.
        given: what the person or the file said already.
    """
    target = sum(totals(blocks, found))
    by_hand = {("", name) for name in fixed if name != "dt"}
    by_hand |= {(node, name) for node, over in given.nodes.items() for name in over}
    bases = {"": given} if given.dialect else {}
    bases |= PRESETS
    made = [
        _shortest(dialect, base, blocks, found, target, by_hand, net.neurons)
        for dialect, base in bases.items()
    ]
    if target:
        return min(made, key=lambda each: _price(blocks, each)), ()
    best, *rest = sorted(made, key=_length)
    return best, tuple(each for each in rest if _possible(each))


def _price(blocks: Sequence[Block], saying: Saying) -> float:
    far = sum(totals(blocks, Candidate(saying.semantics, saying.late)))
    return far * (1.0 + (WORTH - 1.0) * _length(saying))


def _length(saying: Saying) -> float:
    """Return how far a saying is from its preset.

    An option of the tool counts once, what it always does twice: a tool that would have to be
    another tool is no explanation.
    """
    strange = sum(_strange(saying, text) for text in saying.settings)
    return len(saying.settings) + strange + 0.5 * (saying.dt is not None) + 2 * abs(saying.late)


def _strange(saying: Saying, text: str) -> bool:
    """Is a setting something that its tool never does."""
    preset = PRESETS.get(saying.dialect)
    return preset is not None and split_setting(text)[1] not in preset.assumed


def _possible(saying: Saying) -> bool:
    return not any(_strange(saying, text) for text in saying.settings)


def totals(blocks: Sequence[Block], candidate: Candidate) -> list[int]:
    """Return how far a setting is from each block."""
    return [int(block.distances([candidate])[0]) for block in blocks]


def _as_good(blocks: Sequence[Block], candidate: Candidate, target: int) -> bool:
    """Is a setting no farther than this."""
    left = target
    for block in blocks:
        far = int(block.distances([candidate], bound=left)[0])
        if far == HOPELESS or far > left:
            return False
        left -= far
    return True


def _shortest(
    dialect: str,
    base: Semantics,
    blocks: Sequence[Block],
    found: Candidate,
    target: int,
    by_hand: Set[tuple[str, str]],
    neurons: Sequence[str],
) -> Saying:
    """Return a setting as a preset and what differs from it, without what does not matter."""
    settings = _all_settings(base, found.semantics, neurons, by_hand)
    dt = found.semantics.dt

    def candidate(texts: Sequence[str]) -> Candidate:
        return Candidate(replace(_said(base, texts), dt=dt), found.late)

    left = target
    for text in list(settings):
        node, name, _ = split_setting(text)
        if not by_hand.isdisjoint({("", name), (node, name)}):
            continue
        fewer = [each for each in settings if each != text]
        if _as_good(blocks, candidate(fewer), int(left * WORTH)):
            settings = fewer
            left = int(left * WORTH)
    said_dt = None if base.dt is not None and base.dt == dt else dt
    late = found.late
    if late and _as_good(blocks, replace(candidate(settings), late=0), target):
        late = 0
    return Saying(dialect, said_dt, tuple(settings), late, candidate(settings).semantics)


def _said(base: Semantics, texts: Sequence[str]) -> Semantics:
    """Return a preset under settings, parameters of neurons among them."""
    parameters = {}
    plain = []
    for text in texts:
        node, name, value = split_setting(text)
        if name in FIELD_NAMES:
            plain.append(text)
        else:
            parameters[f"{node}.{name}" if node else name] = float(value)
    return replace(apply_settings(base, plain), parameters=parameters)


def _all_settings(
    base: Semantics, wanted: Semantics, neurons: Sequence[str], by_hand: Set[tuple[str, str]]
) -> list[str]:
    """Return every setting that turns a preset into what is wanted, single nodes' first.

    What was said by hand of a node is said again, needed or not.
    """
    nodes: list[str] = []
    whole: list[str] = []
    for name in GLOBAL:
        if name != "dt" and getattr(base, name) != getattr(wanted, name):
            whole.append(f"{name}={_text(getattr(wanted, name))}")
    for name in LOCAL:
        values = {node: getattr(wanted.at(node), name) for node in neurons}
        usual = _usual(list(values.values()) or [getattr(wanted, name)], getattr(base, name))
        if usual != getattr(base, name):
            whole.append(f"{name}={_text(usual)}")
        said = {node for node, own in by_hand if own == name and node not in base.nodes}
        nodes += [
            f"{node}.{name}={_text(value)}"
            for node, value in values.items()
            if value != usual or node in said
        ]
    parameters = [f"{name}={value:.12g}" for name, value in wanted.parameters.items()]
    return [*nodes, *parameters, *whole]


def _usual(values: Sequence[Any], preset: Any) -> Any:
    """Return the value to set for all nodes, so that the fewest settings are needed."""
    counts = Counter(values)
    common, times = max(counts.items(), key=lambda item: item[1])
    of_preset = len(values) - counts.get(preset, 0)
    return preset if of_preset < 1 + len(values) - times else common


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def ties(blocks: Sequence[Block], saying: Saying, axes: Axes) -> dict[str, tuple[object, ...]]:
    """Return the fields that do not matter where every cell agrees, with the values that do too.

    One field is changed at a time, for the whole network.
    """
    best = Candidate(saying.semantics, saying.late)
    found: dict[str, tuple[object, ...]] = {}
    for axis, values in axes.items():
        if axis.startswith("parameters.") or axis == "late":
            continue
        for name in axis.split(","):
            own = [over for over in saying.semantics.nodes.values() if name in over]
            here = getattr(saying.semantics, name)
            others = _other_values(axis, name, values, here, saying.semantics)
            same = [
                value
                for value in others
                if not own and _as_good(blocks, changed_all(best, {name: value}), 0)
            ]
            if same:
                found[name] = (here, *same)
    return found


def _other_values(
    axis: str, name: str, values: Sequence[Any], here: Any, said: Semantics
) -> list[Any]:
    parts = axis.split(",")
    plain = [value[parts.index(name)] if len(parts) > 1 else value for value in values]
    at_hand = here / (said.dt or 1.0) if name == "refractory" else here
    return [value for value in dict.fromkeys(plain) if value != at_hand]
