"""Verify an Image on a core of input channels, hidden neurons and readouts (Xylo)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.fabric import Ensemble
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.verify.counts import cells_of, synapses_in_slices
from spikeport.compiler.place.verify.routes import wrong_routes
from spikeport.compiler.program import Synapses


def wrong_on_ensemble(image: Image) -> Iterator[str]:
    """Yield what is wrong; the slices are right."""
    if [use.core for use in image.cores] != [0]:
        yield "such a chip has the one core 0"
        return
    wrong = [*_wrong_numbers(image)]
    yield from wrong
    if wrong:
        return
    yield from _wrong_matrices(image)
    for each in image.program.synapses:
        yield from _wrong_projection(image, each)
    yield from _wrong_use(image)
    nowhere = [np.zeros(len(image.slices), bool)] * len(image.program.synapses)
    yield from wrong_routes(image, synapses_in_slices(image), nowhere)


def _outputs(image: Image) -> set[str]:
    return set(image.program.outputs.values())


def _hidden(image: Image) -> list[str]:
    return [name for name in image.program.neurons if name not in _outputs(image)]


def _core(image: Image) -> Ensemble:
    if not isinstance(image.chip.core, Ensemble):
        raise TypeError(f"{image.chip.name} is not built as an ensemble")
    return image.chip.core


def _wrong_numbers(image: Image) -> Iterator[str]:
    """Every hidden neuron has a number of its own, every channel and readout a place."""
    plan, populations, core = image.plan, image.program.populations, _core(image)
    if set(plan.hidden) != set(_hidden(image)):
        yield f"the hidden populations are {_hidden(image)}, not {list(plan.hidden)}"
    elif any(plan.hidden[name].size != populations[name].size for name in plan.hidden):
        yield "a hidden population has not one number for each neuron"
    else:
        numbers = np.sort(np.concatenate([np.zeros(0, int), *plan.hidden.values()]))
        if not np.array_equal(numbers, np.arange(numbers.size)):
            yield "the hidden neurons are not numbered through, each with a number of its own"
        if numbers.size > core.hidden.value:
            yield f"{numbers.size} hidden neurons are used, the limit is {core.hidden.value}"
    if set(plan.readouts) != _outputs(image):
        yield f"the readouts are {sorted(_outputs(image))}, not {sorted(plan.readouts)}"
        return
    readouts = {name: (first, populations[name].size) for name, first in plan.readouts.items()}
    yield from _overlapping(readouts, "readout", core.outputs.value)
    for name, delay in plan.channels:
        if name not in image.program.inputs:
            yield f"{name!r} has channels and is no input (delay {delay})"
            return
    channels = {
        f"{name} ({delay})": (first, populations[name].size)
        for (name, delay), first in plan.channels.items()
    }
    yield from _overlapping(channels, "channel", None if core.inputs is None else core.inputs.value)


def _wrong_matrices(image: Image) -> Iterator[str]:
    """A matrix (input, recurrent, output) has one shift, and one weight for a pair of neurons."""
    half = 1 << (image.chip.limits.weight_bits.whole - 1)
    shifts: dict[str, set[int]] = {}
    sums: dict[tuple[str, str, int], sp.csr_matrix] = {}
    for each in image.program.synapses:
        which = "input" if each.pre in image.program.inputs else "recurrent"
        which = "output" if each.post in _outputs(image) else which
        shifts.setdefault(which, set()).add(each.exponent)
        key = (each.pre, each.post, each.delay_steps)
        sums[key] = sums.get(key, 0) + sp.csr_matrix(each.mantissa, dtype=np.int64)
    for which, found in shifts.items():
        if len(found) > 1:
            yield f"the {which} matrix has {len(found)} shifts: {sorted(found)}"
    for (pre, post, _), total in sums.items():
        if total.nnz and (total.data.min() < -half or total.data.max() >= half):
            yield f"a weight from {pre!r} to {post!r} does not fit its bits"


def _overlapping(
    blocks: Mapping[str, tuple[int, int]], what: str, limit: float | None
) -> Iterator[str]:
    end = 0
    for name, (first, size) in sorted(blocks.items(), key=lambda block: block[1]):
        if first < end:
            yield f"a {what} of {name!r} is used twice"
        end = max(end, first + size)
    if limit is not None and end > limit:
        yield f"{what} {end - 1} is used, the limit is {limit}"


def _wrong_projection(image: Image, each: Synapses) -> Iterator[str]:
    """Every synapse is in one of the matrices that there are, and inside its part of it."""
    plan, core = image.plan, _core(image)
    post, pre, _ = cells_of(each)
    if post.size == 0:
        return
    hidden = sum(numbers.size for numbers in plan.hidden.values())
    if each.pre in image.program.inputs:
        if (each.pre, each.delay_steps) not in plan.channels:
            yield f"{each.name!r} has no channels for its delay of {each.delay_steps}"
        if each.post in plan.readouts:
            yield f"{each.name!r} goes from an input to a readout"
        elif core.input_expansion is not None:
            last = int(plan.hidden[each.post][post].max())
            if last >= core.input_expansion.value:
                yield (
                    f"{each.name!r} reaches the hidden neuron {last}, only the first "
                    f"{core.input_expansion.value} take input"
                )
    elif each.pre in plan.readouts:
        if not core.recurrent_outputs:
            yield f"{each.name!r} starts at a readout"
    elif each.post in plan.readouts and core.output_expansion is not None:
        first = int(plan.hidden[each.pre][pre].min())
        if first < hidden - core.output_expansion.value:
            yield (
                f"{each.name!r} starts at the hidden neuron {first} of {hidden}, only the last "
                f"{core.output_expansion.value} feed the readout"
            )


def _wrong_use(image: Image) -> Iterator[str]:
    plan, core, (use,) = image.plan, _core(image), image.cores
    populations = image.program.populations
    taking = {name: np.zeros(populations[name].size, bool) for name in plan.hidden}
    feeding = {name: np.zeros(populations[name].size, bool) for name in plan.hidden}
    synapses = 0
    for each in image.program.synapses:
        post, pre, _ = cells_of(each)
        synapses += post.size
        if each.pre in image.program.inputs and each.post in taking:
            taking[each.post][post] = True
        if each.pre in feeding and each.post in plan.readouts:
            feeding[each.pre][pre] = True
    counted = {
        "inputs": sum(populations[name].size for name, _ in plan.channels),
        "hidden": sum(numbers.size for numbers in plan.hidden.values()),
        "outputs": sum(populations[name].size for name in plan.readouts),
        "hidden_with_input": _true(taking),
        "hidden_with_output": _true(feeding),
    }
    limits = (core.inputs, core.hidden, core.outputs, core.input_expansion, core.output_expansion)
    for (name, figure), limit in zip(counted.items(), limits, strict=True):
        there = None if limit is None else limit.value
        if use.held.get(name) != (figure, there):
            yield f"core 0 holds {figure} {name} of {there}, its description says {use.held[name]}"
    if use.synapses != synapses:
        yield f"core 0 holds {synapses} synapses, its description says {use.synapses}"


def _true(chosen: Mapping[str, Array]) -> int:
    return sum(int(np.count_nonzero(each)) for each in chosen.values())
