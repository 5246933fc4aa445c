"""`spikeport quantize`: what a recipe costs and keeps; the cheapest one that keeps enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spikeport import __version__, backends
from spikeport.attribution import attribute
from spikeport.calibration import check_calibration
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError, LoweringError, counted
from spikeport.compiler.image import Image
from spikeport.compiler.network import Network
from spikeport.compiler.quantize.quantize import ARITHMETICS
from spikeport.compiler.quantize.recipe import Recipe, Wish
from spikeport.data import Data, read_data
from spikeport.deployment import check_runs, retimed_for
from spikeport.explore import Goal, Search, best_of
from spikeport.files import check_file
from spikeport.prepared import Prepared, Progress, Say, prepare
from spikeport.recipe_words import options_of
from spikeport.saved import save_image
from spikeport.targets import Asked, check_reachable, check_target, goal_on, read_asked
from spikeport.trials import Bench, Trial, memory_by_projection, memory_of

CONFIRMED = 6  # recipes that are run on all samples, the cheapest first, until one keeps enough
TELLING = 0.95  # of the cells that the row before it lost: a row that loses more tells nothing new
LIMITS = 3  # causes that are named where a target cannot be reached


def quantize(
    graph: str | Path | Network,
    chip: str | Path | Chip = "loihi1",
    data: object = None,
    out: str | Path | None = None,
    *,
    recipe: Recipe | None = None,
    calibration: object = None,
    target_agreement: float | str | None = None,
    target_accuracy: float | str | None = None,
    explore: bool = False,
    budget_memory: str | int | None = None,
    budget_cores: int | str | None = None,
    dialect: str | None = None,
    dt: float | None = None,
    settings: Iterable[str] = (),
    input: str = "spikes",
    decode: str = "count",
    allow_skew: bool = False,
    slow: int = 1,
    chips: int = 1,
    max_memory: str | int | None = None,
    command: str = "",
    say: Say = lambda text: None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Quantize for a chip, measure what is left, and search for a recipe where one is asked for.

    Args:
        graph, chip, data, dialect, dt, settings, input, decode: see `deploy`.
        allow_skew, slow, chips, max_memory, command, say, progress: see `deploy`.
        out: file for the image, as `compile` writes it; only where the target is reached.
        recipe: how; a search keeps what it says and varies the rest.
        calibration: other data to choose scales, roundings and recipes on, so that what is
            measured on `data` owes nothing to luck; by default the same.
        target_agreement: share of cells, 0 to 1, that have to agree in every population.
        target_accuracy: share of samples, 0 to 1; or what may be lost of the reference's
            accuracy, as -0.005.
        explore: return the recipes that no other one beats.
        budget_memory: most synaptic memory, in bits, or with a unit of bytes, as `32KiB`.
        budget_cores: most cores.

    Returns:
        Plain values, as `spikeport quantize --json` prints them.

    Raises:
        SpikeportError: wrong input, a budget below what any recipe takes, or a chip that takes
            no recipe.
    """
    path = None if out is None else check_file(Path(out))
    given = prepare(
        graph, str(getattr(chip, "name", chip)), data, dialect=dialect, dt=dt, settings=settings,
        input=input, decode=decode, allow_skew=allow_skew, slow=slow, chips=chips,
        backends_wanted=["emulator"], max_memory=max_memory,
        command=command or "spikeport quantize", say=say,
    )  # fmt: skip
    asked = read_asked(target_agreement, target_accuracy, explore, budget_memory, budget_cores)
    target = chip if isinstance(chip, Chip) else backends.find_chip(str(chip))
    _check_chip(target, given, asked)
    other = None if calibration is None else read_data(calibration, given.net, input)
    if other is not None:
        check_calibration(other)
    check_target(asked, given, other or given.data)
    bench = _bench(given, target, other or given.data, recipe, asked)
    found = (
        _searched(bench, recipe, asked, progress)
        if asked.searches
        else _measured(bench, recipe, progress)
    )
    result = {
        "spikeport": __version__,
        "graph": given.net.name,
        "chip": target.name,
        "samples": given.data.samples,
        "steps": given.data.steps,
        "decode": decode,
        "calibrated_on": "the same data" if other is None else "other data",
        "calibration_samples": _looked_at(bench, found.trial.recipe, other or given.data),
        **_whole(bench, found),
        "target": found.target,
        "explore": found.table,
        "interrupted": found.interrupted,
        "out": None,
        "command": command,
    }
    reached = found.target is None or found.target["reached"]
    if path is not None and reached and not found.interrupted:
        save_image(found.image, path)
        result |= {"out": str(path), "bytes": path.stat().st_size}
    return result


