"""What the dialect finder tries: DESIGN section 4 as finite axes, simplest settings first.

An axis is a field with the values that make sense for a network: without a synaptic current its
order does not matter and is not an axis. `first_axes` span a product that is searched whole;
`more_axes` are tried one change at a time, from the best that was found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.dialect_block import FIELDS, Candidate
from spikeport.compiler.network import Network
from spikeport.compiler.semantics import CHOICES, PRESETS, Semantics

Axes = dict[str, tuple[Any, ...]]

#: Time steps of tools, tried where neither a flag nor the file gives one.
USUAL_DT = (1e-4, 1e-3, 1.0)
MORE_DT = (5e-4, 2e-3, 5e-3, 1e-2, 1e-5, 1e-6)
RESETS = (
    ("to_value", "same_step"),
    ("subtract", "same_step"),
    ("subtract", "next_step"),
    ("to_value", "next_step"),
    ("subtract_snntorch", "same_step"),
    ("none", "same_step"),
)
LATE = (0, 1, 2, 3, -1)
MOST_REFRACTORY = 10  # steps
#: States that NIR does not carry; the first value of their axes is that there is none.
STATES = ("v_min", "refractory", "initial_v", "late")
#: Parameters that exporters lose, and the value that their tools then mean.
LOST = {"w_in": 1.0, "r": 1.0, "v_threshold": 1.0, "v_reset": 0.0, "v_leak": 0.0}


def first_axes(
    net: Network,
    members: Sequence[str],
    dts: Sequence[float],
    fixed: frozenset[str],
    most_spikes: int,
    base: Semantics,
) -> Axes:
    """Return the axes of the product that is searched whole.

    Args:
        net: prepared.
        members: the populations concerned.
        dts: time steps to try.
        fixed: fields that somebody has set, and are not searched.
        most_spikes: most spikes that a recorded neuron has in one step.
        base: where the fixed values stand.
    """
    nodes = [net.nodes[name] for name in members if name in net.nodes]
    leaky = any(hasattr(n, "tau") or hasattr(n, "tau_mem") for n in nodes)
    current = any(hasattr(n, "tau_syn") for n in nodes)
    axes: Axes = {"dt": tuple(dts)}
    if leaky:
        axes["tau_unit"] = CHOICES["tau_unit"]
        axes["integration"] = CHOICES["integration"]
    axes["input_gain"] = CHOICES["input_gain"] if current else ("per_equation", "unit")
    if current:
        axes["current_order"] = CHOICES["current_order"]
    axes["reset,reset_when"] = RESETS
    hidden = len(members) > 1
    axes["spike"] = ("binary", "count") if hidden else ("binary" if most_spikes < 2 else "count",)
    # Float equality with the threshold is an accident in a leaky neuron and usual in an integrator.
    axes["threshold"] = ("greater",) if leaky and current else CHOICES["threshold"]
    axes["feedforward_lag,bias_at_start"] = ((0, True), (1, True), (1, False))
    if _recurrent_bias(net, members):
        axes["recurrent_bias_at_start"] = (True, False)
    return _free(axes, fixed, base)


def more_axes(
    net: Network,
    members: Sequence[str],
    fixed: frozenset[str],
    base: Semantics,
    first: Axes,
    gap: int,
) -> Axes:
    """Return all axes, with the values that are tried one change at a time; see `first_axes`.

    Args:
        net, members, fixed, base: as there.
        first: what that returned.
        gap: least steps between two spikes of a neuron: a refractory period is shorter.
    """
    nodes = [net.nodes[name] for name in members if name in net.nodes]
    thetas = _levels(nodes, "v_threshold")
    axes = dict(first)
    axes["threshold"] = CHOICES["threshold"]
    axes["spike"] = CHOICES["spike"]
    low = [-theta for theta in thetas]
    axes["v_min"] = tuple(dict.fromkeys((None, 0.0, *low)))
    levels = [0.0, *(theta / 2 for theta in thetas), *_levels(nodes, "v_leak")]
    usual = _levels(nodes, "v_reset")  # where v starts anyway
    levels = [level for level in levels if [level] != usual]
    axes["initial_v"] = tuple(dict.fromkeys((None, *levels)))
    most = min(gap, MOST_REFRACTORY + 1)
    axes["refractory"] = tuple(float(steps) for steps in range(most))  # see `changed_all`
    axes["late"] = LATE
    if "dt" not in fixed:
        axes["dt"] = tuple(dict.fromkeys((*first["dt"], *MORE_DT)))
    for name, value in LOST.items():
        there = [getattr(node, name) for node in nodes if hasattr(node, name)]
        if there and any((each != value).any() for each in there) and name not in fixed:
            axes[f"parameters.{name}"] = (None, value)
    return _free(axes, fixed, base)


def _free(axes: Axes, fixed: frozenset[str], base: Semantics) -> Axes:
    """Return the axes without what is fixed already."""
    free: Axes = {}
    for name, values in axes.items():
        parts = name.split(",")
        if fixed.isdisjoint(parts):
            free[name] = values
        elif not fixed.issuperset(parts):
            free[name] = tuple(value for value in values if _agrees(value, parts, fixed, base))
    return {name: values for name, values in free.items() if values}


def _agrees(value: Any, parts: Sequence[str], fixed: frozenset[str], base: Semantics) -> bool:
    return all(
        each == getattr(base, part)
        for part, each in zip(parts, value, strict=True)
        if part in fixed
    )


def _recurrent_bias(net: Network, members: Sequence[str]) -> bool:
    """Is there a loop, and a bias somewhere before a member."""
    graph = {name: net.out_of(name) for name in net.nodes}
    for name in members:
        seen: set[str] = set()
        front = list(graph.get(name, ()))
        while front:
            here = front.pop()
            if here == name:
                return True
            if here not in seen:
                seen.add(here)
                front += graph[here]
    return False


def _levels(nodes: Sequence[Any], name: str) -> list[float]:
    """Return the values of a parameter where each node has one for all its neurons."""
    found: list[float] = []
    for node in nodes:
        values: Array = np.asarray(getattr(node, name, ()))
        if values.size and (values == values.flat[0]).all():
            found.append(float(values.flat[0]))
    return list(dict.fromkeys(found))


# --- time steps ------------------------------------------------------------------------------


def implied_dts(net: Network) -> list[float]:
    """Return the time steps that the gains of a network suggest.

    snnTorch writes r = tau / dt, rockpool r = tau e^(-dt/tau) / dt: a dt that is the same for all
    neurons, and a round number, is a likely one. An integrator adds r * dt times its input,
    which is mostly 1.
    """
    from scipy.special import lambertw

    found: list[float] = []
    for name in net.neurons:
        node = net.nodes[name]
        if node.nir_type == "IF":
            found += [1 / gain for gain in _levels([node], "r") if gain > 0]
        for tau_name, gain_name in (("tau", "r"), ("tau_mem", "r"), ("tau_syn", "w_in")):
            tau, gain = (np.asarray(getattr(node, each, ())) for each in (tau_name, gain_name))
            if not tau.size or not gain.size or (gain <= 0).any() or (gain == 1).all():
                continue
            for dt in (tau / gain, tau * np.real(lambertw(1.0 / gain))):
                if np.ptp(dt) <= 1e-3 * dt.max() and dt.max() < tau.min():
                    found.append(float(np.median(dt)))
    rounded = [(dt, float(f"{dt:.1e}")) for dt in found]
    return list(dict.fromkeys(near for dt, near in rounded if abs(dt - near) <= 2e-3 * near))


# --- numbers ---------------------------------------------------------------------------------

NUMBERS = ("r", "w_in", "v_leak", "initial_v", "v_min")
GAINS = ("parameters.r", "parameters.w_in")
ZOOMS = 5


def number_axes(net: Network, members: Sequence[str], fixed: frozenset[str]) -> Axes:
    """Return values of single numbers that a file may lack: gains, a leak level, states of v.

    Gains are taken from 1/64 to 64 times the file's, levels from -2 to 2 thresholds, a clamp of
    v from -4 thresholds to 0.
    """
    nodes = [net.nodes[name] for name in members if name in net.nodes]
    thetas = _levels(nodes, "v_threshold")
    theta = max((abs(each) for each in thetas), default=1.0) or 1.0
    factors = 2.0 ** np.linspace(-6, 6, 49)
    axes: Axes = {}
    for name in NUMBERS:
        values = _levels([node for node in nodes if hasattr(node, name)], name)
        if name in fixed or (name not in STATES and len(values) != 1):
            continue
        key = name if name in STATES else f"parameters.{name}"
        high = 0 if name == "v_min" else 2
        grid = np.linspace(high - 4, high, 41) * theta
        grid = values[0] * factors if key in GAINS else grid
        axes[key] = tuple(float(value) for value in grid)
    return axes


def value_of(candidate: Candidate, name: str) -> float:
    """Return what a candidate has on an axis of `number_axes`."""
    if name.startswith("parameters."):
        return candidate.semantics.parameters[name.partition(".")[2]]
    return float(getattr(candidate.semantics, name))


def zoomed(values: Sequence[float], best: Sequence[float]) -> tuple[float, ...]:
    """Return 17 values between the neighbours of the best of a sorted grid."""
    low, high = min(best), max(best)
    below = max((value for value in values if value < low), default=low)
    above = min((value for value in values if value > high), default=high)
    return tuple(float(value) for value in np.linspace(below, above, 17))


def roundest(low: float, high: float) -> float:
    """Return the number between two that needs the fewest digits.

    >>> roundest(1.0196, 1.0208)
    1.02
    """
    if low <= 0 <= high:
        return 0.0
    for digits in range(17):
        middle = float(f"{(low + high) / 2:.{digits}e}")
        if low <= middle <= high:
            return middle
    return (low + high) / 2


# --- candidates ------------------------------------------------------------------------------


def product(axes: Axes, base: Candidate) -> list[Candidate]:
    """Return every combination of the axes' values, those nearest to a preset first."""
    names = list(axes)
    found = [
        changed_all(base, dict(zip(names, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]
    return sorted(found, key=strangeness)


def neighbours(candidate: Candidate, axes: Axes) -> Iterator[Candidate]:
    """Yield the candidates that differ on one axis."""
    for name, values in axes.items():
        for value in values:
            other = changed_all(candidate, {name: value})
            if other.key != candidate.key:
                yield other


def changed_all(candidate: Candidate, values: Mapping[str, Any]) -> Candidate:
    """Return the candidate with these axes at these values."""
    said, late = candidate.semantics, candidate.late
    plain: dict[str, Any] = {}
    parameters = dict(said.parameters)
    for name, value in values.items():
        if name == "late":
            late = value
        elif name.startswith("parameters."):
            parameter = name.partition(".")[2]
            parameters.pop(parameter, None)
            parameters |= {} if value is None else {parameter: value}
        elif "," in name:
            plain |= dict(zip(name.split(","), value, strict=True))
        else:
            plain[name] = value
    if "refractory" in plain:
        plain["refractory"] *= plain.get("dt", said.dt or 1.0)
    return Candidate(replace(said, **plain, parameters=parameters), late)


def strangeness(candidate: Candidate) -> float:
    """Return how much, at the least, must be set beside a preset to get a candidate.

    An option of the preset's tool counts once, what the tool always does twice.
    """
    said = candidate.semantics
    extra = 2 * (len(said.parameters) + abs(candidate.late) + (said.dt in MORE_DT))
    return extra + min(
        sum(
            1 + (name not in preset.assumed)
            for name in FIELDS
            if getattr(said, name) != getattr(preset, name) and name != "dt"
        )
        + 0.5 * (preset.dt != said.dt)
        for preset in PRESETS.values()
    )
