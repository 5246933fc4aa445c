"""Do to a Program what the advice of a FitError says, by its words and numbers alone.

    program, chips = follow(program, chips, error.found)

Where an advice leaves a choice (which inputs, which neurons), the last ones go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from spikeport.compiler.errors import Violation
from spikeport.compiler.program import Cell, Program, Synapses

Array = np.ndarray[Any, Any]


def follow(
    program: Program, chips: int, violations: Sequence[Violation | str]
) -> tuple[Program, int]:
    """Return the Program and the number of chips as all of the violations ask for.

    Raises:
        ValueError: an advice that this file does not know.
    """
    for violation in violations:
        if isinstance(violation, str):
            raise ValueError(f"no numbers to follow in {violation!r}")
        if found := re.match(r"--chips (\d+)", violation.fix):
            chips = int(found[1])
        else:
            program = _one(program, violation)
    return program, chips


def _one(program: Program, violation: Violation) -> Program:
    for pattern, act in ADVICE.items():
        if found := re.search(pattern, violation.fix):
            return act(program, violation, *found.groups())
    raise ValueError(f"an advice that nobody can follow: {violation}")


def _population(violation: Violation) -> str:
    """Return the population that a violation is about."""
    quoted = re.findall(r"'([^']*)'", violation.object)
    return str(quoted[-1]) if quoted else violation.object


# --- fewer synapses ----------------------------------------------------------------------------


def keep_inputs(program: Program, violation: Violation, most: str) -> Program:
    """Leave every neuron of the population at most so many synapses that end in it."""
    return _kept(program, int(most), post=_population(violation))


def reach_cores(program: Program, violation: Violation, most: str) -> Program:
    """Leave every neuron of the population so many targets: these are on no more cores."""
    return _kept(program, int(most), pre=_population(violation))


def _kept(program: Program, most: int, **end: str) -> Program:
    (side, name), = end.items()  # fmt: skip
    chosen = [each for each in program.synapses if getattr(each, side) == name]
    axis = 1 if side == "post" else 0
    dense = [each.rows.toarray() for each in chosen]
    count = np.zeros(dense[0].shape[1 - axis], np.int64) if dense else np.zeros(0)
    cut = {}
    for each, matrix in zip(chosen, dense, strict=True):
        before = np.cumsum(matrix != 0, axis=axis) + np.expand_dims(count, axis)
        cut[each.name] = np.where(before <= most, matrix, 0)
        count = count + np.count_nonzero(matrix, axis=axis)
    return _with_matrices(program, cut)


def whole_multiples(program: Program, violation: Violation, low: str, high: str) -> Program:
    """Round the weights into the population to whole multiples of one."""
    post = _population(violation)
    most = max((int(np.abs(s.rows.data).max(initial=0)) for s in program.into(post)), default=0)
    unit = max(-(-most // int(high)), 1)
    cut = {
        each.name: np.clip(np.rint(each.rows.toarray() / unit), int(low), int(high)) * unit
        for each in program.into(post)
    }
    return _with_matrices(program, cut)


def without_edges(program: Program, violation: Violation, *_: str) -> Program:
    """Take out what a readout sends back, or what goes from an input straight to a readout."""
    name, outputs = _population(violation), set(program.outputs.values())

    def goes(each: Synapses) -> bool:
        if "from a readout" in violation.what:
            return each.pre == name
        return each.post == name and each.pre in program.inputs and each.post in outputs

    kept = tuple(each for each in program.synapses if not goes(each))
    return replace(program, synapses=kept)


def one_delay(program: Program, violation: Violation) -> Program:
    """Let every input be read at one delay."""
    first: dict[str, int] = {}
    for each in program.synapses:
        first.setdefault(each.pre, each.delay_steps)
    return replace(program, synapses=tuple(
        replace(each, delay_steps=first[each.pre]) if each.pre in program.inputs else each
        for each in program.synapses
    ))  # fmt: skip


def few_take_input(program: Program, violation: Violation, most: str) -> Program:
    """Let only so many neurons take input: those behind them lose theirs."""
    outputs, left = set(program.outputs.values()), int(most)
    cut = {}
    for name in program.neurons:
        chosen = [e for e in program.into(name) if e.pre in program.inputs and name not in outputs]
        dense = {each.name: each.rows.toarray() for each in chosen}
        takes = np.zeros(program.populations[name].size, bool)
        for matrix in dense.values():
            takes |= matrix.any(axis=1)
        kept = takes & (np.cumsum(takes) <= left)
        left -= int(kept.sum())
        cut |= {key: np.where(kept[:, None], matrix, 0) for key, matrix in dense.items()}
    return _with_matrices(program, cut)


def few_feed_readouts(program: Program, violation: Violation, most: str) -> Program:
    """Let only so many hidden neurons feed the readouts."""
    outputs, left = set(program.outputs.values()), int(most)
    cut = {}
    for name in program.neurons:
        chosen = [e for e in program.synapses if e.pre == name and e.post in outputs]
        dense = {each.name: each.rows.toarray() for each in chosen}
        feeds = np.zeros(program.populations[name].size, bool)
        for matrix in dense.values():
            feeds |= matrix.any(axis=0)
        kept = feeds & (np.cumsum(feeds) <= left)
        left -= int(kept.sum())
        cut |= {key: np.where(kept, matrix, 0) for key, matrix in dense.items()}
    return _with_matrices(program, cut)


def none_does_both(program: Program, violation: Violation, *_: str) -> Program:
    """Let what takes input not feed the readouts: a path through others is left to it."""
    outputs = set(program.outputs.values())
    takes: dict[str, Array] = {}
    for each in program.synapses:
        if each.pre in program.inputs:
            rows = each.rows.toarray().any(axis=1)
            takes[each.post] = takes.get(each.post, np.zeros(rows.size, bool)) | rows
    cut = {
        each.name: np.where(takes[each.pre], 0, each.rows.toarray())
        for each in program.synapses
        if each.post in outputs and each.pre in takes
    }
    return _with_matrices(program, cut)


def _with_matrices(program: Program, cut: dict[str, Array]) -> Program:
    return replace(program, synapses=tuple(
        each.with_mantissa(np.asarray(cut[each.name], np.int32)) if each.name in cut else each
        for each in program.synapses
    ))  # fmt: skip


# --- later -------------------------------------------------------------------------------------


def delay_it(program: Program, violation: Violation, steps: str) -> Program:
    """Shorten the delay of the projection."""
    name = _population(violation)
    return replace(program, synapses=tuple(
        replace(each, delay_steps=int(steps)) if each.name == name else each
        for each in program.synapses
    ))  # fmt: skip


def delay_what_it_sends(program: Program, violation: Violation) -> Program:
    """Send everything one step later."""
    name = _population(violation)
    return replace(program, synapses=tuple(
        replace(each, delay_steps=each.delay_steps + 1) if each.pre == name else each
        for each in program.synapses
    ))  # fmt: skip


# --- fewer neurons -----------------------------------------------------------------------------


def at_most_in(program: Program, violation: Violation, most: str, name: str) -> Program:
    """Keep the first neurons of one population."""
    return with_sizes(program, {name: int(most)})


def take_out(program: Program, violation: Violation, count: str, where: str) -> Program:
    """Take neurons out of a population, or out of several, the largest first."""
    quoted = re.search(r"'([^']*)'", where)
    if quoted:
        return with_sizes(program, {quoted[1]: program.populations[quoted[1]].size - int(count)})
    names = violation.object.split(" and ")
    sizes = {name: program.populations[name].size for name in names}
    return with_sizes(program, _shrunk(sizes, sum(sizes.values()) - int(count)))


def at_most_hidden(program: Program, violation: Violation, most: str) -> Program:
    """Shrink the hidden layers, the largest first, until there are so many neurons in them."""
    sizes = {name: program.populations[name].size for name in violation.object.split(" and ")}
    return with_sizes(program, _shrunk(sizes, int(most)))


def channels(program: Program, violation: Violation, most: str) -> Program:
    """Leave so many inputs, over all delays at which they are read."""
    names = violation.object.split(" and ")
    sizes = {name: program.populations[name].size for name in names}
    read = {n: len({e.delay_steps for e in program.synapses if e.pre == n}) or 1 for n in names}
    while sum(size * read[name] for name, size in sizes.items()) > int(most):
        sizes[max(sizes, key=lambda name: sizes[name])] -= 1
    return with_sizes(program, sizes)


def at_most_neurons(program: Program, violation: Violation, most: str) -> Program:
    """Shrink the largest populations until there are so many neurons in all."""
    sizes = {name: program.populations[name].size for name in program.neurons}
    return with_sizes(program, _shrunk(sizes, int(most)))


def at_most_both(program: Program, violation: Violation, inputs: str, neurons: str) -> Program:
    """The same for inputs and neurons."""
    sizes = {name: program.populations[name].size for name in program.inputs}
    program = with_sizes(program, _shrunk(sizes, int(inputs)))
    return at_most_neurons(program, violation, neurons)


def smaller_layers(program: Program, violation: Violation) -> Program:
    """Shrink all populations by the share that is too much."""
    share = violation.limit / violation.figure
    sizes = {name: program.populations[name].size for name in program.neurons}
    return with_sizes(program, {name: int(size * share) for name, size in sizes.items()})


def fewer_channels(program: Program, violation: Violation, most: str, name: str = "") -> Program:
    """Leave a layer so many channels, and its input too where that is asked for."""
    name = name or _population(violation)
    program = _with_channels(program, name, int(most))
    inputs = re.search(r"give it at most (\d+) input channels?", violation.fix)
    return fewer_inputs(program, violation, inputs[1]) if inputs else program


def fewer_inputs(program: Program, violation: Violation, most: str) -> Program:
    """Leave the layer before so many channels."""
    before = next(e.pre for e in program.into(_population(violation)) if e.pre != "one")
    return _with_channels(program, before, int(most))


def _with_channels(program: Program, name: str, most: int) -> Program:
    each = int(np.prod(program.populations[name].shape[1:]))
    return with_sizes(program, {name: most * each})


def _shrunk(sizes: dict[str, int], most: int) -> dict[str, int]:
    left = dict(sizes)
    while sum(left.values()) > max(most, len(left)):
        left[max(left, key=lambda name: left[name])] -= 1
    return left


def with_sizes(program: Program, sizes: dict[str, int]) -> Program:
    """Return the Program with the first neurons of some populations, one of each at least."""
    kept = {name: max(size, 1) for name, size in sizes.items()}
    populations = dict(program.populations)
    for name, size in kept.items():
        old = populations[name]
        if size >= old.size:
            continue
        cell = old.cell
        if isinstance(cell, Cell):
            arrays = {
                each.name: getattr(cell, each.name)[:size]
                for each in fields(cell)
                if isinstance(getattr(cell, each.name), np.ndarray)
            }
            cell = replace(cell, **arrays)
        each = int(np.prod(old.shape[1:]))  # neurons of a channel
        shape = (size,) if size % each else (size // each, *old.shape[1:])
        populations[name] = replace(old, shape=shape, cell=cell, scale=np.ones(size))
    cut = []
    for each in program.synapses:
        rows, columns = populations[each.post].size, populations[each.pre].size
        matrix = each.mantissa if isinstance(each.mantissa, np.ndarray) else each.rows.toarray()
        cut.append(each.with_mantissa(matrix[:rows, :columns].astype(np.int32)))
    return replace(program, populations=populations, synapses=tuple(cut))


#: Words of an advice, with groups for its numbers -> what is done.
ADVICE: dict[str, Callable[..., Program]] = {
    r"keep at most (\d+) (?:inputs?|of its)": keep_inputs,
    r"let a neuron reach at most (\d+) cores?": reach_cores,
    r"whole multiples of one, from (-\d+) to (\d+) times it": whole_multiples,
    r"take out what '.*' sends back": without_edges,
    r"put a hidden layer between the input and the readout": without_edges,
    r"let no path skip a layer": one_delay,
    r"let at most (\d+) neurons? take": few_take_input,
    r"hidden layer of at most (\d+) neurons? before the output": few_feed_readouts,
    r"let no neuron do both": none_does_both,
    r"delay it by (\d+)": delay_it,
    r"delay what it sends by one step more": delay_what_it_sends,
    r"use at most (\d+) neurons? in '(.*)'": at_most_in,
    r"take (\d+) neurons? out of (.*)": take_out,
    r"bring (?:it|them) down to (\d+) channels?": channels,
    r"use at most (\d+) inputs? and (\d+) neurons?": at_most_both,
    r"use at most (\d+) neurons? in all hidden layers": at_most_hidden,
    r"use at most (\d+) neurons?$": at_most_neurons,
    r"use at most (\d+) channels? in '(.*?)'": fewer_channels,
    r"use at most (\d+) channels?": fewer_channels,
    r"give it at most (\d+) input channels?": fewer_inputs,
    r"use fewer (?:or smaller )?layers": smaller_layers,
}
