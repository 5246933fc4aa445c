"""The rows of a benchmark as text, as docs/bench.json, as figures, and in docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hw_tests.bench.figures import bars, curves, three
from hw_tests.bench.jobs import OURS, SCALES
from hw_tests.bench.targets import MEGABYTE, TARGETS

Row = dict[str, Any]
BEGIN, END = "<!-- written by make bench -->", "<!-- until here -->"
#: What a row of docs/bench.json always has; others follow.
ALWAYS = ("workload", "peer", "variant", "cpu_s", "wall_s", "peak_bytes", "exact", "ratio")

WHY = 60  # characters of a failure that a table shows
CACHE = ("type", "level", "size")


def state() -> str:
    """Return a sentence on the machine."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    python = platform.python_version()
    return (
        f"{model}, {os.cpu_count()} CPUs ({caches()}), Python {python}; load before the run {load}."
    )


def caches() -> str:
    """Return the sizes of the data caches, as Linux tells them."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = ((folder / name).read_text().strip() for name in CACHE)
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found) or "caches not told"


def measurements(rows: Sequence[Row]) -> str:
    """Return the table of all rows but those of scaling, as Markdown."""
    head = ("workload", "simulator", "variant", "CPU", "wall", "memory", "spikes", "ratio", "start")
    lines = [row for row in rows if row["workload"] not in SCALES]
    return table(head, [_cells(row) for row in lines])


def _cells(row: Row) -> list[str]:
    first = [row["workload"], row["peer"], row["variant"]]
    if "error" in row:
        why = row["error"].strip().splitlines()[-1].replace("|", "/")
        return [*first, f"failed: {why[:WHY]}", *"-----"]
    mark = "*" if row["extrapolated"] else ""
    ratio = "-" if row["ratio"] is None else f"{three(row['ratio'])}x"
    return [
        *first,
        seconds(row["cpu_s"]) + mark,
        seconds(row["wall_s"]) + mark,
        f"{row['peak_bytes'] / MEGABYTE:.0f} MB",
        _spikes(row),
        ratio,
        seconds(row["start_s"]) if "start_s" in row else "-",
    ]


def _spikes(row: Row) -> str:
    if row["exact"] is None:
        return "not compared"
    return "exact" if row["exact"] else f"x {row['spikes_of_reference']:.4f}"


def verdicts(rows: Sequence[Row]) -> str:
    """Return the targets, and by how much they are met or missed, as Markdown."""
    head = ("workload", "against", "target", "measured", "")
    lines = []
    for each in TARGETS:
        if any(row["workload"] == each.workload for row in rows):
            sign = "at most" if each.most else "at least"
            asked = f"{sign} {each.figure:g} {each.unit}"
            lines.append([each.workload, each.against, asked, *each.says(rows)])
    return table(head, lines)


def scaling(rows: Sequence[Row]) -> str:
    """Return the table of growing networks, as Markdown."""
    head = ("neurons", "variant", "events", "CPU", "an event", "sums", "weights", "a synapse")
    lines = [
        [
            f"{neurons(row):,}",
            row["variant"],
            f"{row['events']:,}",
            seconds(row["cpu_s"]),
            f"{nanoseconds(row):.2f} ns",
            f"{4 * neurons(row) / MEGABYTE:.2f} MB",
            f"{row['bytes_per_synapse'] * row['synapses'] / MEGABYTE:.0f} MB",
            f"{row['bytes_per_synapse']:.2f} bytes",
            seconds(row["build_cpu_s"]),
            f"{row['peak_bytes'] / MEGABYTE:.0f} MB",
        ]
        for row in rows
        if row["workload"] in SCALES and "error" not in row
    ]
    return table((*head, "building", "memory"), lines)


def neurons(row: Row) -> int:
    """Return the size of a growing network, which its name tells."""
    text = row["workload"].partition("_")[2]
    return int(text[:-1]) * {"k": 1000, "m": 1_000_000}[text[-1]]


def nanoseconds(row: Row) -> float:
    """Return the CPU time of a run by its synaptic events."""
    return 1e9 * row["cpu_s"] / row["events"]


def seconds(value: float) -> str:
    """Return a time with its unit, to three figures."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} us"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return aligned Markdown."""
    rows = [list(head), *(list(line) for line in lines)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    rows.insert(1, ["-" * width for width in widths])
    padded = ([text.ljust(width) for text, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)


def write(rows: Sequence[Row], tables: Sequence[str], folder: Path) -> None:
    """Write bench.json, two figures and the tables of performance.md into a folder."""
    kept = [
        {key: row.get(key) for key in ALWAYS}
        | {key: value for key, value in row.items() if key not in ALWAYS}
        for row in rows
    ]
    lines = ",\n".join(json.dumps(row) for row in kept)
    (folder / "bench.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    (folder / "bench.svg").write_text(bars(_groups(rows)), encoding="utf-8")
    (folder / "scaling.svg").write_text(curves(_points(rows)), encoding="utf-8")
    page = folder / "performance.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    body = "\n\n".join([BEGIN, *tables, END])
    page.write_text(before + body + after, encoding="utf-8")


def _groups(rows: Sequence[Row]) -> dict[str, list[tuple[str, float]]]:
    """Return workload -> (peer and variant, ratio), the fastest first."""
    found: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        if row["peer"] != OURS and row.get("ratio"):
            name = f"{row['peer']}, {row['variant']}"
            found.setdefault(row["workload"], []).append((name, row["ratio"]))
    return {name: sorted(each, key=lambda pair: pair[1]) for name, each in found.items()}


def _points(rows: Sequence[Row]) -> dict[str, list[tuple[int, float]]]:
    """Return variant -> (neurons, nanoseconds of an event)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row["workload"] in SCALES and "error" not in row:
            found.setdefault(row["variant"], []).append((neurons(row), nanoseconds(row)))
    return found
