"""Which tool probably wrote a file: clues, each with what it was seen in, never a certainty.

NIR files do not name their tool. But exporters compute parameters from their own ones in ways
that leave traces. Each clue below was seen in files of the named tool and version (the shared
cases and the NIR paper's files); another tool may leave the same trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.errors import printable
from spikeport.compiler.load.mend import places, type_of
from spikeport.compiler.load.mend_settle import shape_of
from spikeport.compiler.semantics import PRESETS

#: Relative spread up to which computed values count as one: files hold float32.
SAME = 2e-4
NORSE_TAU = 1e-2  # seconds; Norse's default


@dataclass(frozen=True)
class Clue:
    """One trace of a tool.

    Attributes:
        tool: name of its dialect.
        text: what was seen.
        weight: 1 weak (others write this too) to 3 (no other tool is known to).
        dt: seconds per step that the numbers suggest, None where they suggest none.
    """

    tool: str
    text: str
    weight: int
    dt: float | None = None


def origin(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return which tools may have written a file.

    Returns:
        `version` of nir that wrote it or None, `tools`: the likeliest first, each {dialect,
        score, dt or None, evidence: texts}, `doubts`: what the numbers say against all of them,
        `try`: command line options to begin with ("" without a clue).
    """
    nodes = {
        place.prefix + name: node for place in places(tree) for name, node in place.nodes.items()
    }
    by_tool: dict[str, list[Clue]] = {}
    for clue in (*_names(nodes), *_neurons(nodes), *_layers(nodes)):
        by_tool.setdefault(clue.tool, []).append(clue)
    tools: list[dict[str, Any]] = [
        {
            "dialect": tool,
            "score": sum(clue.weight for clue in clues),
            "dt": next((clue.dt for clue in clues if clue.dt), None),
            "evidence": [printable(clue.text) for clue in clues],
        }
        for tool, clues in by_tool.items()
    ]
    tools.sort(key=lambda tool: -int(tool["score"]))
    version = tree.get("version")
    return {
        "version": printable(version)[:20] if isinstance(version, str) else None,
        "tools": tools,
        "doubts": _doubts(nodes),
        "try": _options(tools[0]) if tools and tools[0]["dialect"] in PRESETS else "",
    }


def _options(tool: Mapping[str, Any]) -> str:
    known = PRESETS[tool["dialect"]].dt
    dt = tool["dt"]
    said = "" if dt is None or (known and abs(dt / known - 1) < SAME) else f" --dt {dt:.6g}"
    return f"--dialect {tool['dialect']}{said}"


def _names(nodes: Mapping[str, Any]) -> Iterator[Clue]:
    recurrent = [name for name in nodes if name.endswith(".w_rec")]
    if recurrent:
        yield Clue(
            "snntorch", f"'{recurrent[0]}': recurrent layers are called LAYER.lif, LAYER.w_rec", 2
        )
    modules = [name for name in nodes if re.fullmatch(r"\d+_\w*Torch", name)]
    if modules:
        yield Clue("rockpool", f"'{modules[0]}': nodes are called after rockpool's modules", 3)
    traced = [name for name in nodes if re.fullmatch(r"_\d+", name)]
    if traced and "input_1" in nodes:
        yield Clue("spikingjelly", f"'{traced[0]}', 'input_1': names of torch.fx", 2)


def _of(nodes: Mapping[str, Any], kind: str, *fields: str) -> dict[str, list[Any]]:
    """Return node -> its parameters as float64, of those that have them all as numbers."""
    found = {}
    for name, node in nodes.items():
        values = [node.get(field) for field in fields]
        if type_of(node) == kind and all(
            isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.size
            for value in values
        ):
            found[name] = [np.asarray(value, np.float64) for value in values]
    return found


def _one(values: Any) -> float | None:
    """Return the value that all of these have, None where they differ or are not above 0."""
    array = np.concatenate([np.ravel(each) for each in values]) if len(values) else np.empty(0)
    if not array.size or not np.isfinite(array).all() or array.min() <= 0:
        return None
    middle = float(np.median(array))
    return middle if float(np.ptp(array)) <= SAME * middle else None


def _tidy(seconds: float) -> float | None:
    """Return the number of two digits that this is, None where it is none: people choose dt.

    >>> _tidy(9.99999984e-05), _tidy(0.00105127)
    (0.0001, None)
    """
    near = float(f"{seconds:.1e}")
    return near if abs(near / seconds - 1) < SAME else None


