"""What a NIR graph does, node by node in floats, straight from the nodes of the `nir` package.

Nothing of spikeport is used: no loader, no folding, no clock. Everything that a population or an
Input sends arrives one step later (feedforward_lag = recurrent_lag = 1), Delays are whole steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

import nir
import numpy as np

Array = np.ndarray[Any, Any]
NEURONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.LI, nir.CubaLI, nir.I, nir.Threshold)
TEXTS = {
    "integration": "euler",
    "input_gain": "per_equation",
    "tau_unit": "seconds",
    "current_order": "decay_add_v",
    "reset": "to_value",
    "reset_when": "same_step",
    "spike": "binary",
    "threshold": "greater",
    "initial_v": "none",
    "v_min": "none",
    "refractory": "0",
}


def run_by_hand(
    graph: nir.NIRGraph, settings: Iterable[str], inputs: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return what every population sends, and v after every step, (samples, steps, n).

    Args:
        graph: with any nested graphs; populations are called GRAPH.NODE then.
        settings: `FIELD=VALUE` and `NODE.FIELD=VALUE`.
        inputs: input name -> (samples, steps, *shape).
    """
    runs = [
        _run_one(graph, list(settings), {name: x[k] for name, x in inputs.items()})
        for k in range(len(next(iter(inputs.values()))))
    ]
    sent, v = ([run[what] for run in runs] for what in (0, 1))
    return (
        {name: np.stack([each[name] for each in sent]) for name in sent[0]},
        {name: np.stack([each[name] for each in v]) for name in v[0]},
    )