def _check_chip(chip: Chip, given: Prepared, asked: Asked) -> None:
    """Refuse chips that hold no integers, or take no recipe."""
    check_runs(chip, given)
    if chip.arithmetic == "float":
        raise LoweringError(
            f"there is nothing to quantize for {chip.name}",
            "a processor runs the float network as it is",
            "choose a chip with integers: --chip loihi1",
        )
    if asked.searches and chip.arithmetic in ARITHMETICS:
        retimed_for(given, chip)  # what it cannot run at all comes first
        raise LoweringError(
            f"{chip.name} takes no recipe",
            f"its arithmetic ({chip.arithmetic}) leaves one way of quantizing, its own",
            "leave out --explore and the target: the one way is measured",
        )


def _bench(
    given: Prepared, chip: Chip, calibration: Data, recipe: Recipe | None, asked: Asked
) -> Bench:
    looks = recipe is not None and recipe.looks_at_outputs
    retimed = retimed_for(given, chip)
    wants = looks or (asked.searches and calibration.kind != "current")
    return Bench(given, chip, retimed, calibration, wants)


def _looked_at(bench: Bench, recipe: Recipe | None, data: Data) -> dict[str, int | None]:
    """Return on how many samples scales were chosen, and what looks at outputs where it did."""
    looks = recipe is not None and recipe.looks_at_outputs and bench.seen is not None
    return {
        "scales": data.samples,
        "outputs": bench.seen.traces.samples if looks and bench.seen is not None else None,
    }


@dataclass(frozen=True, eq=False)
class _Found:
    """The recipe that is shown, and what else a search found.

    Attributes:
        trial: on all samples, unless it was interrupted.
        image: what it measured.
        interrupted: was the search, or the last run.
        target, table: of the search, as plain values.
    """

    trial: Trial
    image: Image
    interrupted: bool = False
    target: dict[str, Any] | None = None
    table: dict[str, Any] | None = None


def _measured(bench: Bench, recipe: Recipe | None, progress: Progress) -> _Found:
    """Run one recipe on all samples."""
    image = bench.image(recipe)
    return _Found(_on_all(bench, image, recipe, progress), image)


def _on_all(bench: Bench, image: Image, recipe: Recipe | None, progress: Progress) -> Trial:
    return bench.measure(
        image, recipe, bench.final,
        lambda done, total: progress("emulator", done, total),
    )  # fmt: skip


def _searched(bench: Bench, recipe: Recipe | None, asked: Asked, progress: Progress) -> _Found:
    check_reachable(asked, bench)
    goal = goal_on(asked, bench, bench.some)
    search = Search(
        bench, recipe or Recipe(), goal, lambda done, total: progress("recipes", done, total)
    )
    search.run()
    if asked.table:
        return _table(bench, search, progress)
    return _cheapest(bench, search, asked, progress)


def _confirmed(bench: Bench, trial: Trial, search: Search, progress: Progress) -> _Found:
    """Run a recipe that few samples spoke for on all of them."""
    image = bench.image(trial.recipe)
    if search.interrupted or bench.some is bench.final:
        return _Found(trial, image, search.interrupted)
    try:
        return _Found(_on_all(bench, image, trial.recipe, progress), image)
    except KeyboardInterrupt:
        return _Found(trial, image, True)


def _table(bench: Bench, search: Search, progress: Progress) -> _Found:
    """Return the rows that nothing beats, and the best within the budget, run on all samples."""
    goal, trials = search.goal, search.trials
    held = [each for each in trials if goal.held(each)]
    if not held and not search.interrupted:
        raise _too_small(trials, goal)
    front = _telling(best_of(trials, goal.order), goal)
    best = min(held, key=goal.order, default=None)
    if best is not None and best not in front:
        front = sorted([*front, best], key=lambda each: each.memory)
    table = {
        "samples": bench.some.samples,
        "tried": len(search.done),
        "rows": [_brief(each) for each in front],
        "best": None if best is None else front.index(best),
        "budget": {"memory_bits": goal.memory, "cores": goal.cores},
        "sensitivity": [
            {
                "projection": each.projection,
                "plain": _brief(each.plain),
                "held": {str(wish): _brief(trial) for wish, trial in each.rows.items()},
            }
            for each in search.sensitivity
        ],
    }
    return replace(_confirmed(bench, best or front[-1], search, progress), table=table)


def _telling(front: list[Trial], goal: Goal) -> list[Trial]:
    """Return the rows that differ by more than noise: each loses clearly less than the last."""
    found = front[:1]
    for each in front[1:]:
        last = next((row for row in reversed(found) if row.cores <= each.cores), None)
        if last is None or goal.order(each) <= TELLING * goal.order(last):
            found.append(each)
    return found


