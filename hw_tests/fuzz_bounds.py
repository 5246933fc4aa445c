"""The proof that nothing overflows, on random networks with inputs that try to make it false.

    python -m hw_tests.fuzz_bounds --networks 1000

Each network is run with inputs that push a few neurons as far as they go: spikes exactly where
their weights are positive, then where they are negative, bursts, and a search that looks one step
ahead for what moves u or v furthest. Three things are held against the claim:

* a run whose registers have no ends (`walk.py`): u and v must stay inside the interval. It shares
  nothing with the rules of overflow, and it is asked of every population, proven safe or not;
* where all populations are proven safe, the emulator must give the same u, v and spikes in every
  step as that run: what wraps or is clipped anywhere shows, messages and 32-bit sums as well;
* the emulator's own count of overflows must be 0 for as many steps as are proven. It is the
  weaker check, as it is made by the code that it watches, but it sees each population alone.

Prints how many networks are proven, and every claim that does not hold, with its seed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hw_tests.fuzz_main import fuzz_main
from hw_tests.generate.bounded import Near, near_the_ends
from hw_tests.walk import Walk, widened
from spikeport.backends import emulator
from spikeport.compiler.host import host_biases
from spikeport.compiler.measure.bounds import Bound, bounds
from spikeport.compiler.program import Program

Array = np.ndarray[Any, Any]
Prove = Callable[..., Mapping[str, Bound]]
STEPS = 24  # model steps of a run, if no claim ends later
LONGEST = 160
TARGETS = 2  # neurons that inputs are made against


@dataclass
class Tried:
    """What came of one network.

    Attributes:
        seed: repeats it with `try_network(seed)`.
        found: counts for the table.
        trouble: sentences; [] where every claim holds.
    """

    seed: int
    found: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)


def try_network(seed: int, prove: Prove = bounds) -> Tried:
    """Attack what `prove` claims of the network of a seed."""
    tried, near = Tried(seed), near_the_ends(seed)
    program = near.program
    claims = prove(program, None, near.inputs)
    tried.found[f"{near.family}: {_proven(claims)}"] += 1
    if not claims:
        return tried
    rng = np.random.default_rng([seed, 7])
    ends = [claim.steps for claim in claims.values() if claim.steps]
    steps = STEPS * program.slow
    if ends and steps < min(ends) < LONGEST:
        steps = min(ends) + 2
    inputs = attacks(rng, near, -(-steps // program.slow))
    walk, spikes, probes = _walked(program, inputs, steps)
    tried.trouble += _outside(walk, prove(widened(program), steps, near.inputs), tried.found)
    tried.trouble += _overflowed(program, inputs, steps, claims, tried.found)
    if all(claim.holds_for(steps) for claim in claims.values()):
        tried.trouble += _different(program, inputs, steps, spikes, probes)
        tried.found["equal to registers without ends"] += 1
    return tried


def _proven(claims: Mapping[str, Bound]) -> str:
    """Return in a word what is proven of a whole network."""
    if not claims:
        return "no claim (other neurons)"
    fewest = [claim.steps for claim in claims.values()]
    known = [each for each in fewest if each is not None]
    if not known:
        return "proven"
    return "proven for some steps" if min(known) else "not proven"


# --- what is held against the claim ------------------------------------------------------------


def _walked(
    program: Program, inputs: Mapping[str, Array], steps: int
) -> tuple[Walk, dict[str, Array], dict[str, Array]]:
    """Run without ends; return the walk, what was sent, and u and v of every step."""
    walk = Walk(program, len(next(iter(inputs.values()))))
    drive = _drives(program, inputs, steps)
    sent, states = [], []
    for t in range(steps):
        sent.append(walk.step(_at(program, inputs, t), {k: x[:, t] for k, x in drive.items()}))
        states.append(
            {
                f"{name}.{key}": walk.state[name][key].copy()
                for name in walk.seen
                for key in ("u", "v")
            }
        )
    spikes = {name: np.stack([each[name] for each in sent], axis=1) for name in sent[0]}
    probes = {key: np.stack([each[key] for each in states], axis=1) for key in states[0]}
    return walk, spikes, probes


def _outside(walk: Walk, claims: Mapping[str, Bound], found: Counter[str]) -> list[str]:
    """Return where u or v left the interval; a claim of all that can be is true of each run."""
    trouble = []
    for name, claim in claims.items():
        sides = (-claim.u_low, claim.u_high, -claim.v_low, claim.v_high)
        for at, (side, seen) in enumerate(zip(sides, walk.seen[name], strict=True)):
            went = seen * (1 if at % 2 else -1)
            beyond = (went > side) & (side < claim.endless)
            found["ends of intervals"] += went.size
            found["ends of intervals that were reached"] += int((went == side).sum())
            for neuron in np.flatnonzero(beyond)[:1]:
                what = ("u fell", "u rose", "v fell", "v rose")[at]
                trouble.append(
                    f"{what} to {went[neuron]} in {name!r} neuron {neuron}, not {side[neuron]}"
                )
    return trouble


def _overflowed(
    program: Program,
    inputs: Mapping[str, Array],
    steps: int,
    claims: Mapping[str, Bound],
    found: Counter[str],
) -> list[str]:
    """Return the populations that overflowed on the emulator within the steps of their claim."""
    trouble = []
    until = {name: min(claim.steps or steps, steps) for name, claim in claims.items()}
    until = {name: 0 if claims[name].steps == 0 else end for name, end in until.items()}
    for end in sorted(set(until.values()) - {0}):
        counted = emulator.run(program, inputs, end, threads=1).extra["overflows"]
        for name, claim in claims.items():
            if until[name] == end and counted[name]:
                trouble.append(f"{name!r} overflowed {counted[name]} times in {end} steps")
            if end == steps and claim.steps is not None and counted[name]:
                found["populations that overflowed after their claim"] += 1
    for claim in claims.values():
        found["populations proven"] += claim.safe
        found["populations proven for some steps"] += bool(claim.steps)
        found["of these, all were run"] += bool(claim.steps) and (claim.steps or 0) <= steps
        found["populations not proven"] += claim.steps == 0
    return trouble


def _different(
    program: Program,
    inputs: Mapping[str, Array],
    steps: int,
    spikes: Mapping[str, Array],
    probes: Mapping[str, Array],
) -> list[str]:
    """Return where the emulator and the run without ends differ."""
    ran = emulator.run(program, inputs, steps, probe=list(probes), threads=1)
    trouble = [f"{key} differs" for key in probes if (probes[key] != ran.probes[key]).any()]
    for name, events in ran.spikes.items():
        if name not in program.host and (events.dense() != spikes[name]).any():
            trouble.append(f"what {name!r} sends differs")
    return trouble


# --- inputs that try ---------------------------------------------------------------------------


def attacks(rng: np.random.Generator, near: Near, steps: int) -> dict[str, Array]:
    """Return input -> (samples, steps, n): patterns, and for some neurons what pushes them."""
    program = near.program
    ends = {name: _ends(near, name) for name in program.inputs}
    on = np.ones(steps, bool)
    bursts = np.arange(steps) // int(rng.integers(1, 6)) % 2 == 0
    samples = [
        {name: _pattern(program, name, ends[name], on, 1) for name in ends},
        {name: _pattern(program, name, ends[name], ~on, 1) for name in ends},
        {name: _pattern(program, name, ends[name], bursts, 1) for name in ends},
        {name: _noise(rng, program, name, ends[name], steps) for name in ends},
    ]
    for _ in range(TARGETS):
        post = str(rng.choice(program.neurons))
        neuron = int(rng.integers(program.populations[post].size))
        signs = {name: _signs(program, name, post, neuron) for name in ends}
        half = on & (np.arange(steps) >= steps // 2)
        for when in (on, ~half, bursts):
            up = {n: _pattern(program, n, ends[n], when, signs[n]) for n in ends}
            down = {n: _pattern(program, n, ends[n], ~when, -signs[n]) for n in ends}
            back = {n: _pattern(program, n, ends[n], when, -signs[n]) for n in ends}
            samples += [up, back, {n: _either(up[n], down[n]) for n in ends}]
        samples += _looking_ahead(program, post, neuron, samples[-9:], steps)
    return {name: np.stack([each[name] for each in samples]) for name in ends}


def _ends(near: Near, name: str) -> tuple[float, float]:
    """Return the least and the most that an input sends; the host gets what fills registers."""
    if name in near.program.host:
        return -1e7, 1e7
    most = near.program.largest_message(name)
    return near.inputs.get(name, (-most if most > 1 else 0, most))


def _signs(program: Program, name: str, post: str, neuron: int) -> Array:
    """Return which way each line of an input pushes a neuron; at random where only through others.

    Of several projections the first counts that has a weight there.
    """
    size = program.populations[name].size
    signs = np.random.default_rng(neuron).choice([-1, 1], size)
    if name in program.host:
        for target in program.host[name].targets.get(post, ()):
            signs = np.sign(np.asarray(target.matrix)[neuron]).astype(int)
        return signs
    for each in program.synapses:
        if each.pre == name and each.post == post:
            row = np.sign(each.rows[[neuron]].toarray()[0]).astype(int)
            signs = np.where(row, row, signs)
    return signs


def _pattern(
    program: Program, name: str, ends: tuple[float, float], when: Array, signs: Any
) -> Array:
    """Return the most where a sign is positive and the least where it is not, in some steps."""
    signs = np.broadcast_to(signs, program.populations[name].size)
    values = np.where(signs > 0, ends[1], ends[0])
    kind = float if name in program.host else np.int64
    return (when[:, None] * values).astype(kind)


def _noise(
    rng: np.random.Generator, program: Program, name: str, ends: tuple[float, float], steps: int
) -> Array:
    shape = (steps, program.populations[name].size)
    if name in program.host:
        return rng.uniform(*ends, shape)
    return rng.choice([ends[0], 0, ends[1]], shape).astype(np.int64)


def _either(one: Array, other: Array) -> Array:
    return np.where(one != 0, one, other)


def _looking_ahead(
    program: Program, post: str, neuron: int, choices: list[dict[str, Array]], steps: int
) -> list[dict[str, Array]]:
    """Return the inputs that push a neuron furthest from step to step: v up, v down, |u|.

    In each step every choice is tried from the same state, and looked at when it has arrived.
    """
    if post not in Walk(program, 1).seen or program.host:
        return []
    late = min((e.delay_steps for e in program.into(post) if e.pre in program.inputs), default=1)
    if late > 1:
        return []
    goals = (("v", 1), ("v", -1), ("u", 1))
    silent = {name: np.zeros_like(x) for name, x in choices[0].items()}
    choices = [silent, *choices[::2]]
    many = len(choices)
    walk = Walk(program, len(goals) * many)
    chosen = np.zeros((steps, len(goals)), int)
    for t in range(steps * program.slow):
        sent = {
            name: np.tile(np.stack([each[name][t // program.slow] for each in choices]), (3, 1))
            if t % program.slow == 0
            else np.zeros((3 * many, program.populations[name].size), np.int64)
            for name in silent
        }
        walk.step(sent, {})
        if t % program.slow:
            continue
        ahead = Walk.__new__(Walk)
        ahead.__dict__ |= walk.__dict__ | {
            "state": {k: {j: x.copy() for j, x in v.items()} for k, v in walk.state.items()}
        }
        ahead.step({}, {})
        best = []
        for at, (key, sign) in enumerate(goals):
            values = ahead.state[post][key][at * many : (at + 1) * many, neuron]
            best.append(int(np.argmax(sign * values if key == "v" else np.abs(values))))
        chosen[t // program.slow] = best
        walk.take(np.repeat([at * many + pick for at, pick in enumerate(best)], many))
    return [
        {
            name: np.stack([choices[pick][name][t] for t, pick in enumerate(chosen[:, at])])
            for name in silent
        }
        for at in range(len(goals))
    ]


def _at(program: Program, inputs: Mapping[str, Array], t: int) -> dict[str, Array]:
    """Return what inputs send in a step of the chip."""
    now = {}
    for name, x in inputs.items():
        at = t // program.slow
        here = t % program.slow == 0 and at < x.shape[1] and name not in program.host
        now[name] = x[:, at] if here else np.zeros(x[:, 0].shape, np.int64)
    return now


def _drives(program: Program, inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
    real = {name: inputs[name] for name in program.host}
    return host_biases(program, real, steps) if real else {}


# --- many --------------------------------------------------------------------------------------


def try_networks(seeds: Iterable[int]) -> list[Tried]:
    """Try the networks of some seeds."""
    return [try_network(seed) for seed in seeds]


def summary(tried: list[Tried]) -> str:
    """Return a table of what was proven, and every claim that does not hold."""
    total: Counter[str] = Counter()
    for each in tried:
        total.update(each.found)
    lines = [f"{len(tried)} networks"]
    lines += [f"  {total[name]:8}  {name}" for name in sorted(total)]
    bad = [each for each in tried if each.trouble]
    lines += [f"seed {each.seed}: {'; '.join(each.trouble[:3])}" for each in bad]
    lines.append(f"{len(bad)} of {len(tried)} with a claim that does not hold")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Try many networks in several processes; return 1 where a claim does not hold."""
    return fuzz_main(__doc__, 1000, 20, try_networks, summary, arguments)


if __name__ == "__main__":
    sys.exit(main())
