"""LIF and IF on a chip whose current never ends at once: an echo takes back what is left.

A current that keeps half of itself per step still has W / 2 of a spike in the next one. A relay
that repeats the spike one step later brings exactly that, with the other sign:

    before: pre --W--> post                      v sees W s[t]
    after:  pre --W--> post,  pre -> pre.echo --(-W/2)--> post
            u[t] = u[t-1] / 2 + W s[t] - W / 2 s[t-1] = W s[t]

Exact in integers too: what arrives is even, so nothing is rounded. The price is a hidden neuron
for each neuron that sends, and as many synapses again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked, Population, Projection
from spikeport.compiler.passes.wires import passing_on
from spikeport.compiler.quantize.xylo.relays import KINDS


def add_echoes(clocked: Clocked) -> tuple[Clocked, frozenset[str], frozenset[str]]:
    """Return the network with echoes, the populations whose current they end, and the echoes.

    Args:
        clocked: retimed to delays of one step between neurons.
    """
    instant = frozenset(name for name in clocked.neurons if _is_instant(clocked.populations[name]))
    echoes: dict[tuple[str, int], str] = {}
    taken = set(clocked.populations)
    projections: list[Projection] = []
    for each in clocked.projections:
        projections.append(each)
        if each.post not in instant:
            continue
        key = each.pre, each.delay
        if key not in echoes:
            echoes[key] = _free(f"{each.pre}.echo", taken)
            size = clocked.populations[each.pre].size
            picked = sp.identity(size, format="csr")
            projections.append(
                Projection(f"{echoes[key]}.in", each.pre, echoes[key], picked, each.delay)
            )
        back = each.matrix * -0.5
        projections.append(Projection(f"{each.name}.echo", echoes[key], each.post, back, 1))
    populations, lags = {}, {}
    for name, pop in clocked.populations.items():
        cell = pop.membrane
        if name in instant:
            half = np.full(pop.size, 0.5)
            cell = replace(pop.cell, has_current=True, keep_u=half)
        populations[name], lags[name] = replace(pop, membrane=cell), clocked.lags[name]
        for (pre, _), echo in echoes.items():
            if pre == name:
                relay = passing_on(pop.size, "count")
                populations[echo] = Population("Relay", (pop.size,), relay, "count")
                lags[echo] = clocked.lags[name]
    notes = []
    if instant:
        size = sum(populations[echo].size for echo in echoes.values())
        notes.append(
            f"{', '.join(sorted(instant))}: no synaptic current lasts, so {size} relay neurons "
            "take back what the chip's current keeps of each spike"
        )
    found = replace(
        clocked,
        populations=populations,
        projections=tuple(projections),
        lags=lags,
        notes=(*clocked.notes, *notes),
    )
    return found, instant, frozenset(echoes.values())


def _is_instant(pop: Population) -> bool:
    if pop.kind in KINDS or not pop.cell.spiking:
        return False
    return not pop.cell.has_current or not pop.cell.keep_u.any()


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name
