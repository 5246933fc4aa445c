"""Cases of how nodes are put together: nested graphs, loops, merges, several Inputs and Outputs."""

from __future__ import annotations

from collections.abc import Iterator

import nir
import numpy as np

from hw_tests.contract.conformance.case import DT, Case, Draft
from hw_tests.generate.nest import enclose

N = 6


def structure_cases() -> Iterator[Case]:
    """Yield the cases."""
    yield _recurrent("nested, with its recurrence", ("part",))
    yield _recurrent("nested twice", ("part", "whole"))
    yield _recurrent("nested, one-to-one recurrence", ("part",), one_to_one=True)
    yield _self_loop()
    yield _loop()
    yield _merge()
    yield _residual()
    yield _skip()
    yield _branch()
    yield _inputs()
    yield _several_outputs()
    yield _output_of_a_sum()
    yield _output_of_a_matrix()
    yield _output_of_an_input()


def _dense(draft: Draft, source: str, size: int = N) -> str:
    (before,) = draft.sketch.gives[source]
    weight = draft.rng.normal(0.4, 0.5, (size, before))
    return draft.sketch.add("m", nir.Linear(weight), (before,), (size,), source)


def _recurrent(variant: str, names: tuple[str, ...], one_to_one: bool = False) -> Case:
    draft = Draft("NIRGraph", variant)
    first = draft.lif(_dense(draft, draft.input((N,))), "first")
    if one_to_one:
        factor = nir.Scale(draft.rng.normal(0, 0.5, N))
        back = draft.sketch.add("back", factor, (N,), (N,), first)
    else:
        back = _dense(draft, first)
    draft.sketch.join(back, first)
    draft.output(draft.lif(_dense(draft, first), "second"))
    part = {first, back}
    for name in names:
        if not enclose(draft.sketch, part, name):
            raise ValueError(f"{part} cannot be enclosed")
        part = {name, "m"} & set(draft.sketch.nodes)
    return draft.case()


def _self_loop() -> Case:
    draft = Draft("NIRGraph", "a population that feeds itself, without a node between")
    first = draft.lif(_dense(draft, draft.input((N,))), "first")
    draft.sketch.join(first, first)
    draft.output(first)
    return draft.case()


def _loop() -> Case:
    draft = Draft("NIRGraph", "a loop of three populations")
    last = draft.input((N,))
    names = []
    for name in ("first", "second", "third"):
        names.append(draft.lif(_dense(draft, last), name))
        last = names[-1]
    late = draft.sketch.add("late", nir.Delay(np.full(N, 2 * DT)), (N,), (N,), last)
    draft.sketch.join(_dense(draft, late), names[0])
    draft.output(last)
    return draft.case()


def _merge() -> Case:
    draft = Draft("NIRGraph", "a merge of three paths")
    start = draft.input((N,))
    paths = [draft.lif(_dense(draft, start), name) for name in ("one", "two")]
    end = _dense(draft, paths[0])
    draft.sketch.join(paths[1], end)
    last = draft.lif(end, "last")
    draft.sketch.join(start, last)
    draft.output(last)
    return draft.case()


def _residual() -> Case:
    draft = Draft("NIRGraph", "a residual connection around a population")
    first = draft.lif(draft.input((N,)), "first")
    second = draft.lif(_dense(draft, first), "second")
    last = draft.lif(_dense(draft, second), "last")
    draft.sketch.join(first, last)
    draft.output(last)
    return draft.case()


def _skip() -> Case:
    draft = Draft("NIRGraph", "a skip over four populations")
    start = last = draft.input((N,))
    for k in range(4):
        last = draft.lif(_dense(draft, last), f"n{k}")
    end = draft.lif(_dense(draft, last), "end")
    draft.sketch.join(_dense(draft, start), end)
    draft.output(end)
    return draft.case()


def _branch() -> Case:
    draft = Draft("NIRGraph", "a branch to three populations")
    first = draft.lif(draft.input((N,)), "first")
    fork = _dense(draft, first)
    for name in ("one", "two", "three"):
        draft.output(draft.lif(fork, name), f"out {name}")
    return draft.case()


def _inputs() -> Case:
    draft = Draft("Input", "three of different shapes")
    image = draft.chains.flat(draft.input((2, 3, 4), "image"))
    joined = draft.lif(image, "joined")
    (size,) = draft.sketch.gives[joined]
    draft.sketch.join(_dense(draft, draft.input((3,), "vector"), size), joined)
    draft.sketch.join(draft.input((size,), "straight"), joined)
    draft.output(joined)
    return draft.case()


def _several_outputs() -> Case:
    draft = Draft("Output", "three, at different depths")
    last = draft.input((N,))
    for k in range(3):
        last = draft.lif(_dense(draft, last), f"n{k}")
        draft.output(last, f"out{k}")
    return draft.case()


def _output_of_a_sum() -> Case:
    draft = Draft("Output", "of two populations")
    start = draft.input((N,))
    out = draft.output(draft.lif(_dense(draft, start), "one"))
    draft.sketch.join(draft.lif(_dense(draft, start), "two"), out)
    return draft.case()


def _output_of_a_matrix() -> Case:
    draft = Draft("Output", "of a matrix behind a population")
    first = draft.lif(_dense(draft, draft.input((N,))), "first")
    draft.output(_dense(draft, first, 3))
    return draft.case()


def _output_of_an_input() -> Case:
    draft = Draft("Output", "of an Input, through a Scale")
    start = draft.input((N,))
    draft.output(draft.lif(start), "out")
    factor = nir.Scale(draft.rng.uniform(0.5, 2.0, N))
    draft.output(draft.sketch.add("scale", factor, (N,), (N,), start), "scaled")
    return draft.case()
