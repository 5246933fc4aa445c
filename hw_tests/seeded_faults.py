"""Faults planted in Programs by seed: does attribution rank them first, does explain name them.

    python -m hw_tests.seeded_faults --trials 1000

prints both shares for every kind of fault, and what missed with the seed that repeats it.

* A fault that changes no spike is no trial.
* Attribution is right to rank a fault first only where it is the largest loss. So three of four
  networks hold their weights in whole units of the threshold's mantissa (17 bits, as two synapses
  for each weight do); the others in the 8 bits of the chip. Faults that change fewer cells than
  the chip differs in without them are counted apart.
* Where the first cell that differs did so without the fault, it has another cause: explain is not
  asked.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hw_tests.generate.faults import FAULTS, Fault
from hw_tests.generate.healthy import CASES, REAL, Healthy, apart, drawn, real
from spikeport.attribution import attribute
from spikeport.backends import emulator
from spikeport.compiler.measure.parity import compare
from spikeport.compiler.traces import Traces
from spikeport.explain import CLASSES, explain


@dataclass(frozen=True)
class Trial:
    """What came of a fault.

    Attributes:
        seed, network, kind: which.
        wanted, object: causes and object of the fault; `ranked`: of attribution's first row.
        largest: does the fault change more cells than everything else that the chip loses.
        named: what explain says first; "" where the first difference has another cause.
    """

    seed: int
    network: str
    kind: str
    wanted: tuple[str, ...]
    object: str
    ranked: tuple[str, str]
    largest: bool
    named: str

    @property
    def found(self) -> bool:
        """Did attribution rank the fault first."""
        return self.ranked[0] in self.wanted and self.ranked[1] == self.object

    @property
    def told(self) -> bool:
        """Did explain name its class first."""
        return self.named in [CLASSES.get(cause, cause) for cause in self.wanted]


def try_fault(seed: int, with_real: bool = True) -> Trial | None:
    """Plant the fault of a seed; None where it changes no spike."""
    rng = np.random.default_rng(seed)
    make = FAULTS[seed % len(FAULTS)]
    place, fine = int(rng.integers(8)), bool(rng.random() < 0.75)
    there = with_real and place < len(REAL) and CASES.is_dir()
    well = real(REAL[place], fine) if there else drawn(rng, fine)
    fault = make(well, rng)
    if fault is None:
        return None
    ran = emulator.run(fault.program, fault.inputs or well.data.inputs)
    changed = apart(well.emulator, ran)
    if not changed:
        return None
    rows = attribute(well.retimed, fault.program, well.data, ran=ran)["rows"]
    ranked = (rows[0]["cause"], rows[0]["object"]) if rows else ("none", "")
    return Trial(
        seed, well.name, fault.kind, fault.causes, fault.object, ranked, changed > well.lost,
        _named(well, fault, ran),
    )  # fmt: skip


def _named(well: Healthy, fault: Fault, ran: Traces) -> str:
    """Return what explain says first; "" where the chip differs there without the fault."""
    parity = compare(well.reference, ran)
    first = parity.first_difference
    if first is None:
        return ""
    neuron = int(np.ravel_multi_index(first.neuron, ran.spikes[first.population].shape))
    at = (first.sample, first.step, neuron)
    before = well.emulator.window(first.population)[at]
    if before != well.reference.window(first.population)[at]:
        return ""
    image = replace(well.image, program=fault.program)
    told = explain(well.clocked, image, well.data, parity, ran)
    return str(told["causes"][0]) if told else "nothing"


def trials(count: int, with_real: bool = True, first: int = 0) -> Iterator[Trial | None]:
    """Yield one outcome per seed until `count` faults changed a spike; None for the others."""
    seed = first
    while count:
        trial = try_fault(seed, with_real)
        seed += 1
        count -= trial is not None
        yield trial


def table(found: list[Trial]) -> list[str]:
    """Return the shares of every kind of fault as lines of text."""
    by_kind = defaultdict(list)
    for trial in found:
        by_kind[trial.kind].append(trial)
    head = f"{'fault':26} trials  largest loss, ranked first  smaller, ranked first  explain"
    lines = [head]
    for kind, some in [*sorted(by_kind.items()), ("all", found)]:
        largest = [trial for trial in some if trial.largest]
        smaller = [trial for trial in some if not trial.largest]
        asked = [trial for trial in some if trial.named]
        lines.append(
            f"{kind:26} {len(some):6}  {sum(t.found for t in largest):14} of {len(largest):<9}  "
            f"{sum(t.found for t in smaller):11} of {len(smaller):<6}  "
            f"{sum(t.told for t in asked)} of {len(asked)}"
        )
    return lines


def main() -> int:
    """Run trials and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first trial")
    given = parser.parse_args()
    outcomes = list(trials(given.trials, first=given.first))
    found = [trial for trial in outcomes if trial is not None]
    for trial in found:
        if (trial.largest and not trial.found) or (trial.named and not trial.told):
            print(
                f"seed {trial.seed}, {trial.network}, {trial.kind} of {trial.object}; ranked first "
                f"{trial.ranked}, named {trial.named or 'another first difference'}"
            )
    print(*table(found), sep="\n")
    print(
        f"{len(outcomes) - len(found)} faults changed no spike, or had no place, of "
        f"{len(outcomes)}; networks: {dict(Counter(trial.network for trial in found))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
