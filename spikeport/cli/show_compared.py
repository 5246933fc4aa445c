"""What `compare` prints for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.compiler.errors import counted, printable


def print_compared(plain: Mapping[str, Any]) -> None:
    """Print what `compare` found, node by node or tool by tool."""
    if "recordings" in plain:
        _print_recordings(plain)
        return
    if "auto" in plain:
        _print_found(plain["auto"], plain["nodes"])
    for name, node in plain["nodes"].items():
        print(printable(f"{name}: {_verdict(node)}"))
        _print_first(node)
        if node["hint"]:
            print(f"  hint: {node['hint']}")
    if plain["not_compared"]:
        print(printable(f"not compared (no array): {', '.join(plain['not_compared'])}"))
    if plain["assumed"] and "auto" not in plain:
        print(f"assumed: {', '.join(plain['assumed'])} (--set FIELD=VALUE changes them)")


def _verdict(node: Mapping[str, Any]) -> str:
    verdict = "equal" if not node["different"] else f"{node['different']} different"
    return f"{node['cells']} cells, {verdict} ({node['spikes_expected']} spikes)"


def _print_first(node: Mapping[str, Any]) -> None:
    first = node["first_difference"]
    if first is not None:
        print(
            f"  first: neuron {first['neuron']}, step {first['step']}, sample "
            f"{first['sample']}: expected {first['expected']:g}, reference {first['reference']:g}"
        )


def _print_found(auto: Mapping[str, Any], nodes: Mapping[str, Any]) -> None:
    """Print the setting, what else would do, and whether it reproduces at all."""
    flags = printable(" ".join(auto["flags"]))
    share = 1 - auto["different"] / auto["cells"] if auto["cells"] else 0.0
    if auto["exact"] and auto["silent"] == list(nodes):
        print(
            f"nothing is told: the recording has no spike, and identifies no tool ({flags} is "
            f"silent too, in all {auto['cells']} cells)"
        )
    elif auto["exact"]:
        print(f"found: {flags} reproduces all {auto['cells']} cells")
    else:
        print(
            f"none of {counted(auto['tried'], 'setting')} reproduces the recording; the nearest, "
            f"{flags}, agrees in {share:.2%} of {auto['cells']} cells"
        )
    if auto["silent"] and auto["silent"] != list(nodes):
        print(printable(f"  without a spike, so hardly told: {', '.join(auto['silent'])}"))
    for sentence in auto["supplied"]:
        print(printable(f"  supplied: {sentence}"))
    for name, values in auto["ties"].items():
        shown = ", ".join("none" if value is None else str(value) for value in values)
        print(f"  {name} does not matter on this data ({shown})")
    if auto["other_tools"]:
        print(f"  the same as: {printable('; '.join(auto['other_tools']))}")
    print(f"  again: {printable(auto['command'])}")


def _print_recordings(plain: Mapping[str, Any]) -> None:
    for key, row in plain["recordings"].items():
        auto = row["auto"]
        share = 1 - row["different"] / row["cells"]
        turned = ", transposed in the file" if row["transposed"] else ""
        turned += ", no spike: identifies no tool" if auto["silent"] else ""
        print(
            printable(
                f"{key}: {_verdict(row)}, {share:.2%} agree, under "
                f"{' '.join(auto['flags'])}{turned}"
            )
        )
        _print_first(row)
    for key, why in plain["skipped"].items():
        print(printable(f"{key}: left out ({why})"))
    if plain["note"]:
        print(printable(f"note: {plain['note']}"))
