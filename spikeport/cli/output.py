"""What every command ends with: JSON on stdout, messages on stderr, an exit code."""

from __future__ import annotations

import json
import sys
from typing import Any


def emit(plain: Any) -> None:
    """Print plain values as JSON."""
    json.dump(plain, sys.stdout, indent=1, allow_nan=False, default=str)
    sys.stdout.write("\n")


def print_ran(plain: dict[str, Any]) -> None:
    """Print what `run` returns: totals, and where the arrays are."""
    for name, row in plain["populations"].items():
        print(f"{name}: {row['spikes']} spikes, lag {row['lag']}")
    for name in plain["analog"]:
        print(f"{name}: analog, {'nothing is' if plain['out'] is None else 'its v is'} written")
    if plain["out"] is not None:
        print(f"wrote {plain['out']}")


def say(text: str) -> None:
    """Print a message on stderr."""
    from spikeport.compiler.errors import printable

    sys.stderr.write("".join(f"{printable(line)}\n" for line in text.splitlines()))


def verdict_of(result: dict[str, Any]) -> int:
    """Return 1 where Lava and the emulator differ or a budget is broken, and say so."""
    lava = result["parity"]["lava_vs_emulator"]
    budget = result["budget"]
    if lava is not None and lava["different"]:
        say(f"error: emulator and Lava differ in {lava['different']} of {lava['cells']} cells")
        return 1
    if budget is not None and not budget["passed"]:
        for item in budget["items"]:
            if not item["ok"]:
                say(
                    f"error: budget broken: {item['name']}: old {item['old']}, new {item['new']}, "
                    f"limit {item['limit']}"
                )
        return 1
    return 0


def worst_of(result: dict[str, Any]) -> int:
    """Return 2 where no chip takes the network, 1 where Lava differs or a budget is broken."""
    if not any(row["fits"] for row in result["chips"]):
        say("error: no chip takes the network")
        return 2
    broken = [row["chip"] for row in result["chips"] if row["broken"]]
    for name in broken:
        say(f"error: {name}: Lava differs, or a budget is broken; see its report")
    return 1 if broken else 0
