"""One network on several chips: one row per chip, one page, and a report for each that takes it.

The reference runs once. A chip that cannot take the network is a row with its reasons, not an
error; only where no chip takes it does the command fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikeport import __version__, backends, verbs
from spikeport.as_if import as_if, is_priced
from spikeport.baselines import comparable
from spikeport.budget import PRICED
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked
from spikeport.compiler.cost_column import EventTimes
from spikeport.compiler.errors import (
    ChipError,
    DataError,
    FitError,
    LoweringError,
)
from spikeport.compiler.fabric import Processor
from spikeport.compiler.measure.decode import accuracy
from spikeport.compiler.network import Network
from spikeport.compiler.quantize.quantize import ARITHMETICS
from spikeport.deployment import check_runs, retimed_for, run_on, runs_in_lava, write_folder
from spikeport.fit import check_fit, limit_notes, refusal
from spikeport.pages.held import fullest
from spikeport.prepared import Prepared, Progress, Reference, Say, prepare, run_reference

LIMITS_ONLY = "not run: limits only"
#: What a row holds of a report's energy and time.
ENERGY = ("known", "why", "column", "title", "joules_per_sample", "interval", "left_out",
          "static_joules_per_sample", "static_interval", "total_joules_per_sample",
          "total_interval", "by_kind", "sources", "columns")  # fmt: skip
TIME = ("known", "why", "column", "model", "seconds_per_step", "interval", "latency", "throughput",
        "energy_delay", "sources", "columns")  # fmt: skip
ALL = "all"
NO_RECIPE = "takes no recipe: it ran as it is"


def are_several(text: str) -> bool:
    """Does `--chip` name more than one chip: commas, or `all`; a file of that name is one."""
    return text == ALL or ("," in text and not Path(text).is_file())


def chips_named(text: str) -> list[Chip]:
    """Return the chips that `--chip` names, each once.

    Raises:
        ChipError: one of them is unknown, or not a chip description.
    """
    if text == ALL:
        return [backends.find_chip(name) for name in backends.chip_names()]
    names = [name.strip() for name in text.split(",")] if are_several(text) else [text]
    return [backends.find_chip(name) for name in dict.fromkeys(name for name in names if name)]


def check_side_by_side(net: Network, chips: Sequence[Chip], linked: int = 1) -> list[Any]:
    """Return `verbs.check` of each chip; one that cannot be linked so often does not fit."""
    rows = []
    for chip in chips:
        try:
            rows.append(verbs.check(net, chip, linked))
        except ChipError as error:
            rows.append(
                {"fits": False, "chip": chip.name, "level": chip.level, **refusal(error),
                 "resources": None, "notes": []}
            )  # fmt: skip
    return rows


def deploy_side_by_side(
    graph: str | Path | Network,
    chip: str | Sequence[Chip],
    data: object = None,
    out: str | Path | None = None,
    *,
    say: Say = lambda text: None,
    progress: Progress = lambda what, done, total: None,
    **asked: Any,
) -> dict[str, Any]:
    """Deploy a graph to several chips and return one row per chip, as plain values.

    Args:
        graph, data, asked: as `deploy` takes them.
        chip: names or paths with commas between them, `all`, or Chips.
        out: folder for index.html, index.json, index.md and one folder per chip that runs.
        say, progress: called with sentences, and with (what, done, total).

    Returns:
        {"graph", "reference", "chips": rows, "files", ...}; `reports` of a row are not in it.

    Raises:
        SpikeportError: wrong input, or a chip that does not exist. Nothing is run or written.
    """
    targets = chips_named(chip) if isinstance(chip, str) else list(chip)
    if not targets:
        raise ChipError("no chip is named", "", "--chip loihi1,generic_graded")
    named = chip if isinstance(chip, str) else ",".join(each.name for each in targets)
    given = prepare(graph, named, data, out, say=say, several=True, **asked)
    wanted = given.wanted or ()
    if "lava" in wanted and not any(runs_in_lava(each) for each in targets):
        raise DataError(
            "Lava was asked for and can run none of these chips",
            "none has an arithmetic that Lava has",
            "--backends emulator, or add loihi1 to --chip",
        )
    if given.column is not None and not any(given.column in each.costs for each in targets):
        known = dict.fromkeys(name for each in targets for name in each.costs)
        raise ChipError(
            f"none of the chips has a cost column {given.column!r}",
            f"there are {', '.join(known) or 'none'}",
            "leave out --cost: each chip has its own",
        )
    if given.recipe is not None and not any(_takes_recipe(each) for each in targets):
        raise LoweringError(
            "none of the chips takes a recipe",
            "processors run the float network, Xylo and TrueNorth have one way of quantizing",
            "leave out --weights and the other options of a recipe, or add loihi1 to --chip",
        )
    ready = [_ready(given, each) for each in targets]
    reference = None
    runs = any(isinstance(each, Clocked) for each in ready)
    if runs or any(is_priced(each) for each in targets):
        reference = run_reference(given, progress)
    rows, reports = [], {}
    for each, network, name in zip(targets, ready, _folders(targets), strict=True):
        row, report = _row(given, each, network, reference, say, progress)
        if not row["fits"] and reference is not None:
            row["as_if"] = as_if(given, each, reference.traces)
        if report is not None:
            row["report"] = f"{name}/report.html"
            reports[name] = report
        rows.append(row)
    _compare_costs(rows, targets)
    result = {
        "spikeport": __version__,
        "graph": given.net.name,
        "semantics": given.net.semantics.to_dict(),
        "assumed": list(given.net.semantics.assumed),
        "samples": given.pieces or given.data.samples,
        "steps": given.data.steps // (given.pieces or 1),
        "linked": given.chips,
        "reference": _reference(given, reference),
        "chips": rows,
        "files": {},
        "command": given.command,
    }
    if given.folder is not None:
        result["files"] = _write(result, reports, given.folder)
    return result


def _compare_costs(rows: Sequence[dict[str, Any]], targets: Sequence[Chip]) -> None:
    """Say in each row why its energy is not to be held against the first one that is known."""
    priced = [
        (row, chip, _column(row)) for row, chip in zip(rows, targets, strict=True) if _column(row)
    ]
    for row, chip, column in priced[1:]:
        reason = comparable(priced[0][1], chip, priced[0][2], column)
        row["not_comparable"] = [reason] if reason else []


def _column(row: Mapping[str, Any]) -> str:
    """Return the column of a row's energy, or of what it would be if the network fitted."""
    energy = row["energy"] or (row.get("as_if") or {}).get("energy") or {}
    return str(energy.get("column") or "") if energy.get("known") else ""


