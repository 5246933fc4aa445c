"""Ours and the other simulators that are installed, on the same workloads, in one run.

    python -m hw_tests.bench.bench [--only WORD] [--quick] [--write]

`make bench-peers` installs the others. A row has CPU and wall seconds of the run itself (warm,
without building), the largest memory of its process, whether the spike totals of every population
are those of our NumPy emulator, and `ratio`: its CPU time over ours. Nothing is written without
`--write`, which takes the whole set: docs/bench.json, the figures, and the tables of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from hw_tests.bench.jobs import NUMPY, OURS, ROOT, SCALES, Job, interpreter, jobs
from hw_tests.bench.page import measurements, scaling, state, verdicts, write
from hw_tests.bench.runner import Row, prepare, run_job, run_saved
from hw_tests.bench.targets import with_ratios

DATA = ROOT / "out" / "bench"
QUICK = ("w1", "w1b64", "w2_1k", "w3")
FROM_IMAGE = {"w1": 5, "w2_100k": 1}  # workloads that also run from a saved image: how often


def chosen(only: str, quick: bool) -> list[Job]:
    """Return the jobs whose workload or peer begins with a word; a quick run leaves out large ones.

    Our own stay in: without them there is nothing to compare with.
    """
    found = [job for job in jobs() if not quick or job.workload in QUICK]
    if only and not any(job.workload.startswith(only) for job in found):
        return [job for job in found if job.peer.startswith(only) or _beside(job, found, only)]
    exact = [job for job in found if job.workload == only]
    return exact or [job for job in found if job.workload.startswith(only)]


def _beside(job: Job, found: list[Job], only: str) -> bool:
    """Say whether a job of ours has a workload that the peer runs."""
    theirs = {each.workload for each in found if each.peer.startswith(only)}
    return job.peer == OURS and job.workload in theirs


def measure(todo: list[Job], data: Path) -> list[Row]:
    """Run the jobs one after another and return their rows with ratios."""
    rows: list[Row] = []
    lengths: dict[str, int] = {}
    references: dict[str, list[list[int]]] = {}
    for job in todo:
        name = job.workload
        if interpreter(job.peer) is None:
            continue
        if name not in lengths:
            lengths[name] = prepare(name, data)
        found = run_job(job, data, lengths[name], references.get(name, []))
        for row in found:
            if job.peer == OURS and job.variant == NUMPY and "by_step" in row:
                references[name] = row.pop("by_step")
                row["exact"], row["spikes_of_reference"] = True, 1.0
            say(row)
        rows += found
        if job.peer == OURS and job.variant == NUMPY and name in FROM_IMAGE:
            rows.append(run_saved(name, data, FROM_IMAGE[name], references.get(name, [])))
            say(rows[-1])
    return with_ratios(rows)


def say(row: Row) -> None:
    """Tell at once what was measured, on the error stream."""
    what = row.get("error") or f"CPU {row['cpu_s']:.4g} s, wall {row['wall_s']:.4g} s"
    line = f"{row['workload']:11} {row['peer']:12} {row['variant']:18} {what}"
    print(line.replace("\n", " "), file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print the tables, and write them where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="a workload or a peer, by its first letters")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)} alone")
    parser.add_argument("--write", action="store_true", help="write into docs")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, too
    if given.write and (given.only or given.quick):
        parser.error("--write takes the whole set: leave out --only and --quick")
    todo = chosen(given.only, given.quick)
    missing = sorted({job.peer for job in todo if interpreter(job.peer) is None})
    if missing:
        print(f"not installed, see `make bench-peers`: {', '.join(missing)}", file=sys.stderr)
    before = state()
    rows = measure(todo, DATA)
    tables = [before, measurements(rows), verdicts(rows)]
    if any(row["workload"] in SCALES for row in rows):
        tables.append(scaling(rows))
    print("\n\n".join(tables))
    if given.write:
        write(rows, tables, ROOT / "docs")


if __name__ == "__main__":
    main()
