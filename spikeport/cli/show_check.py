"""What `check` prints for people, of one chip or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spikeport.compiler.errors import counted, printable
from spikeport.pages.side_by_side import MOST_REASONS, brief


def print_check(plain: Mapping[str, Any]) -> None:
    """Print whether a graph fits, every limit that it breaks, and what was not checked."""
    if plain["fits"]:
        print(f"{plain['graph']} fits {plain['chip']}: {resources_words(plain['resources'])}")
    else:
        print(f"{plain['graph']} does not fit {plain['chip']}:")
        for violation in plain["violations"]:
            print(f"  - {violation}")
    for note in plain["notes"]:
        print(f"  {note}")


def print_checked(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print one line per chip, with the first reasons where it does not fit."""
    width = max(len(row["chip"]) for row in rows)
    for row in rows:
        chip, level = printable(row["chip"]), row["level"]
        if row["fits"]:
            said = f"fits: {resources_words(row['resources'])}"
        else:
            reasons = [brief(each) for each in row["violations"]]
            more = len(reasons) - MOST_REASONS
            tail = f"; and {more} more (--json lists all)" if more > 0 else ""
            said = f"does not fit: {'; '.join(reasons[:MOST_REASONS])}{tail}"
        print(f"{chip:<{width}}  {level:<12}  {said}")


def resources_words(resources: Mapping[str, Any]) -> str:
    """Return what is used, in a line.

    >>> resources_words({"cores": 1, "chips": 1, "synapses": 3, "neurons": 2, "axons": 4})
    '1 core, 2 neurons, 4 axons, 3 synapses'
    """
    apart = ("cores", "chips", "synapses", "fullest_core", "synaptic_memory_bits",
             "synaptic_memory_bits_fullest_core", "in_axons", "out_axons")  # fmt: skip
    said = [counted(resources["cores"], "core")]
    if resources.get("chips", 1) > 1:
        said[0] += f" on {resources['chips']} chips"
    for name, value in resources.items():
        if name not in apart and not name.endswith("_configs"):
            said.append(f"{value} {name.replace('_', ' ')}")
    said.append(f"{resources['synapses']} synapses")
    if resources.get("synaptic_memory_bits"):
        said.append(f"{resources['synaptic_memory_bits'] / 8192:.1f} KiB of synaptic memory")
    return ", ".join(said)