def _takes_recipe(chip: Chip) -> bool:
    return chip.arithmetic not in ("none", "float", *ARITHMETICS)


def _ready(given: Prepared, chip: Chip) -> Clocked | dict[str, Any]:
    """Return the network for a chip, or the row of a chip that is not run."""
    if chip.arithmetic == "none":
        try:
            found = check_fit(given.net, chip, given.chips)
        except ChipError as error:
            return _not_run(chip, refusal(error))
        return _not_run(chip, found, LIMITS_ONLY)
    try:
        check_runs(chip, _for_one(given, chip))
        return retimed_for(given, chip)
    except (LoweringError, ChipError) as error:
        return _not_run(chip, refusal(error))


def _for_one(given: Prepared, chip: Chip) -> Prepared:
    """Return what one chip of several is asked for: Lava, costs and a recipe where it has them."""
    column = given.column if given.column in chip.costs else None
    wanted = given.wanted
    if wanted is not None and "lava" in wanted and not runs_in_lava(chip):
        wanted = tuple(name for name in wanted if name != "lava")
    budget = tuple(each for each in given.budget if chip.costs or each.metric not in PRICED)
    recipe = given.recipe if _takes_recipe(chip) else None
    timing = given.timing if _has_events(chip, column) else None
    return replace(given, column=column, timing=timing, wanted=wanted, budget=budget, recipe=recipe)


def _has_events(chip: Chip, column: str | None) -> bool:
    """Has a column times of events, so that there are models of time to choose from."""
    if not chip.costs:
        return False
    return isinstance(chip.costs[column or chip.default_cost].time, EventTimes)