def _too_small(trials: list[Trial], goal: Goal) -> LoweringError:
    least = min(trials, key=lambda each: each.memory)
    fewest = min(trials, key=lambda each: (each.cores, each.memory))
    asked = [f"{goal.memory} bits of synaptic memory"] if goal.memory is not None else []
    asked += [counted(goal.cores, "core")] if goal.cores is not None else []
    return LoweringError(
        f"no recipe takes at most {' and '.join(asked)}",
        f"the smallest takes {least.memory} bits on {counted(least.cores, 'core')}, "
        f"the one with the fewest cores {fewest.memory} bits on {counted(fewest.cores, 'core')}",
        f"--budget-memory {fewest.memory} --budget-cores {fewest.cores}, or a smaller network",
    )


def _cheapest(bench: Bench, search: Search, asked: Asked, progress: Progress) -> _Found:
    """Return the cheapest recipe that reaches the target on all samples, or the nearest."""
    goal, on_all = search.goal, goal_on(asked, bench, bench.final)
    front = best_of(search.trials, goal.order)
    likely = [each for each in front if goal.reached(each)][:CONFIRMED]
    tried = []
    for each in likely or [min(front, key=goal.order)]:
        tried.append(_confirmed(bench, each, search, progress))
        if tried[-1].interrupted or on_all.reached(tried[-1].trial):
            break
    found = min(tried, key=lambda each: (not on_all.reached(each.trial), on_all.order(each.trial)))
    reached = on_all.reached(found.trial)
    target = {
        "by": "accuracy" if goal.by_accuracy else "agreement",
        "wanted": 1 - (on_all.loss or 0.0),
        "got": 1 - on_all.lost(found.trial),
        "reached": reached,
        "tried": len(search.done),
        "limited_by": [] if reached or found.interrupted else _limits(bench, found.image),
    }
    return replace(found, target=target)


def _limits(bench: Bench, image: Image) -> list[dict[str, Any]]:
    """Return what is left to lose with the nearest recipe, ranked; empty where nobody knows."""
    given = bench.given
    found = attribute(bench.retimed, image, given.data, given.labels, given.decode)
    rows = [{key: row[key] for key in ("cause", "object", "low", "high")} for row in found["rows"]]
    return [row | {"different": found["different"]} for row in rows[:LIMITS] if row["high"] > 0]


def _brief(trial: Trial) -> dict[str, Any]:
    """Return one row of a table."""
    name, worst = trial.worst
    return {
        "memory_bits": trial.memory,
        "synapses": trial.synapses,
        "cores": trial.cores,
        "agreement": worst,
        "population": name,
        "accuracy": trial.accuracy,
        "same_class": trial.classes,
        "samples": trial.samples,
        "options": options_of(trial.recipe),
    }


def _plain_memory(bench: Bench) -> int | None:
    """Return what the default recipe takes; None where the network does not fit so."""
    try:
        return memory_of(bench.image(None))
    except FitError:
        return None


def _whole(bench: Bench, found: _Found) -> dict[str, Any]:
    """Return everything that was measured of the recipe that is shown."""
    trial, image = found.trial, found.image
    wishes = trial.recipe or Recipe()
    plain = _plain_memory(bench)
    bits = memory_by_projection(image)
    losses = {r["object"]: r for r in image.program.losses if r["what"] == "weights"}
    lists = Counter(each.projection for each in image.program.synapses)
    weights = [
        {
            "projection": name,
            "held": str(losses[name]["bits"] if wishes.wish(name) == Wish() else wishes.wish(name)),
            "bits": losses[name]["bits"],
            "lists": lists[name],
            "error": losses[name]["relative"],
            "memory_bits": bits[name],
        }
        for name in losses
        if name in bits
    ]
    return {
        "measured": _brief(trial)
        | {"reference_accuracy": bench.accuracy(bench.some if found.interrupted else bench.final)},
        "populations": [
            {
                "name": name,
                "agreement": trial.agreement.get(name),
                "cells": each.cells,
                "different": each.different,
                "spikes_reference": each.spikes_expected,
                "spikes": each.spikes_got,
                "overflows": trial.overflows.get(name, 0),
            }
            for name, each in trial.parity.populations.items()
        ],
        "analog": {name: vars(each) for name, each in trial.parity.analog.items()},
        "overflows": dict(trial.overflows),
        "weights": weights,
        "price": {"plain_memory_bits": plain, "times": trial.memory / plain if plain else None},
        "latency_steps": image.program.lags[image.program.output],
        "notes": list(image.program.notes),
    }