def _neurons(nodes: Mapping[str, Any]) -> Iterator[Clue]:
    lif = _of(nodes, "LIF", "tau", "r")
    cuba = _of(nodes, "CubaLIF", "tau_mem", "r", "tau_syn")
    leaky = [(tau, r) for tau, r, *_ in (*lif.values(), *cuba.values())]
    yield from _integrators(nodes)
    if not leaky:
        return
    unit = _one([r for _, r in leaky]) == 1.0
    with np.errstate(all="ignore"):
        ratio = _one([np.ravel(tau / r) for tau, r in leaky if np.size(tau) == np.size(r)])
    taus = np.concatenate([np.ravel(tau) for tau, _ in leaky])
    wide = any(node.get("tau", node.get("tau_mem")).dtype == np.float64 for node in nodes.values()
               if isinstance(node.get("tau", node.get("tau_mem")), np.ndarray))  # fmt: skip
    if not unit:
        if ratio is not None and _tidy(ratio) is not None:
            seen = f"tau / r is {_tidy(ratio):g} s for every neuron: r = tau / dt"
            yield Clue("snntorch", seen, 2, _tidy(ratio))
            if wide and not cuba:
                text = f"r = tau / dt with dt {_tidy(ratio):g} s, in float64 (decay_input=False)"
                yield Clue("spikingjelly", text, 1, _tidy(ratio))
        yield from _rockpool(leaky)
    elif taus.min() >= 1:
        yield Clue("sinabs", f"r is 1 and tau {taus.min():.6g}: times in steps", 2, 1.0)
    elif wide:
        yield Clue("spikingjelly", "r is 1, parameters are float64 (decay_input=True)", 1, 1e-4)
    elif taus.max() < 2e-4:
        yield from _norse(float(np.median(taus)))
    else:
        yield Clue("nir", "r is 1 and tau is a plausible time: NIR's own words (Norse of 2023)", 1)


def _norse(tau: float) -> Iterator[Clue]:
    dt = _tidy(tau / NORSE_TAU) or tau / NORSE_TAU
    yield Clue(
        "norse",
        f"r is 1 and tau only {tau:.3g} s: norse 1.1.0 writes tau * dt; with its default tau of "
        f"0.01 s, dt is {dt:.3g} s",
        2,
        dt,
    )


def _integrators(nodes: Mapping[str, Any]) -> Iterator[Clue]:
    found = _of(nodes, "IF", "r")
    r = _one([each for (each,) in found.values()])
    if r is None:
        return
    name = next(iter(found))
    if r == 1.0 and any(each.size > 1 for (each,) in found.values()):
        yield Clue("sinabs", f"'{name}': IF with r = 1, an array per neuron", 2, 1.0)
    if r >= 100:
        yield Clue("spikingjelly", f"'{name}': IF with r = {r:g}, which is 1 / dt", 2, 1.0 / r)


def _rockpool(leaky: list[tuple[Any, Any]]) -> Iterator[Clue]:
    """Solve r = (tau / dt) exp(-dt / tau), which rockpool 3.1.0 writes, for dt."""
    steps = []
    for tau, r in leaky:
        if np.size(tau) != np.size(r) or not (np.isfinite(r).all() and (r > 0.5).all()):
            return
        x = 1.0 / r  # the fixed point of x = exp(-x) / r, by Newton's way
        for _ in range(50):
            x = x - (x * np.exp(x) - 1.0 / r) / (np.exp(x) * (1.0 + x))
        steps.append(np.ravel(x * tau))
    found = _one(steps)
    dt = None if found is None else _tidy(found)
    if dt is not None:
        yield Clue(
            "rockpool", f"r = (tau / dt) exp(-dt / tau) with dt {dt:g} s for every neuron", 2, dt
        )


def _layers(nodes: Mapping[str, Any]) -> Iterator[Clue]:
    for name, node in nodes.items():
        kind, shape = node.get("type"), shape_of(node.get("shape"))
        if kind == "SumPool2d":
            yield Clue("sinabs", f"'{name}': SumPool2d, a layer of sinabs", 1)
            return
        if kind == "Output" and len(shape) == 3 and shape[:2] == (1, 1):
            yield Clue("rockpool", f"'{name}': shape {list(shape)}, with batch and time", 1)
            return


def _doubts(nodes: Mapping[str, Any]) -> list[str]:
    """Return what is odd about the numbers, whoever wrote them."""
    cuba = _of(nodes, "CubaLIF", "tau_mem", "r", "tau_syn")
    steps = [
        name
        for name, (tau, r, syn) in cuba.items()
        if tau.min() > 1 and tau.size == r.size == syn.size and np.allclose(r, 1 - 1 / syn, SAME)
    ]
    found = []
    if steps:
        listed = ", ".join(f"'{name}'" for name in steps[:6])
        found.append(
            f"{listed}: time constants above 1 s with r = 1 - 1 / tau_syn are steps and decay "
            "factors, as an exporter of 2023 wrote them, not NIR's seconds and resistance; what "
            "spikes they mean is not in the file"
        )
    if not found and any(
        values[0].min() > 1
        for kind, field in (("LIF", "tau"), ("LI", "tau"), ("CubaLIF", "tau_mem"))
        for values in _of(nodes, kind, field).values()
    ):
        found.append("time constants above 1 s are probably numbers of steps: --dt 1 then")
    return [printable(text) for text in found]
