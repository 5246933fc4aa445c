"""Projections between the same neurons in the same step, as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.clocked import Clocked, Projection


def merge_parallel(clocked: Clocked) -> Clocked:
    """Return the network with one projection per (source, target, delay).

    Chips that store one weight per pair of neurons (a kernel, a crossing, a matrix) must round
    the sum: rounded one by one, parallel paths could add up to more than a weight can hold.

        before: a --W1--> b,  a --W2--> b
        after:  a --W1 + W2--> b
    """
    groups: dict[tuple[str, str, int], list[Projection]] = {}
    for each in clocked.projections:
        groups.setdefault((each.pre, each.post, each.delay), []).append(each)
    return replace(clocked, projections=tuple(_summed(*group) for group in groups.values()))


def _summed(first: Projection, *others: Projection) -> Projection:
    if not others:
        return first
    matrix = first.matrix
    for each in others:
        total = matrix + each.matrix
        matrix = total if sp.issparse(total) else np.asarray(total)
    name = "+".join(each.name for each in (first, *others))
    return replace(first, name=name, matrix=matrix, conv=None)
