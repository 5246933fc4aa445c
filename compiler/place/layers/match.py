"""Which core holds which layer: a matching, and what to do where there is none.

A layer fits the cores whose memories hold it; every layer needs a core of its own. Where no
matching exists, some layers have fewer cores between them than they are (Hall's theorem): these
are named, with the smallest change that gives one of them another core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import maximum_bipartite_matching

from spikeport.compiler.errors import Violation
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.layers.memory import WORDS, Layer, entries_of

Layers = dict[str, Layer]
Memory = Mapping[str, Array]  # resource -> words of each core


@dataclass(frozen=True)
class Matched:
    """Layers on cores, or what keeps them from it.

    Attributes:
        core: layer name -> core number; empty where there are violations.
        violations: following them makes the layers fit.
    """

    core: Mapping[str, int]
    violations: tuple[Violation, ...] = ()


def match_layers(
    layers: Layers, memory: Mapping[str, tuple[int, ...]], outputs: set[str]
) -> Matched:
    """Return a core for each layer.

    Args:
        layers: in the order in which spikes pass.
        memory: resource -> words of each core; all of one length.
        outputs: layers that are read out; the number of their channels is the user's, so other
            changes are advised first.
    """
    cores = {name: np.asarray(words) for name, words in memory.items()}
    violations: list[Violation] = []
    current = dict(layers)
    for name in layers:
        if not _fitting(current[name], cores).any():
            current, violation = _shrunk_alone(current, name, cores, name in outputs)
            violations.append(violation)
    there = len(next(iter(cores.values())))
    if len(layers) > there:
        violations.append(
            Violation(f"the network of {len(layers)} layers", "cores", len(layers), there,
                      f"leave out or join {len(layers) - there} of them")
        )  # fmt: skip
        return Matched({}, tuple(violations))
    while (matched := _matching(current, cores)).min(initial=0) < 0:
        current, violation = _shrunk_together(current, cores, matched, outputs)
        violations.append(violation)
        if violation.fix.startswith(NO_CHANGE):
            break
    if violations:
        return Matched({}, tuple(violations))
    return Matched({name: int(core) for name, core in zip(layers, matched, strict=True)})


NO_CHANGE = "use fewer layers"


def _fitting(layer: Layer, cores: Memory) -> Array:
    """Return which cores can hold a layer, (cores,) bool."""
    used = entries_of(layer)
    return np.asarray(np.all([used[name] <= words for name, words in cores.items()], axis=0))


def _matching(layers: Layers, cores: Memory) -> Array:
    """Return the core of each layer in a largest matching, -1 where it gets none."""
    table = np.stack([_fitting(layer, cores) for layer in layers.values()])
    return np.asarray(maximum_bipartite_matching(sp.csr_matrix(table), perm_type="column"))


def _with_channels(layers: Layers, name: str, channels: int) -> Layers:
    """Return the layers with one of fewer channels, which those after it then read."""
    changed = dict(layers)
    for each in layers.values():
        if name in each.sources:
            least = min(each.before[0], channels)
            changed[each.name] = replace(each, before=(least, *each.before[1:]))
    own = changed[name]
    biases = min(own.biases, channels)
    changed[name] = replace(own, after=(channels, *own.after[1:]), biases=biases)
    return changed


def _with_inputs(layers: Layers, name: str, channels: int) -> Layers:
    """Return the layers with one that reads fewer channels."""
    own = layers[name]
    return {**layers, name: replace(own, before=(channels, *own.before[1:]))}


def _shrunk_alone(
    layers: Layers, name: str, cores: Memory, keeps_channels: bool
) -> tuple[Layers, Violation]:
    """Return the layers with one made to fit some core, and the violation that says how."""
    layer = layers[name]
    inputs, channels = layer.before[0], layer.after[0]

    def changed(c: int, f: int) -> Layers:
        return _with_inputs(_with_channels(layers, name, f), name, c)

    def fits(c: int, f: int) -> bool:
        return bool(_fitting(changed(c, f)[name], cores).any())

    fewer = (inputs, _largest(channels, lambda f: fits(inputs, f)))
    narrower = (_largest(inputs, lambda c: fits(c, channels)), channels)
    halved = [(max(inputs >> k, 1), max(channels >> k, 1)) for k in range(1, 32)]
    order = (narrower, fewer, *halved) if keeps_channels else (fewer, narrower, *halved)
    c, f = next((pair for pair in order if min(pair) > 0 and fits(*pair)), (1, 1))
    parts = [f"use at most {f} channels"] if f < channels else []
    parts += [f"give it at most {c} input channels"] if c < inputs else []
    return changed(c, f), _most_lacking(layer, cores, " and ".join(parts))


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number of 1 .. most that fits, where all smaller ones do; 0 if none."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _most_lacking(layer: Layer, cores: Memory, fix: str) -> Violation:
    """Return the violation of the memory that is most exceeded, in the cores that come nearest."""
    used, name = entries_of(layer), repr(layer.name)
    over = {key: used[key] / max(int(words.max()), 1) for key, words in cores.items()}
    worst = max(over, key=lambda key: over[key])
    if over[worst] > 1:
        return Violation(name, WORDS[worst], used[worst], int(cores[worst].max()), fix)
    # Each memory alone is large enough on some core, but on no core are all of them.
    room = {key: int(cores[key][_others(used, cores, key)].max(initial=0)) for key in cores}
    worst = max(cores, key=lambda key: used[key] / max(room[key], 1))
    rest = " and ".join(f"{used[key]} {WORDS[key]}" for key in cores if key != worst and used[key])
    return Violation(name, f"{WORDS[worst]} beside {rest}", used[worst], room[worst], fix)


def _others(used: Mapping[str, int], cores: Memory, resource: str) -> Array:
    """Return the cores whose other memories are large enough."""
    rest = [used[key] <= words for key, words in cores.items() if key != resource]
    return np.asarray(np.all(rest, axis=0)) if rest else np.ones(len(cores[resource]), bool)


def _shrunk_together(
    layers: Layers, cores: Memory, matched: Array, outputs: set[str]
) -> tuple[Layers, Violation]:
    """Return the layers with one made to fit a core more, and which layers compete for cores."""
    names = list(layers)
    table = np.stack([_fitting(layer, cores) for layer in layers.values()])
    rivals, wanted = _rivals(table, matched)
    best: tuple[float, str, int] | None = None
    for row in rivals:
        name = names[row]
        channels = layers[name].after[0]
        fewer = _most_channels(layers, name, cores, int((matched >= 0).sum()))
        if fewer:
            kept = fewer / channels - (name in outputs)
            best = max(best, (kept, name, fewer)) if best else (kept, name, fewer)
    listed = ", ".join(repr(names[row]) for row in rivals)
    who = f"the group of layers {listed}"
    what = f"cores of their own among {_numbers(wanted)}"
    if best is None:
        fix = f"{NO_CHANGE}, or smaller maps in these"
        return layers, Violation(who, what, len(rivals), len(wanted), fix)
    _, name, fewer = best
    own = _with_channels(layers, name, fewer)
    new = np.flatnonzero(_fitting(own[name], cores) & ~table[names.index(name)])
    fix = f"use at most {fewer} channels in {name!r}"
    fix += f" (it then fits {_numbers(new.tolist())} too)" if new.size else ""
    return own, Violation(who, what, len(rivals), len(wanted), fix)


def _most_channels(layers: Layers, name: str, cores: Memory, placed: int) -> int:
    """Return the most channels of a layer with which one layer more gets a core; 0: none does."""

    def more(channels: int) -> bool:
        changed = _with_channels(layers, name, channels)
        return int((_matching(changed, cores) >= 0).sum()) > placed

    return _largest(layers[name].after[0] - 1, more)


def _rivals(table: Array, matched: Array) -> tuple[list[int], list[int]]:
    """Return layers that want fewer cores than they are, and those cores.

    From a layer without a core: the cores that it fits, the layers that have these, and so on.
    """
    rows, columns = {int(np.flatnonzero(matched < 0)[0])}, set[int]()
    while True:
        reached = {int(column) for row in rows for column in np.flatnonzero(table[row])}
        held = {row for row, core in enumerate(matched.tolist()) if core in reached}
        if reached == columns and held <= rows:
            return sorted(rows), sorted(columns)
        columns, rows = reached, rows | held


def _numbers(cores: list[int]) -> str:
    return f"core{'' if len(cores) == 1 else 's'} {', '.join(map(str, cores)) or 'none'}"
