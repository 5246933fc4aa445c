"""The C engine against the NumPy specification on random networks: every state bit of every step.

    python -m hw_tests.fuzz_engine --networks 5000

prints how many networks held what, how often each rule acted, and every difference with the seed
that repeats it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hw_tests.engine_features import features_of, rules_that_acted
from hw_tests.fuzz_main import fuzz_main
from hw_tests.generate.programs import Drawn, random_program
from spikeport.backends import emulator
from spikeport.backends.emulator.layout import UnknownToEngine, layout_of
from spikeport.compiler.state import State
from spikeport.compiler.traces import Traces

Array = np.ndarray[Any, Any]


@dataclass
class Tried:
    """What came of one network.

    Attributes:
        seed: repeats it with `try_network(seed)`.
        features: what it held, and how often each rule acted.
        trouble: sentences; [] where both engines agreed.
    """

    seed: int
    features: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)


def try_network(seed: int) -> Tried:
    """Run the network of a seed on both engines, whole and in pieces."""
    drawn, tried = random_program(seed), Tried(seed)
    try:
        layout_of(drawn.noun)
    except UnknownToEngine:
        tried.features["left to NumPy by the C engine"] += 1
        return tried
    whole = _run(drawn, "numpy")
    tried.features += features_of(drawn)
    tried.features += rules_that_acted(drawn, whole)
    threads = 1 + seed % 2
    tried.trouble += differences(whole, _run(drawn, "c", threads=threads), "whole")
    tried.trouble += _in_pieces(drawn, tried.features)
    tried.trouble += _in_any_order(drawn, threads)
    return tried


def _in_pieces(drawn: Drawn, features: Counter[str]) -> list[str]:
    """Return how runs from State to State differ; the State is compared after each."""
    trouble: list[str] = []
    states: dict[str, State | None] = {"numpy": None, "c": None}
    first = 0
    for cut in drawn.cuts:
        runs = {engine: _run(drawn, engine, first, cut, state) for engine, state in states.items()}
        trouble += differences(runs["numpy"], runs["c"], f"steps {first} to {first + cut}")
        states = {engine: traces.state for engine, traces in runs.items()}
        for variables in runs["numpy"].state.variables.values():
            for name in {"refractory", "pending"} & set(variables):
                features[f"rule: {name}"] += int(np.count_nonzero(variables[name]))
        first += cut
    features["runs from a State"] += len(drawn.cuts) - 1
    return trouble


def _in_any_order(drawn: Drawn, threads: int) -> list[str]:
    """Return how samples backwards, on the C engine alone, differ from samples forwards."""
    there = everything(_run(drawn, "c"))
    turned = {name: x[::-1].copy() for name, x in drawn.inputs.items()}
    back = everything(_run(drawn, "c", inputs=turned, threads=threads))
    return [
        f"samples backwards: {key} differs"
        for key, (values, axis) in there.items()
        if axis is not None and not np.array_equal(np.flip(back[key][0], axis), values)
    ]


def _run(
    drawn: Drawn,
    engine: str,
    first: int = 0,
    steps: int | None = None,
    state: State | None = None,
    inputs: Mapping[str, Array] | None = None,
    threads: int = 1,
) -> Traces:
    """Run some steps with every u and v probed, and some neurons in another order."""
    program = drawn.program
    inputs = drawn.inputs if inputs is None else inputs
    given = {
        name: x if name in program.host else x[:, -(-first // program.slow) :]
        for name, x in inputs.items()
    }
    probe = [f"{name}.{variable}" for name in program.neurons for variable in "uv"]
    last = program.populations[program.neurons[-1]].size - 1
    probe.append(f"{program.neurons[-1]}.v[{last},0,{last // 2}]")
    return emulator.run(
        drawn.noun,
        given,
        drawn.steps if steps is None else steps,
        state,
        probe,
        engine=engine,
        threads=threads,
        count_cores=True,
    )


def everything(traces: Traces) -> dict[str, tuple[Array, int | None]]:
    """Return all that a run gave, by name, and which axis is the samples' (None: there is none)."""
    found: dict[str, tuple[Array, int | None]] = {
        key: (values, 0) for key, values in traces.probes.items()
    }
    for name, events in traces.spikes.items():
        found[f"spikes of {name}"] = events.dense(), 0
    for name, counters in traces.counters.items():
        found |= {f"{key} counter of {name}": (x, 0) for key, x in counters.items()}
    for name, variables in traces.state.variables.items():
        found |= {f"{key} kept of {name}": (x, 0) for key, x in variables.items()}
    for name, values in traces.state.history.items():
        found[f"history of {name}"] = values, 1
    for name, values in traces.cores.items():
        found[f"{name} of cores"] = values, None if name == "numbers" else 0
    overflows = list(traces.extra["overflows"].values())
    return found | {"overflows": (np.array(overflows), None)}


def differences(one: Traces, other: Traces, where: str) -> list[str]:
    """Return in what the runs of two engines differ, a line each."""
    return [f"{where}: {line}" for line in _differences(one, other)]


def _differences(one: Traces, other: Traces) -> Iterator[str]:
    if (one.extra["engine"], other.extra["engine"]) != ("numpy", "c"):
        yield f"it ran on {one.extra['engine']} and {other.extra['engine']}"
    a, b = everything(one), everything(other)
    if a.keys() != b.keys():
        yield f"only one has {', '.join(sorted(a.keys() ^ b.keys()))}"
    for key in a.keys() & b.keys():
        x, y = a[key][0], b[key][0]
        if x.dtype != y.dtype or x.shape != y.shape:
            yield f"{key}: {x.dtype} {x.shape} against {y.dtype} {y.shape}"
        elif not np.array_equal(x, y):
            at = tuple(int(each) for each in np.argwhere(x != y)[0])
            yield f"{key}{list(at)}: {x[at]} in NumPy, {y[at]} in C"
    for name in one.spikes.keys() & other.spikes.keys():
        mine, theirs = one.spikes[name], other.spikes[name]
        for part in ("neuron", "offsets", "count"):
            x, y = getattr(mine, part), getattr(theirs, part)
            if (x is None) != (y is None) or (x is not None and not np.array_equal(x, y)):
                yield f"events of {name}: {part} differs"
    if one.notes != other.notes or one.state.step != other.state.step:
        yield "notes or number of steps differ"


def try_networks(seeds: Iterable[int]) -> list[Tried]:
    """Try the networks of some seeds."""
    return [try_network(seed) for seed in seeds]


def summary(tried: list[Tried]) -> str:
    """Return a table: what was in how many networks, how often rules acted, and every trouble."""
    networks = Counter(name for each in tried for name, count in each.features.items() if count)
    total: Counter[str] = Counter()
    for each in tried:
        total.update(each.features)
    lines = [f"{len(tried)} networks; of each feature: in how many, and how often"]
    lines += [f"  {networks[name]:6} {total[name]:12}  {name}" for name in sorted(total)]
    bad = [each for each in tried if each.trouble]
    for each in bad:
        more = f" (and {len(each.trouble) - 1} more)" if len(each.trouble) > 1 else ""
        lines.append(f"seed {each.seed}: {each.trouble[0]}{more}")
    lines.append(f"{len(bad)} of {len(tried)} with trouble")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Try many networks in several processes; return 1 where something differed."""
    return fuzz_main(__doc__, 5000, 50, try_networks, summary, arguments)


if __name__ == "__main__":
    sys.exit(main())