def _run_one(
    graph: nir.NIRGraph, settings: list[str], inputs: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    nodes, edges = dict(_opened(graph)), list(_edges(graph))
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        before[target].append(source)
    between = [name for name in nodes if not isinstance(nodes[name], NEURONS)]
    order = TopologicalSorter({n: [b for b in before[n] if b in between] for n in between})
    order = list(order.static_order())
    dt = float(_said(settings, "")["dt"])
    cells = {n: _Cell(nodes[n], _said(settings, n), dt) for n in nodes if n not in between}
    steps = len(next(iter(inputs.values())))
    past: dict[str, list[Array]] = {name: [] for name in nodes}
    sent: dict[str, list[Array]] = {name: [] for name in cells}
    v: dict[str, list[Array]] = {name: [] for name in cells}
    for t in range(steps):
        now: dict[str, Array] = {
            name: sent[name][t - 1] if t else np.zeros(cell.shape) for name, cell in cells.items()
        }
        for name in order:
            if name in inputs:
                now[name] = inputs[name][t - 1] * 1.0 if t else np.zeros(inputs[name].shape[1:])
                continue
            arrived = sum(now[each] for each in before[name])
            past[name].append(arrived)
            now[name] = _passed(nodes[name], past[name], dt)
        arrived = {n: sum((now[b] for b in before[n]), np.zeros(c.shape)) for n, c in cells.items()}
        for name, cell in cells.items():
            sent[name].append(cell.step(arrived[name]))
            v[name].append(cell.v.copy())
    flat = [{n: np.reshape(x, (steps, -1)) for n, x in each.items()} for each in (sent, v)]
    return flat[0], flat[1]


def _opened(graph: nir.NIRGraph, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every node of the graph and of those in it; their Inputs and Outputs pass things on."""
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            yield from _opened(node, f"{prefix}{name}.")
        else:
            yield prefix + name, node


def _edges(graph: nir.NIRGraph, prefix: str = "") -> Iterator[tuple[str, str]]:
    ports: dict[tuple[str, type], str] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            yield from _edges(node, f"{prefix}{name}.")
            for inner, port in node.nodes.items():
                ports[name, type(port)] = f"{prefix}{name}.{inner}"
    for source, target in graph.edges:
        yield (
            ports.get((source, nir.Output), prefix + source),
            ports.get((target, nir.Input), prefix + target),
        )


def _said(settings: list[str], node: str) -> dict[str, str]:
    """Return the fields that hold for a node, as texts."""
    said = dict(TEXTS)
    for mine in (False, True):
        for text in settings:
            target, _, value = text.rpartition("=")
            owner, _, field = target.rpartition(".")
            if owner == (node if mine else ""):
                said[field] = value
    return said


# --- nodes without state ----------------------------------------------------------------------


def _passed(node: Any, past: list[Array], dt: float) -> Array:
    """Return what a node makes of what arrived in this and in earlier steps."""
    x = past[-1]
    match node:
        case nir.Input() | nir.Output():
            return x
        case nir.Affine():
            return node.weight @ x + node.bias
        case nir.Linear():
            return node.weight @ x
        case nir.Scale():
            return x * node.scale
        case nir.Flatten():
            end = node.end_dim % x.ndim
            return x.reshape(*x.shape[: node.start_dim], -1, *x.shape[end + 1 :])
        case nir.Delay():
            return _late(np.rint(node.delay / dt).astype(int), past)
        case nir.SumPool2d() | nir.AvgPool2d():
            ones = np.ones((1, 1, *node.kernel_size))
            pad = [(p, p) for p in node.padding]
            pooled = np.concatenate(
                [_correlate(c[None], ones, node.stride, pad, (1, 1), 1) for c in x]
            )
            return pooled / (ones.size if isinstance(node, nir.AvgPool2d) else 1)
        case nir.Conv2d():
            pad = _pads(node.padding, node.weight.shape[2:], node.dilation)
            y = _correlate(x, node.weight, node.stride, pad, node.dilation, node.groups)
            return y + node.bias[:, None, None]
        case nir.Conv1d():
            pad = _pads(node.padding, node.weight.shape[2:], [node.dilation])
            weight, rows = node.weight[:, :, None], [(0, 0), *pad]
            y = _correlate(
                x[:, None], weight, (1, node.stride), rows, (1, node.dilation), node.groups
            )
            return y[:, 0] + node.bias[:, None]
    raise ValueError(type(node))


def _late(steps: Array, past: list[Array]) -> Array:
    y = np.zeros(past[-1].shape)
    for place in np.ndindex(*y.shape):
        if steps[place] < len(past):
            y[place] = past[-1 - steps[place]][place]
    return y


def _pads(padding: Any, kernel: Any, dilation: Any) -> list[tuple[int, int]]:
    """Return the zeros before and behind; PyTorch puts the odd one of `same` behind."""
    if isinstance(padding, str):
        total = [d * (k - 1) * (padding == "same") for d, k in zip(dilation, kernel, strict=True)]
        return [(each // 2, each - each // 2) for each in total]
    return [(int(p), int(p)) for p in np.atleast_1d(padding)]


def _correlate(x: Array, kernel: Array, stride: Any, pad: Any, dilation: Any, groups: int) -> Array:
    x = np.pad(x, [(0, 0), *pad])
    outputs, inner, *size = kernel.shape
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True)]
    extent = [(n - r) // s + 1 for n, r, s in zip(x.shape[1:], reach, stride, strict=True)]
    y = np.zeros((outputs, *extent))
    for o, i, j in np.ndindex(*y.shape):
        first = o // (outputs // groups) * inner
        rows = i * stride[0] + np.arange(size[0]) * dilation[0]
        columns = j * stride[1] + np.arange(size[1]) * dilation[1]
        y[o, i, j] = np.sum(kernel[o] * x[first : first + inner][:, rows][:, :, columns])
    return y


# --- neurons ----------------------------------------------------------------------------------


class _Cell:
    """One population: NIR's equations, stepped as the settings say."""

    def __init__(self, node: Any, said: dict[str, str], dt: float) -> None:
        self.node, self.dt = node, dt
        self.spiking = isinstance(node, (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold))
        self.shape = tuple(node.output_type["output"])
        stateless = isinstance(node, nir.Threshold)
        self.said = {**TEXTS, "threshold": said["threshold"]} if stateless else said
        self.theta = getattr(node, "threshold", getattr(node, "v_threshold", None))
        self.bottom = getattr(node, "v_reset", np.zeros(self.shape))
        self.start()

    def start(self) -> None:
        initial = self.said["initial_v"]
        self.v = self.bottom * 1.0 if initial == "none" else np.full(self.shape, float(initial))
        self.i = np.zeros(self.shape)
        self.wait = np.zeros(self.shape, int)
        self.owed = np.zeros(self.shape)

    def step(self, x: Array) -> Array:
        before, held = self.v, self.wait > 0
        self.v = np.where(held, before, self._moved(self._seen(x)))
        late = self.said["reset_when"] == "next_step"
        if late and self.spiking:
            self._reset(self.owed)
        if self.said["v_min"] != "none":
            self.v = np.maximum(self.v, float(self.said["v_min"]))
        self.wait = np.maximum(self.wait - 1, 0)
        if not self.spiking:
            return self.v.copy()
        judged = self.v
        if self.said["reset"] == "subtract_snntorch" and not late:
            judged = self.v - self._spikes(before) * self.theta
        spikes = np.where(held, 0.0, self._spikes(judged))
        self.owed = spikes
        if not late:
            self._reset(spikes)
        pause = int(float(self.said["refractory"]) / self.dt + 0.5)
        self.wait = np.where((spikes > 0) & (pause > 0), pause, self.wait)
        return spikes

    def _keep(self, tau: Array, factor: Array, unit: bool) -> tuple[Array, Array]:
        """Return the share that stays and the gain of what is added."""
        seconds = tau / self.dt if self.said["tau_unit"] == "seconds_times_dt" else tau
        lost = self.dt / seconds
        if self.said["integration"] == "exact":
            lost = 1.0 - np.exp(-self.dt / seconds)
        return 1.0 - lost, np.ones_like(lost) if unit else lost * factor

    def _seen(self, x: Array) -> Array:
        """Move the synaptic current; return what v sees of it."""
        if not hasattr(self.node, "tau_syn"):
            return x
        unit = self.said["input_gain"] in ("unit", "unit_current")
        keep, gain = self._keep(self.node.tau_syn, self.node.w_in, unit)
        old, added = self.i, gain * x
        match self.said["current_order"]:
            case "decay_add_v":
                self.i = seen = keep * old + added
            case "add_v_decay":
                seen = old + added
                self.i = keep * seen
            case "v_decay_add":
                seen, self.i = old, keep * old + added
            case _:
                self.i = seen = keep * (old + added)
        return seen

    def _moved(self, seen: Array) -> Array:
        unit = self.said["input_gain"] == "unit"
        match self.node:
            case nir.Threshold():
                return seen
            case nir.IF() | nir.I():
                return self.v + (seen if unit else self.dt * self.node.r * seen)
        tau = getattr(self.node, "tau", getattr(self.node, "tau_mem", None))
        keep, gain = self._keep(tau, self.node.r, unit)
        return keep * self.v + (1.0 - keep) * self.node.v_leak + gain * seen

    def _spikes(self, v: Array) -> Array:
        ties = self.said["threshold"] == "greater_equal"
        if self.said["spike"] == "binary":
            return (v >= self.theta if ties else v > self.theta) * 1.0
        whole = np.floor(v / self.theta)
        return np.maximum(whole - (0 if ties else whole * self.theta == v), 0.0)

    def _reset(self, spikes: Array) -> None:
        if self.said["reset"] == "to_value":
            self.v = np.where(spikes > 0, self.bottom, self.v)
        elif self.said["reset"] != "none":
            self.v = self.v - spikes * self.theta
