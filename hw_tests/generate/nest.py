"""Put parts of a flat graph into nested NIRGraphs, without changing what it means."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from hw_tests.generate.sketch import Sketch


def nest(rng: np.random.Generator, sketch: Sketch, name: str) -> bool:
    """Move a few neighbouring nodes into a nested graph called `name`; was there a place."""
    return any(enclose(sketch, _grown(rng, sketch), name) for _ in range(8))


def enclose(sketch: Sketch, part: set[str], name: str) -> bool:
    """Move these nodes into a nested graph called `name`; False where that cannot be said in NIR.

    What enters the part must enter the same nodes of it, and what leaves it must come from
    all that leave it: an edge to or from a nested graph means its only Input or Output. The
    part's nodes are called `name.NODE` once it is opened; `sketch.rules` is renamed likewise.
    """
    entries, exits = _entries(sketch, part), _exits(sketch, part)
    if not entries or not exits:
        return False
    _enclose(sketch, part, entries, exits, name)
    return True


def _grown(rng: np.random.Generator, sketch: Sketch) -> set[str]:
    """Return a few neighbouring nodes, no Input or Output among them."""
    names = [n for n in sketch.nodes if not isinstance(sketch.nodes[n], (nir.Input, nir.Output))]
    part = {str(rng.choice(names))}
    for _ in range(rng.integers(0, 5)):
        near = {b for a, b in sketch.edges if a in part} | {a for a, b in sketch.edges if b in part}
        near = (near & set(names)) - part
        if near:
            part.add(str(rng.choice(sorted(near))))
    return part


def _entries(sketch: Sketch, part: set[str]) -> list[str]:
    """Return the nodes that everything from outside enters; [] where that differs."""
    enters = {(a, b) for a, b in sketch.edges if b in part and a not in part}
    first = {a for a, _ in enters}
    second = {b for _, b in enters}
    return sorted(second) if len(enters) == len(first) * len(second) else []


def _exits(sketch: Sketch, part: set[str]) -> list[str]:
    """Return the nodes from which everything leaves; [] where that differs."""
    leaves = {(a, b) for a, b in sketch.edges if a in part and b not in part}
    first = {a for a, _ in leaves}
    second = {b for _, b in leaves}
    return sorted(first) if len(leaves) == len(first) * len(second) else []


def _enclose(
    sketch: Sketch, part: set[str], entries: list[str], exits: list[str], name: str
) -> None:
    takes, gives = sketch.takes[entries[0]], sketch.gives[exits[0]]
    inner: dict[str, Any] = {
        "input": nir.Input({"input": np.array(takes)}),
        **{each: sketch.nodes[each] for each in sketch.nodes if each in part},
        "output": nir.Output({"output": np.array(gives)}),
    }
    edges = [("input", each) for each in entries]
    edges += [(a, b) for a, b in sketch.edges if a in part and b in part]
    edges += [(each, "output") for each in exits]
    outer = dict.fromkeys(
        (name if a in part else a, name if b in part else b)
        for a, b in sketch.edges
        if not (a in part and b in part)
    )
    sketch.nodes = {each: node for each, node in sketch.nodes.items() if each not in part}
    sketch.nodes[name] = nir.NIRGraph(inner, edges, type_check=False)
    sketch.edges = list(outer)
    sketch.takes[name], sketch.gives[name] = takes, gives
    sketch.rules = {
        f"{name}.{each}" if _lies_in(part, each) else each: said
        for each, said in sketch.rules.items()
    }


def _lies_in(part: set[str], opened: str) -> bool:
    """Is the node of this name, as it is once everything is opened, in the part."""
    return opened in part or any(opened.startswith(f"{each}.") for each in part)
