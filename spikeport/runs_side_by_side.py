"""Earlier runs side by side: what their reports say, and by how much each differs from the first.

In come `report.json` files, which anybody may have written: of each only the figures that are
compared are looked at, and what is no number counts as unknown. Nothing is computed anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikeport import __version__, backends
from spikeport.baselines import comparable
from spikeport.budget import LARGEST_BASELINE
from spikeport.compiler.errors import DataError
from spikeport.files import check_folder
from spikeport.pages.plain import at, figure, pair, table, words

#: What is compared -> where a report has it.
FIGURES: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("accuracy", "emulator"),
    "cells_equal": (),
    "cores": ("resources", "cores"),
    "seconds_per_step": ("time", "seconds_per_step"),
    "seconds_per_sample": ("time", "latency", "seconds"),
    "samples_per_second": ("time", "throughput", "samples_per_second"),
    "joules_per_sample": ("energy", "joules_per_sample"),
    "static_joules_per_sample": ("energy", "static_joules_per_sample"),
    "joule_seconds": ("time", "energy_delay", "joule_seconds"),
}
INTERVALS: Mapping[str, tuple[str, ...]] = {
    "seconds_per_step": ("time", "interval"),
    "seconds_per_sample": ("time", "latency", "interval"),
    "samples_per_second": ("time", "throughput", "interval"),
    "joules_per_sample": ("energy", "interval"),
    "static_joules_per_sample": ("energy", "static_interval"),
    "joule_seconds": ("time", "energy_delay", "interval"),
}
#: Shares, whose change is a difference; that of everything else is relative.
SHARES = ("accuracy", "cells_equal")
TIMES = ("seconds_per_step", "seconds_per_sample", "samples_per_second")
ENERGIES = ("joules_per_sample", "static_joules_per_sample", "joule_seconds")
#: What has to be alike for two runs to be of the same task.
SETTINGS = ("samples", "steps", "dt", "input", "decode", "stream")
MOST_RUNS = 64
MOST_FIELDS = 6


def report_side_by_side(
    paths: Sequence[str | Path], out: str | Path | None = None, command: str = ""
) -> dict[str, Any]:
    """Compare earlier runs with the first of them.

    Args:
        paths: of `report.json` files of `deploy`, or of their folders.
        out: new or empty folder for `index.html`, `index.json` and `index.md`; None writes nothing.
        command: what was typed.

    Returns:
        {"spikeport", "runs": [{"report", "name", "graph", "chip", "recipe", "column", "model",
        "figures": {name: number or None}, "intervals": {name: [low, high]}, "changes": {name:
        relative difference to the first run, or difference of a share}, "not_comparable":
        [{"figures", "why"}], ...}], "files", "command"}.

    Raises:
        DataError: a file is no report, or too many are named.
        OutputError: the folder is in use.
    """
    if not 1 <= len(paths) <= MOST_RUNS:
        raise DataError(
            f"{len(paths)} reports are named", f"1 to {MOST_RUNS} can be compared", "name fewer"
        )
    folder = None if out is None else check_folder(Path(out))
    runs = [_run(path, read_report(path)) for path in paths]
    for run in runs:
        run["changes"] = {name: _change(name, run, runs[0]) for name in FIGURES}
        run["not_comparable"] = [
            {"figures": list(names), "why": why} for names, why in differences(run, runs[0])
        ]
    result: dict[str, Any] = {
        "spikeport": __version__, "runs": runs, "files": {}, "command": command,
    }  # fmt: skip
    if folder is not None:
        result["files"] = _write(result, folder)
    return result


def read_report(path: str | Path) -> dict[str, Any]:
    """Return the plain values of a `report.json`; a folder means the one in it.

    Raises:
        DataError: it cannot be read, is too large, or is no report.
    """
    path = Path(path)
    try:
        path = path / "report.json" if path.is_dir() else path
        if not path.exists():
            raise ValueError("there is no such file")
        if not path.is_file():
            raise ValueError("it is no file")
        with path.open("rb") as file:
            text = file.read(LARGEST_BASELINE + 1)
        if len(text) > LARGEST_BASELINE:
            raise ValueError("it is larger than 64 MiB")
        content = json.loads(text, parse_constant=lambda _: None)
        if isinstance(content, dict) and isinstance(content.get("chips"), list):
            raise ValueError("it is the index of several chips, each of which has its own report")
        if not all(isinstance(at(content, key), dict) for key in ("accuracy", "energy", "parity")):
            raise ValueError("it is no report of spikeport deploy")
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror or "" if isinstance(error, OSError) else str(error)
        raise DataError(
            f"cannot read the report {str(path)[-80:]}", why[:200],
            "give the report.json of an earlier spikeport deploy",
        ) from None  # fmt: skip
    return dict(content)


def _run(path: str | Path, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is compared of a report."""
    path = Path(path)
    found = {name: figure(report, *keys) for name, keys in FIGURES.items() if keys}
    ends = {name: pair(report, *keys) for name, keys in INTERVALS.items()}
    return {
        "report": str(path),
        "name": path.parent.name or path.stem if path.name == "report.json" else path.stem,
        "graph": words(report, "graph"),
        "chip": words(report, "chip", "name"),
        "title": words(report, "chip", "title"),
        "recipe": words(report, "recipe"),
        "column": words(report, "energy", "column"),
        "model": words(report, "time", "model"),
        "energy_delay_of": words(report, "time", "energy_delay", "of"),
        "settings": {key: _plain(at(report, key)) for key in SETTINGS},
        "semantics": {
            key: _plain(value)
            for key, value in table(report, "semantics").items()
            if key not in ("dialect", "assumed", "dt")
        },
        "accuracy_of_reference": figure(report, "accuracy", "reference"),
        "figures": {name: found.get(name, _cells_equal(report)) for name in FIGURES},
        "intervals": {name: list(pair_) for name, pair_ in ends.items() if pair_ is not None},
        "why": {part: words(report, part, "why") for part in ("energy", "time")},
    }


