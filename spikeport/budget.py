"""Budgets: what a CI build must not exceed, against numbers or against an old report."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeport.compiler.errors import DataError

LARGEST_BASELINE = 64 << 20  # bytes
METRICS: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("accuracy", "emulator"),
    "accuracy_reference": ("accuracy", "reference"),
    "energy": ("energy", "joules_per_sample"),
    "energy_total": ("energy", "total_joules_per_sample"),
    "time": ("time", "latency", "seconds"),
    "energy_delay": ("time", "energy_delay", "joule_seconds"),
    "latency": ("latency_steps",),
    "cores": ("resources", "cores"),
    "synaptic_memory": ("resources", "synaptic_memory_bits"),
    "different": ("parity", "emulator_vs_reference", "different"),
}


#: Those that a chip without figures has nothing to say about.
PRICED = ("energy", "energy_total", "time", "energy_delay")


@dataclass(frozen=True)
class Budget:
    """One condition that fails the build.

    Attributes:
        metric: name from `METRICS`.
        sign: `<` or `>`.
        number: the limit, or the factor on the baseline's value where `relative`.
    """

    metric: str
    sign: str
    number: float
    relative: bool


def parse_budget(text: str) -> tuple[Budget, ...]:
    """Return the conditions of `accuracy<0.97,energy>1.05x`.

    Raises:
        DataError: malformed, or an unknown metric.

    >>> parse_budget("energy>1.05x")
    (Budget(metric='energy', sign='>', number=1.05, relative=True),)
    """
    found = []
    for item in (part.strip() for part in text.split(",") if text):
        match = re.fullmatch(r"(\w+)\s*([<>])\s*([0-9.eE+-]+)(x?)", item)
        number = _number(match.group(3)) if match else math.nan
        if match is None or match.group(1) not in METRICS or not math.isfinite(number):
            raise DataError(
                f"cannot read the budget {item!r}",
                "it is a metric, < or >, and a number or a factor (1.05x); metrics: "
                + ", ".join(METRICS),
                "--fail-on 'accuracy<0.97,energy>1.05x'",
            )
        found.append(Budget(match.group(1), match.group(2), number, bool(match.group(4))))
    return tuple(found)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def read_baseline(path: str | Path | None, budget: tuple[Budget, ...]) -> dict[str, Any] | None:
    """Return an old report.json.

    Raises:
        DataError: missing although a condition is relative, or not a report.
    """
    if path is None:
        relative = [each for each in budget if each.relative]
        if relative:
            raise DataError(
                f"{relative[0].metric} is compared with an old value, and there is none",
                "a budget that ends in x is a factor on the baseline",
                "add --baseline OLD/report.json",
            )
        return None
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_BASELINE:
            raise ValueError("it is larger than 64 MiB")
        content = json.loads(path.read_text("utf8"))
        if not isinstance(content, dict) or "accuracy" not in content or "energy" not in content:
            raise ValueError("it is no report of spikeport")
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(
            f"cannot read the baseline {path.name}", str(why)[:200],
            "give the report.json of an earlier spikeport deploy",
        ) from None  # fmt: skip
    if not budget:
        raise DataError(
            f"the baseline {path.name} is not compared with anything",
            "nothing says what may not get worse",
            "add --fail-on 'accuracy<0.97,energy>1.05x'",
        )
    return content


def judge(
    budget: tuple[Budget, ...], result: Mapping[str, Any], old: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return {"passed", "items"} with old value, new value and limit of each condition."""
    items = []
    for each in budget:
        new, before = _value(result, each.metric), _value(old or {}, each.metric)
        limit = each.number if not each.relative else (
            None if before is None else each.number * before
        )  # fmt: skip
        ok = new is not None and limit is not None and not _beyond(new, each.sign, limit)
        items.append(
            {
                "name": f"{each.metric}{each.sign}{each.number:g}{'x' if each.relative else ''}",
                "old": before,
                "new": new,
                "limit": limit,
                "ok": ok,
            }
        )
    return {"passed": all(item["ok"] for item in items), "items": items}


def _beyond(new: float, sign: str, limit: float) -> bool:
    return new < limit if sign == "<" else new > limit


def _value(result: Mapping[str, Any], metric: str) -> float | None:
    value: Any = result
    for key in METRICS[metric]:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