def _row(
    given: Prepared,
    chip: Chip,
    ready: Clocked | dict[str, Any],
    reference: Reference | None,
    say: Say,
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the row of a chip, and its report where it runs."""
    if not isinstance(ready, Clocked) or reference is None:
        return (ready if isinstance(ready, dict) else _not_run(chip, {})), None

    def named(what: str, done: int, total: int) -> None:
        progress(f"{chip.name}: {what}", done, total)

    try:
        report = run_on(_for_one(given, chip), chip, ready, reference, say, named)
    except (FitError, LoweringError, ChipError, DataError) as error:
        return _not_run(chip, refusal(error)), None
    plainly = [NO_RECIPE] if given.recipe is not None and not _takes_recipe(chip) else []
    if plainly:
        say(f"{chip.name} {NO_RECIPE}")
    against = report["parity"]["emulator_vs_reference"]
    lava, budget = report["parity"]["lava_vs_emulator"], report["budget"]
    row = _head(chip) | {
        "fits": True,
        "violations": [],
        "details": [],
        "ran": True,
        "why": "",
        "accuracy": {key: report["accuracy"][key] for key in ("emulator", "reference")},
        "parity": {
            key: against[key] for key in ("cells", "different", "spikes_repeated", "analog")
        },
        "lava": None if lava is None else {key: lava[key] for key in ("cells", "different")},
        "resources": report["resources"],
        "fullest": _fullest(report["cores"]),
        "mesh": None if isinstance(chip.core, Processor) else report["mesh"],
        "cores": report["cores"],
        "limits": report["limits"],
        "latency_steps": report["latency_steps"],
        "energy": {
            key: report["energy"].get(key)
            for key in ENERGY
            if key in report["energy"]
        },
        "time": {key: report["time"][key] for key in TIME if key in report["time"]},
        "not_comparable": [],
        "notes": [*plainly, *limit_notes(chip), *chip.notes],
        "broken": bool(lava and lava["different"]) or bool(budget and not budget["passed"]),
        "report": None,
    }  # fmt: skip
    return row, report


def _head(chip: Chip) -> dict[str, Any]:
    return {
        "chip": chip.name,
        "title": chip.title,
        "level": chip.level,
        "arithmetic": chip.arithmetic,
    }


def _not_run(chip: Chip, found: Mapping[str, Any], why: str = "") -> dict[str, Any]:
    """Return the row of a chip that was not run: it does not fit, or is limits alone."""
    violations = list(found.get("violations", ()))
    return _head(chip) | {
        "fits": not violations,
        "violations": violations,
        "details": list(found.get("details", ())),
        "ran": False,
        "why": why if not violations else "does not fit",
        "accuracy": None,
        "parity": None,
        "lava": None,
        "resources": found.get("resources"),
        "fullest": None,
        "mesh": None,
        "cores": [],
        "limits": {},
        "latency_steps": None,
        "energy": None,
        "time": None,
        "not_comparable": [],
        "notes": [*limit_notes(chip), *chip.notes],
        "broken": False,
        "report": None,
    }


def _fullest(cores: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    found = fullest(cores)
    if found is None:
        return None
    name, used, limit, core = found
    return {"resource": name, "figure": used, "limit": limit, "core": core}


def _reference(given: Prepared, reference: Reference | None) -> dict[str, Any]:
    if reference is None:
        return {"ran": False, "accuracy": None, "seconds": None}
    found = None
    if given.labels is not None:
        found = accuracy(reference.traces, given.labels, given.decode, given.pieces or 1)
    return {"ran": True, "accuracy": found, "seconds": reference.traces.seconds}


def _folders(chips: Sequence[Chip]) -> list[str]:
    """Return a folder name per chip, which differ though two descriptions may share a name."""
    names: list[str] = []
    for chip in chips:
        plain = "".join(c if c.isalnum() or c in "_-" else "_" for c in chip.name) or "chip"
        same = sum(1 for name in names if name == plain or name.startswith(f"{plain}."))
        names.append(f"{plain}.{same + 1}" if same else plain)
    return names


def _write(
    result: dict[str, Any], reports: Mapping[str, dict[str, Any]], folder: Path
) -> dict[str, str]:
    from spikeport.pages import FILES as REPORT
    from spikeport.pages import write_report
    from spikeport.pages.side_by_side import FILES, write_index

    result["files"] = dict(FILES)

    def write(into: Path) -> None:
        for name, report in reports.items():
            report["files"] = dict(REPORT)
            write_report(report, into / name)
        write_index(result, into)

    write_folder(folder, write)
    return {key: str(folder / name) for key, name in FILES.items()}
