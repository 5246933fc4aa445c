"""Random networks on small chips: placed and verified, or refused with advice that makes them fit.

    python -m hw_tests.fuzz_place --networks 500

prints, per chip, how many fitted at once, how many after following the advice, in how many rounds,
and what went wrong, with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from hw_tests.place_advice import follow
from hw_tests.place_networks import DRAW
from spikeport.compiler.errors import FitError
from spikeport.compiler.image import Image
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify

ROUNDS = 12  # of following the advice; each can uncover a limit that another hid


@dataclass
class Tried:
    """What came of one network.

    Attributes:
        seed, chip: repeat it with `try_network(seed, chip)`.
        rounds: how often the advice was followed; 0 where it fitted at once.
        cores, chips: how many it takes at last.
        synapses: of what was placed at last.
        limits: resources that were too small, in words.
        trouble: a sentence; "" where all is well.
        place_seconds, verify_seconds: of the last round.
    """

    seed: int
    chip: str
    rounds: int = 0
    cores: int = 0
    chips: int = 1
    synapses: int = 0
    limits: list[str] = field(default_factory=list)
    trouble: str = ""
    place_seconds: float = 0.0
    verify_seconds: float = 0.0


def try_network(seed: int, chip: str) -> Tried:
    """Draw the network of a seed, and follow the advice until it fits."""
    tried = Tried(seed, chip)
    try:
        _until_it_fits(tried)
    except Exception as error:  # a crash is what this looks for: it must not end the search
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        tried.trouble = f"{type(error).__name__} in {where}: {error}".splitlines()[0]
    return tried


def _until_it_fits(tried: Tried) -> None:
    which = list(DRAW).index(tried.chip)
    program, chip = DRAW[tried.chip](np.random.default_rng([tried.seed, which]))
    for tried.rounds in range(ROUNDS):
        start = time.perf_counter()
        try:
            image = place(program, chip, tried.chips)
        except FitError as error:
            tried.limits += [getattr(found, "what", "none") for found in error.found]
            told = "; ".join(error.violations)
            after, tried.chips = follow(program, tried.chips, error.found)
            if after is program and "--chips" not in told:
                tried.trouble = f"nothing changes by following {told}"
                return
            program = after
            continue
        tried.place_seconds = time.perf_counter() - start
        tried.cores = len(image.cores)
        _verified(image, tried)
        return
    tried.trouble = f"after {ROUNDS} rounds of advice it still does not fit: {told}"


def _verified(image: Image, tried: Tried) -> None:
    start = time.perf_counter()
    try:
        verify(image, full=True)
    except FitError as error:
        tried.trouble = f"verifier: {error.violations[0]}"
    tried.verify_seconds = time.perf_counter() - start
    tried.synapses = sum(use.synapses for use in image.cores)


def try_networks(seeds: Iterable[int], chip: str) -> list[Tried]:
    """Try the networks of some seeds."""
    return [try_network(seed, chip) for seed in seeds]


def summary(tried: list[Tried]) -> str:
    """Return one paragraph per chip, and every trouble."""
    lines = []
    for chip in dict.fromkeys(each.chip for each in tried):
        own = [each for each in tried if each.chip == chip]
        good = [each for each in own if not each.trouble]
        rounds = Counter(each.rounds for each in good)
        limits = Counter(chain.from_iterable(set(each.limits) for each in own))
        mended = sum(count for number, count in rounds.items() if number)
        lines += [
            f"{chip}: {len(own)} networks, {rounds[0]} fitted at once, {mended} after advice "
            f"(rounds: {dict(sorted(rounds.items()))}), {len(own) - len(good)} with trouble",
            f"  verified in full {len(good)}; cores up to {max((e.cores for e in good), default=0)}"
            f", on several {sum(e.cores > 1 for e in good)}, on several chips "
            f"{sum(e.chips > 1 for e in good)}; synapses up to "
            f"{max((e.synapses for e in good), default=0)}",
            f"  seconds: place {sum(e.place_seconds for e in own):.1f}, verify "
            f"{sum(e.verify_seconds for e in own):.1f}",
            "  limits met: " + ", ".join(f"{name} {count}" for name, count in limits.most_common()),
        ]
        lines += [f"  seed {e.seed}: {e.trouble[:300]}" for e in own if e.trouble]
    bad = sum(bool(each.trouble) for each in tried)
    lines.append(f"{bad} of {len(tried)} with trouble")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Try many networks in several processes; return 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--chips", nargs="*", default=list(DRAW), choices=list(DRAW))
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    seeds = range(given.first, given.first + given.networks)
    pieces = [(seeds[k : k + 25], chip) for chip in given.chips for k in range(0, len(seeds), 25)]
    with ProcessPoolExecutor(given.processes) as pool:
        tried = list(chain.from_iterable(pool.map(try_networks, *zip(*pieces, strict=True))))
    print(summary(tried))
    return int(any(each.trouble for each in tried))


if __name__ == "__main__":
    sys.exit(main())
