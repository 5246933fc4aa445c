"""What cores hold, in words: names of resources, and the memory among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikeport.pages.units import NONE, SPACE, count, percent

#: Resources that have a better name than their key.
WORDS = {
    "synaptic_memory_bits": "synaptic memory, bit",
    "in_axons": "in-axons",
    "out_axons": "out-axons",
}
#: Resources that are memory -> bytes of one, or None where its words are counted.
MEMORY: Mapping[str, float | None] = {
    "synaptic_memory_bits": 1 / 8,
    "weight_bytes": 1,
    "input_bytes": 1,
    "kernel_entries": None,
    "neuron_entries": None,
    "bias_entries": None,
}


def spoken_resource(name: str) -> str:
    """Return a resource's name as words.

    >>> spoken_resource("in_axons"), spoken_resource("kernel_entries")
    ('in-axons', 'kernel entries')
    """
    return WORDS.get(name, name.replace("_", " "))


def memory_words(resources: Mapping[str, Any]) -> str:
    """Return how much memory is used, in bytes where words have a width; a dash where none is.

    >>> memory_words({"synaptic_memory_bits": 81920}).replace(SPACE, " ")
    '10.0 KiB'
    """
    said = []
    for name, bytes_each in MEMORY.items():
        used = resources.get(name)
        if not used:
            continue
        if bytes_each is None:
            said.append(f"{count(used)} {spoken_resource(name)}")
        else:
            beside = "" if name == "synaptic_memory_bits" else f" {name.split('_')[0]}"
            said.append(f"{used * bytes_each / 1024:.1f}{SPACE}KiB{beside}")
    return ", ".join(said) or NONE


def total_words(name: str, value: Any) -> str:
    """Return one total of `Image.resources`: a share for the fullest core, else a count."""
    return percent(value) if name == "fullest_core" else count(value)


def fullest(cores: Any) -> tuple[str, Any, Any, Any] | None:
    """Return (resource, used, limit, core) of the largest share of any limit, or None."""
    found: tuple[float, tuple[str, Any, Any, Any]] | None = None
    for core in cores:
        for name, most in (core.get("limits") or {}).items():
            used = core.get(name)
            if not most or used is None:
                continue
            if found is None or used / most > found[0]:
                found = used / most, (name, used, most, core.get("core"))
    return None if found is None else found[1]
