"""What `quantize` prints for people: the recipe, what is left, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeport.compiler.errors import counted


def print_quantized(result: Mapping[str, Any]) -> None:
    """Print the tables of a quantized network; a search's come first."""
    console = Console()
    if result["explore"] is not None:
        _print_explored(console, result)
    _print_populations(console, result)
    _print_weights(console, result)
    for label, value in _facts(result):
        console.print(f"{label}: {escape(value)}", highlight=False)
    for note in result["notes"]:
        console.print(f"note: {escape(note)}", highlight=False)
    if result["out"] is not None:
        console.print(f"wrote {escape(result['out'])} ({result['bytes']} bytes)", highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=escape(title), title_justify="left")
    for column in columns:
        is_text = column in ("population", "projection", "held", "options", "agrees least")
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    return table


def _print_explored(console: Console, result: Mapping[str, Any]) -> None:
    explore = result["explore"]
    tried = f"{explore['tried']} recipes on {counted(explore['samples'], 'sample')} of "
    title = tried + ("the data" if result["calibrated_on"] == "the same data" else "other data")
    sensitivity = _table(
        "One projection held otherwise, all others in one list of all bits",
        "projection", "held", "KiB", "worst agreement", "accuracy",
    )  # fmt: skip
    for row in explore["sensitivity"]:
        for held, each in row["held"].items():
            sensitivity.add_row(
                escape(row["projection"]), held, _kib(each["memory_bits"]),
                _changed(each["agreement"], row["plain"]["agreement"]),
                _changed(each["accuracy"], row["plain"]["accuracy"]),
            )  # fmt: skip
    console.print(sensitivity)
    table = _table(
        f"{title}: no other takes less memory or cores and agrees more",
        "", "KiB", "synapses", "cores", "worst agreement", "agrees least", "accuracy", "options",
    )  # fmt: skip
    for place, each in enumerate(explore["rows"]):
        table.add_row(
            "*" if place == explore["best"] else "", _kib(each["memory_bits"]),
            str(each["synapses"]), str(each["cores"]), _share(each["agreement"]),
            escape(each["population"]), _share(each["accuracy"]), escape(each["options"]),
        )  # fmt: skip
    console.print(table)


def _print_populations(console: Console, result: Mapping[str, Any]) -> None:
    title = f"{result['graph']} on {result['chip']}"
    table = _table(title, "population", "cells that agree", "spikes", "of the reference's")
    for row in result["populations"]:
        table.add_row(
            escape(row["name"]), _share(row["agreement"]), str(row["spikes"]),
            str(row["spikes_reference"]),
        )  # fmt: skip
    if result["populations"]:
        console.print(table)
    for name, each in result["analog"].items():
        apart = f"{each['rms_difference']:.3g} of {each['rms_expected']:.3g}"
        console.print(f"v of {escape(name)} differs by {apart} (root mean squares)")


def _print_weights(console: Console, result: Mapping[str, Any]) -> None:
    table = _table("Weights", "projection", "held", "bits", "lists", "error", "KiB")
    for row in result["weights"]:
        table.add_row(
            escape(row["projection"]), row["held"], str(row["bits"]), str(row["lists"]),
            f"{row['error']:.2%}", _kib(row["memory_bits"]),
        )  # fmt: skip
    console.print(table)


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    measured, price, target = result["measured"], result["price"], result["target"]
    facts = [
        ("recipe", measured["options"] or "the default"),
        (
            "costs",
            f"{_kib(measured['memory_bits'])} KiB of synaptic memory, {price_words(price)}; "
            f"{measured['synapses']} synapses on {counted(measured['cores'], 'core')}",
        ),
        (
            "measured",
            f"on {_samples(measured['samples'], result['samples'])}; calibrated on "
            f"{calibrated_words(result['calibrated_on'], **result['calibration_samples'])}",
        ),
    ]
    if measured["same_class"] is not None:
        facts.append(("same class", f"{measured['same_class']} of {measured['samples']} samples"))
    if measured["accuracy"] is not None:
        ideal = f"{measured['reference_accuracy']:.2%}"
        facts.append(("accuracy", f"{measured['accuracy']:.2%}, of the reference {ideal}"))
    for name, cells in result["overflows"].items():
        facts.append(("overflow", f"u or v of {name} left its bits {cells} times"))
    if target is not None:
        facts += _target(target)
    return facts


def calibrated_words(data: str, scales: int, outputs: int | None) -> str:
    """Return what was chosen on how many samples of which data.

    >>> calibrated_words("other data", 540, 64)
    'other data: ranges of u and v on 540 samples, what looks at outputs on at most the first 64'
    """
    words = f"{data}: ranges of u and v on {counted(scales, 'sample')}"
    if outputs is None:
        return words
    return f"{words}, what looks at outputs on at most the first {outputs}"


def price_words(price: Mapping[str, Any]) -> str:
    """Return how many times the memory of the default recipe something takes.

    >>> price_words({"times": 1.5}), price_words({"times": None})
    ("1.50 times the plain network's", 'where the plain network does not fit')
    """
    if price["times"] is None:
        return "where the plain network does not fit"
    return f"{price['times']:.2f} times the plain network's"


def _target(target: Mapping[str, Any]) -> list[tuple[str, str]]:
    verdict = "reached" if target["reached"] else "NOT reached"
    facts = [
        (
            "target",
            f"{target['by']} of {target['wanted']:.3%} {verdict}: {target['got']:.3%} "
            f"({target['tried']} recipes tried)",
        )
    ]
    for row in target["limited_by"]:
        share = f"{row['low']:.0%} to {row['high']:.0%} of {row['different']} cells that differ"
        facts.append(("limited by", f"{row['cause']} of {row['object']}: {share}"))
    return facts


def _samples(some: int, all_of_them: int) -> str:
    if some == all_of_them:
        return counted(some, "sample")
    return f"the first {some} of {all_of_them} samples"


def _kib(bits: int) -> str:
    return f"{bits / 8192:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3%}"


def _changed(value: float | None, before: float | None) -> str:
    """Return a share, and by how many points it changed.

    >>> _changed(0.975, 0.98)
    '97.500% (-0.500)'
    """
    if value is None or before is None:
        return "-"
    return f"{value:.3%} ({100 * (value - before):+.3f})"