def _plain(value: Any) -> Any:
    """Return a setting that can be compared and printed: a number, a truth, or a short text."""
    if value is None or isinstance(value, bool):
        return value
    number = figure(value)
    return json.dumps(value, sort_keys=True)[:200] if number is None else number


def _cells_equal(report: Mapping[str, Any]) -> float | None:
    parity = at(report, "parity", "emulator_vs_reference")
    cells, different = figure(parity, "cells"), figure(parity, "different")
    return figure(1 - different / cells) if cells and different is not None else None


def _change(name: str, run: Mapping[str, Any], first: Mapping[str, Any]) -> float | None:
    new, old = run["figures"][name], first["figures"][name]
    if new is None or old is None:
        return None
    if name in SHARES:
        return float(new - old)
    return figure((new - old) / abs(old)) if old else None


def differences(
    run: Mapping[str, Any], first: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (figures, why they must not be held against the first run's as if they were alike)."""
    task = tuple(name for name in FIGURES if name != "cores")
    if run["graph"] != first["graph"]:
        yield tuple(FIGURES), f"another graph: {run['graph']}, not {first['graph']}"
    for kind in ("settings", "semantics"):
        fields = _differing(run[kind], first[kind])
        if fields:
            yield task, f"other {kind}: {', '.join(fields)}"
    if _other_data(run, first):
        yield task, "other data or labels: the float reference has another accuracy"
    yield from _other_figures(run, first)


def _other_figures(
    run: Mapping[str, Any], first: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what differs in the figures of energy and time."""
    if run["chip"] != first["chip"]:
        why = _chips(run, first)
        if why:
            yield ENERGIES, why
    elif run["column"] != first["column"] and run["column"] and first["column"]:
        why = f"another cost column: {run['column']}, not {first['column']}"
        yield (*TIMES, *ENERGIES), why
    if run["model"] != first["model"] and run["model"] and first["model"]:
        why = f"another model of time: {run['model']}, not {first['model']}"
        yield (*TIMES, *ENERGIES[1:]), why
    of, before = run["energy_delay_of"], first["energy_delay_of"]
    if of != before and of and before:
        yield ("joule_seconds",), f"energy x delay is of {of} energy, not {before}"


def _differing(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Return the fields that differ, each with both values, the first few."""
    fields = [key for key in dict.fromkeys((*old, *new)) if new.get(key) != old.get(key)]
    told = [f"{key} {_told(new.get(key))}, not {_told(old.get(key))}" for key in fields]
    more = len(told) - MOST_FIELDS
    return [*told[:MOST_FIELDS], *([f"{more} more"] if more > 0 else [])]


def _told(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).strip('"')[:60]


def _other_data(run: Mapping[str, Any], first: Mapping[str, Any]) -> bool:
    """Has the reference another accuracy although everything that is recorded is alike."""
    alike = all(run[key] == first[key] for key in ("graph", "settings", "semantics"))
    return bool(alike and run["accuracy_of_reference"] != first["accuracy_of_reference"])


def _chips(run: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    """Say why energies of two chips are not comparable; "" where they are."""
    shipped = backends.chip_names()
    if run["chip"] not in shipped or first["chip"] not in shipped:
        return f"another chip: {run['chip']}, not {first['chip']}"
    ours, theirs = backends.find_chip(run["chip"]), backends.find_chip(first["chip"])
    why = comparable(ours, theirs, run["column"] or None, first["column"] or None)
    return why.removeprefix("not comparable: ")


def _write(result: dict[str, Any], folder: Path) -> dict[str, str]:
    from spikeport.deployment import write_folder
    from spikeport.pages.runs import FILES, write_runs

    result["files"] = dict(FILES)

    def write(into: Path) -> None:
        write_runs(result, into)

    write_folder(folder, write)
    return {key: str(folder / name) for key, name in FILES.items()}
