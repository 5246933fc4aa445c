"""The command line that fuzzers of networks share: many seeds, in several processes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from typing import Any


def fuzz_main(
    doc: str | None,
    networks: int,
    together: int,
    try_networks: Callable[[range], list[Any]],
    summary: Callable[[list[Any]], str],
    arguments: list[str] | None,
) -> int:
    """Try many networks and print the summary; return 1 where one had trouble.

    Args:
        doc: of the fuzzer; its first line is the help.
        networks: how many by default.
        together: how many a process takes at once.
        try_networks: seeds -> what came of each, with a field `trouble`.
        summary: of all of them.
        arguments: of the command line; None: those of the process.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--networks", type=int, default=networks)
    parser.add_argument("--seed", type=int, default=0, help="of the first network")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    seeds = range(given.seed, given.seed + given.networks)
    pieces = [seeds[k : k + together] for k in range(0, len(seeds), together)]
    if given.processes == 1:
        tried = try_networks(seeds)
    else:
        with ProcessPoolExecutor(given.processes) as pool:
            tried = list(chain.from_iterable(pool.map(try_networks, pieces)))
    print(summary(tried))
    return int(any(each.trouble for each in tried))
